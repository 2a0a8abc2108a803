// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Other vCPUs, a new start, a nested guest, and guests that mean harm. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vm.h"

/*
 * Two vCPUs share the page, not their deadlines (B1). Each may fire while the other one runs (B5).
 */
static void case_two_vcpus(bool lazy)
{
	struct vm a = start(lazy), b = start_second(&a, lazy);
	const u64 args_a[8] = { 40 * a.ms, 50 * a.ms, 80 * a.ms, 0, 120 * a.ms };
	const u64 args_b[8] = { 45 * a.ms, 55 * a.ms, 70 * a.ms, 0, 120 * a.ms };
	pthread_t thread_a = guest_in_thread(&a, CMD_SET_WAIT, args_a, run_vcpu);
	pthread_t thread_b = guest_in_thread(&b, CMD_SET_WAIT, args_b, run_vcpu);

	pthread_join(thread_a, NULL);
	pthread_join(thread_b, NULL);
	check_fired(&a, a.shared->result[1]);
	check_fired(&b, b.shared->result[1]);
	CHECK(a.shared->result[0] == (lazy ? 1 : 3), "%llu writes",
	      (unsigned long long)a.shared->result[0]);
	CHECK(b.shared->result[0] == (lazy ? 1 : 3), "%llu writes",
	      (unsigned long long)b.shared->result[0]);
	destroy_vcpu(&b);
	destroy(&a);
}

static void *run_until_kicked(void *arg)
{
	struct vm *vm = arg;

	if (ioctl(vm->vcpu, KVM_RUN, 0) == 0 || errno != EINTR)
		die("KVM_RUN has come back by itself");
	return NULL;
}

/* Nothing is armed, enabled or fires any more, and a new start finds all as new (A17). */
static void check_reset(struct vm *vm, bool lazy)
{
	CHECK(vm->area->armed.port_only == 0, "still armed");
	CHECK(get_msr(vm, MSR_IA32_TSC_DEADLINE) == 0, "deadline still set");
	CHECK(!offered || get_msr(vm, LAZYTSC_MSR) == 0, "still enabled");
	memset((void *)vm->shared, 0, CPU_SIZE);
	vm->area->armed.port_only = vm->at_rest = POISON;
	set_registers(vm);
	start_guest(vm, false);
	wait_ms(vm, 100);
	check_silent(vm, "of the time before (A17)");
	vm->area->armed.port_only = vm->at_rest = 0;
	if (lazy)
		enable(vm);
	check_example(vm, lazy);
}

/* An INIT from another vCPU, to one that runs with a deadline in its page (A17). */
static void case_init(bool lazy)
{
	struct kvm_mp_state state, runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct vm a = start(lazy), b = start_second(&a, lazy);
	const u64 args[8] = { 50 * a.ms, 80 * a.ms, 0, 100000 * a.ms };
	pthread_t thread = guest_in_thread(&b, CMD_SET_WAIT, args, run_until_kicked);

	guest_wrmsr(&a, MSR_X2APIC_ICR, 1ULL << 32 | ICR_INIT);
	while (!vcpu_stat(&b, "blocking"))
		usleep(100);
	CHECK(b.area->armed.port_only == 0, "armed after INIT");
	CHECK(!lazy || b.area->pending.port_only, "the host has written pending (B1)");
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	IOCTL(b.vcpu, KVM_GET_MP_STATE, &state);
	CHECK(state.mp_state == KVM_MP_STATE_INIT_RECEIVED, "state %u", state.mp_state);
	IOCTL(b.vcpu, KVM_SET_MP_STATE, &runnable);
	check_reset(&b, lazy);
	destroy_vcpu(&b);
	destroy(&a);
}

/* A VMM resets the vCPU, as it does: it writes every register, in whichever order (A17). */
static void case_reset(bool lazy)
{
	for (u32 lapic_first = 0; lapic_first < 2; lapic_first++) {
		struct vm vm = create(lazy);
		struct kvm_lapic_state lapic;
		struct kvm_sregs sregs;

		IOCTL(vm.vcpu, KVM_GET_SREGS, &sregs);
		IOCTL(vm.vcpu, KVM_GET_LAPIC, &lapic);
		start_guest(&vm, lazy);
		guest(&vm, CMD_SET, 50 * vm.ms, 80 * vm.ms);
		IOCTL(vm.vcpu, KVM_SET_SREGS, &sregs);
		if (lapic_first)
			IOCTL(vm.vcpu, KVM_SET_LAPIC, &lapic);
		if (lazy)
			set_msr(&vm, LAZYTSC_MSR, 0);
		set_msr(&vm, MSR_IA32_TSC_DEADLINE, 0);
		if (!lapic_first)
			IOCTL(vm.vcpu, KVM_SET_LAPIC, &lapic);
		check_reset(&vm, lazy);
		destroy(&vm);
	}
}

