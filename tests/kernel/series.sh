#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# kernel-glue/series.sh makes a series that can be mailed: the kernel's scripts/checkpatch.pl
# --strict finds nothing in a patch (but for the types that source.sh names); the hooks that
# import.sh puts into a tree are those of the series, and kernel-doc has nothing to say; bit and MSR
# of the selftests are those of abi.h. What cannot be made is refused with one line and status 2.
# With `build`, which takes long: after each patch KVM, the guest's side and the core
# compile without a message, as after a `git rebase -x make`; after the last with W=1 and sparse;
# and the selftests compile.
# Usage: series.sh KERNEL-GLUE [build]. Exit status 77 (skipped): there is no source package.
set -euo pipefail

glue=$(cd "$1" && pwd)
build=${2:-}
version=7.3
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tree=$tmp/linux

fail()
{
	echo "series.sh: $*" >&2
	exit 1
}

export GIT_AUTHOR_NAME=Somebody GIT_AUTHOR_EMAIL=somebody@example.org
export GIT_COMMITTER_NAME=Somebody GIT_COMMITTER_EMAIL=somebody@example.org

# What cannot be made.
refused() # EXPECTED ARGUMENT...
{
	local expected=$1 status=0

	shift
	"$glue/series.sh" "$@" >"$tmp/said" 2>&1 || status=$?
	[[ $status = 2 && $(wc -l <"$tmp/said") = 1 ]] || fail "$*: status $status: $(cat "$tmp/said")"
	grep -q "$expected" "$tmp/said" || fail "$*: expected '$expected', found: $(cat "$tmp/said")"
}
mkdir -p "$tmp/old/arch/x86/kvm" "$tmp/full"
touch "$tmp/full/file"
printf 'VERSION = 6\nPATCHLEVEL = 12\n' >"$tmp/old/Makefile"
refused "not a Linux source tree" "$tmp" "$tmp/out"
refused "a series is made for 7.x" "$tmp/old" "$tmp/out"
printf 'VERSION = 7\nPATCHLEVEL = 99\n' >"$tmp/old/Makefile"
refused "Linux 7.99 is not known" "$tmp/old" "$tmp/out"

tarball=$("$glue/../harness/kernel/fetch.sh" $version) || exit 77
mkdir "$tree"
tar -C "$tree" --strip-components=1 -xf "$tarball"
refused "is not empty" "$tree" "$tmp/full"
"$glue/series.sh" "$tree" "$tmp/out"
[ "$(find "$tmp/out" -name '*.patch' | wc -l)" -ge 9 ] || fail "hardly any patches"
! grep -q '\*\*\*' "$tmp/out/0000-cover-letter.patch" || fail "a cover letter with a gap"
(cd "$tree" && perl scripts/checkpatch.pl --root=. --no-summary --strict --terse --show-types \
	--ignore FILE_PATH_CHANGES,NEW_TYPEDEFS,OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT,SPACING \
	"$tmp/out"/*.patch) || fail "checkpatch, see above"

build() # TARGET...
{
	[ -n "$build" ] || return 0
	make -s -C "$tree" O="$tmp/build" CC="${CC:-ccache gcc}" -j"$(nproc)" "$@" >"$tmp/log" 2>&1 ||
		{ cat "$tmp/log" >&2; fail "$patch: does not build"; }
	! grep -E 'warning|error' "$tmp/log" >&2 || fail "$patch: see above"
}

patch="the tree as it was"
build allnoconfig
[ -z "$build" ] || (cd "$tmp/build" && "$tree/scripts/kconfig/merge_config.sh" -m .config "$glue/../harness/kernel/kernel.config" >log)
parts=(arch/x86/kvm/ arch/x86/kernel/kvm.o arch/x86/kernel/apic/apic.o virt/)
build olddefconfig prepare
build "${parts[@]}"
for patch in "$tmp/out"/000[1-9]*.patch; do
	patch -d "$tree" -p1 -s -F0 <"$patch" || fail "$patch: does not apply"
	build olddefconfig
	guest=arch/x86/kernel/kvm_lazy_tscdeadline
	[ ! -e "$tree/$guest.c" ] || [[ ${parts[*]} = *$guest* ]] || parts+=("$guest.o")
	build "${parts[@]}"
	echo "${patch##*/}: applies${build:+ and builds}"
