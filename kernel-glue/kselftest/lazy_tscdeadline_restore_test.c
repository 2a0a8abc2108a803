// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A vCPU is saved with a deadline in its area and restored in a new VM, in any order, with parts
 * left out, and by a VMM that does not know the MSR.
 */
#include "kvm_test_harness.h"
#include "lazy_tscdeadline.h"

FIXTURE(lazy_restore) {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
};

FIXTURE_SETUP(lazy_restore) {
	self->vm = lazy_vm_create(&self->vcpu);
}

FIXTURE_TEARDOWN(lazy_restore) {
	kvm_vm_free(self->vm);
}

enum part { PART_CPUID, PART_LAPIC, PART_TSC, PART_DEADLINE, PART_AREA, PART_MEMORY, PARTS };

static struct {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_lapic_state lapic;
	u64 tsc, deadline, word;
	struct lazy_area area;
} saved;

static void save(struct kvm_vcpu *vcpu)
{
	vcpu_run_complete_io(vcpu);
	vcpu_regs_get(vcpu, &saved.regs);
	vcpu_sregs_get(vcpu, &saved.sregs);
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &saved.lapic);
	saved.tsc = vcpu_get_msr(vcpu, MSR_IA32_TSC);
	saved.deadline = vcpu_get_msr(vcpu, MSR_IA32_TSC_DEADLINE);
	saved.word = vcpu_get_msr(vcpu, MSR_KVM_LAZY_TSCDEADLINE);
	saved.area = *lazy_area_hva(vcpu);
}

static void restore_part(struct kvm_vcpu *vcpu, enum part part)
{
	switch (part) {
	case PART_CPUID:
		vcpu_init_cpuid(vcpu, kvm_get_supported_cpuid());
		vcpu_set_cpuid_feature(vcpu, X86_FEATURE_TSC_DEADLINE_TIMER);
		vcpu_sregs_set(vcpu, &saved.sregs);
		vcpu_regs_set(vcpu, &saved.regs);
		break;
	case PART_LAPIC:
		vcpu_ioctl(vcpu, KVM_SET_LAPIC, &saved.lapic);
		break;
	case PART_TSC:
		vcpu_set_msr(vcpu, MSR_IA32_TSC, saved.tsc);
		break;
	case PART_DEADLINE:
		/* What reads back depends on what is there yet. */
		TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, MSR_IA32_TSC_DEADLINE, saved.deadline), 1);
		break;
	case PART_AREA:
		vcpu_set_msr(vcpu, MSR_KVM_LAZY_TSCDEADLINE, saved.word);
		break;
	case PART_MEMORY:
		vm_set_user_memory_region(vcpu->vm, LAZY_SLOT, 0, LAZY_GPA, LAZY_SIZE,
					  lazy_area_hva(vcpu));
		break;
	case PARTS:
		break;
	}
}

/* A new VM with the memory of the one before; the area's page is not there yet. */
static struct kvm_vcpu *restart(struct kvm_vm *vm)
{
	struct kvm_vcpu *vcpu;

	kvm_vm_release(vm);
	kvm_vm_restart(vm);
	vm_set_user_memory_region(vm, LAZY_SLOT, 0, LAZY_GPA, 0, addr_gpa2hva(vm, LAZY_GPA));
	vcpu = __vm_vcpu_add(vm, 0);
	*lazy_area_hva(vcpu) = saved.area;
	lazy_cpu_hva(vcpu)->irqs = 0;
	return vcpu;
}

/* All of it but @out, in this order. */
static struct kvm_vcpu *restore(struct kvm_vm *vm, const enum part *order, enum part out)
{
	struct kvm_vcpu *vcpu = restart(vm);

	for (int i = 0; i < PARTS; i++) {
		if (order[i] != out)
			restore_part(vcpu, order[i]);
	}
	return vcpu;
}

static const enum part area_first[PARTS] = {
	PART_CPUID, PART_LAPIC, PART_MEMORY, PART_TSC, PART_AREA, PART_DEADLINE,
};

static const enum part deadline_first[PARTS] = {
	PART_CPUID, PART_LAPIC, PART_TSC, PART_DEADLINE, PART_AREA, PART_MEMORY,
};

static void guest_moves(void)
{
	struct lazy_cpu *cpu = &lazy_cpus[0];
	u64 now;

	lazy_start();
	lazy_enable(cpu);
	now = rdtsc();
	lazy_set(cpu, now + lazy_ms(20));
	lazy_set(cpu, now + lazy_ms(100));
	GUEST_SYNC(0);

	/* The deadline is published again, and to move it takes no exit. */
	GUEST_ASSERT(!lazy_set(cpu, now + lazy_ms(150)));
	lazy_spin_until(cpu->deadline + lazy_ms(10));
	lazy_assert_fired(cpu, cpu->deadline);
	lazy_example(cpu);
	GUEST_DONE();
}

