// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The timer itself: what a guest sets, moves, reads, and is given. */
#include <unistd.h>

#include "vm.h"

/* The worked example: a skip for each later deadline, nothing early, nothing lost (A1, A3, B5). */
static void case_example(bool lazy)
{
	struct vm vm = start(lazy);

	check_example(&vm, lazy);
	destroy(&vm);
}

/*
 * RDMSR while an earlier deadline is armed, and KVM_GET_MSRS after that one has expired silently,
 * read the deadline that the guest wants (A8, B14).
 */
static void case_effective(bool lazy)
{
	struct vm vm = start(lazy);
	u64 armed = guest(&vm, CMD_SET_WRMSR, 20 * vm.ms, 50 * vm.ms, 0, MSR_X2APIC_TPR, 0), t;

	t = vm.shared->result[1];
	CHECK(lazy ? armed && armed < t : !armed, "armed is %#llx", (unsigned long long)armed);
	CHECK(vm.shared->result[2] == t, "RDMSR: not the last deadline");
	CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == t, "KVM_GET_MSRS: not the last deadline");
	wait_ms(&vm, 30);
	check_silent(&vm, "at the first deadline (A6)");
	CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == t,
	      "after the silent expiry: not the last one");
	CHECK(guest_rdmsr(&vm, MSR_IA32_TSC_DEADLINE) == t, "RDMSR: not the last deadline");
	wait_ms(&vm, 30);
	check_fired(&vm, t);
	CHECK(guest_rdmsr(&vm, MSR_IA32_TSC_DEADLINE) == 0, "RDMSR: still set (A3)");
	destroy(&vm);
}

/* Past deadlines fire at once, once each (A2), and leave nothing armed to skip on (B9). */
static void case_past(bool lazy)
{
	struct vm vm = start(lazy);

	for (u64 v = 1; v <= 2; v++) {
		vm.shared->interrupts = 0;
		guest_wrmsr(&vm, MSR_IA32_TSC_DEADLINE, v);
		wait_ms(&vm, 2);
		check_fired(&vm, v);
	}
	for (u32 i = 0; i < 3; i++) {
		vm.shared->interrupts = 0;
		CHECK(guest(&vm, CMD_SET, -vm.ms) == 1, "skipped (B9)");
		wait_ms(&vm, 2);
		check_fired(&vm, vm.shared->result[1]);
	}
	destroy(&vm);
}

/* 0 disarms (A4). */
static void case_zero(bool lazy)
{
	struct vm vm = start(lazy);

	guest(&vm, CMD_SET, 4 * vm.ms);
	guest_wrmsr(&vm, MSR_IA32_TSC_DEADLINE, 0);
	CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == 0, "still set");
	wait_ms(&vm, 10);
	check_silent(&vm, "after 0 was written (A4)");
	destroy(&vm);
}

/* The guest's disarm takes no exit while something is armed; the deadline reads 0 (A4, B6, B14). */
static void case_disarm(bool lazy)
{
	struct vm vm = start(lazy);
	u64 writes = guest(&vm, CMD_SET_DISARM, 20 * vm.ms, 30 * vm.ms);

	CHECK(writes == (lazy ? 1 : 3), "%llu writes", (unsigned long long)writes);
	CHECK(vm.shared->result[2] == 0, "RDMSR: still set (B14)");
	CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == 0, "KVM_GET_MSRS: still set (B14)");
	wait_ms(&vm, 40);
	check_silent(&vm, "after the disarm (A4)");
	CHECK(vcpu_stat(&vm, "lazy_tscdeadline_silent") <= 1,
	      "more silent expiries than skips (B12)");
	check_example(&vm, lazy);
	destroy(&vm);
}

/* Every deadline earlier than the one before it: each needs its exit, the last one counts (A5). */
static void case_earlier(bool lazy)
{
	struct vm vm = start(lazy);
	u64 writes = guest(&vm, CMD_SET, 50 * vm.ms, 40 * vm.ms, 30 * vm.ms, 20 * vm.ms);

	CHECK(writes == 4, "%llu writes", (unsigned long long)writes);
	wait_ms(&vm, 60);
	check_fired(&vm, vm.shared->result[1]);
	CHECK(vm.shared->irq_tsc < vm.shared->result[2], "as late as the first one (A5)");
	destroy(&vm);
}

/* What has been raised is not taken back by a write that comes after it (A16). */
static void case_raised(bool lazy)
{
	struct vm vm = start(lazy);

	guest(&vm, CMD_SET_LATE, 2 * vm.ms, 3 * vm.ms);
	wait_ms(&vm, 3);
	check_fired(&vm, vm.shared->result[1]);
	destroy(&vm);
}

