// SPDX-License-Identifier: BSD-2-Clause
/*
 * Products of 128 bits in pieces, as a machine without such a type computes them, against the
 * compiler's own: random values of all sizes, and the corners. That a simulation is the same on
 * every machine (C1) rests on it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <lazytsc/sim/random.h>
#include "machine/wide.h"

#ifdef __SIZEOF_INT128__
typedef unsigned __int128 u128;

static void compare(u64 a, u64 b, u64 d)
{
	u128 product = (u128)a * b;
	struct wide p = wide_mul_pieces(a, b);

	assert_true(p.high == (u64)(product >> 64) && p.low == (u64)product);
	if (d)
		assert_true(wide_div_pieces(p, d) == (u64)(product / d));
}

static void pieces(void **state)
{
	static const u64 corners[] = { 0,	   1,	       2,	  1ULL << 31, ~0U,
				       1ULL << 32, 1ULL << 63, ~0ULL - 1, ~0ULL };
	const size_t n = sizeof(corners) / sizeof(corners[0]);
	struct lazytsc_random r = { 1 };

	(void)state;
	for (size_t i = 0; i < n * n * n; i++)
		compare(corners[i % n], corners[i / n % n], corners[i / n / n]);
	for (int i = 0; i < 200000; i++) {
		u64 a = lazytsc_random(&r), b = lazytsc_random(&r), d = lazytsc_random(&r);
		u64 shifts = lazytsc_random(&r);

		compare(a >> (shifts & 63), b >> (shifts >> 8 & 63), d >> (shifts >> 16 & 63));
	}
}
#else
static void pieces(void **state)
{
	(void)state;
	skip();
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(pieces) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
