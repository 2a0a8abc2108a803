// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Self-test of the KVM host glue, in the style of tools/testing/selftests/kvm: one program that
 * needs /dev/kvm and nothing else, and that brings its guest (guest.c) along.
 *
 * It proves that a guest and a VMM which do as the documentation says get what it says, and that
 * those which do not harm nobody: the MSR and its validation (B11), enforced CPUID, the worked
 * example with its exits (B5, B12), past, zero and huge deadlines (A1 to A4, A8), mask and disable
 * (B8), mode switch (A11), HLT (A9, B13), TSC offset (A15), save and restore in both orders and by
 * a VMM that ignores the feature (B17), raw writes (B7), a memslot that goes away (B18), a hostile
 * page (B11).
 *
 * Every case has a VM of its own. Without the feature (a stock kernel, or lazy_tscdeadline=0) the
 * cases that need it are skipped, and the others are the control. Prints one line for each case:
 * its name and ok, FAIL or skipped.
 *
 * Exit status: 0 all cases that ran are ok, 1 at least one is not, 2 no /dev/kvm.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <asm/kvm_para.h>
#include <linux/kvm.h>

#include "selftest.h"

#define MSR_IA32_TSC	      0x10
#define MSR_IA32_TSC_DEADLINE 0x6e0
#define MSR_X2APIC_LVTT	      0x832
#define LVTT_DEADLINE	      (2U << 17)
#define LVTT_MASKED	      (1U << 16)
#define TIMER_VECTOR	      0x20
#define KVM_FEATURES	      0x40000001

asm(".section .rodata\n"
    ".balign 8\n"
    "guest_elf: .incbin \"selftest-guest\"\n"
    "guest_elf_end:\n"
    ".previous\n");
extern const char guest_elf[], guest_elf_end[];

struct vm {
	int fd, vcpu, stats;
	struct kvm_run *run;
	char *ram;
	struct lazytsc_area *area;
	volatile struct shared *shared;
	u64 ms; /* one millisecond in TSC cycles */
};

static int kvm;
static struct kvm_cpuid2 *supported;
static bool offered;
static const char *case_name;
static bool case_failed;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fprintf(stderr, "selftest: %s: ", case_name ? case_name : "start");
	vfprintf(stderr, format, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(2);
}

#define CHECK(cond, format, ...)                                                                  \
	do {                                                                                      \
		if (!(cond)) {                                                                    \
			case_failed = true;                                                       \
			fprintf(stderr, "selftest: %s:%d: %s: " format "\n", case_name, __LINE__, \
				#cond, ##__VA_ARGS__);                                            \
		}                                                                                 \
	} while (0)

static int xioctl(int fd, unsigned long request, void *arg, const char *name)
{
	int r = ioctl(fd, request, arg);

	if (r < 0)
		die("%s: %s", name, strerror(errno));
	return r;
}
#define IOCTL(fd, request, arg) xioctl(fd, request, (void *)(unsigned long)(arg), #request)

static u64 get_msr(struct vm *vm, u32 index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = index };

	if (IOCTL(vm->vcpu, KVM_GET_MSRS, &msrs) != 1)
		die("MSR %#x cannot be read", index);
	return msrs.entry.data;
}

static bool try_set_msr(struct vm *vm, u32 index, u64 value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = index, .entry.data = value };

	return IOCTL(vm->vcpu, KVM_SET_MSRS, &msrs) == 1;
}

static void set_msr(struct vm *vm, u32 index, u64 value)
{
	if (!try_set_msr(vm, index, value))
		die("MSR %#x cannot be set to %#llx", index, (unsigned long long)value);
}

/* A KVM binary statistic of the vCPU; 0 where this kernel does not have it. */
static u64 stat(struct vm *vm, const char *name)
{
	struct kvm_stats_header head;
	size_t size;
	char *desc;
	u64 value = 0;

	if (pread(vm->stats, &head, sizeof(head), 0) != sizeof(head))
		die("the statistics cannot be read");
	size = sizeof(struct kvm_stats_desc) + head.name_size;
	desc = malloc(size * head.num_desc);
	if (!desc || pread(vm->stats, desc, size * head.num_desc, head.desc_offset) < 0)
		die("the statistics cannot be read");
	for (u32 i = 0; i < head.num_desc; i++) {
		struct kvm_stats_desc *d = (struct kvm_stats_desc *)(desc + i * size);

		if (!strcmp(d->name, name) &&
		    pread(vm->stats, &value, sizeof(value), head.data_offset + d->offset) < 0)
			die("the statistics cannot be read");
	}
	free(desc);
	return value;
}

