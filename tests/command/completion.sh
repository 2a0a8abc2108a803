#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The completion for bash completes commands, their options and the variants' names, each of which
# the command takes; and nothing where a file is wanted, which bash itself completes.
# Usage: completion.sh LAZYTSC SOURCE
. "$(dirname "$0")/common.sh"
. "$source/harness/completion.bash"

# complete_line WORD...: what the last of these words can become, in one line
complete_line()
{
	COMP_WORDS=("$lazytsc" "$@")
	COMP_CWORD=$#
	_lazytsc "$lazytsc"
	echo "${COMPREPLY[*]}"
}

[ "$(complete_line rep)" = replay ] || fail "rep: $(complete_line rep)"
[ "$(complete_line help va)" = validate ] || fail "help va: $(complete_line help va)"
[ "$(complete_line --v)" = --version ] || fail "--v: $(complete_line --v)"
status 0 --help
mv out help
for command in $(complete_line ''); do
	case $command in help | --*) continue ;; esac
	grep -q "^  $command " help || fail "no command $command"
	for option in $(complete_line "$command" --); do
		status 0 "$command" --help
		grep -q -e "$option" out || fail "$command has no $option"
	done
	[ -n "$(complete_line "$command" --)" ] || fail "$command: no option"
	[ -z "$(complete_line "$command" some)" ] || fail "$command: completes file names itself"
done
[ "$(complete_line replay --promet)" = --prometheus ] || fail "--promet: $(complete_line replay --promet)"
[ "$(complete_line replay --variants st)" = stock ] || fail "variants: $(complete_line replay --variants st)"
[ "$(complete_line replay --variants = sto)" = stock ] || fail "variants ="
for variant in $(complete_line replay --variants ''); do
	status 0 replay --variants "$variant" "$example"
done
complete -p lazytsc | grep -q _lazytsc || fail "not registered"
echo "completion.sh: all that it completes is taken"
