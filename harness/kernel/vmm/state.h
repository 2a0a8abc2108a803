/* SPDX-License-Identifier: BSD-2-Clause */
/* Everything that KVM keeps of a VM. */
#ifndef LAZYTSC_KERNEL_STATE_H
#define LAZYTSC_KERNEL_STATE_H

#include "vmm.h"

/* Creates the VM and its vCPUs. */
void vm_create(struct vmm *m);

/* All vCPU threads are parked. @how: see VMM_RESTORES. */
void vm_save_restore(struct vmm *m, unsigned int how);

/* All vCPU threads are parked. Move the guest's TSC. */
void vm_jump(struct vmm *m, long long ns);

/* All vCPU threads are parked. Where each stands, to standard error: the trace of a hang. */
void vm_show(struct vmm *m);

#endif
