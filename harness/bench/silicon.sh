#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The protocol on two CPUs of this machine, with both barriers and without one of them: how many
# of ROUNDS (default: ten million) rounds of each scene lose a deadline. tests/proof/silicon.c says
# what a round is. With both barriers none may: exit status 1 otherwise.
# Usage: harness/bench/silicon.sh [ROUNDS]
set -eu
cd "$(dirname "$0")/../.."
harness/deps.sh test
mkdir -p build
cmake --preset release >build/silicon.log
cmake --build --preset release --target silicon silicon-no-guest-barrier silicon-no-host-barrier >>build/silicon.log
grep -m1 '^model name' /proc/cpuinfo | sed 's/.*: //'
status=0
for variant in silicon silicon-no-guest-barrier silicon-no-host-barrier; do
	"build/release/tests/proof/$variant" "${1:-10000000}" || [ $? = 77 ] || status=1
done
exit $status
