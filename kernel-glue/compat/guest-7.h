/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Linux 7.1 and later write the deadline without a trace event: the glue has its own.
 */
#ifndef _ASM_X86_KVM_LAZY_TSCDEADLINE_COMPAT_H
#define _ASM_X86_KVM_LAZY_TSCDEADLINE_COMPAT_H

#include <linux/tracepoint-defs.h>

#include <asm/msr.h>

#ifdef CONFIG_KVM_GUEST_LAZY_TSCDEADLINE
#define KVM_LAZY_TRACE_WRITES

DECLARE_TRACEPOINT(lazytsc_write);
void __kvm_lazy_tscdeadline_trace_write(u64 deadline);

static __always_inline void kvm_lazy_tscdeadline_trace_write(u64 deadline)
{
	if (tracepoint_enabled(lazytsc_write))
		__kvm_lazy_tscdeadline_trace_write(deadline);
}
#else
static __always_inline void kvm_lazy_tscdeadline_trace_write(u64 deadline) { }
#endif

static __always_inline void kvm_lazy_tscdeadline_write_msr(u64 deadline)
{
	kvm_lazy_tscdeadline_trace_write(deadline);
	native_wrmsrq(MSR_IA32_TSC_DEADLINE, deadline);
}

#endif
