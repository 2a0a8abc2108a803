#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Guests that move most of their deadlines on, or sleep for the same time again and again, seen without
their timer interrupts (by the host; by the guest, in nanoseconds or with a TSC of another start): the
number of deadlines delivered is within 0.5 % of the writes of what it was, or so many writes are said to
be in doubt (B24); where the host's trace has its timer's expiries, none are. Nothing is called exact that is
not. A TSC that steps within the trace is told, and VMs whose threads do not tell them apart have clocks of
their own. The guests are random, from a fixed seed.

Usage: moved.py LAZYTSC
"""
import json
import os
import random
import subprocess
import sys
import tempfile

lazytsc = sys.argv[1]
random.seed(24)
directory = tempfile.TemporaryDirectory()
path = os.path.join(directory.name, "trace")
KHZ, BASE, HOST_NS = 2_500_000, 7 * 10**12, 5 * 10**9
MS = 1_000_000


def guest(length, tick=0, every=0, ahead=0, jitter=0, spread=0, pause=0.0, sleep=0, away=0.0):
    """One vCPU's writes, as (ns, deadline in ns), and when its timer fired. @tick: a periodic timer;
    @every, @ahead: a timer that is set again after so long, for so much ahead, give or take @jitter and
    @spread; @pause: so often the guest does not come back to it; @sleep: a timer that is set for so much
    ahead when it has expired; @away: so often the vCPU is not run for 3 ms."""
    never = 2**62
    t, writes, fired, armed, last, again = 0, [], [], never, 0, every or never
    timers = {"tick": tick or never, "moved": never, "sleep": sleep or never}
    while t < length:
        first = min(timers.values())
        if first != last and first < never:
            writes.append((t, first))
            armed = last = first
        if armed <= again:
            fired.append(armed + (3 * MS if random.random() < away else 0))
            t, armed = fired[-1] + random.randrange(3000, 25000), never
            for k in [k for k, v in timers.items() if v <= t]:
                timers[k] = timers[k] + tick * (1 + (t - timers[k]) // tick) if k == "tick" else t + sleep if k == "sleep" else never
        else:
            t = again
        if t >= again:
            timers["moved"] = t + ahead + random.randrange(spread + 1)
            again = t + every + random.randrange(jitter + 1) + (2 * ahead if random.random() < pause else 0)
    return writes, fired


def stamp(t):
    return f"{(HOST_NS + t) // 10**9}.{(HOST_NS + t) % 10**9 // 1000:06d}"


# What a host records beside the writes when a deadline expires.
EXPIRIES = {"exits": "kvm:kvm_exit: vcpu {} reason PREEMPTION_TIMER rip 0x5",
            "injected": "kvm:kvm_apic_accept_irq: apicid {} vec 236 (Fixed|edge)"}


def text(form, vcpus, base=lambda v, t: BASE, thread=lambda v: f"CPU {v}/KVM 4100/411{v}"):
    """@base: what the vCPU's TSC is at 0, as seen at some time; @thread: its name and numbers."""
    out = []
    for v, (writes, fired) in enumerate(vcpus):
        for t in fired if form in EXPIRIES else []:
            out.append((t, f" {thread(v)} [00{v}] {stamp(t + 600)}: {EXPIRIES[form].format(v)}"))
        if form == "irqs":
            out += [(t, f" a-7 [00{v}] d.h. {stamp(t + 2000)}: local_timer_entry: vector=236") for t in fired]
        for t, deadline in writes:
            value = base(v, t) + deadline * KHZ // 10**6
            line = {"host": f" {thread(v)} [00{v}] {stamp(t)}: kvm:kvm_msr: msr_write 6e0 = {value:#x}",
                    "guest": f" a-7 [00{v}] d... {stamp(t)}: write_msr: 6e0, value {value:x}",
                    "tsc": f" a-7 [00{v}] d... {BASE + t * KHZ // 10**6}: write_msr: 6e0, value {value:x}",
                    "shifted": f" a-7 [00{v}] d... {BASE + t * KHZ // 10**6 + 9 * 10**12}: write_msr: 6e0, value {value:x}"}
            out.append((t, line["host" if form in EXPIRIES else "guest" if form == "irqs" else form]))
    return "".join(l + "\n" for _, l in sorted(out))


