#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `lazytsc replay` prints: JSON, CSV and table say the same; totals are sums; each key and
option is documented; the same input gives the same bytes; the verdict and the examples' README are
right; rfc-v3 counts as lazy on the hv timer and as rfc-v1 on the sw timer; no figure depends on the
output options, nor a delivery on the variant.

Usage: output.py LAZYTSC SOURCE-DIRECTORY
"""
import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is missing (harness/deps.sh test)")
    sys.exit(77)

lazytsc, source = sys.argv[1:3]
directory = tempfile.TemporaryDirectory()
traces = [f"{source}/harness/examples/{t}.txt.xz" for t in ("compile", "idle", "tcp-rr")]
COUNTS = [
    "msr_write_exits", "skips", "silent_expiries", "injections", "early_injections", "host_entries",
]


def run(*args, cwd=None):
    return subprocess.run([lazytsc, "replay", *args], check=True, capture_output=True, cwd=cwd).stdout.decode()


def read(path):
    with open(f"{source}/{path}", encoding="utf-8") as f:
        return f.read()


schema = json.loads(read("docs/replay.schema.json"))


def rows_of(*args):
    out = json.loads(run("--json", *args))
    assert out["version"] == 2, out["version"]
    jsonschema.validate(out, schema)
    return out


plain = rows_of("--variants", "stock,lazy,rfc-v1,rfc-v3", *traces)
rows = plain["rows"]
assert len(rows) == 3 * 4 * 3, len(rows)
at = {(r["trace"], r["variant"], r["vcpu"]): r for r in rows}
for trace in traces:
    for variant in ("stock", "lazy", "rfc-v1", "rfc-v3"):
        total = at[trace, variant, "total"]
        parts = [at[trace, variant, 0], at[trace, variant, 1]]
        for key in COUNTS:
            assert isinstance(total[key], int)
            assert total[key] == sum(p[key] for p in parts), (trace, variant, key)
        for r in [total, *parts]:
            stock = at[trace, "stock", r["vcpu"]]["host_entries"]
            assert r["host_entries"] == r["msr_write_exits"] + r["silent_expiries"]
            assert abs(r["host_entries_change_pct"] - 100 * (r["host_entries"] / stock - 1)) <= 0.0051
            assert "approximate" not in r
    for vcpu in (0, 1, "total"):
        for key in COUNTS:
            assert at[trace, "rfc-v3", vcpu][key] == at[trace, "lazy", vcpu][key]

# A deadline moved by five cycles is waited for by a host that waits for so long, and armed again by
# others.
moved = "".join(
    f"<idle>-0 [000] d..1. {now}: write_msr: 6e0, value {v:x}\n"
    for now, v in ((1000, 2000), (1100, 2005), (3000, 9000))
)
for advance, entries, waited in ((0, 3, 0), (4, 3, 0), (5, 2, 5)):
    out = subprocess.run(
        [lazytsc, "replay", "--json", "--variants=stock,lazy", f"--advance={advance}", "-"],
        input=moved.encode(), check=True, capture_output=True,
    ).stdout
    total = {r["variant"]: r for r in json.loads(out)["rows"] if r["vcpu"] == "total"}
    got = total["lazy"]["host_entries"], total["lazy"]["waited_cycles"]
    assert got == (entries, waited), (advance, got)
    assert total["stock"]["host_entries"] == 3

# The sw timer: as V1, under the same name.
sw = rows_of("--timer", "sw", "--variants", "rfc-v1,rfc-v3", *traces)
assert (plain["timer"], sw["timer"]) == ("hv", "sw")
for r in sw["rows"]:
    for key in COUNTS:
        assert r[key] == at[r["trace"], "rfc-v1", r["vcpu"]][key], r

# A figure that does not exist is null. The change against stock needs no stock among the variants.
for r in rows_of("--variants", "bound", traces[0])["rows"]:
    assert r["skips"] is None and isinstance(r["host_entries"], int)
    assert r["host_entries_change_pct"] <= 0

# CSV: the same rows.
out = list(csv.DictReader(io.StringIO(run("--csv", "--variants", "stock,lazy,rfc-v1,rfc-v3,bound", *traces))))
assert len(out) == 3 * 5 * 3
for line in out:
    if line["variant"] == "bound":
        assert line["skips"] == ""
        continue
    vcpu = line["vcpu"] if line["vcpu"] == "total" else int(line["vcpu"])
    r = at[line["trace"], line["variant"], vcpu]
    for key in COUNTS:
        assert int(line[key]) == r[key]
    assert float(line["host_entries_change_pct"]) == r["host_entries_change_pct"]
    assert line["approximate"] == "false"

# The wide table: the same figures in the same order, then the verdict.
for trace in traces:
    text = run("--wide", "--variants", "stock,lazy,rfc-v1,rfc-v3", trace)
    heading = next(l for l in text.splitlines() if l.startswith("vcpu"))
    names = re.split(r"  +", heading.strip())
    table = [re.split(r"  +", l.strip()) for l in text.splitlines() if re.match(r"(\d+|total) +(stock|lazy|rfc-v\d) ", l)]
    assert len(table) == 12, text
    for line in table:
        cells = dict(zip(names, line))
        vcpu = cells["vcpu"] if cells["vcpu"] == "total" else int(cells["vcpu"])
        r = at[trace, cells["variant"], vcpu]
        for key in COUNTS:
            assert int(cells[key]) == r[key], (key, line)
        assert float(cells["change %"]) == r["host_entries_change_pct"]
    assert ("benefit is small" in text) == ("compile" in trace), text
text = run("--wide", "--variants", "early,bound", traces[0])
assert re.search(r"^total +bound( +-){5} +\d+( +-){3} +[\d.]+ +- +-\d", text, re.M), text
assert "leaves nothing armed" in run(traces[0])

# What became of the deadlines adds up; so do the histograms.
for t in rows_of("--hist", *traces)["traces"]:
    over = t["overwritten_later"] + t["overwritten_earlier"] + t["overwritten_same"] + t["disarmed"]
    assert t["writes"] - t["delivered"] - over in range(0, 3), t
    assert sum(b["count"] for b in t["before_expiry"]) == over
    assert sum(b["count"] for b in t["moved_later"]) == t["overwritten_later"]
    assert sum(b["count"] for b in t["moved_earlier"]) == t["overwritten_earlier"]
    assert t["writes"] == at[t["trace"], "stock", "total"]["msr_write_exits"]
    assert t["delivered"] == at[t["trace"], "stock", "total"]["injections"]
assert "moved later" in run("--hist", "--tsc-khz", "2596146", traces[1])

# Same input, same bytes.
for args in ([], ["--json", "--hist"], ["--csv"]):
    assert run(*args, *traces) == run(*args, *traces)

# Many traces at once: the same bytes as with one CPU, in the traces' order, however long each
# takes, and whichever cannot be read.
many = [traces[0], traces[2], "/nonexistent", traces[1]] * 4
for args in ([], ["--json"], ["--csv"]):
    outs = []
    for cpus in (1, os.cpu_count()):
        outs.append(subprocess.run([lazytsc, "replay", *args, *many], capture_output=True, check=False,
                                   preexec_fn=lambda n=cpus: os.sched_setaffinity(
                                       0, sorted(os.sched_getaffinity(0))[:n])))
    outs.append(subprocess.run([lazytsc, "replay", *args, "-j", "5", *many], capture_output=True, check=False))
    for o in outs:
        assert o.returncode == 2 and o.stderr.count(b"/nonexistent: No such file") == 4, o.stderr
    assert outs[0].stdout == outs[1].stdout
    # The arguments are told, so there one line more is told.
    assert outs[0].stdout == outs[2].stdout.replace(b'    "-j",\n    "5",\n', b"")

# One trace: a thread reads ahead, or none does; the same bytes, the same message where it cannot be
# read to its end, and where a fit's rate comes behind half a million disarms.
write = "    sleep-1 [000] d... %.9f: write_msr: 6e0, value %x"
lines = [write % (1000 + i, 0) for i in range(530_000)]
lines += [write % (600_000 + i / 250, 2_000_000 * (600_000_000 + 4 * i + 4)) for i in range(20_000)]
host = "  CPU 0/KVM-2 [000] d... 700000.000000000: kvm_msr: msr_write 6e0 = 0x5"
for text, status in ((lines, 0), (lines + [host], 2), (lines[-3000:] + [host] + lines[-3000:], 2)):
    outs = []
    for jobs in "1", "2":
        out = subprocess.run([lazytsc, "replay", "-j", jobs, "-"], input="\n".join(text + [""]).encode(),
                             capture_output=True, check=False)
        outs.append((out.returncode, out.stdout, out.stderr))
    assert outs[0] == outs[1] and outs[0][0] == status, outs

# Documented: each key, each option.
doc, man = read("docs/replay.md"), read("docs/man/lazytsc-replay.1")
def keys_of(value):
    if isinstance(value, dict):
        return set(value) | {k for v in value.values() for k in keys_of(v)}
    return {k for v in value for k in keys_of(v)} if isinstance(value, list) else set()


keys = keys_of(rows_of("--hist", "--by", "task", traces[0]))
for key in keys:
    assert re.search(rf"\b{key}\b", doc), f"{key} is not in docs/replay.md"
for column in set(rows[0]) - {"trace", "variant", "vcpu"}:
    assert column in man, f"{column} is not in the man page"
for option in set(re.findall(r"--([a-z][a-z-]+)", run("--help"))) - {"help", "usage", "version"}:
    assert f"Fl -{option}" in man, f"--{option} is not in the man page"
    assert f"--{option}" in doc, f"--{option} is not in docs/replay.md"

# The examples' README.
readme = read("harness/examples/README.md")
for trace in traces:
    name = trace.rsplit("/", 1)[1]
    writes = at[trace, "stock", "total"]["msr_write_exits"]
    line = next(l for l in readme.splitlines() if l.startswith(f"| {name}"))
    assert f" {writes:,} " in line, (line, writes)
pct = at[traces[2], "lazy", "total"]["host_entries_change_pct"]
assert f"{-pct:.0f} % fewer host entries" in readme, pct

# Free looks (B29): fewer silent expiries and the same exits where the guest halts; on a host's
# trace a halt is an exit; a trace without halts has no figures, and is refused if nothing else was
# asked for.
for trace in traces:
    free = rows_of("--variants", "lazy,lazy-free,early,early-free,bound,bound-free", trace)["rows"]
    free = {r["variant"]: r for r in free if r["vcpu"] == "total"}
    assert free["lazy-free"]["msr_write_exits"] == free["lazy"]["msr_write_exits"], free
    assert free["lazy-free"]["silent_expiries"] <= free["lazy"]["silent_expiries"], free
    assert free["bound-free"]["host_entries"] <= min(free["bound"]["host_entries"], free["lazy-free"]["host_entries"]), free
    assert free["early-free"]["host_entries"] <= free["early"]["host_entries"], free
    if trace == traces[1]:
        assert free["lazy-free"]["silent_expiries"] < free["lazy"]["silent_expiries"] / 2, free
        assert free["bound-free"]["host_entries"] < free["bound"]["host_entries"] / 2, free
    # Looks at all other exits: no host is worse that knows what is to come, nor breaks B12.
    looks = rows_of("--variants", "lazy-look,early-look,bound-look", trace)["rows"]
    looks = {r["variant"]: r for r in looks if r["vcpu"] == "total"}
    assert looks["bound-look"]["host_entries"] <= free["bound-free"]["host_entries"], (free, looks)
    assert looks["lazy-look"]["silent_expiries"] <= free["lazy-free"]["silent_expiries"], (free, looks)
    assert looks["lazy-look"]["injections"] == free["lazy"]["injections"], (free, looks)
    if trace == traces[2]:
        assert looks["lazy-look"]["msr_write_exits"] > 2 * free["lazy-free"]["msr_write_exits"], (free, looks)
# A vCPU of which the trace shows no halt, though of another, is named, and has no free looks.
for trace in traces[1:]:
    done = subprocess.run([lazytsc, "replay", "--variants=lazy,lazy-free,bound,bound-free", "--json", trace],
                          check=True, capture_output=True)
    out = json.loads(done.stdout)
    assert out["traces"][0]["vcpus_without_halts"] == ["1"] and b"shows no halt of vCPU 1, but" in done.stderr, done.stderr
    own = {r["variant"]: r["host_entries"] for r in out["rows"] if r["vcpu"] == 1}
    assert own["lazy-free"] == own["lazy"] and own["bound-free"] == own["bound"], own
    assert "vcpus_without_halts" not in rows_of(trace)["traces"][0]
blind = f"{source}/harness/bench/traces/redis.txt.xz"
done = subprocess.run([lazytsc, "replay", "--variants=stock,lazy-free", "--json", blind], check=True, capture_output=True)
blind_rows = {r["variant"]: r for r in json.loads(done.stdout)["rows"] if r["vcpu"] == "total"}
assert blind_rows["lazy-free"]["host_entries"] is None and blind_rows["stock"]["host_entries"], blind_rows
assert done.stderr.count(b"\n") == 1 and b"never halts" in done.stderr, done.stderr
for option in ("--json", "--csv", "--wide"):
    done = subprocess.run([lazytsc, "replay", option, "--variants=lazy-free,bound-free,lazy-look", blind], check=False, capture_output=True)
    assert done.returncode == 2 and b"never halts" in done.stderr and b"total" not in done.stdout, (option, done)
    assert b"HLT, nor leaves for another reason: no" in done.stderr, (option, done)


def rounds(reason):
    """A host's trace: 300 times a deadline 1 us ahead, one of 1 ms, moved to 5 ms, delivered, and a stop."""
    lines = []
    for i in range(300):
        t = 5 * 10**9 + i * 10 * 10**6
        tsc = 7 * 10**12 + (t - 5 * 10**9) * 5 // 2
        lines += [(t - 30000, f"kvm_msr: msr_write 6e0 = {tsc - 72500:#x}"),
                  (t, f"kvm_msr: msr_write 6e0 = {tsc + 2500000:#x}"), (t + 50000, f"kvm_msr: msr_write 6e0 = {tsc + 12500000:#x}"),
                  (t + 100000, f"kvm_exit: vcpu 0 reason {reason} rip 0x5 info1 0x0"), (t + 5010000, "kvm_entry: vcpu 0, rip 0x7"),
                  (t + 5030000, "kvm_msr: msr_write 6e0 = 0x0")]
    return "".join(f"CPU 0/KVM 4990/5000 [000] {t // 10**9}.{t % 10**9:09d}: kvm:{event}\n" for t, event in lines)


