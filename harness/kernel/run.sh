#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Measure the lazy TSC deadline in a real kernel: one table of what each workload costs the host
# with the feature off, on, and arming early, beside what lazytsc replay predicts from the guest's
# own trace of the run.
set -euo pipefail

usage()
{
	cat <<-END
	usage: run.sh [OPTION...]

	  --emulator NAME   qemu (AMD SVM, software timer), bochs (Intel VMX, hv timer) or both (default)
	  --workloads LIST  some of rewrite,cyclic,idle,rr,torture (default: these), tasks, streams, and, from
	                    Linux 7.1 on, tasks-hrtick, streams-hrtick: the same with the scheduler's
	                    HRTICK, which these two need to be on and those two to be off
	  --scale PERCENT   of each workload's length (100)
	  --kernel NAME     as for build.sh: lazy (default), or stock: the feature is then off only
	  --vmm NAME        lazytsc-vmm (default), qemu-lazy, or qemu-stock with migratable=off: guests
	                    under QEMU, see qemu.sh; then rewrite,cyclic,idle,rr by default
	  --clocksource S   of the guest: kvm-clock or tsc (default: the guest's own choice, kvm-clock)
	  --build DIR       use this build of a patched kernel, whatever is in it
	  --torture N       expiries of the torture before scaling (1500)
	  --seed N          of the torture (1)
	  --report          boot nothing, print the table of the last run with the same options
	  --json            the table as a JSON array, one object for each row
	  --out DIR         where logs, reports and traces go (default: build/kernel/run)

	Columns: feature  off; on; early: on, and the host loaded with kvm.lazy_tscdeadline_early=1
	         writes   TSC-deadline writes that exited (kvm:kvm_msr)
	         skips    sets and disarms that did not exit, as the guest counts them
	         silent   host timers that fired and injected nothing; blocked: of these, in HLT
	         hv exits VMX preemption timer exits (kvm:kvm_exit)
	         entries  writes + silent: what the host did besides deliveries
	         replay   the same, predicted by lazytsc replay (off: stock; on: lazy; early: early) on
	                  a host that waits for a deadline for at most ${slack} ns, as this one does
	                  (lapic_timer_advance; kvm.lazy_tscdeadline_early). KVM has free looks where the
	                  guest halts, for as long as the vCPU's thread sleeps: less than the guest is
	                  idle, by what an exit and a wake-up take. A..B: with free looks for all of that
	                  time, and without any; diff: of the measured, where it lies outside
	         timer irq   the guest's local timer interrupts; stock irq: those that the stock timer
	                  would have made of the same run's deadlines, by lazytsc replay
	         wake-ups halt_wakeup
	         late     of expiries, as the guest sees it

	exit status: 0; 1 usage; 2 a boot or a guest failed; 3 every attempt of a boot hung;
	42 an expiry was lost, early or too late, or silent expiries exceeded skips (B12; with early, by more
	than $credit for each vCPU)
	END
}

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=${LAZYTSC_KERNEL_DIR:-$top/build/kernel}
lazytsc=${LAZYTSC:-$top/build/release/harness/lazytsc}
# How far silent expiries may lead skips on a vCPU, and ns: what a guess may miss by, and what KVM's
# timer advance (LAPIC_TIMER_ADVANCE_NS_INIT) is at first.
credit=$(sed -n 's/^#define LAZYTSC_PREDICTOR_CREDIT[[:space:]]*\([0-9]*\).*/\1/p' \
	"$top/core/include/lazytsc/predictor.h")
slack=$(sed -n 's/^#define EARLY_SLACK_NS[[:space:]]*\([0-9]*\).*/\1/p' \
	"$top/kernel-glue/host/lazy_tscdeadline.c")
# shellcheck source=harness/kernel/plan.sh
. "$here/plan.sh"

emulators="qemu bochs" workloads=rewrite,cyclic,idle,rr,torture scale=100 kernel=lazy seed=1 json= report= build= torture=1500 clock=
vmm="lazytsc-vmm"
out=$work/run
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	--json) json=1; shift; continue ;;
	--report) report=1; shift; continue ;;
	--*) [ $# -ge 2 ] || { usage >&2; exit 1; } ;;
	esac
	case $1 in
	--emulator) emulators=${2/both/qemu bochs}; shift 2 ;;
	--workloads) workloads=$2; shift 2 ;;
	--scale) scale=$2; shift 2 ;;
	--kernel) kernel=$2; shift 2 ;;
	--torture) torture=$2; shift 2 ;;
	--build) build=$2; shift 2 ;;
	--vmm) vmm=$2; shift 2 ;;
	--clocksource) clock=";clocksource=$2"; shift 2 ;;
	--seed) seed=$2; shift 2 ;;
	--out) out=$2; shift 2 ;;
	*) usage >&2; exit 1 ;;
	esac
