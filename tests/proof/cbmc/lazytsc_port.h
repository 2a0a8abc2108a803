/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core's port to CBMC. Every access to shared memory is a function of the proof, which decides
 * what a load finds and keeps count of what was done, in which order.
 */
#ifndef LAZYTSC_PORT_CBMC_H
#define LAZYTSC_PORT_CBMC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;
typedef int64_t s64;

typedef struct {
	u64 port_only;
} lazytsc_shared_t;

u64 lazytsc_load(const lazytsc_shared_t *p);
void lazytsc_store(lazytsc_shared_t *p, u64 v);
void lazytsc_mb(void);
u64 lazytsc_tsc(void);

#define lazytsc_assert(cond) __CPROVER_assert(cond, "the core's own assertion")

/* Any value at all: CBMC takes a variable that was given none for that. */
#define ANY(type)                           \
	static inline type any_##type(void) \
	{                                   \
		type v;                     \
                                            \
		return v;                   \
	}
ANY(u64)
ANY(u32)
ANY(u8)
ANY(bool)

#define assume(cond)	      __CPROVER_assume(cond)
#define ensure(promise, cond) __CPROVER_assert(cond, promise)

#endif
