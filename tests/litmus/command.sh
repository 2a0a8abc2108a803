#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What `lazytsc litmus` prints and how it ends: herd's block, byte for byte; a schedule that can be
# replayed; one line for each difference from a table, for each file that the table does not know,
# and for each file that is not a test; the exit statuses.
set -u
lazytsc=$1
dir=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
failed=0

# check STATUS EXPECTED-OUTPUT COMMAND...: standard output and error together.
check()
{
	want=$1 text=$2
	shift 2
	got=$("$@" 2>&1)
	status=$?
	if [ "$status" -ne "$want" ] || [ "$got" != "$text" ]; then
		printf 'FAILED: %s\nstatus %s, expected %s; output:\n%s\nexpected:\n%s\n\n' \
			"$*" "$status" "$want" "$got" "$text"
		failed=1
	fi
}

check 0 'Test SB Allowed
States 4
0:EAX=0; 1:EAX=0;
0:EAX=0; 1:EAX=1;
0:EAX=1; 1:EAX=0;
0:EAX=1; 1:EAX=1;
Ok
Witnesses
Positive: 1 Negative: 3
Condition exists (0:EAX=0 /\ 1:EAX=0)
Observation SB Sometimes 1 3
Executions 4
Schedule 0 0 1 1d 1 0d' "$lazytsc" litmus --witness "$dir/SB.litmus"

check 0 'Test SB Allowed
States 3
0:EAX=0; 1:EAX=1;
0:EAX=1; 1:EAX=0;
0:EAX=1; 1:EAX=1;
No
Witnesses
Positive: 0 Negative: 3
Condition exists (0:EAX=0 /\ 1:EAX=0)
Observation SB Never 0 3
Executions 3' "$lazytsc" litmus --model sc "$dir/SB.litmus"

check 42 'Test SB+forall Required
States 4
0:EAX=0; 1:EAX=0;
0:EAX=0; 1:EAX=1;
0:EAX=1; 1:EAX=0;
0:EAX=1; 1:EAX=1;
No
Witnesses
Positive: 3 Negative: 1
Condition forall (0:EAX=1 \/ 1:EAX=1)
Observation SB+forall Sometimes 3 1
Executions 4' "$lazytsc" litmus "$dir/SB+forall.litmus"

check 0 '   #  step  CPU  what
   1  0     P0   store   [x] = 1
   2  0     P0   load    [y] is 0
   3  1     P1   store   [y] = 1
   4  1d    P1   drain   [y] = 1
   5  1     P1   load    [x] is 0
   6  0d    P0   drain   [x] = 1
0:EAX=0; 1:EAX=0;
The condition holds' "$lazytsc" litmus --replay '0 0 1 1d 1 0d' "$dir/SB.litmus"

check 2 "   #  step  CPU  what
   1  0     P0   store   [x] = 1
lazytsc litmus: SB: step 2, '1d', is not enabled" "$lazytsc" litmus --replay '0 1d' "$dir/SB.litmus"
check 2 "   #  step  CPU  what
lazytsc litmus: SB: step 1, 'x', is no step" "$lazytsc" litmus --replay 'x' "$dir/SB.litmus"

# `locations' adds to the state that is printed, not to the outcomes that are compared.
cat >loc.litmus <<'END'
X86 loc
"a comment { in a string"
Com=Rf
{ int x = 1; 0:RCX=y; uint64_t *p; }
 P0             | P1 ;
 MOV [RCX],$-2  | MOV EAX,[y] ;
 (* no (* nested *) instruction *) | MOV [p],&x ;
locations [ 1:EAX; x; p ]
forall ([y] = -2)
END
check 0 'Test loc Required
States 2
1:EAX=-2; [p]=x; [x]=1; [y]=-2;
1:EAX=0; [p]=x; [x]=1; [y]=-2;
Ok
Witnesses
Positive: 2 Negative: 0
Condition forall ([y] = -2)
Observation loc Always 2 0
Executions 2' "$lazytsc" litmus loc.litmus
printf 'test\tsc\ttso\tsc_outcomes\ttso_outcomes\tsc_executions\ttso_executions\n' >table
printf 'loc\tholds\tholds\t1\t1\t2\t2\n' >>table
check 0 '1 tests under x86-TSO: 0 differ from the table' \
	"$lazytsc" litmus --expect table loc.litmus

# Tables. A test is known by its name, or by its file's.
sed 's/^X86 loc/X86 another/' loc.litmus >other.litmus
cp table table2
printf 'other\tholds\tholds\t1\t1\t2\t2\n' >>table2
check 0 '1 tests under x86-TSO: 0 differ from the table' \
	"$lazytsc" litmus --expect table2 other.litmus
printf 'SB\tforbid\tforbid\t3\t4\t3\t5\n' >>table
check 1 'SB: expected forbid, 4 outcomes, 5 executions; found allow, 4 outcomes, 4 executions
MP: not in the table
2 tests under x86-TSO: 2 differ from the table' \
	"$lazytsc" litmus --expect table "$dir/SB.litmus" "$dir/MP.litmus"
