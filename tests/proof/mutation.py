#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How strong are the tests of the core? Change one thing at a time, and see what notices.

mutation.py [options] [FILE.c...]   every simple mutant of these files of core/ (default: all three)

A mutant has one comparison, operator, constant, statement or returned value changed. One that the
compiler makes the same code of is equivalent, and counted apart. The others go through the unit
tests, the contracts, the simulated machine and guests, and the checker, in this order, until
something fails.
Prints a table, and each mutant that survives.

--changed=BASE   only mutants of lines that differ from this commit; nothing differs: nothing to do
--methods=LIST   of units,contracts,simulator,checker (default: all)
--least=PERCENT  fail when fewer of the mutants that are not equivalent are killed in some file
--build=FOLDER   a build of this source tree (default: build/release)
--json           one object: files, with counts and survivors
-j N             so many at a time (default: one for each CPU)

Exit status: 0 done; 1 fewer than --least; 2 usage, or something cannot be built or run.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
CORE = TOP / "core"
FILES = ["guest.c", "host.c", "predictor.c"]
METHODS = ["units", "contracts", "simulator", "checker"]
# By method: program of the build, its arguments, the files that it is for.
PROGRAMS = {
    "units": [("tests/unit/test-guest", [], ["guest.c"]), ("tests/unit/test-host", [], ["host.c"]),
              ("tests/unit/test-predictor", [], ["predictor.c"])],
    "simulator": [("tests/early/test-early-adversary", [], ["predictor.c"]),
                  ("tests/early/test-early-guests", [], ["predictor.c"]),
                  ("tests/sim/test-machine", [], FILES)],
    "checker": [("harness/lazytsc", ["check"], ["guest.c", "host.c"])],
}
SECONDS = {"units": 20, "simulator": 120, "checker": 600}  # a mutant that takes longer hangs: killed

SWAPS = [
    (r"(?<![<>=!-])<(?![<=])", ["<=", ">="]), (r"(?<![<>=-])>(?![>=])", [">=", "<="]),
    (r"(?<!<)<=", ["<", ">"]), (r"(?<!>)>=", [">", "<"]), (r"==", ["!="]), (r"!=", ["=="]),
    (r"&&", ["||"]), (r"\|\|", ["&&"]), (r" \+ ", [" - "]), (r" - ", [" + "]), (r" \* ", [" / "]),
    (r" / ", [" * "]), (r"<<(?!=)", [">>"]), (r">>(?!=)", ["<<"]), (r" \+= ", [" -= "]),
    (r" -= ", [" += "]), (r"\+\+", ["--"]), (r"(?<!-)--", ["++"]), (r" \| ", [" & "]), (r" & ", [" | "]),
    (r"!(?=[\w(])", [""]), (r"\btrue\b", ["false"]), (r"\bfalse\b", ["true"]),
]
NUMBER = re.compile(r"(?<![\w.])(\d+)(?=U?L*\b)")
DELETED = re.compile(r"^(\t+)((?:\*?[\w>\[\].| -]+ (?:[-+|]?=) .*|[\w>\[\].-]+(?:\+\+|--)|\w+\(.*\)|break|continue);)$")
RETURN = re.compile(r"^(\t+return )(.+);$")


class Unusable(Exception):
    """The build, or a prover, cannot be used."""


class Mutant:
    def __init__(self, file, line, text, was):
        self.file, self.line, self.text, self.was = file, line, text, was

    def __str__(self):
        return f"{self.file}:{self.line}: '{self.was.strip()}' -> '{self.text.strip()}'"


