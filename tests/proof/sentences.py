#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Is each sentence of the core's headers in docs/contracts.md, with the property that states it?

sentences.py    compares host.h and guest.h, docs/contracts.md, and the properties of cbmc/*_contracts.c

A sentence without a row fails, and so do a row without its sentence, a property that no contract has,
and a cell that names neither a property nor one of the reasons of that page.

Exit status: 0 they agree; 1 they do not, each difference on a line; 2 usage.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGE = TOP / "docs/contracts.md"
HEADERS = ["core/include/lazytsc/host.h", "core/include/lazytsc/guest.h"]
# Titles, sources, and the parameters that are the vCPU's own.
LEFT_OUT = re.compile(r"\w+\(\) - |Source:|@(h|g|area):")
# What begins a cell that names no property.
REASONS = ("Caller", "Assumed", "Any value", "A word", "A heading", "A reference", "The reason",
           "Not a promise of one call")
PROPERTY = re.compile(r"`((?:[AB]\d+|host:|guest:|together:)[^`]*)`")


def paragraphs(comment):
    """The paragraphs of a comment: lists, tables and tags line by line, code left out."""
    paragraph = []
    for line in comment.split("\n"):
        line = re.sub(r"^\s*\*+ ?", "", line)
        tag = re.match(r"@\w+:|Return:|Context:|Source:", line)
        indented = line.startswith("  ") and not (paragraph and paragraph[0].startswith("@"))
        if not line.strip() or line.startswith("\t") or tag or indented:
            yield " ".join(paragraph)
            paragraph = []
        if line.startswith("\t"):
            continue
        if indented:
            yield line
        else:
            paragraph.append(line)
    yield " ".join(paragraph)


def sentences(text):
    """The sentences of a header's comments, in order, each once."""
    found = []
    for comment in re.findall(r"/\*(.*?)\*/", text, re.S):
        if "SPDX" in comment:
            continue
        for paragraph in paragraphs(comment):
            found += re.split(r"(?<=\.) (?=[A-Z])", " ".join(paragraph.split()))
    return list(dict.fromkeys(s for s in found if s and not LEFT_OUT.match(s)))


def differences():
    wanted = {s: header for header in HEADERS for s in sentences((TOP / header).read_text())}
    rows = re.findall(r"^\| (.*) \| (.*) \|$", PAGE.read_text(), re.M)
    rows = [row for row in rows if row != ("sentence", "property")]
    stated = set()
    for contract in (TOP / "tests/proof/cbmc").glob("*.[ch]"):
        stated |= set(re.findall(r'ensure\(\s*"([^"]*)"', contract.read_text()))
    for sentence, header in wanted.items():
        if sentence not in dict(rows):
            yield f"{header}: no row in docs/contracts.md: {sentence}"
    for sentence, cell in rows:
        if sentence not in wanted:
            yield f"docs/contracts.md: no sentence of the headers: {sentence}"
        properties = PROPERTY.findall(cell)
        for name in properties:
            if name not in stated:
                yield f"docs/contracts.md: no property of the contracts: {name}"
        if not properties and not cell.startswith(REASONS):
            yield f"docs/contracts.md: neither a property nor a reason: {sentence}"


def main():
    if len(sys.argv) > 1:
        print(__doc__, file=sys.stderr)
        return 2
    found = list(differences())
    for line in found:
        print(line, file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
