#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Write about --mb megabytes of ftrace text: traces one after another, again and again, with time
stamps and deadlines moved on each time, so that the whole is one trace in order.

--filter keeps the deadline writes only, as a trace does that was recorded with a filter.
"""
import argparse
import lzma
import re
import sys

LINE = re.compile(r"^(.{20,60}\] \S+ )(\d+)(: .*)$")
WRITE = re.compile(r"^: write_msr: 6e0, value ([0-9a-f]+)$")


def lines(paths):
    """Of each line: its head, time, tail, and its deadline or None; the traces end to end."""
    shift = 0
    for path in paths:
        opener = lzma.open if path.endswith(".xz") else open
        first = last = None
        with opener(path, "rt") as f:
            for text in f:
                m = LINE.match(text)
                if not m:
                    continue
                head, ts, tail = m.group(1), int(m.group(2)), m.group(3)
                if first is None:
                    first = ts
                last = max(last or ts, ts)
                w = WRITE.match(tail)
                yield head, ts - first + shift, tail, w and int(w.group(1), 16) - first + shift
        if first is None:
            sys.exit(f"{path}: no trace line")
        shift += last - first + 10**7


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--mb", type=int, default=200)
    p.add_argument("--filter", action="store_true")
    p.add_argument("traces", nargs="+")
    a = p.parse_args()
    once = [l for l in lines(a.traces) if not a.filter or l[3] is not None]
    span = max(l[1] for l in once) + 10**7
    left = a.mb * 10**6
    base = 10**12
    while left > 0:
        text = "".join(
            f"{head}{ts + base}: write_msr: 6e0, value {value + base:x}\n"
            if value is not None
            else f"{head}{ts + base}{tail}\n"
            for head, ts, tail, value in once
        )
        sys.stdout.write(text)
        left -= len(text)
        base += span


main()
