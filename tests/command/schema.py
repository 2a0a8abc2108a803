#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What each command prints with --json is as its schema in docs/ says, with results of every kind: it
holds, it is violated, bounded, a shard, merged, with histograms, with one vCPU's rows, approximate,
bounds alone. The schemas allow no key that they do not name. (That of replay: tests/replay/output.py.)

Usage: schema.py LAZYTSC SOURCE
Exit status 77: the module jsonschema is missing.
"""
import json
import os
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is missing (harness/deps.sh test)")
    sys.exit(77)

lazytsc, source = sys.argv[1:]
directory = tempfile.TemporaryDirectory()
os.chdir(directory.name)
examples = os.path.join(source, "harness/examples")
idle, rr = os.path.join(examples, "idle.txt.xz"), os.path.join(examples, "tcp-rr.txt.xz")


def stamp(ns):
    return "%d.%09d" % (ns // 10**9, ns % 10**9)


# A host's trace, which is approximate, and one of exits alone.
with open("host.txt", "w") as f:
    for i in range(1, 101):
        for delay, value in ((1000, 11900000), (2000, 12000000)):
            f.write("  CPU 5/KVM-77 [003] d.... %s: kvm_msr: msr_write 6e0 = 0x%x\n" %
                    (stamp(i * 4000000 + delay), i * 12000000 + value))
with open("exits.txt", "w") as f:
    for i in range(1, 60):
        f.write("  CPU 5/KVM-77 [003] d.... %s: kvm_exit: vcpu 0 reason MSR_WRITE rip 0x1 info 0 0\n"
                "  CPU 5/KVM-77 [003] d.... %s: kvm_entry: vcpu 0, rip 0x1\n" %
                (stamp(i * 10**9), stamp(i * 10**9 + 10000)))
# A guest's with exits of its host in one file, with interrupts and without; a host's with those
# that KVM injects.
with open("merged.txt", "w") as merged, open("no-irqs.txt", "w") as no_irqs, open("injected.txt", "w") as injected:
    for i in range(1, 121):
        t = i * 4000000
        for f in merged, no_irqs:
            f.write(" host.dat: CPU 0/KVM-77 [003] d..1. %s: kvm_exit: vcpu 0 reason MSR_WRITE rip 0x5 info1 0x0\n"
                    "guest.dat:  task-7 [000] d.... %s: write_msr: 6e0, value %x\n" %
                    (stamp(t - 3000), stamp(t), 7 * 10**12 + i * 10400000))
        merged.write("guest.dat:  task-7 [000] d.h.. %s: local_timer_entry: vector=236\n" % stamp(t + 3999000))
        injected.write(" CPU 0/KVM 77 [003] %s: kvm:kvm_msr: msr_write 6e0 = %#x\n"
                       " CPU 0/KVM 77 [003] %s: kvm:kvm_apic_accept_irq: apicid 0 vec 236 (Fixed|edge)\n" %
                       (stamp(t), 7 * 10**12 + i * 10400000, stamp(t + 3999000)))
with open("one.txt", "w") as f:
    f.write("  <idle>-0 [000] d..1. 1000: write_msr: 6e0, value 186a0\n")
for shard in "01":
    subprocess.run([lazytsc, "check", "-s", "overdue", "--shard", shard + "/2", "--checkpoint", "part" + shard],
                   check=True, stdout=subprocess.DEVNULL)

small = ["check", "-s", "overdue"]
bad = ["check", "-s", "lvt", "-s", "overdue", "--variant", "reset-keeps-msr"]
calls = {
    "sim": [["sim", "--duration=1ms"], ["sim", "--duration=5ms", "--hist", "--vcpus=2", "--per-vcpu"],
            ["sim", "--duration=1s", "--variants=rfc-v1,stock,early"], ["sim", "--duration=2s", "--trace=" + idle],
            ["sim", "--guest=hostile", "--duration=5ms", "--variants=lazy"]],
    "compare": [["compare", idle, rr], ["compare", idle, "host.txt"], ["compare", "exits.txt", "exits.txt"],
                ["compare", idle, "exits.txt"], ["compare", "merged.txt", "merged.txt"], ["compare", idle, "merged.txt"],
                ["compare", "injected.txt", "no-irqs.txt"], ["compare", "one.txt", "one.txt"]],
    "validate": [["validate", idle], ["validate", "host.txt", rr], ["validate", "merged.txt", "no-irqs.txt", "injected.txt"],
                 ["validate", "bare.txt", "merged.txt"]],
    "check": [small, bad, ["check", "--max-states=30"], small + ["--shard=1/2"], small + ["--model=sc"],
              ["merge", "part0", "part1"], ["check", "-s", "lvt", "--cell=8", "--replay=0 0 0"],
              ["check", "-s", "remote", "--cell=0", "--replay=0 0 0d"],
              ["check", "--defects=inject-then-look", "--max-states=5"], ["check", "--necessity=overdue-skip"]],
}
checked = 0
for name, commands in calls.items():
    with open(os.path.join(source, "docs", name + ".schema.json")) as f:
        schema = json.load(f)
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for command in commands:
        done = subprocess.run([lazytsc] + command + ["--json"], capture_output=True, text=True)
        try:
            out = json.loads(done.stdout)
        except ValueError:
            sys.exit("schema.py: %s: status %d, no JSON: %s" % (command, done.returncode, done.stderr))
        for error in validator.iter_errors(out):
            sys.exit("schema.py: %s: %s: %s" % (command, error.json_path, error.message[:400]))
        checked += 1
        # A schema that takes anything would prove nothing.
        out["surprise"] = 1
        if validator.is_valid(out):
            sys.exit("schema.py: docs/%s.schema.json takes a key that it does not name" % name)
print("%d outputs are as the schemas say" % checked)
