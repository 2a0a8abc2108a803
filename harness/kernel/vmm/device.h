/* SPDX-License-Identifier: BSD-2-Clause */
/* The console's ports and the doorbell. */
#ifndef LAZYTSC_KERNEL_DEVICE_H
#define LAZYTSC_KERNEL_DEVICE_H

#include "vmm.h"

/* An exit for a port: KVM_EXIT_IO. */
void device_io(struct vmm *m, struct kvm_run *run);

/* An exit for memory that is none: KVM_EXIT_MMIO. False: the guest has ended. */
bool device_mmio(struct vmm *m, struct kvm_run *run);

/* The guest ends with this status. Called with the lock held. */
void device_guest_ended(struct vmm *m, int status);

#endif
