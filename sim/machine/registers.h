/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_REGISTERS_H
#define LAZYTSC_SIM_REGISTERS_H

#include "vcpu.h"

/* WRMSR(0x6e0) has exited. */
void register_deadline(struct vcpu *v, u64 value);

/* RDMSR(0x6e0), TMCCT and LAZYTSC_MSR. */
void register_read(struct vcpu *v);

/* LVTT is masked or unmasked; its timer mode changes; the APIC is hardware-enabled or disabled. */
void register_mask(struct vcpu *v, bool masked);
void register_mode(struct vcpu *v, enum lazytsc_workload_mode mode);
void register_apic(struct vcpu *v, bool enabled);

/* RESET: the LAPIC and the feature go. */
void register_reset(struct vcpu *v);

/* A word for LAZYTSC_MSR, from the guest or from user space; one that is refused does nothing. */
void register_word(struct vcpu *v, u64 word);

#endif
