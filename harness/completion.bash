# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Completion of `lazytsc` for bash: commands and options as --help names them, so that this file need
# not know them; file names elsewhere.

_lazytsc()
{
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} list=

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ] || { [ "$COMP_CWORD" = 2 ] && [ "$previous" = help ]; }; then
		list=$("$1" --help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p')
		[ "$COMP_CWORD" = 2 ] || list+=' help --help --version'
	elif [ "$previous" = --variants ] || { [ "$previous" = = ] &&
		[ "${COMP_WORDS[COMP_CWORD - 2]}" = --variants ]; }; then
		list='stock lazy early bound rfc-v1 rfc-v3 lazy-free early-free bound-free'
	elif [[ $word == -* ]]; then
		list=$("$1" "${COMP_WORDS[1]}" --help 2>/dev/null | grep -oE -e '--[a-z][a-z-]*')
	fi
	[ -z "$list" ] || mapfile -t COMPREPLY < <(compgen -W "$list" -- "$word")
}

complete -o bashdefault -o default -F _lazytsc lazytsc
