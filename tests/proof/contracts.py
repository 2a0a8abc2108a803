#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prove the contracts of the core's functions with CBMC, or show what they are worth.

contracts.py [options] CONTRACT...    prove these: guest, host, together, predictor, credit
contracts.py [options] --weakened [NAME...]
                                      each weakened line of sim/protocol/mutants/core.list and
                                      tests/proof/weakened.list, or those named, must be refuted by
                                      the contracts of its file

--core=FOLDER   prove what the files there do; others are taken from core/
--cbmc=PROGRAM  default: tests/proof/tools.sh cbmc
--every         with --weakened: each named property must be broken by one of them, or by a simple
                mutant of mutation.py's; what CBMC has not ended in 30 seconds counts as not
                broken, and is counted
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
import mutation  # noqa: E402

TOP = HERE.parents[1]
CORE = TOP / "core"
WEAKENED = [TOP / "sim/protocol/mutants/core.list", HERE / "weakened.list"]
EVERY = ["guest", "host", "together", "predictor", "credit"]
# Checks beside the contracts' own, and what makes it sooner. On the host's side no sum may wrap;
# distances of times do in the others, on purpose.
CHECKS = """--bounds-check --pointer-check --div-by-zero-check --signed-overflow-check
    --undefined-shift-check --conversion-check --unwinding-assertions --slice-formula""".split()
MORE = {"host": ["--unsigned-overflow-check"]}
# Times are differences that wrap, with or without a sign, on purpose: of conversions only those to
# narrower types count.
WRAPS = dict.fromkeys(["predictor", "credit"], re.compile(r"type conversion in \((u64|s64)\)"))
# A function that a contract has in place of the core's, with the part up to its body.
FUNCTION = re.compile(r"^(static [^\n;{]*?\b(\w+)\([^;{]*?\))\n\{\n.*?^\}\n", re.M | re.S)
# An index of an array within a struct that a pointer leads to: CBMC asks only whether the whole
# object ends before it. Loops over all streams are left out: a check of one took minutes more.
INDEX = re.compile(r"(?<=->)(strays|chance|streams(?!\[i\]))\[((?:[^\[\]]|\[\w+\])+)\]")
# The contracts that a change of a file is to be asked of, those of its own first.
CONTRACTS = {"guest.c": ["guest", "together"], "host.c": ["host", "together"], "predictor.c": ["predictor", "credit"]}
# What no line of the core can break: the invariant before the first call.
BASE_CASE = "A7: the invariant holds in the beginning, when all is 0"
# So long may one question of --every take.
EVERY_SECONDS = 30
FAILED = re.compile(r"^\[(\S+)\] (?:file .*? )?line \d+ (.*): FAILURE$", re.M)
NAMED = re.compile(r"[AB]\d|(guest|host|together|predictor): ")
VIOLATED = re.compile(r"^Violated property:\n.* function (\S+) .*\n  (.*)$", re.M)


def functions(text):
    return {m.group(2) for m in FUNCTION.finditer(text)}


def take_out(text, names):
    """The text without the bodies of these functions."""
    return FUNCTION.sub(lambda m: f"{m.group(1)};\n" if m.group(2) in names else m.group(), text)


def write_sources(contract, core, part, folder):
    """A contract, and the files of the core that it includes, each function with one body.

    Of a function that both have the contract's is taken: the others are proven against what it
    says. But the check that is named for a function is of the core's own.
    """
    text = (HERE / "cbmc" / f"{contract}_contracts.c").read_text()
    proven = {name.removeprefix("check_") for name in part}
    for file in re.findall(r'^#include "(\w+\.c)"', text, re.M):
        path = pathlib.Path(core, file)
        code = (path if path.exists() else CORE / file).read_text()
        code = INDEX.sub(r"\1[within(\2, ENTRIES(\1))]", code)
        both = functions(text) & functions(code)
        pathlib.Path(folder, file).write_text(take_out(code, both - proven))
        text = take_out(text, both & proven)
    path = pathlib.Path(folder, f"{contract}_contracts.c")
    path.write_text(text)
    return path


class Unusable(Exception):
    """CBMC cannot be run on it."""


