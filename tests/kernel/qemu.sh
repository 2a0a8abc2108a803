#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The patch for QEMU (kernel-glue/vmm/qemu) is whole, and mail.sh makes a mail of it: in a small
# tree that holds nothing but the lines around its hunks, what the mail changes is what the patch
# changes. Its bit and MSR are those of abi.h. A tree that is not QEMU's, that has the patch, or
# that it does not fit is refused with one line and status 2, and nothing is written. That QEMU
# compiles and runs with it is for harness/kernel/qemu.sh to show. Requirement: mail.sh's usage.
# Usage: qemu.sh KERNEL-GLUE
set -euo pipefail

glue=$(cd "$1" && pwd)
patch=$glue/vmm/qemu/kvm-lazy-tscdeadline.patch
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# Below a path with spaces.
tree="$tmp/a  tree" out="$tmp/out  of it"

export GIT_AUTHOR_NAME=Somebody GIT_AUTHOR_EMAIL=somebody@example.org
export GIT_COMMITTER_NAME=Somebody GIT_COMMITTER_EMAIL=somebody@example.org
export GIT_CONFIG_GLOBAL=/dev/null

fail()
{
	echo "qemu.sh: $*" >&2
	exit 1
}

# refused EXPECTED ARGUMENT...
refused()
{
	local expected=$1 status=0

	shift
	"$glue/vmm/qemu/mail.sh" "$@" >"$tmp/said" 2>&1 || status=$?
	[[ $status = 2 && $(wc -l <"$tmp/said") = 1 ]] || fail "$*: status $status: $(cat "$tmp/said")"
	grep -q "$expected" "$tmp/said" || fail "$*: expected '$expected', found: $(cat "$tmp/said")"
	[ "$(find "$out" -name '*.patch' 2>/dev/null | wc -l)" = "$mails" ] || fail "$*: refused, and written"
}
mails=0

# What a patch changes, without line numbers and headers.
changes()
{
	sed -n '/^--- a/,$p' "$1" | grep '^[-+]'
}

# The lines around the hunks, before the patch; a ruler between two hunks keeps them apart.
make_tree()
{
	rm -rf "$tree"
	mkdir -p "$tree"/{docs/system/i386,target/i386/kvm}
	(cd "$tree" && awk '
		/^--- a\// { file = substr($2, 3); next }
		/^\+\+\+ |^diff / { next }
		/^@@/ { for (i = 0; i < 8; i++) print "ruler " NR " " i >file; next }
		file != "" && /^[- ]/ { print substr($0, 2) >file }' "$patch")
}

refused "not a QEMU source tree" "$tmp" "$out"
make_tree
cp -r "$tree" "$tmp/before"
"$glue/vmm/qemu/mail.sh" "$tree" "$out" >/dev/null
mail=$(find "$out" -name '0001-*.patch')
diff -u <(changes "$patch") <(changes "$mail") || fail "the mail changes something else"
grep -q '^Signed-off-by: Somebody' "$mail" || fail "nobody has signed the mail"
grep -q '^Subject: \[PATCH\] target/i386: ' "$mail" || fail "no subject"
diff -r "$tree" "$tmp/before" || fail "mail.sh has changed the tree"
mails=1
refused "is not empty" "$tree" "$out"
mails=0
rm -r "$out"

number()
{
	awk -v name="$1" '$1 ~ /#define$/ && $2 == name { print $NF; exit }' "$2"
}
abi=$glue/../core/include/lazytsc/abi.h
bit=$(number LAZYTSC_CPUID_BIT "$abi") msr=$(number LAZYTSC_MSR "$abi")
grep -qx "+#define CPUID_KVM_LAZY_TSCDEADLINE (1U << $bit)" "$patch" || fail "the bit is not abi.h's, $bit"
grep -qx "+#define MSR_KVM_LAZY_TSCDEADLINE *$msr" "$patch" || fail "the MSR is not abi.h's, $msr"
# feature_word_info has four names on a line; "kvm-asyncpf" is the first one of the second.
slot=$(awk '/^[ +] *"kvm-asyncpf",/ { line = 1 }
	/kvm-lazy-tscdeadline/ && line { print 4 * line + split(substr($0, 1, index($0, "lazy")), f, ",") - 1; exit }
	line && /^[ +]/ { line++ }' "$patch")
[ "$slot" = "$bit" ] || fail "the name is in slot $slot, and not $bit"

(cd "$tree" && patch -s -p1 <"$patch")
refused "previously applied" "$tree" "$out"
make_tree
sed -i 's/^ .*/something else/' "$tree/target/i386/kvm/kvm.c"
refused "kvm.c" "$tree" "$out"
rm "$tree/target/i386/machine.c"
refused "machine.c: not found" "$tree" "$out"