def mutants_of(file, lines):
    """Every simple mutant of a file, in order."""
    comment = False
    for number, line in enumerate(lines, 1):
        code = re.sub(r"/\*.*?\*/", lambda m: " " * len(m.group()), line)
        if comment:
            comment = "*/" not in code
            continue
        if "/*" in code:
            comment, code = True, code[:code.index("/*")]
        if "//" in code or (code.startswith("#") and not code.startswith("#define")):
            continue
        texts = []
        for pattern, others in SWAPS:
            for m in re.finditer(pattern, code):
                texts += [line[:m.start()] + other + line[m.end():] for other in others]
        for m in NUMBER.finditer(code):
            if code.startswith("#define") and m.start() < code.index(" "):
                continue
            texts += [line[:m.start()] + str(n) + line[m.end():]
                      for n in {int(m.group()) + 1, max(int(m.group()) - 1, 0)} - {int(m.group())}]
        stripped = code.rstrip()
        m = DELETED.match(stripped)
        if m and not re.match(r"\t+(return|goto|u64|u32|u8|s64|bool|int|struct|const)\b", stripped):
            texts.append(m.group(1) + ";")
        m = RETURN.match(stripped)
        if m:
            texts += [f"{m.group(1)}{v};" for v in ("0", "1") if v != m.group(2)]
        for text in dict.fromkeys(texts):
            yield Mutant(file, number, text, line)


class Build:
    """Compile and link with one object of a build replaced."""

    def __init__(self, folder):
        self.folder = folder
        done = subprocess.run(["ninja", "-C", folder, "-t", "commands"], capture_output=True, text=True)
        if done.returncode:
            raise Unusable(f"{folder}: no build with ninja (cmake --preset release, and build it)")
        self.compile, self.link = {}, {}
        for command in done.stdout.splitlines():
            for file in FILES:
                if command.endswith(f" -c {CORE / file}"):
                    port = "sim" if "/sim/engine/port " in command else "core"
                    self.compile[port, file] = command
        for programs in PROGRAMS.values():
            for program, _, _ in programs:
                lines = [c for c in done.stdout.splitlines() if f" -o {program} " in c]
                if len(lines) != 1 or not (folder / program).exists():
                    raise Unusable(f"{folder / program}: not built")
                self.link[program] = lines[0]

    def object(self, port, file, source, out):
        """Compile; None: it is no C program."""
        words = shlex.split(self.compile[port, file])
        keep = [w for i, w in enumerate(words[:-1]) if w not in ("-MD", "-g", "-Werror", "-c") and
                w not in ("-MT", "-MF", "-o") and words[i - 1] not in ("-MT", "-MF", "-o")]
        # In its own directory, under its own name: the same code gives the same bytes.
        done = subprocess.run([*keep, "-w", "-c", source.name, "-o", out], cwd=source.parent, capture_output=True)
        return out.read_bytes() if done.returncode == 0 else None

    def program(self, name, objects, out):
        words = shlex.split(self.link[name].removeprefix(": && ").removesuffix(" && :"))
        words[words.index("-o") + 1] = str(out)
        at = next(i for i, w in enumerate(words) if w.endswith(".a"))
        # Before the libraries: what the mutant defines is not taken from them.
        port = "sim" if any("liblazytsc-sim" in w for w in words) else "core"
        words.insert(at, str(objects[port]))
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise Unusable(f"{name}: {done.stderr[-500:]}")


