/* SPDX-License-Identifier: BSD-2-Clause */
/* Random numbers that a seed decides, the same on every machine. */
#ifndef LAZYTSC_SIM_RANDOM_H
#define LAZYTSC_SIM_RANDOM_H

#include <lazytsc/port.h>

#ifdef __cplusplus
extern "C" {
#endif

/* splitmix64, the generator of Java's SplittableRandom: public domain, Sebastiano Vigna, 2015 */
struct lazytsc_random {
	u64 state;
};

/** lazytsc_random() - the next 64 random bits */
u64 lazytsc_random(struct lazytsc_random *r);

/** lazytsc_random_below() - uniform in [0, @n), 0 for 0; n < 2^63 */
u64 lazytsc_random_below(struct lazytsc_random *r, u64 n);

/** lazytsc_random_stream() - the generator for stream @i of @seed: independent of all others */
struct lazytsc_random lazytsc_random_stream(u64 seed, u64 i);

#ifdef __cplusplus
}
#endif

#endif
