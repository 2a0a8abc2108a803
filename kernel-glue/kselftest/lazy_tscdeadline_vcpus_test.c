// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Two vCPUs with their areas in one page: deadlines of their own, an INIT, and a vCPU that stores
 * in the area of the other one.
 */
#include <pthread.h>

#include "kvm_test_harness.h"
#include "lazy_tscdeadline.h"

FIXTURE(lazy_vcpus) {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpus[LAZY_VCPUS];
};

FIXTURE_SETUP(lazy_vcpus) {
	self->vm = vm_create_with_vcpus(LAZY_VCPUS, NULL, self->vcpus);
	lazy_vm_init(self->vm);
	for (u32 i = 0; i < LAZY_VCPUS; i++) {
		lazy_vcpu_init(self->vcpus[i]);
		vcpu_args_set(self->vcpus[i], 1, i);
	}
}

FIXTURE_TEARDOWN(lazy_vcpus) {
	kvm_vm_free(self->vm);
}

static void guest_own(u64 id)
{
	struct lazy_cpu *cpu = &lazy_cpus[id];
	u64 now;

	lazy_start();
	lazy_enable(cpu);
	now = rdtsc();
	GUEST_ASSERT(lazy_set(cpu, now + lazy_ms(40 + 5 * id)));
	WRITE_ONCE(cpu->ready, 1);
	GUEST_ASSERT(!lazy_set(cpu, now + lazy_ms(60 + 5 * id)));
	GUEST_ASSERT(!lazy_set(cpu, now + lazy_ms(90 - 5 * id)));
	lazy_spin_until(now + lazy_ms(120));
	lazy_assert_fired(cpu, cpu->deadline);
	GUEST_DONE();
}

/* B1, B5: two vCPUs share the page, not their deadlines. */
TEST_F(lazy_vcpus, own)
{
	pthread_t threads[LAZY_VCPUS];

	for (int i = 0; i < LAZY_VCPUS; i++) {
		vcpu_arch_set_entry_point(self->vcpus[i], guest_own);
		threads[i] = lazy_run_in_thread(self->vcpus[i]);
	}
	for (int i = 0; i < LAZY_VCPUS; i++)
		kvm_pthread_join(threads[i], NULL);
}

#define SIBLING_MS 50

static void guest_halted(u64 id)
{
	struct lazy_cpu *cpu = &lazy_cpus[id];

	lazy_start();
	lazy_enable(cpu);
	/* One deadline: while the vCPU is halted the timer stands where it is armed. */
	lazy_set(cpu, rdtsc() + lazy_ms(30));
	WRITE_ONCE(cpu->ready, 1);
	cli();
	while (!READ_ONCE(cpu->irqs)) {
		safe_halt();
		cli();
	}
	GUEST_ASSERT_EQ(READ_ONCE(cpu->irqs), 1);
	GUEST_DONE();
}

static void guest_scribbles(u64 id)
{
	struct lazy_area *other = (void *)lazy_area_gpa(!id);
	u64 end, now;

	/* As a guest is; no interrupt comes. */
	sti();
	end = rdtsc() + lazy_ms(SIBLING_MS);
	while ((now = rdtsc()) < end)
		WRITE_ONCE(other->pending, now + lazy_ms(1) / 10);
	GUEST_DONE();
}

/*
 * B25: a vCPU keeps the deadline of a halted one a little ahead of now.  The timer's own interrupt
 * starts the timer again no more often than every 200 us; what is nearer is left to the thread of
 * the halted vCPU.
 */
TEST_F(lazy_vcpus, sibling)
{
	const u64 period_us = 200;
	struct kvm_vcpu *halted = self->vcpus[0], *other = self->vcpus[1];
	u64 silent, left;
	pthread_t thread;

	vcpu_arch_set_entry_point(halted, guest_halted);
	vcpu_arch_set_entry_point(other, guest_scribbles);
	thread = lazy_run_in_thread(halted);
	while (!vcpu_get_stat(halted, blocking))
		usleep(100);
	lazy_run_to_end(other);
	kvm_pthread_join(thread, NULL);

	silent = vcpu_get_stat(halted, lazy_tscdeadline_silent) +
		 vcpu_get_stat(halted, lazy_tscdeadline_silent_blocked);
	left = vcpu_get_stat(halted, lazy_tscdeadline_left);
	TEST_ASSERT(left, "none of %lu silent expiries is left to the vCPU's thread", silent);
	TEST_ASSERT(silent - left <= SIBLING_MS * 1000 / period_us + 1,
		    "%lu silent expiries in %d ms, %lu of them left to the vCPU's thread", silent,
		    SIBLING_MS, left);
}

int main(int argc, char *argv[])
{
	lazy_skip_unless_offered();
	return test_harness_run(argc, argv);
}
