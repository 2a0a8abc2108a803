#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The barriers of the protocol under the Linux kernel's memory model: for every architecture that
# Linux runs on, not x86 alone. Each test of lkmm/ must end as its "Result:" says, and each of its
# barriers is weakened in turn: taken away, made smp_wmb(), smp_rmb(), and made a pair of
# smp_store_release() and smp_load_acquire(). Each time the loss must be there ("Sometimes").
set -euo pipefail

usage()
{
	cat <<-END
	usage: lkmm.sh [TEST.litmus...]

	Runs herd7 with the kernel's tools/memory-model on these tests (default: all of lkmm/), and prints
	a table: test, what was weakened, expected, observed, states.

	environment: LAZYTSC_PROOF_DIR, see tools.sh
	exit status: 0 all as expected; 1 one is not; 2 usage, or herd7 cannot be run
	END
}

here=$(cd "$(dirname "$0")" && pwd)
case ${1-} in
-h | --help) usage; exit 0 ;;
-*) usage >&2; exit 2 ;;
esac
[ $# -gt 0 ] || set -- "$here"/lkmm/*.litmus
herd=$("$here/tools.sh" herd) || exit 2
model=${herd%/*}/memory-model
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# observe NAME WEAKENED EXPECTED FILE: run a test, print its line
observe()
{
	local observed states

	(cd "$model" && "$herd" -conf linux-kernel.cfg "$4") >"$work/out" 2>&1 || true
	observed=$(sed -n 's/^Observation [^ ]* \([A-Z][a-z]*\).*/\1/p' "$work/out")
	states=$(sed -n 's/^States //p' "$work/out")
	printf '%-20s %-44s %-10s %s (%s states)' "$1" "$2" "$3" "${observed:-none}" "${states:-0}"
	if [ "$observed" != "$3" ]; then
		printf '  FAIL'
		failed=1
		[ -n "$observed" ] || sed 's/^/  /' "$work/out" >&2
	fi
	echo
}

printf '%-20s %-44s %-10s %s\n' test weakened expected observed
for test; do
	[ -r "$test" ] || { echo "lkmm.sh: $test: cannot be read" >&2; exit 2; }
	name=$(basename "$test" .litmus)
	expected=$(sed -n 's/^ \* Result: \([A-Z][a-z]*\).*/\1/p' "$test")
	[ -n "$expected" ] || { echo "lkmm.sh: $test: no line ' * Result: Never' or the like" >&2; exit 2; }
	cp "$test" "$work/$name.litmus"
	observe "$name" - "$expected" "$work/$name.litmus"
	[ "$expected" = Never ] || continue
	# One barrier after the other. A test may say that one has no effect on its result.
	barriers=$(grep -c 'smp_mb();' "$test")
	for ((n = 1; n <= barriers; n++)); do
		thread=$(awk -v n="$n" '/^P[0-9]/ { p = substr($1, 1, 2) } /smp_mb\(\);/ && ++k == n { print p }' "$test")
		want=Sometimes
		! grep -q "^ \* Barrier of no effect on the result: $thread\$" "$test" || want=Never
		for weak in "" "smp_wmb();" "smp_rmb();"; do
			awk -v n="$n" -v weak="$weak" '/smp_mb\(\);/ && ++k == n { sub(/smp_mb\(\);.*/, weak) } { print }' \
				"$test" >"$work/$name.litmus"
			observe "$name" "$thread: ${weak:-no barrier}" "$want" "$work/$name.litmus"
		done
		# The accesses around it as a release and an acquire.
		awk -v n="$n" '
			/WRITE_ONCE/ { store = NR }
			{ l[NR] = $0 }
			/smp_mb\(\);/ && ++k == n { at = NR; before = store }
			END {
				for (i = 1; i <= NR; i++) {
					if (i == before)
						sub(/WRITE_ONCE\(\*/, "smp_store_release(", l[i])
					if (i == at + 1)
						sub(/READ_ONCE\(\*/, "smp_load_acquire(", l[i])
					if (i != at)
						print l[i]
				}
			}' "$test" >"$work/$name.litmus"
		observe "$name" "$thread: smp_store_release, smp_load_acquire" "$want" "$work/$name.litmus"
	done
done
exit $failed
