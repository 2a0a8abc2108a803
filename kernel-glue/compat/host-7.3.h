/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The glue is written for this version.
 */
#ifndef __KVM_X86_LAZY_TSCDEADLINE_COMPAT_H
#define __KVM_X86_LAZY_TSCDEADLINE_COMPAT_H

#include "lapic.h"

static inline bool kvm_lazy_apic_protected(const struct kvm_lapic *apic)
{
	return apic->guest_apic_protected;
}

#endif
