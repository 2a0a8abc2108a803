// SPDX-License-Identifier: BSD-2-Clause
/*
 * The machine as it stands before the first instruction: memory with kernel, initramfs, boot
 * parameters and MP table, CPUID, and the first vCPU in 64-bit mode at the kernel's entry.
 */
#include <asm/bootparam.h>
#include <asm/kvm_para.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "die.h"
#include "machine.h"

/* Guest physical addresses. */
#define GDT_ADDR     0x8000
#define PML4_ADDR    0x9000 /* then one PDPT and four page directories */
#define PARAMS_ADDR  0x10000
#define CMDLINE_ADDR 0x20000
#define EBDA_ADDR    0x9fc00
#define MP_ADDR	     0xf0000
#define HIGH_ADDR    0x100000

void machine_memory(struct vmm *m)
{
	m->ram_size = (size_t)m->opt.mem_mb << 20;
	m->ram = mmap(NULL, m->ram_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (m->ram == MAP_FAILED)
		vmm_die("%d MiB of guest memory: %m", m->opt.mem_mb);
}

static void read_at(struct vmm *m, int fd, const char *path, off_t off, uint64_t gpa, size_t len)
{
	if (gpa > m->ram_size || len > m->ram_size - gpa)
		vmm_die("%s: does not fit into %d MiB", path, m->opt.mem_mb);
	while (len) {
		ssize_t n = pread(fd, m->ram + gpa, len, off);

		if (n <= 0)
			vmm_die("%s: %s", path, n ? strerror(errno) : "truncated");
		gpa += n;
		off += n;
		len -= n;
	}
}

/* The 64-bit entry point, where the ELF file says it is (a physical address in vmlinux). */
static uint64_t load_vmlinux(struct vmm *m)
{
	const char *path = m->opt.kernel;
	int fd = open(path, O_RDONLY);
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	if (fd < 0)
		vmm_die("%s: %m", path);
	if (pread(fd, &eh, sizeof(eh), 0) != sizeof(eh) || memcmp(eh.e_ident, ELFMAG, SELFMAG) ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64)
		vmm_die("%s: expected a 64-bit x86 ELF file", path);
	for (int i = 0; i < eh.e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph)) != sizeof(ph))
			vmm_die("%s: truncated", path);
		if (ph.p_type == PT_LOAD)
			read_at(m, fd, path, ph.p_offset, ph.p_paddr, ph.p_filesz);
	}
	close(fd);
	return eh.e_entry;
}

static void add_e820(struct boot_params *bp, uint64_t addr, uint64_t end, uint32_t type)
{
	bp->e820_table[bp->e820_entries++] =
		(struct boot_e820_entry){ .addr = addr, .size = end - addr, .type = type };
}

static void load_params(struct vmm *m)
{
	struct boot_params *bp = (void *)(m->ram + PARAMS_ADDR);
	size_t len = strlen(m->opt.append) + 1;
	struct stat st;
	uint64_t addr;
	int fd;

	if (len > 2048)
		vmm_die("the kernel command line has %zu characters, at most 2047 fit", len - 1);
	memcpy(m->ram + CMDLINE_ADDR, m->opt.append, len);

	fd = open(m->opt.initrd, O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		vmm_die("%s: %m", m->opt.initrd);
	if ((size_t)st.st_size > m->ram_size / 2)
		vmm_die("%s: does not fit into %d MiB", m->opt.initrd, m->opt.mem_mb);
	addr = (m->ram_size - st.st_size) & ~0xfffULL;
	read_at(m, fd, m->opt.initrd, 0, addr, st.st_size);
	close(fd);

	bp->hdr.type_of_loader = 0xff;
	bp->hdr.boot_flag = 0xaa55;
	bp->hdr.header = 0x53726448;
	bp->hdr.version = 0x20c;
	bp->hdr.loadflags = LOADED_HIGH;
	bp->hdr.cmd_line_ptr = CMDLINE_ADDR;
	bp->hdr.cmdline_size = 2047;
	bp->hdr.ramdisk_image = addr;
	bp->hdr.ramdisk_size = st.st_size;
	add_e820(bp, 0, EBDA_ADDR, 1);
	add_e820(bp, EBDA_ADDR, 0xa0000, 2);
	add_e820(bp, MP_ADDR, HIGH_ADDR, 2);
	add_e820(bp, HIGH_ADDR, m->ram_size, 1);
}

static uint8_t checksum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum += *p++;
	return -sum;
}

