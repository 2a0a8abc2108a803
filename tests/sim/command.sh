#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# `lazytsc sim` as a command: the same bytes each time and on any number of threads; a violation has
# status 42, a chart and a command that shows the very same violation again, swarm or not; wrong
# usage and files that cannot be used have their own status and one clear line; --perfetto and
# --json write JSON; the man page names every option, guest, trouble and cost.
# Usage: command.sh LAZYTSC SOURCE
set -euo pipefail
lazytsc=$1 source=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail()
{
	echo "command.sh: $*" >&2
	exit 1
}

# status WANTED ARGUMENT...: run it, output in $dir/out and $dir/err
status()
{
	local wanted=$1 got=0

	shift
	"$lazytsc" "$@" >"$dir/out" 2>"$dir/err" || got=$?
	[ "$got" = "$wanted" ] || fail "status $got, expected $wanted: lazytsc $*: $(cat "$dir/err")"
}

# Deterministic.
args=(sim --guest=random --vcpus=6 --duration=30ms --timer=mixed --late=5us --trouble=user=2ms
	--trouble=migrate=9ms --restore=any --host-khz=2000000,3000000 --variants=stock,lazy,early
	--per-vcpu --hist)
status 0 "${args[@]}" --threads=1 --json
mv "$dir/out" "$dir/one"
for threads in 2 7; do
	status 0 "${args[@]}" --threads=$threads --json
	sed -i "s/--threads=$threads/--threads=1/" "$dir/out" # the arguments are printed too
	cmp "$dir/one" "$dir/out"
done
python3 - "$dir/one" <<'END'
import json, sys
d = json.load(open(sys.argv[1]))
assert len(d["rows"]) == 3 * 7 and not d["broken"], d["broken"]
for r in d["rows"]:
    assert sum(r["late_us"]) == r["timer_interrupts"] > 0, r
    assert sum(r["exits_by_reason"].values()) == r["exits"], r
    assert r["host_entries"] == r["msr_write_exits"] + r["silent_expiries"], r
END
status 0 "${args[@]}" --threads=1
mv "$dir/out" "$dir/one"
status 0 "${args[@]}" --threads=3
cmp "$dir/one" "$dir/out"
status 0 sim --swarm=60 --threads=1 --variants=lazy,early
mv "$dir/out" "$dir/one"
status 0 sim --swarm=60 --threads=4 --variants=lazy,early
cmp "$dir/one" "$dir/out"

# A violation, and the same one again by the command that is printed.
again()
{
	local first command

	grep -q '^ *us  *guest  *host  *armed  *pending  *timer$' "$dir/out" || fail "no chart"
	first=$(grep -m1 '^BROKEN: [AB][0-9]* at ' "$dir/out") || fail "no requirement"
	command=$(grep -m1 '^Again: lazytsc ' "$dir/out") || fail "no command"
	read -ra command <<<"${command#Again: lazytsc }"
	status 42 "${command[@]}"
	[ "$(grep -m1 '^BROKEN: ' "$dir/out")" = "$first" ] || fail "${command[*]}: not '$first'"
}
status 42 sim --guest=storm --duration=50ms --variants=stock,rfc-v1 --seed=7 --gap=20us
again
status 42 sim --swarm=20 --variants=rfc-v3 --seed=1000
again
status 42 sim --guest=storm --duration=50ms --variants=rfc-v1 --json
python3 -c 'import json, sys; assert json.load(sys.stdin)["broken"][0]["requirement"] == "B5"' \
	<"$dir/out"

# Perfetto.
status 0 sim --duration=20ms --vcpus=2 --perfetto="$dir/trace.json"
python3 - "$dir/trace.json" <<'END'
import json, sys
events = json.load(open(sys.argv[1]))["traceEvents"]
for tid in 1, 2:
    mine = [e for e in events if e.get("tid") == tid]
    spans = [e for e in mine if e["ph"] == "X"]
    assert {"guest", "blocked", "HLT"} <= {e["name"] for e in spans}
    for a, b in zip(spans, spans[1:]):
        assert abs(a["ts"] + a["dur"] - b["ts"]) < 0.0015, (a, b)
    assert {"injects", "set: skip"} <= {e["name"] for e in mine if e["ph"] == "i"}
assert {e["name"] for e in events if e["ph"] == "C"} == {
    f"vCPU {i} {what}" for i in (0, 1) for what in ("armed", "pending")}
