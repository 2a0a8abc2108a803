# SPDX-License-Identifier: BSD-2-Clause
"""The list of weakened lines (sim/protocol/mutants/core.list), for the proofs' own programs."""
import re


class Weakened:
    """One record of the list: what is changed, and where."""

    def __init__(self, name):
        self.name = name
        self.pairs = []  # [file, function, line, replacement]
        self.field = {}

    def text(self, core, file):
        """The text of one of the core's files with this record's lines replaced."""
        lines = (core / file).read_text().split("\n")
        for where, function, was, replacement in self.pairs:
            if where != file:
                continue
            hits, inside = [], False
            for i, line in enumerate(lines):
                if re.match(r"[a-z].*[ *]" + function + r"\(", line):
                    inside = True
                if inside and line.strip() == was:
                    hits.append(i)
                if inside and line == "}":
                    inside = False
            if len(hits) != 1:
                raise ValueError(f"{self.name}: {file}: {function}(): {len(hits)} lines are '{was}', not 1")
            lines[hits[0]] = "\t" + replacement
        return "\n".join(lines)


def read_list(path):
    """The records of core.list, in order."""
    records, file, function = [], None, None
    for number, line in enumerate(path.read_text().split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key, _, value = line.strip().partition(" ")
        value = value.strip()
        if key == "defect":
            records.append(Weakened(value))
        elif not records:
            raise ValueError(f"{path}:{number}: '{key}' before the first 'defect'")
        elif key == "file":
            file = value
        elif key == "function":
            function = value
        elif key == "line":
            records[-1].pairs.append([file, function, value, ""])
        elif key == "with":
            records[-1].pairs[-1][3] = value
        else:
            records[-1].field[key] = value
    return records
