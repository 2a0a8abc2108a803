#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Build QEMU as it is and with the patch of kernel-glue/vmm/qemu, and check the patch.
set -euo pipefail

usage()
{
	cat <<-END
	usage: qemu.sh build|check

	build  fetches Debian's source of QEMU 10.0 ($suite) and what builds it and this Debian has not,
	       and builds qemu-stock, and qemu-lazy with the patch: static, for x86_64 guests of KVM
	       only, with two machines (microvm, pc), no TCG and few devices. Prints the directory with
	       both, and with qemu-img. 15 minutes on two CPUs the first time.
	check  builds, and has checkpatch.pl, QEMU's own, look at the mail of the patch; compares the two
	       programs: qemu-lazy has the one CPU property more, and the same state of devices by
	       -dump-vmstate. The state of vCPUs is not in there (legacy_vmsd): migrate.sh moves it.

	environment:
	  LAZYTSC_KERNEL_DIR  where it goes, below qemu/ (default: build/kernel of this source tree)
	  JOBS                for ninja -j (default: number of CPUs)

	exit status: 0; 1 usage; 2 an error; 3 check has found something
	END
}

suite=trixie suites_types="deb deb-src"
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
patch=$top/kernel-glue/vmm/qemu/kvm-lazy-tscdeadline.patch
dir=${LAZYTSC_KERNEL_DIR:-$top/build/kernel}/qemu
jobs=${JOBS:-$(nproc)}

die()
{
	echo "qemu.sh: $*" >&2
	exit 2
}
. "$top/harness/suites.sh"

# QEMU's source with Debian's patches, and a meson that is new enough for it.
fetch()
{
	local dsc

	[ ! -e "$dir/source" ] || return 0
	suites_open "$dir" "$suite"
	suites_get meson
	rm -rf "$dir/meson" "$dir/extract"
	dpkg-deb -x "$dir"/packages/meson_*.deb "$dir/meson"
	suites_source qemu
	dsc=$(echo "$dir"/packages/qemu_*.dsc)
	dpkg-source --no-check -x "$dsc" "$dir/extract" >"$dir/extract.log" 2>&1 ||
		die "$dsc: dpkg-source failed, see $dir/extract.log"
	# Machines without a network, discs or graphics.
	printf 'CONFIG_MICROVM=y\nCONFIG_I440FX=y\n' >"$dir/extract/configs/devices/x86_64-softmmu/lazytsc.mak"
	mv "$dir/extract" "$dir/source"
	suites_close
}

# ninja_for NAME: the program from the source as it stands.
ninja_for()
{
	ninja -C "$dir/build" -j "$jobs" qemu-system-x86_64 qemu-img >"$dir/build-$1.log" 2>&1 ||
		{ grep -m 5 -A 5 'FAILED\|error:' "$dir/build-$1.log" >&2; die "qemu-$1: the build failed, see $dir/build-$1.log"; }
	strip -o "$dir/qemu-$1.new" "$dir/build/qemu-system-x86_64"
	mv "$dir/qemu-$1.new" "$dir/qemu-$1"
}

# The patch that is in the source is $dir/applied.
unpatch()
{
	[ -e "$dir/applied" ] || return 0
	patch -s -R -p1 -d "$dir/source" <"$dir/applied" || die "$dir/source: somebody has changed it; remove $dir"
	rm "$dir/applied"
}

build()
{
	local cc=gcc

	fetch
	export PYTHONPATH=$dir/meson/usr/lib/python3/dist-packages
	command -v ccache >/dev/null && cc="ccache gcc"
	if [ ! -e "$dir/build/build.ninja" ]; then
		mkdir -p "$dir/build"
		(cd "$dir/build" && CC=$cc ../source/configure --python=/usr/bin/python3 --target-list=x86_64-softmmu \
			--without-default-features --without-default-devices --with-devices-x86_64=lazytsc --enable-kvm \
			--enable-fdt=system --static --disable-tcg --disable-docs --disable-install-blobs --enable-tools \
			--disable-guest-agent --disable-debug-info) >"$dir/configure.log" 2>&1 ||
			{ tail -5 "$dir/configure.log" >&2; die "configure failed, see $dir/configure.log"; }
	fi
	if [ ! -e "$dir/qemu-stock" ]; then
		unpatch
		ninja_for stock
		cp "$dir/build/qemu-img" "$dir/qemu-img"
	fi
	if [ ! -e "$dir/qemu-lazy" ] || ! cmp -s "$patch" "$dir/applied"; then
		unpatch
		patch -s -p1 -d "$dir/source" <"$patch" || die "$patch: does not fit $dir/source"
		cp "$patch" "$dir/applied"
		ninja_for lazy
	fi
}

found=0
# judge WHAT FILE...: nothing to say, or it is shown.
judge()
{
	if [ -s "$2" ]; then
		echo "qemu.sh: $1:" >&2
		cat "$2" >&2
		found=1
	else
		echo "$1: nothing to say"
	fi
}

check()
{
	local checker=$dir/source/scripts/vmstate-static-checker.py name

	mkdir "$tmp/tree"
	cp -r "$dir/source/target" "$dir/source/docs" "$tmp/tree"
	patch -s -R -p1 -d "$tmp/tree" <"$patch"
	GIT_COMMITTER_NAME=nobody GIT_COMMITTER_EMAIL=nobody@example.org GIT_AUTHOR_NAME=nobody \
		GIT_AUTHOR_EMAIL=nobody@example.org "$top/kernel-glue/vmm/qemu/mail.sh" "$tmp/tree" "$tmp/mail" >/dev/null
	(cd "$dir/source" && perl scripts/checkpatch.pl --terse --no-summary "$tmp"/mail/*.patch) >"$tmp/said" || true
	judge "checkpatch.pl of the mail" "$tmp/said"

	for name in stock lazy; do
		"$dir/qemu-$name" -M microvm -dump-vmstate "$tmp/$name.json" || die "qemu-$name -dump-vmstate: failed"
		"$dir/qemu-$name" -cpu help | tr -s ' ' '\n' | sort >"$tmp/$name.cpu"
	done
	"$checker" -s "$tmp/stock.json" -d "$tmp/lazy.json" >"$tmp/said" || true
	"$checker" -s "$tmp/lazy.json" -d "$tmp/stock.json" >>"$tmp/said" || true
	judge "vmstate-static-checker.py, both ways" "$tmp/said"
	diff "$tmp/stock.cpu" "$tmp/lazy.cpu" | grep '^[<>]' >"$tmp/said" || true
	if [ "$(cat "$tmp/said")" = "> kvm-lazy-tscdeadline" ]; then
		echo "-cpu help: kvm-lazy-tscdeadline, and nothing else, is new"
	else
		echo "qemu.sh: -cpu help: expected kvm-lazy-tscdeadline to be new, found:" >&2
		cat "$tmp/said" >&2
		found=1
	fi
	[ "$found" = 0 ] || exit 3
}

[ $# = 1 ] || { usage >&2; exit 1; }
case $1 in
-h | --help) usage; exit 0 ;;
build | check) ;;
*) usage >&2; exit 1 ;;
esac
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
build
if [ "$1" = build ]; then
	echo "$dir"
else
	check
fi