check 0 '1 tests under SC: 0 differ from the table' \
	"$lazytsc" litmus --model sc --expect table "$dir/SB.litmus"
printf 'MP\tmaybe\tforbid\t3\t4\t3\t5\n' >>table
check 2 "lazytsc litmus: table:4: expected allow, forbid, holds or fails, found 'maybe'" \
	"$lazytsc" litmus --expect table "$dir/SB.litmus"
echo 'test	sc' >table
check 2 "lazytsc litmus: table:1: expected a heading 'tso', found none" \
	"$lazytsc" litmus --expect table "$dir/SB.litmus"
printf 'test\tsc\ttso\tsc_outcomes\ttso_outcomes\tsc_executions\ttso_executions\n\n' >table
{ head -n 1 table; head -c 100000 /dev/zero | tr '\0' x; } >long
check 2 "lazytsc litmus: long:2: expected a line of less than 4096 bytes" \
	"$lazytsc" litmus --expect long "$dir/SB.litmus"
check 2 "lazytsc litmus: table: expected a test, found headings alone" \
	"$lazytsc" litmus --expect table "$dir/SB.litmus"
check 2 "lazytsc litmus: none: No such file or directory" "$lazytsc" litmus --expect none "$dir/SB.litmus"

# Bounds.
check 3 'Test SB Allowed
States 2
0:EAX=0; 1:EAX=1;
0:EAX=1; 1:EAX=1;
Undecided
Witnesses
Positive: 0 Negative: 2
Condition exists (0:EAX=0 /\ 1:EAX=0)
Observation SB Never 0 2
Executions 2
Search bounded at 2 executions' "$lazytsc" litmus --model sc --max-executions 2 "$dir/SB.litmus"

# Files that are none; the others are still run.
check 2 "lazytsc litmus: none.litmus: No such file or directory
0 tests under x86-TSO: 0 differ from the table" \
	"$lazytsc" litmus --expect "$dir/expected.tsv" none.litmus

# bad LINE-OF-MESSAGE TEXT
bad()
{
	printf '%b' "$2" >bad.litmus
	check 2 "lazytsc litmus: bad.litmus:$1" "$lazytsc" litmus bad.litmus
}
bad '1: expected the architecture X86, found the end of the file' ''
bad "1: expected the architecture X86, found 'AArch64'" 'AArch64 SB\n{ }\n'
bad "1: expected the test's name, found the end of the line" 'X86 \n{}\n'
bad "2: expected '{', found the end of the file" 'X86 a\n'
bad "2: expected a thread P0, P1, ..., found 'Q0'" 'X86 a\n{} Q0 ;\n'
bad "3: expected an instruction, found 'MUV'" 'X86 a\n{}\n P0 ; MUV EAX,$1 ; exists (x=1)\n'
bad "4: expected an instruction that takes LOCK, found 'MOV'" \
	'X86 a\n{}\n P0 ;\n LOCK MOV [x],$1 ;\nexists (x=1)\n'
bad '4: MOV with two operands in memory' 'X86 a\n{}\n P0 ;\n MOV [x],[y] ;\nexists (x=1)\n'
bad '4: more columns than threads' 'X86 a\n{}\n P0 ;\n MOV [x],$1 | MOV [x],$1 ;\nexists (x=1)\n'
bad '2: there is no thread P3' 'X86 a\n{ 3:EAX=1; }\n P0 ;\n MOV [x],$1 ;\nexists (x=1)\n'
bad "4: expected an instruction, found '('" 'X86 a\n{}\n P0 ;\n(x=1)\n'
bad "5: expected ')', found the end of the file" 'X86 a\n{}\n P0 ;\nexists (x=1\n'
bad "4: expected a number or a location, found '('" 'X86 a\n{}\n P0 ;\nexists (x=(1)\n'
bad "4: expected the end of the file, found 'y'" 'X86 a\n{}\n P0 ;\nexists (x=1) y=1\n'
bad '3: expected the end of the comment that starts here, found the end of the file' \
	'X86 a\n{}\n (* P0 ;\nexists (x=1) y=1\n'
bad "4: expected a number of 64 bits, found '123456789012345678901'" \
	'X86 a\n{}\n P0 ;\nexists (x=123456789012345678901)\n'
printf 'X86 a\n{}\nP0 ;\nMOV [EAX],$1 ;\nexists (x=1)\n' >bad.litmus
check 2 'lazytsc litmus: bad.litmus: a thread uses a number as an address' "$lazytsc" litmus bad.litmus

# Wrong usage.
for args in '' '--model pso SB' '-j 0 SB' '--max-time x SB' '--replay 0 a b' '--none'; do
	# shellcheck disable=SC2086
	"$lazytsc" litmus $args >out 2>&1
	[ $? -eq 1 ] || { echo "FAILED: litmus $args: status not 1"; failed=1; }
done
exit $failed
