#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Install the Debian packages that a group of jobs needs and that are not there yet.
# Usage: harness/deps.sh [GROUP...]   groups: build test bench kernel qemu (default: build)
set -eu

build="gcc cmake ninja-build pkg-config libjansson-dev libsmartcols-dev libarchive-dev zlib1g-dev libxxhash-dev
	libtracecmd-dev libtraceevent-dev libtracefs-dev"
test="$build g++ clang clang-format clang-tidy cppcheck git shellcheck libclang-rt-14-dev libcmocka-dev
	lcov valgrind xz-utils zstd gzip bzip2 binutils python3 trace-cmd
	python3-jsonschema python3-prometheus-client chromium
	gcc-aarch64-linux-gnu gcc-i686-linux-gnu qemu-user mmdebstrap dpkg-dev debhelper lintian reuse mandoc"
bench="$build spin"
kernel="$build linux-source-6.12 linux-source-6.1 ccache bc flex bison libelf-dev libssl-dev cpio kmod xz-utils lz4
	make rsync perl patch python3 qemu-system-x86 bochs bochs-term bochsbios vgabios isolinux
	syslinux-common xorriso bsdutils procps sparse"
qemu="$build busybox-static ccache dpkg-dev libglib2.0-dev libfdt-dev patch perl python3 python3-venv seabios
	qemu-system-x86"

wanted=
for group in "${@:-build}"; do
	case $group in
	build) wanted="$wanted $build" ;;
	test) wanted="$wanted $test" ;;
	bench) wanted="$wanted $bench" ;;
	kernel) wanted="$wanted $kernel" ;;
	qemu) wanted="$wanted $qemu" ;;
	*)
		echo "deps.sh: no group '$group'; groups: build test bench kernel qemu" >&2
		exit 1
		;;
	esac
done

missing=
for package in $wanted; do
	dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
		missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps.sh: not a Debian system; please install what these packages hold:$missing" >&2
	exit 1
fi
if [ "$(id -u)" = 0 ]; then
	sudo=
elif command -v sudo >/dev/null; then
	sudo=sudo
else
	echo "deps.sh: neither root nor sudo; please install:$missing" >&2
	exit 1
fi

echo "Installing:$missing" >&2
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
if ! { $sudo apt-get update && $sudo apt-get install -y --no-install-recommends $missing; } \
	>"$log" 2>&1 </dev/null; then
	tail -n 20 "$log" >&2
	echo "deps.sh: apt-get failed; its whole output: $log" >&2
	exit 1
fi
rm -f "$log"
