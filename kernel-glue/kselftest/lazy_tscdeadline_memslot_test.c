// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The page with the area goes away under the running guest, moves, loses its mapping, and is logged
 * as dirty.  What is armed is taken back while the page can be reached, and no deadline is lost.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "kvm_test_harness.h"
#include "lazy_tscdeadline.h"

FIXTURE(lazy_memslot) {
	struct kvm_vcpu *vcpu;
};

FIXTURE_SETUP(lazy_memslot) {
	lazy_vm_create(&self->vcpu);
}

FIXTURE_TEARDOWN(lazy_memslot) {
	kvm_vm_free(self->vcpu->vm);
}

/* The test's page as the memory of the slot, at @gpa; with @size 0 the slot is deleted. */
static void set_slot(struct kvm_vcpu *vcpu, gpa_t gpa, u64 size, void *memory)
{
	vm_set_user_memory_region(vcpu->vm, LAZY_SLOT, 0, gpa, size, memory);
}

/* The guest has a deadline in its page, tells so, and waits until another, which it skipped. */
static void wait_in_guest(struct lazy_cpu *cpu)
{
	u64 now = rdtsc();

	WRITE_ONCE(cpu->irqs, 0);
	lazy_set(cpu, now + lazy_ms(100));
	lazy_set(cpu, now + lazy_ms(200));
	WRITE_ONCE(cpu->ready, 1);
	lazy_spin_until(now + lazy_ms(250));
	lazy_assert_fired(cpu, cpu->deadline);
}

static void guest_deleted(void)
{
	struct lazy_cpu *cpu = &lazy_cpus[0];

	lazy_start();
	lazy_enable(cpu);
	wait_in_guest(cpu);
	/* Without its page the timer is that of the architecture. */
	WRITE_ONCE(cpu->irqs, 0);
	wrmsr(MSR_IA32_TSC_DEADLINE, 1);
	lazy_spin_until(rdtsc() + lazy_ms(2));
	lazy_assert_fired(cpu, 1);
	GUEST_SYNC(0);
	lazy_example(cpu);
	GUEST_DONE();
}

static void *run_to_sync(void *vcpu)
{
	TEST_ASSERT_EQ(lazy_run(vcpu), UCALL_SYNC);
	return NULL;
}

/* B18: the memslot is deleted under the running guest, and comes back. */
KVM_ONE_VCPU_TEST(lazy_memslot, deleted, guest_deleted)
{
	struct lazy_area *area = lazy_area_hva(vcpu);
	struct lazy_cpu *cpu = lazy_cpu_hva(vcpu);
	pthread_t thread;

	kvm_pthread_create(&thread, NULL, run_to_sync, vcpu);
	while (!READ_ONCE(cpu->ready))
		usleep(100);
	TEST_ASSERT(READ_ONCE(area->armed), "not armed");
	set_slot(vcpu, LAZY_GPA, 0, area);
	TEST_ASSERT(!READ_ONCE(area->armed), "armed in memory that is not the guest's");
	kvm_pthread_join(thread, NULL);
	set_slot(vcpu, LAZY_GPA, LAZY_SIZE, area);
	lazy_run_to_end(vcpu);
}

static void guest_moved(void)
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
	GUEST_SYNC(1);
	lazy_example(cpu);
	GUEST_DONE();
}

/* B18: memory that is not the guest's page any more is never written. */
KVM_ONE_VCPU_TEST(lazy_memslot, moved, guest_moved)
{
	struct lazy_area *area = lazy_area_hva(vcpu);

	TEST_ASSERT_EQ(lazy_run(vcpu), UCALL_SYNC);
	area->armed = LAZY_POISON;
	lazy_set_at_rest(vcpu, LAZY_POISON);
	set_slot(vcpu, LAZY_GPA, 0, area);
	set_slot(vcpu, LAZY_GPA + LAZY_SIZE, LAZY_SIZE, area);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_IA32_TSC_DEADLINE), lazy_cpu_hva(vcpu)->deadline);
	TEST_ASSERT_EQ(lazy_run(vcpu), UCALL_SYNC);

	area->armed = 0;
	lazy_set_at_rest(vcpu, 0);
	set_slot(vcpu, LAZY_GPA + LAZY_SIZE, 0, area);
	set_slot(vcpu, LAZY_GPA, LAZY_SIZE, area);
	lazy_run_to_end(vcpu);
}

static void guest_wait(void)
{
	struct lazy_cpu *cpu = &lazy_cpus[0];

	lazy_start();
	lazy_enable(cpu);
	wait_in_guest(cpu);
	lazy_example(cpu);
	GUEST_DONE();
}

/* B5: another memslot changes, and the expiry is as silent as without that. */
KVM_ONE_VCPU_TEST(lazy_memslot, other, guest_wait)
{
	pthread_t thread = lazy_run_in_thread(vcpu);
	u64 silent = vcpu_get_stat(vcpu, lazy_tscdeadline_silent);

	TEST_ASSERT_EQ(silent, 0);
	vm_userspace_mem_region_add(vcpu->vm, VM_MEM_SRC_ANONYMOUS, 2 * LAZY_GPA, LAZY_SLOT + 1, 1,
				    0);
	kvm_pthread_join(thread, NULL);
	silent = vcpu_get_stat(vcpu, lazy_tscdeadline_silent);
	TEST_ASSERT(silent >= 2 && silent <= 4, "%lu silent expiries, 4 skips", silent);
}

/* B18: the page loses its mapping under the running guest, and gets it back. */
KVM_ONE_VCPU_TEST(lazy_memslot, invalidated, guest_wait)
{
	struct lazy_area *area = lazy_area_hva(vcpu);
	pthread_t thread = lazy_run_in_thread(vcpu);

	TEST_ASSERT(READ_ONCE(area->armed), "not armed");
	TEST_ASSERT(!mprotect(area, LAZY_SIZE, PROT_READ), "mprotect: errno %d", errno);
	TEST_ASSERT(!mprotect(area, LAZY_SIZE, PROT_READ | PROT_WRITE), "mprotect: errno %d",
		    errno);
	TEST_ASSERT(!READ_ONCE(area->armed), "armed in a page that was out of reach");
	kvm_pthread_join(thread, NULL);
}

static void guest_dirty(void)
{
	struct lazy_cpu *cpu = &lazy_cpus[0];
	u64 now;

	lazy_start();
	lazy_enable(cpu);
	now = rdtsc();
	lazy_set(cpu, now + lazy_ms(100));
	lazy_set(cpu, now + lazy_ms(200));
	GUEST_SYNC(0);
	GUEST_DONE();
}

/* B17: what the host writes in the page is in the log of dirty pages, so that it migrates. */
KVM_ONE_VCPU_TEST(lazy_memslot, dirty, guest_dirty)
{
	u64 bitmap = 0;

	TEST_ASSERT_EQ(lazy_run(vcpu), UCALL_SYNC);
	vm_mem_region_set_flags(vcpu->vm, LAZY_SLOT, KVM_MEM_LOG_DIRTY_PAGES);
	kvm_vm_get_dirty_log(vcpu->vm, LAZY_SLOT, &bitmap);
	/* The host publishes and takes back; the guest does not touch the page. */
	lazy_run_to_end(vcpu);
	kvm_vm_get_dirty_log(vcpu->vm, LAZY_SLOT, &bitmap);
	TEST_ASSERT(bitmap & 1, "not logged");
}

int main(int argc, char *argv[])
{
	lazy_skip_unless_offered();
	return test_harness_run(argc, argv);
}
