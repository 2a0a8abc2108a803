#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Files of trace-cmd are read with the same figures as the text of the same events: a guest's with TSC or
ns, skips and the glue's writes, hrtimer_rearm; a host's with threads, exits and how long they took; two
buffers that hold the same writes count each once; lost events are a gap; compressed and from a pipe; what
is left of a file that was cut or damaged is called that. The files are made here, of version 6, page by page, so
that no machine has to record itself (files.sh does that, where it can).

Usage: dat.py LAZYTSC
"""
import gzip
import json
import os
import struct
import subprocess
import sys
import tempfile

lazytsc = sys.argv[1]
directory = tempfile.TemporaryDirectory()
PAGE, KHZ = 4096, 2500000
STEP = 4 * KHZ
COMMON = [("unsigned short common_type", 0, 2), ("unsigned char common_flags", 2, 1),
          ("unsigned char common_preempt_count", 3, 1), ("int common_pid", 4, 4)]
# Name: system, number, fields (type and name, struct's letter).
EVENTS = {
    "write_msr": ("msr", 300, [("unsigned msr", "I"), ("u64 val", "Q"), ("int failed", "i")]),
    "lazytsc_skip": ("lazytsc", 301, [("u64 deadline", "Q")]),
    "lazytsc_write": ("lazytsc", 302, [("u64 deadline", "Q")]),
    "hrtimer_rearm": ("timer", 303, [("s64 next_event", "q"), ("bool deferred", "B")]),
    "local_timer_entry": ("irq_vectors", 304, [("int vector", "i")]),
    "cpu_idle": ("power", 305, [("u32 state", "I"), ("u32 cpu_id", "I")]),
    "kvm_msr": ("kvm", 306, [("unsigned write", "I"), ("u32 ecx", "I"), ("u64 data", "Q"), ("u8 exception", "B")]),
    "kvm_exit": ("kvm", 307, [("unsigned int exit_reason", "I"), ("unsigned long guest_rip", "Q"), ("u32 isa", "I"),
                              ("u64 info1", "Q"), ("unsigned int vcpu_id", "I")]),
    "kvm_entry": ("kvm", 308, [("unsigned int vcpu_id", "I"), ("unsigned long rip", "Q")]),
    "kvm_apic_accept_irq": ("kvm", 310, [("u32 apicid", "I"), ("u16 dm", "H"), ("u16 tm", "H"), ("u8 vec", "B")]),
    "sched_switch": ("sched", 309, [("int prev_prio", "i")]),
}
COMMS = {0: "<idle>", 7: "task", 4110: "CPU 0/KVM", 4111: "CPU 1/KVM"}


def layout(fields):
    """Offsets as the compiler has them."""
    at = 8
    for name, letter in fields:
        size = struct.calcsize(letter)
        at = (at + size - 1) // size * size
        yield name, letter, at, size
        at += size


def event_format(name):
    system, number, fields = EVENTS[name]
    text = f"name: {name}\nID: {number}\nformat:\n"
    for f, at, size in COMMON:
        text += f"\tfield:{f};\toffset:{at};\tsize:{size};\tsigned:{int(f.startswith('int'))};\n"
    text += "\n"
    for f, _, at, size in layout(fields):
        text += f"\tfield:{f};\toffset:{at};\tsize:{size};\tsigned:{int(f.startswith(('int', 's64')))};\n"
    return (text + f"\nprint fmt: \"%d\", REC->{fields[0][0].split()[-1]}\n").encode()


def record(name, pid, values):
    _, number, fields = EVENTS[name]
    data = bytearray(struct.pack("<HBBi", number, 0, 0, pid))
    for (_, letter, at, size), value in zip(layout(fields), values):
        data += bytes(at - len(data)) + struct.pack("<" + letter, value)
    return bytes(data + bytes(-len(data) % 4))


def pages(events):
    """A CPU's pages of (time, record); a record of None: events were lost before the next."""
    out, data, start, last, lost = [], b"", 0, 0, False

    def flush():
        if data:
            out.append(struct.pack("<QQ", start, len(data) | (1 << 31 if lost else 0)).ljust(16, b"\0") + data.ljust(PAGE - 16, b"\0"))

    for t, r in events:
        if r is None or len(data) + len(r) + 12 > PAGE - 16:
            flush()
            data, lost = b"", r is None
        if r is None:
            continue
        if not data:
            start = last = t
        delta = t - last
        if delta >= 1 << 27:
            data += struct.pack("<II", 30 | (delta & (1 << 27) - 1) << 5, delta >> 27)
            delta = 0
        data += struct.pack("<I", len(r) // 4 | delta << 5) + r
        last = t
    flush()
    return b"".join(out)


def dat(buffers):
    """A file of (name or None: the main buffer, {CPU: events}); each buffer has all CPUs."""
    def sized(letter, b):
        return struct.pack("<" + letter, len(b)) + b

    header_page = b"".join(f"\tfield: {f};\toffset:{at};\tsize:{size};\tsigned:{s};\n".encode() for f, at, size, s in (
        ("u64 timestamp", 0, 8, 0), ("local_t commit", 8, 8, 1), ("int overwrite", 8, 1, 1), ("char data", 16, PAGE - 16, 0)))
    header_event = (b"# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   27 bits\n\tarray       :   32 bits\n\n"
                    b"\tpadding     : type == 29\n\ttime_extend : type == 30\n\ttime_stamp : type == 31\n\tdata max type_len  == 28\n")
    out = b"\x17\x08\x44tracing6\0" + struct.pack("<BBI", 0, 8, PAGE)
    out += b"header_page\0" + sized("Q", header_page) + b"header_event\0" + sized("Q", header_event)
    out += struct.pack("<I", 0)
    systems = {}
    for name, (system, _, _) in EVENTS.items():
        systems.setdefault(system, []).append(name)
    out += struct.pack("<I", len(systems))
    for system, names in systems.items():
        out += system.encode() + b"\0" + struct.pack("<I", len(names)) + b"".join(sized("Q", event_format(n)) for n in names)
    out += sized("I", b"") + sized("I", b"")
    out += sized("Q", "".join(f"{pid} {comm}\n" for pid, comm in COMMS.items()).encode())
    cpus = 1 + max(cpu for _, events in buffers for cpu in events)
    out += struct.pack("<I", cpus)

    body = [[pages(events.get(cpu, [])) for cpu in range(cpus)] for _, events in buffers]
    table = 10 + 16 * cpus
    options_size = 10 + sum(2 + 4 + 8 + len(name) + 1 for name, _ in buffers[1:]) + 2
    first = len(out) + options_size
    at = (first + table * len(buffers) + PAGE - 1) // PAGE * PAGE
    tables = b""
    for cpu_pages in body:
        tables += b"flyrecord\0"
        for p in cpu_pages:
            tables += struct.pack("<QQ", at, len(p))
            at += len(p)
    out += b"options  \0"
    for i, (name, _) in enumerate(buffers[1:], 1):
        out += struct.pack("<HI", 3, 8 + len(name) + 1) + struct.pack("<Q", first + i * table) + name.encode() + b"\0"
    out += struct.pack("<H", 0) + tables
    out += bytes(-len(out) % PAGE) + b"".join(p for cpu_pages in body for p in cpu_pages)
    return out


def save(name, data):
    path = os.path.join(directory.name, name)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    return path


def run(path, status=0, stdin=None):
    out = subprocess.run([lazytsc, "replay", "--json", "--by=task", path], input=stdin, capture_output=True, check=False)
    assert out.returncode == status, (path, out.returncode, out.stderr)
    return json.loads(out.stdout) if status in (0, 4) else out.stderr.decode()


def same(a, b, *keys):
    """The figures of two reports."""
    for x, y in zip(a["rows"], b["rows"]):
        assert {k: v for k, v in x.items() if k != "trace"} == {k: v for k, v in y.items() if k != "trace"}, (x, y)
    assert len(a["rows"]) == len(b["rows"])
    for k in ("evidence", "source", "writes", "delivered", "overwritten_later", "tasks", *keys):
        assert a["traces"][0][k] == b["traces"][0][k], k


def workload(write="write_msr"):
    """Of two CPUs: (time, CPU, pid, event, values, text)."""
    for i in range(400):
        for cpu in (0, 1):
            t = 7_000_000_000_000 + i * STEP + cpu * 1_000_000
            for late, value in ((0, t + STEP // 4), (5000, t + STEP // 2)):
                yield t + late, cpu, 7, write, (0x6e0, value, 0) if write == "write_msr" else (value,), f"6e0, value {value:x}"
            yield t + STEP // 2 + 9000, cpu, 0, "local_timer_entry", (236,), "vector=236"
            yield t + STEP // 2 + 9100, cpu, 0, "cpu_idle", (0xffffffff, cpu), f"state=4294967295 cpu_id={cpu}"
            yield t + 700, cpu, 7, "write_msr", (0x830, 5, 0), "830, value 5"
            yield t + 710, cpu, 7, "sched_switch", (1,), "prev_prio=1"


def both(events, stamp=str, scale=lambda t: t):
    events = sorted(events)
    per_cpu, text = {}, ""
    for t, cpu, pid, name, values, line in events:
        per_cpu.setdefault(cpu, []).append((scale(t), record(name, pid, values)))
        text += f"{COMMS[pid]:>16}-{pid:<7} [{cpu:03d}] d.... {stamp(scale(t))}: {name}: {line}\n"
    return per_cpu, text


seconds = lambda t: f"{t // 10**9}.{t % 10**9:09d}"
ns = lambda t: 5_000_000_000 + (t - 7_000_000_000_000) * 1_000_000 // KHZ

# A guest: TSC, and ns.
per_cpu, text = both(workload())
guest = save("guest.dat", dat([(None, per_cpu)]))
read = run(guest)
same(read, run(save("guest.txt", text)), "timer_interrupts", "other_msrs", "other_events")
t = read["traces"][0]
assert t["evidence"] == "exact" and t["writes"] == 1600, t
assert [t["task"] for t in read["traces"][0]["tasks"]] == ["task"]
ns_cpu, text = both(workload(), seconds, ns)
same(run(save("ns.dat", dat([(None, ns_cpu)]))), run(save("ns.txt", text)), "tsc_khz")

# With the feature: the glue's writes and skips; hrtimer_rearm and skips.
glue = [e if e[3] != "lazytsc_write" or i % 3 else (*e[:3], "lazytsc_skip", *e[4:])
        for i, e in enumerate(workload("lazytsc_write"))]
glue_cpu, text = both(glue)
read = run(save("glue.dat", dat([(None, glue_cpu)])))
same(read, run(save("glue.txt", text)))
assert any(r["variant"] == "measured" and r["skips"] > 100 for r in read["rows"])
rearm = [(ns(t), cpu, pid, "hrtimer_rearm", (ns(v[-1]), 0), f"next_event={ns(v[-1])} deferred=0") if name == "lazytsc_write" else
         (ns(t), cpu, pid, name, v, line) for t, cpu, pid, name, v, line in glue]
rearm.append((ns(7_000_000_000_000 + 399 * STEP + 500_000), 0, 7, "hrtimer_rearm", (2**63 - 1, 0), f"next_event={2**63 - 1} deferred=0"))
rearm_cpu, text = both(rearm, seconds)
read = run(save("rearm.dat", dat([(None, rearm_cpu)])))
same(read, run(save("rearm.txt", text)))
assert read["traces"][0]["evidence"] == "exact" and read["traces"][0]["disarmed"] == 1

# A host: vCPUs by thread, exits and their times.
host = []
for i in range(300):
    for vcpu in (0, 1):
        t = 5_000_000_000 + i * 1_000_000 + vcpu * 1000
        value = 7_000_000_000_000 + (t + 998_000 - 5_000_000_000) * 5 // 2
        host += [(t - 1200, 2, 4110 + vcpu, "kvm_exit", (32, 5, 1, 0, vcpu), f"vcpu {vcpu} reason MSR_WRITE rip 0x5 info1 0x0"),
                 (t, 2, 4110 + vcpu, "kvm_msr", (1, 0x6e0, value, 0), f"msr_write 6e0 = {value:#x}"),
                 (t + 10, 2, 4110 + vcpu, "kvm_msr", (0, 0x6e0, 0, 0), "msr_read 6e0 = 0x0"),
                 (t + 800, 2, 4110 + vcpu, "kvm_entry", (vcpu, 7), f"vcpu {vcpu}, rip 0x7"),
                 # The timer's interrupt comes just behind its deadline; others do not count.
                 (t + 500_000, 2, 4110 + vcpu, "kvm_apic_accept_irq", (vcpu, 0, 0, 253), f"apicid {vcpu} vec 253 (Fixed|edge)"),
                 (t + 999_000, 2, 4110 + vcpu, "kvm_apic_accept_irq", (vcpu, 0, 0, 236), f"apicid {vcpu} vec 236 (Fixed|edge)")]
host_cpu, text = both(host, seconds)
read = run(save("host.dat", dat([(None, host_cpu)])))
same(read, run(save("host.txt", text)), "exits", "timer_interrupts", "other_events")
assert (read["traces"][0]["timer_interrupts"], read["traces"][0]["doubtful_writes"]) == (600, 0), read["traces"][0]
assert read["traces"][0]["source"] == "host" and read["traces"][0]["answer"]["write_exit_ns"] == 2000

# One write in two buffers; a gap; nothing in it.
read = run(save("twice.dat", dat([(None, per_cpu), ("second", per_cpu)])))
assert read["traces"][0]["twice"] == 1600 == read["traces"][0]["writes"]
lost = {0: per_cpu[0][:900] + [(0, None)] + per_cpu[0][900:], 1: per_cpu[1]}
assert run(save("lost.dat", dat([(None, lost)])))["traces"][0]["gaps"] == 1
assert "no TSC-deadline write" in run(save("none.dat", dat([(None, {0: [(5, record("sched_switch", 7, (1,)))]})])), 2)
assert "without events" in run(save("empty.dat", dat([(None, {0: []})])), 2)

# Compressed, from a pipe, cut.
data = dat([(None, per_cpu)])
plain = run(guest)
same(plain, run(save("guest.gz", gzip.compress(data))))
same(plain, run("-", stdin=data))
for cut in (30, 600, 3000):
    assert "truncated or damaged" in run(save("cut.dat", data[:cut]), 2)
# Where it says how its pages begin, a changed byte leaves a part of the records.
for word in (b"field: u64 timestamp", b"field: local_t commit"):
    for at in range(data.index(word), data.index(word) + 19, 3):
        assert "truncated or damaged" in run(save("flip.dat", data[:at] + b"~" + data[at + 1:]), 2)
print("files of trace-cmd, made here, say what their text says")
