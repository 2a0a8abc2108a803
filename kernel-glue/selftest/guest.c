// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The self-test's guest: a program without a kernel, in 64-bit mode with everything mapped one
 * to one. It programs its timer as the core's guest side says, and does what the host asks for.
 */
#include <lazytsc/guest.h>

#include "selftest.h"

#define MSR_APIC_BASE	 0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC_EOI	 0x80b
#define MSR_X2APIC_SVR	 0x80f
#define MSR_X2APIC_LVTT	 0x832
#define MSR_EFER	 0xc0000080
#define EFER_SVME	 (1ULL << 12)
#define MSR_VM_HSAVE_PA	 0xc0010117
#define X2APIC_ENABLE	 (3ULL << 10)
#define SVR_ENABLE	 0x1ff
#define LVTT_DEADLINE	 (2U << 17)
#define TIMER_VECTOR	 0x20
#define GP_VECTOR	 13
#define RFLAGS_IF	 (1ULL << 9)

/* At the start of a vCPU's block, the end of which is its stack. */
struct cpu {
	volatile struct shared shared;
	struct lazytsc_guest lazy;
};

static inline struct cpu *this_cpu(void)
{
	return (struct cpu *)((u64)__builtin_frame_address(0) & ~(u64)(CPU_SIZE - 1));
}

#define shared (&this_cpu()->shared)
#define lazy   (this_cpu()->lazy)

struct gate {
	unsigned short low, selector, flags, middle;
	u32 high, zero;
} __attribute__((packed));

static struct gate idt[TIMER_VECTOR + 1];

struct frame {
	u64 rip, cs, rflags, rsp, ss;
};

/* About a millisecond on any machine that emulates this. */
#define GRACE 2000000

static u64 rdtsc(void)
{
	u32 lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

u64 lazytsc_tsc(void)
{
	return rdtsc();
}

static void wrmsr(u32 msr, u64 v)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static u64 rdmsr(u32 msr)
{
	u32 lo = 0, hi = 0;

	asm volatile("rdmsr" : "+a"(lo), "+d"(hi) : "c"(msr) : "memory");
	return (u64)hi << 32 | lo;
}

__attribute__((interrupt)) static void timer_interrupt(struct frame *f)
{
	/*
	 * No processor interrupts a handler whose interrupts are off. An emulator that loses count
	 * of what it has delivered does so at the handler's first instruction.
	 */
	if (!(f->rflags & RFLAGS_IF)) {
		shared->repeated++;
		return;
	}
	shared->interrupts++;
	shared->irq_tsc = rdtsc();
	wrmsr(MSR_X2APIC_EOI, 0);
}

__attribute__((interrupt)) static void wake_interrupt(struct frame *f)
{
	(void)f;
	shared->wakes++;
	wrmsr(MSR_X2APIC_EOI, 0);
}

/* RDMSR and WRMSR are two bytes. */
__attribute__((interrupt)) static void gp_fault(struct frame *f, u64 code)
{
	(void)code;
	shared->faults++;
	f->rip += 2;
}

static void set_gate(int vector, u64 handler)
{
	idt[vector] = (struct gate){
		.low = handler,
		.selector = CODE_SEL,
		.flags = 0x8e00,
		.middle = handler >> 16,
		.high = handler >> 32,
	};
}

static void start(void)
{
	struct {
		unsigned short limit;
		u64 base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (u64)idt };

	set_gate(TIMER_VECTOR, (u64)timer_interrupt);
	set_gate(WAKE_VECTOR, (u64)wake_interrupt);
	set_gate(GP_VECTOR, (u64)gp_fault);
	asm volatile("lidt %0" : : "m"(idtr));
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | X2APIC_ENABLE);
	wrmsr(MSR_X2APIC_SVR, SVR_ENABLE);
	wrmsr(MSR_X2APIC_LVTT, LVTT_DEADLINE | TIMER_VECTOR);
	asm volatile("sti");
}

/* As a kernel does it (B27). Reads 0 where the host does not know the MSR. */
static void enable_again(void)
{
	u64 faults = shared->faults, word = rdmsr(LAZYTSC_MSR);

	word = shared->faults == faults ? lazytsc_guest_found(&lazy, word) : 0;
	if (word)
		wrmsr(LAZYTSC_MSR, word);
	if (shared->faults != faults)
		lazytsc_guest_disable(&lazy);
}

/* Interrupts off from the store to the MSR write, as the core wants it. */
static void set_deadline(u64 t)
{
	asm volatile("cli");
	if (lazytsc_guest_set(&lazy, t)) {
		wrmsr(MSR_TSC_DEADLINE, t);
		if (lazytsc_guest_wrote(&lazy, t))
			enable_again();
	}
	asm volatile("sti");
}