done

[ -x "$lazytsc" ] || { echo "run.sh: $lazytsc: not found; build it, or set LAZYTSC" >&2; exit 2; }
case $vmm in
lazytsc-vmm) qemu= ;;
qemu-stock | qemu-lazy) workloads=${workloads%,torture} emulators=qemu qemu=$([ -n "$report" ] || "$here/qemu.sh" build) ;;
*) echo "run.sh: --vmm: expected lazytsc-vmm, qemu-stock or qemu-lazy, found $vmm" >&2; exit 1 ;;
esac
export GUEST_VMM=$vmm
[ -n "$build$report" ] || build=$("$here/build.sh" "$kernel")
features="off on early"
[ "${kernel%%-*}" = lazy ] || features=off
mkdir -p "$out"

# length N, scaled
length()
{
	local n=$(($1 * scale / 100))

	echo $((n > 0 ? n : 1))
}

# plan WORKLOAD FEATURE. The emulated host has one CPU, which both vCPUs of a guest share: with two
# it hangs more often.
plan()
{
	local run=$1-$2 feature=$2 trace=trace=1 GUEST_APPEND=$clock hrtick=hrtick=0 \
		idle="maxcpus=1;cpuidle_haltpoll.force=1;haltpoll.guest_halt_poll_ns=0$clock"

	[[ $1 != *-hrtick ]] || hrtick=hrtick=1
	[ "$feature" = off ] || feature=on
	case $1 in
	rewrite) plan_guest "$run" 1 "$feature" "$1" "n=$(length 2000)" us=500 gap=20 $trace ;;
	cyclic) plan_guest "$run" 1 "$feature" "$1" "n=$(length 500)" us=1000 $trace ;;
	idle) plan_guest "$run" 1 "$feature" "$1" "n=$(length 20000)" us=1000 $trace ;;
	# Linux stops the tick on every HLT only where a cpuidle driver says so: haltpoll.
	rr) GUEST_APPEND=$idle plan_guest "$run" 2 "$feature" "$1" "n=$(length 10000)" $trace ;;
	streams*) GUEST_APPEND=$idle plan_guest "$run" 2 "$feature" rr "n=$(length 3000)" pairs=3 gap=20 $hrtick $trace ;;
	tasks*) plan_guest "$run" 1 "$feature" tasks "n=$(length 2000)" gap=50 $hrtick $trace ;;
	torture) plan_torture "$run" 1 "$feature" "$(length "$torture")" "$seed" ;;
	esac
}

# Where the results of WORKLOAD FEATURE are: what has a host of its own, has a place of its own.
place()
{
	local dir=$out/$emulator

	[ "$1" != torture ] || dir+=-torture
	[ "$2" != early ] || dir+=-early
	echo "$dir"
}

