// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Self-test of the KVM host glue, in the style of tools/testing/selftests/kvm: one program that
 * needs /dev/kvm and nothing else, and that brings its guest (guest.c) along.
 *
 * It proves that a guest and a VMM which do as the documentation says get what it says, and that
 * those which do not harm nobody. Each case says which requirement of docs/protocol.md it is for.
 *
 * Every case has a VM of its own. Without the feature (a stock kernel, or lazy_tscdeadline=0) the
 * cases that need it are skipped, and the others are the control. A nested guest needs AMD. Prints
 * one line for each case: its name and ok, FAIL or skipped. A case that takes too long is a lost
 * deadline. Arguments are the names of the cases to run; none: all.
 *
 * Exit status: 0 all cases that ran are ok, 1 at least one is not, 2 no /dev/kvm.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <asm/kvm_para.h>
#include <linux/kvm.h>

#include <lazytsc/guest.h>

#include "selftest.h"

#define MSR_IA32_TSC	      0x10
#define MSR_IA32_TSC_ADJUST   0x3b
#define MSR_IA32_TSC_DEADLINE 0x6e0
#define MSR_APIC_BASE	      0x1b
#define MSR_X2APIC_TPR	      0x808
#define MSR_X2APIC_SVR	      0x80f
#define MSR_X2APIC_ICR	      0x830
#define MSR_X2APIC_LVTT	      0x832
#define MSR_X2APIC_TMICT      0x838
#define MSR_X2APIC_TMCCT      0x839
#define APIC_DISABLED	      0xfee00100 /* of the first vCPU */
#define APIC_XAPIC	      0xfee00900
#define ICR_INIT	      0x4500
#define LVTT_DEADLINE	      (2U << 17)
#define LVTT_MASKED	      (1U << 16)
#define TIMER_VECTOR	      0x20
#define KVM_FEATURES	      0x40000001
#define TRACING		      "/sys/kernel/tracing/"
#define CASE_SECONDS	      20
#define SVM_EXIT_INTR	      0x60
#define POISON		      0x5a5a5a5a5a5a5a5aULL

asm(".section .rodata\n"
    ".balign 8\n"
    "guest_elf: .incbin \"selftest-guest\"\n"
    "guest_elf_end:\n"
    ".previous\n");
extern const char guest_elf[], guest_elf_end[];

/* With a vCPU of it. */
struct vm {
	int fd, vcpu, stats;
	struct kvm_run *run;
	char *ram;
	struct lazytsc_area *page; /* the memslot that the areas are in */
	struct lazytsc_area *area; /* the vCPU's */
	/* its armed while the vCPU is in user space; not 0: the host shall not write */
	u64 at_rest;
	volatile struct shared *shared;
	u64 ms; /* one millisecond in TSC cycles */
};

static int kvm;
static struct kvm_cpuid2 *supported;
static bool offered, svm;
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

/* A KVM binary statistic of the vCPU. Returns whether this kernel has it. */
static bool find_stat(struct vm *vm, const char *name, u64 *value)
{
	bool found = false;
	struct kvm_stats_header head;
	size_t size;
	char *desc;

	if (pread(vm->stats, &head, sizeof(head), 0) != sizeof(head))
		die("the statistics cannot be read");
	size = sizeof(struct kvm_stats_desc) + head.name_size;
	desc = malloc(size * head.num_desc);
	if (!desc || pread(vm->stats, desc, size * head.num_desc, head.desc_offset) < 0)
		die("the statistics cannot be read");
	for (u32 i = 0; i < head.num_desc; i++) {
		struct kvm_stats_desc *d = (struct kvm_stats_desc *)(desc + i * size);

		if (strcmp(d->name, name))
			continue;
		found = true;
		if (pread(vm->stats, value, sizeof(*value), head.data_offset + d->offset) < 0)
			die("the statistics cannot be read");
	}
	free(desc);
	return found;
}

/* 0 where this kernel does not have it. */
static u64 stat(struct vm *vm, const char *name)
{
	u64 value = 0;

	find_stat(vm, name, &value);
	return value;
}

