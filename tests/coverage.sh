#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Line and branch coverage of a build with LAZYTSC_COVERAGE whose tests have run.
# Usage: tests/coverage.sh BUILD [--html]
# core must be at 100 % of lines and branches; its assertions are excluded by their one macro, and
# their number is printed. sim and harness must be at 90 % of lines each. --html writes BUILD/html.
set -eu
build=$(cd "$1" && pwd)
source=$(cd "$(dirname "$0")/.." && pwd)
all=$build/coverage.info

assertion='lazytsc_assert\('
run_lcov()
{
	lcov --rc lcov_branch_coverage=1 --rc lcov_excl_br_line="LCOV_EXCL_BR_LINE|$assertion" \
		-q "$@" 2>>"$build/lcov.log" || {
		cat "$build/lcov.log" >&2
		exit 1
	}
}

# The core is compiled once more into the simulator, where the port's branches are not its own: its
# figures are those of the library that the unit tests link. Files that the build made (the core's
# mutants) are nobody's coverage.
: >"$build/lcov.log"
run_lcov -c -d "$build/core" --include "$source/core/*" -o "$all.core"
run_lcov -c -d "$build" --include "$source/*" --exclude "$source/core/*" --exclude "$build/*" \
	-o "$all.rest"
run_lcov -a "$all.core" -a "$all.rest" -o "$all" # one record a file, with its sums
rm "$all.core" "$all.rest"

# room NAME: "lines hit, lines, branches hit, branches" of the files under that folder
room()
{
	awk -v prefix="SF:$source/$1/" '
	/^SF:/ { mine = index($0, prefix) == 1 }
	mine && /^LH:/ { lh += substr($0, 4) }
	mine && /^LF:/ { lf += substr($0, 4) }
	mine && /^BRH:/ { bh += substr($0, 5) }
	mine && /^BRF:/ { bf += substr($0, 5) }
	END { print lh + 0, lf + 0, bh + 0, bf + 0 }' "$all"
}

echo "Coverage (room, lines, branches):"
for name in core sim harness; do
	room $name | awk -v name=$name '{
		printf "  %-8s %5d of %5d lines (%.1f %%)  %5d of %5d branches (%.1f %%)\n", name,
			$1, $2, $2 ? 100 * $1 / $2 : 0, $3, $4, $4 ? 100 * $3 / $4 : 0 }'
done
echo "  $(cat "$source"/core/*.c | grep -cE "$assertion") assertions in core, excluded from its branches"

if [ "${2-}" = --html ]; then
	genhtml --rc lcov_branch_coverage=1 -q -o "$build/html" -p "$source" "$all" 2>>"$build/lcov.log" || {
		cat "$build/lcov.log" >&2
		exit 1
	}
	echo "  $build/html/index.html"
fi

failed=0
for name in sim harness; do
	set -- $(room $name)
	if [ "$2" = 0 ] || [ $(($1 * 100)) -lt $(($2 * 90)) ]; then
		echo "FAIL: $name is below 90 % of lines; the files with most lines not reached:"
		awk -v prefix="SF:$source/$name/" '
		/^SF:/ { mine = index($0, prefix) == 1; file = substr($0, 4) }
		mine && /^LF:/ { lf = substr($0, 4) }
		mine && /^LH:/ { print "  " lf - substr($0, 4) " of " lf " " file }
		' "$all" | sort -rn | head -n 10
		failed=1
	fi
done

set -- $(room core)
if [ "$2" = 0 ] || [ "$1" != "$2" ] || [ "$3" != "$4" ]; then
	echo "FAIL: core is not at 100 %; not reached:"
	awk -v prefix="SF:$source/core/" '
	/^SF:/ { mine = index($0, prefix) == 1; file = substr($0, 4) }
	mine && /^DA:[0-9]+,0/ { split(substr($0, 4), a, ","); print "  " file ":" a[1] }
	mine && /^BRDA:/ && /,(0|-)$/ { split(substr($0, 6), a, ","); print "  " file ":" a[1] " (branch)" }
	' "$all" | sort -u
	exit 1
fi
exit $failed