# boot WORKLOADS FEATURES: a host that runs a guest for each of both.
boot()
{
	local workload feature dir seconds=0 more=()

	dir=$(place "${1%% *}" "${2%% *}")
	mkdir -p "$dir"
	for workload in $1; do
		for feature in $2; do
			plan "$workload" "$feature"
		done
		seconds=$((seconds + 60 + scale / 2))
	done >"$dir/plan"
	[ "$2" != early ] || more=(--append kvm.lazy_tscdeadline_early=1)
	[ "$emulator" = qemu ] || seconds=$((4 * seconds))
	[ -z "$qemu" ] || more+=(--qemu "$qemu")
	if [ "$1" = torture ]; then
		# In real time: with counted instructions it stops too often
		# (docs/kernel-testing.md, "Hangs").
		more+=(--no-icount)
		seconds=$((seconds + torture * scale / 20000))
	fi
	"$here/boot.sh" --emulator "$emulator" --build "$build" --out "$dir" ${more[@]+"${more[@]}"} \
		--timeout "$seconds" --attempts 4 "$dir/plan"
}

boots()
{
	local emulator=$1 workload together=

	for workload in ${workloads//,/ }; do
		[ "$workload" = torture ] || together+=${together:+ }$workload
	done
	for workload in "$together" $([[ ,$workloads, != *,torture,* ]] || echo torture); do
		[ -n "$workload" ] || continue
		boot "$workload" "${features% early}" || return
		[ "$features" = off ] || boot "$workload" early || return
	done
}

value()
{
	local v

	v=$(report_value "$@")
	echo "${v:-0}"
}

us()
{
	awk -v ns="$1" 'BEGIN { printf "%.1f", ns / 1000 }'
}

# replayed TRACE VARIANT CYCLES: host entries with free looks and without, and interrupts of the
# stock timer, of all vCPUs. Without a halt there are no free looks, and replay has no figures.
replayed()
{
	local variants=stock,$2

	if [ "$2" != stock ] && grep -q ': cpu_idle: state=[1-9] ' "$1"; then
		variants+=,$2-free
	fi
	"$lazytsc" replay --csv --variants "$variants" --slack "$3" --advance "$3" "$1" |
		awk -F, -v plain="$2" 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i }
			$column["vcpu"] == "total" { n[$column["variant"]] = $column["host_entries"] }
			$column["vcpu"] == "total" && $column["variant"] == "stock" {
				irqs = $column["injections"]
			}
			END { print plain "-free" in n ? n[plain "-free"] : n[plain], n[plain], irqs }'
}

# predict TRACE VARIANT CYCLES: the same of the whole trace less what comes before its marker
predict()
{
	sed '/tracing_mark_write: start/,$d' "$1" >"$1.before"
	paste -d' ' <(replayed "$1" "$2" "$3") <(replayed "$1.before" "$2" "$3") |
		awk '{ print $1 - $4, $2 - $5, $3 - $6 }'
}

status=0
worse()
{
	echo "run.sh: $2" >&2
	[ "$status" -gt "$1" ] || status=$1
}

