#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# KVM's own selftests for the APIC, its timer and the MSRs, from the kernel's tree: each gives the
# same result on the stock and on the patched kernel.
set -euo pipefail

usage()
{
	cat <<-END
	usage: kvm-selftests.sh [--emulator qemu|bochs] [--out DIR]

	Prints one line for each test: exit status on the stock kernel, on the patched one (0 passed, 4
	skipped, - not run). Exit status: 0 the same everywhere, 1 usage, 2 error, 42 a difference.
	END
}

here=$(cd "$(dirname "$0")" && pwd)
work=${LAZYTSC_KERNEL_DIR:-$(cd "$here/../.." && pwd)/build/kernel}
# shellcheck source=harness/kernel/plan.sh
. "$here/plan.sh"
tests="apic_bus_clock_test get_msr_index_features kvm_pv_test tsc_msrs_test userspace_msr_exit_test
	vmx_preemption_timer_test xapic_ipi_test xapic_state_test"
emulator=qemu out=$work/kvm-selftests-run
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	--emulator | --out) [ $# -ge 2 ] || { usage >&2; exit 1; } ;;
	*) usage >&2; exit 1 ;;
	esac
	case $1 in
	--emulator) emulator=$2 ;;
	--out) out=$2 ;;
	esac
	shift 2
done

# Not to its end in 250 s of processor time under bochs, on the stock kernel either.
[ "$emulator" = qemu ] || tests=${tests/vmx_preemption_timer_test/}

stock=$("$here/build.sh" stock)
lazy=$("$here/build.sh" lazy)
bin=$work/kvm-selftests
mkdir -p "$bin" "$out"
cc=gcc
command -v ccache >/dev/null && cc="ccache gcc"
{
	make -s -C "$work/stock" O=build headers
	# shellcheck disable=SC2086
	make -s -C "$work/stock/tools/testing/selftests/kvm" OUTPUT="$bin" ARCH=x86_64 CC="$cc" \
		KHDR_INCLUDES="-isystem $stock/usr/include" LDFLAGS="-static -pthread -no-pie" \
		$(printf "$bin/x86_64/%s " $tests)
} >"$out/build.log" 2>&1 || { tail -5 "$out/build.log" >&2; exit 2; }

adds=()
: >"$out/plan"
for t in $tests; do
	adds+=(--add "$bin/x86_64/$t:/bin/$t")
	# The IPI test runs for as many seconds; the rest takes no argument.
	echo "$t /bin/$t$([ "$t" != xapic_ipi_test ] || echo " 2")" >>"$out/plan"
done
for kernel in stock lazy; do
	"$here/boot.sh" --emulator "$emulator" --build "${!kernel}" --out "$out/$kernel" --timeout 200 \
		"${adds[@]}" "$out/plan"
done

status=0
{
	echo "test stock lazy"
	for t in $tests; do
		a=$(report_value "$out/stock/report.txt" "$t" status)
		b=$(report_value "$out/lazy/report.txt" "$t" status)
		echo "$t ${a:--} ${b:--}"
		[ -n "$a" ] && [ "$a" = "$b" ] || status=42
	done
} >"$out/result.txt"
column -t "$out/result.txt"
[ "$(awk 'NR > 1 && $2 != $3' "$out/result.txt" | wc -l)" = 0 ] || status=42
exit $status
