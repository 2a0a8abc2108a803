#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The core builds anywhere: with gcc and clang, freestanding, under the flags that the x86 kernel
# uses, and its objects have no undefined symbol but the time (so: no libc, no allocation, no hidden
# memcpy). It includes nothing but its own headers. It never opens a shared field: it compiles
# against a port in which there is nothing to open, and then calls nothing but that port.
set -eu
core=$1
sealed=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0

fail()
{
	echo "FAIL: $*"
	failed=1
}

# compile NAME PORT FLAGS...: every core source with each compiler, objects to $out/NAME-CC
compile()
{
	name=$1 port=$2
	shift 2
	for cc in gcc clang; do
		if ! command -v $cc >/dev/null; then
			fail "$cc is not installed (the project's harness/deps.sh installs it)"
			continue
		fi
		mkdir -p "$out/$name-$cc"
		for source in "$core"/*.c; do
			$cc -std=gnu11 -Wall -Wextra -Werror -ffreestanding -nostdlib "$@" \
				-I"$core/include" -I"$port" -c "$source" \
				-o "$out/$name-$cc/$(basename "$source" .c).o" ||
				fail "$name: $cc refuses $source"
		done
	done
}

# undefined NAME PATTERN: what NAME's objects need together, beyond each other, matches PATTERN
undefined()
{
	for objects in "$out/$1"-*; do
		ld -r -o "$objects.o" "$objects"/*.o || fail "$1: no objects to link"
		extra=$(nm -u "$objects.o" | awk '{ print $2 }' | grep -Evx "$2" | tr '\n' ' ') || true
		[ -z "$extra" ] || fail "$(basename "$objects") needs: $extra"
	done
}

kernel="-O2 -mno-sse -mno-mmx -mno-sse2 -mno-3dnow -mno-avx -m64 -mno-80387 -mno-red-zone
	-mcmodel=kernel -fno-common -fno-strict-aliasing -fno-PIE -fshort-wchar -fno-pic
	-fno-asynchronous-unwind-tables -fno-delete-null-pointer-checks -fno-stack-protector
	-Wundef -Wvla -Wno-sign-compare -Wdeclaration-after-statement -Dcurrent=get_current()"

for level in -O0 -O2 -Os -O3; do
	compile "c11$level" "$core/ports/c11" $level
	undefined "c11$level" 'lazytsc_tsc'
done
# shellcheck disable=SC2086
compile kernel "$core/ports/c11" $kernel
undefined kernel 'lazytsc_tsc'
compile sealed "$sealed" -O2
undefined sealed 'lazytsc_(load|store|mb|tsc|assert)'

foreign=$(grep -hE '^[[:space:]]*#[[:space:]]*include' "$core"/*.c "$core"/include/lazytsc/*.h |
	grep -Ev '<lazytsc/[a-z]+\.h>|<lazytsc_port\.h>') || true
[ -z "$foreign" ] || fail "foreign includes: $foreign"

[ $failed = 0 ] && echo "core: $(ls "$core"/*.c | wc -l) sources, $(ls -d "$out"/*-*/ | wc -l) builds"
exit $failed
