/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The MSR accessors as later kernels name them. This kernel traces the write (msr:write_msr).
 */
#ifndef _ASM_X86_KVM_LAZY_TSCDEADLINE_COMPAT_H
#define _ASM_X86_KVM_LAZY_TSCDEADLINE_COMPAT_H

#include <asm/msr.h>

#define wrmsrq		wrmsrl
#define wrmsrq_safe	wrmsrl_safe
#define rdmsrq_safe	rdmsrl_safe

static __always_inline void kvm_lazy_tscdeadline_write_msr(u64 deadline)
{
	wrmsrl(MSR_IA32_TSC_DEADLINE, deadline);
}

#endif