# One row of the table, tab-separated; also judges the run.
row()
{
	local emulator=$1 run=$2 r=$3 trace=${3%/*}/trace-$2.txt
	local rc writes skips silent blocked entries hv free plain predicted diff irqs stock_irqs variant allowed=0 late=-
	local workload=${2%-*} feature=${2##*-}

	rc=$(report_value "$r" "$run" status)
	writes=$(value "$r" "$run" msr_write_6e0)
	skips=$(value "$r" "$run" guest_skips)
	blocked=$(value "$r" "$run" stat_lazy_tscdeadline_silent_blocked)
	silent=$((blocked + $(value "$r" "$run" stat_lazy_tscdeadline_silent)))
	entries=$((writes + silent))
	hv=-
	[ "$emulator" = qemu ] || hv=$(value "$r" "$run" exit_34)
	predicted=- diff=- stock_irqs=- irqs=$(value "$r" "$run" timer_interrupts)
	case $feature in
	off) variant=stock ;;
	on) variant=lazy ;;
	early) variant=early allowed=$((credit * $(value "$r" "$run" cpus))) ;;
	esac
	if [ -s "$trace" ]; then
		read -r free plain stock_irqs < <(predict "$trace" "$variant" $(($(value "$r" "$run" tsc_khz) * slack / 1000000)))
		predicted=$free
		[ "$free" = "$plain" ] || predicted+=..$plain
		diff=$(awk -v m="$entries" -v free="$free" -v plain="$plain" 'BEGIN {
			p = m > plain ? plain : m < free ? free : m
			printf "%+.1f", p ? 100 * (m - p) / p : 0
		}')
		# The guest's own count goes on while the VMM is told of the end.
		irqs=$(sed '1,/tracing_mark_write: start/d' "$trace" | grep -c ': local_timer_entry: ' || true)
	fi
	[ "$(value "$r" "$run" expiries)" = 0 ] ||
		late="$(us "$(value "$r" "$run" late_min_ns)")/$(us "$(value "$r" "$run" late_avg_ns)")/$(us \
			"$(value "$r" "$run" late_max_ns)")"
	printf '%s\t' "$emulator" "$workload" "$feature" "$writes" "$skips" "$silent" "$blocked" "$hv" \
		"$entries" "$predicted" "$diff" "$irqs" "$stock_irqs" \
		"$(value "$r" "$run" stat_halt_wakeup)" "$(value "$r" "$run" expiries)" "$late"
	echo "${rc:-none}"

	case $rc in
	0) ;;
	42) worse 42 "$emulator $run: an expiry was lost, early or late; see $r" ;;
	*) worse 2 "$emulator $run: the guest ended with status ${rc:-none}; see $r" ;;
	esac
	# The measured part of a torture run switches the feature, which makes a plain timer of a
	# lazy one.
	[ "$silent" -le $((skips + allowed)) ] || worse 42 "$emulator $run: $silent silent expiries after $skips skips"
}

pids=()
# The emulators run side by side, their results are put together in order.
for emulator in $emulators; do
	[ -z "$report" ] || continue
	boots "$emulator" & pids[${#pids[@]}]=$!
done
for pid in ${pids[@]+"${pids[@]}"}; do
	wait "$pid" || worse $? "a boot failed"
done
header="emulator	workload	feature	writes	skips	silent	blocked	hv exits	entries	replay	diff %"
header+="	timer irq	stock irq	wake-ups	expiries	late min/avg/max us	status"
rows=$out/rows.tsv
: >"$rows"
for emulator in $emulators; do
	for workload in ${workloads//,/ }; do
		for feature in $features; do
			dir=$(place "$workload" "$feature")
			[ ! -s "$dir/plan" ] || row "$emulator" "$workload-$feature" "$dir/report.txt" >>"$rows"
		done
	done
done

if [ -n "$json" ]; then
	awk -F'\t' -v header="$header" 'BEGIN { n = split(header, h, "\t"); print "[" }
		{
			printf "%s {", (NR > 1 ? ",\n" : "")
			for (i = 1; i <= n; i++) {
				gsub(/[^a-z]+/, "_", h[i]); sub(/_$/, "", h[i])
				number = ($i ~ /^[-+]?[0-9.]+$/)
				gsub(/^\+/, "", $i)
				v = ($i == "-") ? "null" : (number ? $i : "\"" $i "\"")
				printf "%s\"%s\": %s", (i > 1 ? ", " : ""), h[i], v
			}
			printf "}"
		}
		END { print "\n]" }' "$rows"
else
	{ echo "$header"; cat "$rows"; } | column -t -s '	' -R 4,5,6,7,8,9,10,11,12,13,14,15,16,17
	echo
	for emulator in $emulators; do
		for workload in ${workloads//,/ }; do
			for feature in $features; do
				place "$workload" "$feature"
			done
		done
	done | awk '!seen[$0]++' | while read -r dir; do
		echo "${dir##*/}:$(sed 1d "$dir/boot.txt" | paste -sd' ' | sed 's/^/ /')"
		sed -n 's/^\([^ ]*\) .*--cpus \([0-9]\) .*--append .*;--;\([^;]*\)/	\1: \2 vCPUs/p' "$dir/plan" | tr ';' ' '
	done
fi
exit "$status"
