#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The tree is tidy. Each line of output is FILE:LINE: RULE: what was found, and what to do. Rules:
#
#   format      C is as .clang-format says (kernel-glue's tracepoints and tables are as the kernel
#               has them, see `as_kernel` below)
#   width       C and comments: 100 columns, but for a message, which is one string, so that it can
#               be searched for; code in scripts: 140
#   spdx        a licence in the first two lines: GPL-2.0-only OR BSD-2-Clause for core/ and
#               kernel-glue/, BSD-2-Clause elsewhere
#   guard       a header has an include guard, or says that it has none
#   pair        x.c includes x.h where both stand in one folder
#   space       no blanks at the end of a line, a newline at the end of the file
#   scripts     shellcheck finds nothing that .shellcheckrc does not except
#   dead        each file is named somewhere else in the tree, or its folder is
#   words       tests/tidy.words: one word for one thing
#   message     a sentence in C is one string, so that it can be searched for
#   links       what a page (.md) links to, or names by its path, is there
#
# Usage: tidy.sh [FOLDER]   (default: this tree; files that git knows or would add)
# Exit status: 0 tidy, 1 not, 2 a tool is missing.
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
cd "${1:-$top}" || exit 2
for tool in clang-format shellcheck git awk; do
	command -v "$tool" >/dev/null || { echo "tidy.sh: $tool is missing (harness/deps.sh test)" >&2; exit 2; }
done

mapfile -t files < <(git ls-files --cached --others --exclude-standard | while read -r f; do
	[ -f "$f" ] && echo "$f"
done)
found=$(mktemp) names=$(mktemp) named=$(mktemp)
trap 'rm -f "$found" "$names" "$named"' EXIT

# pick PATTERN...: the files that match one of these extended regular expressions
pick()
{
	local IFS='|'
	printf '%s\n' "${files[@]}" | grep -E "$*" || true
}

# Where the kernel's own style for macros differs from clang-format's.
as_kernel='^kernel-glue/guest/lazytsc_trace\.h|^kernel-glue/guest/kvm_lazy_tscdeadline\.[ch]'
as_kernel+='|^kernel-glue/kselftest/|^kernel-glue/host/lazy_tscdeadline\.[ch]|^kernel-glue/compat/|/mutant_(begin|end)\.h'

pick '\.[ch]$' | grep -vE "$as_kernel" | xargs -r clang-format --dry-run 2>&1 |
	sed -n 's/^\([^:]*:[0-9]*\):[0-9]*: warning: .*/\1: format: run clang-format -i on it/p' |
	sort -u >>"$found"

pick '\.[ch]$' '\.sh$' '\.py$' 'CMakeLists\.txt$' '^\.ci/run$' | xargs awk '
	FNR == 1 { c = FILENAME ~ /\.[ch]$/ }
	{
		text = $0
		while (at = index(text, "\t"))
			text = substr(text, 1, at - 1) sprintf("%*s", 8 - (at - 1) % 8, "") substr(text, at + 1)
		if (c && text !~ /^ *[*\/#]/)
			gsub(/"([^"\\]|\\.)*"/, "\"\"", text)
		most = c || text ~ /^ *#/ ? 100 : 140
		if (length(text) > most)
			print FILENAME ":" FNR ": width: " length(text) " columns, at most " most ": break the line"
	}' >>"$found"

