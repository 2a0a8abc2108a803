// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The timer of a guest with the lazy TSC deadline: what it sets, moves and reads, and what it is
 * given.  No interrupt is early, none is lost, and a later deadline takes no exit.
 */
#include "kvm_test_harness.h"
#include "lazy_tscdeadline.h"

FIXTURE(lazy_timer) {
	struct kvm_vcpu *vcpu;
};

FIXTURE_SETUP(lazy_timer) {
	lazy_vm_create(&self->vcpu);
}

FIXTURE_TEARDOWN(lazy_timer) {
	kvm_vm_free(self->vcpu->vm);
}

static struct lazy_cpu *start(void)
{
	lazy_start();
	lazy_enable(&lazy_cpus[0]);
	return &lazy_cpus[0];
}

/* Sets two deadlines, the second one later, which is skipped. */
static void set_two(struct lazy_cpu *cpu, u64 first, u64 second)
{
	u64 now = rdtsc();

	WRITE_ONCE(cpu->irqs, 0);
	GUEST_ASSERT(lazy_set(cpu, now + lazy_ms(first)));
	GUEST_ASSERT(!lazy_set(cpu, now + lazy_ms(second)));
}

static void wait_for_it(struct lazy_cpu *cpu, u64 t)
{
	lazy_spin_until(t + lazy_ms(10));
	lazy_assert_fired(cpu, t);
}

/* Nothing comes within these milliseconds. */
static void assert_silent(struct lazy_cpu *cpu, u64 ms)
{
	lazy_spin_until(rdtsc() + lazy_ms(ms));
	GUEST_ASSERT_EQ(READ_ONCE(cpu->irqs), 0);
}

static void guest_example(void)
{
	lazy_example(start());
	GUEST_DONE();
}

static void check_example(struct kvm_vcpu *vcpu)
{
	u64 silent;

	lazy_run_to_end(vcpu);
	silent = vcpu_get_stat(vcpu, lazy_tscdeadline_silent);
	TEST_ASSERT(silent >= 1 && silent <= 3, "%lu silent expiries, 3 skips", silent);
}

/* A1, A3, B5, B12: one exit and one interrupt for four deadlines. */
KVM_ONE_VCPU_TEST(lazy_timer, example, guest_example)
{
	check_example(vcpu);
}

/* The same with the APIC's registers in memory. */
KVM_ONE_VCPU_TEST(lazy_timer, example_xapic, guest_example)
{
	lazy_x2apic = false;
	sync_global_to_guest(vcpu->vm, lazy_x2apic);
	check_example(vcpu);
}

static void guest_earlier(void)
{
	struct lazy_cpu *cpu = start();
	u64 now = rdtsc();

	for (int i = 0; i < 3; i++)
		GUEST_ASSERT(lazy_set(cpu, now + lazy_ms(60 - 20 * i)));
	lazy_spin_until(cpu->deadline + lazy_ms(20));
	lazy_assert_fired(cpu, cpu->deadline);
	GUEST_DONE();
}

/* A5: an earlier deadline takes its exit, and the last one counts. */
KVM_ONE_VCPU_TEST(lazy_timer, earlier, guest_earlier)
{
	lazy_run_to_end(vcpu);
}

static void guest_past(void)
{
	struct lazy_cpu *cpu = start();

	for (u64 t = 1; t <= 2; t++) {
		WRITE_ONCE(cpu->irqs, 0);
		wrmsr(MSR_IA32_TSC_DEADLINE, t);
		wait_for_it(cpu, t);
	}
	for (int i = 0; i < 2; i++) {
		WRITE_ONCE(cpu->irqs, 0);
		GUEST_ASSERT(lazy_set(cpu, rdtsc() - lazy_ms(1)));
		lazy_spin_until(rdtsc() + lazy_ms(2));
		lazy_assert_fired(cpu, cpu->deadline);
		GUEST_ASSERT_EQ(READ_ONCE(cpu->area->armed), 0);
	}
	GUEST_DONE();
}

/* A2, B9: a past deadline fires at once, and leaves nothing to skip on. */
KVM_ONE_VCPU_TEST(lazy_timer, past, guest_past)
{
	lazy_run_to_end(vcpu);
}

static void guest_disarm(void)
{
	struct lazy_cpu *cpu = start();

	/* As the protocol does it, without an exit. */
	set_two(cpu, 10, 20);
	GUEST_ASSERT(!lazy_set(cpu, 0));
	GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), 0);
	assert_silent(cpu, 30);
	GUEST_SYNC(0);

	/* As the architecture does it. */
	set_two(cpu, 10, 20);
	wrmsr(MSR_IA32_TSC_DEADLINE, 0);
	GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), 0);
	assert_silent(cpu, 30);
	lazy_example(cpu);
	GUEST_DONE();
}

