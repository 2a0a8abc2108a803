/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests: what runs inside a simulated vCPU, reduced to its timer.
 *
 * A guest program is asked what comes next and when; the machine executes it, with all its exits,
 * and asks again. An interrupt that is taken before the operation is due drops the operation and
 * asks anew, so that a program decides with everything that the guest knows at that moment. All
 * times are guest TSC, and a program cannot see anything else.
 */
#ifndef LAZYTSC_SIM_GUESTS_H
#define LAZYTSC_SIM_GUESTS_H

#include <stddef.h>

#include <lazytsc/abi.h>

/* splitmix64, the generator of Java's SplittableRandom: public domain, Sebastiano Vigna, 2015 */
struct lazytsc_random {
	u64 state;
};

/** lazytsc_random() - the next 64 random bits */
u64 lazytsc_random(struct lazytsc_random *r);

/** lazytsc_random_below() - uniform in [0, @n), 0 for 0; n < 2^63 */
u64 lazytsc_random_below(struct lazytsc_random *r, u64 n);

/** lazytsc_random_stream() - the generator for stream @i of @seed: independent of all others */
struct lazytsc_random lazytsc_random_stream(u64 seed, u64 i);

enum lazytsc_guest_op_kind {
	LAZYTSC_GUEST_NOTHING, /* nothing until an interrupt */
	LAZYTSC_GUEST_PAUSE, /* nothing until `at`; then ask again */
	LAZYTSC_GUEST_SET, /* program `value` through the guest's hook */
	LAZYTSC_GUEST_DISARM, /* the same for no deadline */
	LAZYTSC_GUEST_RAW, /* WRMSR(0x6e0, value) past the hook */
	LAZYTSC_GUEST_RDMSR, /* RDMSR(0x6e0), TMCCT and LAZYTSC_MSR */
	LAZYTSC_GUEST_HALT, /* HLT; another device wakes it at `value`, 0: none does */
	LAZYTSC_GUEST_MASK, /* LVTT masked when `value`, else not */
	LAZYTSC_GUEST_MODE, /* deadline mode when `value`, else periodic mode */
	LAZYTSC_GUEST_APIC, /* the APIC hardware-enabled when `value`, else disabled */
	LAZYTSC_GUEST_FEATURE, /* the feature switched on when `value`, else off */
	LAZYTSC_GUEST_OFFLINE, /* clear the MSR, give the page away; FEATURE comes back from it */
	LAZYTSC_GUEST_WORD, /* `value` written to LAZYTSC_MSR as it is */
	LAZYTSC_GUEST_SCRIBBLE_ARMED, /* `value` stored to armed */
	LAZYTSC_GUEST_SCRIBBLE_PENDING, /* `value` stored to pending, with no regard for the rules */
	LAZYTSC_GUEST_DONE, /* the program has ended: as NOTHING, and the run may end */
	LAZYTSC_GUEST_COUNT
};

struct lazytsc_guest_op {
	enum lazytsc_guest_op_kind kind;
	u64 at; /* when; a time in the past is now */
	u64 value;
};

/* Why a program is asked. */
enum lazytsc_reason {
	LAZYTSC_START, /* the vCPU starts, or starts again after a reset */
	LAZYTSC_NEXT, /* the operation has been executed */
	LAZYTSC_TIMER, /* the timer's interrupt handler has run */
	LAZYTSC_WOKEN /* HLT ended, and not by the timer */
};

/* One write of a recorded trace. */
struct lazytsc_trace_write {
	u64 tsc; /* when, guest TSC */
	u64 value; /* what was written to MSR_IA32_TSC_DEADLINE */
};

/* One vCPU's writes, in order of time. */
struct lazytsc_trace {
	const struct lazytsc_trace_write *write;
	size_t count;
};

/* What can be set about a guest. Times in ns; a program uses those that it names. */
struct lazytsc_guest_options {
	u64 tick_ns; /* period of the tick */
	u64 request_ns; /* nohz-rr: mean time from going idle to the next request */
	u64 service_ns; /* nohz-rr: time to serve a request */
	u64 idle_ns; /* nohz-rr: mean distance of the next timer when idle */
	u64 timers; /* cyclic: how many; the i-th has i + 1 times the tick's period, less i us */
	u64 gap_ns; /* storm, random, raw, hostile: mean time between operations or bursts */
	u64 mean_ns; /* storm, random, raw, hostile: mean distance of a deadline */
	const struct lazytsc_trace *traces; /* trace: vCPU i runs traces[i % trace_count] */
	size_t trace_count;
};

/** lazytsc_guest_options_default() - HZ=1000, a request every 30 us, and so on */
struct lazytsc_guest_options lazytsc_guest_options_default(void);

/* What a program keeps. */
struct lazytsc_program_state {
	const struct lazytsc_guest_options *options;
	struct lazytsc_random random;
	u64 khz; /* of the guest's TSC */
	u64 start; /* guest TSC when the vCPU first started */
	u64 vcpu;
	u64 w[12]; /* the program's own */
};

struct lazytsc_program {
	const char *name;
	const char *summary;
	/* What the guest does next; @now is the guest TSC. */
	void (*next)(struct lazytsc_program_state *s, enum lazytsc_reason reason, u64 now,
		     struct lazytsc_guest_op *op);
};

/** lazytsc_program_at() - the @i-th guest program, counted from 0; NULL: no more */
const struct lazytsc_program *lazytsc_program_at(unsigned int i);

/** lazytsc_program_find() - the guest program of that name, or NULL */
const struct lazytsc_program *lazytsc_program_find(const char *name);

#endif
