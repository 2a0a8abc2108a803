#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Make a series of patches, as git format-patch does, for a Linux 7.x tree.
set -eu

usage()
{
	cat <<-END
	usage: series.sh TREE OUT

	Writes OUT/0000-cover-letter.patch and the patches, one for each of hooks/*.hooks, with the
	files that belong to it, and one with the tests of kselftest/. TREE is a Linux tree without the lazy TSC deadline, and is only read.
	Author and committer are those of your git configuration; the date is now.

	exit status: 0 done; 1 usage; 2 there can be no series of this tree
	END
}

die()
{
	echo "series.sh: $*" >&2
	exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
core=$here/../core
case ${1:-} in -h | --help) usage; exit 0 ;; esac
[ $# = 2 ] || { usage >&2; exit 1; }
tree=$(cd "$1" && pwd) out=$2
[ -f "$tree/Makefile" ] && [ -d "$tree/arch/x86/kvm" ] || die "$tree: not a Linux source tree"
[ ! -e "$tree/virt/lazytsc" ] || die "$tree: has the lazy TSC deadline: import.sh --undo"
version=$(sed -n 's/^VERSION = //p; s/^PATCHLEVEL = /./p' "$tree/Makefile" | head -2 | tr -d '\n')
compat=$here/compat/host-$version.h guest_compat=$here/compat/guest-${version%%.*}.h
case $version in
7.*) [ -e "$compat" ] || die "$tree: Linux $version is not known" ;;
*) die "$tree: Linux $version: a series is made for 7.x; older kernels have import.sh" ;;
esac
git var GIT_COMMITTER_IDENT >/dev/null 2>&1 || die "git does not know who you are: git config user.name, user.email"
mkdir -p "$out"
out=$(cd "$out" && pwd)
[ -z "$(ls -A "$out")" ] || die "$out: is not empty"

repo=$(mktemp -d)
trap 'rm -rf "$repo"' EXIT

# inlined FILE HEADER: the file, with what the compat header defines where it includes it, because a
# tree of one version needs no header of what versions have under other names.
inlined()
{
	awk -v header="$2" '
		/^#include .*kvm_lazy_tscdeadline_compat\.h>|^#include "lazy_tscdeadline_compat\.h"/ {
			included = 1
			next
		}
		included && !/^#include/ && !done {
			while ((getline line <header) > 0) {
				if (line ~ /^#(ifndef|define) _.*_COMPAT_H$/)
					inside = 1
				else if (line ~ /^#include/)
					continue
				else if (inside)
					body[++n] = line
			}
			while (n && body[n] != "#endif")
				n--
			while (n && body[n - 1] == "")
				n--
			if ($0 != "")
				print ""
			for (i = 1; i < n; i++)
				if (body[i] != "" || i == 1 || body[i - 1] != "")
					print body[i]
			done = 1
		}
		{ print }' "$1" | cat -s
}

# in_kernel FILE: a file of the core with the kernel's words for what C11 has, and without what only
# C++ sees.
in_kernel()
{
	awk '
		/^#if(n?def|) *__cplusplus$/ { keep = /ifndef/; inside = 1; next }
		inside && /^#endif$/ { inside = 0; next }
		inside && !keep { next }
		{
			gsub(/_Static_assert/, "static_assert")
			gsub(/_Alignof/, "__alignof__")
			gsub(/__builtin_offsetof/, "offsetof")
			if (match($0, /__attribute__\(\(aligned\([A-Z_]+\)\)\)/))
				sub(/__attribute__\(\(aligned\([A-Z_]+\)\)\)/, \
				    "__aligned(" substr($0, RSTART + 23, RLENGTH - 26) ")")
			if (match($0, /\(1(ULL)? << [0-9]+\)$/)) {
				bit = substr($0, RSTART, RLENGTH)
				name = bit ~ /ULL/ ? "BIT_ULL" : "BIT"
				gsub(/.*<< |\)/, "", bit)
				$0 = substr($0, 1, RSTART - 1) name "(" bit ")"
			}
			print
		}' "$1" | cat -s
}

# The files that come with a file of hooks.
files()
{
	case $1 in
	0001-core)
		mkdir -p virt/lazytsc/include/lazytsc
		for f in "$core"/guest.c "$core"/host.c "$core"/predictor.c; do
			in_kernel "$f" >"virt/lazytsc/${f##*/}"
		done
		for f in "$core"/include/lazytsc/*.h; do
			in_kernel "$f" >"virt/lazytsc/include/lazytsc/${f##*/}"
		done
		cp "$here/port/lazytsc_port.h" virt/lazytsc/include
		cp "$here/Makefile.virt" virt/lazytsc/Makefile
		;;
	0005-host)
		inlined "$here/host/lazy_tscdeadline.c" "$compat" >arch/x86/kvm/lazy_tscdeadline.c
		cp "$here/host/lazy_tscdeadline.h" arch/x86/kvm
		;;
	0006-guest)
		mkdir -p arch/x86/include/asm/trace
		cp "$here/guest/kvm_lazy_tscdeadline.c" arch/x86/kernel
		inlined "$here/guest/kvm_lazy_tscdeadline.h" "$guest_compat" >arch/x86/include/asm/kvm_lazy_tscdeadline.h
		cp "$here/guest/lazytsc_trace.h" arch/x86/include/asm/trace/lazytsc.h
		;;
	selftest)
		mkdir -p tools/testing/selftests/kvm/x86 tools/testing/selftests/kvm/lib/x86 \
			tools/testing/selftests/kvm/include/x86
		cp "$here"/kselftest/*_test.c tools/testing/selftests/kvm/x86
		cp "$here/kselftest/lazy_tscdeadline.c" tools/testing/selftests/kvm/lib/x86
		cp "$here/kselftest/lazy_tscdeadline.h" tools/testing/selftests/kvm/include/x86
		;;
	esac
}

cd "$repo"
git init -q .
mkdir over
for hooks in "$here"/hooks/*.hooks "$here/kselftest/selftest.hooks"; do
	awk -v version="$version" -v tree="$tree" -v over="$repo/over" -v out="$repo/over" -f "$here/hooks.awk" "$hooks" ||
		die "$tree: the hooks do not fit"
done
# The base: what the hooks will change.
(cd over && find . -type f) | while read -r f; do
	mkdir -p "${f%/*}"
	cp "$tree/$f" "$f"
done
rm -r over
git add .
git commit -q -m "Linux $version"
base=$(git rev-parse HEAD)
for hooks in "$here"/hooks/*.hooks "$here/kselftest/selftest.hooks"; do
	awk -v version="$version" -v tree="$repo" -v over="$repo/.none" -v out="$repo" -f "$here/hooks.awk" "$hooks"
	topic=${hooks##*/}
	files "${topic%.hooks}"
	git add .
	sed '/^=== /,$d; /^#/d' "$hooks" | git commit -q -s -F -
