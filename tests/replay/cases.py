#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a trace is, is decided by what it holds: one workload, whose figures are known, is printed in
the forms and clocks that people post, and each form gives these figures, or is refused by a line that
names what spoils it. "Exact" is said where the trace shows it and nowhere else (B24: the interrupts
are the same number in each).

Usage: cases.py LAZYTSC
"""
import json
import os
import random
import subprocess
import sys
import tempfile

lazytsc = sys.argv[1]
KHZ = 2500000
BASE = 7_000_000_000_000  # the guest's TSC when the trace begins
STEP = KHZ * 4  # a tick: 4 ms
HOST_NS = 5_000_000_000  # the host's clock then
TICKS = 90

# Each vCPU's writes and interrupts: (kind, TSC, deadline). A tick is delivered, and the next one
# set; every third tick sets a deadline 40 us ahead and moves it on twice before that is due.
def workload(vcpu):
    out, tsc = [], BASE + vcpu * 1_000_000
    out.append(("write", tsc, tsc + STEP))
    for i in range(TICKS):
        tsc += STEP
        out.append(("irq", tsc + 9000 + i % 7 * 100, 0))
        out.append(("write", tsc + 12000 + i % 5 * 100, tsc + STEP))
        if i % 3 == 0:
            for k in range(3):
                at = tsc + 400_000 + k * 20_000
                out.append(("write", at, at + 100_000))
            tsc += 540_000
            out.append(("irq", tsc + 9000, 0))
            out.append(("write", tsc + 12000, tsc + STEP))
    return out


def events(vcpus=2):
    all_events = []
    for v in range(vcpus):
        all_events += [(tsc, v, kind, value) for kind, tsc, value in workload(v)]
    return sorted(all_events)


# In figures: writes; delivered; what lazy exits and skips. By hand, for one vCPU: 1 + 90 ticks, and
# 30 times 3 short ones and 1 after them. The second and third short one are skips; each pays for a
# silent expiry. Deliveries: each tick, and each of the 30 short ones.
SHORT = (TICKS + 2) // 3
WRITES = 1 + TICKS + 4 * SHORT
DELIVERED = TICKS + SHORT
SKIPS = 2 * SHORT


def ns(tsc):
    return HOST_NS + (tsc - BASE) * 1_000_000 // KHZ


def seconds(t, digits=6):
    whole, part = divmod(t, 10**9)
    return f"{whole}.{part:09d}"[: len(str(whole)) + 1 + digits]


def guest(form, kinds=("write", "irq"), vcpus=2):
    """The guest's lines; form(tsc, CPU, event's name, its text)."""
    text = ""
    for tsc, cpu, kind, value in events(vcpus):
        if kind == "write" and kind in kinds:
            text += form(tsc, cpu, "write_msr", f"6e0, value {value:x}") + "\n"
        elif kind in kinds:
            text += form(tsc, cpu, "local_timer_entry", "vector=236") + "\n"
    return text


def host(form, vcpus=2, shift=0, exits=False):
    """The host's lines; form(ns, vCPU, event's name, its text)."""
    text = ""
    for tsc, vcpu, kind, value in events(vcpus):
        if kind != "write":
            continue
        t = ns(tsc)
        if exits:
            text += form(t - 1000, vcpu, "kvm_exit", f"vcpu {vcpu} reason MSR_WRITE rip 0x5 info1 0x0") + "\n"
        if exits != "alone":
            text += form(t, vcpu, "kvm_msr", f"msr_write 6e0 = {value + shift:#x}") + "\n"
        if exits:
            text += form(t + 1000, vcpu, "kvm_entry", f"vcpu {vcpu}, rip 0x7") + "\n"
    return text


def ftrace(stamp):
    return lambda tsc, cpu, event, text: f"          <idle>-0       [{cpu:03d}] d.h.. {stamp(tsc)}: {event}: {text}"


def fields(tsc, cpu, event, text):
    if event == "write_msr":
        value = int(text.split()[-1], 16)
        text = f"msr=0x6e0 (1760) val={value:#x} ({value}) failed=0x0 (0)"
    return ftrace(str)(tsc, cpu, event, text)


def latency(stamp):
    return lambda tsc, cpu, event, text: f"  <idle>-0       {cpu:3d}d.h.. {stamp(tsc)}: {event}: {text}"


directory = tempfile.mkdtemp()
failures = 0


def replay(name, text, *options):
    path = os.path.join(directory, name)
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return subprocess.run([lazytsc, "replay", "--json", "--variants", "stock,lazy", *options, path],
                          capture_output=True, check=False)


def fail(name, what):
    global failures
    failures += 1
    print(f"FAILED: {name}: {what}")


def figures(name, text, evidence, vcpus=2, options=(), **keys):
    """The workload's figures come out. Of a host, which shows no timer interrupts, the writes alone."""
    run = replay(name, text, *options)
    if run.returncode:
        return fail(name, f"status {run.returncode}: {run.stderr.decode()}")
    out = json.loads(run.stdout)
    trace = out["traces"][0]
    rows = {(r["variant"], r.get("vm"), r["vcpu"]): r for r in out["rows"] if r["variant"] != "measured"}
    if trace["evidence"] != evidence:
        return fail(name, f"{trace['evidence']}, not {evidence}: {trace['why']}")
    if len(rows) != 2 * (vcpus + 1):
        return fail(name, f"{len(rows) // 2 - 1} vCPUs, not {vcpus}")
    if trace.get("doubtful_writes", 0) > .01 * trace["writes"]:
        return fail(name, f"{trace['doubtful_writes']} writes in doubt")
    for (variant, vm, vcpu), r in rows.items():
        n = vcpus if vcpu == "total" else 1
        if r["msr_write_exits"] + r["skips"] != n * WRITES:
            return fail(name, f"{variant} {vm} {vcpu}: {r['msr_write_exits'] + r['skips']} writes, not {n * WRITES}")
        if trace["source"] == "host":
            continue
        if r["injections"] != n * DELIVERED:
            return fail(name, f"{variant} {vm} {vcpu}: {r['injections']} delivered, not {n * DELIVERED}")
        if variant == "lazy" and r["skips"] != n * SKIPS:
            return fail(name, f"{vm} {vcpu}: {r['skips']} skips, not {n * SKIPS}")
    for key, value in keys.items():
        if trace.get(key) != value:
            return fail(name, f"{key} is {trace.get(key)}, not {value}")
    return out


