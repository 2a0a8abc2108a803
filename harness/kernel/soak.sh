#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Accumulate checked timer expiries over many short runs of the torture, each on its own seed.
set -euo pipefail

usage()
{
	cat <<-END
	usage: soak.sh [OPTION...]

	Each round boots the torture once on the lazy kernel with the feature on, and every fifth round
	once more on the stock kernel, as a control: the emulators hang on that one too. Guests have one
	vCPU and two in turn, the host arms early (kvm.lazy_tscdeadline_early) in every second pair of
	rounds. One line for each run goes to DIR/soak.tsv, where an interrupted soak goes on; the totals
	are printed at the end, and by --report at any time.

	  --expiries N      stop when the feature has been on for so many (1000000)
	  --minutes M       or after this time (60)
	  --run N           expiries of one run (10000)
	  --emulator NAME   qemu (default) or bochs
	  --linux VERSION   of both kernels (6.12)
	  --clocksource S   of the guest: kvm-clock or tsc (default: the guest's own choice, kvm-clock)
	  --report          print the totals of DIR/soak.tsv and end
	  --out DIR         (build/kernel/soak, or soak-VERSION)

	exit status: 0; 1 usage; 2 error; 42 an expiry was lost, early or too late
	END
}

here=$(cd "$(dirname "$0")" && pwd)
work=${LAZYTSC_KERNEL_DIR:-$(cd "$here/../.." && pwd)/build/kernel}
# shellcheck source=harness/kernel/plan.sh
. "$here/plan.sh"

goal=1000000 minutes=60 length=10000 emulator=qemu suffix="" out="" report=
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	--report) report=1; shift; continue ;;
	--*) [ $# -ge 2 ] || { usage >&2; exit 1; } ;;
	esac
	case $1 in
	--expiries) goal=$2; shift 2 ;;
	--minutes) minutes=$2; shift 2 ;;
	--run) length=$2; shift 2 ;;
	--emulator) emulator=$2; shift 2 ;;
	--linux) suffix=-$2; shift 2 ;;
	--clocksource) export GUEST_APPEND=";clocksource=$2"; shift 2 ;;
	--out) out=$2; shift 2 ;;
	*) usage >&2; exit 1 ;;
	esac
done
out=${out:-$work/soak$suffix}
mkdir -p "$out"
log=$out/soak.tsv
[ -e "$log" ] || printf '%s\n' feature cpus seed expiries violations restores hotplugs toggles \
	jumps late_max_us attempts hangs crashes status | paste -sd '\t' >"$log"

totals()
{
	awk -F'\t' 'NR > 1 {
		k = $1 "\t" $2
		if (!(k in runs)) { order[++n] = k; first[k] = $3 }
		last[k] = $3
		runs[k]++; e[k] += $4; v[k] += $5; r[k] += $6; h[k] += $7; t[k] += $8
		j[k] += $9
		if ($10 > l[k]) l[k] = $10
		a[k] += $11; g[k] += $12; c[k] += $13; if ($14 != "0") bad[k]++
	} END {
		print "feature\tvCPUs\truns\tseeds\texpiries\tviolations\trestores\thotplugs\ttoggles" \
			"\tjumps\tlate max us\tboots\thangs\tcrashes\tnot ended"
		for (i = 1; i <= n; i++) {
			k = order[i]
			printf "%s\t%d\t%d-%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t%d\t%d\t%d\n", k, runs[k], first[k],
				last[k], e[k], v[k], r[k], h[k], t[k], j[k], l[k], a[k], g[k], c[k], bad[k]
		}
	}' "$log" | column -t -s '	'
	awk -F'\t' 'NR > 1 && $5 > 0 { bad = 1 } END { exit bad ? 42 : 0 }' "$log"
}

if [ -n "$report" ]; then
	totals
	exit
fi

number()
{
	awk -v v="$1" 'BEGIN { print v + 0 }'
}

# one off|on|early CPUS SEED: a run, with its attempts, and its line in the log. Off: the stock
# kernel.
one()
{
	local feature=$1 cpus=$2 seed=$3 dir=$out/$1-$3 build=$lazy lazy_append= r b

	[ "$feature" != off ] || build=$stock
	[ "$feature" != early ] || lazy_append=kvm.lazy_tscdeadline_early=1
	mkdir -p "$dir"
	plan_torture torture "$cpus" "${feature/early/on}" "$length" "$seed" >"$dir/plan"
	# In real time: with counted instructions the emulated guest hangs far more often.
	"$here/boot.sh" --emulator "$emulator" --no-icount --build "$build" --append "$lazy_append" \
		--out "$dir" --attempts 3 --timeout $((60 + length / 50)) "$dir/plan" \
		2>"$dir/boot.log" || true
	r=$dir/report.txt b=$dir/boot.txt
	touch "$r" "$b"
	{
		printf '%s\t%s\t%s' "$feature" "$cpus" "$seed"
		for name in expiries violations restores torture_hotplugs torture_toggles torture_jumps; do
			printf '\t%s' "$(number "$(report_value "$r" torture $name)")"
		done
		printf '\t%s' "$(awk -v ns="$(report_value "$r" torture late_max_ns)" \
			'BEGIN { printf "%.0f", ns / 1000 }')"
		for name in attempts hangs crashes; do
			printf '\t%s' "$(number "$(awk -v n=$name '$1 == n { print $2 }' "$b")")"
		done
		printf '\t%s\n' "$(report_value "$r" torture status)"
	} >>"$log"
	# What is kept: the log, and whatever went wrong.
	if grep -qs '^hangs 0' "$b" && [ "$(report_value "$r" torture status)" = 0 ]; then
		rm -rf "$dir"
	fi
}

lazy=$("$here/build.sh" "lazy$suffix")
stock=$("$here/build.sh" "stock$suffix")
end=$((SECONDS + 60 * minutes))
seed=$(awk -F'\t' 'NR > 1 && $3 > s { s = $3 } END { print s + 1 }' "$log")
reached()
{
	awk -F'\t' 'NR > 1 && $1 != "off" { e += $4 } END { print e + 0 }' "$log"
}
while [ "$(reached)" -lt "$goal" ] && [ $SECONDS -lt $end ]; do
	feature=on cpus=$((1 + seed % 2))
	[ $((seed / 2 % 2)) = 0 ] || feature=early
	one $feature $cpus "$seed"
	[ $((seed % 5)) != 1 ] || one off $cpus "$seed"
	[ ! -t 2 ] || printf '\r%s of %s expiries ' "$(reached)" "$goal" >&2
	seed=$((seed + 1))
done
[ ! -t 2 ] || echo >&2
totals