done

git format-patch -q --cover-letter --no-signature -o "$out" "$base"
cover=$out/0000-cover-letter.patch
# The figures are those of the documents.
awk '
	/^@[^ ]+ / {
		document = here "/../" substr($1, 2)
		heading = substr($0, length($1) + 2)
		found = inside = 0
		while ((getline line <document) > 0) {
			if (line == heading)
				inside = 1
			else if (inside && line ~ /^#/)
				break
			else if (inside && line ~ /^\|/) {
				found = 1
				if (line !~ /^\|[-|]+$/)
					print "  " line
			} else if (found)
				break
		}
		close(document)
		if (!found) {
			print "series.sh: " document ": no table below: " heading >"/dev/stderr"
			exit 2
		}
		next
	}
	{ print }' here="$here" "$here/cover-letter.txt" >"$repo/cover" || exit 2
awk -v cover="$repo/cover" '
	/^Subject: / {
		getline subject <cover
		sub(/\*\*\* SUBJECT HERE \*\*\*/, subject)
	}
	/^\*\*\* BLURB HERE \*\*\*$/ {
		getline line <cover
		while ((getline line <cover) > 0)
			print line
		next
	}
	/^ create mode / { next } # longer than a line of a letter may be
	{ print }' "$cover" >"$repo/letter"
cp "$repo/letter" "$cover"
echo "$(find "$out" -name '*.patch' | wc -l) files in $out"
