#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Record this guest's own TSC-deadline writes with ftrace, for `lazytsc replay`.
set -eu -o pipefail

usage() {
	cat <<'TEXT'
Usage: harness/record.sh OUTPUT SECONDS [COMMAND...]
Records every write of the TSC deadline, timer interrupts and idle periods of this machine, for
SECONDS or as long as COMMAND runs, whichever is shorter, in ftrace's text form, time stamps in TSC
cycles (trace clock x86-tsc). OUTPUT ending in .xz, .gz or .zst is compressed. Root only; needs
the clock event device lapic-deadline and Linux before 7.1 (later kernels do not trace the write).
Changes nothing that lasts: works in a trace instance of its own.
Exit status: 0 recorded; 1 wrong usage or not possible here; 2 events were lost (OUTPUT is kept).
TEXT
}

die() {
	echo "record.sh: $*" >&2
	exit 1
}

case ${1:-} in -h | --help)
	usage
	exit 0
	;;
esac
[ $# -ge 2 ] || { usage >&2; exit 1; }
output=$1 seconds=$2
shift 2
[[ $seconds =~ ^[0-9]+$ && $seconds -gt 0 ]] || die "'$seconds' is no number of seconds"
case $output in
*.xz) pack='xz -9' ;;
*.gz) pack='gzip -9' ;;
*.zst) pack='zstd -q -19' ;;
*) pack='cat' ;;
esac
command -v "${pack%% *}" >/dev/null || die "${pack%% *} is not installed"
[ "$(id -u)" = 0 ] || die "must be root to use ftrace"

device=$(cat /sys/devices/system/clockevents/clockevent0/current_device 2>/dev/null || true)
[ "$device" = lapic-deadline ] ||
	die "this machine's clock event device is '${device:-unknown}', not lapic-deadline: it writes no TSC deadlines"

tracefs=/sys/kernel/tracing
[ -d $tracefs/instances ] || mount -t tracefs tracefs $tracefs 2>/dev/null ||
	die "no tracefs at $tracefs, and it cannot be mounted"
t=$tracefs/instances/lazytsc-record-$$
mkdir $t || die "cannot make a trace instance at $t"
cleanup() {
	echo 0 >$t/tracing_on
	echo >$t/set_event
	rmdir $t
}
trap cleanup EXIT
trap 'exit 1' INT TERM

grep -qw x86-tsc $t/trace_clock || die "this kernel has no trace clock x86-tsc"
[ -d $t/events/msr/write_msr ] || die "this kernel has no event msr:write_msr"
echo 0 >$t/tracing_on
echo x86-tsc >$t/trace_clock
echo 32768 >$t/buffer_size_kb
# 0x6e0: the TSC deadline; 0x830: x2APIC ICR, which tells who woke whom
echo 'msr == 0x6e0 || msr == 0x830' >$t/events/msr/write_msr/filter
for event in msr/write_msr irq_vectors/local_timer_entry power/cpu_idle; do
	echo 1 >$t/events/$event/enable || die "cannot enable the event $event"
done

echo 1 >$t/tracing_on
if [ $# -gt 0 ]; then
	timeout "$seconds" "$@" || [ $? = 124 ] || echo "record.sh: the command failed: $*" >&2
else
	sleep "$seconds"
fi
echo 0 >$t/tracing_on

# Not as a file: gzip would wonder at its size, which is 0.
cat $t/trace | $pack >"$output"
writes=$(grep -c 'write_msr: 6e0' $t/trace || true)
lost=$(cat $t/per_cpu/cpu*/stats | awk '/^(overrun|commit overrun|dropped events):/ { n += $NF }
	END { print n + 0 }')
echo "$output: $writes deadline writes, $lost events lost" >&2
[ "$writes" -gt 0 ] || die "no deadline write was seen (Linux 7.1 and later do not trace them)"
[ "$lost" = 0 ] || exit 2
