#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prove the contracts of the core's functions with CBMC, or show what they are worth.

contracts.py [options] CONTRACT...    prove these: guest, host, together, predictor,
                                      credit, frame
contracts.py [options] --weakened [NAME...]
                                      each weakened line of sim/protocol/mutants/core.list and
                                      tests/proof/weakened.list, or those named, must be refuted by
                                      the contracts of its file

--core=FOLDER   prove what the files there do; others are taken from core/
--cbmc=PROGRAM  default: tests/proof/tools.sh cbmc
--every         with --weakened: each named property of guest, host, together, credit and frame
                must be broken by one of them
--first         stop at the first property that does not hold: sooner, where one is expected
-j N            so many at a time (default: one for each CPU)
-v              name every property

Exit status: 0 all hold, or all are refuted; 1 one is not; 2 usage, or CBMC cannot be run.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
import mutants  # noqa: E402

TOP = HERE.parents[1]
CORE = TOP / "core"
WEAKENED = [TOP / "sim/protocol/mutants/core.list", HERE / "weakened.list"]
EVERY = ["guest", "host", "together", "credit", "frame"]
# Checks beside the contracts' own, and what makes it sooner. On the host's side no sum may wrap;
# distances of times do in the others, on purpose.
CHECKS = """--bounds-check --pointer-check --div-by-zero-check --signed-overflow-check
    --undefined-shift-check --conversion-check --unwinding-assertions --slice-formula""".split()
MORE = {"host": ["--unsigned-overflow-check"]}
# Times are differences that wrap, with or without a sign, on purpose: of conversions only those to
# narrower types count.
WRAPS = dict.fromkeys(["predictor", "credit"], re.compile(r"type conversion in \((u64|s64)\)"))
# What these say does not depend on what those checks are about.
BARE = {"frame": ["--no-standard-checks", "--unwinding-assertions", "--slice-formula"]}
# Functions of a file of the core whose bodies a contract has in place of the core's.
TAKEN_OUT = {"credit": {"predictor.c": ["observe", "pass_all", "choose"]}}
# The contracts that a change of a file is to be asked of, those of its own first.
CONTRACTS = {"guest.c": ["guest", "together"], "host.c": ["host", "together"], "predictor.c": ["credit", "frame"]}
FAILED = re.compile(r"^\[(\S+)\] (?:file .*? )?line \d+ (.*): FAILURE$", re.M)
NAMED = re.compile(r"[AB]\d|(guest|host|together|predictor): ")
VIOLATED = re.compile(r"^Violated property:\n.* function (\S+) .*\n  (.*)$", re.M)


def take_out(contract, core, folder):
    """Into that folder, the files of the core without the bodies of what this contract replaces."""
    for file, names in TAKEN_OUT.get(contract, {}).items():
        path = pathlib.Path(core, file)
        text = (path if path.exists() else CORE / file).read_text()
        for name in names:
            text, hits = re.subn(rf"^(static [^\n;{{]*\b{name}\([^;{{]*?\))\n\{{\n.*?^\}}\n", r"\1;\n", text,
                                 flags=re.M | re.S)
            if hits != 1:
                raise ValueError(f"{file}: {hits} functions {name}(), not 1")
        pathlib.Path(folder, file).write_text(text)


class Result:
    """What one run of CBMC said."""

    def __init__(self, cbmc, contract, core, part=(), first=False):
        wraps = WRAPS.get(contract)
        # The first that fails may be one that does not count: then all are wanted.
        stop = ["--stop-on-fail"] if first and not wraps else []
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            take_out(contract, core, folder)
            command = [cbmc, *BARE.get(contract, CHECKS), *MORE.get(contract, []), *stop, *part,
                       f"-I{HERE / 'cbmc'}", f"-I{folder}", f"-I{core}", f"-I{CORE}", f"-I{CORE / 'include'}",
                       str(HERE / "cbmc" / f"{contract}_contracts.c")]
            done = subprocess.run(command, capture_output=True, text=True)
        self.seconds = time.monotonic() - start
        self.output = done.stdout + done.stderr
        failed = FAILED.findall(self.output) + VIOLATED.findall(self.output)
        self.failed = [f for f in failed if not (wraps and wraps.search(f[1]))]
        if done.returncode not in (0, 10) or "VERIFICATION" not in self.output:
            print(f"contracts.py: {contract}: cbmc ended with {done.returncode}:\n{self.output[-2000:]}",
                  file=sys.stderr)
            sys.exit(2)
        self.holds = not self.failed and (done.returncode == 0 or bool(wraps))
        self.properties = re.findall(r"^\[(\S+)\] (?:file .*? )?line \d+ (.*): SUCCESS$", self.output, re.M)


def checks(contract):
    """The parts of a contract, each what CBMC is to be told to prove it alone."""
    text = (HERE / "cbmc" / f"{contract}_contracts.c").read_text()
    names = re.findall(r"^static void (check_\w+)\(", text, re.M)
    if "int main(void)" not in text:
        return [["--function", name] for name in names]
    return [[f"-DCHECK={name}"] for name in names] or [[]]


