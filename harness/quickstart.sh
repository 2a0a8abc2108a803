#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Build `lazytsc` and replay the traces of harness/examples: real Linux guests' deadline writes,
# under the stock timer, the lazy protocol, its variant that arms early, and beside what no host
# could beat. Installs missing Debian packages; can be run again in seconds. Arguments go to
# `lazytsc replay`.
set -eu
cd "$(dirname "$0")/.."
harness/deps.sh build

build=build/quickstart
log=$build/build.log
mkdir -p "$build"
if ! { cmake -S . -B "$build" -G Ninja -DBUILD_TESTING=OFF && cmake --build "$build"; } \
	>"$log" 2>&1; then
	tail -n 40 "$log" >&2
	echo "quickstart: the build failed; all of it: $log" >&2
	exit 1
fi

set -- "$build/harness/lazytsc" replay --variants=stock,lazy,early,bound "$@" \
	harness/examples/*.txt.xz
echo "\$ $*"
"$@"
