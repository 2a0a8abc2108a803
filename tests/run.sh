#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Build and run every test but those that boot kernels; those take longer, and are run by
#   harness/deps.sh kernel && ctest --test-dir build/release -L kernel -j2
# Usage: tests/run.sh [PRESET...]
# Presets: release asan tsan clang coverage (default: all of them, release first).
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
	case $preset in
	release) ctest --preset "$preset" -j "$jobs" --output-on-failure ;;
	# Here only failures are of interest: which tests there are is above.
	*) ctest --preset "$preset" -j "$jobs" --output-on-failure -Q -O "$log/$preset.log" &&
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

for preset in "${@:-release asan tsan clang coverage}"; do
	for one in $preset; do
		run_preset "$one"
	done
done
echo "All tests passed. Those that boot kernels (up to 25 minutes the first time, then 3):
  harness/deps.sh kernel && ctest --test-dir build/release -L kernel -j2"
