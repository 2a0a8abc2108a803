#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Fetch a kernel source that the machine's own Debian release does not have.
set -euo pipefail

usage()
{
	cat <<-END
	usage: fetch.sh [VERSION]

	Fetches Debian's linux-source-VERSION from the suites that are newer than the machine's own
	($suites), from the archive that the machine's own package lists name, and verified by
	debian-archive-keyring. VERSION is one like 7.3, or 7 (the default): the newest 7.x that there is. Nothing is
	installed, and the machine's lists are left alone. Says on standard error which package it took,
	and prints the path of the source tarball on standard output. What was fetched is kept: old
	versions vanish from the archive within weeks.

	environment:
	  LAZYTSC_KERNEL_DIR  where it goes, below debian/ (default: build/kernel of this source tree)

	exit status: 0 fetched, or fetched before; 1 usage; 2 no such version, or the archive cannot be reached
	END
}

suites="trixie-backports forky sid"
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
dir=${LAZYTSC_KERNEL_DIR:-$top/build/kernel}/debian

die()
{
	echo "fetch.sh: $*" >&2
	exit 2
}
. "$top/harness/suites.sh"

[ $# -le 1 ] || { usage >&2; exit 1; }
want=${1:-7}
case $want in
-h | --help) usage; exit 0 ;;
esac
[[ $want =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "VERSION: expected one like 7.3 or 7, found '$want'"

# newest PREFIX: of the versions on standard input, one for each line
newest()
{
	grep -E "^${1//./\\.}(\.|\$)" | sort -V | tail -1
}

kept=$(cd "$dir" 2>/dev/null && ls -d [0-9]*.tar.xz 2>/dev/null | sed 's/\.tar\.xz$//' | newest "$want") || true
if [ -n "$kept" ]; then
	echo "$dir/$kept.tar.xz"
	exit 0
fi

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
# shellcheck disable=SC2086
suites_open "$dir" $suites
there=$(suites_apt apt-cache pkgnames linux-source- | sed -n 's/^linux-source-\([0-9.]*\)$/\1/p' | sort -V)
version=$(newest "$want" <<<"$there") || true
[ -n "$version" ] || die "linux-source-$want: not in $suites of $suites_uri, which have: $(paste -sd' ' <<<"$there")"

echo "fetch.sh: linux-source-$version ($(suites_apt apt-cache show --no-all-versions "linux-source-$version" |
	sed -n 's/^Version: //p'), newest of those wanted: $want)" >&2
suites_get "linux-source-$version"
dpkg-deb --fsys-tarfile "$dir"/packages/*.deb |
	tar -C "$dir/packages" -xf - "./usr/src/linux-source-$version.tar.xz" ||
	die "linux-source-$version: no tarball in the package"
mv "$dir/packages/usr/src/linux-source-$version.tar.xz" "$dir/$version.tar.xz"
suites_close
echo "$dir/$version.tar.xz"
