/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The core's port to Linux; <lazytsc/port.h> says what each name must do.
 */
#ifndef LAZYTSC_PORT_LINUX_H
#define LAZYTSC_PORT_LINUX_H

#ifndef __KERNEL__
#error "this port is for the kernel; user space has core/ports/c11"
#endif

#include <linux/bits.h>
#include <linux/bug.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/msr.h>
#include <asm/tsc.h>

typedef struct {
	u64 v;
} lazytsc_shared_t;

static inline u64 lazytsc_load(const lazytsc_shared_t *p)
{
	return READ_ONCE(p->v);
}

static inline void lazytsc_store(lazytsc_shared_t *p, u64 v)
{
	WRITE_ONCE(p->v, v);
}

/*
 * Host and guest are two kernels on two CPUs, whatever either was configured for: smp_mb() is only
 * a compiler barrier when CONFIG_SMP=n. virt_mb() is a locked instruction in every configuration,
 * and the lock prefix is literal, so that no alternative patches it out on a machine with one CPU.
 */
#define lazytsc_mb() virt_mb()

/* The guest's own kernel calls it, so this is the guest's TSC. Not ordered, nor need it be. */
#define lazytsc_tsc() rdtsc()

/* What the core asserts depends on no word of the guest's. */
#define lazytsc_assert(cond) WARN_ON_ONCE(!(cond))

#endif
