#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Several hundred programs whose verdicts, outcomes and executions herd has found, in both models.
# They are not part of this tree; where they are not beside it, the test counts as skipped.
set -eu
lazytsc=$1
cd "$(dirname "$0")/../.."
shared=${LAZYTSC_SHARED:-../shared}/litmus
if [ ! -f "$shared/expected.tsv" ]; then
	echo "skipped: there is no $shared/expected.tsv"
	exit 77
fi
for model in sc tso; do
	"$lazytsc" litmus --model $model --expect "$shared/expected.tsv" "$shared"/*.litmus
done
