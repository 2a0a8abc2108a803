#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Run libFuzzer targets on the corpora of this folder, and on what earlier runs have found in
# build/fuzz/corpus.
# Usage: run.sh [SECONDS [TARGET...]]   (SECONDS: all together, default 60; TARGET: a name such as
#   core; default all)
# Exit status: 0 nothing found; 1 something: the input is in build/fuzz/found, and
#   build/fuzz/tests/fuzz/fuzz-NAME FILE   repeats it.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
seconds=${1:-60}
case $seconds in
'' | *[!0-9]*)
	echo "run.sh: SECONDS is a whole number, not '$seconds'" >&2
	exit 1
	;;
esac
shift || true
harness/deps.sh test
mkdir -p build/fuzz/found build/test-logs
if ! { cmake --preset fuzz && cmake --build --preset fuzz -j "$(nproc)"; } >build/test-logs/fuzz-build.log 2>&1; then
	tail -n 40 build/test-logs/fuzz-build.log >&2
	exit 1
fi
# Readers allocate large buffers: without the first most of the time goes into what was freed. A
# file may ask libtracecmd for any amount of memory: it does not get it, as without a sanitizer.
export ASAN_OPTIONS=quarantine_size_mb=16:allocator_may_return_null=1:suppressions=$root/tests/fuzz/libtracecmd.supp
targets=(build/fuzz/tests/fuzz/fuzz-*)
[ $# = 0 ] || targets=("${@/#/build/fuzz/tests/fuzz/fuzz-}")
for target in "${targets[@]}"; do
	if [ ! -x "$target" ]; then
		echo "run.sh: no target '${target##*/fuzz-}'" >&2
		exit 1
	fi
done
found=0
for target in "${targets[@]}"; do
	name=${target##*/fuzz-}
	mkdir -p "build/fuzz/corpus/$name"
	most=4096
	case $name in trace) most=32768 ;; esac
	options=("-max_total_time=$((seconds / ${#targets[@]} + 1))" "-max_len=$most" -timeout=20 -close_fd_mask=3
		-rss_limit_mb=2048 -print_final_stats=1 -print_funcs=0 -artifact_prefix="$root/build/fuzz/found/$name-")
	# A child that ASan warns of writes to a file of its own where it stands.
	if ! (cd build/fuzz && exec "$root/$target" "${options[@]}" "corpus/$name" "$root/tests/fuzz/corpus/$name") \
		>"build/test-logs/fuzz-$name.log" 2>&1; then
		found=1
		echo "run.sh: $name: $(grep -m 1 -E 'ERROR|runtime error|deadly signal' "build/test-logs/fuzz-$name.log")" >&2
		grep -E 'Test unit written|^artifact' "build/test-logs/fuzz-$name.log" >&2 || true
	fi
	echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "build/test-logs/fuzz-$name.log") inputs"
done
exit $found
