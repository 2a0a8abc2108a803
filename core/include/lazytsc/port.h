/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the core needs from the place where it lives.
 *
 * Need:
 *   u64, u32, u8, s64, bool the kernel's names for the fixed-width types
 *   lazytsc_shared_t        eight naturally aligned bytes that guest and host both reach. Only the
 *                           port may open it: the core passes pointers to it and nothing else.
 *   u64 lazytsc_load(const lazytsc_shared_t *p)
 *                           one access, never torn, repeated or invented by the compiler;
 *                           no ordering (READ_ONCE)
 *   void lazytsc_store(lazytsc_shared_t *p, u64 v)
 *                           the same for a store (WRITE_ONCE)
 *   lazytsc_mb()            full barrier: every earlier access before every later one, a store
 *                           before a load included (mfence or a locked operation on x86)
 *   u64 lazytsc_tsc(void)   the guest TSC of the CPU that calls; only the guest's side calls it. No
 *                           ordering: it may be read as early as the load before it
 *   lazytsc_assert(cond)    what must hold; may compile to nothing
 *
 * The build picks the implementation by include path: a directory that holds lazytsc_port.h.
 * In this tree: core/ports/c11 (user space), sim/engine/port (simulator and race checker) and
 * kernel-glue/port (Linux).
 */
#ifndef LAZYTSC_PORT_H
#define LAZYTSC_PORT_H

#include <lazytsc_port.h>

#endif
