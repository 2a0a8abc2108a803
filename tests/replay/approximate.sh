#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Nanosecond clocks: the example traces, whose exact figures are known, with their TSC time stamps
# turned into seconds of 6 or 9 decimals and moved, as another clock would have printed them. The
# TSC's rate is found again, and the figures come out near the exact ones: with timer interrupts
# or without, with --tsc-khz or without. They are marked approximate.
# Usage: approximate.sh LAZYTSC EXAMPLES-DIRECTORY
set -eu
lazytsc=$1 examples=$2
khz=2596146
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# The total rows as: variant exits skips silent injections
totals() {
	awk -F, -v want="$1" '$3 == "total" { if ($NF != want) exit 1; print $2, $4, $5, $6, $7 }'
}

# near NAME PERCENT EXACT ACTUAL: each figure is that near, relative to the trace's writes
near() {
	paste -d ' ' "$3" "$4" | awk -v name="$1" -v percent="$2" '
		NR == 1 { writes = $2 }
		{
			for (i = 2; i <= 5; i++) {
				off = 100 * ($i - $(i + 5)) / writes
				if (off < 0) off = -off
				if (off > worst) worst = off
			}
		}
		END {
			printf "%-28s off by %.2f %% of the writes, at most %s expected\n", name, worst, percent
			exit NR != 2 || worst > percent
		}'
}

# More events than are fitted at once, and a gap among them.
long() {
	python3 "$examples/../bench/gen_trace.py" --mb 25 "$examples/tcp-rr.txt.xz" >"$dir/exact.txt"
	sed -i '5000i CPU:0 [LOST 7 EVENTS]' "$dir/exact.txt"
}

for trace in tcp-rr compile idle long; do
	if [ $trace = long ]; then
		long
	else
		xz -dc "$examples/$trace.txt.xz" >"$dir/exact.txt"
	fi
	"$lazytsc" replay --csv --variants stock,lazy "$dir/exact.txt" | totals false >"$dir/exact"
	for digits in 6 9; do
		awk -v khz=$khz -v digits=$digits '
			match($0, /\] [^ ]+ [0-9]+: /) {
				head = substr($0, 1, RSTART + RLENGTH - 1)
				tail = substr($0, RSTART + RLENGTH)
				n = match(head, /[0-9]+: $/)
				t = substr(head, n, RLENGTH - 2) / khz / 1000 - 77
				printf "%s%.*f: %s\n", substr(head, 1, n - 1), digits, t, tail
			}' "$dir/exact.txt" >"$dir/ns.txt"
		grep -v local_timer_entry "$dir/ns.txt" >"$dir/writes.txt"

		"$lazytsc" replay --csv --variants stock,lazy "$dir/ns.txt" | totals true >"$dir/got"
		"$lazytsc" replay "$dir/ns.txt" | grep -q "Figures are APPROXIMATE"
		near "$trace, $digits" 1 "$dir/exact" "$dir/got"
		"$lazytsc" replay --csv --variants stock,lazy --tsc-khz $khz "$dir/ns.txt" |
			totals true >"$dir/got"
		near "$trace, $digits, rate given" 1 "$dir/exact" "$dir/got"
		"$lazytsc" replay --csv --variants stock,lazy "$dir/writes.txt" | totals true >"$dir/got"
		near "$trace, $digits, writes only" 0.5 "$dir/exact" "$dir/got"

		"$lazytsc" replay --json "$dir/ns.txt" | awk -v khz=$khz '
			/"approximate": true/ { marked++ }
			/"tsc_khz":/ { off = ($2 - khz) / khz; if (off < 0) off = -off; found = 1 }
			END { exit !found || off > 40e-6 || marked < 13 }' ||
			{ echo "$trace: the rate is not found, or figures are not marked"; exit 1; }
	done
done

# The same writes as their host sees them, without any interrupt.
for trace in "$examples"/*.xz "$examples"/../bench/traces/*.xz; do
	xz -dc "$trace" | grep "write_msr: 6e0" >"$dir/exact.txt"
	sed -E 's/^.*\[([0-9]+)\] [^ ]+ +([0-9]+): write_msr: 6e0, value (.*)$/\1 \2 \3/' "$dir/exact.txt" |
		awk -v khz=$khz '{
			t = $2 / khz / 1000 - 77
			printf " CPU %d/KVM-%d [003] d.... %.9f: kvm_msr: msr_write 6e0 = 0x%s\n", $1, 4100 + $1, t, $3
		}' >"$dir/host.txt"
	"$lazytsc" replay --csv --variants stock,lazy "$dir/exact.txt" | totals false >"$dir/exact"
	"$lazytsc" replay --csv --variants stock,lazy "$dir/host.txt" | totals true >"$dir/got"
	near "$(basename "$trace" .txt.xz), host" 0.5 "$dir/exact" "$dir/got"
	"$lazytsc" replay --json "$dir/host.txt" | awk '
		/"doubtful_writes":/ { doubtful = $2 + 0; found++ }
		/"writes":/ && $2 + 0 > writes { writes = $2 + 0 }
		END { exit found != 1 || doubtful > writes / 200 }' ||
		{ echo "$trace: writes in doubt"; exit 1; }
done