done
[ -z "$build" ] || grep -q CONFIG_KVM_LAZY_TSCDEADLINE=y "$tmp/build/.config" || fail "the feature is off"
mine=(arch/x86/kvm/lazy_tscdeadline arch/x86/kernel/kvm_lazy_tscdeadline virt/lazytsc/guest virt/lazytsc/host virt/lazytsc/predictor)
[ -z "$build" ] || for o in "${mine[@]}"; do rm "$tmp/build/$o.o"; done
build W=1 "${mine[@]/%/.o}"
# Linux 7.3 leaves a sparse that does not know __typeof_unqual__ out, without an error, and one that
# takes strlen() for no constant gives up at module_param(). Debian 12 has one that is both.
run_sparse()
{
	cat >"$tmp/checker" <<-'END'
		#!/bin/sh
		exec sparse -D__typeof_unqual__=__typeof__ '-D__builtin_strlen(s)=(sizeof(s) - 1)' "$@"
	END
	chmod +x "$tmp/checker"
	for o in "${mine[@]}"; do rm "$tmp/build/$o.o"; done
	make -C "$tree" O="$tmp/build" CC="${CC:-ccache gcc}" C=1 CHECK="$tmp/checker" "${mine[@]/%/.o}" >"$tmp/log" 2>&1 ||
		{ cat "$tmp/log" >&2; fail "sparse: does not build"; }
	for o in "${mine[@]}"; do
		grep -q "^  CHECK *$o.c\$" "$tmp/log" || fail "sparse has not seen $o.c"
	done
	! grep -E 'warning:|error:' "$tmp/log" >&2 || fail "sparse, see above"
}
[ -z "$build" ] || run_sparse
(cd "$tree" && scripts/kernel-doc -none -Wall -Werror virt/lazytsc/include/lazytsc/*.h \
	arch/x86/kvm/lazy_tscdeadline.[ch] arch/x86/include/asm/kvm_lazy_tscdeadline.h) ||
	fail "kernel-doc, see above"

# The selftests: their copy of the numbers, and that they compile.
selftests=$tree/tools/testing/selftests/kvm
numbers()
{
	sed -nE 's/^#define (LAZYTSC_MSR|MSR_KVM_LAZY_TSCDEADLINE)[ \t]+//p
		s/^#define LAZYTSC_CPUID_BIT[ \t]+//p
		s/^#define X86_FEATURE_KVM_LAZY_TSCDEADLINE.*EAX, ([0-9]+)\)$/\1/p' "$1" | sort
}
[ "$(numbers "$glue/../core/include/lazytsc/abi.h" | wc -l)" = 2 ] || fail "abi.h: no bit and MSR"
[ "$(numbers "$glue/../core/include/lazytsc/abi.h")" = "$(numbers "$selftests/include/x86/lazy_tscdeadline.h")" ] ||
	fail "the selftests' bit and MSR are not those of abi.h"
if [ -n "$build" ]; then
	patch="the selftests"
	build headers
	objects=("$tmp/selftests/lib/x86/lazy_tscdeadline.o")
	for f in "$selftests"/x86/lazy_tscdeadline_*.c; do
		f=${f##*/}
		grep -q "+= x86/${f%.c}\$" "$selftests/Makefile.kvm" || fail "Makefile.kvm: ${f%.c} is missing"
		objects+=("$tmp/selftests/x86/${f%.c}.o")
	done
	[ ${#objects[@]} -ge 6 ] || fail "hardly any selftests"
	make -s -C "$selftests" OUTPUT="$tmp/selftests" ARCH=x86 CC="${CC:-ccache gcc}" LIBVFIO_O= \
		KHDR_INCLUDES="-isystem $tmp/build/usr/include" "${objects[@]}" >"$tmp/log" 2>&1 ||
		{ cat "$tmp/log" >&2; fail "$patch: do not build"; }
	! grep -E 'warning|error' "$tmp/log" >&2 || fail "$patch: see above"
fi

# The same hooks as import.sh puts in.
mkdir "$tmp/imported"
tar -C "$tmp/imported" --strip-components=1 -xf "$tarball" "linux-source-$version/Makefile" \
	"linux-source-$version/Kbuild" "linux-source-$version/arch/x86" "linux-source-$version/virt" \
	"linux-source-$version/Documentation/virt" "linux-source-$version/include/linux/kvm_types.h" \
	"linux-source-$version/Documentation/admin-guide/kernel-parameters.txt"
"$glue/import.sh" "$tmp/imported"
sed -n 's,^+++ b/,,p' "$tmp/imported/virt/lazytsc/imported/hooks.patch" | while read -r f; do
	cmp "$tmp/imported/$f" "$tree/$f" || fail "$f: the series and import.sh differ"
done
echo "$(find "$tmp/out" -name '*.patch' | wc -l) files${build:+, each patch builds}"