struct mp_cpu {
	uint8_t type, apic_id, version, flags;
	uint32_t signature, features, reserved[2];
} __attribute__((packed));

struct mp_bus {
	uint8_t type, id;
	char name[6];
} __attribute__((packed));

struct mp_ioapic {
	uint8_t type, id, version, flags;
	uint32_t addr;
} __attribute__((packed));

struct mp_intr {
	uint8_t type, kind;
	uint16_t flags;
	uint8_t bus, irq, apic, pin;
} __attribute__((packed));

static uint8_t *mp_entries(struct vmm *m, uint8_t *p, uint16_t *entries)
{
	uint8_t ioapic_id = m->opt.cpus;
	struct mp_bus bus = { .type = 1, .id = 0, .name = "ISA   " };
	struct mp_ioapic ioapic = { 2, ioapic_id, 0x11, 1, 0xfec00000 };

	for (int i = 0; i < m->opt.cpus; i++) {
		struct mp_cpu cpu = { .apic_id = i, .version = 0x14, .flags = i ? 1 : 3 };

		memcpy(p, &cpu, sizeof(cpu));
		p += sizeof(cpu);
	}
	memcpy(p, &bus, sizeof(bus));
	p += sizeof(bus);
	memcpy(p, &ioapic, sizeof(ioapic));
	p += sizeof(ioapic);
	/* KVM's default routing: GSI n is IOAPIC pin n, the PIT's included. */
	for (uint8_t i = 0; i < 16; i++) {
		struct mp_intr intr = { 3, 0, 0, 0, i, ioapic_id, i };

		memcpy(p, &intr, sizeof(intr));
		p += sizeof(intr);
	}
	for (uint8_t i = 0; i < 2; i++) {
		struct mp_intr lint = { 4, i ? 1 : 3, 0, 0, 0, 0xff, i };

		memcpy(p, &lint, sizeof(lint));
		p += sizeof(lint);
	}
	*entries = m->opt.cpus + 2 + 16 + 2;
	return p;
}

/* Intel's MultiProcessor Specification 1.4: the floating pointer, then the table. */
static void load_mp_table(struct vmm *m)
{
	uint8_t *fp = m->ram + MP_ADDR, *table = fp + 16, *end;
	uint32_t addr = MP_ADDR + 16, lapic = 0xfee00000;
	uint16_t entries, len;

	end = mp_entries(m, table + 44, &entries);
	len = end - table;
	memcpy(table, "PCMP", 4);
	memcpy(table + 4, &len, 2);
	table[6] = 4;
	memcpy(table + 8, "LAZYTSC VMM         ", 20);
	memcpy(table + 34, &entries, 2);
	memcpy(table + 36, &lapic, 4);
	table[7] = checksum(table, len);

	memcpy(fp, "_MP_", 4);
	memcpy(fp + 4, &addr, 4);
	fp[8] = 1;
	fp[9] = 4;
	fp[10] = checksum(fp, 16);
}

static void load_page_tables(struct vmm *m)
{
	uint64_t *gdt = (void *)(m->ram + GDT_ADDR);
	uint64_t *pml4 = (void *)(m->ram + PML4_ADDR), *pdpt = pml4 + 512, *pd = pdpt + 512;

	gdt[2] = 0x00af9b000000ffff;
	gdt[3] = 0x00cf93000000ffff;
	pml4[0] = (PML4_ADDR + 0x1000) | 3;
	for (uint64_t i = 0; i < 4; i++)
		pdpt[i] = (PML4_ADDR + 0x2000 + i * 0x1000) | 3;
	for (uint64_t i = 0; i < 4 * 512; i++)
		pd[i] = (i << 21) | 0x83;
}

void machine_load(struct vmm *m)
{
	m->entry = load_vmlinux(m);
	load_params(m);
	load_mp_table(m);
	load_page_tables(m);
}