S = 10**9
GUESTS = {
    "ticks": [dict(length=4 * S, tick=4 * MS)],
    "ticks, away": [dict(length=8 * S, tick=4 * MS, away=.2)],
    "sleeps": [dict(length=4 * S, sleep=10 * MS)],
    "sleeps and ticks": [dict(length=4 * S, sleep=10 * MS, tick=4 * MS)],
    "1 us, even, short": [dict(length=400_000, every=1000, ahead=4 * MS)],
    "5 us": [dict(length=S // 2, every=5000, jitter=2000, ahead=MS, spread=300)],
    "10 us": [dict(length=S // 4, every=10000, jitter=5000, ahead=MS, spread=300)],
    "10 us, a pause": [dict(length=S // 4, every=10000, jitter=5000, ahead=MS, spread=300, pause=.01)],
    "10 us, ticks": [dict(length=S // 4, every=10000, jitter=5000, ahead=MS, spread=300, tick=4 * MS)],
    "10 us far, ticks": [dict(length=S // 4, every=10000, jitter=5000, ahead=40 * MS, spread=300, tick=4 * MS)],
    "10 us, ticks, a pause": [dict(length=S // 4, every=10000, jitter=5000, ahead=MS, spread=300, tick=4 * MS, pause=.01)],
    "10 us, wide": [dict(length=S // 4, every=10000, jitter=5000, ahead=MS, spread=3 * MS)],
    "10 us, wide, a pause": [dict(length=S // 4, every=10000, jitter=5000, ahead=MS, spread=3 * MS, pause=.01)],
    "50 us": [dict(length=S, every=50000, jitter=20000, ahead=MS, spread=300)],
    "50 us, even": [dict(length=S, every=50000, jitter=10, ahead=MS, spread=0)],
    "50 us, ticks": [dict(length=S, every=50000, jitter=20000, ahead=MS, spread=300, tick=4 * MS)],
    "200 us, a pause": [dict(length=4 * S, every=200000, jitter=100000, ahead=4 * MS, spread=300, pause=.01)],
    "200 us, ticks": [dict(length=4 * S, every=200000, jitter=100000, ahead=4 * MS, spread=300, tick=10 * MS)],
    "1 ms": [dict(length=4 * S, every=MS, jitter=200000, ahead=40 * MS, spread=300)],
    "1 ms, ticks": [dict(length=8 * S, every=MS, jitter=200000, ahead=40 * MS, spread=300, tick=4 * MS)],
    "10 us beside ticks": [dict(length=S // 4, every=10000, jitter=5000, ahead=MS, spread=300), dict(length=S // 4, tick=4 * MS)],
    "50 us beside sleeps": [dict(length=S, every=50000, jitter=20000, ahead=MS, spread=300), dict(length=S, sleep=10 * MS)],
}
failures = 0


def check(name, form, vcpus, steps=False, **how):
    """The figures are right and none is in doubt; or where the clock @steps nearly all are, or it is refused."""
    global failures
    with open(path, "w", encoding="utf-8") as f:
        f.write(text(form, vcpus, **how))
    run = subprocess.run([lazytsc, "replay", "--json", path], capture_output=True, check=False)
    out = json.loads(run.stdout)["traces"][0] if run.returncode == 0 else {"delivered": 0}
    writes, true = sum(len(w) for w, _ in vcpus), sum(len(f) for _, f in vcpus)
    doubt = out.get("doubtful_writes", 0)
    right = abs(out["delivered"] - true) <= max(.005 * writes, 2 * len(vcpus)) + doubt and doubt <= .01 * writes
    told = doubt > .9 * writes or "fit their time stamps" in run.stderr.decode()
    failures += not (right or (steps and told))
    if not (right or (steps and told)) or "-v" in sys.argv:
        print(f"{name}, {form}: {writes} writes, {true} delivered: {out['delivered']}, {doubt} in doubt {run.stderr.decode()}")
    return run


# A TSC that steps: a guest that is reset, restored, or has its TSC written.
steady = [guest(4 * S, sleep=10 * MS, tick=4 * MS), guest(4 * S, tick=4 * MS)]
for form in ("host", "injected", "irqs"):
    check("steady", form, steady)
    check("from its boot on", form, steady, base=lambda v, t: 20 * KHZ)
    for by in (KHZ // 5, KHZ, -KHZ, 100 * KHZ, -100 * KHZ, 10_000 * KHZ):
        check(f"a step by {by / KHZ} ms", form, steady, steps=True, base=lambda v, t: BASE + (by if t > 2 * S else 0))
    run = check("a reset", form, steady, steps=True, base=lambda v, t: BASE * (t <= 2 * S))
    said = subprocess.run([lazytsc, "replay", path], capture_output=True, check=False).stdout.decode()
    if run.returncode == 0 and "seems to step (a reset, a" not in said:
        failures += 1
        print(f"a reset, {form}: {said}")
# Two VMs whose threads do not tell them apart, with TSCs of their own.
vms = [guest(2 * S, tick=4 * MS, sleep=sleep * MS) for sleep in (7, 3, 11, 5)]
for form in ("host", "injected"):
    for name, numbers in (("reversed", (1, 0, 1, 0)), ("interleaved", (0, 1, 0, 1)), ("apart", (0, 1, 2, 3))):
        check("VMs, " + name, form, vms, base=lambda v, t: BASE + v // 2 * 60_000 * KHZ,
              thread=lambda v: f"CPU {numbers[v]}/KVM {4110 + v}")
for name, makes in GUESTS.items():
    vcpus = [guest(**m) for m in makes]
    writes, true = sum(len(w) for w, _ in vcpus), sum(len(f) for _, f in vcpus)
    for form in ("host", *EXPIRIES, "guest", "tsc", "shifted"):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text(form, vcpus))
        run = subprocess.run([lazytsc, "replay", "--json", "--variants", "stock", path], capture_output=True, check=False)
        out = json.loads(run.stdout)["traces"][0] if run.returncode == 0 else None
        off = abs(out["delivered"] - true) if out else 0
        most = len(vcpus)
        if out and out["evidence"] != "exact":
            most = max(.005 * writes, most) + out.get("doubtful_writes", 0)
        ok = out and off <= most
        # These tell as a guest's interrupts do.
        if form in EXPIRIES and true >= 20:
            ok = out and off <= 2 * len(vcpus) and out["doubtful_writes"] <= .005 * writes
        failures += not ok
        if not ok or "-v" in sys.argv:
            print(f"{'FAILED: ' if not ok else ''}{name}, {form}: {writes} writes, {true} delivered: "
                  f"{(out['delivered'], out.get('doubtful_writes', 0), out['evidence']) if out else run.stderr.decode()}")
print(f"{failures} failures" if failures else f"{len(GUESTS)} guests, as they were or in doubt")
sys.exit(failures != 0)
