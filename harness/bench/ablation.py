#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What each part of the predictor earns: host entries of every trace of harness/results.py with that
part taken out (or made larger), and the average wait. Writes docs/early-ablation.md.

Each part is a change of core/predictor.c in a copy of the tree; a change that no longer applies is an
error. Takes about a minute.

Exit status: 0 done; 2 a change, a build or a replay failed.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import results  # noqa: E402 (its folder is known only now)

PAGE = results.ROOT / "docs" / "early-ablation.md"

# name, what it says, [(pattern, replacement)] in predictor.c or predictor.h
PARTS = [
    ("all", "the predictor as it is", []),
    ("1 stream", "follows one stream", [(r"(LAZYTSC_STREAMS\s+)6", r"\g<1>1")]),
    ("2 streams", "follows two", [(r"(LAZYTSC_STREAMS\s+)6", r"\g<1>2")]),
    ("4 streams", "follows four", [(r"(LAZYTSC_STREAMS\s+)6", r"\g<1>4")]),
    ("8 streams", "follows eight", [(r"(LAZYTSC_STREAMS\s+)6", r"\g<1>8")]),
    ("1 step", "weighs the next beat only", [(r"(LAZYTSC_STREAM_STEPS\s+)8", r"\g<1>1")]),
    ("16 steps", "weighs sixteen beats", [(r"(LAZYTSC_STREAM_STEPS\s+)8", r"\g<1>16")]),
    ("chances", "each beat as likely as any", [(r"\n\t\*c (\+=|-=) [^;]*;", "\n\t(void)c;")]),
    ("at rest", "one chance, whether or not what is wanted is known",
     [(r"kind \| \(", "0 * kind | (")]),
    ("restraint", "guesses also where nothing earlier is likelier",
     [(r"kind == CONTEXT_AT_REST && score <= none", "!score")]),
    ("close", "no chance of their own for beats close to a delivery",
     [(r"(#define CLOSE\s+)64", r"\g<1>0")]),
    ("doubt", "every guess that fails is held against its stream",
     [(r"if \(p->chosen >= 0 && changed &&", "if (false &&")]),
    ("writes", "learns from deliveries only", [(r"\tobserve\(p, wanted, false\);", "\t;")]),
    ("halves", "never finds that a period is the half", [(r"&& halve\([^)]*\)", "&& false")]),
    ("again", "looks for a known deadline at that deadline",
     [(r"else if \(wanted && p->again\)", "else if (false)")]),
    ("error", "a fixed margin in place of the learned error",
     [(r"MARGIN_ERRORS \* \(error >> FRACTION\) \+ p->slack / MARGIN_LEAST",
       "p->slack / 6 + 0 * error")]),
    ("period", "the period stays as first seen",
     [(r"\n\ts->period \+= \(u64\)[^;]*;", "\n\t;")]),
    ("drift", "phase corrected as if there were no drift",
     [(r"error \* \(unseen \+ 1\) / \(unseen \+ PHASE_BEATS\)", "error / PHASE_BEATS")]),
    ("worth", "a new stream takes the least worthy place at once",
     [(r"if \(!least->worth\)", "if (true)")]),
]


def build(tree, out):
    for command in (["cmake", "-S", tree, "-B", out, "-G", "Ninja",
                     "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_C_FLAGS=-w"],
                    ["cmake", "--build", out, "--target", "lazytsc"]):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            results.fail(run.stdout + run.stderr)


def change(tree, name, substitutions):
    """Both files as they are in the tree, changed."""
    for file in ("core/predictor.c", "core/include/lazytsc/predictor.h"):
        shutil.copy(results.ROOT / file, tree / file)
    for pattern, replacement in substitutions:
        hits = 0
        for file in ("core/predictor.c", "core/include/lazytsc/predictor.h"):
            text = (tree / file).read_text(encoding="utf-8")
            text, n = re.subn(pattern, replacement, text)
            (tree / file).write_text(text, encoding="utf-8")
            hits += n
        if not hits:
            results.fail(f"{name}: nothing matches {pattern}")


def measure(lazytsc, traces):
    run = subprocess.run([lazytsc, "replay", "--json", "--slack", str(results.SLACK),
                          "--variants", "lazy,early", *traces],
                         capture_output=True, text=True, check=False)
    if run.returncode:
        results.fail(run.stderr)
    rows = [r for r in json.loads(run.stdout)["rows"] if r["vcpu"] == "total"]
    early = [r for r in rows if r["variant"] == "early"]
    lazy = [r for r in rows if r["variant"] == "lazy"]
    ratio = sum(e["host_entries"] / n["host_entries"] for e, n in zip(early, lazy)) / len(early)
    wait = sum(e["waited_cycles"] for e in early) / sum(e["injections"] for e in early)
    return [e["host_entries"] for e in early], ratio, wait


def main():
    traces, names = [], []
    for group, folder in results.FOLDERS:
        for trace in sorted(folder.glob("*.txt.xz")):
            traces.append(trace)
            names.append(f"{group}: {trace.name.removesuffix('.txt.xz')}")
    head = ["without", "that is"] + names + ["early / lazy, mean", "wait, mean"]
    lines = ["| " + " | ".join(head) + " |", "|-|-|" + "-:|" * (len(head) - 2)]
    with tempfile.TemporaryDirectory() as tmp:
        tree, out = pathlib.Path(tmp) / "tree", pathlib.Path(tmp) / "build"
        tree.mkdir()
        for entry in ("CMakeLists.txt", "core", "sim", "harness", "tests", "LICENSES", "kernel-glue",
                      "docs", "README.md"):
            source = results.ROOT / entry
            if source.is_dir():
                shutil.copytree(source, tree / entry)
            elif source.exists():
                shutil.copy(source, tree / entry)
        for name, what, substitutions in PARTS:
            change(tree, name, substitutions)
            build(tree, out)
            entries, ratio, wait = measure(out / "harness" / "lazytsc", traces)
            cells = [name, what] + [f"{n:,}" for n in entries]
            lines.append("| " + " | ".join(cells) + f" | {100 * ratio:.1f} % | {wait:.0f} cycles |")
            if os.isatty(2):
                print(lines[-1], file=sys.stderr)
    PAGE.write_text("""# Arm early: what each part earns

Written by `harness/bench/ablation.py`; do not edit. Host entries besides deliveries of `early` with
one part of the predictor taken out, or changed, at a time. [early.md](early.md) explains the parts.

""" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
