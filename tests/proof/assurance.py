#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The table of docs/assurance.md: for each requirement, by which method it is shown, and the command.

assurance.py            write the table, and what nothing covers, into docs/assurance.md
assurance.py --check    say whether what is there is current

A cell is there where the test, contract or property names the requirement. The checker's is there
where, besides, a weakened or wrong copy of the core is known that breaks the requirement: a rule
that nothing has broken yet shows little.

Exit status: 0 written, or current; 1 not current; 2 usage, or a source cannot be understood.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGE = TOP / "docs/assurance.md"
KSELFTEST = "`kvm-selftests.sh --series`"
BEGIN, END = "<!-- assurance.py: from here -->", "<!-- assurance.py: to here -->"

# What no test can show, or none here does, and why.
REASONS = {
    "A14": "It is about the processor: what the guest's kernel does about it (an MFENCE) is older than this "
           "project and untouched by it.",
    "B20": "No confidential guest can be had under the emulators. The guest's glue decrypts its areas "
           "with KVM's own per-CPU data ([kernel.md](kernel.md#guest)).",
    "B22": "It is about how results are stated: [kernel-testing.md](kernel-testing.md) and the README compare "
           "with HRTICK on and off.",
    "B23": "By review: [kernel.md](kernel.md) lists the paths. The boot tests go through those that the "
           "workloads use; nothing shows that there is no other.",
}


def read(*patterns):
    """The text of all files of these patterns, by path."""
    return {p: p.read_text() for pattern in patterns for p in sorted(TOP.glob(pattern))}


def names(text):
    return set(re.findall(r"\b([AB]\d+)\b", text))


def ctest(*tests):
    return [f"`ctest -R {t}`" for t in tests]


def contracts():
    """Requirement: the contracts that have a property of that name."""
    found = {}
    for path, text in read("tests/proof/cbmc/*_contracts.c").items():
        test = "proof-" + path.stem.removesuffix("_contracts")
        for promise in re.findall(r'ensure\(\s*"([^"]*)"', text):
            for name in names(promise.split(":")[0]):
                found.setdefault(name, set()).add(test)
    return {k: ctest(*sorted(v)) for k, v in found.items()}


def tests_of(table):
    """Requirement: of the tests in the table, those whose source names it."""
    found = {}
    for test, patterns in table.items():
        for text in read(*patterns).values():
            for name in names(text):
                found.setdefault(name, [])
                if test not in found[name]:
                    found[name].append(test)
    return {k: ctest(*v) for k, v in found.items()}


def checker():
    rules = names(" ".join(re.findall(r'X\(\w+, ("[AB]\d+")', (TOP / "sim/include/lazytsc/sim/properties.h").read_text())))
    broken = set()
    for text in read("sim/protocol/mutants/*.list").values():
        broken |= set(re.findall(r"^requirement ([AB]\d+)$", text, re.M))
    if not broken <= rules:
        raise ValueError(f"the lists of defects name {broken - rules}, which no rule checks")
    return {r: [f"`lazytsc check --only={r}`"] for r in broken}


def booted():
    found = tests_of({"kernel-selftest": ["kernel-glue/selftest/*.c"]})
    # The parts of boot.sh, each with what its first comment says.
    parts = re.split(r"^#   (\w+) +", (TOP / "tests/kernel/boot.sh").read_text(), flags=re.M)
    for part, text in zip(parts[1::2], parts[2::2]):
        for name in sorted(names(text.split("\n#\n")[0])):
            found.setdefault(name, []).extend(ctest(f"kernel-{part}"))
    for text in read("kernel-glue/kselftest/*_test.c").values():
        for name in names(text):
            if KSELFTEST not in found.setdefault(name, []):
                found[name].append(KSELFTEST)
    return found


COLUMNS = [
    ("units", lambda: tests_of({
        "^guest": ["tests/unit/guest.c"], "^host": ["tests/unit/host.c"],
        "^predictor": ["tests/unit/predictor.c"], "^threads": ["tests/unit/threads.c"],
        "early-adversary": ["tests/early/adversary.c"], "replay-promise": ["tests/replay/promise.c"],
        "replay-worked-example": ["tests/replay/worked_example.c"]})),
    ("contracts, all values (CBMC)", contracts),
    ("every order, within bounds", checker),
    ("every architecture (LKMM)", lambda: tests_of({"proof-lkmm": ["tests/proof/lkmm/*.litmus"]})),
    ("this machine's CPUs", lambda: tests_of({"proof-silicon": ["tests/proof/silicon.c"]})),
    ("simulated machine", lambda: tests_of({"^machine": ["tests/sim/machine.c"]})),
    ("patched kernels, booted", booted),
]


def check_promises():
    """Each test that docs/early.md names for a promise of the predictor is one, and runs."""
    runs = set(re.findall(r"cmocka_unit_test_setup\((\w+),", (TOP / "tests/unit/predictor.c").read_text()))
    page = (TOP / "docs/early.md").read_text()
    named = [t for row in re.findall(r"^\| [AB]\d+ \| .* \| ([\w, ]+) \|$", page, re.M) for t in row.split(", ")]
    if not named or not set(named) <= runs:
        raise ValueError(f"docs/early.md: no such test in tests/unit/predictor.c: {sorted(set(named) - runs)}")


def table():
    check_promises()
    rows = re.findall(r"^\| ([AB]\d+) \| (.*) \|$", (TOP / "docs/protocol.md").read_text(), re.M)
    if len(rows) < 40:
        raise ValueError("docs/protocol.md: the tables of requirements are not found")
    columns = [(title, make()) for title, make in COLUMNS]
    lines = ["| | requirement | " + " | ".join(t for t, _ in columns) + " |", "|-" * (len(columns) + 2) + "|"]
    bare = []
    for name, what in rows:
        cells = [", ".join(found.get(name, [])) for _, found in columns]
        lines.append(f"| {name} | {what} | " + " | ".join(cells) + " |")
        if not any(cells):
            bare.append(name)
    lines += ["", "Nothing here shows:", ""]
    for name in bare:
        if name not in REASONS:
            raise ValueError(f"{name}: no test names it, and REASONS does not say why")
        lines.append(f"- **{name}**. {REASONS[name]}")
    for name in sorted(set(REASONS) - set(bare)):
        raise ValueError(f"{name}: a test names it now: take it out of REASONS")
    known = {name for name, _ in rows}
    for title, found in columns:
        if not set(found) <= known:
            raise ValueError(f"{title}: {sorted(set(found) - known)}: no such requirement")
    return "\n".join(lines)


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    page = PAGE.read_text()
    try:
        before, rest = page.split(BEGIN)
        after = rest.split(END)[1]
        new = f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"
    except (ValueError, IndexError) as error:
        print(f"assurance.py: {error}", file=sys.stderr)
        return 2
    if sys.argv[1:]:
        if new != page:
            print("docs/assurance.md: the table is not current; run tests/proof/assurance.py", file=sys.stderr)
        return int(new != page)
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
