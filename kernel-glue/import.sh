#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Put the lazy TSC deadline into a kernel tree, or take it out again.
set -eu

usage()
{
	cat <<-END
	usage: import.sh [--undo] TREE

	Copies the core, its kernel port and the glue into the Linux tree TREE and applies the hooks
	for its version (patches/VERSION/). Importing again brings a tree up to date; what is up to
	date is not touched. --undo restores the tree exactly. Nothing is changed unless all of it
	can be.

	exit status: 0 done, or nothing to do; 1 usage; 2 this tree cannot be imported to, or undone
	END
}

die()
{
	echo "import.sh: $*" >&2
	exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
core=$here/../core
undo=
case ${1:-} in
-h | --help) usage; exit 0 ;;
--undo) undo=1; shift ;;
esac
case $#,${1:-} in
1,-*) usage >&2; exit 1 ;;
1,*) ;;
*) usage >&2; exit 1 ;;
esac
tree=$1
record=virt/lazytsc/imported

# What is copied: where in the tree it goes, and where it comes from (a path that may have spaces).
files()
{
	cat <<-END
	virt/lazytsc/guest.c $core/guest.c
	virt/lazytsc/host.c $core/host.c
	virt/lazytsc/predictor.c $core/predictor.c
	virt/lazytsc/Makefile $here/Makefile.virt
	virt/lazytsc/include/lazytsc_port.h $here/port/lazytsc_port.h
	arch/x86/kvm/lazy_tscdeadline.c $here/host/lazy_tscdeadline.c
	arch/x86/kvm/lazy_tscdeadline.h $here/host/lazy_tscdeadline.h
	arch/x86/kvm/lazy_tscdeadline_compat.h $patches/compat.h
	arch/x86/kernel/kvm_lazy_tscdeadline.c $here/guest/kvm_lazy_tscdeadline.c
	arch/x86/include/asm/kvm_lazy_tscdeadline.h $here/guest/kvm_lazy_tscdeadline.h
	arch/x86/include/asm/kvm_lazy_tscdeadline_compat.h $patches/guest-compat.h
	arch/x86/include/asm/trace/lazytsc.h $here/guest/lazytsc_trace.h
	END
	for f in "$core"/include/lazytsc/*.h; do
		echo "virt/lazytsc/include/lazytsc/${f##*/} $f"
	done
}

version()
{
	[ -f "$tree/Makefile" ] && [ -f "$tree/Kbuild" ] && [ -d "$tree/arch/x86/kvm" ] ||
		die "$tree: not a Linux source tree"
	sed -n 's/^VERSION = //p; s/^PATCHLEVEL = /./p' "$tree/Makefile" | head -2 | tr -d '\n'
}

# apply PATCH OPTIONS...: all of the patch, without fuzz and without leftovers, or nothing.
apply()
{
	p=$1
	shift
	patch -d "$tree" -p1 -s -N -F0 --no-backup-if-mismatch -r - "$@" <"$p"
}

# Take out what the record says was put in. The hooks that the tree has are kept in the record.
take_out()
{
	for p in "$tree/$record"/*.patch; do
		apply "$p" -R --dry-run >/dev/null ||
			die "$tree: ${p##*/}: the hooks were changed since; nothing undone"
	done
	for p in "$tree/$record"/*.patch; do
		apply "$p" -R
	done
	while read -r f; do
		rm -f "$tree/$f"
	done <"$tree/$record/files"
	rm -rf "$tree/virt/lazytsc"
}

up_to_date()
{
	files | while read -r to from; do
		cmp -s "$from" "$tree/$to" || exit 1
	done || return 1
	[ "$(cat "$patches"/*.patch | cksum)" = "$(cat "$tree/$record"/*.patch | cksum)" ]
}

v=$(version)
if [ -n "$undo" ]; then
	[ -d "$tree/$record" ] || die "$tree: nothing was imported here"
	take_out
	exit 0
fi

patches=$here/patches/$v
[ -d "$patches" ] ||
	die "$tree: Linux $v is not known; known: $(cd "$here/patches" && echo *)"

if [ -d "$tree/$record" ]; then
	up_to_date && exit 0
	take_out
fi
files | while read -r to from; do
	[ ! -e "$tree/$to" ] || die "$tree: $to: exists, and was not imported"
done
for p in "$patches"/*.patch; do
	apply "$p" --dry-run >/dev/null || die "$tree: ${p##*/}: the hooks do not fit; nothing changed"
done

mkdir -p "$tree/$record" "$tree/virt/lazytsc/include/lazytsc"
files | while read -r to from; do
	cp "$from" "$tree/$to"
	echo "$to"
done >"$tree/$record/files"
for p in "$patches"/*.patch; do
	apply "$p"
	cp "$p" "$tree/$record/"
done
