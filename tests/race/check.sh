#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# `lazytsc check` and `lazytsc merge` as commands: the same bytes on any number of threads; shards,
# checkpoints and merge give what one search gives; a counterexample's line replays it; every wrong
# input is told in one line, with the documented exit status.
# Usage: check.sh LAZYTSC
. "$(dirname "$0")/common.sh"

# Threads.
for j in 1 2 5; do
	"$lazytsc" check -s memslot -s lvt -j $j >"$dir/holds.$j"
	"$lazytsc" check -s memslot -s lvt -j $j --json |
		sed '/"arguments"/,/\]/d' >"$dir/holds.json.$j"
	"$lazytsc" check -s memslot -s remote --variant rfc-v3 -j $j >"$dir/refuted.$j"
done
for j in 2 5; do
	same "$dir/holds.1" "$dir/holds.$j" "-j1 and -j$j"
	same "$dir/holds.json.1" "$dir/holds.json.$j" "-j1 and -j$j, JSON"
	same "$dir/refuted.1" "$dir/refuted.$j" "-j1 and -j$j, with a counterexample"
done
grep -q exhaustive "$dir/holds.1" || fail "does not say exhaustive"
grep -q '"exhaustive": true' "$dir/holds.json.1" || fail "JSON does not say exhaustive"

# Shards, merged.
for i in 0 1 2; do
	expect 0 "shard $i of 3" check -s memslot -s lvt --shard $i/3 --checkpoint "$dir/part.$i"
done
expect 0 exhaustive merge "$dir/part.0" "$dir/part.1" "$dir/part.2"
same "$dir/holds.1" "$dir/out" "one search and three shards"
expect 2 "no result of memslot, cell" merge "$dir/part.0" "$dir/part.2"

# A checkpoint that was cut off in a line is resumed, and ends as one search.
"$lazytsc" check -s memslot -s lvt --checkpoint "$dir/point" >/dev/null
lines=$(wc -l <"$dir/point")
head -n 4 "$dir/point" >"$dir/cut"
sed -n 5p "$dir/point" | head -c 20 >>"$dir/cut"
"$lazytsc" check -s memslot -s lvt --checkpoint "$dir/cut" >"$dir/resumed"
same "$dir/holds.1" "$dir/resumed" "one search and a resumed one"
[ "$(wc -l <"$dir/cut")" = "$lines" ] || fail "a resumed checkpoint has not every cell once"

# Counterexamples of shards.
for i in 0 1; do
	expect 42 "Again:" check -s remote --variant rfc-v1 --shard $i/2 --checkpoint "$dir/bad.$i"
done
"$lazytsc" check -s remote --variant rfc-v1 >"$dir/bad"
expect 42 B5 merge "$dir/bad.0" "$dir/bad.1"
same "$dir/bad" "$dir/out" "one refutation and two shards"

# The line that replays it, with a chart.
line=$(sed -n 's/^Again: lazytsc //p' "$dir/bad")
[ -n "$line" ] || fail "no line that replays"
eval "set -- $line"
expect 42 "B5 at 1: interrupt for 1" "$@" --chart "$dir/chart.svg"
grep -q '</svg>' "$dir/chart.svg" || fail "no chart"
expect 42 '"requirement": "B5"' "$@" --json
expect 0 "nothing is violated" check -s remote --cell 0 --replay "0 0 0d"

# What it must refuse.
expect 1 "no scenario" check -s nowhere
expect 1 "no variant" check --variant none
expect 1 "--shard is I/N" check --shard 3/3
expect 1 "--shard is I/N" check --shard 1
expect 1 "from 1 to 1024" check -j 0
expect 1 "tso or sc" check --model arm
expect 1 "no requirement" check --only Z9
expect 1 "--replay needs" check --replay "0"
expect 1 "not possible" check -s remote --cell 0 --replay "0 0 1d"
expect 1 "step 2 is none" check -s remote --cell 0 --replay "0 x"
expect 1 "no defect" check --defects=nothing
expect 1 "which FILE" merge
expect 2 "No such file" merge "$dir/none"
expect 3 "Not exhaustive" check -s memslot --max-states 100
printf '{"program":"0","variant":"lazy","model":"tso","max states":0,"scenarios":[]}\n' >"$dir/old"
expect 2 "another build" merge "$dir/old"
echo nonsense >"$dir/nonsense"
expect 2 "nonsense:1: not JSON" check -s memslot --checkpoint "$dir/nonsense"
: >"$dir/empty"
expect 2 "empty" merge "$dir/empty"
expect 2 "another variant" check -s lvt --variant rfc-v3 --checkpoint "$dir/point"
expect 2 "chart" check -s remote --cell 0 --replay "0" --chart "$dir/none/chart.svg"
exit $failed