static void set_slot(struct vm *vm, u32 slot, u64 gpa, void *memory, u64 size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (unsigned long)memory,
	};

	IOCTL(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("%zu bytes: %s", size, strerror(errno));
	return p;
}

static u64 load_guest(struct vm *vm)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)guest_elf;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(guest_elf + eh->e_phoff);

	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			memcpy(vm->ram + ph[i].p_vaddr, guest_elf + ph[i].p_offset, ph[i].p_filesz);
	}
	return eh->e_entry;
}

/* The first GiB one to one in 2 MiB pages, flat segments, and the guest's entry. */
static void set_registers(struct vm *vm, u64 entry)
{
	u64 *table = (u64 *)(vm->ram + PML4_ADDR), *gdt = (u64 *)(vm->ram + GDT_ADDR);
	struct kvm_segment code = {
		.limit = ~0U, .selector = CODE_SEL, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	struct kvm_segment data = {
		.limit = ~0U, .selector = DATA_SEL, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
	};
	struct kvm_regs regs = { .rip = entry, .rsp = STACK_ADDR - 8, .rflags = 2 };
	struct kvm_sregs sregs;

	table[0] = (PML4_ADDR + 0x1000) | 3;
	table[512] = (PML4_ADDR + 0x2000) | 3;
	for (u64 i = 0; i < 512; i++)
		table[1024 + i] = i << 21 | 0x83;
	gdt[1] = 0x00af9b000000ffff;
	gdt[2] = 0x00cf93000000ffff;

	IOCTL(vm->vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt.base = GDT_ADDR;
	sregs.gdt.limit = 3 * 8 - 1;
	sregs.cr0 = 0x80000011;
	sregs.cr3 = PML4_ADDR;
	sregs.cr4 = 0x20;
	sregs.efer = 0x500;
	IOCTL(vm->vcpu, KVM_SET_SREGS, &sregs);
	IOCTL(vm->vcpu, KVM_SET_REGS, &regs);
}

static void set_cpuid(struct vm *vm, bool lazy)
{
	size_t size = sizeof(*supported) + supported->nent * sizeof(supported->entries[0]);
	struct kvm_cpuid2 *cpuid = malloc(size);

	if (!cpuid)
		die("no memory");
	memcpy(cpuid, supported, size);
	for (u32 i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 1)
			e->ecx |= 1U << 21 | 1U << 24 | 1U << 31;
		else if (e->function == KVM_FEATURES && !lazy)
			e->eax &= ~(1U << LAZYTSC_CPUID_BIT);
	}
	IOCTL(vm->vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

/* A VM whose guest has not run yet. */
static struct vm create(bool lazy)
{
	struct kvm_enable_cap enforce = { .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args = { 1 } };
	struct vm vm = { .ram = map(RAM_SIZE), .area = map(AREA_SIZE) };

	vm.fd = IOCTL(kvm, KVM_CREATE_VM, 0);
	IOCTL(vm.fd, KVM_SET_TSS_ADDR, 0xfffbd000);
	IOCTL(vm.fd, KVM_CREATE_IRQCHIP, 0);
	set_slot(&vm, 0, 0, vm.ram, RAM_SIZE);
	set_slot(&vm, 1, AREA_ADDR, vm.area, AREA_SIZE);
	vm.vcpu = IOCTL(vm.fd, KVM_CREATE_VCPU, 0);
	vm.stats = IOCTL(vm.vcpu, KVM_GET_STATS_FD, 0);
	vm.run = mmap(NULL, IOCTL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		      MAP_SHARED, vm.vcpu, 0);
	if (vm.run == MAP_FAILED)
		die("kvm_run: %s", strerror(errno));
	IOCTL(vm.vcpu, KVM_ENABLE_CAP, &enforce);
	set_cpuid(&vm, lazy);
	vm.ms = IOCTL(vm.vcpu, KVM_GET_TSC_KHZ, 0);
	vm.shared = (volatile struct shared *)(vm.ram + SHARED_ADDR);
	set_registers(&vm, load_guest(&vm));
	return vm;
}

static void destroy(struct vm *vm)
{
	munmap(vm->run, IOCTL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(vm->stats);
	close(vm->vcpu);
	close(vm->fd);
	munmap(vm->ram, RAM_SIZE);
	munmap(vm->area, AREA_SIZE);
}

static void run(struct vm *vm)
{
	if (ioctl(vm->vcpu, KVM_RUN, 0) < 0)
		die("KVM_RUN: %s", strerror(errno));
	if (vm->run->exit_reason != KVM_EXIT_IO || vm->run->io.port != DONE_PORT)
		die("unexpected exit %u from the guest", vm->run->exit_reason);
	CHECK(!vm->area->armed.port_only, "armed is %#llx in user space (B17)",
	      (unsigned long long)vm->area->armed.port_only);
}

static void set_command(struct vm *vm, enum command command, const u64 *args)
{
	vm->shared->command = command;
	for (int i = 0; i < 8; i++)
		vm->shared->arg[i] = args[i];
}

/* guest(vm, command, argument...): result[0] */
#define guest(vm, command, ...) guest_args(vm, command, (const u64[8]){ __VA_ARGS__ })

static u64 guest_args(struct vm *vm, enum command command, const u64 *args)
{
	set_command(vm, command, args);
	run(vm);
	return vm->shared->result[0];
}

/* Up and running, its area given to the host when @lazy. */
static struct vm start(bool lazy)
{
	struct vm vm = create(lazy);

	run(&vm);
	guest(&vm, CMD_START, 0);
	if (lazy && guest(&vm, CMD_ENABLE, AREA_ADDR))
		die("the guest's area was refused");
	return vm;
}

static u64 wait_ms(struct vm *vm, u64 ms)
{
	return guest(vm, CMD_WAIT, ms * vm->ms);
}

static u64 guest_wrmsr(struct vm *vm, u32 msr, u64 value)
{
	return guest(vm, CMD_WRMSR, msr, value);
}

static u64 guest_rdmsr(struct vm *vm, u32 msr)
{
	guest(vm, CMD_RDMSR, msr);
	return vm->shared->result[1];
}

/* One interrupt in all, no earlier than @t, and nothing left. */
static void check_fired(struct vm *vm, u64 t)
{
	CHECK(vm->shared->interrupts == 1, "%llu interrupts",
	      (unsigned long long)vm->shared->interrupts);
	CHECK(vm->shared->irq_tsc >= t, "%lld cycles early (A6)",
	      (long long)(t - vm->shared->irq_tsc));
	CHECK(get_msr(vm, MSR_IA32_TSC_DEADLINE) == 0, "still set (A3)");
}

static void check_silent(struct vm *vm, const char *when)
{
	CHECK(vm->shared->interrupts == 0, "%llu interrupts %s",
	      (unsigned long long)vm->shared->interrupts, when);
}

static void case_cpuid(bool lazy)
{
	struct vm vm = start(lazy);
	struct vm without = start(false);

	CHECK(!guest_wrmsr(&vm, LAZYTSC_MSR, AREA_ADDR | 1), "refused");
	CHECK(guest_wrmsr(&without, LAZYTSC_MSR, AREA_ADDR | 1) == 1, "accepted without CPUID "
								      "(B18)");
	CHECK(!try_set_msr(&without, LAZYTSC_MSR, AREA_ADDR | 1), "accepted without CPUID (B18)");
	destroy(&without);
	destroy(&vm);
}

static void case_msr(bool lazy)
{
	static const u64 bad[] = {
		AREA_ADDR, /* an address without the enable bit */
		AREA_ADDR | 3, /* reserved bits */
		AREA_ADDR | 0x21, /* not aligned */
		(AREA_ADDR + AREA_SIZE - 32) | 1, /* not aligned, and across the page's end */
		NO_ADDR | 1, /* no memory */
		1ULL << 62 | 1, /* beyond the physical addresses */
	};
	struct vm vm = start(lazy);
	u64 last = (AREA_ADDR + AREA_SIZE - LAZYTSC_AREA_SIZE) | 1;

	guest_wrmsr(&vm, LAZYTSC_MSR, 0);
	for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(guest_wrmsr(&vm, LAZYTSC_MSR, bad[i]) == 1, "%#llx accepted",
		      (unsigned long long)bad[i]);
		CHECK(get_msr(&vm, LAZYTSC_MSR) == 0, "%#llx kept", (unsigned long long)bad[i]);
	}
	CHECK(!guest_wrmsr(&vm, LAZYTSC_MSR, last), "the page's last area refused");
	CHECK(guest_rdmsr(&vm, LAZYTSC_MSR) == last, "reads otherwise");
	CHECK(!guest_wrmsr(&vm, LAZYTSC_MSR, 0), "0 refused");
	CHECK(guest_rdmsr(&vm, LAZYTSC_MSR) == 0, "reads otherwise");
	destroy(&vm);
}

/* t0..t3, t0 the earliest: one write, one silent expiry, one interrupt, and that at t3. */
static void check_example(struct vm *vm, bool lazy)
{
	u64 silent = stat(vm, "lazy_tscdeadline_silent"), t3;
	u64 writes = guest(vm, CMD_SET, 4 * vm->ms, 6 * vm->ms, 8 * vm->ms, 10 * vm->ms);

	t3 = vm->shared->result[1];
	CHECK(writes == (lazy ? 1 : 4), "%llu writes", (unsigned long long)writes);
	CHECK(get_msr(vm, MSR_IA32_TSC_DEADLINE) == t3, "not the last deadline (B14)");
	wait_ms(vm, 20);
	check_fired(vm, t3);
	silent = stat(vm, "lazy_tscdeadline_silent") - silent;
	CHECK(silent <= (lazy ? 3 : 0), "%llu silent expiries, 3 skips (B12)",
	      (unsigned long long)silent);
}

static void case_example(bool lazy)
{
	struct vm vm = start(lazy);

	check_example(&vm, lazy);
	destroy(&vm);
}

static void case_tsc_offset(bool lazy)
{
	struct vm vm = start(lazy);

	set_msr(&vm, MSR_IA32_TSC, 1ULL << 40);
	check_example(&vm, lazy);
	destroy(&vm);
}

static void case_past(bool lazy)
{
	struct vm vm = start(lazy);

	for (u64 v = 1; v <= 2; v++) {
		vm.shared->interrupts = 0;
		guest_wrmsr(&vm, MSR_IA32_TSC_DEADLINE, v);
		wait_ms(&vm, 2);
		check_fired(&vm, v);
	}
	destroy(&vm);
}

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
	silent = stat(&vm, "lazy_tscdeadline_silent");
	guest(&vm, CMD_SET, far);
	wait_ms(&vm, 10);
	check_silent(&vm, "for a far deadline (A8)");
	guest(&vm, CMD_SET, 2 * vm.ms, far);
	wait_ms(&vm, 10);
	check_silent(&vm, "for a far deadline (A8)");
	silent = stat(&vm, "lazy_tscdeadline_silent") - silent;
	CHECK(silent == 1, "%llu silent expiries", (unsigned long long)silent);
	destroy(&vm);
}

static void case_mask(bool lazy)
{
	const u64 masked = LVTT_DEADLINE | LVTT_MASKED | TIMER_VECTOR;
	struct vm vm = start(lazy);
	u64 t;

	CHECK(!guest(&vm, CMD_SET_WRMSR, 4 * vm.ms, 20 * vm.ms, 0, MSR_X2APIC_LVTT, masked),
	      "armed while masked (B8)");
	t = vm.shared->result[1];
	CHECK(vm.shared->result[2] == t, "deadline lost by the mask (B8)");
	CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == t, "deadline lost by the mask (B8)");
	wait_ms(&vm, 8);
	check_silent(&vm, "while masked");
	guest_wrmsr(&vm, MSR_X2APIC_LVTT, LVTT_DEADLINE | TIMER_VECTOR);
	wait_ms(&vm, 30);
	check_fired(&vm, t);
	destroy(&vm);
}

/* Switched off by the guest while a deadline is in the page: it is kept (B8). */
static void case_disable(bool lazy)
{
	struct vm vm = start(lazy);
	u64 t;

	CHECK(!guest(&vm, CMD_SET_WRMSR, 4 * vm.ms, 20 * vm.ms, 0, LAZYTSC_MSR, 0), "armed while "
										    "disabled "
										    "(B8)");
	t = vm.shared->result[1];
	CHECK(vm.shared->result[2] == t, "deadline lost (B8)");
	wait_ms(&vm, 30);
	check_fired(&vm, t);
	destroy(&vm);
}

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
	wait_ms(&vm, 12);
	check_silent(&vm, "after the mode switch (A11)");
	check_example(&vm, lazy);
	destroy(&vm);
}

