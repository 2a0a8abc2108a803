#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Make the patch for QEMU as git format-patch does, for a QEMU tree.
set -eu

usage()
{
	cat <<-END
	usage: mail.sh TREE OUT

	Writes OUT/0001-*.patch, with kvm-lazy-tscdeadline.patch as it fits TREE, a QEMU source tree,
	which is only read. Author and committer are those of your git configuration; the date is now.

	exit status: 0 done; 1 usage; 2 the patch does not fit
	END
}

die()
{
	echo "mail.sh: $*" >&2
	exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
patch=$here/kvm-lazy-tscdeadline.patch
case ${1:-} in -h | --help) usage; exit 0 ;; esac
[ $# = 2 ] || { usage >&2; exit 1; }
[ -f "$1/target/i386/kvm/kvm.c" ] || die "$1: not a QEMU source tree"
tree=$(cd "$1" && pwd) out=$2
git var GIT_COMMITTER_IDENT >/dev/null 2>&1 || die "git does not know who you are: git config user.name, user.email"
mkdir -p "$out"
out=$(cd "$out" && pwd)
[ -z "$(ls -A "$out")" ] || die "$out: is not empty"

repo=$(mktemp -d)
trap 'rm -rf "$repo"' EXIT
cd "$repo"
git init -q .
sed -n 's|^--- a/||p' "$patch" | while read -r f; do
	[ -f "$tree/$f" ] || die "$tree/$f: not found"
	mkdir -p "${f%/*}"
	cp "$tree/$f" "$f"
done
git add .
git commit -q -m base
patch -s -N -p1 --no-backup-if-mismatch -i "$patch" >said 2>&1 || die "$tree: $(sed 1q said)"
rm said
sed '/^---$/,$d' "$patch" | git commit -q -a -s -F -
git format-patch -q --no-signature -o "$out" HEAD~
ls "$out"/*
