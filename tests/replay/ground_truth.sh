#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Real guests' traces, counted by an independent implementation (../shared/traces/expected.tsv):
# `lazytsc replay` meets each number of it, per vCPU, through the real core, from a file, from a
# compressed pipe and in one run over all of them. Where those traces are not at hand this is
# skipped, and says so.
# Usage: ground_truth.sh LAZYTSC TRACES-DIRECTORY
set -eu
lazytsc=$1 traces=$2
if ! [ -e "$traces/expected.tsv" ]; then
	echo "skipped: no $traces/expected.tsv"
	exit 77
fi
out=$(mktemp)
trap 'rm -f "$out" "$out.want"' EXIT

# Both sides as: trace vcpu stock_writes stock_delivered lazy_writes lazy_skips lazy_silent lazy_delivered
normal() {
	awk -F, '$3 != "total" && $3 != "vcpu" {
		n = split($1, path, "/"); trace = path[n]; sub(/\.txt\.xz$/, "", trace)
		key = trace " " $3
		if ($2 == "stock") stock[key] = $4 " " $7
		if ($2 == "lazy") lazy[key] = $4 " " $5 " " $6 " " $7
		if ($NF != "false") print key " is approximate"
	}
	END { for (key in stock) print key, stock[key], lazy[key] }' | sort
}
sed 1d "$traces/expected.tsv" | tr '\t' ' ' | sort >"$out.want"
[ -s "$out.want" ]

"$lazytsc" replay --csv --variants stock,lazy "$traces"/*.xz | normal >"$out"
diff "$out.want" "$out"

for file in "$traces"/*.xz; do
	name=$(basename "$file" .txt.xz)
	grep "^$name " "$out.want" >"$out"
	"$lazytsc" replay --csv --variants lazy,stock - <"$file" | sed "s/^-,/$name,/" | normal |
		diff "$out" -
	xz -dc "$file" | "$lazytsc" replay --csv --variants stock,lazy - |
		sed "s/^-,/$name,/" | normal | diff "$out" -
done
echo "$(wc -l <"$out.want") vCPUs as expected"
