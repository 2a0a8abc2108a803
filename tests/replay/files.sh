#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One workload of this machine's own, recorded at once with ftrace, is read from the text, from
# trace-cmd's file (plain, compressed, from a pipe, of the old version) with the same figures, and
# what is left of a truncated one is called that. For each clock: x86-tsc exact, nanoseconds
# approximate and within 0.5 % of the text, counter and uptime refused. Skipped where this machine
# cannot (root, lapic-deadline, ftrace, trace-cmd).
# Usage: files.sh LAZYTSC
set -eu
lazytsc=$1
device=$(cat /sys/devices/system/clockevents/clockevent0/current_device 2>/dev/null || true)
tracefs=/sys/kernel/tracing
# Nothing mounts it where nobody traces, and root can.
[ -d $tracefs/instances ] || mount -t tracefs tracefs $tracefs 2>/dev/null || true
if [ "$(id -u)" != 0 ] || [ "$device" != lapic-deadline ] || ! [ -d $tracefs/events/msr/write_msr ] ||
	! command -v trace-cmd >/dev/null; then
	echo "skipped: this machine cannot record itself (root, lapic-deadline, ftrace, trace-cmd)"
	exit 77
fi
dir=$(mktemp -d)
name=lazytsc-test-$$
instance=$tracefs/instances/$name
cleanup() {
	[ ! -d "$instance" ] || { echo >"$instance/set_event"; rmdir "$instance"; }
	rm -rf "$dir"
}
trap cleanup EXIT

record() { # CLOCK: text and trace.dat of one second
	mkdir "$instance"
	echo 0 >"$instance/tracing_on"
	echo "$1" >"$instance/trace_clock"
	echo 'msr == 0x6e0' >"$instance/events/msr/write_msr/filter"
	echo 1 >"$instance/events/msr/write_msr/enable"
	echo 1 >"$instance/events/irq_vectors/local_timer_entry/enable"
	echo 1 >"$instance/tracing_on"
	for ((i = 0; i < 50; i++)); do sleep 0.02; done
	echo 0 >"$instance/tracing_on"
	cat "$instance/trace" >"$dir/$1.txt"
	trace-cmd extract -B "$name" -o "$dir/$1.dat" >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
	[ ! -d "$instance" ] || { echo >"$instance/set_event"; rmdir "$instance"; }
}

# counts FILE: writes and deliveries of each vCPU, and whether they are approximate
counts() {
	"$lazytsc" replay --csv --variants stock "$1" | awk -F, 'NR > 1 { print $3, $4, $7, $NF }'
}

same() { # FILE FILE
	diff <(counts "$1") <(counts "$2") || { echo "$1 and $2 differ"; exit 1; }
}

for clock in x86-tsc local mono; do
	record $clock
	if [ $clock = x86-tsc ]; then
		same "$dir/$clock.txt" "$dir/$clock.dat"
		counts "$dir/$clock.dat" | grep -q 'total.*false'
	else
		paste -d ' ' <(counts "$dir/$clock.txt") <(counts "$dir/$clock.dat") | awk '
			$2 != $6 || $4 != "true" || $8 != "true" { exit 1 }
			{ d = $3 - $7; if (d < 0) d = -d; if (d > 1 + 0.005 * $2) exit 1 }'
	fi
done
for clock in counter uptime; do
	record $clock
	for file in "$dir/$clock.txt" "$dir/$clock.dat"; do
		status=0
		"$lazytsc" replay "$file" >"$dir/out" 2>"$dir/err" || status=$?
		[ $status = 2 ]
		grep -q 'do not tell the time' "$dir/err"
	done
done

dat=$dir/x86-tsc.dat
for z in gzip xz zstd bzip2; do
	$z -c "$dat" >"$dir/packed"
	same "$dat" "$dir/packed"
done
diff <(counts "$dat") <(counts - <"$dat")
diff <(counts "$dat") <(cat "$dat" | counts -)
trace-cmd convert --file-version 6 -i "$dat" -o "$dir/v6.dat" >"$dir/log" 2>&1
same "$dat" "$dir/v6.dat"
for file in "$dat" "$dir/v6.dat"; do
	size=$(stat -c %s "$file")
	for cut in $((size / 20)) $((size / 2)) $((size - 8192)) $((size - 100)); do
		head -c "$cut" "$file" >"$dir/cut.dat"
		status=0
		"$lazytsc" replay "$dir/cut.dat" >"$dir/out" 2>"$dir/err" || status=$?
		# What the cut took may be nothing that is read.
		if [ $status = 0 ] && [ "$(counts "$dir/cut.dat")" = "$(counts "$file")" ]; then
			continue
		fi
		if [ $status != 2 ] || ! grep -q 'truncated or damaged' "$dir/err"; then
			echo "$file cut at $cut: status $status: $(cat "$dir/err")"
			exit 1
		fi
	done
done
echo "recorded and read: $(counts "$dat" | wc -l) rows"
