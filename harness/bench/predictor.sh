#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the predictor costs the host: TSC cycles of a host entry without and with it, and its state.
# Usage: harness/bench/predictor.sh
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cc -O2 -Wall -Wextra -I"$root/core/include" -I"$root/core/ports/c11" -o "$out/bench" \
	"$root/harness/bench/predictor.c" "$root"/core/*.c
"$out/bench"