# Each round has an expiry between the deadline that is moved and the halt's end. A host that looks
# when the guest halts needs one entry, the first. A look at the other exit finds what a halt finds;
# one at a write's own exit is none.
for reason, silent, fewest, looked in (("HLT", 0, 1, 0), ("IO_INSTRUCTION", None, None, 0), ("MSR_WRITE", None, None, None)):
    done = subprocess.run([lazytsc, "replay", "--json", "--tsc-khz=2500000",
                           "--variants=lazy,lazy-free,lazy-look,bound-free", "-"],
                          check=True, capture_output=True, input=rounds(reason).encode())
    host = {r["variant"]: r for r in json.loads(done.stdout)["rows"] if r["vcpu"] == "total"}
    assert host["lazy"]["silent_expiries"] == 300 and host["lazy-free"]["silent_expiries"] == silent, (reason, host)
    assert host["bound-free"]["host_entries"] == fewest, (reason, host)
    assert host["lazy-look"]["silent_expiries"] == looked, (reason, host)

# No figure depends on the output: interrupts behind the last write and before a gap, which --html
# asks for, deliver nothing, nor do halts; and one whose time stamp is behind that of the write
# after it, or that fills a fit's window, moves nothing.
def line(now, text, comm="<idle>-0", mark="d..1."):
    return f"{comm} [000] {mark} {now}: {text}\n"


