#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How strong are the tests of the core? Change one thing at a time, and see what notices.

mutation.py [options] [FILE.c...]   every simple mutant of these files of core/ (default: all three)

A mutant has one comparison, operator, constant, statement or returned value changed. One that is
no C program, and one that the compiler makes the same code of, are counted apart. The others go
through the unit tests, the contracts, the simulated machine and guests, and the checker, in this
order, until something fails, or does not end (a loop without end, counted apart as well). A proof
that does not end tells nothing.
Prints a table, and each mutant that survives.

--changed[=BASE] only mutants of lines that differ from this commit; default: where this branch left
                 main, or on main the commit before. Nothing differs: nothing to do
--methods=LIST   of units,contracts,simulator,checker (default: all)
--known=LIST     the mutants that each of these methods may leave alive, with the reason for each
                 (survivors.list): another that survives, or one of these that is killed or is no
                 mutant any more, is a failure. Those that are "equal" count as equivalent
--least=PERCENT  fail when fewer of the mutants that are not equivalent are killed in some file
--build=FOLDER   a build of this source tree (default: build/release)
--json           one object: files, with counts and survivors
-j N             so many at a time (default: one for each CPU)

Exit status: 0 done; 1 fewer than --least, or not as --known; 2 usage, or something cannot be built
or run; 77 --changed, and there is no commit to compare with.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import signal
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
SECONDS = {"units": 20, "contracts": 300, "simulator": 120, "checker": 600}  # longer: it does not end

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
    def __init__(self, file, line, function, text, was):
        self.file, self.line, self.function, self.text, self.was = file, line, function, text, was
        # What the list of survivors knows it by: no number, so that a line above changes nothing.
        self.key = (file, function, was.strip(), text.strip())

    def __str__(self):
        return f"{self.file}:{self.line}: '{self.was.strip()}' -> '{self.text.strip()}'"


def mutants_of(file, lines):
    """Every simple mutant of a file, in order."""
    comment, function = False, "-"
    for number, line in enumerate(lines, 1):
        code = re.sub(r"/\*.*?\*/", lambda m: " " * len(m.group()), line)
        if comment:
            comment = "*/" not in code
            continue
        if "/*" in code:
            comment, code = True, code[:code.index("/*")]
        m = re.match(r"[a-z].*?(\w+)\(", code)
        if m or code.startswith("#define"):
            function = m.group(1) if m else "-"
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
            yield Mutant(file, number, function, text, line)


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


def ended(command, seconds, **more):
    """What a command ended with; None: it did not end, and is no more."""
    process = subprocess.Popen(command, cwd=TOP, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                               start_new_session=True, **more)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def contracts(file, folder):
    """What the contracts of this file say to the copy in that folder: contracts.py's status, or None."""
    return ended([HERE / "contracts.py", "--first", "-j1", f"--core={folder}", file.removesuffix(".c")],
                 SECONDS["contracts"], stderr=subprocess.DEVNULL)


def judge(build, same, mutant, methods):
    """What kills it: a method, 'no end', 'equivalent', 'no program', or None."""
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
            if method == "contracts" and contracts(mutant.file, folder) == 1:
                return method
            for program, arguments, files in PROGRAMS.get(method, []):
                if mutant.file not in files:
                    continue
                build.program(program, objects, folder / "program")
                status = ended([folder / "program", *arguments], SECONDS[method], stderr=subprocess.DEVNULL)
                if status != 0:
                    return "no end" if status is None else method
    return None


def originals(build, methods, wanted):
    """The code of the core as it is; its tests must pass, or no mutant can be judged by them."""
    same = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for file in wanted:
            source = folder / file
            source.write_text((CORE / file).read_text())
            objects = {port: folder / f"{port}.o" for port in ("core", "sim")}
            same[file] = {port: build.object(port, file, source, out) for port, out in objects.items()}
            if None in same[file].values():
                raise Unusable(f"{file}: does not compile as it is")
            if "contracts" in methods and contracts(file, CORE) != 0:
                raise Unusable(f"{HERE}/contracts.py {file.removesuffix('.c')}: does not hold without any mutant")
            for method in methods:
                for program, arguments, files in PROGRAMS.get(method, []):
                    if file not in files:
                        continue
                    build.program(program, objects, folder / "program")
                    if ended([folder / "program", *arguments], SECONDS[method], stderr=subprocess.DEVNULL) != 0:
                        raise Unusable(f"{program} fails without any mutant")
    return same


