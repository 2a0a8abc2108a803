#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What is installed can be linked by anyone: docs/examples/sim.c against the shared library and
# the static one by pkg-config, and both by CMake, all with the same result. Both show the symbols
# of sim/install/lazytsc-sim.symbols, which are what the installed headers declare, and no others.
# The headers compile alone, in pairs, all together, and as C++, from where the library links; so
# do the examples in them. The core is installed with its port to C11: docs/examples/hypervisor.c
# is built and run against it, by pkg-config and by CMake. The version is the same wherever it is
# told: by the project, the command, the library, its name, pkg-config and the changelog.
# Usage: install.sh BUILD SOURCE CC CXX VERSION
set -eu
build=$1 source=$2 cc=$3 cxx=$4 version=$5
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
find_package(lazytsc-core ${version%.*} REQUIRED)
add_executable(hypervisor $source/docs/examples/hypervisor.c)
target_link_libraries(hypervisor lazytsc::core)
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

same "pkg-config of the core" "$(pkg-config --modversion lazytsc-core)"
# shellcheck disable=SC2046
"$cc" -Wall -Wextra -Werror "$source/docs/examples/hypervisor.c" -o "$dir/hypervisor" \
	$(pkg-config --cflags --libs lazytsc-core)
for program in "$dir/hypervisor" "$dir/project/build/hypervisor"; do
	found=$("$program")
	# 1000 deadlines of 10000 cycles within 100100: the host looks once for each 10000.
	[ "$found" = "1000 deadlines: 1 exits, 11 silent expiries, 1 interrupt" ] || fail "hypervisor.c: $found"
done

include=$dir/usr/include/lazytsc-sim
headers=$(cd "$include" && find . -name '*.h' | sed 's,^\./,,' | LC_ALL=C sort)
LC_ALL=C
export LC_ALL

# What the libraries show is what is on the list, and what is on the list is what is declared.
grep -v '^#' "$source/sim/install/lazytsc-sim.symbols" >"$dir/list"
sort -cu "$dir/list" || fail "lazytsc-sim.symbols is not in order"
for file in "$lib/liblazytsc-sim.a" "$lib/liblazytsc-sim.so"; do
	dynamic=
	[ "${file%.so}" = "$file" ] || dynamic=-D
	# shellcheck disable=SC2086
	nm $dynamic --defined-only -g "$file" | awk 'NF == 3 { print $3 }' | sort >"$dir/shown"
	differs=$(diff "$dir/list" "$dir/shown") ||
		fail "lazytsc-sim.symbols (<) and what ${file##*/} shows (>): $differs"
done
for header in $headers; do
	echo "#include <$header>"
done >"$dir/all.h"
# shellcheck disable=SC2086
"$cc" $flags -E -P -x c "$dir/all.h" >"$dir/all.i"
{
	sed -n 's/^extern [^(]*[ *]\(lazytsc_[a-z0-9_]*\).*;$/\1/p' "$dir/all.i"
	grep -oE 'lazytsc_[a-z0-9_]+ ?\(' "$dir/all.i" | tr -d ' ('
} | sort -u >"$dir/named"
sed -n 's/^static inline .*[ *]\(lazytsc_[a-z0-9_]*\)(.*/\1/p' "$dir/all.i" | sort -u >"$dir/inline"
differs=$(comm -23 "$dir/named" "$dir/inline" | diff "$dir/list" -) ||
	fail "lazytsc-sim.symbols (<) and what the installed headers declare (>): $differs"

# Headers: alone (the pair of one with itself), in pairs, and all of them from C++.
mkdir "$dir/pairs"
rest=$headers
for one in $headers; do
	for other in $rest; do
		pair=$dir/pairs/$(echo "$one+$other" | tr / -)
		printf '#include <%s>\n#include <%s>\n' "$one" "$other" >"$pair.c"
		[ "$one" != "$other" ] || cp "$pair.c" "$pair.cc"
	done
	rest=${rest#"$one"}
	rest=${rest#?}
done
# shellcheck disable=SC2086
"$cc" -std=gnu11 -Wall -Wextra -Werror $flags -fsyntax-only "$dir"/pairs/*.c || fail "headers do not go together"
# shellcheck disable=SC2086
"$cxx" -std=c++11 -Wall -Wextra -Werror $flags -fsyntax-only "$dir"/pairs/*.cc || fail "headers are no C++"
cat "$dir/all.h" - >"$dir/all.cc" <<END
int main()
{
	return lazytsc_variant_find("lazy") != &lazytsc_variant_lazy;
}
END
# shellcheck disable=SC2086
"$cxx" -std=c++11 -Wall -Wextra -Werror $flags "$dir/all.cc" -o "$dir/all" $libs
LD_LIBRARY_PATH=$lib "$dir/all" || fail "the library from C++"

# example HEADER EXPECTED: what the code in its first comment prints
example()
{
	{
		printf '#include <stdio.h>\n#include <lazytsc/sim/%s>\nint main(void)\n{\n' "$1"
		sed -n '/^#ifndef/q; s,^ \*\t\(.*\)$,\t\1,p' "$include/lazytsc/sim/$1"
		printf '\treturn 0;\n}\n'
	} >"$dir/example.c"
	# shellcheck disable=SC2086
	"$cc" -std=gnu11 -Wall -Wextra -Werror $flags "$dir/example.c" -o "$dir/example" $libs
	found=$(LD_LIBRARY_PATH=$lib "$dir/example")
	[ "$found" = "$2" ] || fail "the example in $1 prints '$found', not '$2'"
}
example replay.h "2 host entries" # the set and the expiry; the disarm is a skip
example machine.h "nothing is broken"
cat "$dir/shared.out"
