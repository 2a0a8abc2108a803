/* SPDX-License-Identifier: BSD-2-Clause */
/* Lamport's fast mutex as in sim/race/algorithms.c: 2 rounds, 2 tries, no fences, SC. */
byte x, y, b[2], inside;

inline await_zero(field)
{
	ok = false;
	i = 0;
	do
	:: i < 2 && !ok ->
		if
		:: field == 0 -> ok = true
		:: else -> i++
		fi
	:: else -> break
	od
}

proctype thread(byte me)
{
	byte round, try, i, seen;
	bool ok, in;

	do
	:: round < 2 ->
		try = 0;
		in = false;
		do
		:: try < 2 && !in ->
			b[me] = 1;
			x = me + 1;
			seen = y;
			if
			:: seen != 0 ->
				b[me] = 0;
				await_zero(y);
				if
				:: ok -> try++
				:: else -> goto gone
				fi
			:: else ->
				y = me + 1;
				seen = x;
				if
				:: seen == me + 1 -> in = true
				:: else ->
					b[me] = 0;
					await_zero(b[1 - me]);
					if
					:: ok -> skip
					:: else -> goto gone
					fi;
					seen = y;
					if
					:: seen == me + 1 -> in = true
					:: else ->
						await_zero(y);
						if
						:: ok -> try++
						:: else -> goto gone
						fi
					fi
				fi
			fi
		:: else -> break
		od;
		if
		:: in -> skip
		:: else -> goto gone
		fi;
		inside = me + 1;
		seen = inside;
		assert(seen == me + 1);
		y = 0;
		b[me] = 0;
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
