/* SPDX-License-Identifier: BSD-2-Clause */
/* Products of 128 bits, for machines whose compiler has no such type too. */
#ifndef LAZYTSC_SIM_WIDE_H
#define LAZYTSC_SIM_WIDE_H

#include <stdbool.h>

#include <lazytsc_port.h>

struct wide {
	u64 high, low;
};

/* In pieces of 32 bits. Not for callers: the tests compare it with the compiler's own. */
static inline struct wide wide_mul_pieces(u64 a, u64 b)
{
	u64 al = (u32)a, ah = a >> 32, bl = (u32)b, bh = b >> 32;
	u64 low = al * bl, middle = ah * bl + (low >> 32), other = al * bh + (u32)middle;

	return (struct wide){ ah * bh + (middle >> 32) + (other >> 32), other << 32 | (u32)low };
}

/* The quotient's lowest 64 bits, bit by bit. Not for callers, as above. d is not 0. */
static inline u64 wide_div_pieces(struct wide n, u64 d)
{
	u64 rest = n.high % d, q = 0;

	for (int bit = 63; bit >= 0; bit--) {
		bool carry = rest >> 63;

		rest = rest << 1 | (n.low >> bit & 1);
		if (carry || rest >= d) {
			rest -= d;
			q |= (u64)1 << bit;
		}
	}
	return q;
}

/* a * b >> shift; shift is 1 to 64. */
static inline u64 wide_mul_shift(u64 a, u64 b, unsigned int shift)
{
#ifdef __SIZEOF_INT128__
	return (u64)((unsigned __int128)a * b >> shift);
#else
	struct wide p = wide_mul_pieces(a, b);

	return shift == 64 ? p.high : p.high << (64 - shift) | p.low >> shift;
#endif
}

/* (a * b + add) / d, rounded down; all ones where that needs more than 64 bits. d is not 0. */
static inline u64 wide_mul_div_sat(u64 a, u64 b, u64 add, u64 d)
{
#ifdef __SIZEOF_INT128__
	unsigned __int128 q = ((unsigned __int128)a * b + add) / d;

	return q >> 64 ? ~(u64)0 : (u64)q;
#else
	struct wide n = wide_mul_pieces(a, b);

	n.low += add;
	n.high += n.low < add;
	return n.high >= d ? ~(u64)0 : wide_div_pieces(n, d);
#endif
}

/* a * b / d, rounded down; the lowest 64 bits of it. d is not 0. */
static inline u64 wide_mul_div(u64 a, u64 b, u64 d)
{
#ifdef __SIZEOF_INT128__
	return (u64)((unsigned __int128)a * b / d);
#else
	return wide_div_pieces(wide_mul_pieces(a, b), d);
#endif
}

#endif
