/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port that cannot be seen through: a shared field is eight opaque bytes without an arithmetic
 * value or a member name that the core could know, and the accessors are only declared. Core code
 * that opened a shared field by itself would not compile here.
 */
#ifndef LAZYTSC_PORT_SEALED_H
#define LAZYTSC_PORT_SEALED_H

typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned char u8;
typedef long long s64;
typedef _Bool bool;
#define true 1
#define false 0

typedef struct {
	struct {
		char sealed[8];
	} bytes_5d1f; /* no other port has this name */
} __attribute__((aligned(8))) lazytsc_shared_t;

u64 lazytsc_load(const lazytsc_shared_t *p);
void lazytsc_store(lazytsc_shared_t *p, u64 v);
void lazytsc_mb(void);
u64 lazytsc_tsc(void);
void lazytsc_assert(bool cond);

#endif
