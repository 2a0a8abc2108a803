// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The guest's TSC jumps while a deadline is armed, whoever sets it: the deadline comes by the new
 * time, and nothing stays armed that the new time has passed.
 */
#include "kvm_test_harness.h"
#include "lazy_tscdeadline.h"

FIXTURE(lazy_tsc) {
	struct kvm_vcpu *vcpu;
};

FIXTURE_SETUP(lazy_tsc) {
	lazy_vm_create(&self->vcpu);
}

FIXTURE_TEARDOWN(lazy_tsc) {
	kvm_vm_free(self->vcpu->vm);
}

FIXTURE_VARIANT(lazy_tsc) {
	u32 msr; /* that the guest writes; 0: user space sets the TSC */
	bool offset; /* by KVM_VCPU_TSC_OFFSET; else KVM_SET_MSRS */
};

FIXTURE_VARIANT_ADD(lazy_tsc, wrmsr) {
	.msr = MSR_IA32_TSC,
};

FIXTURE_VARIANT_ADD(lazy_tsc, wrmsr_adjust) {
	.msr = MSR_IA32_TSC_ADJUST,
};

FIXTURE_VARIANT_ADD(lazy_tsc, set_msrs) {
};

FIXTURE_VARIANT_ADD(lazy_tsc, offset) {
	.offset = true,
};

#define JUMP_MS 2000

/* Two deadlines, of which the second one is skipped, and a jump. */
static struct lazy_cpu *set_and_jump(u32 msr, u64 first_ms, u64 second_ms, s64 jump_ms)
{
	struct lazy_cpu *cpu = &lazy_cpus[0];
	u64 now;

	lazy_start();
	lazy_enable(cpu);
	now = rdtsc();
	lazy_set(cpu, now + lazy_ms(first_ms));
	GUEST_ASSERT(!lazy_set(cpu, now + lazy_ms(second_ms)));
	if (msr)
		wrmsr(msr, rdmsr(msr) + lazy_ms(jump_ms));
	else
		GUEST_SYNC(0);
	return cpu;
}

static void guest_forward(u32 msr)
{
	struct lazy_cpu *cpu = set_and_jump(msr, 500, 600, JUMP_MS);

	lazy_spin_until(rdtsc() + lazy_ms(10));
	lazy_assert_fired(cpu, cpu->deadline);
	lazy_example(cpu);
	GUEST_DONE();
}

static void guest_back(u32 msr)
{
	struct lazy_cpu *cpu = set_and_jump(msr, 20, 40, -JUMP_MS);

	lazy_spin_until(rdtsc() + lazy_ms(60));
	GUEST_ASSERT_EQ(READ_ONCE(cpu->irqs), 0);
	GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), cpu->deadline);
	lazy_example(cpu);
	GUEST_DONE();
}

static void user_jump(struct kvm_vcpu *vcpu, bool offset, s64 jump_ms)
{
	u64 delta = jump_ms * guest_tsc_khz, value;

	TEST_ASSERT_EQ(lazy_run(vcpu), UCALL_SYNC);
	if (offset) {
		vcpu_device_attr_get(vcpu, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, &value);
		value += delta;
		vcpu_device_attr_set(vcpu, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, &value);
	} else {
		vcpu_set_msr(vcpu, MSR_IA32_TSC, vcpu_get_msr(vcpu, MSR_IA32_TSC) + delta);
	}
}

/* A2, B9, B19: a deadline that is past by the new time fires at once. */
TEST_F(lazy_tsc, forward)
{
	vcpu_arch_set_entry_point(self->vcpu, guest_forward);
	vcpu_args_set(self->vcpu, 1, variant->msr);
	if (!variant->msr)
		user_jump(self->vcpu, variant->offset, JUMP_MS);
	lazy_run_to_end(self->vcpu);
}

/* A6, B12, B19: a deadline that lies further ahead by the new time is not early, and not lost. */
TEST_F(lazy_tsc, back)
{
	u64 silent;

	vcpu_set_msr(self->vcpu, MSR_IA32_TSC, BIT_ULL(40));
	vcpu_arch_set_entry_point(self->vcpu, guest_back);
	vcpu_args_set(self->vcpu, 1, variant->msr);
	if (!variant->msr)
		user_jump(self->vcpu, variant->offset, -JUMP_MS);
	lazy_run_to_end(self->vcpu);
	silent = vcpu_get_stat(self->vcpu, lazy_tscdeadline_silent);
	TEST_ASSERT(silent <= 4, "%lu silent expiries, 4 skips", silent);
}

int main(int argc, char *argv[])
{
	lazy_skip_unless_offered();
	return test_harness_run(argc, argv);
}
