// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The guest's TSC: an offset, a jump, another rate. */
#include "vm.h"

/* The same for a guest whose TSC is far from the host's (A15). */
static void case_tsc_offset(bool lazy)
{
	struct vm vm = start(lazy);

	set_msr(&vm, MSR_IA32_TSC, 1ULL << 40);
	check_example(&vm, lazy);
	destroy(&vm);
}

static void tsc_offset(struct vm *vm, unsigned long request, u64 *offset)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (unsigned long)offset,
	};

	IOCTL(vm->vcpu, request, &attr);
}

enum jump { JUMP_WRMSR, JUMP_WRMSR_ADJUST, JUMP_SET_MSRS, JUMP_OFFSET, JUMPS };

static const char *const jump_names[JUMPS] = {
	"WRMSR of IA32_TSC",
	"WRMSR of IA32_TSC_ADJUST",
	"KVM_SET_MSRS of IA32_TSC",
	"KVM_VCPU_TSC_OFFSET",
};

/*
 * Sets two deadlines, the second one later, and the TSC by @delta. Then another deadline, if @more.
 */
static void set_and_jump(struct vm *vm, enum jump how, const u64 *delays, u64 delta, u64 more)
{
	static const u32 msrs[] = { MSR_IA32_TSC, MSR_IA32_TSC_ADJUST };
	u64 before, offset;

	if (how == JUMP_WRMSR || how == JUMP_WRMSR_ADJUST) {
		guest(vm, CMD_SET_JUMP, delays[0], delays[1], 0, msrs[how], delta, more);
		return;
	}
	guest(vm, CMD_SET, delays[0], delays[1]);
	before = vm->shared->result[1];
	if (how == JUMP_SET_MSRS) {
		set_msr(vm, MSR_IA32_TSC, get_msr(vm, MSR_IA32_TSC) + delta);
	} else {
		tsc_offset(vm, KVM_GET_DEVICE_ATTR, &offset);
		offset += delta;
		tsc_offset(vm, KVM_SET_DEVICE_ATTR, &offset);
	}
	if (more)
		guest(vm, CMD_SET, more);
	else
		vm->shared->result[1] = before;
}

/*
 * The guest's TSC goes forward beyond what is armed, whoever sets it: a deadline that is past now
 * fires at once (A2), nothing stays armed in the past (B9), so that the guest's next one fires as
 * well (A7, B19). KVM's own timer goes on by the former time until the guest writes again: without
 * the feature only the next deadline is looked at.
 */
static void case_tsc_forward(bool lazy)
{
	for (enum jump how = 0; how < JUMPS; how++) {
		struct vm vm = start(lazy);
		const u64 delays[2] = { 500 * vm.ms, 600 * vm.ms };
		u64 t;

		set_and_jump(&vm, how, delays, 2000 * vm.ms, 5 * vm.ms);
		t = vm.shared->result[1];
		wait_ms(&vm, 40);
		CHECK(vm.shared->irq_tsc >= t, "%s: the next deadline is lost (A7)",
		      jump_names[how]);
		CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == 0, "still set (A3)");
		vm.shared->interrupts = 0;
		check_example(&vm, lazy);
		if (lazy) {
			vm.shared->interrupts = 0;
			set_and_jump(&vm, how, delays, 2000 * vm.ms, 0);
			wait_ms(&vm, 10);
			CHECK(vm.shared->interrupts == 1, "%s: %llu interrupts (A2)",
			      jump_names[how], (unsigned long long)vm.shared->interrupts);
			CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == 0, "still set (A3)");
		}
		destroy(&vm);
	}
}

/*
 * The TSC goes back: what is armed is not early (A6), a nearer deadline takes its exit and fires
 * (A7, B19).
 */
static void case_tsc_back(bool lazy)
{
	for (enum jump how = 0; how < JUMPS; how++) {
		struct vm vm = start(lazy);
		const u64 delays[2] = { 5 * vm.ms, 10 * vm.ms };
		u64 t;

		set_msr(&vm, MSR_IA32_TSC, 1ULL << 40);
		set_and_jump(&vm, how, delays, -(2000 * vm.ms), 0);
		t = vm.shared->result[1];
		wait_ms(&vm, 30);
		if (lazy) {
			check_silent(&vm, jump_names[how]);
			CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == t, "%s: lost",
			      jump_names[how]);
			CHECK(vcpu_stat(&vm, "lazy_tscdeadline_silent") <= 1,
			      "%llu silent expiries, one skip (B12)",
			      (unsigned long long)vcpu_stat(&vm, "lazy_tscdeadline_silent"));
		}
		vm.shared->interrupts = 0;
		check_example(&vm, lazy);
		destroy(&vm);
	}
}

/*
 * A rate that the hardware does not have, and without TSC scaling KVM cannot give: its conversions
 * go by a rate that the TSC does not keep. With the feature nothing is early or lost all the same,
 * with the guest running and halted (A6, A7, A15, B19); KVM's own timers are early.
 */
static void case_tsc_khz(bool lazy)
{
	struct vm vm = start(lazy);
	u64 t;

	guest(&vm, CMD_SET, 50 * vm.ms, 60 * vm.ms);
	t = vm.shared->result[1];
	vm.ms *= 2;
	IOCTL(vm.vcpu, KVM_SET_TSC_KHZ, vm.ms);
	wait_ms(&vm, 100);
	if (lazy)
		check_fired(&vm, t);
	vm.shared->interrupts = 0;
	guest(&vm, CMD_SET, 40 * vm.ms, 60 * vm.ms);
	t = vm.shared->result[1];
	guest(&vm, CMD_HLT, 0);
	if (lazy)
		check_fired(&vm, t);
	CHECK(vm.shared->irq_tsc < t + 10 * vm.ms, "%llu us late (A7)",
	      (unsigned long long)((vm.shared->irq_tsc - t) * 1000 / vm.ms));
	destroy(&vm);
}

const struct test_case tsc_cases[] = {
	{ "tsc_offset", case_tsc_offset, ALWAYS },
	{ "tsc_forward", case_tsc_forward, ALWAYS },
	{ "tsc_back", case_tsc_back, ALWAYS },
	{ "tsc_khz", case_tsc_khz, ALWAYS },
	{ 0 },
};
