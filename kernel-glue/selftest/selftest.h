/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the self-test's two halves share: the program in the host, and its guest.
 *
 * The host writes a command and its arguments, runs the vCPU until the guest's next OUT, and reads
 * the results. Between the two there is no return to user space.
 */
#ifndef LAZYTSC_SELFTEST_H
#define LAZYTSC_SELFTEST_H

#include <lazytsc/abi.h>

/* Guest physical addresses; all of them mapped one to one. */
#define PML4_ADDR 0x1000 /* then one PDPT and one page directory */
#define GDT_ADDR  0x4000
#define CPU_ADDR  0x8000 /* a block for each vCPU: struct shared, the guest's own, the stack */
#define CPU_SIZE  0x4000
#define CODE_ADDR 0x10000
#define RAM_USED  0x20000 /* so much of it the guest needs */
#define RAM_SIZE  0x200000
#define AREA_ADDR 0x10000000 /* a memslot of its own */
#define AREA_SIZE 0x1000
#define NO_ADDR	  0x20000000 /* no memory there */

#define DONE_PORT   0x10
#define WAKE_VECTOR 0x1f
#define CODE_SEL    0x08
#define DATA_SEL    0x10

enum command {
	CMD_START, /* x2APIC on, timer in TSC-deadline mode */
	CMD_WRMSR, /* arg: msr, value. result: faults */
	CMD_RDMSR, /* arg: msr. result: faults, value */
	CMD_ENABLE, /* arg: gpa. result: faults */
	/* arg: delays, 0 ends. Sets each one. result: MSR writes, deadline set last, first */
	CMD_SET,
	/*
	 * arg: delays, 0, msr, value. As CMD_SET, then writes. result: armed after it, deadline set
	 * last, deadline that the MSR reads
	 */
	CMD_SET_WRMSR,
	/*
	 * arg: delays, 0, msr, delta, delay. As CMD_SET, then adds delta to the MSR, then sets one
	 * more deadline. result: MSR writes for that one, it, deadline set before
	 */
	CMD_SET_JUMP,
	CMD_SET_DISARM, /* arg: delays. As CMD_SET, then disarms. result: MSR writes, deadline set
			 * last, deadline that the MSR reads */
	CMD_SET_LATE, /* arg: delay, more. Sets it with interrupts off, spins until it and so much
		       * more is over, then writes 0 to the MSR */
	CMD_SET_WAIT, /* arg: delays, 0, delay. As CMD_SET, says so in `ready`, spins.
		       * result: MSR writes, deadline set last */
	CMD_WAIT, /* arg: delay. Spins. The results stay those of the command before */
	CMD_HLT, /* arg: delays, or 0. As CMD_SET, says so in `ready`, waits for one interrupt with
		  * HLT. result: times woken, interrupts, its TSC */
	/*
	 * arg: delays, 0, delay. As CMD_HLT, but waits for WAKE_VECTOR; then sets one more
	 * deadline. result: MSR writes for that one, it, deadline set before
	 */
	CMD_HLT_WOKEN,
	CMD_PENDING, /* arg: value. Stores it in pending, with no MSR write */
	/*
	 * arg: delays, 0; [7]: delay. As CMD_SET, then runs a nested guest, which spins and, with a
	 * delay, first writes such a deadline. result: why it was left (SVM's exit code), deadline
	 * set last, TSC then
	 */
	CMD_NESTED,
	/* arg: gpa, distance, delay. Keeps pending of that area so far ahead, until then */
	CMD_SCRIBBLE,
	CMD_HOSTILE, /* arg: delay. Stores nonsense in both fields until then, from a fixed seed */
};

/* Deadlines in arguments are TSC cycles from now; results are TSC values. */
struct shared {
	u64 command;
	u64 arg[8];
	u64 result[3];
	u64 interrupts;
	u64 repeated; /* delivered once more by the machine, and not counted */
	u64 irq_tsc;
	u64 faults;
	u64 wakes; /* interrupts of WAKE_VECTOR */
	u64 ready;
};

#endif
