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

/* Does this guest use it at all? A CPU may still have it disabled. */
static inline bool kvm_lazy_tscdeadline_active(void)
{
	return static_branch_unlikely(&kvm_lazy_tscdeadline_key);
}

bool __kvm_lazy_tscdeadline_skip(u64 deadline);
void __kvm_lazy_tscdeadline_wrote(u64 deadline);

void kvm_lazy_tscdeadline_init(void);
void kvm_lazy_tscdeadline_set_decrypted(int cpu);
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
 * Want @deadline; 0: none. The one place where the kernel writes MSR_IA32_TSC_DEADLINE, or does
 * not. Interrupts are off.
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
