/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What later kernels have.
 */
#ifndef __KVM_X86_LAZY_TSCDEADLINE_COMPAT_H
#define __KVM_X86_LAZY_TSCDEADLINE_COMPAT_H

#include "lapic.h"

/* This kernel has no guests with an APIC that KVM cannot see into. */
static inline bool kvm_lazy_apic_protected(const struct kvm_lapic *apic)
{
	return false;
}

#endif
