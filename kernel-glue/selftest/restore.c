// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Saved and restored: in any order, with parts left out, by a VMM that does not know the MSR. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <lazytsc/guest.h>

#include "vm.h"

/* What a VMM does: the whole state, in a new VM of the same process. */
static struct vm migrate(struct vm *from, const u32 *msrs, bool lazy)
{
	struct vm to = create(lazy);
	struct kvm_lapic_state lapic;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	tell_repeated(from);
	memcpy(to.ram, from->ram, RAM_USED);
	memcpy(to.page, from->page, AREA_SIZE);
	IOCTL(from->vcpu, KVM_GET_REGS, &regs);
	IOCTL(from->vcpu, KVM_GET_SREGS, &sregs);
	IOCTL(from->vcpu, KVM_GET_LAPIC, &lapic);
	IOCTL(to.vcpu, KVM_SET_REGS, &regs);
	IOCTL(to.vcpu, KVM_SET_SREGS, &sregs);
	IOCTL(to.vcpu, KVM_SET_LAPIC, &lapic);
	for (int i = 0; msrs[i]; i++)
		set_msr(&to, msrs[i], get_msr(from, msrs[i]));
	destroy(from);
	return to;
}

/* Armed in one VM, fired in another, which goes on as the first would have (B17). */
static void check_migrate(const u32 *msrs, bool aware)
{
	struct vm vm = start(true);
	u64 t, writes;

	guest(&vm, CMD_SET, 10 * vm.ms, 200 * vm.ms);
	t = vm.shared->result[1];
	vm = migrate(&vm, msrs, true);
	CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == t, "deadline not restored");
	run(&vm);
	/* Who restored the page finds the deadline published; to move it takes no exit. */
	writes = guest(&vm, CMD_SET, 250 * vm.ms);
	CHECK(writes == (aware ? 0 : 1), "%llu writes", (unsigned long long)writes);
	t = vm.shared->result[1];
	guest(&vm, CMD_HLT, 0);
	check_fired(&vm, t);
	vm.shared->interrupts = 0;
	writes = guest(&vm, CMD_SET, 4 * vm.ms, 6 * vm.ms, 8 * vm.ms);
	CHECK(writes == (aware ? 1 : 3), "%llu writes", (unsigned long long)writes);
	t = vm.shared->result[1];
	wait_ms(&vm, 20);
	check_fired(&vm, t);
	destroy(&vm);
}

static void case_restore_page_first(bool lazy)
{
	(void)lazy;
	check_migrate((const u32[]){ MSR_IA32_TSC, LAZYTSC_MSR, MSR_IA32_TSC_DEADLINE, 0 }, true);
}

static void case_restore_deadline_first(bool lazy)
{
	(void)lazy;
	check_migrate((const u32[]){ MSR_IA32_TSC, MSR_IA32_TSC_DEADLINE, LAZYTSC_MSR, 0 }, true);
}

static void case_restore_unaware(bool lazy)
{
	(void)lazy;
	check_migrate((const u32[]){ MSR_IA32_TSC, MSR_IA32_TSC_DEADLINE, 0 }, false);
}

enum part { PART_CPUID, PART_LAPIC, PART_TSC, PART_DEADLINE, PART_AREA, PART_MEMORY, PARTS };

/* What a VMM has saved of a VM. */
struct image {
	char *ram, *page;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_lapic_state lapic;
	u64 tsc, deadline, word;
};

static struct image save(struct vm *vm)
{
	struct image image = { .ram = map(RAM_USED), .page = map(AREA_SIZE) };

	tell_repeated(vm);
	memcpy(image.ram, vm->ram, RAM_USED);
	memcpy(image.page, vm->page, AREA_SIZE);
	IOCTL(vm->vcpu, KVM_GET_REGS, &image.regs);
	IOCTL(vm->vcpu, KVM_GET_SREGS, &image.sregs);
	IOCTL(vm->vcpu, KVM_GET_LAPIC, &image.lapic);
	image.tsc = get_msr(vm, MSR_IA32_TSC);
	image.deadline = get_msr(vm, MSR_IA32_TSC_DEADLINE);
	image.word = offered ? get_msr(vm, LAZYTSC_MSR) : 0;
	return image;
}