/* pending is later, and stale: what is written to the MSR counts. */
static void case_raw(bool lazy)
{
	struct vm vm = start(lazy);
	u64 t, far;

	guest(&vm, CMD_SET, 4 * vm.ms, 500 * vm.ms);
	far = vm.shared->result[1];
	t = far - 480 * vm.ms;
	guest_wrmsr(&vm, MSR_IA32_TSC_DEADLINE, t);
	CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == t, "not what was written (B7)");
	wait_ms(&vm, 40);
	check_fired(&vm, t);
	destroy(&vm);
}

/* Only with the feature: KVM's conversion of a far deadline overflows (A8, KVM deviates). */
static void case_huge(bool lazy)
{
	static const u64 huge[] = { ~0ULL, ~0ULL - 1, 1ULL << 63, 1ULL << 56 };
	struct vm vm = start(lazy);
	u64 silent, far;

	for (u32 i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
		guest(&vm, CMD_PENDING, i % 2 ? huge[i] : 0ULL);
		guest_wrmsr(&vm, MSR_IA32_TSC_DEADLINE, huge[i]);
		CHECK(guest_rdmsr(&vm, MSR_IA32_TSC_DEADLINE) == huge[i], "reads otherwise");
		wait_ms(&vm, 3);
		check_silent(&vm, "for a far deadline (A8)");
	}

	/* Just beyond what fits a conversion to ns: a timer that overflows fires soon. */
	far = ~0ULL / 1000000 + 5 * vm.ms;
	silent = vcpu_stat(&vm, "lazy_tscdeadline_silent");
	guest(&vm, CMD_SET, far);
	wait_ms(&vm, 10);
	check_silent(&vm, "for a far deadline (A8)");
	guest(&vm, CMD_SET, 2 * vm.ms, far);
	wait_ms(&vm, 10);
	check_silent(&vm, "for a far deadline (A8)");
	silent = vcpu_stat(&vm, "lazy_tscdeadline_silent") - silent;
	CHECK(silent == 1, "%llu silent expiries", (unsigned long long)silent);
	destroy(&vm);
}

/*
 * Masked, by the LVT entry or by switching the APIC off in software: nothing stays armed and no
 * deadline is lost (B8). That it comes on unmask is KVM's way (A10, KVM deviates).
 */
static void case_mask(bool lazy)
{
	const u64 unmasked = LVTT_DEADLINE | TIMER_VECTOR;
	const struct {
		u64 msr, off, on;
	} ways[] = {
		{ MSR_X2APIC_LVTT, LVTT_MASKED | unmasked, unmasked },
		{ MSR_X2APIC_SVR, 0xff, 0x1ff },
	};

	for (u32 i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct vm vm = start(lazy);
		u64 t;

		CHECK(!guest(&vm, CMD_SET_WRMSR, 4 * vm.ms, 20 * vm.ms, 0, ways[i].msr,
			     ways[i].off),
		      "armed while masked (B8)");
		t = vm.shared->result[1];
		CHECK(vm.shared->result[2] == t, "deadline lost by the mask (B8)");
		CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == t, "deadline lost by the mask (B8)");
		wait_ms(&vm, 8);
		check_silent(&vm, "while masked");
		guest_wrmsr(&vm, ways[i].msr, ways[i].on);
		guest_wrmsr(&vm, MSR_X2APIC_LVTT, unmasked);
		wait_ms(&vm, 30);
		check_fired(&vm, t);
		destroy(&vm);
	}
}

/* A switch to another mode disarms, and there the MSR is dead (A11); back, TMICT is dead (A12). */
static void case_mode(bool lazy)
{
	struct vm vm = start(lazy);

	CHECK(!guest(&vm, CMD_SET_WRMSR, 4 * vm.ms, 6 * vm.ms, 0, MSR_X2APIC_LVTT, TIMER_VECTOR),
	      "armed in another mode (A11)");
	CHECK(vm.shared->result[2] == 0, "set in another mode (A11)");
	CHECK(guest_rdmsr(&vm, MSR_IA32_TSC_DEADLINE) == 0, "set in another mode (A11)");
	guest_wrmsr(&vm, MSR_IA32_TSC_DEADLINE, 1);
	guest_wrmsr(&vm, MSR_X2APIC_LVTT, LVTT_DEADLINE | TIMER_VECTOR);
	CHECK(guest_rdmsr(&vm, MSR_IA32_TSC_DEADLINE) == 0, "set by the mode switch (A11)");
	guest_wrmsr(&vm, MSR_X2APIC_TMICT, 1000);
	CHECK(guest_rdmsr(&vm, MSR_X2APIC_TMCCT) == 0, "counts in deadline mode (A12)");
	wait_ms(&vm, 12);
	check_silent(&vm, "after the mode switch (A11)");
	check_example(&vm, lazy);
	destroy(&vm);
}

