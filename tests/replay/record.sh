#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# harness/record.sh: wrong usage is told; and where this machine can record itself (root, ftrace, the
# clock event device lapic-deadline), what it records is a trace that `lazytsc replay` takes as exact,
# and nothing of the recording stays behind.
# Usage: record.sh LAZYTSC HARNESS-DIRECTORY
set -eu
lazytsc=$1 record=$2/record.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fails() { # TEXT ARGUMENT...
	text=$1
	shift
	if "$record" "$@" >"$dir/out" 2>"$dir/err"; then
		echo "succeeds: record.sh $*"
		exit 1
	fi
	grep -q -- "$text" "$dir/err" || { cat "$dir/err"; echo "does not say '$text': record.sh $*"; exit 1; }
}
fails Usage
fails Usage "$dir/t.txt"
fails 'no number of seconds' "$dir/t.txt" soon
fails 'no number of seconds' "$dir/t.txt" 0
"$record" --help | grep -q Usage

device=$(cat /sys/devices/system/clockevents/clockevent0/current_device 2>/dev/null || true)
if [ "$(id -u)" != 0 ] || [ "$device" != lapic-deadline ] || ! [ -d /sys/kernel/tracing/instances ]; then
	echo "recording itself: skipped, this machine cannot (root, lapic-deadline, ftrace)"
	exit 77
fi
before=$(ls /sys/kernel/tracing/instances)
"$record" "$dir/t.txt.gz" 2
"$record" "$dir/c.txt" 60 sleep 1
[ "$before" = "$(ls /sys/kernel/tracing/instances)" ]
for trace in t.txt.gz c.txt; do
	"$lazytsc" replay --json --variants stock "$dir/$trace" >"$dir/json"
	grep -q '"approximate": false' "$dir/json"
	grep -q '"damaged": 0' "$dir/json"
	grep -q '"out_of_order": 0' "$dir/json"
done
echo "recorded and replayed"
