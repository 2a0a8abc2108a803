#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Build and run the tests, but for those that boot kernels; those take longer, and are run by
#   harness/deps.sh kernel && ctest --test-dir build/release -L kernel -j2
# Usage: tests/run.sh [all | PRESET...]
# Presets: release asan tsan clang coverage; release without the long searches and proofs. Without
# any: release and asan, and asan without the tests of what reports say: what a change needs before
# it is shown. all: every preset, release with the long searches and proofs, and a minute of
# tests/fuzz/run.sh: what a change must pass.
set -euo pipefail
cd "$(dirname "$0")/.."
harness/deps.sh test

jobs=$(nproc)
# Some tests wait more than they compute.
tests=$((jobs + 1))
log=build/test-logs
mkdir -p "$log"

run_preset()
{
	local preset=$1 which

	if ! { cmake --preset "$preset" && cmake --build --preset "$preset" -j "$jobs"; } \
		>"$log/$preset-build.log" 2>&1; then
		tail -n 40 "$log/$preset-build.log" >&2
		echo "FAIL: the $preset build; all of it: $log/$preset-build.log" >&2
		return 1
	fi
	echo "== $preset"
	# Counts of another run, and of files that are gone.
	[ "$preset" != coverage ] || find build/coverage -name '*.gcda' -delete
	which=(--preset "$preset")
	# What a preset leaves out cannot be added to on the command line.
	[ -z "${leave[$preset]:-}" ] || which=(--test-dir "build/$preset" -LE "${leave[$preset]}")
	# The first run says which tests there are; of the others only failures are of interest.
	if [ "$preset" = release ]; then
		ctest "${which[@]}" -j "$tests" --output-on-failure
	else
		ctest "${which[@]}" -j "$tests" --output-on-failure -Q -O "$log/$preset.log" &&
			grep -E 'tests passed|Total Test time' "$log/$preset.log"
	fi || {
		[ "$preset" = release ] || tail -n 60 "$log/$preset.log" >&2
		echo "FAIL: tests of the $preset build" >&2
		return 1
	}
	if [ "$preset" = coverage ]; then
		tests/coverage.sh build/coverage --html
	fi
}

# The labels that are left out, where they are not those that the preset leaves out.
declare -A leave=([release]='kernel|heavy|long')
all=no
if [ $# -eq 0 ]; then
	leave[asan]='kernel|heavy|long|once|report'
	set -- release asan
elif [ "$*" = all ]; then
	leave=()
	all=yes
	set -- release asan tsan clang coverage
fi
for preset in "$@"; do
	run_preset "$preset"
done
if [ "$all" = yes ]; then
	echo "== fuzz"
	tests/fuzz/run.sh 60
fi
echo "All tests passed: $*. The others: tests/run.sh all; and those that boot kernels:
  harness/deps.sh kernel && ctest --test-dir build/release -L kernel -j2"
