// SPDX-License-Identifier: BSD-2-Clause
/*
 * Create a VM; save everything that KVM knows of one and go on in a new one with the same memory.
 *
 * The two timer MSRs are kept out of the general list: a test chooses their order, and whether the
 * VMM knows LAZYTSC_MSR at all. Guest time goes on meanwhile: the TSC offset is kept.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "count.h"
#include "die.h"
#include "machine.h"
#include "state.h"

#define LAPIC_ISR	 0x100
#define LAPIC_IRR	 0x200
#define LAPIC_LVTT	 0x320
#define MSR_TSC		 0x10
#define MSR_TSC_DEADLINE 0x6e0

#define IOCTL(fd, cmd, arg)                      \
	do {                                     \
		if (ioctl(fd, cmd, arg) < 0)     \
			vmm_die("%s: %m", #cmd); \
	} while (0)

struct msrs {
	struct kvm_msrs head;
	struct kvm_msr_entry entry[VMM_MAX_MSRS];
};

struct vcpu_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave; /* not kvm_fpu: it does not say which parts are in use */
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_lapic_state lapic;
	struct msrs msrs;
	uint64_t tsc_offset;
	uint64_t deadline, pv;
	bool has_pv;
};

struct vm_state {
	struct kvm_irqchip irqchip[3];
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock;
	struct vcpu_state vcpu[VMM_MAX_CPUS];
};

static void create_vcpu(struct vmm *m, struct vcpu *v)
{
	int size = ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	v->fd = ioctl(m->fd, KVM_CREATE_VCPU, v->index);
	if (v->fd < 0)
		vmm_die("KVM_CREATE_VCPU %d: %m", v->index);
	v->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED)
		vmm_die("vCPU %d: mmap: %m", v->index);
	machine_set_cpuid(m, v);
}

static void list_msrs(struct vmm *m)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + VMM_MAX_MSRS * sizeof(uint32_t));

	if (!list)
		vmm_die("out of memory");
	list->nmsrs = VMM_MAX_MSRS;
	IOCTL(m->kvm, KVM_GET_MSR_INDEX_LIST, list);
	m->msr_list = list;
}

static void tsc_offset(int fd, unsigned long cmd, uint64_t *value)
{
	struct kvm_device_attr attr = { .group = KVM_VCPU_TSC_CTRL,
					.attr = KVM_VCPU_TSC_OFFSET,
					.addr = (uintptr_t)value };

	if (ioctl(fd, cmd, &attr))
		vmm_die("KVM_VCPU_TSC_OFFSET: %m");
}

/* All vCPUs on the first one's: created at different times, they may differ. */
static void synchronise_tsc(struct vmm *m)
{
	uint64_t offset;

	tsc_offset(m->vcpu[0].fd, KVM_GET_DEVICE_ATTR, &offset);
	for (int i = 1; i < m->opt.cpus; i++)
		tsc_offset(m->vcpu[i].fd, KVM_SET_DEVICE_ATTR, &offset);
}

