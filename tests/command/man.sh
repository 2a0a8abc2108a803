#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every sub-command has a manual page, which names each option that --help does and no other, and
# each exit status that --help lists; mandoc finds no error in a page. So a page cannot lag behind.
# Usage: man.sh LAZYTSC SOURCE
. "$(dirname "$0")/common.sh"
man=$source/docs/man

# long FILE: the long options that a page names (it writes --name as "Fl -name")
long()
{
	grep -oE '(^|[ .])Fl -[a-z][a-z-]*' "$1" | sed 's/.*Fl -/--/' | sort -u
}

"$lazytsc" --help >help
commands=$(sed -n 's/^  \([a-z]*\) .*/\1/p' help | grep -vx help)
[ "$(echo "$commands" | wc -w)" -ge 8 ] || fail "--help lists: $commands"
for command in $commands; do
	page=$man/lazytsc-$command.1
	[ -f "$page" ] || fail "no page for $command"
	# A page may be that of another command too.
	page=$man/$(sed -n 's,^\.so man1/,,p' "$page" | grep . || echo "lazytsc-$command.1")
	grep -q "^\.Nm lazytsc-$command" "$page" || fail "${page##*/} is not about $command"
	"$lazytsc" "$command" --help >out
	grep -oE -- '(^|[ ,])--[a-z][a-z-]*' out | tr -d ' ,' | sort -u |
		grep -vxE -- '--(help|usage|version)' >has
	long "$page" >told
	differs=$(comm -23 has told | tr '\n' ' ')
	[ -z "$differs" ] || fail "${page##*/} does not tell: $differs"
	cat has >>"all-${page##*/}"
	# "Exit status: 0 ...; 42 ...": each number has an item.
	sed -n '/^Exit status:/,/^$/p' out | tr '\n' ' ' | grep -oE '(: |; )[0-9]+ ' | tr -d ':; ' |
		while read -r number; do
			grep -qx "\.It $number" "$page" || fail "${page##*/} has no exit status $number"
		done || exit 1
done
for all in all-*; do
	page=$man/${all#all-}
	differs=$(long "$page" | grep -vxE -- '--(help|usage|version)' | comm -23 - <(sort -u "$all") | tr '\n' ' ')
	[ -z "$differs" ] || fail "${page##*/} tells of what --help does not: $differs"
done
for page in "$man"/*.1; do
	mandoc -T lint -W error "$page" >out 2>&1 || [ "$(sed -n 's/^\.so.*/so/p' "$page")" = so ] ||
		fail "mandoc: $(cat out)"
done
