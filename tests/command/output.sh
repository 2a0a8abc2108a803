#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Nothing is lost in silence: whatever a sub-command prints, --help and --version too, into a full
# disk is status 2 and one line. A file that is written is complete under its name, or what was
# there before is untouched and nothing is left beside it; a symbolic link stays one, a device is
# written as it is.
# Usage: output.sh LAZYTSC SOURCE
. "$(dirname "$0")/common.sh"

# full ARGUMENT...
full()
{
	local got=0

	"$lazytsc" "$@" >/dev/full 2>err || got=$?
	[ "$got" = 2 ] || fail "status $got into a full disk: lazytsc $*"
	[ "$(cat err)" = "lazytsc$name: standard output: No space left on device" ] ||
		fail "lazytsc $*: said $(cat err)"
}

name=
full --help
full -h
full help
full --version
for command in litmus check merge replay sim; do
	name=" $command"
	full $command --help
	full $command -h
	full help $command
	full $command --usage
	full $command --version
done
name=" litmus"
full litmus SB.litmus
full litmus --witness SB.litmus
full litmus --replay "0 0" SB.litmus
name=" check"
full check -s $small
full check -s $small --json
full check --list
full check --defects=rfc-v1 --max-states 5
full check --defects=rfc-v1 --max-states 5 --json
full check -s remote --cell 0 --replay "0 0 0d"
full check -s remote --cell 0 --replay "0 0 0d" --json
full check -s lvt --variant reset-keeps-msr # a violation that nobody can read
name=" merge"
status 0 check -s $small --checkpoint cells
full merge cells
full merge --json cells
name=" replay"
full replay "$example"
full replay --json "$example"
full replay --csv "$example"
full replay --hist "$example"
full replay --prometheus "$example"
name=" compare"
full compare "$example" "$example"
full compare --json "$example" "$example"
name=" validate"
full validate "$example"
full validate --json "$example"
name=" sim"
full sim --duration=1ms
full sim --duration=1ms --json
full sim --duration=1ms --hist
full sim --list
full sim --swarm=2

# Without a standard output: only what prints needs one.
"$lazytsc" --version >&- 2>err && fail "printed nowhere, with success"
grep -q '^lazytsc: standard output: ' err || fail "no standard output: $(cat err)"

# files PATH ARGUMENT...: what the command writes at PATH, which is at the end of its arguments
files()
{
	local path=$1 wanted=$2

	shift 2
	rm -rf folder && mkdir folder
	status "$wanted" "$@" folder/new
	[ -s folder/new ] && [ "$(ls -A folder)" = new ] || fail "$path: left $(ls -A folder)"
	# The old one is replaced as a whole; a link to it stays a link.
	yes old | head -c 1000000 >folder/old
	chmod 640 folder/old
	ln -s old folder/link
	status "$wanted" "$@" folder/link
	cmp folder/new folder/old || fail "$path: not the same over an old file"
	[ -L folder/link ] || fail "$path: the link is gone"
	[ "$(stat -c %a folder/old)" = 640 ] || fail "$path: the mode changed"
	# No room: nothing changes.
	got=0
	(
		ulimit -f 1
		trap '' XFSZ
		exec "$lazytsc" "$@" folder/old
	) >out 2>err || got=$?
	[ "$got" = 2 ] || fail "$path: status $got without room: $(cat err)"
	grep -q "^lazytsc $1: .*folder/old: File too large$" err || fail "$path: said $(cat err)"
	cmp folder/new folder/old || fail "$path: the old file is not as it was"
	[ "$(ls -A folder | wc -l)" = 3 ] || fail "$path: left $(ls -A folder)"
	# A device, and a folder that is none.
	status "$wanted" "$@" /dev/null
	status 2 "$@" /dev/full
	status 2 "$@" folder/none/new
	grep -q "^lazytsc $1: folder/none/new: No such file or directory$" err ||
		fail "$path: said $(cat err)"
}
files "a chart" 42 check -s lvt --variant reset-keeps-msr --chart
files "a trace for Perfetto" 0 sim --duration=1ms --perfetto
# The table itself would be too long for what is left of the disk.
files "a replay for Perfetto" 0 replay --csv --variants=stock "$example" --perfetto
files "a page" 0 replay --csv --variants=stock "$example" --html
echo "output.sh: all is written, or it is told"