def refused(name, text, *words, status=2, options=()):
    run = replay(name, text, *options)
    message = run.stderr.decode()
    if run.returncode != status or message.count("\n") != 1 or name not in message:
        return fail(name, f"status {run.returncode}: {message}")
    for word in words:
        if word not in message:
            fail(name, f"'{word}' is not in: {message}")
    return message


# --- Guests. TSC time stamps, whole or cut, with interrupts and without: exact where they agree.
# ---
figures("tsc", guest(ftrace(str)), "exact")
figures("tsc-writes", guest(ftrace(str), kinds=("write",)), "exact")
figures("tsc-fields", guest(fields), "exact")
figures("tsc-verbose", guest(lambda tsc, cpu, event, text:
        f"          <idle>       0   {cpu} 9 00000000 00000002 [{tsc:016x}] {tsc - BASE} (+7): {event}: {text}"), "exact")
figures("tsc-trace-cmd-l", guest(latency(str)), "exact")
figures("tsc-trace-cmd-R", guest(lambda tsc, cpu, event, text: ftrace(str)(
    tsc, cpu, event, text.replace("6e0, value ", "msr=6e0 val=") + (" failed=0" if event == "write_msr" else ""))), "exact")
figures("tsc-trace-cmd-R-decimal", guest(lambda tsc, cpu, event, text: ftrace(str)(
    tsc, cpu, event, f"msr=1760 val={int(text.split()[-1], 16)} failed=0" if event == "write_msr" else text)), "exact")
# A write that failed, as trace-cmd report -R and the option fields print it.
for failed in ("-5", "fffffffb", "0xfffffffb (-5)"):
    run = replay("failed", guest(ftrace(str)) + ftrace(str)(events()[-1][0] + 9, 0, "write_msr", f"msr=6e0 val=5 failed={failed}\n"))
    if run.returncode or json.loads(run.stdout)["traces"][0]["failed"] != 1:
        fail("failed", [failed, run.stderr.decode() or json.loads(run.stdout)["traces"][0]["failed"]])
figures("trace-cmd-cpu", guest(ftrace(str), vcpus=1), "exact", vcpus=1)
# Deadlines that are all moved on before they are due are no reason to doubt the clock.
moved = "".join(ftrace(str)(BASE + i * 50_000, 0, "write_msr", f"6e0, value {BASE + i * 50_000 + STEP:x}") + "\n"
                for i in range(300))
run = replay("moved", moved)
out = json.loads(run.stdout)["traces"][0]
if out["evidence"] != "exact" or out["delivered"] or run.stderr:
    fail("moved", f"{out['evidence']}: {run.stderr}")

# A clock that is off by a tenth of a millisecond or more is not exact, also without interrupts: the
# deadlines show it.
for shift in (300_000, 2_500_000, -300_000, -2_500_000, 25_000_000):
    figures(f"tsc-shift{shift}", guest(ftrace(lambda t: t + shift), kinds=("write",)), "approximate")

