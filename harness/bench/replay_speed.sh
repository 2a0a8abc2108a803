#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# How fast `lazytsc replay` reads a trace, as a ratio to `grep -c` on the same file in the page
# cache, with as many threads as it takes by itself: two, where there are two CPUs. Two files of
# 200 MB from harness/examples/: one with all events, one with deadline writes alone. Each figure is
# the best of RUNS alternating runs.
# Usage: harness/bench/replay_speed.sh [LAZYTSC [RUNS]]
# Exit status: 0 both ratios are at most 2; 1 one is not.
set -eu
cd "$(dirname "$0")/../.."
lazytsc=${1:-build/release/harness/lazytsc} runs=${2:-7}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
TIMEFORMAT='%R %U %S'

# time_of COMMAND...: sets wall and cpu, milliseconds
time_of() {
	local t
	t=$({ time "$@" >"$dir/out" 2>"$dir/err"; } 2>&1) || { cat "$dir/err" >&2; exit 1; }
	read -r wall cpu <<<"$(awk '{ printf "%d %d", $1 * 1000, ($2 + $3) * 1000 }' <<<"$t")"
}

over=0
for kind in all filtered; do
	file=$dir/$kind.txt
	filter=()
	[ $kind = all ] || filter=(--filter)
	python3 harness/bench/gen_trace.py "${filter[@]}" harness/examples/tcp-rr.txt.xz >"$file"
	gw=999999 gc=999999 rw=999999 rc=999999
	for ((i = 0; i < runs; i++)); do
		time_of env LC_ALL=C grep -c 'write_msr: 6e0' "$file"
		((wall >= gw)) || gw=$wall
		((cpu >= gc)) || gc=$cpu
		lines=$(<"$dir/out")
		time_of "$lazytsc" replay "$file"
		((wall >= rw)) || rw=$wall
		((cpu >= rc)) || rc=$cpu
	done
	awk -v kind=$kind -v n="$lines" -v mb="$(($(stat -c %s "$file") / 1000000))" \
		-v gw=$gw -v gc=$gc -v rw=$rw -v rc=$rc 'BEGIN {
		printf "%-8s  %d MB, %d deadline writes: grep %d ms, replay %d ms, ratio %.2f (CPU time %.2f)\n",
			kind, mb, n, gw, rw, rw / gw, rc / gc }'
	((rw <= 2 * gw)) || over=1
	rm "$file"
done
exit $over