/* A4, B6, B14: 0 disarms, in pending as in the MSR. */
KVM_ONE_VCPU_TEST(lazy_timer, disarm, guest_disarm)
{
	TEST_ASSERT_EQ(lazy_run(vcpu), UCALL_SYNC);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_IA32_TSC_DEADLINE), 0);
	lazy_run_to_end(vcpu);
}

static void guest_effective(void)
{
	struct lazy_cpu *cpu = start();

	set_two(cpu, 10, 40);
	GUEST_ASSERT(READ_ONCE(cpu->area->armed) < cpu->deadline);
	GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), cpu->deadline);
	GUEST_SYNC(0);
	assert_silent(cpu, 15);
	GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), cpu->deadline);
	GUEST_SYNC(1);
	wait_for_it(cpu, cpu->deadline);
	GUEST_DONE();
}

/* A8, B14: guest and user space read what the guest wants, before and after a silent expiry. */
KVM_ONE_VCPU_TEST(lazy_timer, effective, guest_effective)
{
	for (int i = 0; i < 2; i++) {
		TEST_ASSERT_EQ(lazy_run(vcpu), UCALL_SYNC);
		TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_IA32_TSC_DEADLINE),
			       lazy_cpu_hva(vcpu)->deadline);
	}
	lazy_run_to_end(vcpu);
}

static void guest_raw(void)
{
	struct lazy_cpu *cpu = start();
	u64 t;

	set_two(cpu, 10, 500);
	t = cpu->deadline - lazy_ms(470);
	wrmsr(MSR_IA32_TSC_DEADLINE, t);
	GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), t);
	wait_for_it(cpu, t);
	GUEST_DONE();
}

/* B7: what is written to the MSR counts, whatever pending holds. */
KVM_ONE_VCPU_TEST(lazy_timer, raw, guest_raw)
{
	lazy_run_to_end(vcpu);
}

static void guest_raised(void)
{
	struct lazy_cpu *cpu = start();
	u64 t = rdtsc() + lazy_ms(2);

	lazy_set(cpu, t);
	cli();
	lazy_spin_until(t + lazy_ms(3));
	wrmsr(MSR_IA32_TSC_DEADLINE, 0);
	sti_nop();
	wait_for_it(cpu, t);
	GUEST_DONE();
}

/* A16: an interrupt that has been raised is not taken back by a later write. */
KVM_ONE_VCPU_TEST(lazy_timer, raised, guest_raised)
{
	lazy_run_to_end(vcpu);
}

static void guest_huge(void)
{
	static const u64 huge[] = { ~0ULL, ~0ULL - 1, BIT_ULL(63), BIT_ULL(56) };
	struct lazy_cpu *cpu = start();

	for (int i = 0; i < ARRAY_SIZE(huge); i++) {
		lazy_set(cpu, huge[i]);
		GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), huge[i]);
		assert_silent(cpu, 3);
		lazy_set(cpu, 0);
	}
	/* A little beyond what fits the conversion to ns, after a silent expiry. */
	lazy_set(cpu, rdtsc() + lazy_ms(2));
	lazy_set(cpu, rdtsc() + ~0ULL / 1000000 + lazy_ms(5));
	assert_silent(cpu, 10);
	GUEST_DONE();
}

/* A8: a deadline that lies further ahead than a timer can does not fire. */
KVM_ONE_VCPU_TEST(lazy_timer, huge, guest_huge)
{
	lazy_run_to_end(vcpu);
}

static void guest_mask(void)
{
	const u32 unmasked = APIC_LVT_TIMER_TSCDEADLINE | LAZY_VECTOR;
	const struct {
		u32 reg, off, on;
	} ways[] = {
		{ APIC_LVTT, APIC_LVT_MASKED | unmasked, unmasked },
		{ APIC_SPIV, 0xff, 0xff | APIC_SPIV_APIC_ENABLED },
	};
	struct lazy_cpu *cpu = start();

	for (int i = 0; i < ARRAY_SIZE(ways); i++) {
		set_two(cpu, 10, 30);
		lazy_apic_write(ways[i].reg, ways[i].off);
		GUEST_ASSERT_EQ(READ_ONCE(cpu->area->armed), 0);
		GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), cpu->deadline);
		assert_silent(cpu, 15);
		lazy_apic_write(ways[i].reg, ways[i].on);
		lazy_apic_write(APIC_LVTT, unmasked);
		wait_for_it(cpu, cpu->deadline);
	}
	GUEST_DONE();
}

