// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The page: it goes away, moves, loses its mapping; it is logged as dirty. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm.h"

/* What the host writes in the page is in the log of dirty pages, so that it migrates (B17). */
static void case_dirty(bool lazy)
{
	struct vm vm = start(lazy);
	u64 bitmap = 0;
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = &bitmap };

	guest(&vm, CMD_SET, 100 * vm.ms, 200 * vm.ms);
	set_slot_flags(&vm, 1, AREA_ADDR, vm.page, AREA_SIZE, KVM_MEM_LOG_DIRTY_PAGES);
	IOCTL(vm.fd, KVM_GET_DIRTY_LOG, &log);
	/* The host publishes and withdraws; the guest does not touch the page. */
	wait_ms(&vm, 1);
	IOCTL(vm.fd, KVM_GET_DIRTY_LOG, &log);
	CHECK(bitmap & 1, "not logged");
	destroy(&vm);
}

/* The page goes away under the running guest while a deadline is in it, and comes back (B18). */
static void case_memslot(bool lazy)
{
	struct vm vm = start(lazy);
	const u64 args[8] = { 100 * vm.ms, 200 * vm.ms, 0, 300 * vm.ms };
	pthread_t thread;

	thread = guest_in_thread(&vm, CMD_SET_WAIT, args, run_vcpu);
	CHECK(vm.area->armed.port_only, "not armed");
	set_slot(&vm, 1, AREA_ADDR, vm.page, 0);
	CHECK(!vm.area->armed.port_only, "armed in memory that is no guest's (B18)");
	pthread_join(thread, NULL);
	check_fired(&vm, vm.shared->result[1]);

	vm.shared->interrupts = 0;
	guest_wrmsr(&vm, MSR_IA32_TSC_DEADLINE, 1);
	wait_ms(&vm, 2);
	check_fired(&vm, 1);

	vm.shared->interrupts = 0;
	set_slot(&vm, 1, AREA_ADDR, vm.page, AREA_SIZE);
	check_example(&vm, lazy);
	destroy(&vm);
}

/*
 * The page is moved to another address, then put back as other memory, with a deadline set: it
 * comes, and memory that is not the guest's page any more is never written (B18).
 */
static void case_memslot_moved(bool lazy)
{
	struct vm vm = start(lazy);
	struct lazytsc_area *former = vm.page;

	for (u32 i = 0; i < 2; i++) {
		vm.shared->interrupts = 0;
		guest(&vm, CMD_SET, 4 * vm.ms, 10 * vm.ms);
		vm.area->armed.port_only = vm.at_rest = POISON;
		if (i == 0) {
			set_slot(&vm, 1, AREA_ADDR + AREA_SIZE, vm.page, AREA_SIZE);
		} else {
			set_slot(&vm, 1, AREA_ADDR, vm.page, 0);
			vm.page = map(AREA_SIZE);
			vm.area = vm.page;
			vm.at_rest = 0;
			set_slot(&vm, 1, AREA_ADDR, vm.page, AREA_SIZE);
		}
		CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == vm.shared->result[1], "lost");
		wait_ms(&vm, 20);
		check_fired(&vm, vm.shared->result[1]);
		if (i == 0) {
			vm.at_rest = 0;
			set_slot(&vm, 1, AREA_ADDR, vm.page, AREA_SIZE);
		}
		vm.shared->interrupts = 0;
		check_example(&vm, lazy);
	}
	CHECK(former->armed.port_only == POISON, "written after it was taken away");
	munmap(former, AREA_SIZE);
	destroy(&vm);
}

/*
 * Some other memslot has changed when the timer fires, so that the page would have to be looked up
 * again: it is still the guest's, and the expiry is silent (B5). A halted guest stays halted, and
 * no timer fires for it (B13, B29).
 */
static void case_memslot_other(bool lazy)
{
	static const enum command commands[] = { CMD_SET_WAIT, CMD_HLT };

	for (u32 i = 0; i < 2; i++) {
		struct vm vm = start(lazy);
		const u64 args[2][8] = { { 100 * vm.ms, 200 * vm.ms, 0, 300 * vm.ms } };
		void *other = map(AREA_SIZE);
		pthread_t thread;
		u64 t;

		if (commands[i] == CMD_HLT)
			guest(&vm, CMD_SET, 100 * vm.ms, 200 * vm.ms);
		t = vm.shared->result[1];
		thread = guest_in_thread(&vm, commands[i], args[i], run_vcpu);
		while (commands[i] == CMD_HLT && !vcpu_stat(&vm, "blocking"))
			usleep(100);
		set_slot(&vm, 2, NO_ADDR, other, AREA_SIZE);
		pthread_join(thread, NULL);
		if (commands[i] == CMD_HLT)
			CHECK(vm.shared->result[0] == 1, "HLT left %llu times (B13)",
			      (unsigned long long)vm.shared->result[0]);
		else
			t = vm.shared->result[1];
		check_fired(&vm, t);
		CHECK(vcpu_stat(&vm, "lazy_tscdeadline_silent") + vcpu_stat(&vm, "lazy_tscdeadline_"
										 "silent_"
										 "blocked") ==
			      (lazy && commands[i] != CMD_HLT),
		      "not one silent expiry, or one in HLT (B29)");
		destroy(&vm);
		munmap(other, AREA_SIZE);
	}
}

/*
 * The page loses its mapping under the running guest, with a deadline in it, and gets it back: what
 * was armed there is withdrawn at once, before the page is out of reach (B18), whatever happens to
 * the memslot afterwards. Nothing is early (A6), lost (A7), or skipped on a promise that nobody
 * keeps.
 */
static void case_invalidated(bool lazy)
{
	static const char *const names[] = { "no change", "memslot", "user space" };

	for (u32 i = 0; i < 3; i++) {
		struct vm vm = start(lazy);
		const u64 args[8] = { 100 * vm.ms, 200 * vm.ms, 0, 300 * vm.ms };
		pthread_t thread = guest_in_thread(&vm, CMD_SET_WAIT, args, run_vcpu);

		CHECK(!lazy || vm.area->armed.port_only, "not armed");
		if (mprotect(vm.page, AREA_SIZE, PROT_READ) ||
		    mprotect(vm.page, AREA_SIZE, PROT_READ | PROT_WRITE))
			die("mprotect: %s", strerror(errno));
		CHECK(!vm.area->armed.port_only, "%s: armed in a page that is out of reach (B18)",
		      names[i]);
		if (i == 1) {
			set_slot(&vm, 1, AREA_ADDR, vm.page, 0);
			set_slot(&vm, 1, AREA_ADDR, vm.page, AREA_SIZE);
		}
		/* At rest armed is 0 (B17): run() looks. */
		if (i == 2)
			pthread_kill(thread, SIGUSR1);
		pthread_join(thread, NULL);
		check_fired(&vm, vm.shared->result[1]);
		vm.shared->interrupts = 0;
		check_example(&vm, lazy);
		destroy(&vm);
	}
}

const struct test_case page_cases[] = {
	{ "dirty", case_dirty, OFFERED },
	{ "memslot", case_memslot, OFFERED },
	{ "memslot_moved", case_memslot_moved, OFFERED },
	{ "memslot_other", case_memslot_other, ALWAYS },
	{ "invalidated", case_invalidated, ALWAYS },
	{ 0 },
};
