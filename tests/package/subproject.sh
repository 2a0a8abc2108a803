#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# As a part of another project (add_subdirectory, and FetchContent of a local copy) the tree gives
# lazytsc::core and lazytsc::sim, both usable; it brings neither the command, nor tests, nor its
# installation, nor flags of its own into the other project's targets, and needs none of the
# libraries that only the command does. A tree of its own without xxhash.h says so in one line.
# Usage: subproject.sh SOURCE CC
set -euo pipefail
source=$1 cc=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail()
{
	echo "subproject.sh: $*" >&2
	tail -n 20 "$dir/log" >&2
	exit 1
}

cat >"$dir/own.c" <<END
#include <lazytsc/host.h>
static int unused_and_no_error;
u64 lazytsc_tsc(void)
{
	return 1;
}
int main(void)
{
	struct lazytsc_host host = { .timer = 0 };
	return lazytsc_host_write(&host, 0, 2, 1, 0).timer != 2;
}
END
for how in "add_subdirectory($source lazytsc)" \
	"include(FetchContent)
FetchContent_Declare(lazytsc SOURCE_DIR $source)
FetchContent_MakeAvailable(lazytsc)"; do
	rm -rf "$dir/build"
	cat >"$dir/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(other C)
enable_testing()
$how
add_executable(own own.c)
target_link_libraries(own lazytsc::core)
add_executable(simulation $source/docs/examples/sim.c)
target_link_libraries(simulation lazytsc::sim)
add_test(NAME own COMMAND own)
install(TARGETS own)
END
	{
		PKG_CONFIG_LIBDIR=/nowhere cmake -S "$dir" -B "$dir/build" -G Ninja -DCMAKE_C_COMPILER="$cc" &&
			cmake --build "$dir/build" -j 2
	} >"$dir/log" 2>&1 || fail "${how%%(*}: it does not build"
	"$dir/build/simulation" >"$dir/log" || fail "${how%%(*}: lazytsc::sim"
	"$dir/build/own" >"$dir/log" || fail "${how%%(*}: lazytsc::core"
	ctest --test-dir "$dir/build" -N >"$dir/log"
	grep -q 'Total Tests: 1$' "$dir/log" || fail "${how%%(*}: tests of the part are tests of the whole"
	cmake --install "$dir/build" --prefix "$dir/usr" >"$dir/log"
	[ "$(find "$dir/usr" -type f)" = "$dir/usr/bin/own" ] || fail "${how%%(*}: the part is installed with the whole"
	rm -r "${dir:?}/usr"
done

if cmake -S "$source" -B "$dir/without" -G Ninja -DCMAKE_FIND_ROOT_PATH="$dir" \
	-DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY >"$dir/log" 2>&1; then
	fail "a tree without xxhash.h configures"
fi
grep -q '^  xxhash.h is missing: ' "$dir/log" || fail "a tree without xxhash.h does not say so"
