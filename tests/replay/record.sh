#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# `lazytsc record`: wrong usage is told; and where this machine can record itself (root, ftrace, the
# clock event device lapic-deadline), what it records is a trace that `lazytsc replay` takes as
# exact, lost events are told, and nothing of the recording stays behind however it ends.
# Usage: record.sh LAZYTSC
set -eu
lazytsc=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fails() { # STATUS TEXT ARGUMENT...
	local want=$1 text=$2 status=0
	shift 2
	"$lazytsc" record "$@" >"$dir/out" 2>"$dir/err" || status=$?
	if [ $status != "$want" ] || ! grep -q -- "$text" "$dir/err"; then
		cat "$dir/err"
		echo "status $status, or does not say '$text': record $*"
		exit 1
	fi
}
fails 1 'o FILE is missing'
fails 1 'o FILE is missing' true
fails 1 'exclude each other' --guest --host -o "$dir/t.txt"
fails 1 "'soon'" -o "$dir/t.txt" --time soon
fails 1 "'0'" -o "$dir/t.txt" --time 0
"$lazytsc" record --help | grep -q Usage

device=$(cat /sys/devices/system/clockevents/clockevent0/current_device 2>/dev/null || true)
# Nothing mounts it where nobody traces, and root can.
[ -d /sys/kernel/tracing/instances ] || mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || true
if [ "$(id -u)" != 0 ] || [ "$device" != lapic-deadline ] || ! [ -d /sys/kernel/tracing/instances ]; then
	echo "recording itself: skipped, this machine cannot (root, lapic-deadline, ftrace)"
	exit 77
fi
mine() { find /sys/kernel/tracing/instances -maxdepth 1 -name "lazytsc-record-$1" | wc -l; }

"$lazytsc" record -o "$dir/t.txt" --time 1
"$lazytsc" record --guest -o "$dir/c.txt" -- sleep 1
for trace in t.txt c.txt; do
	"$lazytsc" replay --json --variants stock "$dir/$trace" >"$dir/json"
	grep -q '"evidence": "exact"' "$dir/json"
	grep -q '"damaged": 0' "$dir/json"
	grep -q '"out_of_order": 0' "$dir/json"
done
# The command's failure is told, and what was recorded stays.
"$lazytsc" record -o "$dir/f.txt" -- sh -c 'sleep 0.5; exit 3' 2>"$dir/err"
grep -q 'failed with status 3' "$dir/err"
[ -s "$dir/f.txt" ]
fails 1 'No such file' -o "$dir/n.txt" -- "$dir/nonesuch"
[ ! -e "$dir/n.txt" ]
fails 2 'No such file' -o "$dir/none/n.txt" -- sleep 0.3
# Interrupted: what was seen until then, and no instance left.
for sig in INT TERM HUP; do
	"$lazytsc" record -o "$dir/i.txt" -- sleep 60 >"$dir/out" &
	pid=$!
	sleep 1
	[ "$(mine $pid)" = 1 ]
	kill -$sig $pid
	wait $pid
	[ "$(mine $pid)" = 0 ]
	"$lazytsc" replay --json --variants stock "$dir/i.txt" | grep -q '"evidence": "exact"'
	rm "$dir/i.txt"
done
# A host without guests.
if [ -d /sys/kernel/tracing/events/kvm/kvm_msr ] && ! pgrep -x 'CPU 0/KVM' >"$dir/out"; then
	fails 2 'no deadline write was seen' --host -o "$dir/h.txt" --time 1
else
	echo "a host without guests: not checked here"
fi
echo "recorded and replayed"
