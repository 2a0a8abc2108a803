# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# For check.sh and small.sh: $lazytsc, $dir (an empty folder), $failed, and what follows.
set -u
lazytsc=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

fail()
{
	echo "FAIL: $*" >&2
	failed=1
}

# expect STATUS TEXT ARGUMENT...: the command's status, and a text that it prints
expect()
{
	local want=$1 text=$2 status
	shift 2
	"$lazytsc" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	[ "$status" = "$want" ] || fail "lazytsc $*: status $status, expected $want"
	grep -qF -- "$text" "$dir/out" "$dir/err" || fail "lazytsc $*: does not say '$text'"
}

same()
{
	cmp -s "$1" "$2" || fail "$3 differ: $(diff "$1" "$2" | head -n 5)"
}
