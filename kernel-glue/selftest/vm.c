// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A VM of the self-test, see vm.h. */
#include <errno.h>
#include <elf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm.h"

asm(".section .rodata\n"
    ".balign 8\n"
    "guest_elf: .incbin \"selftest-guest\"\n"
    "guest_elf_end:\n"
    ".previous\n");
extern const char guest_elf[], guest_elf_end[];

int kvm;
struct kvm_cpuid2 *supported;
bool offered, svm;
const char *case_name;
bool case_failed;

__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fprintf(stderr, "selftest: %s: ", case_name ? case_name : "start");
	vfprintf(stderr, format, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(2);
}

int xioctl(int fd, unsigned long request, void *arg, const char *name)
{
	int r = ioctl(fd, request, arg);

	if (r < 0)
		die("%s: %s", name, strerror(errno));
	return r;
}

u64 get_msr(struct vm *vm, u32 index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = index };

	if (IOCTL(vm->vcpu, KVM_GET_MSRS, &msrs) != 1)
		die("MSR %#x cannot be read", index);
	return msrs.entry.data;
}

bool try_set_msr(struct vm *vm, u32 index, u64 value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = index, .entry.data = value };

	return IOCTL(vm->vcpu, KVM_SET_MSRS, &msrs) == 1;
}

void set_msr(struct vm *vm, u32 index, u64 value)
{
	if (!try_set_msr(vm, index, value))
		die("MSR %#x cannot be set to %#llx", index, (unsigned long long)value);
}

bool find_stat(struct vm *vm, const char *name, u64 *value)
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

u64 vcpu_stat(struct vm *vm, const char *name)
{
	u64 value = 0;

	find_stat(vm, name, &value);
	return value;
}

void set_slot_flags(struct vm *vm, u32 slot, u64 gpa, void *memory, u64 size, u32 flags)
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

void set_slot(struct vm *vm, u32 slot, u64 gpa, void *memory, u64 size)
{
	set_slot_flags(vm, slot, gpa, memory, size, 0);
}

void *map(size_t size)
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

void set_registers(struct vm *vm)
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

bool try_set_cpuid(struct vm *vm, bool lazy)
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

void add_bare_vcpu(struct vm *vm, int id)
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

void set_cpuid(struct vm *vm, bool lazy)
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

struct vm create_without_vcpu(void)
{
	struct vm vm = { .ram = map(RAM_SIZE), .page = map(AREA_SIZE) };

	vm.fd = IOCTL(kvm, KVM_CREATE_VM, 0);
	IOCTL(vm.fd, KVM_SET_TSS_ADDR, 0xfffbd000);
	IOCTL(vm.fd, KVM_CREATE_IRQCHIP, 0);
	set_slot(&vm, 0, 0, vm.ram, RAM_SIZE);
	set_slot(&vm, 1, AREA_ADDR, vm.page, AREA_SIZE);
	return vm;
}

struct vm create(bool lazy)
{
	struct vm vm = create_without_vcpu();

	add_vcpu(&vm, 0, lazy);
	return vm;
}

void destroy_vcpu(struct vm *vm)
{
	munmap(vm->run, IOCTL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(vm->stats);
	close(vm->vcpu);
}

void tell_repeated(struct vm *vm)
{
	if (vm->shared->repeated)
		printf("%s: the machine has delivered %llu interrupts twice\n", case_name,
		       (unsigned long long)vm->shared->repeated);
	vm->shared->repeated = 0;
}

void destroy(struct vm *vm)
{
	tell_repeated(vm);
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

void run(struct vm *vm)
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

u64 guest_args(struct vm *vm, enum command command, const u64 *args)
{
	set_command(vm, command, args);
	run(vm);
	return vm->shared->result[0];
}

void enable(struct vm *vm)
{
	if (guest(vm, CMD_ENABLE, AREA_ADDR + ((char *)vm->area - (char *)vm->page)))
		die("the guest's area was refused");
}

void start_guest(struct vm *vm, bool lazy)
{
	run(vm);
	guest(vm, CMD_START, 0);
	if (lazy)
		enable(vm);
}

struct vm start(bool lazy)
{
	struct vm vm = create(lazy);

	start_guest(&vm, lazy);
	return vm;
}

struct vm start_second(const struct vm *first, bool lazy)
{
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct vm vm = *first;

	add_vcpu(&vm, 1, lazy);
	IOCTL(vm.vcpu, KVM_SET_MP_STATE, &runnable);
	start_guest(&vm, lazy);
	return vm;
}

void *run_vcpu(void *arg)
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

pthread_t guest_in_thread(struct vm *vm, enum command command, const u64 *args,
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

void wait_ms(struct vm *vm, u64 ms)
{
	guest(vm, CMD_WAIT, ms * vm->ms);
}

u64 guest_wrmsr(struct vm *vm, u32 msr, u64 value)
{
	return guest(vm, CMD_WRMSR, msr, value);
}

u64 guest_rdmsr(struct vm *vm, u32 msr)
{
	guest(vm, CMD_RDMSR, msr);
	return vm->shared->result[1];
}

void check_fired(struct vm *vm, u64 t)
{
	CHECK(vm->shared->interrupts == 1, "%llu interrupts",
	      (unsigned long long)vm->shared->interrupts);
	CHECK(vm->shared->irq_tsc >= t, "%lld cycles early (A6)",
	      (long long)(t - vm->shared->irq_tsc));
	CHECK(get_msr(vm, MSR_IA32_TSC_DEADLINE) == 0, "still set (A3)");
}

void check_silent(struct vm *vm, const char *when)
{
	CHECK(vm->shared->interrupts == 0, "%llu interrupts %s",
	      (unsigned long long)vm->shared->interrupts, when);
}

void check_example(struct vm *vm, bool lazy)
{
	u64 silent = vcpu_stat(vm, "lazy_tscdeadline_silent"), t3;
	u64 writes = guest(vm, CMD_SET, 4 * vm->ms, 6 * vm->ms, 8 * vm->ms, 10 * vm->ms);

	t3 = vm->shared->result[1];
	CHECK(writes == (lazy ? 1 : 4), "%llu writes", (unsigned long long)writes);
	CHECK(get_msr(vm, MSR_IA32_TSC_DEADLINE) == t3, "not the last deadline (B14)");
	wait_ms(vm, 20);
	check_fired(vm, t3);
	silent = vcpu_stat(vm, "lazy_tscdeadline_silent") - silent;
	CHECK(silent <= (lazy ? 3 : 0), "%llu silent expiries, 3 skips (B12)",
	      (unsigned long long)silent);
}
