#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Options are understood alike by every sub-command: -h, --help and help are the same text, on
# stdout, status 0; a number or a time that is none, or out of range, is refused by one line that
# names the option, the range with its unit, and what was found.
# Usage: options.sh LAZYTSC SOURCE
. "$(dirname "$0")/common.sh"

status 0 --help
mv out help
for way in -h help; do
	status 0 $way
	cmp help out || fail "$way is not --help"
done
status 1
status 1 nothing
[ "$(head -n 1 err)" = "lazytsc: no command 'nothing'" ] || fail "said $(cat err)"
for command in $(sed -n 's/^  \([a-z]*\) .*/\1/p' help); do
	status 0 $command --help
	mv out one
	[ ! -s err ] || fail "$command --help: $(cat err)"
	for way in "$command -h" "help $command" "$command -?"; do
		# shellcheck disable=SC2086
		status 0 $way
		cmp one out || fail "$way is not $command --help"
	done
	grep -q -e "-h, --help" one || fail "$command --help does not name -h"
	status 0 $command --version
	grep -qx 'lazytsc [0-9.]*' out || fail "$command --version"
	says 1 "unrecognized option*" $command --nothing
done

says 1 "--vcpus: expected a whole number from 1 to 100000, found '0'" sim --vcpus=0
says 1 "--vcpus: expected a whole number from 1 to 100000, found '1k'" sim --vcpus=1k
says 1 "--vcpus: expected a whole number from 1 to 100000, found ' 1'" sim --vcpus=' 1'
says 1 "--vcpus: expected a whole number from 1 to 100000, found '18446744073709551617'" \
	sim --vcpus=18446744073709551617
says 1 "--duration: expected a time from 0ns to 250000h, found '99999999h'" sim --duration=99999999h
says 1 "--duration: expected a time from 0ns to 250000h, found '-1s'" sim --duration=-1s
says 1 "--duration: expected a time from 0ns to 250000h, found 'infs'" sim --duration=infs
says 1 "--duration: expected a number with ns, us, ms, s, m or h, found '5'" sim --duration=5
says 1 "--duration: expected a number with ns, us, ms, s, m or h, found 'nans'" sim --duration=nans
says 1 "--tick: expected a time from 10000ns to 250000h, found '1ns'" sim --tick=1ns
says 1 "--max-states: expected a whole number from 1 to *, found '0'" check --max-states=0
says 1 "--jobs: expected a whole number from 1 to 1024, found '-1'" check -j -1
says 1 "--max-time: expected a number from 0.001 to 1e+09 (s), found 'nan'" \
	litmus --max-time=nan SB.litmus
says 1 "--max-depth: expected a whole number from 1 to 65000, found '65001'" \
	litmus --max-depth=65001 SB.litmus
says 1 "--slack: expected a whole number from 0 to 4294967295, found '4294967296'" \
	replay --slack=4294967296 "$example"
says 1 "--tsc-khz: expected a number from 1 to 1e+09 (kHz), found '0'" replay --tsc-khz=0 "$example"
for shard in 0/-1 1/1 4294967296/4294967297 0/0 0/1x x/1 /1 1; do
	says 1 "--shard is I/N with 0 <= I < N, not '$shard'" check --shard=$shard
done
# What would be ignored is refused.
says 1 "--json, --csv and --prometheus exclude each other" replay --csv --json "$example"
says 1 "--json, --csv and --prometheus exclude each other" replay --prometheus --csv "$example"
says 1 "--hist and --by go with the table and with --json" replay --csv --hist "$example"
says 1 "--hist and --by go with the table and with --json" replay --prometheus --by task "$example"
says 1 "--wide goes with the table alone" replay --json --wide "$example"
says 1 "--guest=trace needs --trace=FILE" sim --guest=trace
says 1 "--trace is a guest of its own*" sim --guest=tick --trace="$example"
says 1 "--cell goes with --replay" check --cell 0
says 1 "--replay performs steps*" check -s remote --cell 0 --replay "0" --checkpoint x
# A seed as it is printed, and as programmers write it; never octal.
for seed in 10 0xa 010; do
	status 0 sim --duration=1ms --seed=$seed
	grep -q 'seed 10,' out || fail "seed $seed"
done
echo "options.sh: options are understood alike"
