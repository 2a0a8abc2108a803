#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# How fast the exhaustive search is, on one core and on two, and beside SPIN (Debian package spin)
# on the same algorithms: Lamport's fast mutex and Peterson's, 2 rounds, loops that give up after 2
# looks, under SC. The two do not count the same: ours visits executions, SPIN stores states; what
# can be compared is the time to the verdict. The clock of the wall and that of the CPU are given,
# since the machine may have other work.
# Usage: harness/bench/checker_speed.sh [BENCH-CHECKER]
# Exit status: 0 at least 200,000 executions in a second of CPU time on Lamport's and Peterson's; 1
# fewer.
set -eu
cd "$(dirname "$0")/../.."
harness/deps.sh bench
bench=${1:-build/release/harness/bench-checker}
if [ $# -eq 0 ]; then
	cmake --preset release >/dev/null
	cmake --build --preset release --target bench-checker >/dev/null
fi
here=$PWD/harness/bench
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
TIMEFORMAT='%R %U %S'

"$bench" >"$dir/ours"
awk '{
	printf "%-11s  -j%d  %7d executions  %8.1f ms  %8.1f ms CPU  %8.0f executions/s  %8.0f per CPU second\n",
		$1, $2, $3, $4 * 1e3, $5 * 1e3, $3 / $4, $3 / $5
	if ($1 == "peterson-3") wall[$2] = $4
	if (($1 == "lamport" || $1 == "peterson") && $3 / $5 < 200000) slow = 1
}
END {
	printf "-j2: %.2f times as fast as -j1\n", wall[1] / wall[2]
	exit slow
}' "$dir/ours" || slow=1

cd "$dir"
for name in lamport peterson; do
	spin -a "$here/$name.pml" >out
	cc -O2 -DSAFETY -o pan pan.c
	best=999 bestcpu=999
	for _ in 1 2 3 4 5; do
		# A hash table of a size that fits: clearing the default one takes longer than the
		# search.
		read -r wall user system <<<"$({ time ./pan -w18 -m100000 >out; } 2>&1)"
		cpu=$(awk -v u="$user" -v s="$system" 'BEGIN { print u + s }')
		best=$(printf '%s\n' "$best" "$wall" | sort -g | head -1)
		bestcpu=$(printf '%s\n' "$bestcpu" "$cpu" | sort -g | head -1)
	done
	grep -q 'errors: 0' out
	states=$(awk '/states, stored/ { print $1 }' out)
	awk -v name="$name" -v states="$states" -v w="$best" -v c="$bestcpu" '
		$1 == name && $2 == 1 { wall = $4; cpu = $5 }
		END { printf "%-11s  SPIN %7d states      %8.1f ms  %8.1f ms CPU: %.1f of our time, %.1f of our CPU time\n",
			name, states, w * 1e3, c * 1e3, w / wall, c / cpu }' ours
done
exit "${slow:-0}"
