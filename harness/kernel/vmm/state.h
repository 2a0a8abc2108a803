/* SPDX-License-Identifier: BSD-2-Clause */
/* Everything that KVM keeps of a VM. */
#ifndef LAZYTSC_KERNEL_STATE_H
#define LAZYTSC_KERNEL_STATE_H

#include "vmm.h"

void vm_create(struct vmm *m);

/* All vCPU threads are parked. */
void vm_save_restore(struct vmm *m, enum vmm_restore order);

/* All vCPU threads are parked. Where each stands, to standard error: the trace of a hang. */
void vm_show(struct vmm *m);

#endif
