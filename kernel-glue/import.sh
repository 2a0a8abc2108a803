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
	(hooks/*.hooks, which hooks.awk explains) as its version needs them. Importing again brings a
	tree up to date; what is up to date is not touched. --undo restores the tree exactly. Nothing
	is changed unless all of it can be.

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
	arch/x86/kvm/lazy_tscdeadline_compat.h $here/compat/host-$v.h
	arch/x86/kernel/kvm_lazy_tscdeadline.c $here/guest/kvm_lazy_tscdeadline.c
	arch/x86/include/asm/kvm_lazy_tscdeadline.h $here/guest/kvm_lazy_tscdeadline.h
	arch/x86/include/asm/kvm_lazy_tscdeadline_compat.h $here/compat/guest-${v%%.*}.h
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

# The hooks that the tree has are kept in the record.
may_take_out()
{
	for p in "$tree/$record"/*.patch; do
		apply "$p" -R --dry-run >/dev/null ||
			die "$tree: ${p##*/}: the hooks were changed since; nothing $1"
	done
}

# Take out what the record says was put in.
take_out()
{
	for p in "$tree/$record"/*.patch; do
		apply "$p" -R
	done
	while read -r f; do
		rm -f "$tree/$f"
	done <"$tree/$record/files"
	rm -rf "$tree/virt/lazytsc"
}

# What an import depends on, beside the files that it copies.
hooks_sum()
{
	{ echo "$v"; cat "$here/hooks.awk" "$here"/hooks/*.hooks; } | cksum
}

up_to_date()
{
	files | while read -r to from; do
		cmp -s "$from" "$tree/$to" || exit 1
	done || return 1
	[ "$(hooks_sum)" = "$(cat "$tree/$record/hooks" 2>/dev/null)" ]
}

# The hooks as a patch for this tree without an earlier import: $made/hooks.patch.
make_patch()
{
	mkdir "$made/was" "$made/is"
	for p in "$tree/$record"/*.patch; do
		[ -e "$p" ] || continue
		for f in $(sed -n 's,^+++ b/,,p' "$p"); do
			mkdir -p "$made/was/${f%/*}"
			cp "$tree/$f" "$made/was/$f"
		done
		patch -d "$made/was" -p1 -s -R -F0 --no-backup-if-mismatch -r - <"$p"
	done
	cp -R "$made/was/." "$made/is"
	for hooks in "$here"/hooks/*.hooks; do
		awk -v version="$v" -v tree="$tree" -v over="$made/is" -v out="$made/is" \
			-f "$here/hooks.awk" "$hooks" 2>"$made/err" ||
			die "$tree: $(cat "$made/err"); nothing changed"
	done
	(cd "$made/is" && find . -type f | sed 's,^\./,,' | LC_ALL=C sort) | while read -r f; do
		was=$made/was/$f
		[ -e "$was" ] || was=$tree/$f
		diff -u --label "a/$f" --label "b/$f" "$was" "$made/is/$f" || true
	done >"$made/hooks.patch"
}

v=$(version)
if [ -n "$undo" ]; then
	[ -d "$tree/$record" ] || die "$tree: nothing was imported here"
	may_take_out undone
	take_out
	exit 0
fi

[ -e "$here/compat/host-$v.h" ] ||
	die "$tree: Linux $v is not known; known: $(cd "$here/compat" && echo host-* | sed 's/host-//g; s/\.h//g')"

if [ -d "$tree/$record" ]; then
	! up_to_date || exit 0
	may_take_out changed
else
	files | while read -r to from; do
		[ ! -e "$tree/$to" ] || die "$tree: $to: exists, and was not imported"
	done
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
make_patch
[ ! -d "$tree/$record" ] || take_out

mkdir -p "$tree/$record" "$tree/virt/lazytsc/include/lazytsc"
files | while read -r to from; do
	cp "$from" "$tree/$to"
	echo "$to"
done >"$tree/$record/files"
apply "$made/hooks.patch"
cp "$made/hooks.patch" "$tree/$record/"
hooks_sum >"$tree/$record/hooks"