/* B17: armed in one VM, fired in another one, which goes on as the first would have. */
TEST_F(lazy_restore, moves)
{
	static const enum part *const orders[] = { area_first, deadline_first };

	for (int i = 0; i < ARRAY_SIZE(orders); i++) {
		vcpu_arch_set_entry_point(self->vcpu, guest_moves);
		TEST_ASSERT_EQ(lazy_run(self->vcpu), UCALL_SYNC);
		save(self->vcpu);
		self->vcpu = restore(self->vm, orders[i], PARTS);
		TEST_ASSERT_EQ(vcpu_get_msr(self->vcpu, MSR_IA32_TSC_DEADLINE), saved.deadline);
		lazy_run_to_end(self->vcpu);
		kvm_vm_free(self->vm);
		self->vm = lazy_vm_create(&self->vcpu);
	}
}

static void guest_unaware(void)
{
	struct lazy_cpu *cpu = &lazy_cpus[0];
	u64 now;

	lazy_start();
	lazy_enable(cpu);
	now = rdtsc();
	lazy_set(cpu, now + lazy_ms(20));
	lazy_set(cpu, now + lazy_ms(100));
	GUEST_SYNC(0);

	/* Nothing is armed, so that each deadline is written, and comes. */
	for (int i = 0; i < 2; i++) {
		GUEST_ASSERT(lazy_set(cpu, rdtsc() + lazy_ms(20)));
		/* The restored deadline may have come before. */
		WRITE_ONCE(cpu->irqs, 0);
		lazy_spin_until(cpu->deadline + lazy_ms(10));
		lazy_assert_fired(cpu, cpu->deadline);
	}
	/* Enabled again, without a new start. */
	wrmsr(MSR_KVM_LAZY_TSCDEADLINE, lazy_area_gpa(0) | 1);
	lazy_example(cpu);
	GUEST_DONE();
}

/* B17, B27: restored by a VMM that does not know the MSR the guest loses its savings, no more. */
TEST_F(lazy_restore, unaware)
{
	vcpu_arch_set_entry_point(self->vcpu, guest_unaware);
	TEST_ASSERT_EQ(lazy_run(self->vcpu), UCALL_SYNC);
	save(self->vcpu);
	self->vcpu = restore(self->vm, area_first, PART_AREA);
	TEST_ASSERT_EQ(vcpu_get_msr(self->vcpu, MSR_KVM_LAZY_TSCDEADLINE), 0);
	lazy_run_to_end(self->vcpu);
}

enum over { OVER_FIRED, OVER_WRITTEN, OVER_SKIPPED, OVERS };

static void guest_over(enum over how)
{
	struct lazy_cpu *cpu = &lazy_cpus[0];
	u64 now;

	lazy_start();
	lazy_enable(cpu);
	now = rdtsc();
	lazy_set(cpu, now + lazy_ms(5));
	lazy_set(cpu, now + lazy_ms(10));
	if (how == OVER_FIRED) {
		lazy_spin_until(now + lazy_ms(20));
		lazy_assert_fired(cpu, cpu->deadline);
	} else if (how == OVER_WRITTEN) {
		wrmsr(MSR_IA32_TSC_DEADLINE, 0);
	} else {
		GUEST_ASSERT(!lazy_set(cpu, 0));
	}
	GUEST_SYNC(0);

	lazy_spin_until(rdtsc() + lazy_ms(20));
	GUEST_ASSERT_EQ(READ_ONCE(cpu->irqs), 0);
	lazy_example(cpu);
	GUEST_DONE();
}

/* A4, B26: a deadline that has fired, or is cancelled, is not found again after a restore. */
TEST_F(lazy_restore, over)
{
	for (enum over how = 0; how < OVERS; how++) {
		vcpu_arch_set_entry_point(self->vcpu, guest_over);
		vcpu_args_set(self->vcpu, 1, how);
		TEST_ASSERT_EQ(lazy_run(self->vcpu), UCALL_SYNC);
		save(self->vcpu);
		self->vcpu = restore(self->vm, area_first, PARTS);
		lazy_run_to_end(self->vcpu);
		kvm_vm_free(self->vm);
		self->vm = lazy_vm_create(&self->vcpu);
	}
}

static void guest_stale(void)
{
	struct lazy_cpu *cpu = &lazy_cpus[0];
	u64 now;

	lazy_start();
	lazy_enable(cpu);
	now = rdtsc();
	lazy_set(cpu, now + lazy_ms(10));
	lazy_set(cpu, now + lazy_ms(20));
	GUEST_SYNC(0);

	lazy_spin_until(cpu->deadline + lazy_ms(5));
	lazy_assert_fired(cpu, cpu->deadline);
	GUEST_ASSERT_EQ(rdmsr(MSR_KVM_LAZY_TSCDEADLINE), LAZY_GPA | 1);
	GUEST_SYNC(1);

	lazy_spin_until(rdtsc() + lazy_ms(20));
	GUEST_ASSERT_EQ(READ_ONCE(cpu->irqs), 0);
	lazy_example(cpu);
	GUEST_DONE();
}

