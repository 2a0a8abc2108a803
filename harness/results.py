#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Replay every trace at hand under stock, rfc-v3, lazy, early and bound, with and without free looks,
and write the tables and the plot of docs/early-results.md.

Traces: ../shared/traces where it exists, harness/examples and harness/bench/traces. With --check
nothing is written: the rows of the traces at hand must be those in docs/. Needs gnuplot, except with
--check.

Exit status: 0 done; 1 --check found a difference; 2 a trace or a tool failed.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "early-results.md"
PLOT = ROOT / "docs" / "early-results.svg"
VARIANTS = ["stock", "rfc-v3", "lazy", "early", "bound"]
FREE = ["lazy-free", "early-free", "bound-free"]
GUESTS = ["tick", "nohz-rr", "cyclic", "storm", "random"]
GUEST_TIME = "10s"
SLACK = 2596  # a microsecond of these traces' guests
FOLDERS = [("shared", ROOT.parent / "shared" / "traces"),
           ("own", ROOT / "harness" / "examples"),
           ("own", ROOT / "harness" / "bench" / "traces")]

HEAD = f"""# Arm early: what it gets

Written by `harness/results.py`; do not edit. Host entries besides deliveries, slack {SLACK} cycles (one
microsecond). "shared" are reference traces of another guest, which lie beside a checkout where they
exist; "own" are those of harness/examples and harness/bench/traces. [early.md](early.md) has the method, the bound
and the ablation. A host with slack
can be below the bound, which is that of hosts without.

![host entries of each trace](early-results.svg)

"""


def fail(message):
    print(f"results.py: {message}", file=sys.stderr)
    sys.exit(2)


def totals(lazytsc, trace):
    """variant -> its total row."""
    run = subprocess.run([lazytsc, "replay", "--json", "--slack", str(SLACK),
                          "--variants", ",".join(VARIANTS + FREE), trace],
                         capture_output=True, text=True, check=False)
    if run.returncode:
        fail(f"{trace}: {run.stderr.strip()}")
    return {row["variant"]: row for row in json.loads(run.stdout)["rows"]
            if row["vcpu"] == "total"}


def number(n):
    return f"{n:,}"


TIME_HEAD = """
## Host time and lateness

By the simulator's cost model, in cycles at 2.6 GHz: what exits, host timers (those that deliver
included) and waits take of the host, in thousands, and what passes on average from a deadline until
its interrupt is in the guest. The stock timer is never earlier than the exit of its own expiry; a
timer that fires a little early has that exit behind it at the deadline.

"""
TIMED = ["stock", "rfc-v3", "lazy", "early"]
TIME_COLUMNS = (["trace"] + [f"host, {v}" for v in TIMED] + [f"late, {v}" for v in TIMED] +
                ["interrupts, stock", "interrupts, early"])

FREE_HEAD = """
## Free looks

Of the traces that tell when the guest halts ([early.md](early.md#free-looks)): host entries besides deliveries,
and of them the silent expiries.

"""
FREE_COLUMNS = (["trace", "stock"] + [f"{v}{with_}" for v in ("lazy", "early", "bound") for with_ in ("", "-free")] +
                ["early-free / early"] + [f"silent, {v}" for v in ("lazy", "lazy-free", "early", "early-free")])

GUEST_HEAD = f"""
## Simulated guests

`lazytsc sim --guest NAME --duration {GUEST_TIME}`, one vCPU, the hv timer, a timer advance of 1 us, which
is the slack as well. Silent expiries of a blocked vCPU do not wake it and are no exits; they are part
of the host entries.

"""
GUEST_VARIANTS = ["stock", "lazy", "early"]
GUEST_COLUMNS = (["guest"] + GUEST_VARIANTS + ["early / lazy", "silent, blocked"] +
                 [f"host us, {v}" for v in GUEST_VARIANTS] +
                 [f"late us, {v}" for v in GUEST_VARIANTS])

COLUMNS = ["trace"] + VARIANTS + ["early / lazy", "exits", "silent", "waited / delivery"]


def line(name, rows):
    early, lazy = rows["early"], rows["lazy"]
    ratio = early["host_entries"] / lazy["host_entries"] if lazy["host_entries"] else 1
    waited = early["waited_cycles"] / max(early["injections"], 1)
    cells = [name] + [number(rows[v]["host_entries"]) for v in VARIANTS]
    cells += [f"{100 * ratio:.1f} %", number(early["msr_write_exits"]),
              number(early["silent_expiries"]), f"{waited:.0f} cycles"]
    return "| " + " | ".join(cells) + " |"


