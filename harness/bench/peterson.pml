/* SPDX-License-Identifier: BSD-2-Clause */
/* Peterson's algorithm as in sim/race/algorithms.c: 2 rounds, 2 tries, no fences, SC. */
byte flag[2], turn, inside;

proctype thread(byte me)
{
	byte round, i, f, t, seen;
	bool in;

	do
	:: round < 2 ->
		flag[me] = 1;
		turn = 1 - me;
		i = 0;
		in = false;
		do
		:: i < 2 && !in ->
			f = flag[1 - me];
			t = turn;
			in = (f == 0 || t != 1 - me);
			i++
		:: else -> break
		od;
		if
		:: in -> skip
		:: else -> goto gone
		fi;
		inside = me + 1;
		seen = inside;
		assert(seen == me + 1);
		flag[me] = 0;
		round++
	:: else -> break
	od;
gone:	skip
}

init
{
	atomic {
		run thread(0);
		run thread(1)
	}
}