def git(*arguments):
    done = subprocess.run(["git", "-C", TOP, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise Unusable(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def base_commit():
    """Where this branch left main; on main itself the commit before."""
    try:
        here, base = git("rev-parse", "HEAD"), git("merge-base", "HEAD", "main")
    except Unusable:
        return "HEAD~1"
    return "HEAD~1" if here == base and not git("status", "--porcelain", "--", CORE) else base


def changed_lines(base, file):
    """The lines of a file that differ from a commit."""
    lines = set()
    for start, count in re.findall(r"^@@ .*\+(\d+)(?:,(\d+))? @@", git("diff", "-U0", base, "--", CORE / file), re.M):
        lines |= set(range(int(start), int(start) + int(count or 1)))
    return lines


def read_known(path):
    """The list of survivors: by the key of each, {method that leaves it, or "equal": why}."""
    known, file, function, was, reasons, after = {}, None, None, None, {}, False
    for number, line in enumerate(path.read_text().split("\n"), 1):
        key, _, value = line.strip().partition(" ")
        value = value.strip()
        if key == "file":
            file = value
        elif key == "function":
            function, reasons = value, {}
        elif key in ("equal", *METHODS):
            # The first after a mutant begins a new set.
            reasons = {key: value} if after else {**reasons, key: value}
            after = False
        elif key == "line":
            was, after = value, True
        elif key == "with":
            if not reasons:
                raise Unusable(f"{path}:{number}: no reason before this mutant")
            known[file, function, was, value] = reasons
        elif key and not key.startswith("#"):
            raise Unusable(f"{path}:{number}: '{key}': expected file, function, equal, {', '.join(METHODS)}, "
                           "line or with")
    return known


def may_survive(reasons, methods):
    return "equal" in reasons or all(m in reasons for m in methods)


def unexpected(results, every, known, methods):
    """What is not as the list of survivors says, one line each."""
    allowed = {key for key, reasons in known.items() if may_survive(reasons, methods)}
    judged = collections.defaultdict(set)
    for mutant, verdict in results:
        judged[mutant.key].add(verdict)
        if verdict is None and mutant.key not in allowed:
            yield f"survives, and is not in the list: {mutant}"
    there = {mutant.key for mutant in every}
    for key in known:
        if key not in there:
            yield f"in the list, and no mutant: {key[0]}: {key[1]}(): '{key[2]}' -> '{key[3]}'"
        elif key in allowed and judged[key] and None not in judged[key]:
            yield f"in the list, and killed ({judged[key].pop()}): {key[0]}: {key[1]}(): '{key[2]}' -> '{key[3]}'"


def report(results, as_json, methods, known):
    """Print what became of the mutants of each file; the least share killed, in percent."""
    rows, least = [], 100.0
    for file in FILES:
        mine = [(m, verdict) for m, verdict in results if m.file == file]
        if not mine:
            continue
        equal = [m for m, verdict in mine if verdict is None and "equal" in known.get(m.key, {})]
        count = collections.Counter(verdict for _, verdict in mine)
        real = len(mine) - count["equivalent"] - count["no program"] - len(equal)
        survivors = [m for m, verdict in mine if verdict is None and m not in equal]
        share = 100.0 * (real - len(survivors)) / real if real else 100.0
        least = min(least, share)
        rows.append({"file": file, "mutants": len(mine), "no_program": count["no program"],
                     "equivalent": count["equivalent"], "equal_by_reason": len(equal), "different": real,
                     "killed": {m: count[m] for m in methods}, "no_end": count["no end"],
                     "killed_percent": round(share, 1), "survivors": [str(m) for m in survivors],
                     "equal": [str(m) for m in equal]})
    if as_json:
        print(json.dumps({"files": rows}, indent=1))
        return least
    print(f"{sum(len(r['survivors']) for r in rows)} of {sum(r['different'] for r in rows)} mutants that are different survive.")
    head = ["file", "mutants", "no program", "equivalent", "different", *methods, "no end", "survive", "killed %"]
    print(f"{head[0]:12} " + " ".join(f"{h:>10}" for h in head[1:]))
    for r in rows:
        cells = [r["mutants"], r["no_program"], r["equivalent"] + r["equal_by_reason"], r["different"],
                 *(r["killed"][m] for m in methods), r["no_end"], len(r["survivors"]), r["killed_percent"]]
        print(f"{r['file']:12} " + " ".join(f"{c:>10}" for c in cells))
    for r in rows:
        print("".join(f"{s}\n" for s in r["survivors"]), end="")
    return least


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--changed", nargs="?", const="")
    parser.add_argument("--known", type=pathlib.Path)
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
        mutants = every = [m for f in FILES for m in mutants_of(f, (CORE / f).read_text().split("\n"))]
        if options.file:
            mutants = [m for m in mutants if m.file in options.file]
        known = read_known(options.known) if options.known else {}
        if options.changed is not None:
            base = options.changed
            if not base:
                try:
                    base = git("rev-parse", base_commit())
                except Unusable as error:
                    print(f"mutation.py: no commit to compare with: {error}", file=sys.stderr)
                    return 77
            lines = {f: changed_lines(base, f) for f in FILES}
            mutants = [m for m in mutants if m.line in lines[m.file]]
            if not mutants:
                print(f"No line of the core that has a mutant differs from {base}.")
        build = Build(options.build.resolve())
        same = originals(build, methods, sorted({m.file for m in mutants}))
        with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
            verdicts = list(pool.map(lambda m: judge(build, same, m, methods), mutants))
    except Unusable as error:
        print(f"mutation.py: {error}", file=sys.stderr)
        return 2
    results = list(zip(mutants, verdicts))
    least = report(results, options.json, methods, known)
    wrong = list(unexpected(results, every, known, methods)) if options.known else []
    for line in wrong:
        print(f"mutation.py: {line}", file=sys.stderr)
    return int(least < options.least or bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
