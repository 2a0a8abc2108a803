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
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

die()
{
	echo "fetch.sh: $*" >&2
	exit 2
}

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

command -v apt-get >/dev/null || die "not a Debian system; put linux-source-$want's tarball into $dir/VERSION.tar.xz"
uri=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
	awk '$1 == "Debian" && $2 == "main" && $3 !~ /security/ { print $3; exit }')
[ -n "$uri" ] || die "no list of Debian's main archive on this machine; run apt-get update"
[ -e "$keyring" ] || die "$keyring: not found; install debian-archive-keyring"

mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
exec 9>"$dir/lock"
flock 9
for suite in $suites; do
	echo "deb [signed-by=$keyring] $uri $suite main"
done >"$dir/sources.list"
apt=(-q -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=-
	-o Dir::Etc::preferences=- -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache"
	-o Dir::State::status=/dev/null -o APT::Sandbox::User= -o Acquire::Languages=none)
apt-get "${apt[@]}" update >"$dir/apt.log" 2>&1 </dev/null ||
	{ tail -5 "$dir/apt.log" >&2; die "$uri: apt-get update failed, see $dir/apt.log"; }
there=$(apt-cache "${apt[@]}" pkgnames linux-source- | sed -n 's/^linux-source-\([0-9.]*\)$/\1/p' | sort -V)
version=$(newest "$want" <<<"$there") || true
[ -n "$version" ] || die "linux-source-$want: not in $suites of $uri, which have: $(paste -sd' ' <<<"$there")"

echo "fetch.sh: linux-source-$version ($(apt-cache "${apt[@]}" show --no-all-versions "linux-source-$version" |
	sed -n 's/^Version: //p'), newest of those wanted: $want)" >&2
rm -rf "$dir/unpacked"
mkdir "$dir/unpacked"
(cd "$dir/unpacked" && apt-get "${apt[@]}" download "linux-source-$version") >>"$dir/apt.log" 2>&1 </dev/null ||
	{ tail -5 "$dir/apt.log" >&2; die "linux-source-$version: apt-get download failed, see $dir/apt.log"; }
dpkg-deb --fsys-tarfile "$dir"/unpacked/*.deb |
	tar -C "$dir/unpacked" -xf - "./usr/src/linux-source-$version.tar.xz" ||
	die "linux-source-$version: no tarball in the package"
mv "$dir/unpacked/usr/src/linux-source-$version.tar.xz" "$dir/$version.tar.xz"
rm -rf "$dir/unpacked" "$dir/lists" "$dir/cache"
echo "$dir/$version.tar.xz"
