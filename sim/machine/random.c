// SPDX-License-Identifier: BSD-2-Clause
#include <lazytsc/sim/random.h>

#include "wide.h"

u64 lazytsc_random(struct lazytsc_random *r)
{
	u64 z = r->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

u64 lazytsc_random_below(struct lazytsc_random *r, u64 n)
{
	return wide_mul_shift(lazytsc_random(r), n, 64);
}

struct lazytsc_random lazytsc_random_stream(u64 seed, u64 i)
{
	struct lazytsc_random a = { seed }, b = { i };
	u64 x = lazytsc_random(&a);

	return (struct lazytsc_random){ x ^ lazytsc_random(&b) };
}
