/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine as it is before the first instruction. */
#ifndef LAZYTSC_KERNEL_MACHINE_H
#define LAZYTSC_KERNEL_MACHINE_H

#include "vmm.h"

void machine_memory(struct vmm *m);
void machine_load(struct vmm *m);
void machine_cpuid(struct vmm *m);
void machine_set_cpuid(struct vmm *m, struct vcpu *v);
void machine_boot_regs(struct vcpu *v);

#endif