def run(cbmc, contract, core, jobs=1, first=False):
    """All parts of a contract, as one result; first: up to the first that does not hold."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        parts = []
        for part in (map if first else pool.map)(lambda p: Result(cbmc, contract, core, p, first), checks(contract)):
            parts.append(part)
            if first and not part.holds:
                break
    result = parts[0]
    for part in parts[1:]:
        result.holds = result.holds and part.holds
        result.seconds += part.seconds
        result.failed += part.failed
        result.properties += part.properties
    result.parts = len(parts)
    return result


def prove(cbmc, names, core, jobs, first, verbose):
    """Each contract of the core, or of a copy of it."""
    failed = False
    for name in names:
        result = run(cbmc, name, core, jobs, first)
        named = sorted({text for _, text in result.properties if NAMED.match(text)})
        if result.holds and result.parts > 1:
            # What a part does not reach holds in it for no reason: its checks are not counted.
            print(f"{name}: every check holds for all values in {result.parts} parts, {len(named)} of them named "
                  f"promises ({result.seconds:.0f} s)")
        elif result.holds:
            print(f"{name}: {len(result.properties)} checks hold for all values, {len(named)} of them named "
                  f"promises ({result.seconds:.0f} s)")
        else:
            failed = True
            print(f"{name}: FAIL: {len(result.failed)} of {len(result.failed) + len(result.properties)} checks:")
            for where, text in result.failed:
                print(f"  {where}  {text}")
        if verbose:
            print("".join(f"  {text}\n" for text in named), end="")
    return not failed


def refute(cbmc, record, every):
    """What a weakened copy of the core breaks, as {(property, its text)}; every: all of it."""
    broken = set()
    with tempfile.TemporaryDirectory() as folder:
        file = record.pairs[0][0]
        pathlib.Path(folder, file).write_text(record.text(CORE, file))
        for contract in CONTRACTS[file]:
            if broken and not every:
                break
            broken |= {(contract, *f) for f in run(cbmc, contract, folder, first=not every).failed}
    return broken


def weakened(cbmc, jobs, names, every):
    """Every record of the lists, or those of these names; every: and each property must be broken."""
    records = [r for path in WEAKENED for r in mutants.read_list(path) if r.pairs]
    unknown = sorted(set(names) - {r.name for r in records})
    if unknown:
        print(f"contracts.py: no weakened line: {' '.join(unknown)}", file=sys.stderr)
        return 2
    if names:
        records = [r for r in records if r.name in names]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(lambda r: refute(cbmc, r, every), records))
    for record, broken in zip(records, found):
        named = sorted(text for _, _, text in broken if NAMED.match(text))
        print(f"{record.name:24} {(named or sorted(t for _, _, t in broken) or ['FAIL: nothing refutes it'])[0]}")
    print(f"{sum(map(bool, found))} of {len(records)} weakened lines are refuted by the contracts alone.")
    kept = 0
    if every:
        broken = set().union(*found)
        promises = {(c, *p) for c in EVERY for p in run(cbmc, c, CORE, jobs).properties
                    if NAMED.match(p[1])}
        kept = promises - broken
        print(f"{len(promises) - len(kept)} of {len(promises)} properties are broken by one of them.")
        for contract, where, text in sorted(kept):
            print(f"{contract}: {where}  FAIL: nothing breaks it: {text}")
    return 0 if all(found) and not kept else 1


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--weakened", action="store_true")
    parser.add_argument("--core", type=pathlib.Path, default=CORE)
    parser.add_argument("--cbmc")
    parser.add_argument("-j", type=int, default=os.cpu_count())
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--first", action="store_true")
    parser.add_argument("-v", action="store_true")
    parser.add_argument("contract", nargs="*", metavar="NAME")
    options = parser.parse_args()
    there = sorted(p.name.removesuffix("_contracts.c") for p in (HERE / "cbmc").glob("*_contracts.c"))
    for name in [] if options.weakened else options.contract:
        if name not in there:
            print(f"contracts.py: no contract '{name}'; there are: {' '.join(there)}", file=sys.stderr)
            return 2
    if not any(options.core.glob("*.c")):
        print(f"contracts.py: {options.core}: no file of the core is there", file=sys.stderr)
        return 2
    if not options.contract and not options.weakened:
        parser.print_usage(sys.stderr)
        return 2
    cbmc = options.cbmc
    if not cbmc:
        tools = subprocess.run([HERE / "tools.sh", "cbmc"], stdout=subprocess.PIPE, text=True)
        if tools.returncode:
            return 2
        cbmc = tools.stdout.strip()
    if options.weakened:
        return weakened(cbmc, options.j, options.contract, options.every)
    return 0 if prove(cbmc, options.contract, options.core, options.j, options.first, options.v) else 1


if __name__ == "__main__":
    sys.exit(main())
