#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Valgrind finds nothing in a representative run of each sub-command: no invalid access, no use of
# what was never set, no memory lost. (AddressSanitizer, which the asan build uses, does not see a
# value that was never set.)
# Usage: valgrind.sh LAZYTSC SOURCE
. "$(dirname "$0")/common.sh"

# clean STATUS ARGUMENT...
clean()
{
	local want=$1 got=0

	shift
	valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,possible \
		--log-file=log "$lazytsc" "$@" >out 2>err || got=$?
	[ "$got" = "$want" ] || fail "status $got, expected $want: lazytsc $*: $(head -n 5 err) $(head -n 20 log)"
}

idle=$source/harness/examples/idle.txt.xz
clean 0 --help
clean 1 nonesuch
clean 0 replay --html page.html --perfetto time.json --hist "$example"
clean 0 replay --json --variants=stock,lazy,early,bound --by=task "$example"
clean 0 replay --prometheus "$example" "$idle"
clean 2 replay page.html
clean 0 compare "$example" "$idle"
clean 0 validate --least=50 "$example"
clean 0 sim --duration 100ms --perfetto time.json
clean 0 sim --swarm=5
clean 0 litmus --witness "$source/tests/litmus/SB.litmus"
clean 0 litmus --model=sc "$source/tests/litmus/SB+mfences.litmus"
clean 0 check --scenario $small --checkpoint cells
clean 0 merge cells
# A counterexample, as the command finds it, performed again.
again=$("$lazytsc" check --variant weak-fence --scenario remote | sed -n 's/^Again: .*--cell \([0-9]*\) --replay "\(.*\)"$/\1 \2/p')
clean 42 check --variant weak-fence --scenario remote --cell "${again%% *}" --replay "${again#* }" --chart race.svg
