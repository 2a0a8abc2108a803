#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The answer of `lazytsc replay`: the sentences say what JSON says, and what JSON says follows from the
counts, the seconds and the exits' times; the verdict goes with what the busiest vCPU gets back; the
table fits 80 columns; several VMs have a table each, whose totals add up; what --vm, --vcpu, --from,
--to and --comm select is replayed as if the rest had not been there, and the rest is counted; tasks'
writes add up; what a trace with skips shows stands beside what is predicted.

Usage: answer.py LAZYTSC SOURCE-DIRECTORY
"""
import json
import os
import random
import re
import subprocess
import sys
import tempfile

lazytsc, source = sys.argv[1:3]
directory = tempfile.TemporaryDirectory()
US = 2600  # TSC cycles, at 2.6 GHz


def run(*args, status=0):
    out = subprocess.run([lazytsc, "replay", *args], capture_output=True, check=False)
    assert out.returncode == status, (args, out.returncode, out.stderr)
    return (out.stderr if status else out.stdout).decode()


def trace(name, text):
    path = os.path.join(directory.name, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def read(*args):
    out = json.loads(run("--json", *args))
    return out["traces"][0], {(r["variant"], r.get("vm"), r["vcpu"]): r for r in out["rows"]}


def near(a, b):
    assert abs(a - b) <= 1e-4 * abs(b) + 1e-6, (a, b)


def guest(tsc, cpu, value, comm="<idle>-0", event="write_msr"):
    return f"{comm:>20} [{cpu:03d}] d.... {tsc}: {event}: 6e0, value {value:x}\n"


# --- The figures follow from the counts. ---
for name in ("compile", "idle", "tcp-rr"):
    path = f"{source}/harness/examples/{name}.txt.xz"
    t, rows = read(path)
    text = run(path)
    a = t["answer"]
    assert text.split("\n\n")[0].replace("\n", " ") == a["text"], text
    assert a["text"].startswith(f"{path}: exact. ")
    seconds, khz = t["seconds"], t["tsc_khz"]
    assert khz == 2596146
    near(a["writes_per_second_per_vcpu"], t["writes"] / seconds / 2)
    stock = rows["stock", None, "total"]
    near(a["stock_host_entries_per_second"], stock["host_entries"] / seconds)
    for variant in ("lazy", "early"):
        r, gain = rows[variant, None, "total"], a[variant]
        near(gain["host_entries_per_second"], (stock["host_entries"] - r["host_entries"]) / seconds)
        near(gain["host_entries_pct"], 100 * (1 - r["host_entries"] / stock["host_entries"]))
        near(gain["host_cpu_pct"], (stock["host_cycles"] - r["host_cycles"]) / (seconds * khz * 10))
        near(gain["waited_us_per_second"], r["waited_cycles"] / khz * 1e3 / seconds)
        near(r["host_cpu_pct"], r["host_cycles"] / (seconds * khz * 10))
        busiest = max(rows["stock", None, v]["host_cpu_pct"] - rows[variant, None, v]["host_cpu_pct"] for v in (0, 1))
        assert abs(gain["busiest_vcpu_host_cpu_pct"] - busiest) < 1e-4
        assert gain["worth_it"] == ("yes" if busiest >= 1 else "little" if busiest >= 0.1 else "no")
        assert gain["host_cpu_pct_by_exit_times"] is None
    # The cost model, at this TSC's rate: 960 ns for a write, 920 ns for a timer that fires, which
    # is all deliveries but those of a deadline that had passed when it was written.
    fired, rest = divmod(stock["host_cycles"] - int(960 * khz / 1e6) * stock["msr_write_exits"],
                         int(920 * khz / 1e6))
    assert rest == 0 and 0.9 * stock["injections"] <= fired <= stock["injections"]
    assert max(len(l) for l in text.splitlines()) <= 80, text
    assert {"compile": "99.7 % of the deadlines are delivered", "idle": "paid for by silent expiries",
            "tcp-rr": "Worth little: "}[name] in a["text"]
    assert a["worth_it"] == {"compile": "no", "idle": "no", "tcp-rr": "little"}[name]
    # Without the rate nothing changes but what is a second.
    bare = trace("bare", subprocess.run(["xz", "-dc", path], capture_output=True, check=True).stdout.decode()
                 .split("\n", 1)[1])
    u, other = read(bare)
    assert "tsc_khz" not in u and "2.6 GHz (the trace does not tell: give --tsc-khz)" in u["answer"]["text"]
    near(u["seconds"], seconds * khz / 2.6e6)
    assert all(other[k]["host_entries"] == rows[k]["host_entries"] for k in rows)
    assert read("--tsc-khz", "2596146", bare)[0]["answer"].keys() == a.keys()
    # A rate that `lazytsc record` noted otherwise is none.
    assert read("--tsc-khz", "2598000", path)[0]["tsc_khz"] == 2598000
    for wrong in ("2600000", "1000000", "2593000"):
        said = run("--tsc-khz", wrong, path, status=2)
        assert f"{path}: the TSC's rate is not the given --tsc-khz {wrong}: `lazytsc record` noted 2596146.000 kHz" in said, said

# Worth it: 100,000 writes a second that each move the deadline on; and what is not, for its few.
storm = trace("storm", "".join(guest(10**9 + i * 10 * US, 0, 10**9 + i * 10 * US + 1000 * US) for i in range(5000)))
t, rows = read("--tsc-khz=2600000", storm)
a = t["answer"]
near(a["writes_per_second_per_vcpu"], 5000 / (4999 * 10e-6))
assert a["worth_it"] == "yes" and "Worth it: the host of the busiest vCPU gets 9." in a["text"], a
near(rows["stock", None, 0]["host_cpu_pct"], 5000 * 960e-9 / (4999 * 10e-6) * 100)
one = trace("one", guest(10**9, 0, 10**9 + 5))
assert read(one)[0]["answer"] == {"text": f"{one}: exact. 1 deadline write: too few for rates."}


# A guest that is idle for most of the time: what the busiest tenth would save is told.
burst = trace("burst", "".join(guest(10**9 + i * 500_000 * US, 0, 10**9 + i * 500_000 * US + 9 * US) for i in range(20)) +
              "".join(guest(10**9 + 9_600_000 * US + i * 10 * US, 0, 10**9 + 9_600_000 * US + i * 10 * US + 1000 * US)
                      for i in range(40000)))
t, rows = read("--tsc-khz=2600000", burst)
peak = t["answer"]["busiest_tenth"]
assert 0.9 < peak["seconds"] < 1.1 and t["seconds"] == 10 - 0.000010, (peak, t["seconds"])
assert abs(peak["stock_host_entries_per_second"] * peak["seconds"] - 40000) < 10
near(peak["lazy_host_cpu_pct"], 0.096 * (peak["stock_host_entries_per_second"] - peak["lazy_host_entries_per_second"]) / 1000)
assert "busiest_tenth" not in a
# The sentence says which options replay that tenth, of a part of the trace as well.
said = re.search(r" In the busiest \S+ s \(--from=(\S+)s --to=(\S+)s\) lazy", t["answer"]["text"])
assert abs(float(said[1]) - peak["from_seconds"]) < 1e-4 and 9 < float(said[1]) < 9.6, said
assert abs(read("--tsc-khz=2600000", f"--from={said[1]}s", f"--to={said[2]}s", burst)[0]["writes"] - 40000) < 10
part = read("--tsc-khz=2600000", "--from=3s", burst)[0]["answer"]["busiest_tenth"]
assert 9.2 < part["from_seconds"] < 9.6, part
bare = read(burst)[0]["answer"]["text"]
assert "(--tsc-khz=2600000 --from=" in bare, bare
# A few dozen writes have no busiest tenth.
few = trace("few", "".join(guest(10**9 + i**3 * US, 0, 10**9 + i**3 * US + 90 * US) for i in range(60)))
assert "busiest_tenth" not in read("--tsc-khz=2600000", few)[0]["answer"]

# Unequal vCPUs: the rate is one on average, and the busiest is named.
for cpus, named in (([0, 1] * 500, False), ([0] * 520 + [1] * 480, False), ([0] * 540 + [1] * 460, True)):
    uneven = trace("uneven", "".join(guest(10**9 + i * 100 * US, c, 10**9 + i * 100 * US + 9 * US) for i, c in enumerate(cpus)))
    said = read("--tsc-khz=2600000", uneven)[0]["answer"]["text"]
    assert ("times a second on average (vCPU 0: 54" in said) == named == (" on average" in said), said

# Nearly all is not all; one thing is one.
most = trace("most", "".join(guest(10**9 + i * 100 * US, 0, 10**9 + i * 100 * US + (9 if i % 4000 else 900) * US) for i in range(8000)))
text = run(most)
assert "and 99.9 % of the deadlines are delivered" in text.replace("\n", " ") and "\nOf 8000 deadlines 99.9 % were delivered;" in text, text
assert "\nOf 1 deadline 0.0 % were delivered;" in run(one), run(one)
pair = trace("pair", "".join(guest(10**9 + at * US, 0, 10**9 + to * US) for at, to in ((0, 50), (1, 100), (200, 300))))
assert "\n  1 write is skipped, but 1 silent expiry takes their place.\n" in run(pair), run(pair)

# A policy that adds entries and takes less of the CPU all the same, and one that does the reverse:
# exits cost more than timers do, and waits cost, too.
cost = re.compile(r"(lazy|early) would (add|take away) \S+ (?:of|host entries a second to) \S+ .*?\(\S+ %\)"
                  r"(, and cost|, but cost|, but give|,) (-?[\d.]+) % of one CPU")
seen = set()
for seed in (1, 11, 182, 354):
    rng = random.Random(seed)
    now, lines, n = 10**9, [], rng.choice((100, 200, 400))
    steps, ahead = [rng.choice((1, 5, 30, 200)) for _ in range(2)], [rng.choice((1, 3, 20, 100, 300)) for _ in range(3)]
    for _ in range(n):
        now += rng.choice(steps) * US + rng.randrange(US)
        lines.append(guest(now, 0, now + rng.choice(ahead) * US + rng.randrange(US // 4)))
    t, rows = read("--tsc-khz=2600000", trace("random", "".join(lines)))
    found = cost.findall(t["answer"]["text"].replace(" host entries a second (", " ("))
    assert len(found) == 2, t["answer"]["text"]
    for variant, does, how, value in found:
        gain = t["answer"][variant]
        assert (gain["host_entries_per_second"] < 0) == (does == "add"), t["answer"]
        assert value[0] != "-" and abs(abs(gain["host_cpu_pct"]) - float(value)) <= .006, t["answer"]
        if float(value):
            assert ("cost" in how) == (gain["host_cpu_pct"] < 0), t["answer"]
            seen.add((does, how))
assert seen >= {("take away", ","), ("add", ", but give"), ("take away", ", but cost")}, seen


# --- A host's, of two VMs; its exits take 2 us. ---
def host(vms, n=300, step=100_000, reason="MSR_WRITE"):
    out = []
    for vm, vcpus in vms:
        for v in range(vcpus):
            head = f"CPU {v}/KVM {vm}/{vm + 10 + v} [{v:03d}]"
            for i in range(n):
                t = 5_000_000_000 + i * step + v * 1000 + vm
                value = 7_000_000_000_000 + (t - 5_000_000_000) * 5 // 2 + (1_000_000 if i % 3 else 30_000_000)
                for at, line in ((t - 1200, f"kvm:kvm_exit: vcpu {v} reason {reason} rip 0x5 info1 0x0"),
                                 (t, f"kvm:kvm_msr: msr_write 6e0 = {value:#x}"),
                                 (t + 800, f"kvm:kvm_entry: vcpu {v}, rip 0x7")):
                    out.append((at, f"{head} {at // 10**9}.{at % 10**9:09d}: {line}"))
    return "\n".join(l for _, l in sorted(out)) + "\n"


both = trace("both", host([(4990, 2), (6000, 1)]))
t, rows = read("--tsc-khz=2500000", both)
a = t["answer"]
# Two in three deadlines are set for the same time ahead: delivered or moved on, that looks alike.
assert t["evidence"] == "approximate" and a["text"].startswith(f"{both}: APPROXIMATE, 66 % of the writes in doubt. "), a
near(a["write_exit_ns"], 2000)
assert a["timer_exit_ns"] is None
for variant in ("lazy", "early"):
    r, s = rows[variant, None, "total"], rows["stock", None, "total"]
    entries = [x["msr_write_exits"] + x["silent_expiries"] + x["injections"] for x in (s, r)]
    own = (entries[0] - entries[1]) * 2e-6 - r["waited_cycles"] / 2.5e9
    near(a[variant]["host_cpu_pct_by_exit_times"], 100 * own / t["seconds"])
assert "by the trace's own exit times" in a["text"]
assert "`lazytsc validate`" in run(both) and "`lazytsc validate`" not in run(storm)
assert [(v["vm"], v["vcpus"], v["writes"]) for v in t["vms"]] == [("4990", 2, 600), ("6000", 1, 300)]
for i, variant in enumerate(("stock", "lazy", "early")):
    for key in ("msr_write_exits", "skips", "host_entries", "host_cycles"):
        totals = [v["totals"][i][key] for v in t["vms"]]
        assert sum(totals) == rows[variant, None, "total"][key]
        assert totals[0] == rows[variant, "4990", 0][key] + rows[variant, "4990", 1][key]
        assert t["vms"][i % 2]["totals"][i]["variant"] == variant
text = run(both)
assert "\nVM 4990:\n" in text and "\nVM 6000:\n" in text and "\nAll 2 VMs:\n" in text, text
assert max(len(l) for l in text.splitlines() if both not in l) <= 80, text

# --- Selected: as if the rest were not there, but for the clock, which is given. ---
alone = read("--tsc-khz=2500000", trace("alone", host([(6000, 1)])))
t, rows = read("--tsc-khz=2500000", "--vm", "6000", both)
assert t["left_out"] == {"time": 0, "comm": 0, "vcpu": 0, "vm": 600} and t["writes"] == 300
for variant in ("stock", "lazy", "early"):
    assert rows[variant, "6000", 0]["host_entries"] == alone[1][variant, None, 0]["host_entries"]
t, rows = read("--vcpu", "1-7", both)
assert t["left_out"]["vcpu"] == 600 and {k[1:] for k in rows} == {("4990", 1), (None, "total")}
assert "not selected: by --from and --to 0, --comm 0, --vcpu 600, --vm 0" in run("--vcpu=1", both)
assert read("--vcpu=0,1", both)[0]["writes"] == 900
# 100 of each vCPU's writes lie in these 10 ms; the trace begins with the first VM's first.
t, _ = read("--from=10ms", "--to=20ms", both)
assert t["writes"] == 300 and t["left_out"]["time"] == 600, t["left_out"]
assert 0.0098 < t["seconds"] <= 0.01
t, _ = read("--comm", "CPU 1/KVM", both)
assert t["writes"] == 300 and t["left_out"]["comm"] == 600
assert "none of the deadline writes is selected" in run("--vm=1", both, status=2)
assert "--to: expected a time behind --from" in run("--from=2s", "--to=1s", both, status=1)
assert "--vcpu: expected a whole number from 3 to" in run("--vcpu=3-1", both, status=1)
assert "give --tsc-khz" in run("--from=1ms", storm, status=2)
assert read("--from=1ms", "--to=2ms", "--tsc-khz=2600000", storm)[0]["writes"] == 100

# --- Tasks. ---
tasks = trace("tasks", "".join(
    guest(10**9 + i * 10 * US, i % 2, 10**9 + i * 10 * US + (500 if i % 4 < 2 else 100) * US, ("fio-77", "a b-9", "ksoftirqd/0-12")[i % 3])
    for i in range(900)))
t, rows = read("--by=task", "--variants=lazy", "--tsc-khz=2600000", tasks)
assert [x["task"] for x in t["tasks"]] == ["a b", "fio", "ksoftirqd/0"]
assert [x["writes"] for x in t["tasks"]] == [300] * 3
near(t["tasks"][0]["writes_per_second"], 300 / t["seconds"])
for key in ("overwritten_later", "overwritten_earlier", "overwritten_same", "disarmed"):
    assert sum(x[key] for x in t["tasks"]) == t[key], key
assert sum(x["lazy_skips"] for x in t["tasks"]) == rows["lazy", None, "total"]["skips"] > 0
text = run("--by=task", tasks)
assert "\nfio " in text and "\nksoftirqd/0 " in text, text
assert read("--comm=fio", "--tsc-khz=2600000", tasks)[0]["left_out"]["comm"] == 600
many = trace("many", "".join(guest(10**9 + i * US, 0, 10**9 + i * US + 500, f"t{i % 20}-5") for i in range(200)))
assert "8 tasks more: 80 writes; --wide shows them." in run("--by=task", many)
assert "\nt19 " in run("--by=task", "--wide", many)
assert "--by: expected task, found 'cpu'" in run("--by=cpu", many, status=1)

# --- A guest that runs the protocol: what it did beside what is predicted. ---
skips = trace("skips", "".join(
    guest(10**9 + i * 10 * US, 0, 10**9 + i * 10 * US + 1000 * US, event="lazytsc_skip" if i else "write_msr")
    for i in range(90)))
t, rows = read(skips)
m, p = rows["measured", None, "total"], rows["lazy", None, "total"]
assert (m["msr_write_exits"], m["skips"]) == (1, 89) == (p["msr_write_exits"], p["skips"])
assert m["host_entries"] is None and rows["stock", None, 0]["msr_write_exits"] == 90
assert "\n0     measured " in run(skips)

print("the answer follows from the counts")
