/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the tests of the lazy TSC deadline share: a guest that programs its timer as
 * Documentation/virt/kvm/x86/msr.rst says, and a VM for it.  A1 to A18 and B1 to B28 in the tests
 * name the requirements: A what the architecture promises, B what the protocol does.
 */
#ifndef SELFTEST_KVM_LAZY_TSCDEADLINE_H
#define SELFTEST_KVM_LAZY_TSCDEADLINE_H

#include "apic.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define X86_FEATURE_KVM_LAZY_TSCDEADLINE KVM_X86_CPU_FEATURE(0x40000001, 0, EAX, 18)
#define MSR_KVM_LAZY_TSCDEADLINE	 0x4b564d09
/* For user space: done in the page is stale. */
#define LAZY_STALE			 BIT_ULL(1)

/* A memslot of one page, mapped one to one, with an area for each vCPU. */
#define LAZY_SLOT   10
#define LAZY_GPA    0x10000000ULL
#define LAZY_SIZE   4096
#define LAZY_VECTOR 0xec
/* A value that neither side writes. */
#define LAZY_POISON 0x5a5a5a5a5a5a5a5aULL
#define LAZY_VCPUS  2

struct lazy_area {
	u64 armed;
	u64 pending;
	u64 done;
	u64 reserved[5];
};

/* One for each vCPU: what its guest counts and tells, for guest and host. */
struct lazy_cpu {
	struct lazy_area *area; /* NULL: not enabled, each deadline is written */
	u64 irqs; /* timer interrupts */
	u64 irq_tsc; /* of the last one */
	u64 writes; /* deadlines written to the MSR */
	u64 deadline; /* the last one set */
	u64 value; /* whatever a test's guest has to tell */
	u64 ready;
};

/* For the guest; the host reaches them by lazy_cpu_hva(). */
extern struct lazy_cpu lazy_cpus[LAZY_VCPUS];
extern bool lazy_x2apic;

/* The guest's side. */
static inline u64 lazy_ms(u64 ms)
{
	return ms * guest_tsc_khz;
}

static inline u64 lazy_area_gpa(u32 id)
{
	return LAZY_GPA + id * sizeof(struct lazy_area);
}

u32 lazy_apic_read(unsigned int reg);
void lazy_apic_write(unsigned int reg, u32 value);

/* Enable the APIC, with its timer in TSC-deadline mode, and interrupts. */
void lazy_start(void);

/* Give the vCPU's area to the host. */
void lazy_enable(struct lazy_cpu *cpu);

/* Program a deadline, 0: none.  Returns whether the MSR was written. */
bool lazy_set(struct lazy_cpu *cpu, u64 t);
void lazy_spin_until(u64 t);

/* One interrupt since @irqs was set to 0, not before @t, and no deadline left (A3, A6, A7). */
void lazy_assert_fired(struct lazy_cpu *cpu, u64 t);

/* Four deadlines, each later than the one before: one write, one interrupt, at the last one. */
void lazy_example(struct lazy_cpu *cpu);

/* The host's side: the area's page, and the guest's interrupt handler. */
void lazy_vm_init(struct kvm_vm *vm);

/* CPUID of a vCPU that may use the feature, and no other PV feature than CPUID tells. */
void lazy_vcpu_init(struct kvm_vcpu *vcpu);

/* A VM with one vCPU, and both of the above. */
struct kvm_vm *lazy_vm_create(struct kvm_vcpu **vcpu);
struct lazy_cpu *lazy_cpu_hva(struct kvm_vcpu *vcpu);
struct lazy_area *lazy_area_hva(struct kvm_vcpu *vcpu);

/* What armed holds while the vCPU is in user space (B17), until told otherwise: 0. */
void lazy_set_at_rest(struct kvm_vcpu *vcpu, u64 armed);

/* Run to the guest's next GUEST_SYNC() or GUEST_DONE().  Returns UCALL_SYNC or UCALL_DONE. */
u64 lazy_run(struct kvm_vcpu *vcpu);
void lazy_run_to_end(struct kvm_vcpu *vcpu);

/* lazy_run_to_end() in a thread.  Returns once the guest has set ready. */
pthread_t lazy_run_in_thread(struct kvm_vcpu *vcpu);

#define lazy_skip_unless_offered()                                    \
	__TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_KVM_LAZY_TSCDEADLINE), \
		       "KVM does not offer the lazy TSC deadline")

#endif