pick '^(core|sim|harness|kernel-glue)/.*\.[ch]$' | xargs awk '
	FNR > 1 && cut && /^[ \t]*"[A-Za-z(%]/ {
		print FILENAME ":" FNR - 1 ": message: the sentence goes on in the next string: join them"
	}
	{ cut = /[A-Za-z,;:.] "$/ }' >>"$found"

pick '\.[chS]$' '\.sh$' '\.py$' '\.awk$' 'CMakeLists\.txt$' 'Makefile' '^\.ci/run$' | xargs awk '
	function told() {
		if (file != "" && !good)
			print file ":1: spdx: the first two lines need SPDX-" "License-Identifier: " licence
	}
	FNR == 1 {
		told()
		file = FILENAME
		good = 0
		licence = file ~ /^(core|kernel-glue)\// ? "GPL-2.0-only OR BSD-2-Clause" : "BSD-2-Clause"
	}
	FNR <= 2 && match($0, /SPDX-[L]icense-Identifier: .*/) {
		said = substr($0, RSTART + 25)
		sub(/ \*\/$/, "", said)
		good = good || said == licence
	}
	END { told() }' >>"$found"

pick '\.h$' | xargs grep -LE '^#ifndef [A-Z_0-9]+_H_*$|TRACE_HEADER_MULTI_READ|No include guard' |
	sed 's/$/:1: guard: add an include guard/' >>"$found"

pick '\.c$' | while read -r f; do
	h=${f%.c}.h
	if [ -f "$h" ] && ! grep -qE "#include [\"<]([a-z_/]*/)?${h##*/}[\">]" "$f"; then
		echo "$f:1: pair: include ${h##*/}"
	fi
done >>"$found"

pick '\.[ch]$' '\.sh$' '\.py$' '\.md$' '\.awk$' 'CMakeLists\.txt$' '\.list$' >"$names"
xargs grep -nHE '[ 	]+$' <"$names" |
	sed 's/^\([^:]*:[0-9]*\):.*/\1: space: blanks at the end of the line/' >>"$found"
while read -r f; do
	IFS= read -r -d '' text <"$f" || true
	[[ $text == *$'\n' ]] || echo "$f:$(wc -l <"$f"): space: no newline at the end of the file"
done <"$names" >>"$found"

pick '\.sh$' '^\.ci/run$' | xargs -r shellcheck -x -S warning -f gcc 2>&1 |
	sed 's/^\([^:]*:[0-9]*\):[0-9]*: [a-z]*: /\1: scripts: /' >>"$found"

# Found by their folder: licences, traces, litmus tests, hooks, compat headers, corpora; the rest by
# a tool. A script of the tests is named by its CMakeLists.txt without .sh, and a program or model
# may be named without its ending.
pick '' | grep -vE '^LICENSES/|\.xz$|\.litmus$|\.hooks$|^kernel-glue/compat/|/corpus/|^\.|^CMakePresets\.json$|^debian/' |
	grep -vE '(^|/)(README\.md|CMakeLists\.txt|CHANGELOG\.md|SECURITY\.md|HACKING\.md)$' >"$names"
# What each file says, word by word: WORD FILE.
pick '' | grep -vE '\.xz$' | xargs grep -oHIE '[A-Za-z0-9_.+-]+' |
	awk -F: '{ sub(/\.$/, "", $2); if (!seen[$2, $1]++) print $2, $1 }' >"$named"
awk '
	NR == FNR { said[$1] = said[$1] " " $2; next }
	function elsewhere(word, file, in_file,   n, i, f) {
		n = split(said[word], f, " ")
		for (i = 1; i <= n; i++)
			if (f[i] != file && (in_file == "" || f[i] == in_file))
				return 1
		return 0
	}
	{
		name = $1; sub(/.*\//, "", name)
		stem = name; sub(/\.[^.]*$/, "", stem)
		folder = $1; sub(/[^\/]*$/, "", folder)
		if (!elsewhere(name, $1) && !(name ~ /\.(pml|py)$/ && elsewhere(stem, $1)) &&
		    !($1 ~ /^tests\/.*\.sh$/ && elsewhere(stem, $1, folder "CMakeLists.txt")))
			print $1 ":1: dead: nothing names it: use it or delete it"
	}' "$named" "$names" >>"$found"

# A link counts from the page's folder, a path in backquotes from the top.
pick '\.md$' | while read -r f; do
	grep -noE '\]\([^)#: ]+|`(core|docs|harness|kernel-glue|sim|tests)/[A-Za-z0-9_/.-]+\.[a-z0-9]+' "$f" |
		while IFS=: read -r line to; do
			case $to in
			'`'*) path=${to#?} ;;
			*) path=$(dirname "$f")/${to#??} ;;
			esac
			[ -e "$path" ] || echo "$f:$line: links: $path is not there: mend it or leave it out"
		done
done >>"$found"

# Each line of the list: an extended regular expression, the files, what to write instead.
while IFS=$'\t' read -r word where instead; do
	case $word in '' | '#'*) continue ;; esac
	pick "$where" | grep -v '^tests/tidy' | xargs -r grep -nHIE -e "$word" |
		awk -v word="${word//\\/\\\\}" -v instead="$instead" -F: '{ print $1 ":" $2 ": words: " word ": write " instead }'
done <"$top/tests/tidy.words" >>"$found"

sort -u "$found"
[ ! -s "$found" ] || { echo "tidy.sh: $(sort -u "$found" | wc -l) lines to mend" >&2; exit 1; }
echo "${#files[@]} files are tidy"