/* Returns the index of the argument after the 0. */
static int set_all(void)
{
	u64 now = rdtsc(), writes = lazy.writes, t = 0;
	int i;

	shared->result[2] = now + shared->arg[0];
	for (i = 0; i < 6 && shared->arg[i]; i++) {
		t = now + shared->arg[i];
		set_deadline(t);
	}
	shared->result[0] = lazy.writes - writes;
	shared->result[1] = t;
	return i + 1;
}

/* No return to user space, which withdraws as well, between the deadlines and the write. */
static void set_then_write(void)
{
	int i = set_all();

	wrmsr(shared->arg[i], shared->arg[i + 1]);
	shared->result[0] = lazy.area ? lazytsc_load(&lazy.area->armed) : 0;
	shared->result[2] = rdmsr(MSR_TSC_DEADLINE);
}

/* With no return to user space between the deadlines and the jump. */
static void set_then_jump(void)
{
	int i = set_all();
	u64 before = shared->result[1], writes, t;

	if (shared->arg[i])
		wrmsr(shared->arg[i], rdmsr(shared->arg[i]) + shared->arg[i + 1]);
	shared->result[2] = before;
	if (!shared->arg[i + 2])
		return;
	writes = lazy.writes;
	t = rdtsc() + shared->arg[i + 2];
	set_deadline(t);
	shared->result[0] = lazy.writes - writes;
	shared->result[1] = t;
}

static void set_then_disarm(void)
{
	u64 writes = lazy.writes;

	set_all();
	asm volatile("cli");
	if (lazytsc_guest_disarm(&lazy))
		wrmsr(MSR_TSC_DEADLINE, 0);
	asm volatile("sti");
	shared->result[0] = lazy.writes - writes;
	shared->result[2] = rdmsr(MSR_TSC_DEADLINE);
}

static void spin_until(u64 t)
{
	while (rdtsc() < t)
		asm volatile("pause");
}

static void set_too_late(void)
{
	u64 t = rdtsc() + shared->arg[0];

	asm volatile("cli");
	if (lazytsc_guest_set(&lazy, t))
		wrmsr(MSR_TSC_DEADLINE, t);
	spin_until(t + shared->arg[1]);
	wrmsr(MSR_TSC_DEADLINE, 0);
	asm volatile("sti");
	shared->result[1] = t;
}

static void set_then_wait(void)
{
	u64 now = rdtsc();
	int i = set_all();

	shared->ready = 1;
	spin_until(now + shared->arg[i]);
}

/* Returns with interrupts off. */
static u64 halt_until_other(volatile u64 *count, u64 before)
{
	u64 woken = 0;

	for (;;) {
		asm volatile("cli" : : : "memory");
		if (*count != before)
			return woken;
		asm volatile("sti; hlt" : : : "memory");
		woken++;
	}
}

static void wait_halted(void)
{
	u64 before = shared->interrupts, woken;

	set_all();
	shared->ready = 1;
	woken = halt_until_other(&shared->interrupts, before);
	asm volatile("sti");
	shared->result[0] = woken;
	shared->result[1] = shared->interrupts;
	shared->result[2] = shared->irq_tsc;
}

static void wait_woken(void)
{
	u64 before = shared->wakes, writes;
	int i = set_all();

	shared->result[2] = shared->result[1];
	shared->ready = 1;
	halt_until_other(&shared->wakes, before);
	writes = lazy.writes;
	if (shared->arg[i]) {
		shared->result[1] = rdtsc() + shared->arg[i];
		set_deadline(shared->result[1]);
	}
	asm volatile("sti");
	shared->result[0] = lazy.writes - writes;
}

/* Another vCPU's area. */
static void scribble(struct lazytsc_area *area, u64 distance, u64 until)
{
	u64 now;

	while ((now = rdtsc()) < until)
		lazytsc_store(&area->pending, now + distance);
}

static void hostile(u64 until)
{
	volatile u64 *area = (volatile u64 *)lazy.area;
	u64 x = 1;

	while (rdtsc() < until) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		area[0] = x & 1 ? x : rdtsc() + (x >> 44);
		area[1] = x & 2 ? x : rdtsc() + (x >> 44);
		if ((x >> 8) % 64 == 0)
			wrmsr(MSR_TSC_DEADLINE, rdtsc() + (x >> 44));
	}
	area[0] = 0;
	area[1] = 0;
	wrmsr(MSR_TSC_DEADLINE, 0);
}

/* AMD's VMCB, as far as it is used here. */
struct vmcb {
	u32 intercept[6], unused0[16];
	u32 asid, tlb_control;
	u64 interrupt_control, unused1;
	u64 exit_code, unused2[(0x400 - 0x78) / 8];
	struct vmcb_segment {
		unsigned short selector, attributes;
		u32 limit;
		u64 base;
	} segment[10];
	char unused3[0xd0 - 0xa0];
	u64 efer, unused4[(0x148 - 0xd8) / 8];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip, unused5[(0x1d8 - 0x180) / 8];
	u64 rsp, unused6[(0x1000 - 0x400 - 0x1e0) / 8];
};

