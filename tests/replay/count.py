#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Counts what each vCPU of an x86-tsc trace costs under the stock timer and under the lazy protocol.

Written from docs/protocol.md and docs/replay.md alone, with nothing of the project's code, so that
the replay has something to agree with. Prints one line for each vCPU: trace, vCPU, stock writes,
stock deliveries, lazy writes, skips, silent expiries, lazy deliveries.

Usage: count.py TRACE.txt.xz...
"""
import lzma
import os
import re
import sys

LINE = re.compile(r"\[(\d+)\].*?(\d+): (?:msr:)?write_msr: 6e0, value ([0-9a-f]+)")


def writes(path):
    """Each vCPU's (time, deadline) in the order of the trace."""
    vcpus = {}
    with lzma.open(path, "rt", encoding="ascii", errors="replace") as trace:
        for line in trace:
            found = LINE.search(line)
            if found:
                vcpu, now, value = int(found[1]), int(found[2]), int(found[3], 16)
                vcpus.setdefault(vcpu, []).append((now, value))
    return vcpus


def stock(events):
    """Every write exits. A deadline is delivered when it passes before the next write."""
    delivered = 0
    armed = 0
    for now, value in events:
        if armed and armed <= now:
            delivered += 1
        armed = value
        if value and value <= now:
            delivered += 1
            armed = 0
    return len(events), delivered


def lazy(events):
    """The protocol's two rules, with a timer that fires exactly when it is armed."""
    wrote = skipped = silent = delivered = 0
    armed = pending = 0
    for now, value in events:
        while armed and armed <= now:
            fired = armed
            if pending > fired:
                silent += 1
                armed = pending
            elif pending == fired:
                delivered += 1
                armed = 0
            else:
                silent += 1
                armed = 0
        pending = value
        if armed and (value == 0 or value >= armed):
            skipped += 1
            continue
        wrote += 1
        armed = value
        if value and value <= now:
            delivered += 1
            armed = 0
    return wrote, skipped, silent, delivered


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.strip().splitlines()[-1])
    print("trace\tvcpu\tstock_writes\tstock_delivered\tlazy_writes\tlazy_skips\tlazy_silent\tlazy_delivered")
    for path in sys.argv[1:]:
        name = os.path.basename(path).removesuffix(".txt.xz")
        for vcpu, events in sorted(writes(path).items()):
            print(name, vcpu, *stock(events), *lazy(events), sep="\t")


main()