END

# A trace as the guest: what replay counts with an ideal host is near.
status 0 sim --trace="$source/harness/examples/tcp-rr.txt.xz" --json
python3 - "$dir/out" <<'END'
import json, sys
stock, lazy = json.load(open(sys.argv[1]))["rows"]
assert stock["skips"] == 0 and stock["msr_write_exits"] > 1000
assert lazy["msr_write_exits"] < stock["msr_write_exits"] / 10
assert lazy["timer_interrupts"] == stock["timer_interrupts"]
END
# Its rate and its length are those that replay reads from it.
status 0 replay --json --variants=stock "$source/harness/examples/tcp-rr.txt.xz"
mv "$dir/out" "$dir/replayed"
status 0 sim --trace="$source/harness/examples/tcp-rr.txt.xz" --json
python3 - "$dir/out" "$dir/replayed" <<'END'
import json, sys
sim, replayed = (json.load(open(f)) for f in sys.argv[1:])
trace = replayed["traces"][0]
assert abs(sim["duration_ns"] / 1e9 - trace["seconds"]) < 1e-3, (sim["duration_ns"], trace["seconds"])
assert abs(sim["tsc_khz"] - trace["tsc_khz"]) < 1, (sim["tsc_khz"], trace["tsc_khz"])
END

# Wrong usage.
for bad in --guest=none --vcpus=0 --vcpus=x --duration=5 --duration=-1s --duration=1y --timer=none \
	--variants= --variants=lazy,none --cost=nothing=1ns --cost=wake --trouble=none=1ms \
	--restore=none --seed=-1 --host-khz=1 --swarm=0 --threads=0 --tick=1ns --timers=9 extra; do
	status 1 sim $bad
	[ -s "$dir/err" ] && [ ! -s "$dir/out" ] || fail "$bad: no message, or output"
done
status 1 sim --swarm=2 --json
# What would change nothing.
for bad in "--swarm=2 --guest=tick" "--swarm=2 --timer=sw" "--swarm=2 --hist" "--guest=tick --mean=1us" \
	"--guest=storm --tick=1ms" "--restore=parts" "--downtime=1ms --trouble=user=1ms"; do
	# shellcheck disable=SC2086
	status 1 sim $bad
	[ ! -s "$dir/out" ] || fail "$bad: output"
done
grep -q 'downtime needs --trouble=migrate=TIME' "$dir/err" || fail "--downtime: $(cat "$dir/err")"
status 1 sim --guest=trace
grep -q "needs --trace" "$dir/err" || fail "--guest=trace alone: $(cat "$dir/err")"
status 1 sim --guest=tick --trace="$source/harness/examples/tcp-rr.txt.xz"
status 2 sim --trace="$dir/none"
grep -q "none: No such file" "$dir/err" || fail "a missing trace: $(cat "$dir/err")"
status 2 sim --trace="$0"
status 2 sim --duration=1ms --perfetto="$dir/none/trace.json"

# Documented.
sed 's/\\-/-/g' "$source/docs/man/lazytsc-sim.1" >"$dir/man"
status 0 sim --help
for option in $(grep -o -e ' --[a-z-]*' "$dir/out"); do
	case $option in
	--help | --usage | --version) continue ;;
	esac
	grep -q -e "Fl -${option#--}\\b" "$dir/man" || fail "the man page lacks $option"
done
status 0 sim --list
# What it lists can be typed: each cost, guest, variant and trouble.
cp "$dir/out" "$dir/list"
costs=$(sed -n 's/^  \([a-z_]*=[0-9]*ns\) .*/--cost \1/p' "$dir/list")
[ "$(wc -w <<<"$costs")" -ge 20 ] || fail "--list: hardly any costs"
# shellcheck disable=SC2086
status 0 sim --duration=1ms $costs
for kind in guest variants; do
	names=$(sed -n "/(--$kind/,/^\$/s/^  \([a-z0-9-]*\) .*/\1/p" "$dir/list")
	[ -n "$names" ] || fail "--list: no $kind"
	for name in $names; do
		[ $name = trace ] || status 0 sim --duration=1ms --$kind=$name
	done
done
while read -r name _; do
	grep -q "\\b$name\\b" "$source/docs/simulator.md" || fail "simulator.md lacks $name"
done < <(grep '^  [a-z]' "$dir/out")
