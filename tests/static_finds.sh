#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# tests/static.py finds what it is for: of a file with a fault it names file, line and check, and
# fails, with each tool; an exception for it makes it pass; one for nothing fails.
# Usage: static_finds.sh BUILD
set -euo pipefail
build=$(realpath "$1")
top=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/tests" "$dir/core" "$dir/build"
cp "$top/.clang-tidy" "$dir"
cp "$top/tests/static.py" "$top/tests/static.cfg" "$dir/tests"
: >"$dir/tests/static.exceptions"
cat >"$dir/core/fault.c" <<'END'
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

int fault(const int *number)
{
	int *copy = malloc(sizeof(*copy));
	int four[4] = { 0 };

	if (!number)
		puts("none");
	memset(four, sizeof(four), 0);
	four[copy ? 4 : 0] = *number;
	return four[0];
}
END
# As many files as the tree has: of fewer it says that this is no build of it.
python3 - "$dir" <<'END'
import json, sys
d = sys.argv[1]
names = ['fault'] + ['empty%d' % i for i in range(90)]
for n in names[1:]:
    open('%s/core/%s.c' % (d, n), 'w').write('int %s;\n' % n)
json.dump([{'directory': d + '/build', 'file': '%s/core/%s.c' % (d, n),
            'command': 'gcc -o %s.o -c %s/core/%s.c' % (n, d, n)} for n in names],
          open(d + '/build/compile_commands.json', 'w'))
END

[ -f "$build/compile_commands.json" ] || { echo "static_finds.sh: no build in $build" >&2; exit 1; }
for tool in gcc clang-tidy cppcheck; do
	finds() { "$dir/tests/static.py" $tool "$dir/build" core/fault.c; }
	if finds >"$dir/out"; then
		echo "static_finds.sh: $tool finds no fault" >&2
		exit 1
	fi
	grep -qE "^core/fault.c:1[0-9]: $tool: .*\[.*\]$" "$dir/out" ||
		{ echo "static_finds.sh: $tool says $(cat "$dir/out")" >&2; exit 1; }
	sed -nE "s/^([^:]*):[0-9]*: $tool: (.*) \[([^]]*)\]$/$tool\t\3\t\1\t\2\ta test/p" "$dir/out" \
		>"$dir/tests/static.exceptions"
	finds >"$dir/out" || { echo "static_finds.sh: excepted, but: $(cat "$dir/out")" >&2; exit 1; }
	printf '%s\tnone\tcore/fault.c\tnothing\ta test\n' $tool >>"$dir/tests/static.exceptions"
	if finds >"$dir/out"; then
		echo "static_finds.sh: $tool: an exception for nothing passes" >&2
		exit 1
	fi
	grep -q 'delete the line' "$dir/out"
done
echo "static_finds.sh: each tool finds its fault"
