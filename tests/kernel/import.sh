#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# kernel-glue/import.sh keeps what its usage says, on a tree that is made up from the hooks' own
# context: everything arrives, a second import touches nothing, an older import is brought up to
# date, --undo restores every byte, and a tree that it does not know, or that has other hooks in the
# way, is refused with one line and exit status 2 and left as it was.
# Usage: import.sh KERNEL-GLUE
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# Below a path with spaces.
mkdir "$tmp/a  copy"
cp -r "$1" "$1/../core" "$tmp/a  copy"
glue="$tmp/a  copy/${1##*/}"
import=$glue/import.sh
tree=$tmp/tree

fail()
{
	echo "import.sh: $*" >&2
	exit 1
}

# What the hooks of one version expect: their context and the lines that they take out, each hunk at
# its place, and filler between them.
make_tree()
{
	local version=$1

	rm -rf "$tree"
	mkdir -p "$tree/arch/x86/kvm" "$tree/arch/x86/kernel" "$tree/arch/x86/include/asm/trace"
	printf 'VERSION = %s\nPATCHLEVEL = %s\n' "${version%.*}" "${version#*.}" >"$tree/Makefile"
	touch "$tree/Kbuild"
	cat "$glue/patches/$version"/*.patch | awk -v tree="$tree" '
		function upto(n) { while (line < n) { print "filler " ++line >file } }
		/^--- a\// { file = tree substr($2, 2); dir = file; sub("/[^/]*$", "", dir)
			system("mkdir -p " dir); line = 0; next }
		/^\+\+\+ / { next }
		/^@@ / { split(substr($2, 2), at, ","); upto(at[1] - 1); next }
		/^[ -]/ || /^$/ { print substr($0, 2) >file; line++ }'
}

# refused EXPECTED ARGUMENT...: status 2, one line, and the tree is as before.
refused()
{
	local expected=$1 status=0

	shift
	cp -a "$tree" "$tmp/before"
	"$import" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	[ "$status" = 2 ] || fail "$*: expected status 2, found $status"
	[ "$(wc -l <"$tmp/err")" = 1 ] || fail "$*: expected one line, found: $(cat "$tmp/err")"
	grep -q "$expected" "$tmp/err" || fail "$*: expected '$expected', found: $(cat "$tmp/err")"
	diff -r "$tree" "$tmp/before" >/dev/null || fail "$*: refused, but changed the tree"
	rm -rf "$tmp/before"
}

for version in $(cd "$glue/patches" && echo *); do
	make_tree "$version"
	cp -a "$tree" "$tmp/stock"
	refused "nothing was imported" --undo "$tree"

	"$import" "$tree"
	cmp "$tree/virt/lazytsc/host.c" "$glue/../core/host.c" || fail "the core was changed"
	cmp "$tree/arch/x86/kvm/lazy_tscdeadline_compat.h" "$glue/patches/$version/compat.h" ||
		fail "not the compat header of $version"
	grep -q kvm_lazy_tscdeadline_enabled "$tree/arch/x86/kvm/lapic.c" || fail "no hooks"
	find "$tree" -type f -printf '%p %T@\n' | sort >"$tmp/times"
	"$import" "$tree"
	find "$tree" -type f -printf '%p %T@\n' | sort | diff "$tmp/times" - ||
		fail "the second import touched files"

	# An older import: one file and one hook were different then.
	echo "/* older */" >>"$tree/virt/lazytsc/host.c"
	sed -i 's/obj-y	+= lazytsc/& # older/' "$tree/virt/Makefile" "$tree"/virt/lazytsc/imported/*.patch
	"$import" "$tree"
	cmp "$tree/virt/lazytsc/host.c" "$glue/../core/host.c" || fail "not brought up to date"
	! grep -rq older "$tree" || fail "the older hook is still there"

	# Somebody else's change next to a hook survives the undo; one within a hook forbids it.
	cp "$tree/arch/x86/kvm/lapic.c" "$tmp/lapic.c"
	sed -i 's/kvm_lazy_tscdeadline_punctual/& /' "$tree/arch/x86/kvm/lapic.c"
	refused "hooks were changed" --undo "$tree"
	cp "$tmp/lapic.c" "$tree/arch/x86/kvm/lapic.c"

	"$import" --undo "$tree"
	diff -r "$tree" "$tmp/stock" || fail "--undo left a difference"

	sed -i 's/KVM_FEATURE_STEAL_TIME/KVM_FEATURE_OTHER_TIME/' "$tree/arch/x86/kvm/cpuid.c"
	refused "do not fit" "$tree"
	cp "$tmp/stock/arch/x86/kvm/cpuid.c" "$tree/arch/x86/kvm/cpuid.c"
	touch "$tree/arch/x86/kvm/lazy_tscdeadline.c"
	refused "was not imported" "$tree"
	rm "$tree/arch/x86/kvm/lazy_tscdeadline.c"
	sed -i 's/PATCHLEVEL = .*/PATCHLEVEL = 999/' "$tree/Makefile"
	refused "is not known" "$tree"
	rm "$tree/Kbuild"
	refused "not a Linux source tree" "$tree"
	rm -rf "$tmp/stock"
done

status=0
"$import" >/dev/null 2>&1 || status=$?
[ "$status" = 1 ] || fail "without arguments: expected status 1, found $status"