_Static_assert(__builtin_offsetof(struct vmcb, asid) == 0x58, "as in the manual");
_Static_assert(__builtin_offsetof(struct vmcb, exit_code) == 0x70, "as in the manual");
_Static_assert(__builtin_offsetof(struct vmcb, efer) == 0x4d0, "as in the manual");
_Static_assert(__builtin_offsetof(struct vmcb, cr4) == 0x548, "as in the manual");
_Static_assert(__builtin_offsetof(struct vmcb, rsp) == 0x5d8, "as in the manual");
_Static_assert(sizeof(struct vmcb) == 0x1000, "a page");

#define INTERCEPT_INTR	  0 /* of intercept[3] */
#define INTERCEPT_VMRUN	  0 /* of intercept[4] */
#define VIRTUAL_INTR_MASK (1ULL << 24)

static void nested_guest(void)
{
	u64 t = rdtsc() + shared->arg[7];

	if (shared->arg[7]) {
		wrmsr(MSR_TSC_DEADLINE, t);
		shared->result[1] = t;
	}
	for (;;)
		asm volatile("pause");
}

static void nested(void)
{
	static char hsave[4096] __attribute__((aligned(4096)));
	static struct vmcb v __attribute__((aligned(4096)));
	const struct vmcb_segment code = { CODE_SEL, 0xa9b, ~0U, 0 };
	const struct vmcb_segment data = { DATA_SEL, 0xc93, ~0U, 0 };
	u64 cr0, cr3, cr4;

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, (u64)hsave);
	asm volatile("mov %%cr0, %0; mov %%cr3, %1; mov %%cr4, %2"
		     : "=r"(cr0), "=r"(cr3), "=r"(cr4));
	v.intercept[3] = 1U << INTERCEPT_INTR;
	v.intercept[4] = 1U << INTERCEPT_VMRUN;
	v.asid = 1;
	v.interrupt_control = VIRTUAL_INTR_MASK;
	v.segment[0] = v.segment[2] = v.segment[3] = data;
	v.segment[1] = code;
	v.efer = rdmsr(MSR_EFER);
	v.cr0 = cr0;
	v.cr3 = cr3;
	v.cr4 = cr4;
	v.dr6 = 0xffff0ff0;
	v.dr7 = 0x400;
	v.rflags = 2;
	v.rip = (u64)nested_guest;
	v.rsp = (u64)this_cpu() + CPU_SIZE / 2 - 8; /* of the same block */

	set_all();
	/* The interrupt that ends it is delivered by STGI. */
	asm volatile("push %%rbp; clgi; sti; vmrun; cli; pop %%rbp"
		     :
		     : "a"(&v)
		     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
		       "r14", "r15", "memory");
	shared->result[2] = rdtsc();
	shared->result[0] = v.exit_code;
	asm volatile("stgi; sti" : : : "memory");
}

static void execute(void)
{
	u64 before = shared->faults;

	switch ((enum command)shared->command) {
	case CMD_START:
		start();
		break;
	case CMD_WRMSR:
		wrmsr(shared->arg[0], shared->arg[1]);
		shared->result[0] = shared->faults - before;
		break;
	case CMD_RDMSR:
		shared->result[1] = rdmsr(shared->arg[0]);
		shared->result[0] = shared->faults - before;
		break;
	case CMD_ENABLE: {
		u64 gpa = shared->arg[0];

		wrmsr(LAZYTSC_MSR,
		      lazytsc_guest_enable(&lazy, (struct lazytsc_area *)gpa, gpa, GRACE));
		shared->result[0] = shared->faults - before;
		break;
	}
	case CMD_SET:
		set_all();
		break;
	case CMD_SET_WRMSR:
		set_then_write();
		break;
	case CMD_SET_JUMP:
		set_then_jump();
		break;
	case CMD_SET_DISARM:
		set_then_disarm();
		break;
	case CMD_SET_LATE:
		set_too_late();
		break;
	case CMD_SET_WAIT:
		set_then_wait();
		break;
	case CMD_WAIT:
		spin_until(rdtsc() + shared->arg[0]);
		break;
	case CMD_HLT:
		wait_halted();
		break;
	case CMD_HLT_WOKEN:
		wait_woken();
		break;
	case CMD_PENDING:
		lazytsc_store(&lazy.area->pending, shared->arg[0]);
		break;
	case CMD_NESTED:
		nested();
		break;
	case CMD_SCRIBBLE:
		scribble((struct lazytsc_area *)shared->arg[0], shared->arg[1],
			 rdtsc() + shared->arg[2]);
		break;
	case CMD_HOSTILE:
		hostile(rdtsc() + shared->arg[0]);
		break;
	}
}

void entry(void);
void entry(void)
{
	for (;;) {
		asm volatile("outb %%al, %0" : : "i"(DONE_PORT) : "memory");
		execute();
	}
}