static void case_hlt(bool lazy)
{
	struct vm vm = start(lazy);
	u64 t, woken;

	guest(&vm, CMD_SET, 40 * vm.ms, 60 * vm.ms);
	t = vm.shared->result[1];
	woken = guest(&vm, CMD_HLT, 0);
	check_fired(&vm, t);
	CHECK(woken == 1, "HLT left %llu times (B13)", (unsigned long long)woken);
	CHECK(stat(&vm, "lazy_tscdeadline_silent_blocked") == (lazy ? 1 : 0), "%llu in HLT (B13)",
	      (unsigned long long)stat(&vm, "lazy_tscdeadline_silent_blocked"));
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

/* What a VMM does: the whole state, in a new VM of the same process. */
static struct vm migrate(struct vm *from, const u32 *msrs, bool lazy)
{
	struct vm to = create(lazy);
	struct kvm_lapic_state lapic;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	memcpy(to.ram, from->ram, RAM_SIZE);
	memcpy(to.area, from->area, AREA_SIZE);
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

static void *run_vcpu(void *vm)
{
	run(vm);
	return NULL;
}

/* The page goes away under the running guest while a deadline is in it, and comes back. */
static void case_memslot(bool lazy)
{
	struct vm vm = start(lazy);
	const u64 args[8] = { 100 * vm.ms, 200 * vm.ms, 0, 300 * vm.ms };
	pthread_t thread;

	set_command(&vm, CMD_SET_WAIT, args);
	if (pthread_create(&thread, NULL, run_vcpu, &vm))
		die("no thread");
	while (!vm.shared->ready)
		usleep(100);
	CHECK(vm.area->armed.port_only, "not armed");
	set_slot(&vm, 1, AREA_ADDR, vm.area, 0);
	CHECK(!vm.area->armed.port_only, "armed in memory that is no guest's (B18)");
	pthread_join(thread, NULL);
	check_fired(&vm, vm.shared->result[1]);

	vm.shared->interrupts = 0;
	guest_wrmsr(&vm, MSR_IA32_TSC_DEADLINE, 1);
	wait_ms(&vm, 2);
	check_fired(&vm, 1);

	vm.shared->interrupts = 0;
	set_slot(&vm, 1, AREA_ADDR, vm.area, AREA_SIZE);
	check_example(&vm, lazy);
	destroy(&vm);
}

/* Nonsense in the page for a while: interrupts are its own affair, but afterwards all is well. */
static void case_hostile(bool lazy)
{
	struct vm vm = start(lazy);

	guest(&vm, CMD_HOSTILE, 50 * vm.ms);
	vm.shared->interrupts = 0;
	check_example(&vm, lazy);
	destroy(&vm);
}

static const struct {
	const char *name;
	void (*run)(bool lazy);
	bool needs_lazy;
} cases[] = {
	{ "cpuid", case_cpuid, true },
	{ "msr", case_msr, true },
	{ "example", case_example, false },
	{ "past", case_past, false },
	{ "zero", case_zero, false },
	{ "huge", case_huge, true },
	{ "mask", case_mask, false },
	{ "disable", case_disable, true },
	{ "mode", case_mode, false },
	{ "hlt", case_hlt, false },
	{ "tsc_offset", case_tsc_offset, false },
	{ "raw", case_raw, false },
	{ "restore_page_first", case_restore_page_first, true },
	{ "restore_deadline_first", case_restore_deadline_first, true },
	{ "restore_unaware", case_restore_unaware, true },
	{ "memslot", case_memslot, true },
	{ "hostile", case_hostile, true },
};

static void get_supported(void)
{
	const u32 max = 256;

	supported = calloc(1, sizeof(*supported) + max * sizeof(supported->entries[0]));
	if (!supported)
		die("no memory");
	supported->nent = max;
	IOCTL(kvm, KVM_GET_SUPPORTED_CPUID, supported);
	for (u32 i = 0; i < supported->nent; i++) {
		if (supported->entries[i].function == KVM_FEATURES)
			offered = supported->entries[i].eax & 1U << LAZYTSC_CPUID_BIT;
	}
}

/* User space finds the MSR in the list of those that it has to save. */
static bool listed(void)
{
	const u32 max = 1024;
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + max * sizeof(list->indices[0]));
	bool found = false;

	if (!list)
		die("no memory");
	list->nmsrs = max;
	IOCTL(kvm, KVM_GET_MSR_INDEX_LIST, list);
	for (u32 i = 0; i < list->nmsrs; i++)
		found |= list->indices[i] == LAZYTSC_MSR;
	free(list);
	return found;
}

int main(void)
{
	bool failed = false;

	setvbuf(stdout, NULL, _IOLBF, 0);
	kvm = open("/dev/kvm", O_RDWR);
	if (kvm < 0)
		die("/dev/kvm: %s", strerror(errno));
	get_supported();
	printf("feature %s\n", offered ? "offered" : "absent");
	case_name = "list";
	CHECK(!offered || listed(), "not in KVM_GET_MSR_INDEX_LIST");
	failed |= case_failed;
	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool skip = cases[i].needs_lazy && !offered;

		case_name = cases[i].name;
		case_failed = false;
		if (!skip)
			cases[i].run(offered);
		failed |= case_failed;
		printf("%s %s\n", case_name, skip ? "skipped" : case_failed ? "FAIL" : "ok");
	}
	return failed ? 1 : 0;
}
