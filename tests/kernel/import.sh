#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# kernel-glue/import.sh and hooks.awk keep what they say, with small hooks and a small tree of each
# version (source.sh has the real ones): everything arrives, a second import touches nothing, an
# older import is brought up to date, --undo restores every byte; a tree that is not known, hooks
# that have no place or more than one, and what stands in the way are refused with one line and exit
# status 2, and the tree is as it was. Requirement: what import.sh's usage says.
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
versions=$(cd "$glue/compat" && echo host-* | sed 's/host-//g; s/\.h//g')

fail()
{
	echo "import.sh: $*" >&2
	exit 1
}

make_tree()
{
	local version=$1

	rm -rf "$tree"
	mkdir -p "$tree/arch/x86/kvm" "$tree/arch/x86/kernel" "$tree/arch/x86/include/asm/trace" "$tree/virt"
	printf 'VERSION = %s\nPATCHLEVEL = %s\n' "${version%.*}" "${version#*.}" >"$tree/Makefile"
	touch "$tree/Kbuild"
	printf 'obj-y\t+= lib/\n' >"$tree/virt/Makefile"
	printf '%s\n' 'static void reset(struct apic *apic);' '' 'static void create(struct apic *apic)' '{' \
		'	start(apic);' '}' '' 'static void' 'reset_all(void)' '{' '}' '' \
		'static void reset(struct apic *apic)' '{' '	stop(apic);' '' '	start(apic);' '}' \
		>"$tree/arch/x86/kvm/lapic.c"
	printf 'int get(void)\n{\n\treturn 1;\n}\n' >"$tree/arch/x86/kvm/x86.c"
	# Linux 7.3 has moved it.
	[[ $version = 6.* ]] || { mv "$tree/arch/x86/kvm/x86.c" "$tree/arch/x86/kvm/msrs.c"
		printf 'int other(void)\n{\n\treturn 1;\n}\n' >"$tree/arch/x86/kvm/x86.c"; }
}

