#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Build the kernel that serves as host and as guest.
set -euo pipefail

usage()
{
	cat <<-END
	usage: build.sh stock|lazy|debug[-VERSION]
	       build.sh TREE

	Builds a kernel for the boot harness, incrementally. "stock" is Debian's source as it is,
	"lazy" the same with kernel-glue/ imported, "debug" is lazy with the kernel's own checks of
	locking, sleeping and timers (debug.config); VERSION is 6.12 (the default), 6.1, or one that
	fetch.sh fetches from newer suites of Debian: 7.3. TREE is a kernel tree of yours, left as it
	is and built in TREE/build. Prints the build directory (bzImage, vmlinux) on standard output.

	environment:
	  LAZYTSC_KERNEL_DIR  where trees and logs go (default: build/kernel of this source tree)
	  LAZYTSC_KERNEL_TAR  the source tarball (default: /usr/src/linux-source-VERSION.tar.xz,
	                      or what fetch.sh fetches)
	  JOBS                for make -j (default: number of CPUs)

	exit status: 0 built, 1 usage, 2 build failed
	END
}

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=${LAZYTSC_KERNEL_DIR:-$top/build/kernel}
jobs=${JOBS:-$(nproc)}

die()
{
	echo "build.sh: $*" >&2
	exit 2
}

# A fresh tree from the tarball, in one step, so that an interrupted run leaves no half of one.
extract()
{
	local tarball=${LAZYTSC_KERNEL_TAR:-/usr/src/linux-source-$version.tar.xz}

	if [ ! -e "$tarball" ]; then
		case $version in
		6.*) die "$tarball: not found; install linux-source-$version (harness/deps.sh kernel)" ;;
		*) tarball=$("$here/fetch.sh" "$version") || exit 2 ;;
		esac
	fi
	rm -rf "$work/extract" "$1"
	mkdir -p "$work/extract"
	tar -C "$work/extract" --strip-components=1 -xf "$tarball"
	mv "$work/extract" "$1"
}

configure()
{
	local tree=$1 out=$1/build

	if [ -e "$out/.config" ] && cat "${fragments[@]}" | cmp -s - "$out/.lazytsc-fragment" &&
	   ! find "$tree/arch/x86" -name 'Kconfig*' -newer "$out/.config" | grep -q .; then
		return
	fi
	mkdir -p "$out" &&
		"${make[@]}" allnoconfig &&
		(cd "$out" && "$tree/scripts/kconfig/merge_config.sh" -m .config "${fragments[@]}" \
			>"$out/merge.log") &&
		"${make[@]}" olddefconfig &&
		cat "${fragments[@]}" >"$out/.lazytsc-fragment"
}

[ $# -eq 1 ] || { usage >&2; exit 1; }
case $1 in -h | --help) usage; exit 0 ;; esac
mkdir -p "$work"
# Two runs of the same tree at once would step on each other.
exec 9>"$work/build.lock"
flock 9
fragments=("$here/kernel.config")
case $1 in
stock | lazy | debug | stock-* | lazy-* | debug-*)
	tree=$work/$1
	version=6.12
	[ "${1%%-*}" = "$1" ] || version=${1#*-}
	[ -e "$tree/Makefile" ] || extract "$tree"
	[ "${1%%-*}" != debug ] || fragments+=("$here/debug.config")
	[ "${1%%-*}" = stock ] || "$top/kernel-glue/import.sh" "$tree" >&2 ||
		die "$tree: the import of kernel-glue failed"
	;;
*)
	[ -e "$1/Kbuild" ] || { echo "build.sh: $1: not a kernel tree" >&2; exit 1; }
	tree=$(cd "$1" && pwd)
	;;
esac

# The build directory stands directly in the tree: paths are then relative, the same for every
# tree, and one compiler cache serves all. The fixed user, host and time do the rest.
cc=gcc
command -v ccache >/dev/null && cc="ccache gcc"
make=(make -s -C "$tree" O=build -j"$jobs" CC="$cc" HOSTCC="$cc"
	KBUILD_BUILD_TIMESTAMP=2026-01-01 KBUILD_BUILD_USER=lazytsc KBUILD_BUILD_HOST=lazytsc)
log=$work/build-$(basename "$tree").log
{ configure "$tree" && "${make[@]}" bzImage; } >"$log" 2>&1 ||
	{ tail -20 "$log" >&2; die "$tree: the build failed, see $log"; }
# An emulator may be reading it.
cmp -s "$tree/build/arch/x86/boot/bzImage" "$tree/build/bzImage" ||
	cp "$tree/build/arch/x86/boot/bzImage" "$tree/build/bzImage"
echo "$tree/build"