/* B8: masked, by the LVT entry or by software, nothing stays armed and no deadline is lost. */
KVM_ONE_VCPU_TEST(lazy_timer, mask, guest_mask)
{
	lazy_run_to_end(vcpu);
}

static void guest_mode(void)
{
	struct lazy_cpu *cpu = start();

	set_two(cpu, 10, 15);
	lazy_apic_write(APIC_LVTT, APIC_LVT_TIMER_ONESHOT | LAZY_VECTOR);
	GUEST_ASSERT_EQ(READ_ONCE(cpu->area->armed), 0);
	GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), 0);
	wrmsr(MSR_IA32_TSC_DEADLINE, 1);
	lazy_apic_write(APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | LAZY_VECTOR);
	GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), 0);
	lazy_apic_write(APIC_TMICT, 1000);
	GUEST_ASSERT_EQ(lazy_apic_read(APIC_TMCCT), 0);
	assert_silent(cpu, 20);
	lazy_example(cpu);
	GUEST_DONE();
}

/* A11, A12: another mode disarms, and there the MSR is dead; back, the count is. */
KVM_ONE_VCPU_TEST(lazy_timer, mode, guest_mode)
{
	lazy_run_to_end(vcpu);
}

static void guest_apic_off(void)
{
	struct lazy_cpu *cpu = start();
	u64 t, base;

	set_two(cpu, 60, 80);
	t = cpu->deadline;
	base = rdmsr(MSR_IA32_APICBASE);
	wrmsr(MSR_IA32_APICBASE, base & ~(MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE));
	GUEST_ASSERT_EQ(READ_ONCE(cpu->area->armed), 0);
	GUEST_ASSERT(lazy_set(cpu, rdtsc() + lazy_ms(200)));
	wrmsr(MSR_IA32_APICBASE, base & ~X2APIC_ENABLE);
	wrmsr(MSR_IA32_APICBASE, base);
	GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), t);
	lazy_spin_until(t + lazy_ms(50));
	lazy_assert_fired(cpu, t);
	GUEST_DONE();
}

/* A13: while the APIC is disabled writes are ignored, so none is skipped. */
KVM_ONE_VCPU_TEST(lazy_timer, apic_off, guest_apic_off)
{
	lazy_run_to_end(vcpu);
}

static void guest_hlt(void)
{
	struct lazy_cpu *cpu = start();
	u64 halts = 0;

	set_two(cpu, 40, 80);
	cli();
	while (!READ_ONCE(cpu->irqs)) {
		safe_halt();
		cli();
		halts++;
	}
	sti_nop();
	lazy_assert_fired(cpu, cpu->deadline);
	GUEST_ASSERT_EQ(halts, 1);
	GUEST_DONE();
}

/* A9, B13, B29: a halted vCPU sleeps through the deadline that is not wanted; no timer fires. */
KVM_ONE_VCPU_TEST(lazy_timer, hlt, guest_hlt)
{
	lazy_run_to_end(vcpu);
	TEST_ASSERT_EQ(vcpu_get_stat(vcpu, halt_wakeup), 1);
	TEST_ASSERT_EQ(vcpu_get_stat(vcpu, lazy_tscdeadline_silent_blocked), 0);
}

static void guest_hostile(void)
{
	struct lazy_cpu *cpu = start();
	u64 end = rdtsc() + lazy_ms(30), x = 1;

	while (rdtsc() < end) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		WRITE_ONCE(cpu->area->armed, x & 1 ? x : rdtsc() + (x >> 44));
		WRITE_ONCE(cpu->area->pending, x & 2 ? x : rdtsc() + (x >> 44));
		if ((x >> 8) % 64 == 0)
			wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + (x >> 44));
	}
	memset(cpu->area, 0, sizeof(*cpu->area));
	wrmsr(MSR_IA32_TSC_DEADLINE, 0);
	lazy_example(cpu);
	GUEST_DONE();
}

/* B11: nonsense in the area costs the guest its own interrupts, and then all is well. */
KVM_ONE_VCPU_TEST(lazy_timer, hostile, guest_hostile)
{
	lazy_run_to_end(vcpu);
}

int main(int argc, char *argv[])
{
	lazy_skip_unless_offered();
	return test_harness_run(argc, argv);
}
