#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Well-formed traces of times and deadlines that no machine has (near 2^64, going back, of any rate, all
of one kind) end in a report or in one line, whatever is asked for; with the sanitizers' build, without a
number that does not fit. The traces are random, from a fixed seed.

Usage: strange.py LAZYTSC
"""
import os
import random
import subprocess
import sys
import tempfile

lazytsc = sys.argv[1]
random.seed(13)
directory = tempfile.TemporaryDirectory()
path = os.path.join(directory.name, "trace")


def number():
    return random.choice([random.randrange(2**64), random.randrange(1000), 2**63 + random.randrange(-5, 5),
                          2**64 - 1 - random.randrange(5), random.randrange(10**12), 0])


def line(form, cpu, t, value):
    stamp = str(t) if form == "tsc" else f"{t // 10**9}.{t % 10**9:09d}" if form != "us" else f"{t // 10**9}.{t // 1000 % 10**6:06d}"
    kind = random.random()
    if form in ("tsc", "ns"):
        event = "write_msr: 6e0, value %x" % value if kind < .7 else "local_timer_entry: vector=236" if kind < .95 else \
            "lazytsc_skip: 6e0, value %x" % value
        return f" a-1 [{cpu:03d}] d... {stamp}: {event}"
    if form == "rearm":
        event = f"hrtimer_rearm: next_event={value % 2**63} deferred=0" if kind < .7 else "local_timer_entry: vector=236"
        return f" a-1 [{cpu:03d}] d... {stamp}: {event}"
    event = f"kvm_msr: msr_write 6e0 = {value:#x}" if kind < .6 else f"kvm_exit: vcpu {cpu} reason MSR_WRITE" if kind < .8 else \
        f"kvm_entry: vcpu {cpu}"
    return f" CPU {cpu}/KVM {random.choice([10, 20])}/{30 + cpu} [{cpu:03d}] {stamp}: kvm:{event}"


def strange():
    form, t = random.choice(["tsc", "ns", "us", "rearm", "host"]), number()
    rate, step = random.choice([1e-9, .5, 1, 2.5, 1e6, 1e12]), random.choice([1, 1000, 10**7, 2**40, 2**55])
    # Deadlines a fixed time ahead, or any; times at equal distances, or any.
    ahead, spread, equal = random.choice([0, 10**4, 10**7]), random.choice([1, 1000, 10**7]), random.random() < .3
    for _ in range(random.choice([3, 20, 200, 1000])):
        t = number() if not equal and random.random() < .03 else (t + (step if equal else random.randrange(step))) % 2**64
        value = number() if not equal and random.random() < .1 else int(t * rate + ahead + random.randrange(spread)) % 2**64
        yield line(form, random.randrange(2), t, 0 if random.random() < .2 else value)


TRACES, runs = 60, 0
for i in range(TRACES):
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(strange()) + "\n")
    for args in (["replay", "--hist", "--html", "/dev/null", "--perfetto", "/dev/null", "--by=task"],
                 ["replay", "--json", "--tsc-khz=1000", "--from=1ns", "--to=9s"], ["replay", "--prometheus"],
                 ["validate"], ["compare", path]):
        run = subprocess.run([lazytsc, *args, path], capture_output=True, check=False)
        runs += 1
        if run.returncode not in (0, 1, 2, 4) or b"runtime error" in run.stderr or \
                (run.returncode == 2 and not run.stderr.startswith(b"lazytsc")):
            print(f"FAILED: trace {i}: {args}: status {run.returncode}: {run.stderr.decode()[-800:]}")
            sys.exit(1)
print(f"{runs} reports of {TRACES} strange traces")
