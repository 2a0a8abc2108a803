#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prove the contracts of the core's functions with CBMC, or show what they are worth.

contracts.py [options] CONTRACT...    prove these: guest, host, together, predictor
contracts.py [options] --weakened [NAME...]
                                      each weakened line of sim/protocol/mutants/core.list, or those
                                      named, must be refuted by the contracts of its file

--core=FOLDER   prove what the files there do; others are taken from core/
--cbmc=PROGRAM  default: tests/proof/tools.sh cbmc
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
# Checks beside the contracts' own. On the host's side no sum may wrap; distances of times do in the
# others, on purpose.
CHECKS = """--bounds-check --pointer-check --div-by-zero-check --signed-overflow-check
    --undefined-shift-check --conversion-check --unwinding-assertions""".split()
MORE = {"host": ["--unsigned-overflow-check"]}
# Times are differences that wrap, with or without a sign, on purpose: of conversions only those to
# narrower types count.
WRAPS = {"predictor": re.compile(r"type conversion in \((u64|s64)\)")}
FAILED = re.compile(r"^\[(\S+)\] (?:file .*? )?line \d+ (.*): FAILURE$", re.M)


class Result:
    """What one run of CBMC said."""

    def __init__(self, cbmc, contract, core, more=(), function="main"):
        command = [cbmc, *CHECKS, *MORE.get(contract, []), *more, "--function", function,
                   f"-I{HERE / 'cbmc'}", f"-I{core}", f"-I{CORE}", f"-I{CORE / 'include'}",
                   str(HERE / "cbmc" / f"{contract}_contracts.c")]
        start = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True)
        self.seconds = time.monotonic() - start
        self.output = done.stdout + done.stderr
        wraps = WRAPS.get(contract)
        self.failed = [f for f in FAILED.findall(self.output) if not (wraps and wraps.search(f[1]))]
        if done.returncode not in (0, 10) or "VERIFICATION" not in self.output:
            print(f"contracts.py: {contract}: cbmc ended with {done.returncode}:\n{self.output[-2000:]}",
                  file=sys.stderr)
            sys.exit(2)
        self.holds = not self.failed and (done.returncode == 0 or bool(wraps))
        self.properties = re.findall(r"^\[(\S+)\] (?:file .*? )?line \d+ (.*): SUCCESS$", self.output, re.M)


def functions(contract):
    """Where a contract begins: main, or, where that is too much at a time, each check alone."""
    text = (HERE / "cbmc" / f"{contract}_contracts.c").read_text()
    return ["main"] if "int main(void)" in text else re.findall(r"^static void (check_\w+)\(void\)$", text, re.M)


def prove(cbmc, names, core, jobs, verbose):
    """Each contract of the core, or of a copy of it."""
    failed = False
    for name in names:
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            parts = list(pool.map(lambda f: Result(cbmc, name, core, function=f), functions(name)))
        result = parts[0]
        for part in parts[1:]:
            result.holds = result.holds and part.holds
            result.seconds += part.seconds
            result.failed += part.failed
            result.properties += part.properties
        named = sorted({text for _, text in result.properties if re.match(r"[A-Z]\d|guest:|host:", text)})
        if result.holds and len(parts) > 1:
            # What a part does not reach holds in it for no reason: its checks are not counted.
            print(f"{name}: every check holds for all values in {len(parts)} parts, {len(named)} of them named "
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


def refute(cbmc, record):
    """The first property that a weakened copy of the core breaks, or None."""
    with tempfile.TemporaryDirectory() as folder:
        file = record.pairs[0][0]
        pathlib.Path(folder, file).write_text(record.text(CORE, file))
        result = Result(cbmc, file.removesuffix(".c"), folder, ["--stop-on-fail"])
        found = re.search(r"^Violated property:\n.*\n  (.*)$", result.output, re.M)
        return found.group(1) if found and not result.holds else None


def weakened(cbmc, jobs, names):
    """Every record of core.list, or those of these names."""
    records = [r for r in mutants.read_list(TOP / "sim/protocol/mutants/core.list") if r.pairs]
    unknown = sorted(set(names) - {r.name for r in records})
    if unknown:
        print(f"contracts.py: not in core.list: {' '.join(unknown)}", file=sys.stderr)
        return 2
    if names:
        records = [r for r in records if r.name in names]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(lambda r: refute(cbmc, r), records))
    for record, text in zip(records, found):
        print(f"{record.name:24} {text or 'FAIL: nothing refutes it'}")
    print(f"{sum(map(bool, found))} of {len(records)} weakened lines are refuted by the contracts alone.")
    return 0 if all(found) else 1


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--weakened", action="store_true")
    parser.add_argument("--core", type=pathlib.Path, default=CORE)
    parser.add_argument("--cbmc")
    parser.add_argument("-j", type=int, default=os.cpu_count())
    parser.add_argument("-v", action="store_true")
    parser.add_argument("contract", nargs="*", metavar="NAME")
    options = parser.parse_args()
    there = sorted(p.name.removesuffix("_contracts.c") for p in (HERE / "cbmc").glob("*_contracts.c"))
    for name in [] if options.weakened else options.contract:
        if name not in there:
            print(f"contracts.py: no contract '{name}'; there are: {' '.join(there)}", file=sys.stderr)
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
        return weakened(cbmc, options.j, options.contract)
    return 0 if prove(cbmc, options.contract, options.core, options.j, options.v) else 1


if __name__ == "__main__":
    sys.exit(main())