static void restore_part(struct vm *to, struct image *from, enum part part)
{
	switch (part) {
	case PART_CPUID:
		set_cpuid(to, offered);
		IOCTL(to->vcpu, KVM_SET_SREGS, &from->sregs);
		IOCTL(to->vcpu, KVM_SET_REGS, &from->regs);
		break;
	case PART_LAPIC:
		IOCTL(to->vcpu, KVM_SET_LAPIC, &from->lapic);
		break;
	case PART_TSC:
		set_msr(to, MSR_IA32_TSC, from->tsc);
		break;
	case PART_DEADLINE:
		set_msr(to, MSR_IA32_TSC_DEADLINE, from->deadline);
		break;
	case PART_AREA:
		if (offered)
			set_msr(to, LAZYTSC_MSR, from->word);
		break;
	case PART_MEMORY:
		memcpy(to->ram, from->ram, RAM_USED);
		memcpy(to->page, from->page, AREA_SIZE);
		break;
	case PARTS:
		break;
	}
}

/* Does the deadline come, once, after a restore in this order, where @out is left out? */
static bool restored_fires(struct image *image, const enum part *order, enum part out, u64 deadline)
{
	struct vm vm = create_without_vcpu();
	bool fired;
	u64 now;

	add_bare_vcpu(&vm, 0);
	for (u32 i = 0; i < PARTS; i++) {
		if (order[i] != out)
			restore_part(&vm, image, order[i]);
	}
	now = get_msr(&vm, MSR_IA32_TSC);
	run(&vm);
	guest(&vm, CMD_WAIT, vm.ms + (deadline > now ? deadline - now : 0));
	fired = vm.shared->interrupts;
	CHECK(vm.shared->interrupts <= 1, "%llu interrupts",
	      (unsigned long long)vm.shared->interrupts);
	CHECK(!fired || vm.shared->irq_tsc >= deadline, "early (A6)");
	destroy(&vm);
	return fired;
}

#define ORDERS 720 /* of all parts */

static void nth_order(u32 n, enum part *order)
{
	enum part left[PARTS];

	for (u32 i = 0; i < PARTS; i++)
		left[i] = i;
	for (u32 i = 0; i < PARTS; i++) {
		u32 rest = PARTS - i, pick = n % rest;

		n /= rest;
		order[i] = left[pick];
		left[pick] = left[rest - 1];
	}
}

static const struct {
	const char *name;
	enum part out; /* left out; PARTS: nothing */
	enum part first; /* only orders that begin with it; PARTS: all. What is left out is first */
	bool zero; /* the deadline is restored as 0, as it is saved between expiry and delivery */
} restores[] = {
	{ "all", PARTS, PARTS, false },
	{ "without the TSC", PART_TSC, PART_TSC, false },
	{ "without the deadline", PART_DEADLINE, PART_DEADLINE, false },
	{ "with the deadline as 0", PARTS, PART_CPUID, true },
	{ "without LAZYTSC_MSR", PART_AREA, PART_AREA, false },
};

/*
 * Restored in every order of CPUID, LAPIC, TSC, deadline, LAZYTSC_MSR and memory, and with parts
 * left out, the deadline comes all the same: the guest's memory still holds it (B26). Without the
 * feature it is only counted how often KVM drops it. A VMM that does not know LAZYTSC_MSR loses as
 * much as it would without the feature, and no more; a restore without CPUID's deadline bit or
 * without LAPIC leaves a vCPU that has no timer.
 */
static void case_restore_orders(bool lazy)
{
	struct vm vm = start(lazy);
	enum part order[PARTS];
	struct image image;
	u64 deadline, saved;

	guest(&vm, CMD_SET, vm.ms, 2 * vm.ms);
	deadline = vm.shared->result[1];
	image = save(&vm);
	CHECK(image.deadline == deadline, "not the last deadline (B14)");
	destroy(&vm);
	saved = image.deadline;
	for (u32 r = 0; r < sizeof(restores) / sizeof(restores[0]); r++) {
		u32 tried = 0, lost = 0;

		image.deadline = restores[r].zero ? 0 : saved;
		for (u32 n = 0; n < ORDERS; n++) {
			alarm(CASE_SECONDS);
			nth_order(n, order);
			if (restores[r].first != PARTS && order[0] != restores[r].first)
				continue;
			tried++;
			lost += !restored_fires(&image, order, restores[r].out, deadline);
		}
		printf("restored %s: %u of %u lost\n", restores[r].name, lost, tried);
		CHECK(!lazy || !lost || restores[r].out == PART_AREA, "%u lost (B26)", lost);
	}
	munmap(image.ram, RAM_USED);
	munmap(image.page, AREA_SIZE);
}

/*
 * What is over when the vCPU comes to rest is not found again: a deadline that has fired, one that
 * is cancelled, by a write of 0 and by a disarm (A4, A5, B26).
 */
