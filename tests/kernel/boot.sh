#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The glue in real kernels, booted in emulators: QEMU (AMD SVM, software timer) and bochs (Intel VMX, hv
# timer). Usage: boot.sh PART [VERSION], with a version of Linux as for build.sh; the parts:
#
#   selftest   the kernel self-test passes on the patched kernel on both emulators, and the
#              architectural half of it on the stock kernel and with the module parameter off
#   workloads  what each workload costs the host: fewer entries with the feature than without where
#              deadlines are re-written, and what lazytsc replay says, to 5 % and 3;
#              silent expiries never exceed skips; no more timer interrupts than stock (B5, B12, B24).
#              With guesses: no more entries than without, and no more than replay says, to 5 % and 3
#              (it may be fewer, see docs/kernel-testing.md)
#   torture    12,000 expiries under QEMU and 4,000 under bochs while the feature is switched, the VM saved
#              and restored in both orders and by an unaware VMM, CPUs offlined and back; with one vCPU
#              and two, with and without arming early: none lost, none early (A6, A7, B8, B16, B17)
#   debug      the self-test and a torture of 1,000 expiries with one vCPU and two, in a kernel that
#              checks its locks, where it sleeps, and its timers, as host and as guest: no complaint
#
# Exit status: 0 passed, 1 failed.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
kernel=$top/harness/kernel
work=${LAZYTSC_KERNEL_DIR:-$top/build/kernel}
suffix=${2:+-$2}
out=$work/test-$1$suffix

fail()
{
	echo "FAIL: $*" >&2
	exit 1
}

selftest_on() # EMULATOR KERNEL offered|absent [PARAMETER]
{
	local dir=$out/$1-$2${4:+-${4%%=*}}

	mkdir -p "$dir"
	echo "selftest /bin/selftest" >"$dir/plan"
	# It waits more than it measures: a slower machine has less to do in that time.
	"$kernel/boot.sh" --emulator "$1" --icount 2 --build "$work/$2/build" --add "$out/bin/selftest:/bin/selftest" \
		--append "${4:-}" --out "$dir" --timeout 200 "$dir/plan" ||
		fail "$1, $2 kernel: no boot came to its end"
	sed "s/^/$1 $2${4:+ $4}: /" "$dir/report.txt" "$dir/boot.txt"
	grep -qx 'status 0' "$dir/report.txt" || fail "$1, $2 kernel: the self-test failed"
	grep -qx "feature $3" "$dir/report.txt" || fail "$1, $2 kernel${4:+, $4}: the feature is not $3"
}

torture_on() # EMULATOR EXPIRIES RUN
{
	rm -f "$out/$1/soak.tsv"
	"$kernel/soak.sh" --emulator "$1" ${suffix:+--linux "${suffix#-}"} --expiries "$2" --run "$3" \
		--minutes 40 --out "$out/$1" | sed "s/^/$1: /" || fail "$1: soak.sh: see above"
	awk -F'\t' -v want="$2" 'NR > 1 && $1 != "off" {
			n += $4; restores += $6; plugs += $7; toggles += $8; kinds += !kind[$1 $2]++
		}
		END { exit n < want || !restores || !plugs || !toggles || kinds < 4 }' "$out/$1/soak.tsv" ||
		fail "$1: not everything was exercised"
}

"$top/harness/deps.sh" kernel
case $1 in
selftest)
	make -s -C "$top/kernel-glue/selftest" O="$out/bin"
	"$kernel/build.sh" "stock$suffix" >/dev/null
	"$kernel/build.sh" "lazy$suffix" >/dev/null
	# The slowest one beside the others.
	selftest_on qemu "lazy$suffix" offered & beside=$!
	selftest_on bochs "lazy$suffix" offered
	selftest_on qemu "stock$suffix" absent
	selftest_on bochs "lazy$suffix" absent kvm.lazy_tscdeadline=0
	wait $beside || fail "see above"
	;;
workloads)
	"$kernel/run.sh" --kernel "lazy$suffix" --workloads rewrite,cyclic,idle,rr --scale 30 --out "$out" ||
		fail "run.sh: status $?"
	awk -F'\t' '
		function bad(what) {
			print "FAIL: " $1 " " $2 ": " what > "/dev/stderr"
			failed = 1
		}
		{ rows++; off = $9 - $10; edge = 3 + $10 / 20 }
		off > edge || (-off > edge && $3 != "early") { bad($9 " host entries, replay says " $10) }
		$3 == "off" { stock[$1 $2] = $9; irq[$1 $2] = $12; next }
		$3 == "on" { lazy[$1 $2] = $9 }
		$3 == "early" && $9 > lazy[$1 $2] * 1.05 + 3 { bad($9 " host entries, lazy " lazy[$1 $2]) }
		$2 ~ /^(rewrite|rr)$/ && $9 > stock[$1 $2] / 10 { bad($9 " host entries of " stock[$1 $2]) }
		$1 $2 == "bochsrewrite" && !$8 { bad("the hv timer was not used") }
		$9 > stock[$1 $2] { bad($9 " host entries, stock " stock[$1 $2]) }
		$12 > irq[$1 $2] * 1.2 + 5 { bad($12 " timer interrupts, stock " irq[$1 $2]) }
		END {
			if (rows != 24)
				bad(rows " rows of 24")
			exit failed
		}' "$out/rows.tsv" || fail "see the table above"
	;;
torture)
	# bochs beside QEMU: one CPU each
	torture_on bochs 4000 1000 & beside=$!
	torture_on qemu 12000 3000
	wait $beside || fail "see above"
	;;
debug)
	# shellcheck source=harness/kernel/plan.sh
	. "$kernel/plan.sh"
	make -s -C "$top/kernel-glue/selftest" O="$out/bin"
	"$kernel/build.sh" "debug$suffix" >/dev/null
	selftest_on bochs "debug$suffix" offered ignore_loglevel & beside=$!
	selftest_on qemu "debug$suffix" offered ignore_loglevel
	for cpus in 1 2; do
		dir=$out/torture-$cpus
		mkdir -p "$dir"
		GUEST_APPEND=ignore_loglevel plan_torture torture "$cpus" on 1000 1 >"$dir/plan"
		"$kernel/boot.sh" --no-icount --build "$work/debug$suffix/build" --append ignore_loglevel \
			--out "$dir" --timeout 200 "$dir/plan" || fail "torture: no boot came to its end"
		grep -qx 'status 0' "$dir/report.txt" || fail "torture, $cpus vCPUs: see $dir/report.txt"
	done
	wait $beside || fail "see above"
	for log in "$out"/*/serial-*.log; do
		grep -q "RCU lockdep checking is enabled" "$log" || fail "$log: locks were not checked"
		# The one complaint that is not about KVM is of the CPU that bochs pretends to be.
		! sed '/WARNING: .* parse_legacy/d' "$log" |
			grep -E "WARNING: |BUG: |UBSAN: |ODEBUG: |lockdep is turned off" || fail "$log: see above"
	done
	;;
*)
	echo "usage: boot.sh selftest|workloads|torture|debug [VERSION]" >&2
	exit 1
	;;
esac