class Result:
    """What one run of CBMC said."""

    def __init__(self, cbmc, contract, core, part=(), first=False, seconds=None):
        wraps = WRAPS.get(contract)
        # The first that fails may be one that does not count: then all are wanted.
        stop = ["--stop-on-fail"] if first and not wraps else []
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            source = write_sources(contract, core, part, folder)
            command = [cbmc, *CHECKS, *MORE.get(contract, []), *stop, *part,
                       f"-I{folder}", f"-I{HERE / 'cbmc'}", f"-I{core}", f"-I{CORE}", f"-I{CORE / 'include'}",
                       str(source)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
            except subprocess.TimeoutExpired:
                self.failed = self.holds = None
                return
        self.seconds = time.monotonic() - start
        self.output = done.stdout + done.stderr
        failed = FAILED.findall(self.output) + VIOLATED.findall(self.output)
        self.failed = [f for f in failed if not (wraps and wraps.search(f[1]))]
        if done.returncode not in (0, 10) or "VERIFICATION" not in self.output:
            raise Unusable(f"contracts.py: {contract}: cbmc ended with {done.returncode}:\n{self.output[-2000:]}")
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


class Copy:
    """A copy of one of the core's files that is weakened, and what it breaks: {(contract, where, text)}."""

    def __init__(self, cbmc, name, file, function, text):
        self.cbmc, self.name, self.file, self.text = cbmc, name, file, text
        self.broken, self.not_ended = set(), 0
        # What is named for the weakened function is asked first.
        self.check = "check_" + function.removeprefix(f"lazytsc_{file.removesuffix('.c')}_")
        self.parts = [(contract, part) for contract in CONTRACTS[file] for part in checks(contract)]
        self.parts.sort(key=lambda p: not self.own(p[1]))

    def own(self, part):
        return any(name.endswith(self.check) for name in part)

    def ask(self, contract, part, first=False, seconds=None):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, self.file).write_text(self.text)
            result = Result(self.cbmc, contract, folder, part, first, seconds)
        if result.failed is None:
            self.not_ended += 1
        else:
            self.broken |= {(contract, *f) for f in result.failed}

    def refute(self, every):
        """Ask until something is broken; every: all that the part which says so has."""
        while self.parts and not self.broken:
            self.ask(*self.parts.pop(0), first=not every)
        return self


def simple_copies(cbmc):
    """Every simple mutant of the core (mutation.py), the program that it makes or not."""
    for file in CONTRACTS:
        lines = (CORE / file).read_text().split("\n")
        for m in mutation.mutants_of(file, lines):
            yield Copy(cbmc, str(m), file, m.function, "\n".join(lines[:m.line - 1] + [m.text] + lines[m.line:]))


class Promises:
    """The named properties of all contracts, and which of them something breaks."""

    def __init__(self, cbmc, jobs):
        self.all = {(c, *p) for c in EVERY for p in run(cbmc, c, CORE, jobs).properties
                    if NAMED.match(p[1]) and p[1] != BASE_CASE}
        self.kept = set(self.all)
        self.not_ended = 0

    def take(self, copy):
        """What this copy breaks. A function that several contracts include is one: they all have it then."""
        shared = {p[1:] for p in copy.broken if not p[1].startswith("check_")}
        self.kept -= copy.broken | {p for p in self.kept if p[1:] in shared}

    def has(self, contract, part):
        """Has this part promises that nothing has broken?"""
        own = tuple(name.removeprefix("-DCHECK=") + "." for name in part)
        # What several parts share may be broken by any of them; a part of the predictor's is slow.
        shared = contract not in ("predictor", "credit")
        return any(c == contract and (where.startswith(own) or (shared and not where.startswith("check_")))
                   for c, where, _ in self.kept)

    def ask(self, copy, only_own):
        """What a copy was not asked yet; only_own: of that what is named for its function."""
        for contract, part in copy.parts:
            if not self.has(contract, part) or (only_own and not copy.own(part)):
                continue
            try:
                copy.ask(contract, part, seconds=EVERY_SECONDS)
            except Unusable:
                pass  # no program
            self.take(copy)
        self.not_ended += copy.not_ended


def weakened(cbmc, jobs, names, every):
    """Every record of the lists, or those of these names; every: and each property must be broken."""
    records = [r for path in WEAKENED for r in mutants.read_list(path) if r.pairs]
    unknown = sorted(set(names) - {r.name for r in records})
    if unknown:
        print(f"contracts.py: no weakened line: {' '.join(unknown)}", file=sys.stderr)
        return 2
    if names:
        records = [r for r in records if r.name in names]
    copies = [Copy(cbmc, r.name, *r.pairs[0][:2], r.text(CORE, r.pairs[0][0])) for r in records]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda c: c.refute(every), copies))
        for copy in copies:
            named = sorted(text for _, _, text in copy.broken if NAMED.match(text))
            print(f"{copy.name:24} "
                  f"{(named or sorted(t for _, _, t in copy.broken) or ['FAIL: nothing refutes it'])[0]}", flush=True)
        refuted = sum(bool(c.broken) for c in copies)
        print(f"{refuted} of {len(records)} weakened lines are refuted by the contracts alone.", flush=True)
        if not every:
            return 0 if refuted == len(records) else 1
        promises = Promises(cbmc, jobs)
        for copy in copies:
            promises.take(copy)
        list(pool.map(lambda c: promises.ask(c, False), copies))
        list(pool.map(lambda c: promises.ask(c, True), simple_copies(cbmc)))
    print(f"{len(promises.all) - len(promises.kept)} of {len(promises.all)} properties are broken by one of them, or "
          f"by a simple mutant; {promises.not_ended} questions were not ended in {EVERY_SECONDS} s.")
    for contract, where, text in sorted(promises.kept):
        print(f"{contract}: {where}  FAIL: nothing breaks it: {text}")
    return 0 if refuted == len(records) and not promises.kept else 1


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
    try:
        sys.exit(main())
    except Unusable as e:
        print(e, file=sys.stderr)
        sys.exit(2)
