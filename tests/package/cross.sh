#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Other machines: the core, the libraries and the whole command are built for arm64 (64 bits,
# weakly ordered, no x86 instructions) and i386 (32 bits, no 128-bit integers) without a warning,
# with Debian's libraries of those machines. Run by an emulator they give the same bytes as this
# machine's command: replay, a simulated machine, a swarm, a search of the race checker, and all
# litmus tests. Recording, which needs a TSC, is refused on arm64 in one line.
# Usage: cross.sh SOURCE [WORK]   (WORK: keep the libraries and the builds there)
set -euo pipefail
source=$(cd "$1" && pwd)
dir=${2:-$(mktemp -d)}
[ $# -ge 2 ] || trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir"

fail()
{
	echo "cross.sh: $*" >&2
	tail -n 20 "$dir/log" >&2
	exit 1
}

libraries=libc6-dev,libjansson-dev,libsmartcols-dev,libarchive-dev,zlib1g-dev,libxxhash-dev
libraries+=,libtracecmd-dev,libtraceevent-dev,libtracefs-dev

# built BUILD OPTION...
built()
{
	local build=$1

	shift
	{
		cmake -S "$source" -B "$build" -G Ninja -DBUILD_TESTING=OFF -DLAZYTSC_WERROR=ON \
			-DCMAKE_C_FLAGS=-O1 -DCMAKE_BUILD_TYPE=None "$@" && cmake --build "$build" -j 2
	} >"$dir/log" 2>&1 || fail "$build does not build"
}

# works OUT COMMAND...: what the command prints where it works
works()
{
	local out=$1

	shift
	(
		cd "$source/harness/examples"
		"$@" --version
		for trace in *.xz; do
			"$@" replay --json --variants=stock,lazy,early,bound "$trace"
		done
		"$@" sim --json
		"$@" sim --swarm=20 --seed=3
		"$@" check --scenario overdue --json
		cd "$source/tests/litmus"
		"$@" litmus --model=sc --expect expected.tsv ./*.litmus
		"$@" litmus --model=tso --expect expected.tsv ./*.litmus
	) >"$out" 2>"$dir/log"
}

built "$dir/native"
works "$dir/native.out" "$dir/native/harness/lazytsc" || fail "this machine's command"

# architecture, triple of the libraries, of the compiler, processor, emulator
while read -r arch libs compiler processor emulator; do
	root=$dir/$arch.root
	[ -d "$root" ] || mmdebstrap --variant=extract --architectures="$arch" --include="$libraries" \
		bookworm "$root" "deb http://deb.debian.org/debian bookworm main" >"$dir/log" 2>&1 || fail "no libraries for $arch"
	export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$root/usr/lib/$libs/pkgconfig
	built "$dir/$arch" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$processor" \
		-DCMAKE_C_COMPILER="$compiler-gcc" -DCMAKE_SYSROOT="$root" -DCMAKE_LIBRARY_ARCHITECTURE="$libs"
	works "$dir/$arch.out" "$emulator" -L "$root" "$dir/$arch/harness/lazytsc" || fail "$arch's command"
	diff "$dir/native.out" "$dir/$arch.out" >"$dir/log" || fail "$arch (>) differs from this machine (<)"
	if [ "$arch" = arm64 ]; then
		said=$("$emulator" -L "$root" "$dir/$arch/harness/lazytsc" record -o "$dir/trace" 2>&1) && fail "arm64 records"
		[[ $said == *"only x86 has TSC deadlines"* ]] || fail "record on arm64 says: $said"
	fi
	echo "$arch: the command gives the same $(wc -l <"$dir/native.out") lines"
done <<END
arm64 aarch64-linux-gnu aarch64-linux-gnu aarch64 qemu-aarch64
i386 i386-linux-gnu i686-linux-gnu i686 qemu-i386
END