# The same unit, counted from elsewhere; the same numbers in nanoseconds; other clocks.
# Each delivered deadline has its interrupt in the trace, so no write is in doubt.
figures("tsc-latency", guest(latency(lambda t: t - BASE + 5)), "approximate", doubtful_writes=0)
figures("tsc-date", guest(ftrace(lambda t: t + 1_732_000_000_000_000_000)), "approximate")
figures("raw-ts", guest(ftrace(ns)), "approximate")
figures("ns6", guest(ftrace(lambda t: seconds(ns(t)))), "approximate")
figures("ns9", guest(ftrace(lambda t: seconds(ns(t), 9))), "approximate")
figures("ts2secs", guest(ftrace(lambda t: seconds(t * 1_000_000 // KHZ))), "approximate")
# Nothing but the rate shows that seconds count cycles, as trace-cmd report prints a file that does
# not tell its clock. The rate in kHz is not known then, or as given. Six digits are not all.
for digits, evidence in ((6, "approximate"), (9, "exact")):
    for kinds in (("write", "irq"), ("write",)):
        figures("tsc-as-seconds", guest(ftrace(lambda t: seconds(t, digits)), kinds=kinds), evidence, tsc_khz=None)
    figures("tsc-as-seconds-elsewhere", guest(ftrace(lambda t: seconds(t - BASE + 10**9, digits))), "approximate", tsc_khz=None)
for khz in (KHZ, 1_000_000):
    figures("tsc-as-seconds", guest(ftrace(seconds)), "approximate", options=["--tsc-khz", str(khz)], tsc_khz=khz)
    figures("tsc-as-seconds-elsewhere", guest(ftrace(lambda t: seconds(t - BASE + 10**9))), "approximate",
            options=["--tsc-khz", str(khz)], tsc_khz=khz)
# What no rate explains, given or not: a counter, printed as seconds; values that are cut.
for options in ([], ["--tsc-khz", str(KHZ)]):
    counter = iter(range(1, 10000))
    refused("counter-seconds", guest(ftrace(lambda t: seconds(next(counter)))), "no rate of a TSC", "counter", options=options)
    refused("cut-values", "".join(l[:-4] + "\n" if "write_msr" in l else l + "\n" for l in guest(
        ftrace(lambda t: seconds(ns(t)))).splitlines()), "no rate of a TSC", "cut", options=options)
# A given rate that the trace contradicts would make all figures wrong.
for clock in (lambda t: seconds(ns(t)), lambda t: seconds(ns(t), 9)):
    figures("given", guest(ftrace(clock)), "approximate", options=["--tsc-khz", str(KHZ)], tsc_khz=KHZ)
    for khz in (1_000_000, 2_400_000, 2_520_000, 3_000_000):
        refused("given-wrong", guest(ftrace(clock)), f"not the given --tsc-khz {khz}", "show 2500000.", options=["--tsc-khz", str(khz)])
figures("us-latency", guest(latency(lambda t: f"{(t - BASE) // 2500}us ")), "approximate")
figures("ts-diff", guest(lambda tsc, cpu, event, text: ftrace(lambda t: seconds(ns(t)))(tsc, cpu, "(+12)   " + event, text)
                         .replace(": (+12)   write", ": (+12)   write")), "approximate")
figures("dmesg", guest(lambda tsc, cpu, event, text: "[  123.456789] " +
                       latency(lambda t: f"{(t - BASE) // 2500}us ")(tsc, cpu, event, text)), "approximate")
def perf_name(event):
    return f"{'msr' if event[0] == 'w' else 'irq_vectors'}:{event}"


figures("perf", guest(lambda tsc, cpu, event, text:
        f"         swapper     0 [{cpu:03d}] {seconds(ns(tsc), 9)}: {perf_name(event)}: {text}"), "approximate")
figures("perf-reltime", guest(lambda tsc, cpu, event, text:
        f"         swapper     0 [{cpu:03d}] {seconds(ns(tsc) - HOST_NS, 9)}: {perf_name(event)}: {text}"), "approximate")
figures("perf-tod", guest(lambda tsc, cpu, event, text: f"         swapper     0 [{cpu:03d}] 2024-04-24 17:01:11.009305 "
        f"{seconds(ns(tsc), 9)}: {perf_name(event)}: {text}"), "approximate")
figures("perf-L", guest(lambda tsc, cpu, event, text:
        f" swapper {0:7d} {cpu:3d} {seconds(ns(tsc), 9):>15}: {perf_name(event)}: {text}"), "approximate")
figures("perf-prof", guest(lambda tsc, cpu, event, text: "2024-04-24 17:01:11.009305     wrmsr   3862 d... "
        f"[{cpu:03d}] {seconds(ns(tsc), 9)}: {perf_name(event)}: {text}"), "approximate")
figures("bpf", guest(lambda tsc, cpu, event, text: ftrace(lambda t: seconds(ns(t), 9))(
    tsc, cpu, "bpf_trace_printk", f"{event}: {text}")), "approximate")
counter = iter(range(1, 10000))
refused("counter", guest(ftrace(lambda t: f"{next(counter):13d}")), "counter", "x86-tsc")
refused("uptime", guest(ftrace(lambda t: 489250 + ns(t) // 10_000_000)), "uptime")

# A file of one CPU after the other, as `cat per_cpu/cpu*/trace` makes it, loses none, and no
# tenth of it is busier than the trace.
per_cpu = "".join("".join(l + "\n" for l in guest(ftrace(str)).splitlines() if f"[{cpu:03d}]" in l) for cpu in (1, 0))
out = figures("per-cpu", per_cpu, "exact")
whole = figures("tsc", guest(ftrace(str)), "exact")
answers = [dict(o["traces"][0]["answer"], text="") for o in (out, whole) if o]
if answers[0] != answers[-1]:
    fail("per-cpu", answers)

# Several recordings in one file are no trace, however alike they look; nor is a clock that has
# wrapped.
text = guest(ftrace(str))
halves = [text[:len(text) // 2].rsplit("\n", 1)[0] + "\n"]
halves.append(text[len(halves[0]):])
of_ns = guest(ftrace(lambda t: seconds(ns(t))))
refused("again", text + text, "the time goes back", "several recordings in one file")
refused("reversed", halves[1] + halves[0], "the time goes back")
refused("wrapped", guest(latency(lambda t: f"{((1 << 32) - 100_000 + (t - BASE) // 2500) % (1 << 32)}us ")), "has wrapped")
refused("two-clocks", halves[0] + "".join(l + "\n" for l in of_ns.splitlines()[halves[0].count("\n"):]),
        "between whole numbers and seconds")
refused("normal-then-latency", halves[0] + "".join(l + "\n" for l in guest(latency(lambda t: t - BASE + 5)).splitlines()[
    halves[0].count("\n"):]), "the time goes back")
# A tenth with another clock is enough to spoil the figures, in the first window or behind it.
dated = guest(ftrace(lambda t: t + 1_732_000_000_000_000_000)).splitlines(True)
for share in (8, 2, 1):
    refused(f"dated-{share}", guest(ftrace(str)) + "".join(dated[:len(dated) // share]), "change their meaning")
# Where a tenth of the writes is damaged, as by colours, the rest are not exact; where a few are,
# they are.
for every, evidence in ((3, "approximate"), (6, "approximate"), (30, "exact")):
    run = replay("damaged", "".join(l.replace(", value ", ", value \033[1m") + "\n" if "write_msr" in l and i % every == 0 else l + "\n"
                                    for i, l in enumerate(guest(ftrace(str)).splitlines())))
    out = json.loads(run.stdout)["traces"][0]
    if out["evidence"] != evidence or (evidence == "approximate") != (f"{out['damaged']} deadline writes are damaged" in out["why"]):
        fail("damaged", [every, out["evidence"], out["why"], out["damaged"]])
# A rate near 1 that is not 1: nanoseconds of a TSC of 1.01 GHz.
figures("near-one", guest(ftrace(lambda t: t * 101 // 100)), "approximate")

# Threads' names with all that a name may have. A colon does not make one the name of a buffer.
odd = ["a: b", "q:", ": x", "a [1] 5: b", "[000]", "x] 7", "12:34: x", "CPU:1 [LOST", "cpus=2", "#x", "(+12)", "a\\nb", "-", " ", "7"]
for name, form in (("ftrace", lambda i: lambda tsc, cpu, event, text:
                    f"{odd[next(i) % len(odd)]:>16}-77      [{cpu:03d}] d.h.. {tsc}: {event}: {text}"),
                   ("latency", lambda i: lambda tsc, cpu, event, text:
                    f"{odd[next(i) % len(odd)][:8]:>8}-77      {cpu:3d}d.h.. {tsc}: {event}: {text}"),
                   ("perf", lambda i: lambda tsc, cpu, event, text:
                    f"{odd[next(i) % len(odd)]:>16} {77:7d} [{cpu:03d}] {seconds(ns(tsc), 9)}: {perf_name(event)}: {text}")):
    figures("odd-names-" + name, guest(form(iter(range(10**6)))), "approximate" if name == "perf" else "exact", twice=0)

# One event in two buffers counts once; two guests in one file are two VMs.
figures("two-buffers", "cpus=2\n" + "".join(
    f"{'':8}{line}\nsecond: {line}\n" for line in guest(ftrace(str), kinds=("write",)).splitlines()),
    "exact", twice=2 * WRITES)
figures("three-buffers", "cpus=2\n" + "".join(
    f"{'':8}{line}\nsecond: {line}\n third: {line}\n" for line in guest(ftrace(str), kinds=("write",)).splitlines()),
    "exact", twice=4 * WRITES)
# Where a second one begins to write long after the first, nothing tells the two apart. 63 are told
# apart, and no more.
def late(label, n, tsc):
    for i in range(n):
        tsc += 250_000
        yield tsc, f"{label}: " + ftrace(str)(tsc, 0, "write_msr", f"6e0, value {tsc + 200_000:x}")
        yield tsc + 201_000, f"{label}: " + ftrace(str)(tsc + 201_000, 0, "local_timer_entry", "vector=236")


refused("late-guest", "".join(l + "\n" for _, l in sorted(
    [*late("one.dat", 20000, BASE), *late("two.dat", 99, BASE + 18000 * 250_000 + 777)])),
        "writes of two.dat begin here, behind 180", "second buffer, or another guest")
refused("late-main", "".join(l.replace("one.dat: ", " " * 9) + "\n" for _, l in sorted(
    [*late("two.dat", 20000, BASE), *late("one.dat", 99, BASE + 18000 * 250_000 + 777)])), "the main buffer begin")
of_63 = "".join(f"{i}.dat: {ftrace(str)(BASE + k * STEP, 0, 'write_msr', f'6e0, value {BASE + k * STEP + STEP // 2 + i:x}')}\n"
                for k in range(30) for i in range(63))
run = replay("63-guests", of_63)
if run.returncode or len(json.loads(run.stdout)["traces"][0]["vms"]) != 63:
    fail("63-guests", run.stderr.decode())
refused("64-guests", of_63 + of_63.splitlines()[-1].replace("62.dat", "63.dat") + "\n", "more than 63 buffers or files")
# Words before the lines that are no buffer's name: line numbers, times, what a log calls its
# streams. They make no vCPU and no task of their own.
random.seed(5)
for name, words in (("grep-n", (f"{n}: " for n in range(13, 10**6))), ("minute", (f"07-38-{n // 60:02d}: " for n in range(10**6))),
                    ("second", (f"{1732 + n / 1000:.3f}: " for n in range(10**6))),
                    ("streams", (random.choice(("stdout: ", "stderr: ")) for _ in iter(int, 1))),
                    ("rarely", (random.choice(("node3: ",) * 9 + ("node3-err: ",)) for _ in iter(int, 1)))):
    for form, evidence in ((ftrace(str), "exact"), (ftrace(lambda t: seconds(ns(t), 9)), "approximate")):
        out = figures("word-" + name, "".join(next(words) + line + "\n" for line in guest(form).splitlines()), evidence,
                      options=["--by=task"], twice=0)
        if out and [x["task"] for x in out["traces"][0]["tasks"]] != ["<idle>"]:
            fail("word-" + name, out["traces"][0]["tasks"])
# trace-cmd report names a buffer before the mark of lost events, and not before the event behind
# it.
text = "".join(f"h2a: {line}\n" for line in guest(ftrace(str)).splitlines()).splitlines(True)
for at in range(20, 420, 40):
    text[at] = f"h2a: CPU:{text[at].split('[')[1][:3].lstrip('0') or 0} [EVENTS DROPPED]\n" + text[at].replace("h2a: ", "")
run = replay("name-on-mark", "".join(text))
trace = run.stdout and json.loads(run.stdout)["traces"][0]
if run.returncode or (trace["writes"], trace["gaps"], [vm["vcpus"] for vm in trace["vms"]]) != (2 * WRITES, 10, [2]):
    fail("name-on-mark", run.stderr.decode() or [trace["writes"], trace["gaps"], trace["vms"]])
# Two buffers of one guest whose clocks lie apart: the second write is another one.
refused("two-clocks-apart", "cpus=2\n" + "".join(l + "\n" for _, l in sorted(
    (ns(t) + ahead, f"{label:>7} " + ftrace(lambda t: seconds(ns(t) + ahead))(t, cpu, "write_msr", f"6e0, value {value:x}"))
    for t, cpu, kind, value in events() if kind == "write" for label, ahead in (("one:", 0), ("second:", 90_000_000)))),
        "clocks that lie apart", "one buffer at a time")
# Lost events that stand behind a buffer's name, or the blanks in its place.
for name, lead in (("name", "second: "), ("blanks", " " * 8)):
    text = "cpus=2\n" + "".join(f"{'':8}{line}\nsecond: {line}\n" for line in guest(ftrace(str), kinds=("write",)).splitlines())
    text = text.splitlines(True)
    text[200:200] = [f"{lead}CPU:0 [5 EVENTS DROPPED]\n"]
    run = replay("lost-behind-" + name, "".join(text))
    if run.returncode or (json.loads(run.stdout)["traces"][0]["gaps"], json.loads(run.stdout)["traces"][0]["lost_events"]) != (1, 5):
        fail("lost-behind-" + name, run.stderr.decode() or json.loads(run.stdout)["traces"][0])
# Messages that the kernel's log lost are a gap of every vCPU; words before a mark do not hide it.
for lead, mark, n in (("[  123.456789] ", "** 25 printk messages dropped **", 25), (">", "CPU:0 [LOST 20 EVENTS]", 20),
                      ("trace.txt:7:", "CPU:0 [LOST 20 EVENTS]", 20)):
    text = [lead + l + "\n" for l in guest(ftrace(str)).splitlines()]
    text[200:200] = [lead + mark + "\n"]
    run = replay("lost-behind", "".join(text))
    trace = run.stdout and json.loads(run.stdout)["traces"][0]
    if run.returncode or (trace["gaps"], trace["lost_events"], trace["unknown_lines"]) != (1, n, 0):
        fail("lost-behind", run.stderr.decode() or [lead, trace["gaps"], trace["lost_events"]])
figures("two-guests", "".join(f"one.dat: {line}\ntwo.dat: {other}\n" for line, other in zip(
    guest(ftrace(str)).splitlines(), guest(lambda tsc, cpu, event, text: ftrace(lambda t: t + 77)(
        tsc, cpu, event, f"6e0, value {int(text.split()[-1], 16) + 77:x}" if event[0] == "w" else text)).splitlines())),
    "exact", vcpus=4)

# Without interrupts nothing shows that names before the lines are guests: they may be a log's
# streams.
for name, label in (("guests", lambda l: "one.dat: " if "[000]" in l else "two.dat: "),
                    ("streams", lambda l: random.choice(("stdout: ", "stderr: ")))):
    run = replay(name + "-writes", "".join(label(l) + l + "\n" for l in guest(ftrace(str), kinds=("write",)).splitlines()))
    trace = run.stdout and json.loads(run.stdout)["traces"][0]
    if run.returncode or trace["evidence"] != "approximate" or "taken for guests" not in trace["why"]:
        fail(name + "-writes", run.stderr.decode() or [trace["evidence"], trace["why"]])

# Skips of a guest that has the feature are writes that it wanted.
wanted = guest(ftrace(str)).splitlines()
wanted = [l.replace(" write_msr:", " lazytsc_skip:") if i % 3 else l for i, l in enumerate(wanted)]
figures("skips", "\n".join(wanted) + "\n", "exact")

# Disarms and gaps are no evidence: a window that they fill, before the first deadline or later,
# takes nothing from the fit, nor from the count, nor from the costs.
def sparse(lead, each, gaps=False):
    t, lines = HOST_NS, []
    for _ in range(lead):
        t += 1000
        lines.append(ftrace(seconds)(t, 0, "write_msr", "6e0, value 0"))
    for i in range(2500):
        value = BASE + (t - HOST_NS) * KHZ // 1_000_000 + STEP // 4
        lines.append(ftrace(lambda x: seconds(x, 9))(t, 0, "write_msr", f"6e0, value {value:x}"))
        t += 1_004_000 + i % 7 * 60
        lines.append(ftrace(lambda x: seconds(x, 9))(t, 0, "local_timer_entry", "vector=236"))
        for _ in range(each):
            t += 2000
            lines.append(ftrace(lambda x: seconds(x, 9))(t, 0, "write_msr", "6e0, value 0"))
            lines += ["CPU:0 [LOST 1 EVENTS]"] if gaps else []
        t += 1000
    return "\n".join(lines) + "\n"


for name, lead, each, gaps in (("lead", 100_000, 1, False), ("long-lead", 530_000, 0, False), ("disarms", 0, 30, False),
                               ("gaps", 0, 20, True)):
    run = replay(name, sparse(lead, each, gaps))
    out = json.loads(run.stdout) if run.stdout else None
    if run.returncode or out["rows"][0]["msr_write_exits"] != lead + 2500 * (1 + each) or \
            out["rows"][0]["injections"] != 2500 - (not each) or abs(out["traces"][0]["tsc_khz"] / KHZ - 1) > 1e-5:
        fail(name, run.stderr.decode() or [out["rows"][0], out["traces"][0]["tsc_khz"]])
        continue
    # Also the disarms before the rate is known are charged by it.
    row, cycles = out["rows"][0], [int(cost * out["traces"][0]["tsc_khz"] / 1e6) for cost in (960, 920)]
    if row["host_cycles"] != row["msr_write_exits"] * cycles[0] + row["injections"] * cycles[1]:
        fail(name, [row, cycles])
if "from 0 deadline writes" not in refused("only-disarms", sparse(300, 0)[:300 * 60].rsplit("\n", 1)[0] + "\n"):
    fail("only-disarms", "")

# Linux 7.1 and later trace no writes: there the glue does.
glue = [l.replace(" write_msr:", " lazytsc:lazytsc_write:") if i % 3 == 0 else l for i, l in enumerate(wanted)]


def measured(name, out, skips):
    rows = [r for r in out["rows"] if r["variant"] == "measured"] if out else []
    if not rows or rows[-1]["skips"] != skips or rows[-1]["msr_write_exits"] != 2 * WRITES - skips:
        fail(name, f"measured: {rows}")


all_skips = sum("lazytsc_skip" in l for l in glue)
measured("skips-glue", figures("skips-glue", "\n".join(glue) + "\n", "exact"), all_skips)

# Linux 7.1: nanoseconds against nanoseconds. Rounding to a microsecond hides nothing here.
def rearm(stamp):
    def form(tsc, cpu, event, text):
        if event == "write_msr":
            event, text = "hrtimer_rearm", f"next_event={ns(int(text.split()[-1], 16))} deferred=0"
        return ftrace(stamp)(tsc, cpu, event, text)
    return form


figures("rearm9", guest(rearm(lambda t: seconds(ns(t), 9))), "exact")
for name, fields_of in (("last", "deferred=0 {}"), ("alone", "{}"), ("more", "hrtimer=0000000012345678 {} deferred=1 x=y,z")):
    figures("rearm-" + name, "".join(l.replace(" deferred=0", "").replace("next_event=" + v, fields_of.format("next_event=" + v))
                                     + "\n" for l in guest(rearm(lambda t: seconds(ns(t), 9))).splitlines()
                                     for v in [l.split("next_event=")[-1].split(" ")[0]]), "exact")
figures("rearm6", guest(rearm(lambda t: seconds(ns(t)))), "exact")
figures("rearm-local", guest(rearm(lambda t: seconds(ns(t) - 40_000_000))), "approximate")
# Beside them the skips, whose deadlines are TSC: each is of the hrtimer_rearm before it.
lines, n = [], 0
for line in guest(rearm(lambda t: seconds(ns(t), 9))).splitlines():
    lines.append(line)
    if "hrtimer_rearm" in line and len(lines) % 3:
        lines.append(line.split(" hrtimer_rearm")[0] + " lazytsc_skip: 6e0, value 1234567890")
        n += 1
measured("rearm-skips", figures("rearm-skips", "\n".join(lines) + "\n", "exact"), n)
stopped = guest(rearm(lambda t: seconds(ns(t), 9))).splitlines()
stopped += [rearm(lambda t: seconds(ns(t), 9))(events()[-1][0] + i, 0, "hrtimer_rearm",
                                               "next_event=9223372036854775807 deferred=0") for i in (1, 2)]
run = replay("rearm-stop", "\n".join(stopped) + "\n")
if json.loads(run.stdout)["traces"][0]["disarmed"] != 1:
    fail("rearm-stop", run.stdout.decode()[-900:])

# --- What an option takes away is named. ---
plain = guest(lambda tsc, cpu, event, text: f"{event}: {text}")
refused("context", plain, "context-info")
for name, head in ("comm-tid", " a 7 "), ("comm-pid-tid", " a 7/7 "), ("comm", "CPU 0/KVM "), ("tid", "  7 "):
    refused(f"{name}-alone", guest(lambda tsc, cpu, event, text: f"{head}msr:{event}: {text}"), "without time stamp and CPU")
    refused(f"{name}-host", host(lambda t, vcpu, event, text: f"{head}kvm:{event}: {text}"), "without time stamp and CPU")
refused("json", '{\n\t"linux-perf-json-version": 1,\n\t"samples": []\n}\n', "JSON", "perf.data")
refused("raw", guest(lambda tsc, cpu, event, text: f"4711 {cpu} {tsc} type: 2153"), "option raw")
refused("no-cpu", guest(lambda tsc, cpu, event, text: f" a 7 {seconds(ns(tsc))}: msr:{event}: {text}"), "without their CPU")
refused("no-time", guest(lambda tsc, cpu, event, text: f" a 7 [{cpu:03d}] msr:{event}: {text}"), "without time stamp")
refused("no-event", guest(lambda tsc, cpu, event, text: f" a 7 [{cpu:03d}] {seconds(ns(tsc))}: {text}"), "without the name")
refused("no-text", guest(lambda tsc, cpu, event, text: f" a 7 [{cpu:03d}] {seconds(ns(tsc))}: msr:{event}: "), "without their values")
refused("perf-trace", guest(lambda tsc, cpu, event, text: f"   0.012 a/7 msr:{event}(msr: 0x6e0, val: 5)"), "perf trace")
for digits in (1, 2, 3, 4, 5):
    refused(f"cut-to-{digits}", guest(ftrace(lambda t: seconds(ns(t), digits))), "fewer than six decimals")
refused("below-0", guest(ftrace(lambda t: seconds(2**64 - 10**12 + ns(t) - HOST_NS))), "below 0", "--ts-offset")
refused("minus", guest(ftrace(lambda t: "-" + seconds(10**12 - ns(t) + HOST_NS))), "below 0")
# What another program has made of the lines.
tsc = guest(ftrace(str))
figures("decode_msr", tsc.replace("6e0, ", "MSR_IA32_TSC_DEADLINE(6e0), "), "exact")
of_host = host(lambda t, vcpu, event, text: f"       CPU {vcpu}/KVM-{4100 + vcpu}    [010] d.... {seconds(t)}: {event}: {text}", exits=True)
for name, change, word in (
        ("blanks", lambda text: text.replace("  ", "\u00a0 ").replace("r: ", "r:\u00a0 "), "no-break spaces"),
        ("colours", lambda text: text.replace("write_msr", "\033[01;31m\033[Kwrite_msr\033[m\033[K").replace(
            "kvm_msr", "\033[01;31m\033[Kkvm_msr\033[m\033[K"), "escape sequences"),
        ("quoted", lambda text: text.replace(" = ", " =3D ").replace(", value", ",=\n value"), "quoted-printable")):
    refused(name, change(tsc), word, "FILE")
    refused(name + "-host", change(of_host), word, "FILE")
refused("ctf", guest(lambda tsc, cpu, event, text: f"[17:01:11.000400000] (+0.000001234) host {perf_name(event)}: "
                     f"{{ cpu_id = {cpu} }}, {{ msr = 1760, val = 7, failed = 0 }}"), "babeltrace")
refused("graph", guest(lambda tsc, cpu, event, text: f"{seconds(ns(tsc))} |   {cpu})    <idle>-0    |  d.h1.  |      |     "
                       f"/* {event}: {text} */"), "echo nop > current_tracer")
# perf record -F leaves events out: one that is there stands for others, as its period says.
perf_period = lambda n: lambda tsc, cpu, event, text: \
    f"         swapper     0 [{cpu:03d}] {seconds(ns(tsc), 9)}: {n(tsc):10d} {perf_name(event)}: {text}"
figures("period", guest(perf_period(lambda tsc: 1)), "approximate")
refused("sampled", guest(perf_period(lambda tsc: 1 + (tsc > BASE + 80 * STEP))), "stand for several", "perf record -F")
# Line ends that were lost: what stands behind the first event of a line would count nowhere.
lines = guest(ftrace(str)).splitlines()
refused("two-a-line", "".join(a + b + "\n" for a, b in zip(lines[::2], lines[1::2])), "several events on one line")
refused("fifth-joined", "".join(l + ("" if i % 5 == 0 else "\n") for i, l in enumerate(lines)), "several events on one line")
refused("cr-only", guest(ftrace(str)).replace("\n", "\r"), "several events on one line", "tr '")
refused("cr-only-long", guest(ftrace(str)).replace("\n", "\r") * 9, "several events on one line")
last = [0]


def delta(t):
    last[0], d = ns(t), ns(t) - last[0]
    return seconds(d if d < HOST_NS else 0)


refused("deltatime", guest(ftrace(delta)), "--deltatime")

# --- Hosts: the vCPU by name, number or thread; the VM by process, or by numbers that begin again.
# ---
def perf(comm, tid, event_prefix="kvm:"):
    return lambda t, vcpu, event, text: \
        f" {comm(vcpu):>15} {tid(vcpu)} [{10 + vcpu:03d}] {seconds(t)}: {event_prefix}{event}: {text}"


names = {
    "qemu": lambda v: f"CPU {v}/KVM", "firecracker": lambda v: f"fc_vcpu {v}", "cloud-hypervisor": lambda v: f"vcpu{v}",
    "kvmtool": lambda v: f"kvm-vcpu-{v}", "comm-only": lambda v: "qemu-system-x86", "no-comm": lambda v: "<...>",
}
for name, comm in names.items():
    figures("host-" + name, host(perf(comm, lambda v: 4100 + v)), "approximate", source="host")
    figures("host-pid-" + name, host(perf(comm, lambda v: f"4090/{4100 + v}")), "approximate")
figures("host-latency", host(lambda t, vcpu, event, text:
        f"CPU {vcpu}/KV-{4100 + vcpu}  1{vcpu}d.... {t // 1000}us : {event}: {text}", exits=True), "approximate")
figures("host-no-cpu", host(lambda t, vcpu, event, text: f" CPU {vcpu}/KVM {4100 + vcpu} {seconds(t)}: kvm:{event}: {text}"),
        "approximate")
# The CPU is no thread's id, nor is a part of the date; threads move between CPUs.
for name, head in (("tod", "{:>16} {:7d} [{:03d}] 2024-04-24 17:01:11.009305 "), ("L", "{:8.8} {:7d} {:3d} "),
                   ("L-pid", "{:8.8}    4090/{:<7d} {:3d} "), ("L-tod", "{:8.8} {:7d} {:3d} 2024-04-24 17:01:11.009305 ")):
    out = figures("host-" + name, host(lambda t, vcpu, event, text: head.format(f"CPU {vcpu}/KVM", 4100 + vcpu, t // 1000 % 7) +
                                       f"{seconds(t):>12}: kvm:{event}: {text}", exits=True), "approximate")
    if out and [(x["vcpu"], x["msr_write"]) for x in out["traces"][0]["exits"]] != [("0", WRITES), ("1", WRITES)]:
        fail("host-" + name, out["traces"][0]["exits"])
figures("host-perf-trace", host(lambda t, vcpu, event, text:
        f"  {t / 1e6:.3f} CPU {vcpu}/KVM/{4100 + vcpu} kvm:kvm_msr(write: 1, ecx: 1760, data: {int(text.split('= ')[1], 16)})"),
        "approximate")
# perf trace leaves out fields that are 0: the value of a disarm, and write of a read.
shown = [f"  {ns(tsc) / 1e6:.3f} CPU 0/KVM/4100 kvm:kvm_msr({text})\n" for kind, tsc, value in workload(0) if kind == "write"
         for text in (f"write: 1, ecx: 1760, data: {value}", "ecx: 59", "write: 1, ecx: 1760", f"write: 1, ecx: 1760, data: {value}")]
run = replay("perf-trace-0", "".join(shown))
trace = run.stdout and json.loads(run.stdout)["traces"][0]
if run.returncode or (trace["writes"], trace["disarmed"], trace["other_msrs"], trace["damaged"]) != (3 * WRITES, WRITES, WRITES, 0):
    fail("perf-trace-0", run.stderr.decode() or [trace["writes"], trace["disarmed"], trace["other_msrs"], trace["damaged"]])
# A host whose TSC is printed as seconds, and a wrong rate.
of_qemu = perf(names["qemu"], lambda v: 4100 + v)
of_tsc = host(lambda t, vcpu, event, text: of_qemu(3 * BASE + (t - HOST_NS) * KHZ // 10**6, vcpu, event, text))
for options in ([], ["--tsc-khz", str(KHZ)], ["--tsc-khz", "1000000"]):
    figures("host-tsc-as-seconds", of_tsc, "approximate", options=options, tsc_khz=float(options[1]) if options else None,
            delivered=2 * DELIVERED)
for khz in ("1000000", "2600000"):
    refused("host-given-wrong", host(of_qemu), "show 2500000.", options=["--tsc-khz", khz])
# The process alone tells no thread; nor does perf trace of older versions.
refused("host-process", host(perf(names["qemu"], lambda v: 4090)), "one thread id for several vCPUs", "comm,pid,tid")
refused("host-process-exits", host(perf(lambda v: "qemu", lambda v: 4090), exits=True), "one thread id for several vCPUs")
refused("host-old-perf-trace", host(lambda t, vcpu, event, text: f"  {t / 1e6:.3f} kvm:{event}:{text}"), "none tells its vCPU")
# Exits beside writes that cannot be read are no exits alone.
refused("host-no-text", host(lambda t, vcpu, event, text: perf(names["qemu"], lambda v: 4100 + v)(
    t, vcpu, event, "" if event == "kvm_msr" else text), exits=True), "without their values")
own = "".join(f"          <idle>-0       [012] d.h1. {seconds(ns(BASE + i * STEP))}: write_msr: 6e0, value {99 * BASE + i * STEP:x}\n"
              for i in range(60))
figures("host-own-timer", own.split("\n")[0] + "\n" + host(perf(names["qemu"], lambda v: 4100 + v)) + own, "approximate",
        source="host", own_timer=61)
# Two VMs with clocks of their own.
one, two = perf(names["qemu"], lambda v: 4100 + v), perf(names["qemu"], lambda v: 5100 + v)
both = sorted((host(one) + host(two, shift=123456789012)).splitlines(), key=lambda l: l.split("] ")[1].split(":")[0])
out = figures("two-vms", "\n".join(both) + "\n", "approximate", vcpus=4)
if out and {r.get("vm") for r in out["rows"]} != {"4100", "5100", None}:
    fail("two-vms", {r.get("vm") for r in out["rows"]})

# Exits alone: bounds, by name, and the event that is missing.
run = replay("exits", host(perf(names["qemu"], lambda v: 4100 + v), exits="alone"))
trace = json.loads(run.stdout)["traces"][0]
if run.returncode != 4 or trace["evidence"] != "bounds" or "kvm:kvm_msr" not in trace["why"] or \
        [x["msr_write"] for x in trace["exits"]] != [WRITES, WRITES]:
    fail("exits", f"{run.returncode}: {trace}")

# AMD's exits, as libtraceevent's plugin prints them, are the same exits. One that lost its reason
# is not counted as one of another reason.
run = replay("exits-amd", host(perf(names["qemu"], lambda v: 4100 + v), exits="alone").replace(
    "reason MSR_WRITE rip 0x5 info1 0x0", "reason EXIT_MSR rip 0x5 info 1 0"))
trace = run.stdout and json.loads(run.stdout)["traces"][0]
if run.returncode != 4 or [(x["msr_write"], x["other"]) for x in trace["exits"]] != [(WRITES, 0)] * 2:
    fail("exits-amd", [run.returncode, run.stderr.decode(), trace and trace["exits"]])
for name, text, at in (("guest", guest(ftrace(str)), "value "), ("host", host(of_qemu), "= "), ("host-number", host(of_qemu), "write ")):
    refused("wrapped-" + name, text.replace(at, at.rstrip() + "\n"), "without their value", "wrapped")
wrapped = host(perf(names["qemu"], lambda v: 4100 + v), exits="alone")
refused("exits-wrapped", wrapped.replace("reason MSR_WRITE", "reason\nMSR_WRITE"), "exits without their reason", "wrapped")
refused("exits-no-text", host(lambda t, vcpu, event, text: f" a {4100 + vcpu} [001] {seconds(t)}: kvm:{event}: ", exits="alone"),
        "without their values")
out = figures("writes-wrapped-exits", host(perf(names["qemu"], lambda v: 4100 + v), exits=True).replace(
    "reason MSR_WRITE", "reason\nMSR_WRITE"), "approximate")
if out and any(x["other"] for x in out["traces"][0]["exits"]):
    fail("writes-wrapped-exits", out["traces"][0]["exits"])


# How long they took is told in the trace's clock; of a TSC's the rate has to be known.
def bounds(name, text, *options):
    run = replay(name, text, *options)
    return run.returncode, run.stdout and json.loads(run.stdout)["traces"][0]


span = (events()[-1][0] - events()[0][0]) * 1000 // KHZ / 1e6
in_tsc = host(lambda t, vcpu, event, text: f" CPU {vcpu}/KVM {4100 + vcpu} [000] {BASE + (t - HOST_NS) * KHZ // 10**6}: kvm:{event}: "
              f"{text}", exits="alone")
for name, text, options in (("exits", host(perf(names["qemu"], lambda v: 4100 + v), exits="alone"), ()),
                            ("exits-tsc", in_tsc, ("--tsc-khz", str(KHZ)))):
    status, trace = bounds(name, text, *options)
    if status != 4 or abs(trace["seconds"] / span - 1) > .001 or any(abs(x["write_ns"] - 2000) > 2 for x in trace["exits"]):
        fail(name, [status, trace])
status, trace = bounds("exits-tsc", in_tsc)
if status != 4 or "2.6 GHz" not in trace["answer"]["text"]:
    fail("exits-tsc", trace["answer"]["text"])
# Tables that perf kvm stat report (of two ages) and kvm_stat print: bounds as well, of all vCPUs.
rows = {"MSR_WRITE": 56890, "HLT": 30128, "PREEMPTION_TIMER": 21012, "EXTERNAL_INTERRUPT": 17251, "EPT_MISCONFIG": 719}
tables = {
    "report": "\nAnalyze events for all VMs, all VCPUs:\n\n  VM-EXIT    Samples  Samples%     Time%    Min Time\n\n" + "".join(
        f"{r:>20} {n:10d} {n / 1260:8.2f}% {2.2:8.2f}% {0.45:9.2f}us {998.2:9.2f}us {1.43:9.2f}us ( +-   1.55% )\n"
        for r, n in rows.items()) + "\nTotal Samples:126000, Total events handled time:3708136.36us.\n",
    "report-6.4": "Event name  Samples   Sample%    Time (ns)     Time%   Max Time (ns)   Min Time (ns)  Mean Time (ns)\n" + "".join(
        f"{r:<20} {n:12d} {n / 1260:9.2f}% {n * 1430:13d} {2.2:8.2f}% {998200:11d} {450:13d} {1430:14d}\n" for r, n in rows.items()),
    "kvm_stat": " Event          Total %Total CurAvg/s\n kvm_entry   126003   25.0    14201\n kvm_exit   126000  25.0  9\n" +
    "".join(f" kvm_exit({r})   {n}   15.8  9002\n" for r, n in rows.items() if r != "EPT_MISCONFIG"),
}
for name, text in tables.items():
    status, trace = bounds(name, text)
    x = trace["exits"][0] if status == 4 else {}
    if [x.get(k) for k in ("vcpu", "msr_write", "hlt", "preemption_timer", "external_interrupt", "other")] != ["all", *rows.values()] or \
            x["write_ns"] != (None if name == "kvm_stat" else 1430) or "45.2 % of all exits" not in trace["answer"]["text"]:
        fail(name, [status, trace])
for command in ("compare", "validate"):
    run = subprocess.run([lazytsc, command] + [os.path.join(directory, "report")] * (1 + (command == "compare")), capture_output=True,
                         check=False)
    if run.returncode != 2 or not any(w in run.stderr.decode() for w in ("no rates to compare", "nothing to replay")):
        fail(command, run.stderr.decode())
# A table beside a trace says nothing; another table is none.
figures("table-behind", guest(ftrace(str)) + tables["report"], "exact")
refused("other-table", "Overhead of all\n   read  1000  45.41%  2.20%\n write 20 1.00%\n", "no trace event")
# A guest and its host in one file: the guest's writes, and the exits that are there.
merged = sorted(["guest.dat: " + l for l in guest(ftrace(lambda t: seconds(ns(t), 9))).splitlines()] +
                [" host.dat: " + l for l in host(perf(names["qemu"], lambda v: 4100 + v), exits="alone").splitlines()],
                key=lambda l: l.split("] ")[1].replace("d.h.. ", "").split(":")[0])
out = figures("merged", "\n".join(merged) + "\n", "approximate", source="guest")
if out and [x["msr_write"] for x in out["traces"][0]["exits"]] != [WRITES, WRITES]:
    fail("merged", out["traces"][0]["exits"])

subprocess.run(["rm", "-rf", directory], check=True)
print(f"{failures} failures" if failures else "all as expected")
sys.exit(failures != 0)