def wrote(now, value):
    return line(now, f"write_msr: 6e0, value {value:x}")


def tick(now):
    return line(now, "local_timer_entry: vector=236", mark="d.h1.")


def idle(now, state):
    return line(now, f"cpu_idle: state={state} cpu_id=0")


def fitted(n):
    text = ["    sleep-1 [000] d... %.9f: write_msr: 6e0, value %x\n" % (1000 + i / 250, 2_000_000 * (1_000_000 + 4 * i + (i % 7 > 0) * 4))
            for i in range(n)]
    late = ["    sleep-1 [000] d.h. %.9f: local_timer_entry: vector=236\n" % (1000 + i / 250 + .0039999 + i % 50 * 1e-9)
            for i in range(n)]
    return "".join(l for pair in zip(text, late) for l in pair)


lost = "CPU:0 [LOST 9 EVENTS]\n"
half = wrote(1000, 100000) + tick(101000) + wrote(102000, 200000) + wrote(103000, 210000) + tick(211000)
halts = half + idle(300000, 2) + tick(400000) + idle(400100, 4294967295)
rearm = "".join(f"<idle>-0 [000] d..1. {t:.9f}: {text}\n" for t, text in (
    (5, "hrtimer_rearm: next_event=5004000000 deferred=0"), (5.00401, "hrtimer_rearm: next_event=5009000000 deferred=0")))
