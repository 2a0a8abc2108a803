#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# `lazytsc check` and `lazytsc merge` as commands, in searches that are small enough for every build
# (check.sh has the large ones): each way through them is taken once. A known defect and a weakened
# core are found as listed, and told as not listed where a bound stops the search; a search that is
# bounded says so; shards and a checkpoint that was cut off give what one search gives; a
# counterexample's line replays it; wrong input is told. Requirement: what the command documents.
# Usage: small.sh LAZYTSC
. "$(dirname "$0")/common.sh"

expect 0 "weak-fence" check --list

# Every scenario, a little way into each cell.
expect 3 "Not exhaustive" check --full --max-states 30 -j 2
expect 3 '"exhaustive": false' check --max-states 30 --json
expect 3 "SC" check --model sc -s remote --max-states 30

# Known defects and weakened cores.
expect 0 "overdue-too-late" check --necessity=overdue-too-late
expect 0 '"as_expected": true' check --necessity=overdue-skip --json
expect 0 "reset-keeps-msr" check --defects=reset-keeps-msr
expect 1 "NOT AS LISTED" check --defects=inject-then-look --max-states 5
expect 1 "is not refuted as listed" check --races "$dir" --max-states 5
[ ! -e "$dir/races.md" ] || fail "a page that is not whole"
expect 2 "No such file" check --races "$dir/none/there"

# One search, three shards, and a checkpoint that was cut off in a line.
"$lazytsc" check -s overdue -j 1 >"$dir/one"
grep -q "search was exhaustive" "$dir/one" || fail "does not say exhaustive"
for i in 0 1 2; do
	expect 0 "shard $i of 3" check -s overdue --shard $i/3 --checkpoint "$dir/part.$i"
done
expect 0 exhaustive merge "$dir/part.0" "$dir/part.1" "$dir/part.2"
same "$dir/one" "$dir/out" "one search and three shards"
expect 0 '"exhaustive": true' merge --json "$dir/part.0" "$dir/part.1" "$dir/part.2"
expect 2 "no result of overdue, cell" merge "$dir/part.0" "$dir/part.2"
cat "$dir"/part.? >"$dir/cut"
head -n 3 "$dir/part.0" >"$dir/cut"
sed -n 4p "$dir/part.0" | head -c 20 >>"$dir/cut"
expect 0 exhaustive check -s overdue --checkpoint "$dir/cut"
same "$dir/one" "$dir/out" "one search and a resumed one"

# A counterexample, in shards and merged; its line replays it, with a chart.
bad=(-s lvt --variant reset-keeps-msr)
expect 42 "B8 at 0" check "${bad[@]}" --chart "$dir/found.svg"
cp "$dir/out" "$dir/bad"
grep -q '</svg>' "$dir/found.svg" || fail "no chart"
# What was not searched to its end is not in the total.
! grep -q '^total' "$dir/bad" || fail "a total of nothing"
expect 42 "of the scenarios that were searched" check "${bad[@]}" -s overdue
counts() { awk -v row="$1" '$1 == row { print $2, $3, $4, $5, $6, $7; exit }' "$2"; }
[ "$(counts total "$dir/out")" = "$(counts overdue "$dir/one")" ] ||
	fail "the total: $(counts total "$dir/out"), expected $(counts overdue "$dir/one")"
for i in 0 1; do
	"$lazytsc" check "${bad[@]}" --shard $i/2 --checkpoint "$dir/bad.$i" >"$dir/out"
done
expect 42 "B8 at 0" merge "$dir/bad.0" "$dir/bad.1"
same "$dir/bad" "$dir/out" "one refutation and two shards"
expect 42 '"requirement": "B8"' check "${bad[@]}" --json
expect 0 "nothing is violated" check -s lvt --cell 8 --replay "0 0 0"
line=$(sed -n 's/^Again: lazytsc //p' "$dir/bad")
[ -n "$line" ] || fail "no line that replays"
eval "set -- $line"
expect 42 "B8 at 0" "$@" --chart "$dir/chart.svg"
grep -q '</svg>' "$dir/chart.svg" || fail "no chart"
expect 42 '"requirement": "B8"' "$@" --json
expect 2 "chart" "$@" --chart "$dir/none/chart.svg"
expect 0 "exhaustive" check -s overdue --only B5

# What it must refuse.
expect 1 "no scenario" check -s nowhere
expect 1 "no variant" check --variant none
expect 1 "--shard is I/N" check --shard 3/3
expect 1 "from 1 to 1024" check -j 0
expect 1 "tso or sc" check --model arm
expect 1 "no requirement" check --only Z9
expect 1 "a checkpoint cannot tell" check --only B5 --checkpoint "$dir/only"
expect 1 "what is 'this'" check this
expect 1 "no defect" check --defects=nothing
expect 1 "--replay needs" check --replay "0"
expect 1 "step 2 is none" check -s remote --cell 0 --replay "0 x"
expect 1 "not possible" check -s remote --cell 0 --replay "0 0 1d"
expect 1 "which FILE" merge
expect 2 "No such file" merge "$dir/none"
expect 2 "No such file" check -s overdue --checkpoint "$dir/none/there"
printf '{"program":"0","variant":"lazy","model":"tso","max states":0,"scenarios":[]}\n' >"$dir/old"
expect 2 "another build" merge "$dir/old"
sed '2s/"cell":[0-9]*/"cell":100000/' "$dir/part.0" >"$dir/wrong"
expect 2 "wrong:2: no result of a cell" merge "$dir/wrong"
sed '1s/"variant":"lazy"/"variant":"lazier"/' "$dir/part.0" >"$dir/wrong"
expect 2 "wrong:1: no such variant" merge "$dir/wrong"
sed '1s/overdue/overdone/' "$dir/part.0" >"$dir/wrong"
expect 2 "wrong:1: no such scenario" merge "$dir/wrong"
echo '{}' >"$dir/wrong"
expect 2 "wrong:1: no header of a checkpoint" merge "$dir/wrong"
echo nonsense >"$dir/nonsense"
expect 2 "nonsense:1: not JSON" check -s overdue --checkpoint "$dir/nonsense"
: >"$dir/empty"
expect 2 "empty" merge "$dir/empty"
expect 2 "part.0:2: a cell whose result is there already" merge "$dir/part.0" "$dir/part.1" "$dir/part.2" "$dir/part.0"
sed 2p "$dir/part.0" >"$dir/twice"
expect 2 "twice:3: a cell whose result is there already" check -s overdue --checkpoint "$dir/twice"
printf '{' >"$dir/cut"
expect 2 "cut: no header of a checkpoint" check -s overdue --checkpoint "$dir/cut"
[ "$(cat "$dir/cut")" = "{" ] || fail "a file that is no checkpoint was changed"
# A file without a newline, of any size, is refused before it fills the memory; so is a 0 byte.
truncate -s 4G "$dir/long"
expect 2 "long:1: a line of more than 1 MiB" merge "$dir/long"
expect 2 "long:1: a line of more than 1 MiB" check -s overdue --checkpoint "$dir/long"
printf '{}\0\n' >"$dir/zero"
expect 2 "zero:1: not JSON" merge "$dir/zero"
# Of two processes on one checkpoint the second is refused.
exec 8>>"$dir/locked"
flock 8
expect 2 "locked: in use by another lazytsc check" check -s overdue --checkpoint "$dir/locked"
exec 8>&-
expect 0 exhaustive check -s overdue --checkpoint "$dir/locked"
expect 0 exhaustive merge "$dir/locked"
expect 2 "another variant" check -s overdue --variant rfc-v3 --checkpoint "$dir/part.0"
exit $failed
