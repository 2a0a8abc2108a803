/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The core's port to user space: C11 atomics. See <lazytsc/port.h> for what each one promises. */
#ifndef LAZYTSC_PORT_C11_H
#define LAZYTSC_PORT_C11_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;
typedef int64_t s64;

typedef struct {
	_Atomic(u64) port_only;
} lazytsc_shared_t;

static inline u64 lazytsc_load(const lazytsc_shared_t *p)
{
	return atomic_load_explicit(&p->port_only, memory_order_relaxed);
}

static inline void lazytsc_store(lazytsc_shared_t *p, u64 v)
{
	atomic_store_explicit(&p->port_only, v, memory_order_relaxed);
}

static inline void lazytsc_mb(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

/* The program that links the library brings it: whose time it is, the library cannot know. */
u64 lazytsc_tsc(void);

/* A freestanding library has no abort(): an assertion that fails stops the program where it is. */
#ifdef LAZYTSC_NO_ASSERT
#define lazytsc_assert(cond) ((void)0)
#else
#define lazytsc_assert(cond) ((cond) ? (void)0 : __builtin_trap())
#endif

#endif
