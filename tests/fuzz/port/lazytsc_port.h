/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core's port for core.c: shared memory that somebody else may change at every access. Each
 * access is counted, and may find what the fuzzer wants.
 */
#ifndef LAZYTSC_PORT_FUZZ_H
#define LAZYTSC_PORT_FUZZ_H

#include <stdbool.h>
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

#define lazytsc_assert(cond) ((cond) ? (void)0 : __builtin_trap())

#endif
