// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who may write MSR_KVM_LAZY_TSCDEADLINE, which values it takes, and what switches the feature off.
 */
#include "kvm_test_harness.h"
#include "lazy_tscdeadline.h"

FIXTURE(lazy_msr) {
	struct kvm_vcpu *vcpu;
};

FIXTURE_SETUP(lazy_msr) {
	lazy_vm_create(&self->vcpu);
}

FIXTURE_TEARDOWN(lazy_msr) {
	kvm_vm_free(self->vcpu->vm);
}

/* Neither aligned, nor with the bits as they shall be, nor with memory there. */
static const u64 bad[] = {
	LAZY_GPA, /* an address without the enable bit */
	LAZY_GPA | 3, /* reserved bits */
	LAZY_GPA | 0x21, /* not aligned */
	(LAZY_GPA + LAZY_SIZE - 32) | 1, /* not aligned, and across the page's end */
	(2 * LAZY_GPA) | 1, /* no memory */
	BIT_ULL(62) | 1, /* beyond the physical addresses */
};

static void guest_values(void)
{
	u64 last = (LAZY_GPA + LAZY_SIZE - sizeof(struct lazy_area)) | 1;

	lazy_start();
	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		u8 vector = wrmsr_safe(MSR_KVM_LAZY_TSCDEADLINE, bad[i]);

		__GUEST_ASSERT(vector == GP_VECTOR, "WRMSR(%lx): vector %u, expected #GP", bad[i],
			       vector);
		GUEST_ASSERT_EQ(rdmsr(MSR_KVM_LAZY_TSCDEADLINE), 0);
	}
	wrmsr(MSR_KVM_LAZY_TSCDEADLINE, last);
	GUEST_ASSERT_EQ(rdmsr(MSR_KVM_LAZY_TSCDEADLINE), last);
	GUEST_SYNC(0);

	/* Refused, nothing changes. */
	GUEST_ASSERT_EQ(wrmsr_safe(MSR_KVM_LAZY_TSCDEADLINE, bad[0]), GP_VECTOR);
	GUEST_ASSERT_EQ(rdmsr(MSR_KVM_LAZY_TSCDEADLINE), last);
	wrmsr(MSR_KVM_LAZY_TSCDEADLINE, 0);
	GUEST_ASSERT_EQ(rdmsr(MSR_KVM_LAZY_TSCDEADLINE), 0);
	GUEST_DONE();
}

/* B11, B17: user space finds the MSR in the list of those that it has to save. */
KVM_ONE_VCPU_TEST(lazy_msr, values, guest_values)
{
	u64 last = (LAZY_GPA + LAZY_SIZE - sizeof(struct lazy_area)) | 1;

	TEST_ASSERT(kvm_msr_is_in_save_restore_list(MSR_KVM_LAZY_TSCDEADLINE),
		    "not in KVM_GET_MSR_INDEX_LIST");
	TEST_ASSERT_EQ(lazy_run(vcpu), UCALL_SYNC);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_LAZY_TSCDEADLINE), last);
	lazy_run_to_end(vcpu);
}

static void guest_no_cpuid(void)
{
	u64 value;

	lazy_start();
	GUEST_ASSERT_EQ(wrmsr_safe(MSR_KVM_LAZY_TSCDEADLINE, LAZY_GPA | 1), GP_VECTOR);
	GUEST_ASSERT_EQ(rdmsr_safe(MSR_KVM_LAZY_TSCDEADLINE, &value), GP_VECTOR);
	lazy_example(&lazy_cpus[0]);
	GUEST_DONE();
}

/* B18: without the CPUID bit there is no MSR, and the timer is that of the architecture. */
KVM_ONE_VCPU_TEST(lazy_msr, no_cpuid, guest_no_cpuid)
{
	vcpu_clear_cpuid_feature(vcpu, X86_FEATURE_KVM_LAZY_TSCDEADLINE);
	TEST_ASSERT(_vcpu_set_msr(vcpu, MSR_KVM_LAZY_TSCDEADLINE, LAZY_GPA | 1) != 1,
		    "accepted from user space without CPUID");
	lazy_run_to_end(vcpu);
	TEST_ASSERT_EQ(vcpu_get_stat(vcpu, lazy_tscdeadline_publish), 0);
}

static void guest_cpuid_removed(void)
{
	struct lazy_cpu *cpu = &lazy_cpus[0];

	lazy_start();
	lazy_set(cpu, rdtsc() + lazy_ms(2));
	lazy_spin_until(rdtsc() + lazy_ms(5));
	lazy_assert_fired(cpu, cpu->deadline);
	GUEST_SYNC(0);

	lazy_enable(cpu);
	lazy_example(cpu);
	GUEST_DONE();
}

/* B18: user space takes the CPUID bit away, and the host writes in the page no more. */
KVM_ONE_VCPU_TEST(lazy_msr, cpuid_removed, guest_cpuid_removed)
{
	vcpu_set_msr(vcpu, MSR_KVM_LAZY_TSCDEADLINE, LAZY_GPA | 1);
	vcpu_clear_cpuid_feature(vcpu, X86_FEATURE_KVM_LAZY_TSCDEADLINE);
	vcpu_set_cpuid_feature(vcpu, X86_FEATURE_KVM_LAZY_TSCDEADLINE);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_LAZY_TSCDEADLINE), 0);

	lazy_area_hva(vcpu)->armed = LAZY_POISON;
	lazy_set_at_rest(vcpu, LAZY_POISON);
	TEST_ASSERT_EQ(lazy_run(vcpu), UCALL_SYNC);
	lazy_area_hva(vcpu)->armed = 0;
	lazy_set_at_rest(vcpu, 0);
	lazy_run_to_end(vcpu);
}

static void guest_disable(void)
{
	struct lazy_cpu *cpu = &lazy_cpus[0];
	u64 now;

	lazy_start();
	lazy_enable(cpu);
	now = rdtsc();
	lazy_set(cpu, now + lazy_ms(10));
	lazy_set(cpu, now + lazy_ms(20));
	wrmsr(MSR_KVM_LAZY_TSCDEADLINE, 0);
	GUEST_ASSERT_EQ(READ_ONCE(cpu->area->armed), 0);
	GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), cpu->deadline);
	/* From here on the page is the guest's for whatever it likes. */
	WRITE_ONCE(cpu->area->armed, LAZY_POISON);
	WRITE_ONCE(cpu->area->pending, 0);
	GUEST_SYNC(0);
	lazy_spin_until(cpu->deadline + lazy_ms(5));
	lazy_assert_fired(cpu, cpu->deadline);
	GUEST_DONE();
}

/* B8: the guest switches the feature off, and the deadline that it wanted stays programmed. */
KVM_ONE_VCPU_TEST(lazy_msr, disable, guest_disable)
{
	lazy_set_at_rest(vcpu, LAZY_POISON);
	lazy_run_to_end(vcpu);
}

int main(int argc, char *argv[])
{
	lazy_skip_unless_offered();
	return test_harness_run(argc, argv);
}
