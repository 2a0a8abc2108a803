#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Accumulate checked timer expiries over many short runs of the torture, each on its own seed.
set -euo pipefail

usage()
{
	cat <<-END
	usage: soak.sh [OPTION...]

	Each round boots the torture once on the lazy kernel with the feature on, and every fourth round
	once more on the stock kernel, as a control: the emulators hang on that one too. One line for each
	run goes to DIR/soak.tsv, where an interrupted soak goes on; the totals are printed at the end, and
	by --report at any time.

	  --expiries N      stop when the lazy kernel has reached so many (1000000)
	  --minutes M       or after this time (60)
	  --run N           expiries of one run (3000)
	  --emulator NAME   qemu (default) or bochs
	  --report          print the totals of DIR/soak.tsv and end
	  --out DIR         (build/kernel/soak)

	exit status: 0; 1 usage; 2 error; 42 an expiry was lost, early or too late
	END
}

here=$(cd "$(dirname "$0")" && pwd)
work=${LAZYTSC_KERNEL_DIR:-$(cd "$here/../.." && pwd)/build/kernel}
# shellcheck source=harness/kernel/plan.sh
. "$here/plan.sh"

goal=1000000 minutes=60 length=3000 emulator=qemu out=$work/soak report=
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
	--out) out=$2; shift 2 ;;
	*) usage >&2; exit 1 ;;
	esac
done
mkdir -p "$out"
log=$out/soak.tsv
[ -e "$log" ] || printf 'kernel\tseed\texpiries\tviolations\trestores\thotplugs\ttoggles\tlate_max_us\tattempts\thangs\tcrashes\tstatus\n' >"$log"

totals()
{
	awk -F'\t' 'NR > 1 {
		k = $1; runs[k]++; e[k] += $3; v[k] += $4; r[k] += $5; h[k] += $6; t[k] += $7
		if ($8 > l[k]) l[k] = $8
		a[k] += $9; g[k] += $10; c[k] += $11; if ($12 != "0") bad[k]++
		if (!(k in first)) first[k] = $2
		last[k] = $2
	} END {
		print "kernel\truns\tseeds\texpiries\tviolations\trestores\thotplugs\ttoggles\tlate max us\tboots\thangs\tcrashes\tnot ended"
		for (k in runs)
			printf "%s\t%d\t%s-%s\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t%d\t%d\t%d\n", k, runs[k], first[k],
				last[k], e[k], v[k], r[k], h[k], t[k], l[k], a[k], g[k], c[k], bad[k]
	}' "$log" | column -t -s '	'
	awk -F'\t' 'NR > 1 && $4 > 0 { bad = 1 } END { exit bad ? 42 : 0 }' "$log"
}

if [ -n "$report" ]; then
	totals
	exit
fi

number()
{
	awk -v v="$1" 'BEGIN { print v + 0 }'
}

# one KERNEL BUILD FEATURE SEED: a run, with its attempts, and its line in the log.
one()
{
	local kernel=$1 build=$2 feature=$3 seed=$4 dir=$out/$1-$4 r b

	mkdir -p "$dir"
	plan_torture torture "$feature" "$length" "$seed" >"$dir/plan"
	# In real time: with counted instructions the emulated guest hangs far more often.
	"$here/boot.sh" --emulator "$emulator" --no-icount --build "$build" --out "$dir" --attempts 3 \
		--timeout $((60 + length / 50)) "$dir/plan" 2>"$dir/boot.log" || true
	r=$dir/report.txt b=$dir/boot.txt
	touch "$r" "$b"
	{
		printf '%s\t%s' "$kernel" "$seed"
		for name in expiries violations restores torture_hotplugs torture_toggles; do
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

lazy=$("$here/build.sh" lazy)
stock=$("$here/build.sh" stock)
end=$((SECONDS + 60 * minutes))
seed=$(awk -F'\t' 'NR > 1 && $2 > s { s = $2 } END { print s + 1 }' "$log")
reached()
{
	awk -F'\t' '$1 == "lazy" { e += $3 } END { print e + 0 }' "$log"
}
while [ "$(reached)" -lt "$goal" ] && [ $SECONDS -lt $end ]; do
	one lazy "$lazy" on "$seed"
	[ $((seed % 4)) != 1 ] || one stock "$stock" off "$seed"
	[ ! -t 2 ] || printf '\r%s of %s expiries ' "$(reached)" "$goal" >&2
	seed=$((seed + 1))
done
[ ! -t 2 ] || echo >&2
totals