void machine_boot_regs(struct vcpu *v)
{
	struct kvm_segment code = { .base = 0,
				    .limit = ~0u,
				    .selector = 0x10,
				    .type = 11,
				    .present = 1,
				    .s = 1,
				    .l = 1,
				    .g = 1 };
	struct kvm_segment data = { .base = 0,
				    .limit = ~0u,
				    .selector = 0x18,
				    .type = 3,
				    .present = 1,
				    .s = 1,
				    .db = 1,
				    .g = 1 };
	struct kvm_regs regs = { .rip = v->vmm->entry, .rsi = PARAMS_ADDR, .rflags = 2 };
	struct kvm_sregs s;

	if (ioctl(v->fd, KVM_GET_SREGS, &s))
		vmm_die("KVM_GET_SREGS: %m");
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.gdt.base = GDT_ADDR;
	s.gdt.limit = 31;
	s.cr0 = 0x80000011; /* PG, ET, PE */
	s.cr3 = PML4_ADDR;
	s.cr4 = 0x20; /* PAE */
	s.efer = 0x500; /* LMA, LME */
	if (ioctl(v->fd, KVM_SET_SREGS, &s) || ioctl(v->fd, KVM_SET_REGS, &regs))
		vmm_die("setting the boot registers: %m");
}

/* Keep what the guest may have; its leaves are changed in place. */
static bool keep_leaf(struct vmm *m, struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case 1:
		/*
		 * TSC deadline, x2APIC, hypervisor; no FMA, XSAVE, AVX, F16C; no VMX, whose state
		 * is not saved
		 */
		e->ecx |= 1u << 24 | 1u << 21 | 1u << 31;
		e->ecx &= ~(1u << 5 | 1u << 12 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 29);
		e->edx &= ~(1u << 28);
		break;
	case 7:
		/* No AVX2, no AVX-512, and no features of a page table that is never used here */
		e->ebx &= ~(1u << 5 | 0xdc230000u);
		e->ecx = 0;
		e->edx = 0;
		break;
	case 0xb:
	case 0xd:
	case 0x14:
	case 0x1f:
		return false;
	case 0x80000001:
		/* No SVM, XOP, FMA4 */
		e->ecx &= ~(1u << 2 | 1u << 11 | 1u << 16);
		break;
	case 0x40000001:
		if (!m->opt.lazy)
			e->eax &= ~(1u << LAZYTSC_CPUID_BIT);
		else if (!(e->eax & 1u << LAZYTSC_CPUID_BIT))
			vmm_die("--lazy: this kernel's KVM does not offer CPUID bit %d",
				LAZYTSC_CPUID_BIT);
		/*
		 * No PV EOI: with counted instructions QEMU may deliver an interrupt that KVM
		 * has injected once more, as long as no VM exit has followed. So one does, at
		 * the beginning of each handler (docs/kernel-testing.md, "Hangs").
		 */
		e->eax &= ~(1u << KVM_FEATURE_PV_EOI);
		break;
	}
	return true;
}

void machine_cpuid(struct vmm *m)
{
	struct kvm_cpuid2 *all;
	uint32_t kept = 0;

	all = calloc(1, sizeof(*all) + VMM_MAX_CPUID * sizeof(all->entries[0]));
	if (!all)
		vmm_die("out of memory");
	all->nent = VMM_MAX_CPUID;
	if (ioctl(m->kvm, KVM_GET_SUPPORTED_CPUID, all))
		vmm_die("KVM_GET_SUPPORTED_CPUID: %m");
	for (uint32_t i = 0; i < all->nent; i++)
		if (keep_leaf(m, &all->entries[i]))
			all->entries[kept++] = all->entries[i];
	all->nent = kept;
	m->cpuid = all;
}

void machine_set_cpuid(struct vmm *m, struct vcpu *v)
{
	for (uint32_t i = 0; i < m->cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &m->cpuid->entries[i];

		if (e->function == 1)
			e->ebx = (e->ebx & 0xffff) | 1u << 16 | (uint32_t)v->index << 24;
	}
	if (ioctl(v->fd, KVM_SET_CPUID2, m->cpuid))
		vmm_die("KVM_SET_CPUID2: %m");
}
