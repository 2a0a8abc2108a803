#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What is installed can be linked by anyone: docs/examples/sim.c against the shared library and the
# static one by pkg-config, and both by CMake, all with the same result; the libraries show no
# symbol but lazytsc_*; every installed header compiles on its own. The version is the same wherever
# it is told: by the project, the command, the library, its name, pkg-config and the changelog.
# Usage: install.sh BUILD SOURCE CC VERSION
set -eu
build=$1 source=$2 cc=$3 version=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail()
{
	echo "install.sh: $*" >&2
	exit 1
}

cmake --install "$build" --prefix "$dir/usr" >"$dir/log" || fail "$(cat "$dir/log")"
pc=$(find "$dir/usr" -name lazytsc-sim.pc)
lib=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH="${pc%/*}"
flags=$(pkg-config --cflags lazytsc-sim)
libs=$(pkg-config --static --libs lazytsc-sim)

# same WHAT FOUND [EXPECTED]
same()
{
	[ "$2" = "${3:-$version}" ] || fail "version: $1 says '$2', the project '${3:-$version}'"
}

cat >"$dir/version.c" <<END
#include <stdio.h>
#include <lazytsc/sim/version.h>
int main(void)
{
	return puts(lazytsc_version()) < 0;
}
END
# shellcheck disable=SC2086
"$cc" -Wall -Werror $flags "$dir/version.c" -o "$dir/version" $libs
same "the library" "$(LD_LIBRARY_PATH=$lib "$dir/version")"
same "the command" "$("$dir/usr/bin/lazytsc" --version)" "lazytsc $version"
same pkg-config "$(pkg-config --modversion lazytsc-sim)"
same CHANGELOG.md "$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$source/CHANGELOG.md" | head -n 1)"
same "the library's SONAME" "$(readelf -d "$lib/liblazytsc-sim.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')" \
	"liblazytsc-sim.so.${version%.*}"

# shellcheck disable=SC2086
"$cc" -Wall -Werror $flags "$source/docs/examples/sim.c" -o "$dir/shared" $libs
LD_LIBRARY_PATH=$lib "$dir/shared" >"$dir/shared.out" || fail "the shared library: $(cat "$dir/shared.out")"
# shellcheck disable=SC2086
"$cc" -Wall -Werror $flags "$source/docs/examples/sim.c" -o "$dir/static" "$lib/liblazytsc-sim.a" -pthread
"$dir/static" >"$dir/static.out" || fail "the static library: $(cat "$dir/static.out")"
cmp "$dir/shared.out" "$dir/static.out"

mkdir "$dir/project"
cat >"$dir/project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(example C)
find_package(lazytsc-sim ${version%.*} REQUIRED)
add_executable(dynamic $source/docs/examples/sim.c)
target_link_libraries(dynamic lazytsc::sim)
add_executable(fixed $source/docs/examples/sim.c)
target_link_libraries(fixed lazytsc::sim-static)
END
{
	cmake -S "$dir/project" -B "$dir/project/build" -DCMAKE_PREFIX_PATH="$dir/usr" \
		-DCMAKE_C_COMPILER="$cc" && cmake --build "$dir/project/build"
} >"$dir/log" 2>&1 || fail "$(cat "$dir/log")"
for program in dynamic fixed; do
	"$dir/project/build/$program" >"$dir/cmake.out" || fail "$program: $(cat "$dir/cmake.out")"
	cmp "$dir/shared.out" "$dir/cmake.out"
done

for file in "$lib/liblazytsc-sim.a" "$lib/liblazytsc-sim.so"; do
	dynamic=
	[ "${file%.so}" = "$file" ] || dynamic=-D
	# shellcheck disable=SC2086
	foreign=$(nm $dynamic --defined-only -g "$file" | awk 'NF == 3 && $3 !~ /^lazytsc_/')
	[ -z "$foreign" ] || fail "$file shows: $foreign"
done

for header in $(cd "$dir/usr/include/lazytsc-sim" && find . -name '*.h'); do
	# shellcheck disable=SC2086
	echo "#include <${header#./}>" | "$cc" -Wall -Werror $flags -fsyntax-only -x c - ||
		fail "$header does not compile on its own"
done
cat "$dir/shared.out"
