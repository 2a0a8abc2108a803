/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gfn_to_pfn_cache as later kernels have it: it knows its VM, and what it maps.
 */
#ifndef __KVM_X86_LAZY_TSCDEADLINE_COMPAT_H
#define __KVM_X86_LAZY_TSCDEADLINE_COMPAT_H

#include "lapic.h"

/* This kernel has no guests with an APIC that KVM cannot see into. */
static inline bool kvm_lazy_apic_protected(const struct kvm_lapic *apic)
{
	return false;
}

static inline struct kvm *lazy_gpc_kvm(struct gfn_to_pfn_cache *gpc)
{
	return container_of(gpc, struct kvm_lapic, lazy.gpc)->vcpu->kvm;
}

static inline void lazy_gpc_init(struct gfn_to_pfn_cache *gpc, struct kvm *kvm)
{
	kvm_gpc_init(gpc);
}

static inline int lazy_gpc_activate(struct gfn_to_pfn_cache *gpc, gpa_t gpa, unsigned long len)
{
	return kvm_gpc_activate(lazy_gpc_kvm(gpc), gpc, NULL, KVM_HOST_USES_PFN, gpa, len);
}

static inline void lazy_gpc_deactivate(struct gfn_to_pfn_cache *gpc)
{
	kvm_gpc_deactivate(lazy_gpc_kvm(gpc), gpc);
}

static inline bool kvm_gpc_check(struct gfn_to_pfn_cache *gpc, unsigned long len)
{
	return kvm_gfn_to_pfn_cache_check(lazy_gpc_kvm(gpc), gpc, gpc->gpa, len);
}

static inline int kvm_gpc_refresh(struct gfn_to_pfn_cache *gpc, unsigned long len)
{
	return kvm_gfn_to_pfn_cache_refresh(lazy_gpc_kvm(gpc), gpc, gpc->gpa, len);
}

/* The names that 6.1 has with other arguments. */
#define kvm_gpc_init		lazy_gpc_init
#define kvm_gpc_activate	lazy_gpc_activate
#define kvm_gpc_deactivate	lazy_gpc_deactivate

#endif
