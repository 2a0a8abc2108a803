#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The hooks fit Debian's kernel source as it is, --undo restores it, and what we add to it is clean
# by the kernel's own scripts/checkpatch.pl --strict. Types of complaint that are not about us are
# left out by name: a patch file without a commit message, the layout that the kernel's TRACE_EVENT
# macro asks for, and the typedef that the core wants from each port.
# Usage: source.sh KERNEL-GLUE VERSION. Exit status 77 (skipped): the source package is not
# installed, or not to be had any more.
set -euo pipefail

glue=$(cd "$1" && pwd)
version=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tree=$tmp/linux

fail()
{
	echo "source.sh: $*" >&2
	exit 1
}

# check IGNORED-TYPES OPTION... FILE
check()
{
	local types=$1

	shift
	(cd "$tree" && perl scripts/checkpatch.pl --no-tree --no-summary --strict --quiet --terse --show-types --no-signoff \
		--ignore "COMMIT_MESSAGE,FILE_PATH_CHANGES,$types" "$@") || fail "$*: not clean"
}

tarball=/usr/src/linux-source-$version.tar.xz
case $version in
6.*)
	if [ ! -e "$tarball" ]; then
		echo "source.sh: $tarball: not found; install linux-source-$version" >&2
		exit 77
	fi
	;;
*) tarball=$("$glue/../harness/kernel/fetch.sh" "$version") || exit 77 ;;
esac
mkdir "$tree"
tar -C "$tree" --strip-components=1 -xf "$tarball" \
	"linux-source-$version/Makefile" "linux-source-$version/Kbuild" \
	"linux-source-$version/arch/x86" "linux-source-$version/virt" \
	"linux-source-$version/Documentation/virt" \
	"linux-source-$version/Documentation/admin-guide/kernel-parameters.txt" \
	"linux-source-$version/include/linux/kvm_types.h" \
	"linux-source-$version/scripts/checkpatch.pl" \
	"linux-source-$version/scripts/spelling.txt" \
	"linux-source-$version/scripts/const_structs.checkpatch"
cp -a "$tree" "$tmp/stock"
"$glue/import.sh" "$tree"

for file in "$glue"/host/*.[ch] "$glue"/guest/kvm_*.[ch] "$glue/compat/"{host-$version,guest-${version%%.*}}.h; do
	check NONE --file "$file"
done
check NEW_TYPEDEFS --file "$glue/port/lazytsc_port.h"
check OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT,SPACING --file "$glue/guest/lazytsc_trace.h"
mkdir "$tmp/patches"
awk -v folder="$tmp/patches" '/^--- a/ { file = folder "/" ++n ".patch" } { print >file }' \
	"$tree/virt/lazytsc/imported/hooks.patch"
[ "$(ls "$tmp/patches" | wc -l)" -ge 15 ] || fail "hardly any hooks"
for patch in "$tmp/patches"/*; do
	case $(head -n 1 "$patch") in
	*/trace.h) check OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT "$patch" ;;
	*) check NONE "$patch" ;;
	esac
done

"$glue/import.sh" --undo "$tree"
diff -r --no-dereference "$tree" "$tmp/stock" || fail "--undo left a difference"