void vm_create(struct vmm *m)
{
	struct kvm_userspace_memory_region mem = { .memory_size = m->ram_size,
						   .userspace_addr = (uintptr_t)m->ram };
	struct kvm_pit_config pit = { .flags = 0 };
	__u64 identity_map = 0xfeffc000;

	if (!m->msr_list)
		list_msrs(m);
	m->fd = ioctl(m->kvm, KVM_CREATE_VM, 0);
	if (m->fd < 0)
		vmm_die("KVM_CREATE_VM: %m");
	if (ioctl(m->fd, KVM_SET_TSS_ADDR, 0xfeffd000ul))
		vmm_die("KVM_SET_TSS_ADDR: %m");
	IOCTL(m->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
	if (ioctl(m->fd, KVM_CREATE_IRQCHIP, 0))
		vmm_die("KVM_CREATE_IRQCHIP: %m");
	IOCTL(m->fd, KVM_CREATE_PIT2, &pit);
	IOCTL(m->fd, KVM_SET_USER_MEMORY_REGION, &mem);
	for (int i = 0; i < m->opt.cpus; i++)
		create_vcpu(m, &m->vcpu[i]);
	synchronise_tsc(m);
}

static void destroy(struct vmm *m)
{
	int size = ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	for (int i = 0; i < m->opt.cpus; i++) {
		munmap(m->vcpu[i].run, size);
		close(m->vcpu[i].fd);
	}
	close(m->fd);
}

static bool get_msr(int fd, uint32_t index, uint64_t *value)
{
	struct msrs msrs = { .head.nmsrs = 1, .entry[0].index = index };

	if (ioctl(fd, KVM_GET_MSRS, &msrs) != 1)
		return false;
	*value = msrs.entry[0].data;
	return true;
}

static void set_msr(int fd, uint32_t index, uint64_t value)
{
	struct msrs msrs = { .head.nmsrs = 1, .entry[0] = { .index = index, .data = value } };

	if (ioctl(fd, KVM_SET_MSRS, &msrs) != 1)
		vmm_die("restoring MSR 0x%x = 0x%llx was refused", index,
			(unsigned long long)value);
}

/* MSRs that this vCPU's CPUID hides are not readable: they are not part of its state. */
static void save_msrs(struct vmm *m, int fd, struct vcpu_state *s)
{
	for (uint32_t i = 0; i < m->msr_list->nmsrs; i++) {
		uint32_t index = m->msr_list->indices[i];
		struct kvm_msr_entry *e = &s->msrs.entry[s->msrs.head.nmsrs];
		uint64_t value;

		if (index == LAZYTSC_MSR)
			s->has_pv = get_msr(fd, index, &s->pv);
		else if (index != MSR_TSC_DEADLINE && index != MSR_TSC &&
			 get_msr(fd, index, &value)) {
			e->index = index;
			e->data = value;
			s->msrs.head.nmsrs++;
		}
	}
	if (!get_msr(fd, MSR_TSC_DEADLINE, &s->deadline))
		vmm_die("MSR_IA32_TSC_DEADLINE cannot be read");
}

static void save_vcpu(struct vmm *m, int fd, struct vcpu_state *s)
{
	IOCTL(fd, KVM_GET_MP_STATE, &s->mp_state);
	IOCTL(fd, KVM_GET_REGS, &s->regs);
	IOCTL(fd, KVM_GET_SREGS, &s->sregs);
	IOCTL(fd, KVM_GET_XSAVE, &s->xsave);
	IOCTL(fd, KVM_GET_XCRS, &s->xcrs);
	IOCTL(fd, KVM_GET_DEBUGREGS, &s->debugregs);
	IOCTL(fd, KVM_GET_VCPU_EVENTS, &s->events);
	IOCTL(fd, KVM_GET_LAPIC, &s->lapic);
	tsc_offset(fd, KVM_GET_DEVICE_ATTR, &s->tsc_offset);
	save_msrs(m, fd, s);
}

/* Writing an MSR back can be refused where reading was not (read-only on this CPU): skip it. */
static void restore_msrs(int fd, struct vcpu_state *s)
{
	for (uint32_t i = 0; i < s->msrs.head.nmsrs; i++) {
		struct msrs one = { .head.nmsrs = 1, .entry[0] = s->msrs.entry[i] };

		if (ioctl(fd, KVM_SET_MSRS, &one) < 0)
			vmm_die("KVM_SET_MSRS 0x%x: %m", one.entry[0].index);
	}
}

enum part { PART_LAPIC, PART_TSC, PART_DEADLINE, PART_AREA, PARTS };

static void restore_part(int fd, struct vcpu_state *s, enum part part, enum vmm_left_out out)
{
	switch (part) {
	case PART_LAPIC:
		IOCTL(fd, KVM_SET_LAPIC, &s->lapic);
		break;
	case PART_TSC:
		tsc_offset(fd, KVM_SET_DEVICE_ATTR, &s->tsc_offset);
		break;
	case PART_DEADLINE:
		if (out != VMM_NO_DEADLINE)
			set_msr(fd, MSR_TSC_DEADLINE, out == VMM_ZERO_DEADLINE ? 0 : s->deadline);
		break;
	case PART_AREA:
		if (s->has_pv && out != VMM_UNAWARE)
			set_msr(fd, LAZYTSC_MSR, s->pv);
		break;
	case PARTS:
		break;
	}
}

static void restore_vcpu(int fd, struct vcpu_state *s, unsigned int how)
{
	enum part left[PARTS] = { PART_LAPIC, PART_TSC, PART_DEADLINE, PART_AREA };
	enum vmm_left_out out = how / VMM_ORDERS;
	unsigned int order = how % VMM_ORDERS;
	bool safe = !s->has_pv || !s->pv || out == VMM_UNAWARE;

	if (safe && out != VMM_UNAWARE)
		out = VMM_ALL;
	IOCTL(fd, KVM_SET_SREGS, &s->sregs);
	IOCTL(fd, KVM_SET_REGS, &s->regs);
	IOCTL(fd, KVM_SET_XSAVE, &s->xsave);
	IOCTL(fd, KVM_SET_XCRS, &s->xcrs);
	IOCTL(fd, KVM_SET_DEBUGREGS, &s->debugregs);
	restore_msrs(fd, s);
	for (unsigned int i = 0; i < PARTS; i++) {
		unsigned int rest = PARTS - i, pick = safe ? 0 : order % rest;

		order /= rest;
		restore_part(fd, s, left[pick], out);
		memmove(left + pick, left + pick + 1, (rest - pick - 1) * sizeof(left[0]));
	}
	IOCTL(fd, KVM_SET_VCPU_EVENTS, &s->events);
	IOCTL(fd, KVM_SET_MP_STATE, &s->mp_state);
}

static void save(struct vmm *m, struct vm_state *s)
{
	for (int i = 0; i < m->opt.cpus; i++)
		save_vcpu(m, m->vcpu[i].fd, &s->vcpu[i]);
	for (int i = 0; i < 3; i++) {
		s->irqchip[i].chip_id = i;
		IOCTL(m->fd, KVM_GET_IRQCHIP, &s->irqchip[i]);
	}
	IOCTL(m->fd, KVM_GET_PIT2, &s->pit);
	IOCTL(m->fd, KVM_GET_CLOCK, &s->clock);
}

static void restore(struct vmm *m, struct vm_state *s, unsigned int how)
{
	s->clock.flags &= KVM_CLOCK_REALTIME;
	IOCTL(m->fd, KVM_SET_CLOCK, &s->clock);
	for (int i = 0; i < 3; i++)
		IOCTL(m->fd, KVM_SET_IRQCHIP, &s->irqchip[i]);
	IOCTL(m->fd, KVM_SET_PIT2, &s->pit);
	for (int i = 0; i < m->opt.cpus; i++)
		restore_vcpu(m->vcpu[i].fd, &s->vcpu[i], how);
}

void vm_save_restore(struct vmm *m, unsigned int how)
{
	struct vm_state *s = calloc(1, sizeof(*s));

	if (!s)
		vmm_die("out of memory");
	save(m, s);
	counts_detach(m->counts);
	destroy(m);
	vm_create(m);
	counts_attach(m->counts, m);
	restore(m, s, how);
	free(s);
	m->restores++;
}

/* The guest's clock is set forward by so much with each jump of the TSC. ns */
#define CLOCK_FORWARD 20000000

/*
 * Only the TSC is another one, the guest's clock goes on: KVM computes it anew when it is set. It
 * must not go back by that. Where the host has mismeasured its TSC, as in an emulator that runs in
 * real time, the guest's clock is ahead by some per cent of the time since it was set last.
 */
void vm_jump(struct vmm *m, long long ns)
{
	struct kvm_clock_data clock;

	for (int i = 0; i < m->opt.cpus; i++) {
		int fd = m->vcpu[i].fd;
		int khz = ioctl(fd, KVM_GET_TSC_KHZ, 0);
		uint64_t offset;

		if (khz < 0)
			vmm_die("KVM_GET_TSC_KHZ: %m");
		tsc_offset(fd, KVM_GET_DEVICE_ATTR, &offset);
		offset += ns * khz / 1000000;
		tsc_offset(fd, KVM_SET_DEVICE_ATTR, &offset);
	}
	IOCTL(m->fd, KVM_GET_CLOCK, &clock);
	clock.flags &= KVM_CLOCK_REALTIME;
	clock.clock += CLOCK_FORWARD;
	IOCTL(m->fd, KVM_SET_CLOCK, &clock);
	m->jumps++;
}

static void show_bits(const struct kvm_lapic_state *lapic, const char *name, int first)
{
	fprintf(stderr, " %s", name);
	for (int r = 7; r >= 0; r--) {
		uint32_t word;

		memcpy(&word, lapic->regs + first + 16 * r, sizeof(word));
		fprintf(stderr, " %08x", word);
	}
}

static void show_area(struct vmm *m, uint64_t word)
{
	const struct lazytsc_area *area;

	if (!word || (word & LAZYTSC_MSR_GPA) > m->ram_size - sizeof(*area))
		return;
	area = (const void *)((char *)m->ram + (word & LAZYTSC_MSR_GPA));
	fprintf(stderr, " armed %llu pending %llu done %llu",
		(unsigned long long)area->armed.port_only,
		(unsigned long long)area->pending.port_only,
		(unsigned long long)area->done.port_only);
}

void vm_show(struct vmm *m)
{
	for (int i = 0; i < m->opt.cpus; i++) {
		int fd = m->vcpu[i].fd;
		struct kvm_mp_state mp;
		struct kvm_lapic_state lapic;
		struct kvm_regs regs;
		uint64_t tsc = 0, deadline = 0, pv = 0;
		uint32_t lvtt;

		IOCTL(fd, KVM_GET_MP_STATE, &mp);
		IOCTL(fd, KVM_GET_REGS, &regs);
		IOCTL(fd, KVM_GET_LAPIC, &lapic);
		get_msr(fd, MSR_TSC, &tsc);
		get_msr(fd, MSR_TSC_DEADLINE, &deadline);
		get_msr(fd, LAZYTSC_MSR, &pv);
		memcpy(&lvtt, lapic.regs + LAPIC_LVTT, sizeof(lvtt));
		fprintf(stderr,
			"lazytsc-vmm: vCPU %d: mp_state %u rip 0x%llx rflags 0x%llx tsc %llu deadline %llu lvtt 0x%x pv 0x%llx",
			i, mp.mp_state, regs.rip, regs.rflags, (unsigned long long)tsc,
			(unsigned long long)deadline, lvtt, (unsigned long long)pv);
		show_area(m, pv);
		show_bits(&lapic, "irr", LAPIC_IRR);
		show_bits(&lapic, "isr", LAPIC_ISR);
		fputc('\n', stderr);
	}
}