/* With the APIC disabled MSR writes are ignored, so none may be skipped instead (A13). */
static void case_apic_off(bool lazy)
{
	struct vm vm = start(lazy);
	u64 t, writes;

	CHECK(!guest(&vm, CMD_SET_WRMSR, 40 * vm.ms, 50 * vm.ms, 0, MSR_APIC_BASE, APIC_DISABLED),
	      "armed while the APIC is disabled");
	t = vm.shared->result[1];
	CHECK(vm.shared->result[2] == 0, "can be read");
	writes = guest(&vm, CMD_SET, 60 * vm.ms);
	CHECK(writes == 1, "skipped");
	guest_wrmsr(&vm, MSR_APIC_BASE, APIC_XAPIC);
	guest_wrmsr(&vm, MSR_APIC_BASE, APIC_XAPIC | 1 << 10);
	CHECK(guest_rdmsr(&vm, MSR_IA32_TSC_DEADLINE) == t, "not the one before");
	wait_ms(&vm, 80);
	check_fired(&vm, t);
	CHECK(vm.shared->irq_tsc < t + 10 * vm.ms, "at the one that was to be ignored");
	destroy(&vm);
}

/*
 * A halted vCPU sleeps through the deadline that is not wanted any more, and no host timer fires
 * for it (A9, B13, B29).
 */
static void case_hlt(bool lazy)
{
	struct vm vm = start(lazy);
	u64 t, woken;

	guest(&vm, CMD_SET, 40 * vm.ms, 60 * vm.ms);
	t = vm.shared->result[1];
	woken = guest(&vm, CMD_HLT, 0);
	check_fired(&vm, t);
	CHECK(woken == 1, "HLT left %llu times (B13)", (unsigned long long)woken);
	CHECK(vcpu_stat(&vm, "halt_wakeup") == 1, "woken %llu times (B13)",
	      (unsigned long long)vcpu_stat(&vm, "halt_wakeup"));
	CHECK(vcpu_stat(&vm, "lazy_tscdeadline_silent_blocked") == 0,
	      "%llu silent expiries in HLT (B29)",
	      (unsigned long long)vcpu_stat(&vm, "lazy_tscdeadline_silent_blocked"));
	destroy(&vm);
}

/* Halted until another interrupt comes, @wake ms after it has blocked; then as CMD_HLT_WOKEN. */
static void wake_after(struct vm *vm, const u64 *args, u64 wake)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = WAKE_VECTOR };
	pthread_t thread = guest_in_thread(vm, CMD_HLT_WOKEN, args, run_vcpu);

	while (!vcpu_stat(vm, "blocking"))
		usleep(100);
	usleep(wake * 1000);
	IOCTL(vm->fd, KVM_SIGNAL_MSI, &msi);
	pthread_join(thread, NULL);
}

/*
 * Free looks (B29). A halted vCPU is woken by another interrupt after the promise has passed: KVM
 * looks before the guest is entered, and the guest skips on the promise that it makes then. Woken
 * before that, the timer stands where it was armed, and fires there.
 */
static void case_look(bool lazy)
{
	struct vm vm = start(lazy);
	u64 t;

	wake_after(&vm, (const u64[8]){ 20 * vm.ms, 100 * vm.ms, 0, 90 * vm.ms }, 40);
	t = vm.shared->result[1];
	CHECK(vm.shared->result[0] == 0, "the deadline set after the look was written");
	CHECK(vcpu_stat(&vm, "lazy_tscdeadline_look") == 1, "%llu looks",
	      (unsigned long long)vcpu_stat(&vm, "lazy_tscdeadline_look"));
	check_silent(&vm, "while it was halted");
	wait_ms(&vm, 120);
	check_fired(&vm, t);

	vm.shared->interrupts = 0;
	wake_after(&vm, (const u64[8]){ 60 * vm.ms, 100 * vm.ms }, 20);
	t = vm.shared->result[2];
	wait_ms(&vm, 110);
	check_fired(&vm, t);
	CHECK(vcpu_stat(&vm, "lazy_tscdeadline_look") == 1, "%llu looks",
	      (unsigned long long)vcpu_stat(&vm, "lazy_tscdeadline_look"));
	CHECK(vcpu_stat(&vm, "lazy_tscdeadline_silent") == 2, "%llu silent expiries, expected 2",
	      (unsigned long long)vcpu_stat(&vm, "lazy_tscdeadline_silent"));
	destroy(&vm);
}

const struct test_case timer_cases[] = {
	{ "example", case_example, ALWAYS },
	{ "effective", case_effective, ALWAYS },
	{ "past", case_past, ALWAYS },
	{ "zero", case_zero, ALWAYS },
	{ "disarm", case_disarm, ALWAYS },
	{ "earlier", case_earlier, ALWAYS },
	{ "raised", case_raised, ALWAYS },
	{ "raw", case_raw, ALWAYS },
	{ "huge", case_huge, OFFERED },
	{ "mask", case_mask, ALWAYS },
	{ "mode", case_mode, ALWAYS },
	{ "apic_off", case_apic_off, ALWAYS },
	{ "hlt", case_hlt, ALWAYS },
	{ "look", case_look, OFFERED },
	{ 0 },
};
