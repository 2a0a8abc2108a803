#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `lazytsc replay` writes for other programs. --prometheus: a parser of that format takes it, and it
has the figures of JSON for each VM and vCPU, also of many traces and of names that need quoting.
--perfetto: JSON with a track for each vCPU, whose instants are the counts of the last variant, in order
of time on each track, and whose counters are what armed and pending are then. Files that cannot be
written, or of a trace that cannot be read, leave nothing behind.

Usage: written.py LAZYTSC SOURCE-DIRECTORY BUILD-DIRECTORY
"""
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    print("skipped: python3-prometheus-client is missing (harness/deps.sh test)")
    sys.exit(77)

lazytsc, source = sys.argv[1:3]
directory = tempfile.mkdtemp()
examples = [f"{source}/harness/examples/{t}.txt.xz" for t in ("tcp-rr", "idle")]
COUNTS = ["msr_write_exits", "skips", "silent_expiries", "injections", "early_injections", "host_entries",
          "waited_cycles", "host_cycles", "late_cycles"]


def run(*args, status=0):
    out = subprocess.run([lazytsc, "replay", *args], capture_output=True, check=False)
    assert out.returncode == status, (args, out.returncode, out.stderr)
    return (out.stderr if status in (1, 2) else out.stdout).decode()


# --- Prometheus ---
odd = os.path.join(directory, 'a "b"\\c\nd')
shutil.copy(examples[1], odd)
both = os.path.join(directory, "host")
with open(both, "w", encoding="utf-8") as f:
    for i in range(200):
        for vm in (4990, 6000):
            t = 5_000_000_000 + i * 1_000_000 + vm
            value = 7 * 10**12 + t * 5 // 2 + 1_500_000
            f.write(f"CPU 1/KVM {vm}/{vm + 1} [003] {t // 10**9}.{t % 10**9:09d}: kvm:kvm_msr: msr_write 6e0 = {value:#x}\n")
traces = [*examples, odd, both]
families = {m.name: m for m in text_string_to_metric_families(run("--prometheus", "--variants=stock,lazy,bound", *traces))}
assert all(m.type == "gauge" and m.documentation for m in families.values())
got = {(m.name, *(s.labels.get(k) for k in ("trace", "vm", "vcpu", "variant"))): s.value
       for m in families.values() for s in m.samples}
assert len(got) == sum(len(m.samples) for m in families.values())
report = json.loads(run("--json", "--variants=stock,lazy,bound", *traces))
seen = 0
for r in report["rows"]:
    if r["vcpu"] == "total":
        continue
    labels = r["trace"], r.get("vm", "0"), str(r["vcpu"]), r["variant"]
    for key in COUNTS:
        assert got.get((f"lazytsc_{key}", *labels)) == r[key], (labels, key)
        seen += r[key] is not None
    if r["host_cpu_pct"] is not None:
        assert abs(got["lazytsc_host_cpu_ratio", *labels] * 100 - r["host_cpu_pct"]) < 1e-5 * r["host_cpu_pct"] + 1e-9
        seen += 1
    seen += r["variant"] == "stock"
for t in report["traces"]:
    assert abs(got["lazytsc_trace_seconds", t["trace"], None, None, None] - t["seconds"]) < 1e-4
    info = [s for s in families["lazytsc_trace_info"].samples if s.labels["trace"] == t["trace"]]
    assert len(info) == 1 and info[0].labels["evidence"] == t["evidence"] and info[0].labels["source"] == t["source"]
    seen += 2
    writes = [v for k, v in got.items() if k[:2] == ("lazytsc_deadline_writes", t["trace"])]
    assert sum(writes) == t["writes"]
assert seen == len(got), (seen, len(got))

# What a guest did that runs the protocol is there as well.
skips = os.path.join(directory, "skips")
with open(skips, "w", encoding="utf-8") as f:
    for i in range(90):
        now = 10**9 + i * 26000
        f.write(f" t-7 [000] d.... {now}: {'lazytsc_skip' if i else 'write_msr'}: 6e0, value {now + 2600000:x}\n")
families = {m.name: m for m in text_string_to_metric_families(run("--prometheus", "--variants=lazy", skips))}
measured = {n: s.value for n, m in families.items() for s in m.samples if s.labels.get("variant") == "measured"}
assert measured == {"lazytsc_msr_write_exits": 1, "lazytsc_skips": 89}, measured
# A name need not be UTF-8, what is printed is; no series is there twice.
strange = os.fsencode(directory) + b"/a\xff"
shutil.copy(skips, strange)
families = {m.name: m for m in text_string_to_metric_families(run("--prometheus", strange))}
assert {s.labels["trace"] for m in families.values() for s in m.samples} == {directory + "/a?"}
assert json.loads(run("--json", strange))["traces"][0]["trace"] == directory + "/a?"
for twice in ([skips, examples[0], skips], [strange, strange[:-1] + b"\xfe"]):
    assert "expected a name of its own for each trace, found" in run("--prometheus", *twice, status=1)
assert run("--csv", skips, skips)

# --- Perfetto ---
path = os.path.join(directory, "timeline.json")
for variant in ("stock", "lazy", "early"):
    run("--perfetto", path, f"--variants={variant},bound", examples[1])
    with open(path, encoding="utf-8") as f:
        events = json.load(f)["traceEvents"]
    rows = {r["vcpu"]: r for r in json.loads(run("--json", f"--variants={variant}", examples[1]))["rows"]}
    tracks = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert sorted(n.split(",")[0] for n in tracks.values()) == ["vCPU 0", "vCPU 1"], tracks
    for tid, name in tracks.items():
        mine = [e for e in events if e["ph"] == "i" and e["tid"] == tid]
        assert f", {variant} " in name and [e["ts"] for e in mine] == sorted(e["ts"] for e in mine)
        count = collections.Counter(e["name"] for e in mine)
        r = rows[int(name.split()[1].rstrip(","))]
        assert (count["exit"], count["skip"], count["silent expiry"], count["inject"]) == \
            (r["msr_write_exits"], r["skips"], r["silent_expiries"], r["injections"]), (name, count)
        # The time left until armed and pending; where a timer was left alone, armed is the sooner.
        for counter in ("armed", "pending"):
            values = [e for e in events if e["ph"] == "C" and e["name"] == f"{counter} (track {tid})"]
            assert values and all(e["args"]["us"] >= 0 for e in values)
    last = max(e["ts"] for e in events if e["ph"] == "i")
    assert abs(last - 20_001_000) < 10_000, last

# --- What cannot be written ---
for option in ("--perfetto", "--html"):
    path = os.path.join(directory, "new")
    assert "take one trace, found 2" in run(option, path, *examples, status=1)
    assert "No such file" in run(option, "/nonexistent/file", examples[0], status=2)
    assert "No such file" in run(option, path, "/nonexistent", status=2)
    assert "need a variant" in run(option, path, "--variants=bound", examples[0], status=1)
    assert not os.path.exists(path)
assert "/dev/full" in run("--perfetto", "/dev/full", examples[0], status=2)
# The trace itself, by its own name or another one, is no output; nor is a file for both.
lines = [f" t-7 [000] d.... {10**9 + i * 26000}: write_msr: 6e0, value {10**9 + i * 26000 + 2600:x}\n" for i in range(90)]
mine, soft, hard = (os.path.join(directory, n) for n in ("mine", "soft", "hard"))
with open(mine, "w", encoding="utf-8") as f:
    f.writelines(lines)
os.symlink(mine, soft)
os.link(mine, hard)
before = sorted(os.listdir(directory))
for option in ("--perfetto", "--html"):
    for name in (mine, soft, hard):
        for trace in (mine, soft):
            assert f"{name} is the trace itself" in run(option, name, trace, status=1)
            with open(mine, encoding="utf-8") as f:
                assert f.readlines() == lines
    with open(mine, encoding="utf-8") as f:
        out = subprocess.run([lazytsc, "replay", option, hard, "-"], stdin=f, capture_output=True, check=False)
    assert out.returncode == 1 and b"is the trace itself" in out.stderr, out
out = subprocess.run([lazytsc, "sim", "--trace", mine, "--perfetto", soft], capture_output=True, check=False)
assert out.returncode == 1 and b"is the trace itself" in out.stderr, out
new = os.path.join(directory, "new")
assert "expected two files, found" in run("--perfetto", new, "--html", new, mine, status=1)
assert sorted(os.listdir(directory)) == before and os.path.islink(soft)
run("--html", "/dev/null", "--perfetto", new, mine)

# --- Of several traces the worst status counts. ---
exits = os.path.join(directory, "exits")
with open(exits, "w", encoding="utf-8") as f:
    for i in range(100):
        event = "exit: vcpu 0 reason MSR_WRITE rip 0x5" if i % 2 else "entry: vcpu 0, rip 0x7"
        f.write(f"CPU 0/KVM 4990/5000 [000] 5.{i:06d}: kvm:kvm_{event}\n")
for order in ([exits, "/nonexistent", mine], ["/nonexistent", mine, exits]):
    run(*order, status=2)
run(mine, exits, mine, status=4)
run("--html", "/dev/full", exits, status=2)
for order in ([exits, "/nonexistent"], ["/nonexistent", exits]):
    assert subprocess.run([lazytsc, "compare", *order], capture_output=True, check=False).returncode == 2
shutil.rmtree(directory)
print("written for others as documented")