def time_line(name, rows):
    cells = [name] + [number(rows[v]["host_cycles"] // 1000) for v in TIMED]
    cells += [f"{rows[v]['late_cycles'] / max(rows[v]['injections'], 1):,.0f}" for v in TIMED]
    cells += [number(rows[v]["injections"]) for v in ("stock", "early")]
    return "| " + " | ".join(cells) + " |"


def free_line(name, rows):
    order = [f"{v}{with_}" for v in ("lazy", "early", "bound") for with_ in ("", "-free")]
    ratio = rows["early-free"]["host_entries"] / max(rows["early"]["host_entries"], 1)
    cells = [name] + [number(rows[v]["host_entries"]) for v in ["stock"] + order] + [f"{100 * ratio:.1f} %"]
    cells += [number(rows[v]["silent_expiries"]) for v in ("lazy", "lazy-free", "early", "early-free")]
    return "| " + " | ".join(cells) + " |"


def guest_line(lazytsc, guest):
    run = subprocess.run([lazytsc, "sim", "--json", "--guest", guest, "--duration", GUEST_TIME,
                          "--variants", ",".join(GUEST_VARIANTS)],
                         capture_output=True, text=True, check=False)
    if run.returncode:
        fail(f"{guest}: {run.stderr.strip()}")
    rows = {r["variant"]: r for r in json.loads(run.stdout)["rows"] if r["vcpu"] == "total"}
    early, lazy = rows["early"], rows["lazy"]
    cells = [guest] + [number(rows[v]["host_entries"]) for v in GUEST_VARIANTS]
    cells += [f"{100 * early['host_entries'] / lazy['host_entries']:.1f} %",
              number(early["silent_blocked"])]
    cells += [number(rows[v]["host_us"]) for v in GUEST_VARIANTS]
    cells += [f"{rows[v]['late_avg_ns'] / 1000:.2f}" for v in GUEST_VARIANTS]
    return "| " + " | ".join(cells) + " |"


def table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|-|" + "-:|" * (len(columns) - 1)] + rows
    return "\n".join(lines) + "\n"


def collect(lazytsc):
    found = []
    for group, folder in FOLDERS:
        traces = sorted(folder.glob("*.txt.xz"))
        if not traces:
            print(f"results.py: no traces in {folder}", file=sys.stderr)
        for trace in traces:
            name = f"{group}: {trace.name.removesuffix('.txt.xz')}"
            found.append((name, totals(lazytsc, trace)))
    return found


def plot(found):
    with tempfile.TemporaryDirectory() as tmp:
        data = pathlib.Path(tmp) / "data"
        with data.open("w", encoding="utf-8") as f:
            for name, rows in found:
                values = [str(max(rows[v]["host_entries"], 1)) for v in VARIANTS]
                f.write(f'"{name}" ' + " ".join(values) + "\n")
        bars = ", ".join(f"'{data}' using {i + 2}:xtic(1) title '{v}'"
                         for i, v in enumerate(VARIANTS))
        script = f"""
            set terminal svg size 1000,480 font 'sans,11' background rgb 'white'
            set output '{PLOT}'
            set style data histogram
            set style histogram clustered gap 1
            set style fill solid 0.9
            set logscale y
            set yrange [1:*]
            set ylabel 'host entries besides deliveries'
            set grid y
            set xtics rotate by -35
            set key outside top center horizontal
            plot {bars}
        """
        run = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True, check=False)
        if run.returncode:
            fail(f"gnuplot: {run.stderr.strip()}")


def main():
    args = argparse.ArgumentParser(description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--lazytsc", default=ROOT / "build" / "release" / "harness" / "lazytsc")
    args.add_argument("--check", action="store_true")
    options = args.parse_args()

    found = collect(options.lazytsc)
    rows = [line(name, r) for name, r in found]
    times = [time_line(name, r) for name, r in found]
    free = [free_line(name, r) for name, r in found if r["bound-free"]["host_entries"] is not None]
    guests = [guest_line(options.lazytsc, g) for g in GUESTS]
    if options.check:
        have = PAGE.read_text(encoding="utf-8").splitlines()
        rows += free + times + guests
        stale = [r for r in rows if r not in have]
        for r in stale:
            print(f"{PAGE}: not there: {r}")
        print(f"{len(rows) - len(stale)} of {len(rows)} rows as in {PAGE.name}")
        sys.exit(1 if stale else 0)
    PAGE.write_text(HEAD + table(COLUMNS, rows) + FREE_HEAD + table(FREE_COLUMNS, free) + TIME_HEAD + table(TIME_COLUMNS, times) +
                    GUEST_HEAD + table(GUEST_COLUMNS, guests), encoding="utf-8")
    plot(found)


if __name__ == "__main__":
    main()