static void case_restore_done(bool lazy)
{
	static const u32 msrs[] = { MSR_IA32_TSC, LAZYTSC_MSR, MSR_IA32_TSC_DEADLINE, 0 };

	for (u32 i = 0; i < 3; i++) {
		struct vm vm = start(lazy);

		if (i == 0) {
			guest(&vm, CMD_SET, 2 * vm.ms, 4 * vm.ms);
			wait_ms(&vm, 8);
			check_fired(&vm, vm.shared->result[1]);
		} else if (i == 1) {
			guest(&vm, CMD_SET_WRMSR, 20 * vm.ms, 30 * vm.ms, 0, MSR_IA32_TSC_DEADLINE,
			      0);
		} else {
			guest(&vm, CMD_SET_DISARM, 20 * vm.ms, 30 * vm.ms);
		}
		vm.shared->interrupts = 0;
		vm = migrate(&vm, msrs, lazy);
		run(&vm);
		wait_ms(&vm, 40);
		check_silent(&vm, "for a deadline that was over (B26)");
		check_example(&vm, lazy);
		destroy(&vm);
	}
}

/*
 * The page is gone when a deadline fires and when the vCPU comes to rest, so the host cannot note
 * that it is over. The MSR says so, and the deadline is not found again where the page is back; nor
 * is it in the same VM (B26).
 */
static void case_restore_stale(bool lazy)
{
	static const u32 msrs[] = { MSR_IA32_TSC, LAZYTSC_MSR, MSR_IA32_TSC_DEADLINE, 0 };

	for (u32 i = 0; i < 2; i++) {
		struct vm vm = start(lazy);

		guest(&vm, CMD_SET, 2 * vm.ms, 4 * vm.ms);
		set_slot(&vm, 1, AREA_ADDR, vm.page, 0);
		wait_ms(&vm, 8);
		check_fired(&vm, vm.shared->result[1]);
		CHECK(guest_rdmsr(&vm, LAZYTSC_MSR) == (AREA_ADDR | LAZYTSC_MSR_ENABLE),
		      "the guest reads otherwise");
		CHECK(get_msr(&vm, LAZYTSC_MSR) ==
			      (AREA_ADDR | LAZYTSC_MSR_ENABLE | LAZYTSC_MSR_STALE),
		      "does not say that the page is stale");
		vm.shared->interrupts = 0;
		if (i == 0) {
			vm = migrate(&vm, msrs, lazy);
			run(&vm);
		} else {
			set_slot(&vm, 1, AREA_ADDR, vm.page, AREA_SIZE);
			set_msr(&vm, MSR_IA32_TSC_DEADLINE, get_msr(&vm, MSR_IA32_TSC_DEADLINE));
		}
		wait_ms(&vm, 10);
		check_silent(&vm, "for a deadline that was over (B26)");
		CHECK(get_msr(&vm, LAZYTSC_MSR) == (AREA_ADDR | LAZYTSC_MSR_ENABLE),
		      "stale still, with the page there");
		check_example(&vm, lazy);
		destroy(&vm);
	}
}

/*
 * Restored by a VMM that does not know the MSR, the guest finds out after some deadlines that the
 * host has promised nothing, and gives its area once more (B27). Switched off by user space with
 * the MSR known, the same; a host that does not offer it any more is left alone.
 */
static void case_enable_again(bool lazy)
{
	for (u32 i = 0; i < 2; i++) {
		struct vm vm = start(lazy);
		u64 writes;

		vm = migrate(&vm, (const u32[]){ MSR_IA32_TSC, MSR_IA32_TSC_DEADLINE, 0 }, !i);
		run(&vm);
		for (u32 n = 0; n < LAZYTSC_GUEST_PATIENCE; n++) {
			vm.shared->interrupts = 0;
			writes = guest(&vm, CMD_SET, 2 * vm.ms);
			CHECK(writes == 1, "%llu writes", (unsigned long long)writes);
			wait_ms(&vm, 4);
			check_fired(&vm, vm.shared->result[1]);
		}
		vm.shared->interrupts = 0;
		check_example(&vm, !i);
		CHECK(i || get_msr(&vm, LAZYTSC_MSR) == (AREA_ADDR | 1), "not enabled again");
		destroy(&vm);
	}
}

const struct test_case restore_cases[] = {
	{ "restore_page_first", case_restore_page_first, OFFERED },
	{ "restore_deadline_first", case_restore_deadline_first, OFFERED },
	{ "restore_unaware", case_restore_unaware, OFFERED },
	{ "restore_orders", case_restore_orders, ALWAYS },
	{ "restore_done", case_restore_done, OFFERED },
	{ "restore_stale", case_restore_stale, OFFERED },
	{ "enable_again", case_enable_again, OFFERED },
	{ 0 },
};