make_hooks()
{
	rm -f "$glue"/hooks/*.hooks
	printf '# A comment.\nA subject\n\n=== virt/Makefile\n@@\n obj-y\t+= lib/\n+obj-y\t+= lazytsc/\n' \
		>"$glue/hooks/0001-a.hooks"
	cat >"$glue/hooks/0002-b.hooks" <<-'END'
	=== arch/x86/kvm/lapic.c
	@@ reset(struct
	-	stop(apic);

	 	start(apic);
	+	lazy(apic);
	@@ create(
	+	lazy(apic);
	 	start(apic);
	@@ [6.12 6.1] reset(struct
	+	/* before 7 */
	 	start(apic);
	@@ [7.3] reset(struct
	+	/* since 7 */
	 	start(apic);
	=== arch/x86/kvm/x86.c | arch/x86/kvm/msrs.c
	@@ get(void)
	-	return 1;
	+	return 2;
	END
	# On what the hooks before it have put in.
	printf '=== arch/x86/kvm/lapic.c\n@@ create(\n-\tlazy(apic);\n+\tlazier(apic);\n' >"$glue/hooks/0003-c.hooks"
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

for version in $versions; do
	make_tree "$version"
	make_hooks
	rm -rf "$tmp/stock"
	cp -a "$tree" "$tmp/stock"
	refused "nothing was imported" --undo "$tree"

	"$import" "$tree"
	cmp "$tree/virt/lazytsc/host.c" "$glue/../core/host.c" || fail "the core was changed"
	cmp "$tree/arch/x86/kvm/lazy_tscdeadline_compat.h" "$glue/compat/host-$version.h" ||
		fail "not the compat header of $version"
	when=before
	[[ $version = 6.* ]] || when=since
	printf '%s\n' 'static void reset(struct apic *apic);' '' 'static void create(struct apic *apic)' '{' \
		'	lazier(apic);' '	start(apic);' '}' '' 'static void' 'reset_all(void)' '{' '}' '' \
		'static void reset(struct apic *apic)' '{' '' "	/* $when 7 */" '	start(apic);' \
		'	lazy(apic);' '}' | diff - "$tree/arch/x86/kvm/lapic.c" || fail "$version: other hooks"
	[ "$(cat "$tree"/arch/x86/kvm/{x86,msrs}.c 2>/dev/null | grep -c 'return 2')" = 1 ] || fail "a file that moved"
	find "$tree" -type f -printf '%p %T@\n' | sort >"$tmp/times"
	"$import" "$tree"
	find "$tree" -type f -printf '%p %T@\n' | sort | diff "$tmp/times" - ||
		fail "the second import touched files"

	# An older import: one file and two hooks were different then.
	cp -a "$tree" "$tmp/imported"
	echo "/* older */" >>"$glue/../core/host.c"
	sed -i 's/obj-y	+= lazytsc/& # older/' "$glue/hooks/0001-a.hooks"
	sed -i 's/lazier/older/' "$glue/hooks/0003-c.hooks"
	"$import" "$tree"
	grep -q older "$tree/virt/Makefile" && grep -q older "$tree/arch/x86/kvm/lapic.c" || fail "the hooks are not new"
	sed -i '$d' "$glue/../core/host.c"
	make_hooks
	"$import" "$tree"
	diff -r "$tree" "$tmp/imported" || fail "not brought up to date"
	rm -rf "$tmp/imported"

	# Newer hooks that do not fit leave the older import.
	sed -i 's/return 1/return 7/' "$glue/hooks/0002-b.hooks"
	refused "0002-b.hooks:17: .*no place has these lines; nothing changed" "$tree"
	make_hooks

	# Somebody else's change next to a hook survives the undo; one within a hook forbids it.
	cp "$tree/arch/x86/kvm/lapic.c" "$tmp/lapic.c"
	sed -i 's/lazier/& /' "$tree/arch/x86/kvm/lapic.c"
	refused "hooks were changed since; nothing undone" --undo "$tree"
	cp "$tmp/lapic.c" "$tree/arch/x86/kvm/lapic.c"
	sed -i '1i /* mine */' "$tree/arch/x86/kvm/lapic.c" "$tmp/stock/arch/x86/kvm/lapic.c"
	"$import" --undo "$tree"
	diff -r "$tree" "$tmp/stock" || fail "--undo left a difference"

	# What is refused does not depend on the version: the first is enough.
	[ "$version" = "${versions%% *}" ] || continue
	# Hooks without a place, or with two.
	sed -i 's/^@@ create(/@@ destroy(/' "$glue/hooks/0002-b.hooks"
	refused "0002-b.hooks:7: arch/x86/kvm/lapic.c: no definition of: destroy(; nothing changed" "$tree"
	make_hooks
	sed -i 's/^@@ create(/@@/' "$glue/hooks/0002-b.hooks"
	refused "0002-b.hooks:7: arch/x86/kvm/lapic.c: more than one place has these lines" "$tree"
	make_hooks
	sed -i 's/^@@ create(/@@ (struct apic/' "$glue/hooks/0002-b.hooks"
	refused "0002-b.hooks:7: .*more than one definition of: (struct apic" "$tree"
	make_hooks
	sed -i 's/lapic.c/nonesuch.c/' "$glue/hooks/0002-b.hooks"
	refused "0002-b.hooks:2: arch/x86/kvm/nonesuch.c: no such file" "$tree"
	make_hooks
	sed -i 's/^-.stop/ stop/; s/^+.lazy/lazy/' "$glue/hooks/0002-b.hooks"
	refused "0002-b.hooks:6: neither a hunk's line nor a heading: lazy(apic);" "$tree"
	make_hooks

	touch "$tree/arch/x86/kvm/lazy_tscdeadline.c"
	refused "was not imported" "$tree"
	rm "$tree/arch/x86/kvm/lazy_tscdeadline.c"
	sed -i 's/PATCHLEVEL = .*/PATCHLEVEL = 999/' "$tree/Makefile"
	refused "is not known; known: $versions" "$tree"
	rm "$tree/Kbuild"
	refused "not a Linux source tree" "$tree"
done

status=0
"$import" >/dev/null 2>&1 || status=$?
[ "$status" = 1 ] || fail "without arguments: expected status 1, found $status"
