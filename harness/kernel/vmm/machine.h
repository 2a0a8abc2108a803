/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine as it is before the first instruction. */
#ifndef LAZYTSC_KERNEL_MACHINE_H
#define LAZYTSC_KERNEL_MACHINE_H

#include "vmm.h"

/* Allocates the guest's memory. */
void machine_memory(struct vmm *m);

/* Loads kernel, initrd and boot parameters. */
void machine_load(struct vmm *m);

/* Asks KVM for the CPUID that the guest gets, with the feature or without; gives it to a vCPU. */
void machine_cpuid(struct vmm *m);
void machine_set_cpuid(struct vmm *m, struct vcpu *v);

/* Sets the registers with which a vCPU enters the kernel. */
void machine_boot_regs(struct vcpu *v);

#endif