behind = "<idle>-0 [000] d.h1. 5.010000000: local_timer_entry: vector=236\n" + \
    "<idle>-0 [000] d..1. 5.011000000: lazytsc_skip: 6e0, value 1234567890\n"
kinds = {
    "end": half, "gap": half + lost + wrote(500000, 600000) + tick(601000),
    "halts": halts + lost + wrote(900000, 999000) + idle(1000000, 2),
    "order": half + tick(900000) + wrote(800000, 850000) + wrote(950000, 990000), "rearm": rearm + lost + behind,
    "fit": fitted(70000),
}
for name, text in kinds.items():
    path = os.path.join(directory.name, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    for variants in "stock", "lazy", "lazy-free,early-free,bound-free,lazy,early", "stock,lazy-look":
        outs = []
        for option in None, "--html", "--perfetto":
            extra = [option, path + ".out"] if option else []
            done = subprocess.run([lazytsc, "replay", "--json", "--hist", f"--variants={variants}", path, *extra], capture_output=True,
                                  check=False)
            out = json.loads(done.stdout)
            outs.append((done.returncode, out["rows"], out["traces"]))
        assert outs[0][0] in (0, 2) and outs[0] == outs[1] == outs[2], (name, variants)
        # What is delivered is the same by each host, as no policy sees an event that others do not.
        counts = {r["injections"] for r in outs[0][1] if r["vcpu"] == "total" and r["variant"] in ("lazy", "lazy-free", "lazy-look")}
        assert name == "fit" or len(counts - {None}) < 2, (name, counts)
        if name in ("end", "gap", "halts"):
            assert {t["delivered"] for t in outs[0][2]} == {{"end": 1, "gap": 1, "halts": 1}[name]}, (name, outs[0][2])
        if name != "halts" or "lazy-free" not in variants:
            continue
        # The steps that are shown are those that are counted.
        run("--variants=early-free", "--perfetto", path + ".out", path)
        with open(path + ".out", encoding="utf-8") as f:
            names = [e["name"] for e in json.load(f)["traceEvents"] if e["ph"] == "i"]
        r = next(r for r in outs[0][1] if r["vcpu"] == "total" and r["variant"] == "early-free")
        assert (names.count("inject"), names.count("silent expiry")) == (r["injections"], r["silent_expiries"]), (names, r)

# README.md and docs/replay.md show what is printed.
shown = run("--variants=stock,lazy,early,bound", "harness/examples/tcp-rr.txt.xz", cwd=source)
for line in shown.splitlines():
    assert "    " + line in read("README.md").splitlines() or not line, f"not in README.md: {line}"
for line in shown.split("\n\n")[0].splitlines():
    assert "    " + line in doc.splitlines(), f"not in docs/replay.md: {line}"
for name, t in zip(("compile", "idle", "tcp-rr"), rows_of(*traces)["traces"]):
    totals = {r["variant"]: r for r in rows_of(t["trace"])["rows"] if r["vcpu"] == "total"}
    cells = [f"{totals[v]['host_entries_per_second']:.0f} ({totals[v]['host_cpu_pct']:.3f})" for v in ("stock", "lazy", "early")]
    assert f"({name}) | " in read("README.md") and " | ".join(cells) in read("README.md"), cells
print("all as documented")
