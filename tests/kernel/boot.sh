#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The glue in a real kernel, booted in an emulator: qemu (AMD SVM, software timer) or bochs (Intel
# VMX, hv timer). Usage: boot.sh PART EMULATOR [VERSION [CLOCKSOURCE]], with a version of Linux as
# for build.sh, and the guests' clock source in workloads and torture (tsc: from Linux 7.1 on the
# timer is then programmed by another path); the parts:
#
#   selftest   the kernel self-test passes on the patched kernel, and the architectural half of it
#              on the stock kernel (qemu) or with the module parameter off (bochs)
#   workloads  what each workload costs the host: what lazytsc replay says, to 5 % and 3, with the
#              free looks of a guest that is idle for long, and between those and none where it
#              halts shortly; never more entries than the run's own sets would cost the stock timer,
#              with guesses to the predictor's credit; silent expiries never exceed skips; a tenth
#              of stock where deadlines are re-written; no more timer interrupts than stock
#              makes of the same deadlines (B5, B12, B24, B29). With guesses: no more entries than
#              without; of what replay says that guesses save at least half; and beside expiries in
#              HLT no more than it says, to 5 % of lazy and 3. From Linux 7.1 on also tasks that
#              share a CPU, without and with the scheduler's HRTICK
#   torture    12,000 expiries under qemu, 4,000 under bochs, while the feature is switched, the VM
#              saved and restored in every order, with parts left out and by an unaware VMM, its TSC
#              moved forward and back, CPUs offlined and back; with one vCPU and two, with and
#              without arming early: none lost, none early (A6, A7, B8, B16, B17, B19, B26)
#   debug      the self-test, and under qemu a torture of 600 expiries with one vCPU and two, in a
#              kernel that checks its locks, where it sleeps, and its timers, as host and as guest:
#              no complaint
#
# Exit status: 0 passed, 1 failed.
set -euo pipefail

usage="usage: boot.sh selftest|workloads|torture|debug qemu|bochs [VERSION [CLOCKSOURCE]]"
[[ $# -ge 2 && " qemu bochs " = *" $2 "* ]] || { echo "$usage" >&2; exit 1; }
part=$1 emulator=$2 version=${3:-6.12} suffix=${3:+-$3} clock=${4:-}
top=$(cd "$(dirname "$0")/../.." && pwd)
kernel=$top/harness/kernel
work=${LAZYTSC_KERNEL_DIR:-$top/build/kernel}
out=$work/test-$part-$emulator$suffix${clock:+-$clock}

fail()
{
	echo "FAIL: $emulator: $*" >&2
	exit 1
}

# It waits more than it measures: a slower machine has less to do in that time. But a debug kernel
# is slow.
selftest_on() # KERNEL offered|absent [PARAMETER]
{
	local dir=$out/$1${3:+-${3%%=*}} what="$1 kernel${3:+, $3}" slow=3

	[[ $1 != debug* ]] || slow=2
	[ "$emulator" = qemu ] || slow=1

	make -s -C "$top/kernel-glue/selftest" O="$out/bin"
	"$kernel/build.sh" "$1" >/dev/null
	mkdir -p "$dir"
	# A thousand VMs are not for a kernel that is ten times as slow, and an expiry takes it
	# longer than there is between those of the case sibling.
	echo "selftest /bin/selftest $([[ $1 != debug* ]] || echo -restore_orders -sibling)" >"$dir/plan"
	"$kernel/boot.sh" --emulator "$emulator" --slow $slow --build "$work/$1/build" --add "$out/bin/selftest:/bin/selftest" \
		--append "${3:-}" --out "$dir" --timeout 400 "$dir/plan" ||
		fail "$what: no boot came to its end"
	sed "s/^/$what: /" "$dir/report.txt" "$dir/boot.txt"
	grep -qx 'status 0' "$dir/report.txt" || {
		grep -h 'selftest: ' "$dir"/serial-*.log >&2
		fail "$what: the self-test failed"
	}
	grep -qx "feature $2" "$dir/report.txt" || fail "$what: the feature is not $2"
}

torture() # EXPIRIES
{
	local jumps=1

	# Where the guest's clock is the TSC, as on bochs (it is invariant), it does not jump.
	[[ $emulator = qemu && $clock != tsc ]] || jumps=0
	rm -f "$out/soak.tsv"
	"$kernel/soak.sh" --emulator "$emulator" ${suffix:+--linux "$version"} ${clock:+--clocksource "$clock"} \
		--expiries "$1" --run $(($1 / 4)) --minutes 40 --out "$out" || fail "soak.sh: see above"
	awk -F'\t' -v want="$1" -v wanted=$jumps 'NR > 1 && $1 != "off" {
			n += $4; restores += $6; plugs += $7; toggles += $8; jumps += $9
			kinds += !kind[$1 $2]++
		}
		END {
			exit n < want || !restores || !plugs || !toggles || jumps < wanted || kinds < 4
		}' "$out/soak.tsv" ||
		fail "not everything was exercised"
}

"$top/harness/deps.sh" kernel
case $part in
selftest)
	selftest_on "lazy$suffix" offered
	case $emulator in
	qemu) selftest_on "stock$suffix" absent ;;
	bochs) selftest_on "lazy$suffix" absent kvm.lazy_tscdeadline=0 ;;
	esac
	;;
