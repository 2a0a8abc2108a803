#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# KVM's own selftests for the APIC, its timer and the MSRs, from the kernel's tree: each gives the
# same result on the stock and on the patched kernel. And those that the series adds: skipped
# on the stock kernel, passed on the patched one.
set -euo pipefail

usage()
{
	cat <<-END
	usage: kvm-selftests.sh [--series] [--emulator qemu|bochs] [--out DIR]

	Without --series: those of the kernel's tree, Linux 6.12. With it: those of kernel-glue/kselftest,
	as the last patch of series.sh puts them into a tree of Linux 7.3.

	Prints one line for each test: exit status on the stock kernel, on the patched one (0 passed, 4
	skipped, - not run). DIR/stock and DIR/lazy have what the tests said (report.txt, serial-N.log).
	Exit status: 0 as expected (the same on both; with --series 4 and 0), 1 usage, 2 error, 42 not.
	END
}

here=$(cd "$(dirname "$0")" && pwd)
work=${LAZYTSC_KERNEL_DIR:-$(cd "$here/../.." && pwd)/build/kernel}
# shellcheck source=harness/kernel/plan.sh
. "$here/plan.sh"
tests="apic_bus_clock_test get_msr_index_features kvm_pv_test tsc_msrs_test userspace_msr_exit_test
	vmx_preemption_timer_test xapic_ipi_test xapic_state_test"
emulator=qemu series='' out=''
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	--series) series=1; shift; continue ;;
	--emulator | --out) [ $# -ge 2 ] || { usage >&2; exit 1; } ;;
	*) usage >&2; exit 1 ;;
	esac
	case $1 in
	--emulator) emulator=$2 ;;
	--out) out=$2 ;;
	esac
	shift 2
done

if [ -n "$series" ]; then
	tests="lazy_tscdeadline_memslot_test lazy_tscdeadline_msr_test lazy_tscdeadline_restore_test
		lazy_tscdeadline_test lazy_tscdeadline_tsc_test lazy_tscdeadline_vcpus_test"
	suffix=-7.3 folder=x86 slow=3 expected="4 0"
	# They wait more than they measure.
	[ "$emulator" = qemu ] || slow=1
else
	suffix='' folder=x86_64 slow=0 expected=''
	# Not to its end in 250 s of processor time under bochs, on the stock kernel either.
	[ "$emulator" = qemu ] || tests=${tests/vmx_preemption_timer_test/}
fi
out=${out:-$work/kvm-selftests-run$suffix}

stock=$("$here/build.sh" "stock$suffix")
lazy=$("$here/build.sh" "lazy$suffix")
bin=$work/kvm-selftests$suffix
mkdir -p "$bin" "$out"

# The tree with the series' last patch: the stock one, but for tools/.
patched_tree()
{
	local tree=$work/series$suffix patches=$out/patches

	rm -rf "$tree" "$patches"
	mkdir -p "$tree"
	for f in Makefile arch include scripts; do
		ln -s "$work/stock$suffix/$f" "$tree/$f"
	done
	cp -a "$work/stock$suffix/tools" "$tree/tools"
	GIT_AUTHOR_NAME=lazytsc GIT_AUTHOR_EMAIL=lazytsc GIT_COMMITTER_NAME=lazytsc GIT_COMMITTER_EMAIL=lazytsc \
		"$here/../../kernel-glue/series.sh" "$work/stock$suffix" "$patches" >&2
	patch -d "$tree" -p1 -s -F0 <"$(find "$patches" -name '*-KVM-selftests-*.patch')"
	echo "$tree"
}

tree=$work/stock
[ -z "$series" ] || tree=$(patched_tree)
cc=gcc
command -v ccache >/dev/null && cc="ccache gcc"
# Without the library of another test, which needs more to be linked statically.
{
	make -s -C "$work/stock$suffix" O=build headers
	# shellcheck disable=SC2086
	make -s -C "$tree/tools/testing/selftests/kvm" OUTPUT="$bin" ARCH=$folder CC="$cc" LIBVFIO_O= LDLIBS=-ldl \
		KHDR_INCLUDES="-isystem $stock/usr/include" LDFLAGS="-static -pthread -no-pie" \
		$(printf "$bin/$folder/%s " $tests)
} >"$out/build.log" 2>&1 || { tail -5 "$out/build.log" >&2; exit 2; }
! grep "lazy_tscdeadline.* warning:" "$out/build.log" >&2 || exit 2

adds=()
: >"$out/plan"
for t in $tests; do
	adds+=(--add "$bin/$folder/$t:/bin/$t")
	# The IPI test runs for as many seconds; the rest takes no argument.
	echo "$t /bin/$t$([ "$t" != xapic_ipi_test ] || echo " 2")" >>"$out/plan"
done
for kernel in stock lazy; do
	"$here/boot.sh" --emulator "$emulator" --build "${!kernel}" --out "$out/$kernel" --slow $slow --timeout 400 \
		"${adds[@]}" "$out/plan"
done

{
	echo "test stock lazy"
	for t in $tests; do
		a=$(report_value "$out/stock/report.txt" "$t" status)
		b=$(report_value "$out/lazy/report.txt" "$t" status)
		echo "$t ${a:--} ${b:--}"
	done
} >"$out/result.txt"
column -t "$out/result.txt"
awk -v expected="$expected" '
	NR > 1 && ($2 == "-" || (expected == "" ? $2 != $3 : $2 " " $3 != expected)) { status = 42 }
	END { exit status }' "$out/result.txt"
