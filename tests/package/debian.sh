#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# dpkg-buildpackage makes Debian packages of the tree, of which lintian says nothing but what
# debian/*.lintian-overrides excepts with a reason. What they hold is installed and used: the
# command with its manual pages, completion and documentation, the library and both sets of
# development files (docs/examples), and the kernel's glue as it stands in the tree. With `root`
# they are installed by apt into a new Debian that has nothing else; without it they are unpacked.
# Usage: debian.sh SOURCE [root]
set -euo pipefail
source=$1 how=${2:-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
log=$dir/log

fail()
{
	echo "debian.sh: $*" >&2
	tail -n 20 "$log" >&2
	exit 1
}

version=$(sed -n '1s/.*(\(.*\)).*/\1/p' "$source/debian/changelog")
grep -q "^project(lazytsc VERSION $version " "$source/CMakeLists.txt" ||
	fail "debian/changelog is of version $version, CMakeLists.txt is not"
mkdir "$dir/tree"
(cd "$source" && git ls-files -z | xargs -0 cp --parents -t "$dir/tree")
(cd "$dir/tree" && dpkg-buildpackage -b -us -uc) >"$log" 2>&1 || fail "dpkg-buildpackage"
! grep -n 'warning:' "$log" || fail "warnings of the build"
for package in lazytsc_"$version"_*.deb liblazytsc-sim0.2_"$version"_*.deb liblazytsc-dev_"$version"_*.deb \
	lazytsc-kernel-source_"$version"_all.deb; do
	[ -f "$(echo "$dir"/$package)" ] || fail "no package $package"
done
rm "$dir"/*-dbgsym_*
lintian --display-info --pedantic --allow-root "$dir"/*.deb >"$log" 2>&1 || fail "lintian"
[ ! -s "$log" ] || fail "lintian"

# used COMMAND...: runs it where the packages are installed
root=$dir/root
if [ "$how" = root ]; then
	mmdebstrap --variant=apt --include=gcc,libc6-dev,pkgconf,xz-utils bookworm "$root" \
		/etc/apt/sources.list.d/debian.sources >"$log" 2>&1 || fail "mmdebstrap"
	mkdir "$root/packages"
	cp "$dir"/*.deb "$root/packages"
	cp /etc/resolv.conf "$root/etc/"
	chroot "$root" sh -c 'apt-get update && apt-get install -y --no-install-recommends /packages/*.deb' \
		>"$log" 2>&1 || fail "apt-get install"
	used() { chroot "$root" "$@"; }
else
	for package in "$dir"/*.deb; do
		dpkg-deb -x "$package" "$root"
	done
	triple=$(gcc -print-multiarch)
	used() { PATH=$root/usr/bin:$PATH LD_LIBRARY_PATH=$root/usr/lib/$triple \
		PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=$root/usr/lib/$triple/pkgconfig "$@"; }
fi

[ "$(used lazytsc --version)" = "lazytsc $version" ] || fail "lazytsc --version"
used lazytsc replay --json - <"$source/harness/examples/tcp-rr.txt.xz" >"$dir/json" 2>"$log" || fail "lazytsc replay"
grep -q '"evidence": "exact"' "$dir/json" || fail "lazytsc replay: what it says"
used lazytsc check --scenario overdue >"$log" 2>&1 || fail "lazytsc check"
for file in man1/lazytsc.1.gz man1/lazytsc-replay.1.gz; do
	[ -s "$root/usr/share/man/$file" ] || fail "no $file"
done
# What the manual pages cite is there.
zcat "$root"/usr/share/man/man1/*.gz | grep -o 'share/doc/lazytsc/[a-z]*\.md' | sort -u >"$dir/cited"
[ -s "$dir/cited" ] || fail "the manual pages cite nothing"
while read -r page; do
	[ -f "$root/usr/$page" ] || [ -f "$root/usr/$page.gz" ] || fail "a manual page cites $page"
done <"$dir/cited"

mkdir "$root/examples"
cp "$source"/docs/examples/*.c "$root/examples"
prefix=$root
[ "$how" != root ] || prefix=
for example in "sim lazytsc-sim" "hypervisor lazytsc-core"; do
	read -r name package <<<"$example"
	# shellcheck disable=SC2016
	used sh -c 'cc -Wall -Werror "$1/examples/$2.c" -o "$1/examples/$2" $(pkg-config --cflags --libs "$3") && "$1/examples/$2"' \
		sh "$prefix" "$name" "$package" >"$log" 2>&1 || fail "docs/examples/$name.c"
done
for folder in core kernel-glue; do
	diff -r "$dir/tree/$folder" "$root/usr/src/lazytsc/$folder" >"$log" || fail "$folder differs"
done
[ -x "$root/usr/src/lazytsc/kernel-glue/import.sh" ] || fail "import.sh cannot be run"
