#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# `lazytsc check` and `lazytsc merge` as commands: the same bytes on any number of threads; shards,
# checkpoints and merge give what one search gives; a counterexample's line replays it; every wrong
# input is told in one line, with the documented exit status.
# Usage: check.sh LAZYTSC
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
expect 1 "'nowhere' is none" check -s nowhere
expect 1 "'none' is none" check --variant none
expect 1 "--shard: expected I/N" check --shard 3/3
expect 1 "--shard: expected I/N" check --shard 1
expect 1 "from 1 to 1024" check -j 0
expect 1 "tso or sc" check --model arm
expect 1 "expected a requirement" check --only Z9
expect 1 "--replay needs" check --replay "0"
expect 1 "not possible" check -s remote --cell 0 --replay "0 0 1d"
expect 1 "step 2 is none" check -s remote --cell 0 --replay "0 x"
expect 1 "'nothing' is none" check --defects=nothing
expect 1 "expected a FILE" merge
expect 2 "No such file" merge "$dir/none"
expect 3 "Not exhaustive" check -s memslot --max-states 100
printf '{"program":"0","variant":"lazy","model":"tso","max states":0,"scenarios":[]}\n' >"$dir/old"
expect 2 "another build" merge "$dir/old"
echo nonsense >"$dir/nonsense"
expect 2 "nonsense:1: not JSON" check -s memslot --checkpoint "$dir/nonsense"
: >"$dir/empty"
expect 2 "empty" merge "$dir/empty"
# A line or a count that the file chooses does not decide how much is read or allocated.
(
	ulimit -v 400000 # KiB; less than the file
	head -c 1G /dev/zero | tr '\0' x >"$dir/endless"
	expect 2 "endless:1: a line of more than 16 MiB" merge "$dir/endless"
	expect 2 "endless:1: a line of more than 16 MiB" check -s memslot --checkpoint "$dir/endless"
	exit $failed
) || failed=1
rm -f "$dir/endless"
head -c 100 /dev/zero >"$dir/zeros"
echo >>"$dir/zeros"
expect 2 "zeros:1: not" merge "$dir/zeros"
head -n 1 "$dir/bad.0" >"$dir/long"
grep -h B5 -m 1 "$dir/bad.0" "$dir/bad.1" | sed 's/"steps":[0-9]*/"steps":1048576/' >>"$dir/long"
grep -q 1048576 "$dir/long" || sed 1d "$dir/bad.0" | sed 's/"steps": *[0-9]*/"steps":1048576/' >>"$dir/long"
expect 2 "long:2: no result of a cell" merge "$dir/long"
# A cell twice, in one file or in two; cells of other scenarios; two processes.
sed -n '1,2p;2p' "$dir/point" >"$dir/twice"
expect 2 "twice:3: this cell is there twice" merge "$dir/twice"
expect 2 "twice:3: this cell is there twice" check -s memslot -s lvt --checkpoint "$dir/twice"
expect 2 "part.0:2: this cell is there twice" merge "$dir/part.0" "$dir/part.1" "$dir/part.0"
expect 2 "results of other scenarios" check -s memslot --checkpoint "$dir/point"
expect 2 "results of other scenarios" check -s lvt -s memslot --checkpoint "$dir/point"
"$lazytsc" check -s memslot --checkpoint "$dir/other" >/dev/null
expect 2 "results of other scenarios" merge "$dir/point" "$dir/other"
exec 8>>"$dir/other"
flock 8
expect 2 "other: another process writes it" check -s memslot --checkpoint "$dir/other"
exec 8>&-
expect 0 exhaustive check -s memslot --checkpoint "$dir/other"
(
	ulimit -f 1
	trap '' XFSZ
	expect 2 "short: cannot be written" check -s lvt -s remote -s memslot --checkpoint "$dir/short"
	exit $failed
) || failed=1
expect 2 "/dev/zero:1: not text" check -s memslot --checkpoint /dev/zero
expect 1 "'lvt' is there twice" check -s lvt -s lvt
# The total is of what was searched to its end.
"$lazytsc" check -s lvt >"$dir/lvt"
"$lazytsc" check -s remote -s lvt --variant rfc-v1 -j1 >"$dir/out"
python3 - "$dir/out" <<'END' || fail "the total where a violation stopped a scenario"
import sys
rows = {}
for line in open(sys.argv[1]):
    f = line.split()
    if f and f[0] in ("remote", "lvt", "total"):
        rows.setdefault(f[0], f[1:])
# A scenario that was violated has no counts; the total has those of the others, and no less.
searched = [r for n, r in rows.items() if n != "total" and all(x.isdigit() for x in r[1:6])]
for i in (0, 1, 2, 3, 4):
    assert int(rows["total"][i]) == sum(int(r[i]) for r in searched), rows
assert "without a violation" in " ".join(rows["total"])
END

expect 2 "another variant" check -s lvt --variant rfc-v3 --checkpoint "$dir/point"
expect 2 "chart" check -s remote --cell 0 --replay "0" --chart "$dir/none/chart.svg"
exit $failed