/*
 * B26: the page is gone when a deadline fires and when the vCPU comes to rest, so KVM cannot note
 * there that it is over.  The MSR says so, and the deadline is not found again.
 */
TEST_F(lazy_restore, stale)
{
	vcpu_arch_set_entry_point(self->vcpu, guest_stale);
	TEST_ASSERT_EQ(lazy_run(self->vcpu), UCALL_SYNC);
	vm_set_user_memory_region(self->vm, LAZY_SLOT, 0, LAZY_GPA, 0, lazy_area_hva(self->vcpu));
	TEST_ASSERT_EQ(lazy_run(self->vcpu), UCALL_SYNC);
	save(self->vcpu);
	TEST_ASSERT_EQ(saved.word, LAZY_GPA | 1 | LAZY_STALE);
	self->vcpu = restore(self->vm, area_first, PARTS);
	lazy_run_to_end(self->vcpu);
	TEST_ASSERT_EQ(vcpu_get_msr(self->vcpu, MSR_KVM_LAZY_TSCDEADLINE), LAZY_GPA | 1);
}

#define ORDERS 720 /* of all parts */

static void nth_order(int n, enum part *order)
{
	enum part left[PARTS];

	for (int i = 0; i < PARTS; i++)
		left[i] = i;
	for (int i = 0; i < PARTS; i++) {
		int rest = PARTS - i, pick = n % rest;

		n /= rest;
		order[i] = left[pick];
		left[pick] = left[rest - 1];
	}
}

static void guest_orders(void)
{
	struct lazy_cpu *cpu = &lazy_cpus[0];
	u64 now;

	lazy_start();
	lazy_enable(cpu);
	now = rdtsc();
	lazy_set(cpu, now + lazy_ms(1));
	lazy_set(cpu, now + lazy_ms(2));
	/*
	 * Saved in the first round, and run for one round after each restore: the stack, which is
	 * not saved, is then as it was.
	 */
	for (;;) {
		GUEST_SYNC(0);
		lazy_spin_until(cpu->deadline + lazy_ms(1));
	}
}

static const struct {
	const char *name;
	enum part out; /* left out; PARTS: nothing */
	enum part first; /* only orders that begin with it; PARTS: all. What is left out is first */
	bool zero; /* the deadline as 0, as it is saved between expiry and delivery */
} restores[] = {
	{ "all", PARTS, PARTS, false },
	{ "without the TSC", PART_TSC, PART_TSC, false },
	{ "without the deadline", PART_DEADLINE, PART_DEADLINE, false },
	{ "with the deadline as 0", PARTS, PART_CPUID, true },
};

/*
 * B26: restored in every order of CPUID, LAPIC, TSC, deadline, MSR and memory, and with parts left
 * out, the deadline comes once, and not early: the guest's memory still holds it.
 */
TEST_F_TIMEOUT(lazy_restore, orders, 300)
{
	enum part order[PARTS];
	u64 deadline;

	vcpu_arch_set_entry_point(self->vcpu, guest_orders);
	TEST_ASSERT_EQ(lazy_run(self->vcpu), UCALL_SYNC);
	save(self->vcpu);
	deadline = saved.deadline;
	TEST_ASSERT_EQ(deadline, lazy_cpu_hva(self->vcpu)->deadline);

	for (int r = 0; r < ARRAY_SIZE(restores); r++) {
		int tried = 0, lost = 0;

		saved.deadline = restores[r].zero ? 0 : deadline;
		for (int n = 0; n < ORDERS; n++) {
			struct lazy_cpu *cpu;

			nth_order(n, order);
			if (restores[r].first != PARTS && order[0] != restores[r].first)
				continue;
			self->vcpu = restore(self->vm, order, restores[r].out);
			TEST_ASSERT_EQ(lazy_run(self->vcpu), UCALL_SYNC);
			cpu = lazy_cpu_hva(self->vcpu);
			TEST_ASSERT(cpu->irqs <= 1, "%lu interrupts", cpu->irqs);
			TEST_ASSERT(!cpu->irqs || cpu->irq_tsc >= deadline, "early");
			tried++;
			lost += !cpu->irqs;
		}
		TEST_ASSERT(!lost, "restored %s: %d of %d lost", restores[r].name, lost, tried);
	}
}

int main(int argc, char *argv[])
{
	lazy_skip_unless_offered();
	return test_harness_run(argc, argv);
}