def fails(command, seconds):
    try:
        done = subprocess.run(command, cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              stdin=subprocess.DEVNULL, timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def refuted(file, folder):
    """Do the contracts of this file fail for the copy in that folder?"""
    done = subprocess.run([HERE / "contracts.py", f"--core={folder}", file.removesuffix(".c")],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode == 2:
        raise Unusable(done.stderr.strip())
    return done.returncode == 1


def judge(build, same, mutant, methods):
    """What kills it: a method, 'equivalent', 'no program', or None."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        lines = (CORE / mutant.file).read_text().split("\n")
        lines[mutant.line - 1] = mutant.text
        source = folder / mutant.file
        source.write_text("\n".join(lines))
        objects = {port: folder / f"{port}.o" for port in ("core", "sim")}
        code = {port: build.object(port, mutant.file, source, out) for port, out in objects.items()}
        if None in code.values():
            return "no program"
        if code == same[mutant.file]:
            return "equivalent"
        for method in methods:
            if method == "contracts" and refuted(mutant.file, folder):
                return method
            for program, arguments, files in PROGRAMS.get(method, []):
                if mutant.file not in files:
                    continue
                build.program(program, objects, folder / "program")
                if fails([folder / "program", *arguments], SECONDS[method]):
                    return method
    return None


def originals(build, methods):
    """The code of the core as it is; its tests must pass, or no mutant can be judged by them."""
    same = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for file in FILES:
            source = folder / file
            source.write_text((CORE / file).read_text())
            objects = {port: folder / f"{port}.o" for port in ("core", "sim")}
            same[file] = {port: build.object(port, file, source, out) for port, out in objects.items()}
            if None in same[file].values():
                raise Unusable(f"{file}: does not compile as it is")
            for method in methods:
                for program, arguments, files in PROGRAMS.get(method, []):
                    if file not in files:
                        continue
                    build.program(program, objects, folder / "program")
                    if fails([folder / "program", *arguments], SECONDS[method]):
                        raise Unusable(f"{program} fails without any mutant")
    return same


def changed_lines(base, file):
    """The lines of a file that differ from a commit."""
    done = subprocess.run(["git", "-C", TOP, "diff", "-U0", base, "--", CORE / file], capture_output=True, text=True)
    if done.returncode:
        raise Unusable(f"git diff {base}: {done.stderr.strip()}")
    lines = set()
    for start, count in re.findall(r"^@@ .*\+(\d+)(?:,(\d+))? @@", done.stdout, re.M):
        lines |= set(range(int(start), int(start) + int(count or 1)))
    return lines


def report(results, as_json, methods):
    """Print what became of the mutants of each file; the least share killed, in percent."""
    rows, least = [], 100.0
    for file in FILES:
        mine = [(m, verdict) for m, verdict in results if m.file == file]
        if not mine:
            continue
        count = collections.Counter(verdict for _, verdict in mine)
        real = len(mine) - count["equivalent"] - count["no program"]
        survivors = [str(m) for m, verdict in mine if verdict is None]
        share = 100.0 * (real - len(survivors)) / real if real else 100.0
        least = min(least, share)
        rows.append({"file": file, "mutants": real, "equivalent": count["equivalent"],
                     "killed": {m: count[m] for m in methods}, "killed_percent": round(share, 1),
                     "survivors": survivors})
    if as_json:
        print(json.dumps({"files": rows}, indent=1))
        return least
    print(f"{sum(len(r['survivors']) for r in rows)} of {sum(r['mutants'] for r in rows)} mutants survive.")
    print(f"{'file':12} {'mutants':>8} " + " ".join(f"{m:>9}" for m in methods) + f" {'survive':>8} {'killed %':>9} {'equivalent':>11}")
    for r in rows:
        print(f"{r['file']:12} {r['mutants']:8} " + " ".join(f"{r['killed'][m]:9}" for m in methods) +
              f" {len(r['survivors']):8} {r['killed_percent']:9.1f} {r['equivalent']:11}")
    for r in rows:
        print("".join(f"{s}\n" for s in r["survivors"]), end="")
    return least


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--changed")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--least", type=float, default=0)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build/release")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("-j", type=int, default=os.cpu_count())
    parser.add_argument("file", nargs="*")
    options = parser.parse_args()
    methods = options.methods.split(",")
    for what, given, there in (("method", methods, METHODS), ("file of the core", options.file, FILES)):
        for name in given:
            if name not in there:
                print(f"mutation.py: no {what} '{name}'; there are: {' '.join(there)}", file=sys.stderr)
                return 2
    methods = [m for m in METHODS if m in methods]
    try:
        mutants = [m for f in options.file or FILES for m in mutants_of(f, (CORE / f).read_text().split("\n"))]
        if options.changed:
            lines = {f: changed_lines(options.changed, f) for f in FILES}
            mutants = [m for m in mutants if m.line in lines[m.file]]
        build = Build(options.build.resolve())
        same = originals(build, methods)
        with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
            verdicts = list(pool.map(lambda m: judge(build, same, m, methods), mutants))
    except Unusable as error:
        print(f"mutation.py: {error}", file=sys.stderr)
        return 2
    least = report(list(zip(mutants, verdicts)), options.json, methods)
    return int(least < options.least)


if __name__ == "__main__":
    sys.exit(main())
