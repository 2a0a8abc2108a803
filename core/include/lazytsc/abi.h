/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What guest and host agree on: numbers, and the layout of the shared area.
 *
 * The CPUID bit and the MSR number are those of the 2023 RFC. They are free upstream, but other
 * out-of-tree work claims them too: to change one, edit its line here.
 */
#ifndef LAZYTSC_ABI_H
#define LAZYTSC_ABI_H

#include <lazytsc/port.h>

/* The guest's address word: GPA of its area | LAZYTSC_MSR_ENABLE; 0 switches the feature off. */
#define LAZYTSC_MSR 0x4b564d09
/* The bit of CPUID leaf KVM_CPUID_FEATURES (0x40000001).EAX that offers the MSR. */
#define LAZYTSC_CPUID_BIT 18

#define LAZYTSC_MSR_ENABLE (1ULL << 0)
/*
 * For user space alone, in what it saves and restores: `done` in the area is stale, because the
 * page was out of reach when the vCPU came to rest. Then nothing is recovered from the area (B26).
 */
#define LAZYTSC_MSR_STALE (1ULL << 1)
/*
 * An area is aligned to its own size, so it cannot straddle a page. Bits 1 to 5 of what a guest
 * writes are reserved.
 */
#define LAZYTSC_AREA_SIZE    64
#define LAZYTSC_MSR_GPA	     (~(u64)(LAZYTSC_AREA_SIZE - 1))
#define LAZYTSC_MSR_RESERVED (~(LAZYTSC_MSR_GPA | LAZYTSC_MSR_ENABLE))

/*
 * One area for each vCPU, in guest memory. Values are guest TSC. The guest zeroes the area before
 * it gives the address to the host. The reserved words stay 0, for later use behind a new feature
 * bit.
 *
 *              guest                       host
 *   armed      reads, after its barrier    writes; never reads (the guest can write there)
 *   pending    writes                      reads, once for each decision; never writes
 *   done       never reads; zeroes it      writes when the vCPU goes to user space; reads after a
 *              with the rest               restore (requirement B26)
 */
struct lazytsc_area {
	lazytsc_shared_t armed; /* the host looks at `pending` no later than this; 0: it does not */
	lazytsc_shared_t pending; /* the deadline that the guest wants; 0: none */
	lazytsc_shared_t done; /* at rest: the `pending` that has been dealt with; 0: none */
	u64 reserved[5];
} __attribute__((aligned(LAZYTSC_AREA_SIZE)));

#ifndef __cplusplus
_Static_assert(sizeof(lazytsc_shared_t) == 8, "a shared field is eight bytes");
_Static_assert(sizeof(struct lazytsc_area) == LAZYTSC_AREA_SIZE, "the area is 64 bytes");
_Static_assert(_Alignof(struct lazytsc_area) == LAZYTSC_AREA_SIZE, "the area is aligned");
_Static_assert(__builtin_offsetof(struct lazytsc_area, armed) == 0, "armed is at 0");
_Static_assert(__builtin_offsetof(struct lazytsc_area, pending) == 8, "pending is at 8");
_Static_assert(__builtin_offsetof(struct lazytsc_area, done) == 16, "done is at 16");
_Static_assert(4096 % LAZYTSC_AREA_SIZE == 0, "an aligned area lies in one page");
#endif

#endif
