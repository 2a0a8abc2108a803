#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# With -flto, as distributions build, everything is built without a warning, by gcc and by clang,
# and what comes out is what comes out without: the command's litmus tests have their outcomes
# (fibers are assembly, which the link-time optimiser does not read), the page of replay --html is
# in it, and the libraries show the public symbols and no others, the static ones as machine code
# for whoever links without -flto.
# Usage: lto.sh SOURCE
set -euo pipefail
source=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export LC_ALL=C
grep -v '^#' "$source/sim/install/lazytsc-sim.symbols" >"$dir/list"

fail()
{
	echo "lto.sh: $compiler: $*" >&2
	tail -n 20 "$dir/log" >&2
	exit 1
}

# Build an example with a static library, by gcc, which cannot read what clang's optimiser reads.
# example NAME PACKAGE
example()
{
	gcc -fno-lto -I"$dir/usr/include/$2" "$source/docs/examples/$1.c" -o "$dir/$1" "${so%/*}/lib$2.a" -pthread \
		2>"$dir/log" || fail "lib$2.a cannot be linked without -flto"
	"$dir/$1" >"$dir/log" || fail "lib$2.a does not work"
}

for compiler in gcc clang; do
	rm -rf "${dir:?}/build" "${dir:?}/usr"
	{
		cmake -S "$source" -B "$dir/build" -G Ninja -DBUILD_TESTING=OFF -DLAZYTSC_WERROR=ON \
			-DCMAKE_C_COMPILER=$compiler -DCMAKE_C_FLAGS=-flto=auto && cmake --build "$dir/build" -j 2
	} >"$dir/log" 2>&1 || fail "it does not build with -flto"
	grep -i 'warning: ' "$dir/log" | grep -v lto-wrapper && fail "warnings with -flto"

	"$source/tests/litmus/classics.sh" "$dir/build/harness/lazytsc" >"$dir/log" 2>&1 || fail "litmus tests"
	"$dir/build/harness/lazytsc" replay --html "$dir/page.html" "$source/harness/examples/idle.txt.xz" \
		>"$dir/log" 2>&1 || fail "replay --html"
	grep -q '</html>' "$dir/page.html" || fail "page.html is not in the command"

	cmake --install "$dir/build" --prefix "$dir/usr" >"$dir/log"
	so=$(find "$dir/usr" -name liblazytsc-sim.so)
	for shown in "-D $so" "${so%so}a"; do
		# shellcheck disable=SC2086
		nm --defined-only -g $shown | awk 'NF == 3 { print $3 }' | sort | diff "$dir/list" - >"$dir/log" ||
			fail "lazytsc-sim.symbols (<) and what ${shown##*/} shows (>)"
	done
	example sim lazytsc-sim
	example hypervisor lazytsc-core
done
