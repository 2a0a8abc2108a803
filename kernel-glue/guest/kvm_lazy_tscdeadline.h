/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * KVM guest side of the lazy TSC deadline: what apic.c and kvm.c call.
 */
#ifndef _ASM_X86_KVM_LAZY_TSCDEADLINE_H
#define _ASM_X86_KVM_LAZY_TSCDEADLINE_H

#include <linux/jump_label.h>
#include <linux/types.h>

#include <asm/kvm_lazy_tscdeadline_compat.h>

#ifdef CONFIG_KVM_GUEST_LAZY_TSCDEADLINE

DECLARE_STATIC_KEY_FALSE(kvm_lazy_tscdeadline_key);

/* Does this guest use the feature at all? It may still be disabled on some CPUs. */
static inline bool kvm_lazy_tscdeadline_active(void)
{
	return static_branch_unlikely(&kvm_lazy_tscdeadline_key);
}

/* Only for kvm_lazy_tscdeadline_program(): before the MSR write, true: skip it; and after it. */
bool __kvm_lazy_tscdeadline_skip(u64 deadline);
void __kvm_lazy_tscdeadline_wrote(u64 deadline);

/* At boot: find out whether the host offers the feature. */
void kvm_lazy_tscdeadline_init(void);

/* At boot, if memory is encrypted: decrypt the area of this CPU. */
void kvm_lazy_tscdeadline_set_decrypted(int cpu);

/* On the CPU, interrupts off: start to use the area, and stop using it. */
void kvm_lazy_tscdeadline_cpu_online(void);
void kvm_lazy_tscdeadline_cpu_offline(void);

#else

static inline bool kvm_lazy_tscdeadline_active(void)
{
	return false;
}

static inline bool __kvm_lazy_tscdeadline_skip(u64 deadline)
{
	return false;
}

static inline void __kvm_lazy_tscdeadline_wrote(u64 deadline) { }
static inline void kvm_lazy_tscdeadline_init(void) { }
static inline void kvm_lazy_tscdeadline_set_decrypted(int cpu) { }
static inline void kvm_lazy_tscdeadline_cpu_online(void) { }
static inline void kvm_lazy_tscdeadline_cpu_offline(void) { }

#endif

/*
 * Program @deadline; 0: none. The kernel writes MSR_IA32_TSC_DEADLINE, or skips the write, in this
 * place only. Interrupts are off.
 */
static __always_inline void kvm_lazy_tscdeadline_program(u64 deadline)
{
	if (kvm_lazy_tscdeadline_active() && __kvm_lazy_tscdeadline_skip(deadline))
		return;

	kvm_lazy_tscdeadline_write_msr(deadline);

	if (kvm_lazy_tscdeadline_active() && deadline)
		__kvm_lazy_tscdeadline_wrote(deadline);
}

#endif