workloads)
	workloads=rewrite,cyclic,idle,rr
	[[ $version = 6.* ]] || workloads+=,tasks,tasks-hrtick,streams,streams-hrtick
	"$kernel/run.sh" --kernel "lazy$suffix" --emulator "$emulator" --workloads $workloads --scale 15 \
		${clock:+--clocksource "$clock"} --out "$out" || fail "run.sh: status $?"
	credit=$(sed -n 's/^#define LAZYTSC_PREDICTOR_CREDIT[[:space:]]*\([0-9]*\).*/\1/p' \
		"$top/core/include/lazytsc/predictor.h")
	awk -F'\t' -v workloads=$workloads -v credit="$credit" '
		function bad(what) {
			print "FAIL: " $1 " " $2 ": " what > "/dev/stderr"
			failed = 1
		}
		{
			rows++
			split($10, replay, /[.][.]/)
			least = replay[1]
			# An idle guest halts for long: it has all free looks that replay knows.
			most = 2 in replay && $2 != "idle" ? replay[2] : replay[1]
		}
		$3 == "early" && $9 - $7 - most > 3 + lazy[$1 $2] / 20 { bad($9 - $7 " host entries but for HLT, replay says " $10) }
		$3 != "early" && ($9 < least * 0.95 - 3 || $9 > most * 1.05 + 3) { bad($9 " host entries, replay says " $10) }
		$12 > $13 * 1.05 + 3 { bad($12 " timer interrupts, of the same deadlines stock makes " $13) }
		$3 == "off" { stock[$1 $2] = $9; next }
		$3 == "on" { lazy[$1 $2] = $9 }
		$3 == "early" && $9 > lazy[$1 $2] * 1.05 + 3 { bad($9 " host entries, lazy " lazy[$1 $2]) }
		$3 == "early" && $9 > (lazy[$1 $2] + least) / 2 + 3 { bad($9 " host entries, replay says " $10) }
		$2 ~ /^(rewrite|rr)$/ && $9 > stock[$1 $2] / 10 { bad($9 " host entries of " stock[$1 $2]) }
		$1 $2 == "bochsrewrite" && !$8 { bad("the hv timer was not used") }
		# With the stock timer each set of the same run is an exit. The run without the
		# feature is no measure, nor is it of interrupts: whether timers meet the tick, and
		# share its interrupt, differs from boot to boot.
		$3 != "off" && $9 > $4 + $5 + ($3 == "early" ? credit : 0) { bad($9 " host entries, stock " $4 + $5) }
		END {
			wanted = 3 * split(workloads, w, ",")
			if (rows != wanted)
				bad(rows " rows of " wanted)
			exit failed
		}' "$out/rows.tsv" || fail "see the table above"
	;;
torture)
	case $emulator in
	qemu) torture 12000 ;;
	bochs) torture 4000 ;;
	esac
	;;
debug)
	# shellcheck source=harness/kernel/plan.sh
	. "$kernel/plan.sh"
	selftest_on "debug$suffix" offered ignore_loglevel
	if [ "$emulator" = qemu ]; then
		dir=$out/torture
		mkdir -p "$dir"
		for cpus in 1 2; do
			GUEST_APPEND=ignore_loglevel plan_torture "torture-$cpus" "$cpus" on 600 1
		done >"$dir/plan"
		"$kernel/boot.sh" --no-icount --build "$work/debug$suffix/build" --append ignore_loglevel \
			--out "$dir" --timeout 300 "$dir/plan" || fail "torture: no boot came to its end"
		[ "$(grep -cx 'status 0' "$dir/report.txt")" = 2 ] || fail "torture: see $dir/report.txt"
	fi
	for log in "$out"/*/serial-*.log; do
		grep -q "RCU lockdep checking is enabled" "$log" || fail "$log: locks were not checked"
		# The one complaint that is not about KVM is of the CPU that bochs pretends to be.
		! sed '/WARNING: .* parse_legacy/d' "$log" |
			grep -E "WARNING: |BUG: |UBSAN: |ODEBUG: |lockdep is turned off" || fail "$log: see above"
	done
	;;
*)
	echo "$usage" >&2
	exit 1
	;;
esac
