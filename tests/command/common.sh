# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# For the scripts of this folder: $lazytsc, $source, $dir (an empty folder, which is the current
# one), and what follows.
set -uo pipefail
lazytsc=$1 source=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

fail()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# status WANTED ARGUMENT...: run the command; output in out and err
status()
{
	local wanted=$1 got=0

	shift
	"$lazytsc" "$@" >out 2>err || got=$?
	[ "$got" = "$wanted" ] || fail "status $got, expected $wanted: lazytsc $*: $(cat err)"
}

# says WANTED MESSAGE ARGUMENT...: one line on stderr, "lazytsc NAME: " and the message, which may
# have wildcards; nothing on stdout. argp adds about --help, in one line or two.
says()
{
	local wanted=$1 message=$2

	shift 2
	status "$wanted" "$@"
	[ ! -s out ] || fail "lazytsc $*: output: $(cat out)"
	[ "$(grep -cvE "^Try \`lazytsc|^information\.$" err)" = 1 ] || fail "lazytsc $*: not one line: $(cat err)"
	# shellcheck disable=SC2254
	case $(head -n 1 err) in
	"lazytsc $1: "$message) ;;
	*) fail "lazytsc $*: expected '$message', found: $(cat err)" ;;
	esac
}

cat >SB.litmus <<'END'
X86 SB
{ x=0; y=0; }
 P0          | P1          ;
 MOV [x],$1  | MOV [y],$1  ;
 MOV EAX,[y] | MOV EAX,[x] ;
exists (0:EAX=0 /\ 1:EAX=0)
END
example=$source/harness/examples/tcp-rr.txt.xz
small=overdue # a scenario that is searched at once