/*
 * While a nested guest runs, the page is its host's (our guest's): an expiry is silent all the
 * same, the one that is due leaves the nested guest; its own write, passed through, is a raw one
 * (A18, B7).
 */
static void case_nested(bool lazy)
{
	static const u64 own[] = { 0, 30 };

	for (u32 i = 0; i < 2; i++) {
		struct vm vm = start(lazy);
		u64 t;

		guest(&vm, CMD_NESTED, 20 * vm.ms, 60 * vm.ms, 0, 0, 0, 0, 0, own[i] * vm.ms);
		t = vm.shared->result[1];
		CHECK(vm.shared->result[0] == SVM_EXIT_INTR, "left for %#llx",
		      (unsigned long long)vm.shared->result[0]);
		CHECK(vm.shared->result[2] >= t, "left before the deadline (A6)");
		CHECK(vm.shared->result[2] < t + 10 * vm.ms, "left late (A7)");
		check_fired(&vm, t);
		CHECK(vcpu_stat(&vm, "lazy_tscdeadline_silent") == (lazy && !own[i]),
		      "%llu silent expiries",
		      (unsigned long long)vcpu_stat(&vm, "lazy_tscdeadline_silent"));
		vm.shared->interrupts = 0;
		check_example(&vm, lazy);
		destroy(&vm);
	}
}

/* Nonsense in the page for a while: interrupts are its own affair, then all is well (B11). */
static void case_hostile(bool lazy)
{
	struct vm vm = start(lazy);

	guest(&vm, CMD_HOSTILE, 50 * vm.ms);
	vm.shared->interrupts = 0;
	check_example(&vm, lazy);
	destroy(&vm);
}

/*
 * A vCPU keeps the deadline of a halted one a little ahead of now. Where its expiry is silent, the
 * timer is started again from the timer's own interrupt, for nobody's account, at most as often as
 * KVM lets a periodic timer fire; what is nearer is left to the halted vCPU's thread (B25).
 */
static void case_sibling(bool lazy)
{
	const u64 period_us = 200, run_ms = 50;
	struct vm a = start(lazy), b = start_second(&a, lazy);
	u64 silent, left;
	pthread_t thread;

	/* What is armed fires while the other one is at it. */
	thread = guest_in_thread(&a, CMD_HLT, (const u64[8]){ 20 * a.ms }, run_vcpu);
	while (!vcpu_stat(&a, "blocking"))
		usleep(100);
	guest(&b, CMD_SCRIBBLE, AREA_ADDR, a.ms / 10, run_ms * a.ms);
	pthread_join(thread, NULL);
	CHECK(a.shared->interrupts == 1, "%llu interrupts",
	      (unsigned long long)a.shared->interrupts);
	silent = vcpu_stat(&a, "lazy_tscdeadline_silent") + vcpu_stat(&a, "lazy_tscdeadline_silent_"
									  "blocked");
	left = vcpu_stat(&a, "lazy_tscdeadline_left");
	printf("sibling: %llu silent expiries in %llu ms, %llu left to the vCPU's thread\n",
	       (unsigned long long)silent, (unsigned long long)run_ms, (unsigned long long)left);
	CHECK(left, "none is left to the vCPU's thread");
	CHECK(silent - left <= run_ms * 1000 / period_us + 1, "more than one in %llu us (B25)",
	      (unsigned long long)period_us);
	destroy_vcpu(&b);
	destroy(&a);
}

/*
 * The same where the halted vCPU's timer stands later than what is armed: nobody looks until it
 * fires, so the other one gets no timer of the host's by its stores (B25, B29). It delays the
 * interrupt of its own guest.
 */
static void case_sibling_later(bool lazy)
{
	struct vm a = start(lazy), b = start_second(&a, lazy);
	pthread_t thread;

	thread = guest_in_thread(&a, CMD_HLT, (const u64[8]){ 20 * a.ms, 100 * a.ms }, run_vcpu);
	while (!vcpu_stat(&a, "blocking"))
		usleep(100);
	guest(&b, CMD_SCRIBBLE, AREA_ADDR, a.ms / 10, 50 * a.ms);
	pthread_join(thread, NULL);
	CHECK(a.shared->interrupts == 1, "%llu interrupts",
	      (unsigned long long)a.shared->interrupts);
	CHECK(!vcpu_stat(&a, "lazy_tscdeadline_silent") &&
		      !vcpu_stat(&a, "lazy_tscdeadline_silent_blocked"),
	      "silent expiries (B25, B29)");
	destroy_vcpu(&b);
	destroy(&a);
}

const struct test_case vcpus_cases[] = {
	{ "two_vcpus", case_two_vcpus, ALWAYS },
	{ "init", case_init, ALWAYS },
	{ "reset", case_reset, ALWAYS },
	{ "nested", case_nested, NESTED },
	{ "hostile", case_hostile, OFFERED },
	{ "sibling", case_sibling, OFFERED },
	{ "sibling_later", case_sibling_later, OFFERED },
	{ 0 },
};