static void set_slot_flags(struct vm *vm, u32 slot, u64 gpa, void *memory, u64 size, u32 flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (unsigned long)memory,
	};

	IOCTL(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static void set_slot(struct vm *vm, u32 slot, u64 gpa, void *memory, u64 size)
{
	set_slot_flags(vm, slot, gpa, memory, size, 0);
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
		if (ph[i].p_type != PT_LOAD)
			continue;
		if (ph[i].p_vaddr + ph[i].p_memsz > RAM_USED)
			die("the guest is too large");
		memcpy(vm->ram + ph[i].p_vaddr, guest_elf + ph[i].p_offset, ph[i].p_filesz);
	}
	return eh->e_entry;
}

/* The first GiB one to one in 2 MiB pages, flat segments, the vCPU's stack, the guest's entry. */
static void set_registers(struct vm *vm)
{
	u64 *table = (u64 *)(vm->ram + PML4_ADDR), *gdt = (u64 *)(vm->ram + GDT_ADDR);
	struct kvm_segment code = {
		.limit = ~0U, .selector = CODE_SEL, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	struct kvm_segment data = {
		.limit = ~0U, .selector = DATA_SEL, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
	};
	struct kvm_regs regs = {
		.rip = load_guest(vm),
		.rsp = (char *)vm->shared - vm->ram + CPU_SIZE - 8,
		.rflags = 2,
	};
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

/* The bit is set where KVM does not offer it, too. */
static bool try_set_cpuid(struct vm *vm, bool lazy)
{
	bool ok;

	size_t size = sizeof(*supported) + supported->nent * sizeof(supported->entries[0]);
	struct kvm_cpuid2 *cpuid = malloc(size);

	if (!cpuid)
		die("no memory");
	memcpy(cpuid, supported, size);
	for (u32 i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 1)
			e->ecx |= 1U << 21 | 1U << 24 | 1U << 31;
		else if (e->function == KVM_FEATURES && lazy)
			e->eax |= 1U << LAZYTSC_CPUID_BIT;
		else if (e->function == KVM_FEATURES)
			e->eax &= ~(1U << LAZYTSC_CPUID_BIT);
	}
	ok = !ioctl(vm->vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return ok;
}

/* A vCPU as it is when it is created, without CPUID and registers. */
static void add_bare_vcpu(struct vm *vm, int id)
{
	vm->vcpu = IOCTL(vm->fd, KVM_CREATE_VCPU, id);
	vm->stats = IOCTL(vm->vcpu, KVM_GET_STATS_FD, 0);
	vm->run = mmap(NULL, IOCTL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		       MAP_SHARED, vm->vcpu, 0);
	if (vm->run == MAP_FAILED)
		die("kvm_run: %s", strerror(errno));
	vm->ms = IOCTL(vm->vcpu, KVM_GET_TSC_KHZ, 0);
	vm->area = vm->page + id;
	vm->shared = (volatile struct shared *)(vm->ram + CPU_ADDR + id * CPU_SIZE);
}

static void set_cpuid(struct vm *vm, bool lazy)
{
	if (!try_set_cpuid(vm, lazy))
		die("KVM_SET_CPUID2: %s", strerror(errno));
}

static void add_vcpu(struct vm *vm, int id, bool lazy)
{
	struct kvm_enable_cap enforce = { .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args = { 1 } };

	add_bare_vcpu(vm, id);
	IOCTL(vm->vcpu, KVM_ENABLE_CAP, &enforce);
	set_cpuid(vm, lazy);
	set_registers(vm);
}

static struct vm create_without_vcpu(void)
{
	struct vm vm = { .ram = map(RAM_SIZE), .page = map(AREA_SIZE) };

	vm.fd = IOCTL(kvm, KVM_CREATE_VM, 0);
	IOCTL(vm.fd, KVM_SET_TSS_ADDR, 0xfffbd000);
	IOCTL(vm.fd, KVM_CREATE_IRQCHIP, 0);
	set_slot(&vm, 0, 0, vm.ram, RAM_SIZE);
	set_slot(&vm, 1, AREA_ADDR, vm.page, AREA_SIZE);
	return vm;
}

/* A VM whose guest has not run yet. */
static struct vm create(bool lazy)
{
	struct vm vm = create_without_vcpu();

	add_vcpu(&vm, 0, lazy);
	return vm;
}

static void destroy_vcpu(struct vm *vm)
{
	munmap(vm->run, IOCTL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(vm->stats);
	close(vm->vcpu);
}

static void destroy(struct vm *vm)
{
	destroy_vcpu(vm);
	close(vm->fd);
	munmap(vm->ram, RAM_SIZE);
	munmap(vm->page, AREA_SIZE);
}

static void check_out(struct vm *vm)
{
	if (vm->run->exit_reason != KVM_EXIT_IO || vm->run->io.port != DONE_PORT)
		die("unexpected exit %u from the guest", vm->run->exit_reason);
	CHECK(vm->area->armed.port_only == vm->at_rest, "armed is %#llx in user space (B17)",
	      (unsigned long long)vm->area->armed.port_only);
}

static void run(struct vm *vm)
{
	if (ioctl(vm->vcpu, KVM_RUN, 0) < 0)
		die("KVM_RUN: %s", strerror(errno));
	check_out(vm);
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

static void enable(struct vm *vm)
{
	if (guest(vm, CMD_ENABLE, AREA_ADDR + ((char *)vm->area - (char *)vm->page)))
		die("the guest's area was refused");
}

static void start_guest(struct vm *vm, bool lazy)
{
	run(vm);
	guest(vm, CMD_START, 0);
	if (lazy)
		enable(vm);
}

/* Up and running, its area given to the host when @lazy. */
static struct vm start(bool lazy)
{
	struct vm vm = create(lazy);

	start_guest(&vm, lazy);
	return vm;
}

/* One more vCPU of @first. */
static struct vm start_second(const struct vm *first, bool lazy)
{
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct vm vm = *first;

	add_vcpu(&vm, 1, lazy);
	IOCTL(vm.vcpu, KVM_SET_MP_STATE, &runnable);
	start_guest(&vm, lazy);
	return vm;
}

/* To the guest's next OUT, whatever signals come. */
static void *run_vcpu(void *arg)
{
	struct vm *vm = arg;

	while (ioctl(vm->vcpu, KVM_RUN, 0) < 0) {
		if (errno != EINTR)
			die("KVM_RUN: %s", strerror(errno));
		CHECK(vm->area->armed.port_only == vm->at_rest, "armed in user space (B17)");
	}
	check_out(vm);
	return NULL;
}

/* Run the command in a thread, and wait until the guest says that it is so far. */
static pthread_t guest_in_thread(struct vm *vm, enum command command, const u64 *args,
				 void *(*function)(void *))
{
	pthread_t thread;

	set_command(vm, command, args);
	vm->shared->ready = 0;
	if (pthread_create(&thread, NULL, function, vm))
		die("no thread");
	while (!vm->shared->ready)
		usleep(100);
	return thread;
}

static void wait_ms(struct vm *vm, u64 ms)
{
	guest(vm, CMD_WAIT, ms * vm->ms);
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

/* Only a guest that has been offered the feature may use it, and its VMM restore it (B18). */
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

/*
 * Not offered, a CPUID bit that the VMM makes up is worth nothing: module parameter, stock (B18).
 */
static void case_absent(bool lazy)
{
	struct vm vm = create(true);
	u64 value;

	(void)lazy;
	start_guest(&vm, false);
	CHECK(guest_wrmsr(&vm, LAZYTSC_MSR, AREA_ADDR | 1) == 1, "accepted from the guest");
	CHECK(!try_set_msr(&vm, LAZYTSC_MSR, AREA_ADDR | 1), "accepted from user space");
	guest(&vm, CMD_RDMSR, LAZYTSC_MSR);
	CHECK(vm.shared->result[0] == 1, "can be read");
	if (find_stat(&vm, "lazy_tscdeadline_publish", &value))
		CHECK(value == 0, "%llu times published", (unsigned long long)value);
	destroy(&vm);
}

/*
 * A VMM that takes the CPUID bit away also switches the feature off: the host writes in the page no
 * more. Once the vCPU has run, CPUID is fixed, as on every kernel (B18).
 */
static void case_cpuid_removed(bool lazy)
{
	struct vm vm = create(lazy);

	set_msr(&vm, LAZYTSC_MSR, AREA_ADDR | 1);
	CHECK(get_msr(&vm, LAZYTSC_MSR) == (AREA_ADDR | 1), "reads otherwise");
	set_cpuid(&vm, false);
	set_cpuid(&vm, true);
	CHECK(get_msr(&vm, LAZYTSC_MSR) == 0, "still enabled");
	vm.area->armed.port_only = vm.at_rest = POISON;
	start_guest(&vm, false);
	wait_ms(&vm, 2);

	vm.area->armed.port_only = vm.at_rest = 0;
	enable(&vm);
	CHECK(!try_set_cpuid(&vm, false), "taken away after the vCPU has run");
	check_example(&vm, lazy);
	destroy(&vm);
}

/* A word with reserved bits, not aligned, across a page's end or without memory is #GP (B11). */
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

/* The worked example: a skip for each later deadline, nothing early, nothing lost (A1, A3, B5). */
static void case_example(bool lazy)
{
	struct vm vm = start(lazy);

	check_example(&vm, lazy);
	destroy(&vm);
}

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
		set_and_jump(&vm, how, delays, -2000 * vm.ms, 0);
		t = vm.shared->result[1];
		wait_ms(&vm, 30);
		if (lazy) {
			check_silent(&vm, jump_names[how]);
			CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == t, "%s: lost",
			      jump_names[how]);
			CHECK(stat(&vm, "lazy_tscdeadline_silent") <= 1,
			      "%llu silent expiries, one skip (B12)",
			      (unsigned long long)stat(&vm, "lazy_tscdeadline_silent"));
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
	CHECK(stat(&vm, "lazy_tscdeadline_silent") <= 1, "more silent expiries than skips (B12)");
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
	CHECK(get_msr(&vm, MSR_IA32_TSC_DEADLINE) == t, "after the silent expiry: not the last "
							"one");
	CHECK(guest_rdmsr(&vm, MSR_IA32_TSC_DEADLINE) == t, "RDMSR: not the last deadline");
	wait_ms(&vm, 30);
	check_fired(&vm, t);
	CHECK(guest_rdmsr(&vm, MSR_IA32_TSC_DEADLINE) == 0, "RDMSR: still set (A3)");
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

/* A halted vCPU sleeps through the deadline that is not wanted any more (A9, B13). */
static void case_hlt(bool lazy)
{
	struct vm vm = start(lazy);
	u64 t, woken;

	guest(&vm, CMD_SET, 40 * vm.ms, 60 * vm.ms);
	t = vm.shared->result[1];
	woken = guest(&vm, CMD_HLT, 0);
	check_fired(&vm, t);
	CHECK(woken == 1, "HLT left %llu times (B13)", (unsigned long long)woken);
	CHECK(stat(&vm, "halt_wakeup") == 1, "woken %llu times (B13)",
	      (unsigned long long)stat(&vm, "halt_wakeup"));
	CHECK(stat(&vm, "lazy_tscdeadline_silent_blocked") == (lazy ? 1 : 0), "%llu in HLT (B13)",
	      (unsigned long long)stat(&vm, "lazy_tscdeadline_silent_blocked"));
	destroy(&vm);
}

/*
 * Some other memslot has changed when the timer fires, so that the page would have to be looked up
 * again: it is still the guest's, the expiry is silent, and a halted guest stays halted (B5, B13).
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
		while (commands[i] == CMD_HLT && !stat(&vm, "blocking"))
			usleep(100);
		set_slot(&vm, 2, NO_ADDR, other, AREA_SIZE);
		pthread_join(thread, NULL);
		if (commands[i] == CMD_HLT)
			CHECK(vm.shared->result[0] == 1, "HLT left %llu times (B13)",
			      (unsigned long long)vm.shared->result[0]);
		else
			t = vm.shared->result[1];
		check_fired(&vm, t);
		CHECK(stat(&vm, "lazy_tscdeadline_silent") + stat(&vm, "lazy_tscdeadline_silent_"
								       "blocked") ==
			      lazy,
		      "not one silent expiry");
		destroy(&vm);
		munmap(other, AREA_SIZE);
	}
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
	while (!stat(&b, "blocking"))
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

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

static void trace_events(const char *on)
{
	write_file(TRACING "events/kvm/kvm_lazy_tscdeadline_publish/enable", on);
	write_file(TRACING "events/kvm/kvm_lazy_tscdeadline_silent/enable", on);
	write_file(TRACING "events/kvm/kvm_lazy_tscdeadline_withdraw/enable", on);
}

/* What the host publishes, expires silently and withdraws is counted and traced as it is. */
static void case_stats(bool lazy)
{
	static const char *const names[] = {
		"lazy_tscdeadline_publish",	   "lazy_tscdeadline_silent",
		"lazy_tscdeadline_silent_blocked", "lazy_tscdeadline_left",
		"lazy_tscdeadline_withdraw",
	};
	/* Published by the write, in the second KVM_RUN, at the silent expiry. */
	static const u64 expected[] = { 3, 1, 0, 0, 1 };
	unsigned long long x, y, armed = 0, next = 0, withdrawn = 0;
	u64 traced[5] = { 0 }, value, first, last;
	struct vm vm = start(lazy);
	char line[512], *event;
	FILE *trace;

	write_file(TRACING "trace", "");
	trace_events("1");
	guest(&vm, CMD_SET, 40 * vm.ms, 60 * vm.ms, 80 * vm.ms);
	last = vm.shared->result[1];
	first = vm.shared->result[2];
	wait_ms(&vm, 100);
	trace_events("0");
	check_fired(&vm, last);

	trace = fopen(TRACING "trace", "r");
	if (!trace)
		die(TRACING "trace: %s", strerror(errno));
	while (fgets(line, sizeof(line), trace)) {
		event = strstr(line, "kvm_lazy_tscdeadline_");
		if (!event)
			continue;
		event += strlen("kvm_lazy_tscdeadline_");
		if (sscanf(event, "publish: vcpu 0 armed %llu", &x) == 1) {
			if (!traced[0]++)
				armed = x;
		} else if (sscanf(event, "silent: vcpu 0 fired %llu next %llu", &x, &y) == 2) {
			traced[strstr(event, " blocked") ? 2 : 1]++;
			next = y;
		} else if (sscanf(event, "withdraw: vcpu 0 deadline %llu reason userspace", &x) ==
			   1) {
			traced[4]++;
			withdrawn = x;
		} else {
			CHECK(false, "%s", line);
		}
	}
	fclose(trace);
	CHECK(armed == first, "published %llu", armed);
	CHECK(next == last, "silent expiry, next %llu", next);
	CHECK(withdrawn == last, "withdrawn %llu", withdrawn);
	for (u32 i = 0; i < 5; i++) {
		value = 0;
		CHECK(find_stat(&vm, names[i], &value), "no statistic %s", names[i]);
		CHECK(value == expected[i], "%s is %llu", names[i], (unsigned long long)value);
		CHECK(traced[i] == expected[i], "%s traced %llu times", names[i],
		      (unsigned long long)traced[i]);
	}
	destroy(&vm);
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
		CHECK(stat(&vm, "lazy_tscdeadline_silent") == (lazy && !own[i]),
		      "%llu silent expiries",
		      (unsigned long long)stat(&vm, "lazy_tscdeadline_silent"));
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

	/* What is armed first fires while the other one is at it. */
	thread = guest_in_thread(&a, CMD_HLT, (const u64[8]){ 20 * a.ms, 400 * a.ms }, run_vcpu);
	while (!stat(&a, "blocking"))
		usleep(100);
	guest(&b, CMD_SCRIBBLE, AREA_ADDR, a.ms / 10, run_ms * a.ms);
	pthread_join(thread, NULL);
	CHECK(a.shared->interrupts == 1, "%llu interrupts",
	      (unsigned long long)a.shared->interrupts);
	silent = stat(&a, "lazy_tscdeadline_silent") + stat(&a, "lazy_tscdeadline_silent_blocked");
	left = stat(&a, "lazy_tscdeadline_left");
	printf("sibling: %llu silent expiries in %llu ms, %llu left to the vCPU's thread\n",
	       (unsigned long long)silent, (unsigned long long)run_ms, (unsigned long long)left);
	CHECK(left, "none is left to the vCPU's thread");
	CHECK(silent - left <= run_ms * 1000 / period_us + 1, "more than one in %llu us (B25)",
	      (unsigned long long)period_us);
	destroy_vcpu(&b);
	destroy(&a);
}

static const struct {
	const char *name;
	void (*run)(bool lazy);
	enum { ALWAYS, OFFERED, ABSENT, NESTED } when;
} cases[] = {
	{ "absent", case_absent, ABSENT },
	{ "cpuid", case_cpuid, OFFERED },
	{ "cpuid_removed", case_cpuid_removed, OFFERED },
	{ "msr", case_msr, OFFERED },
	{ "example", case_example, ALWAYS },
	{ "stats", case_stats, OFFERED },
	{ "effective", case_effective, ALWAYS },
	{ "past", case_past, ALWAYS },
	{ "zero", case_zero, ALWAYS },
	{ "disarm", case_disarm, ALWAYS },
	{ "earlier", case_earlier, ALWAYS },
	{ "raised", case_raised, ALWAYS },
	{ "huge", case_huge, OFFERED },
	{ "mask", case_mask, ALWAYS },
	{ "disable", case_disable, OFFERED },
	{ "mode", case_mode, ALWAYS },
	{ "apic_off", case_apic_off, ALWAYS },
	{ "hlt", case_hlt, ALWAYS },
	{ "tsc_offset", case_tsc_offset, ALWAYS },
	{ "tsc_forward", case_tsc_forward, ALWAYS },
	{ "tsc_back", case_tsc_back, ALWAYS },
	{ "tsc_khz", case_tsc_khz, ALWAYS },
	{ "raw", case_raw, ALWAYS },
	{ "restore_page_first", case_restore_page_first, OFFERED },
	{ "restore_deadline_first", case_restore_deadline_first, OFFERED },
	{ "restore_unaware", case_restore_unaware, OFFERED },
	{ "restore_orders", case_restore_orders, ALWAYS },
	{ "restore_done", case_restore_done, OFFERED },
	{ "enable_again", case_enable_again, OFFERED },
	{ "dirty", case_dirty, OFFERED },
	{ "memslot", case_memslot, OFFERED },
	{ "memslot_moved", case_memslot_moved, OFFERED },
	{ "memslot_other", case_memslot_other, ALWAYS },
	{ "invalidated", case_invalidated, ALWAYS },
	{ "two_vcpus", case_two_vcpus, ALWAYS },
	{ "init", case_init, ALWAYS },
	{ "reset", case_reset, ALWAYS },
	{ "nested", case_nested, NESTED },
	{ "hostile", case_hostile, OFFERED },
	{ "sibling", case_sibling, OFFERED },
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
		if (supported->entries[i].function == 0x80000001)
			svm = supported->entries[i].ecx & 1U << 2;
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

static void on_kick(int signal)
{
	(void)signal;
}

/* A wait for a deadline that was lost has no end. */
static void on_alarm(int signal)
{
	(void)signal;
	dprintf(STDOUT_FILENO, "%s FAIL (takes more than %d s)\n", case_name, CASE_SECONDS);
	_exit(1);
}

static bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	while (*names && strcmp(*names, name))
		names++;
	return *names;
}

int main(int argc, char **argv)
{
	struct sigaction kick = { .sa_handler = on_kick };
	bool failed = false;

	(void)argc;
	sigaction(SIGUSR1, &kick, NULL);
	signal(SIGALRM, on_alarm);

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
		bool skip = cases[i].when == (offered ? ABSENT : OFFERED) ||
			    (cases[i].when == NESTED && !svm);

		if (!wanted(cases[i].name, argv + 1))
			continue;
		case_name = cases[i].name;
		case_failed = false;
		alarm(CASE_SECONDS);
		if (!skip)
			cases[i].run(offered);
		failed |= case_failed;
		printf("%s %s\n", case_name, skip ? "skipped" : case_failed ? "FAIL" : "ok");
	}
	return failed ? 1 : 0;
}
