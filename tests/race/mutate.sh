#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The copies of the core with one thing wrong: a line that is not there, or there twice, or a list
# that cannot be read, stops the build. Otherwise a defect of the list could be none.
# Usage: mutate.sh SOURCE-DIRECTORY
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# try STATUS TEXT: runs the list on standard input
try()
{
	cat >"$dir/list"
	awk -v core="$1/core" -v variant="$1/sim/include/lazytsc/sim/variant.h" -v out="$dir" \
		-v table=t -f "$1/sim/protocol/mutants/mutate.awk" "$dir/list" \
		>"$dir/out" 2>&1
	status=$?
	if [ $status != "$2" ] || ! grep -qF "$3" "$dir/out"; then
		echo "FAIL: status $status, expected $2 and '$3':" >&2
		cat "$dir/out" >&2
		failed=1
	fi
}

head='defect one
what something
requirement A7
file guest.c
function store_then_load'
printf '%s\nline lazytsc_mb();\nwith (void)0;\n' "$head" | try "$1" 0 "/one.c"
sed -n '/^static u64 store_then_load/,/^}/p' "$dir/one.c" | grep -q '(void)0;' || failed=1
[ "$(grep -c 'lazytsc_mb();' "$dir/one.c")" = 1 ] || failed=1
printf '%s\nline lazytsc_wmb();\n' "$head" | try "$1" 1 "0 lines are 'lazytsc_wmb();'"
printf '%s\n' 'defect two' 'what x' 'requirement A7' 'file host.c' 'function expire_lazy' \
	'line return decide(h, pending);' 'line set_timer(h, next != 0, next, 0);' |
	try "$1" 1 "2 lines are"
printf '%s\ncolour red\n' "$head" | try "$1" 1 "what is 'colour'?"
printf 'defect three\nwhat x\nfile nothing.c\nfunction f\nline x;\nrequirement A7\n' |
	try "$1" 1 "no copies are made of 'nothing.c'"
printf 'defect four\nwhat x\nline x;\n' | try "$1" 1 "'line' without"
printf 'defect five\nwhat x\n' | try "$1" 1 "needs 'what' and 'requirement'"
printf '%s\nline lazytsc_mb();\n%s\nline lazytsc_mb();\n' "$head" "$head" | try "$1" 1 "two of this name"
exit $failed
