# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Sourced by run.sh, soak.sh and the tests.

# plan_vmm on|off prints the program that runs the guest. GUEST_VMM: lazytsc-vmm (default),
# qemu-lazy, or qemu-stock, which exposes what it has no name for with migratable=off. PV EOI and
# XSAVE are not for emulators (docs/kernel-testing.md, "Hangs").
plan_vmm()
{
	local qemu="/bin/lazytsc-qemu --machine microvm,acpi=off --qemu" host=host,-kvm-pv-eoi,-xsave

	case ${GUEST_VMM:-lazytsc-vmm}-$1 in
	lazytsc-vmm-off) echo "/bin/lazytsc-vmm" ;;
	lazytsc-vmm-on) echo "/bin/lazytsc-vmm --lazy" ;;
	qemu-lazy-on) echo "$qemu /bin/qemu-lazy:$host,kvm-lazy-tscdeadline" ;;
	qemu-stock-on) echo "$qemu /bin/qemu-stock:$host,migratable=off" ;;
	*) echo "$qemu /bin/$GUEST_VMM:$host" ;;
	esac
}

# plan_guest NAME CPUS on|off WORKLOAD [PARAMETER=VALUE...] prints one line of a plan for boot.sh.
# GUEST_APPEND: more for the guest kernel's command line; GUEST_TIMEOUT: seconds of the host's time;
# GUEST_MORE: more arguments for the VMM.
plan_guest()
{
	local events="trace_event=msr:write_msr,irq_vectors:local_timer_entry,power:cpu_idle,lazytsc:*"
	local name=$1 cpus=$2 feature=$3 arg append="console=ttyS0,115200;tsc=reliable;panic=-1;reboot=t;quiet;${GUEST_APPEND:-};--"

	shift 3
	[[ ${GUEST_VMM:-} != qemu-* ]] || append=${append/%--/doorbell=/dev/ttyS1;--}
	# From the boot on: what was written, and what a patched guest wanted and did not write.
	[[ " $* " != *" trace=1 "* ]] || append=${append/%--/trace_clock=x86-tsc;trace_buf_size=8M;$events;--}
	for arg in "$@"; do
		append+=";$arg"
	done
	echo "$name $(plan_vmm "$feature") --kernel /guest/vmlinux --initrd /guest/initrd --cpus $cpus" \
		"--timeout ${GUEST_TIMEOUT:-100} ${GUEST_MORE:-} --trace /tmp/trace --append $append"
}

# plan_torture NAME CPUS on|off EXPIRIES SEED: with the VM saved and restored, its TSC moved, the
# feature switched and, where there are two CPUs, one of them taken offline and back.
plan_torture()
{
	plan_guest "$1" "$2" "$3" torture "n=$4" timers=32 restore=150 jump=110 toggle=70 hotplug=200 \
		"seed=$5"
}

# report_value REPORT RUN NAME: one value from a report of boot.sh; nothing when it is not there.
report_value()
{
	awk -v run="$2" -v name="$3" '$1 == "run" { on = $2 == run } on && $1 == name { print $2; exit }' \
		"$1"
}
