#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`lazytsc validate` agrees where a trace shows what its writes call for, and where interrupts or exits
are taken out, added or moved it says how many, of which kind, when the first was, and ends with
status 1. `lazytsc compare` has the figures of both traces a second and for each interrupt; the change
is that of the guest's own exits where one of them runs the protocol.

Usage: validate.py LAZYTSC
"""
import json
import os
import subprocess
import sys
import tempfile

lazytsc = sys.argv[1]
directory = tempfile.TemporaryDirectory()
KHZ = 2600000
TICK = 4 * KHZ


def run(command, *args, status=0):
    out = subprocess.run([lazytsc, command, *args], capture_output=True, check=False)
    assert out.returncode == status, (args, out.returncode, out.stdout, out.stderr)
    return (out.stderr if status == 2 else out.stdout).decode()


def trace(name, lines):
    path = os.path.join(directory.name, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write("".join(l + "\n" for l in lines))
    return path


def total(path, status=0):
    out = json.loads(run("validate", "--json", path, status=status))
    assert out["version"] == 1 and out["command"] == "lazytsc validate"
    return out["traces"][0], out["traces"][0]["vcpus"][-1]


def write(tsc, value, event="write_msr"):
    return f" task-7 [000] d.... {tsc}: {event}: 6e0, value {value:x}"


def irq(tsc):
    return f" task-7 [000] d.h.. {tsc}: local_timer_entry: vector=236"


def ticks(n=200, late=9000):
    """Each tick is delivered, and sets the next."""
    out, t = [write(10**9, 10**9 + TICK)], 10**9
    for _ in range(n):
        t += TICK
        out += [irq(t + late), write(t + late + 4000, t + TICK)]
    return out


good, t = total(trace("good", ticks()))
assert good["agreement_pct"] == 100 and good["variant"] == "stock" and good["evidence"] == "exact"
assert t["interrupts"] == {"both": 200, "missing": 0, "unexpected": 0, "agreement_pct": 100}
assert t["exits"] is None and t["writes"] == 201 and t["deliveries"] == 200
assert "100.0 % of what stock predicts" in run("validate", trace("good", ticks()))

# Interrupts that are ahead of their deadline by less than KVM's timer advance.
_, t = total(trace("ahead", ticks(late=-2000)))
assert t["interrupts"]["both"] == 200 and not t["interrupts"]["unexpected"], t

# 30 interrupts are taken out; each time the next write comes before another can be due.
lines = ticks()
some = [l for i, l in enumerate(lines) if "local_timer" not in l or i % 20 != 1]
taken = len(lines) - len(some)
one, t = total(trace("missing", some))
assert taken == 20 and t["interrupts"]["missing"] == 20 and t["interrupts"]["both"] == 180, t
assert one["agreement_pct"] == 90
assert "the first interrupt that is missing: at 1010413000" in run("validate", trace("missing", some)), \
    run("validate", trace("missing", some))

# Writes are taken out: their interrupts come before the deadline that stood, or while none did.
more = ticks()
spurious = [irq(10**9 + TICK // 2 + i * TICK) for i in range(50)]
mixed = sorted(more + spurious, key=lambda l: int(l.split("] ")[1].split()[1][:-1]))
one, t = total(trace("spurious", mixed), status=1)
assert t["unexpected_early"] == 50 and t["interrupts"]["both"] == 200 and one["agreement_pct"] == 80, t
run("validate", "--least=80", trace("spurious", mixed))
text = run("validate", trace("spurious", mixed), status=1)
assert "50 come before the deadline that stood" in text and "unexpected: at 1005200000" in text, text

# A deadline that is overwritten just before it is due, and comes all the same.
replaced = ticks(300)
for i in range(100):
    t0 = 10**9 + (310 + i) * TICK
    replaced += [write(t0, t0 + TICK // 2), write(t0 + TICK // 2 - 500, t0 + 900 * TICK), irq(t0 + TICK // 2 + 900)]
one, t = total(trace("replaced", replaced), status=1)
# The first of these interrupts is taken for that of the last tick.
assert one["evidence"] == "exact" and t["unexpected_overwritten"] == 99 and t["interrupts"]["both"] == 301, t

# A gap: what was due before it is not missing.
gap = ticks(50)[:-2] + ["CPU:0 [LOST 9 EVENTS]"] + [write(10**9 + 900 * TICK, 10**9 + 901 * TICK), irq(10**9 + 901 * TICK + 500)]
_, t = total(trace("gap", gap))
assert t["interrupts"] == {"both": 50, "missing": 0, "unexpected": 0, "agreement_pct": 100}, t

# CPU 1 has interrupts, and none of its writes, or none of the first ones, is in the trace. One
# interrupt may be for a deadline from before it.
for taken in (201, 120, 1):
    other = [l.replace("[000]", "[001]") for l in ticks()]
    writes, early = [l for l in other if "write_msr" in l][:taken], min(taken, 200)
    lines = sorted(ticks() + [l for l in other if l not in writes], key=lambda l: int(l.split("] ")[1].split()[1][:-1]))
    lost, status = trace("writeless", lines), int(taken > 50)
    out, t = total(lost, status=status)
    assert [v["writes"] for v in out["vcpus"]] == [201, 201 - taken, 402 - taken], out
    assert t["interrupts"]["both"] == 400 - early and t["interrupts"]["unexpected"] == early - 1 == t["unexpected_no_deadline"], t
    text = run("validate", lost, status=status)
    assert ("vCPU 1: the first interrupt that is unexpected: at 1020809000" in text) == (taken > 1), text
    assert ("They agree least on vCPU 1: " in text) == (taken > 1), text

# A guest that runs the protocol is held against lazy.
skipping = []
for i in range(100):
    t0 = 10**9 + i * TICK
    skipping += [write(t0, t0 + TICK // 2), write(t0 + 5000, t0 + TICK // 2 + 9000, "lazytsc_skip"), irq(t0 + TICK // 2 + 12000)]
one, t = total(trace("skipping", skipping))
assert one["variant"] == "lazy" and t["skipped"] == 100 and t["interrupts"]["both"] == 100, (one, t)

# Two buffers record each interrupt, a little apart; the second begins later.
both = []
for i, l in enumerate(ticks(200)):
    tsc = int(l.split("] ")[1].split()[1][:-1])
    l = l.replace(" task", f"{'task':>16}")
    both.append((tsc, "        " + l))
    if i > 100:
        both.append((tsc + 700, "second: " + l.replace(f" {tsc}: ", f" {tsc + 700}: ")))
doubled = ["cpus=1"] + [l for _, l in sorted(both)]
one, t = total(trace("doubled", doubled))
assert t["interrupts"] == {"both": 200, "missing": 0, "unexpected": 0, "agreement_pct": 100}, t
fig = {f["figure"]: f for f in json.loads(run("compare", "--json", trace("good", ticks()), trace("doubled", doubled)))["figures"]}
assert fig["interrupts"]["a"] == 200 == fig["interrupts"]["b"], fig["interrupts"]

# Two guests' buffers in one file, with the same CPUs: VMs of the same names as replay's.
two = []
for i in range(400):
    for vm in 0, 1:
        for cpu in 0, 1:
            t0 = 10**9 + i * TICK + 1_000_000 * vm + 2_000_000 * cpu
            head = f"{'g' + str(vm + 1) + ':':6}{'t':>10}-7  [00{cpu}] "
            two += [(t0, f"{head}d.... {t0}: write_msr: 6e0, value {t0 + TICK // 2:x}"),
                    (t0 + TICK // 2 + 9000, f"{head}d.h.. {t0 + TICK // 2 + 9000}: local_timer_entry: vector=236")]
two = trace("two", ["cpus=2"] + [l for _, l in sorted(two)])
replayed = json.loads(run("replay", "--json", two))["rows"]
names = [v["vcpu"] for v in total(two)[0]["vcpus"]]
assert names == ["0:0", "0:1", "1:0", "1:1", "total"], names
assert names[:-1] == [f"{r['vm']}:{r['vcpu']}" for r in replayed if r["variant"] == "stock" and r["vcpu"] != "total"]

# Nothing to hold against; no trace.
bare = [l for l in ticks() if "write_msr" in l]
assert "neither timer interrupts nor exits" in run("validate", trace("bare", bare), status=2)
assert "No such file" in run("validate", "/nonexistent", status=2)


# --- A guest and its host in one file: the host's exits are compared. ---
def merged(drop=0, other=0):
    out = []
    for i in range(120):
        ns = 5 * 10**9 + i * 4_000_000
        stamp = lambda t: f"{t // 10**9}.{t % 10**9:09d}"
        value = 7 * 10**12 + (i + 1) * TICK
        if not drop or i % drop:
            out.append((ns - 3000, " host.dat:  CPU 0/KVM-4100 [002] d..1. " + stamp(ns - 3000) +
                        ": kvm_exit: vcpu 0 reason MSR_WRITE rip 0x5 info1 0x0"))
        if other and i % other == 0:
            out.append((ns - 90_000, " host.dat:  CPU 0/KVM-4100 [002] d..1. " + stamp(ns - 90_000) +
                        ": kvm_exit: vcpu 0 reason MSR_WRITE rip 0x5 info1 0x0"))
        out.append((ns, "guest.dat:  task-7 [000] d.... " + stamp(ns) + f": write_msr: 6e0, value {value:x}"))
        due = 5 * 10**9 + (i + 1) * 4_000_000
        out.append((due - 500_000, " host.dat:  CPU 0/KVM-4100 [002] d..1. " + stamp(due - 500_000) +
                    ": kvm_exit: vcpu 0 reason PREEMPTION_TIMER rip 0x5 info1 0x0"))
        out.append((due - 499_000, "guest.dat:  task-7 [000] d.h.. " + stamp(due - 499_000) + ": local_timer_entry: vector=236"))
    return [l for _, l in sorted(out)]


_, t = total(trace("merged", merged()))
# The first exit comes before the vCPU is known: it is not missing.
assert t["exits"]["both"] == 119 and t["exits"]["missing"] == 0, t
assert t["timer_exits"] == 120 and t["other_msr_exits"] == 0
assert "missing: at" not in run("validate", trace("merged", merged()))
# Nor is one that was lost, nor unexpected the interrupt of a lost write.
lines = merged()
at = [i for i, l in enumerate(lines) if "write_msr" in l][60]
lines[at - 1:at] = ["guest.dat: CPU:0 [2 EVENTS DROPPED]"]
_, t = total(trace("merged-lost", lines))
assert (t["exits"]["both"], t["exits"]["missing"], t["interrupts"]["unexpected"]) == (118, 0, 0), t
lines = ticks()
lines[200:201] = ["CPU:0 [LOST 1 EVENTS]"]
_, t = total(trace("write-lost", lines))
assert t["writes"] == 200 and t["interrupts"]["unexpected"] == 0 == t["interrupts"]["missing"], t
_, t = total(trace("merged-drop", merged(drop=10)))
assert t["exits"]["missing"] == 11 and t["exits"]["both"] == 108, t
assert t["interrupts"]["missing"] == 0
text = run("validate", trace("merged-drop", merged(drop=10)))
assert "write's exit that is missing: at 5040000000" in text and "Exits PREEMPTION_TIMER: 120" in text, text
_, t = total(trace("merged-other", merged(other=10)))
assert t["other_msr_exits"] == 11, t

# A host's trace shows the interrupts that KVM injects; a timer on another CPU may do that.
def injected(drop=0, comm="CPU 0/KVM", tid=4100):
    out = []
    for i in range(201):
        t = 5 * 10**9 + i * 4_000_000
        if i and (not drop or i % drop):
            out.append(f" {comm:>15} {tid} [002] {stamp(t - 9000)}: kvm:kvm_apic_accept_irq: apicid 0 vec 236 (Fixed|edge)")
        value = 7 * 10**12 + (i + 1) * TICK - 10000 * KHZ // 10**6
        out.append(f" CPU 0/KVM 4100 [002] {stamp(t)}: kvm:kvm_msr: msr_write 6e0 = {value:#x}")
    return out


def stamp(t):
    return f"{t // 10**9}.{t % 10**9:09d}"


one, t = total(trace("injected", injected()))
assert one["evidence"] == "approximate" and t["interrupts"]["both"] == 200 and not t["interrupts"]["missing"], t
_, t = total(trace("injected-drop", injected(drop=20)))
assert t["interrupts"]["both"] == 190 and t["interrupts"]["missing"] == 9, t  # the last may still come
for comm, tid in (("<idle>", 0), ("CPU 9/KVM", 9100)):
    assert "neither timer interrupts nor exits" in run("validate", trace("elsewhere", injected(comm=comm, tid=tid)), status=2)
    out = json.loads(run("replay", "--json", trace("elsewhere", injected(comm=comm, tid=tid))))
    assert {r["vcpu"] for r in out["rows"]} == {0, "total"}, out["rows"]

# --- compare ---
storm = [write(10**9 + i * 26000, 10**9 + i * 26000 + TICK) for i in range(1001)]
lazy = [write(10**9 + i * 26000, 10**9 + i * 26000 + TICK, "write_msr" if i % 100 == 0 else "lazytsc_skip") for i in range(1001)]
a, b = trace("a", storm + [irq(10**9 + 1000 * 26000 + TICK + 700)]), trace("b", lazy + [irq(10**9 + 1000 * 26000 + TICK + 700)])
out = json.loads(run("compare", "--json", "--tsc-khz", str(KHZ), a, b))
fig = {f["figure"]: f for f in out["figures"]}
assert out["version"] == 1 and out["a"]["seconds"] == 0.01 == out["b"]["seconds"]
assert (fig["writes"]["a"], fig["write_exits"]["a"], fig["write_exits"]["b"], fig["write_skips"]["b"]) == (1001, 1001, 11, 990)
assert abs(fig["write_exits"]["a_per_second"] - 100100) < 1e-6 and fig["interrupts"]["a"] == 1
assert abs(fig["write_exits"]["per_second_change_pct"] + 100 * 990 / 1001) < 1e-6
assert fig["write_exits"]["b_per_interrupt"] == 11
assert fig["exits"]["a_per_second"] is None
# No exits: no figure, not 0 of them.
assert all(f[k] is None for f in out["figures"] if f["figure"].startswith("exits") for k in "ab"), out["figures"]
assert all(isinstance(f[k], int) for f in out["figures"] if not f["figure"].startswith("exits") for k in "ab"), out["figures"]
text = run("compare", "--tsc-khz", str(KHZ), a, b)
assert "B's deadline writes exit 1100 times a second, A's 100100: -98.9 %." in text, text
assert max(len(l) for l in text.splitlines() if directory.name not in l) <= 80
# What is not before and after is named: no skips, skips in both, a guest and a host.
assert "lazytsc_skip" not in text, text
text = run("compare", a, a)
assert "B shows no lazytsc_skip: the feature was off" in text, text
assert max(len(l) for l in text.splitlines() if directory.name not in l) <= 80
assert "A shows lazytsc_skip" in run("compare", b, b)
guests = trace("guests", [f" CPU 0/KVM 4100/4110 [003] 5.{i:06d}: kvm:kvm_msr: msr_write 6e0 = {7 * 10**12 + i * 2500 + TICK:#x}"
                          for i in range(400)])
assert "B is a host's trace" in run("compare", a, guests)
assert "A is a host's trace" in run("compare", guests, a)
assert "lazytsc_skip" not in run("compare", guests, guests)
# One write has no length, so there are no rates.
single = trace("single", [write(1000, 100000)])
for one, n in ((single, 1), (a, 1001)):
    said = run("compare", one, single)
    assert f"Too few deadline writes for rates: {n} in A, 1 in B.\n" in said and "nan" not in said, said
m = trace("m", merged())
for pair in ((a, m), (m, a)):
    fig = json.loads(run("compare", "--json", *pair))["figures"][-1]
    assert fig["a"] is fig["b"] is None, fig
out = json.loads(run("compare", "--json", m, m))
fig = {f["figure"]: f for f in out["figures"]}
assert fig["exits_preemption_timer"]["a"] == 120 and fig["exits"]["per_second_change_pct"] == 0
assert "kvm_exit PREEMPTION_TIMER" in run("compare", m, m)
# A host's own timer interrupts are not its guest's.
own = trace("own", sorted(merged() + [l.replace("kvm_exit: vcpu 0 reason MSR_WRITE rip 0x5 info1 0x0", "local_timer_entry: vector=236")
                                      for l in merged() if "MSR_WRITE" in l], key=lambda l: l.split(". ")[1]))
fig = {f["figure"]: f for f in json.loads(run("compare", "--json", m, own))["figures"]}
assert fig["interrupts"]["a"] == fig["interrupts"]["b"], fig["interrupts"]
text = run("compare", a, b)
assert "0.010 s if its TSC runs at 2.6 GHz (give --tsc-khz)" in text, text
out = json.loads(run("compare", "--json", a, m))
assert out["a"]["tsc_khz_assumed"] is True and out["b"]["tsc_khz_assumed"] is False, out
# Where one trace has no timer interrupts, those that stock delivers are taken in both.
fig = {f["figure"]: f for f in json.loads(run("compare", "--json", trace("good", ticks()), trace("bare", bare)))["figures"]}
assert fig["interrupts"]["a"] == fig["interrupts"]["b"] == 200
noisy = trace("noisy", mixed)
fig = {f["figure"]: f for f in json.loads(run("compare", "--json", noisy, trace("bare", bare)))["figures"]}
assert fig["interrupts"]["a"] == 200 == fig["interrupts"]["b"] and fig["writes"]["per_interrupt_change_pct"] == 0
fig = {f["figure"]: f for f in json.loads(run("compare", "--json", noisy, trace("good", ticks())))["figures"]}
assert (fig["interrupts"]["a"], fig["interrupts"]["b"]) == (250, 200)
# An interrupt behind the last write is one of the guest's, but delivers nothing (docs/replay.md).
fig = {f["figure"]: f for f in json.loads(run("compare", "--json", trace("bare", bare), trace("tail", bare + [irq(2 * 10**9)])))["figures"]}
assert fig["interrupts"]["a"] == fig["interrupts"]["b"] == 200, fig["interrupts"]
# Exits alone: nothing is said of deadlines, and the status tells.
alone = trace("alone", [f" CPU 0/KVM 4100/4110 [003] 5.{i:06d}: kvm:kvm_{'exit: vcpu 0 reason MSR_WRITE' if i % 2 else 'entry: vcpu 0'}"
                        for i in range(400)])
text = run("compare", alone, alone, status=4)
assert "deadlines were written is not known" in text and "deadline writes" not in text and "kvm_exit MSR_WRITE" in text, text
fig = {f["figure"]: f for f in json.loads(run("compare", "--json", alone, m, status=4))["figures"]}
assert fig["writes"]["a_per_second"] is None and fig["exits"]["a_per_second"] > 0
assert "expected two traces, found 1" in subprocess.run([lazytsc, "compare", a], capture_output=True, check=False).stderr.decode()
run("compare", a, "/nonexistent", status=2)

print("what disagrees is found")
