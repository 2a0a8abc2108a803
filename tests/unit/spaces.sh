#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A tree below a path with spaces, and a build directory elsewhere, with spaces too: it configures,
# and the core, a unit test, the command, and scripts that are given paths work there.
# Usage: spaces.sh SOURCE
set -euo pipefail
source=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
tree="$dir/a tree  of mine"
build="$dir/its build"

fail()
{
	echo "spaces.sh: $*" >&2
	tail -n 20 "$dir/log" >&2
	exit 1
}

mkdir "$tree"
(cd "$source" && cp -r CMakeLists.txt CMakePresets.json core sim harness tests docs "$tree")
cmake -S "$tree" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug >"$dir/log" 2>&1 || fail "cmake does not configure"
cmake --build "$build" -j 2 --target lazytsc test-host lazytsc-core >"$dir/log" 2>&1 || fail "it does not build"
"$build/tests/unit/test-host" >"$dir/log" 2>&1 || fail "the unit test"
cd /
"$build/harness/lazytsc" replay "$tree/harness/examples/idle.txt.xz" >"$dir/log" 2>&1 || fail "lazytsc replay"
"$build/harness/lazytsc" check --scenario overdue --checkpoint "$dir/a point" >"$dir/log" 2>&1 || fail "lazytsc check"
"$tree/tests/unit/freestanding.sh" "$tree/core" "$tree/tests/unit/sealed" >"$dir/log" 2>&1 || fail "freestanding.sh"
"$tree/tests/race/mutate.sh" "$tree" >"$dir/log" 2>&1 || fail "mutate.sh"
