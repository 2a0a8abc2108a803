#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Build and run the tests, but for those that boot kernels; those take longer, and are run by
#   harness/deps.sh kernel && ctest --test-dir build/release -L kernel -j2
# Usage: tests/run.sh [all | PRESET...]
# Presets: release asan tsan clang coverage. Without any: release and asan, what a change needs
# before it is shown. all: every one of them, and in release and clang the long searches and proofs
# too, and a minute of tests/fuzz/run.sh: what a change must pass.
set -euo pipefail
cd "$(dirname "$0")/.."
harness/deps.sh test

jobs=$(nproc)
log=build/test-logs
mkdir -p "$log"

run_preset()
{
	local preset=$1

	if ! { cmake --preset "$preset" && cmake --build --preset "$preset" -j "$jobs"; } \
		>"$log/$preset-build.log" 2>&1; then
		tail -n 40 "$log/$preset-build.log" >&2
		echo "FAIL: the $preset build; all of it: $log/$preset-build.log" >&2
		return 1
	fi
	echo "== $preset"
	# Counts of another run, and of files that are gone.
	[ "$preset" != coverage ] || find build/coverage -name '*.gcda' -delete
	case $preset in
	# What a preset leaves out cannot be added to on the command line.
	release) if [ -n "$short" ]; then
			ctest --test-dir build/release -LE "$short" -j "$jobs" --output-on-failure
		else
			ctest --preset "$preset" -j "$jobs" --output-on-failure
		fi ;;
	# Here only failures are of interest: which tests there are is above.
	*) ctest --preset "$preset" ${short:+-LE "$short|once"} -j "$jobs" --output-on-failure -Q -O "$log/$preset.log" &&
		grep -E 'tests passed|Total Test time' "$log/$preset.log" ;;
	esac || {
		[ "$preset" = release ] || tail -n 60 "$log/$preset.log" >&2
		echo "FAIL: tests of the $preset build" >&2
		return 1
	}
	if [ "$preset" = coverage ]; then
		tests/coverage.sh build/coverage --html
	fi
}

# What is left out, in place of what the preset leaves out.
short='kernel|heavy|long'
[ $# -gt 0 ] || set -- release asan
all=no
[ "$*" != all ] || { set -- release asan tsan clang coverage && short= && all=yes; }
for preset in "$@"; do
	run_preset "$preset"
done
if [ "$all" = yes ]; then
	echo "== fuzz"
	tests/fuzz/run.sh 60
fi
echo "All tests passed: $*. The others: tests/run.sh all; and those that boot kernels:
  harness/deps.sh kernel && ctest --test-dir build/release -L kernel -j2"
