#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The classic litmus tests of x86, each in a file of its own with a paragraph that says what it
# shows, against expected.tsv: what a model forbids is not reached, what it allows is reached, and
# the numbers of outcomes and executions are exact. The verdicts are those of the x86-TSO papers and
# of Intel's and AMD's manuals. A model that is too strong fails here, and one that is too weak.
set -eu
lazytsc=$1
cd "$(dirname "$0")"
for model in sc tso; do
	"$lazytsc" litmus --model $model --expect expected.tsv ./*.litmus
	"$lazytsc" litmus --model $model -j2 --expect expected.tsv ./*.litmus
done
# Every test is in the table, and every row of the table is a test.
[ "$(ls ./*.litmus | wc -l)" -eq "$(($(wc -l <expected.tsv) - 1))" ]
