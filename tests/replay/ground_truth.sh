#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Real guests' traces, counted by an independent implementation: `lazytsc replay` meets each number,
# for each vCPU, through the real core, from a file, from a compressed pipe, from a plain one, and
# in one run over all of them (requirements B5, B6, B12). The implementation is count.py beside
# this, which knows the protocol from docs/protocol.md alone; or, with a table, whoever made that.
# Usage: ground_truth.sh LAZYTSC TRACES-DIRECTORY [EXPECTED.tsv]
set -eu
lazytsc=$1 traces=$2 expected=${3:-}
out=$(mktemp)
trap 'rm -f "$out" "$out.want"' EXIT

# Both sides as: trace vcpu stock_writes stock_delivered lazy_writes lazy_skips lazy_silent
# lazy_delivered
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
if [ -n "$expected" ]; then
	cat "$expected"
else
	"$(dirname "$0")/count.py" "$traces"/*.xz
fi | sed 1d | tr '\t' ' ' | sort >"$out.want"
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
