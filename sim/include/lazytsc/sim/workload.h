/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workloads: what runs inside a simulated vCPU, reduced to its timer.
 *
 * A workload is asked what comes next and when; the machine executes it, with all its exits,
 * and asks again. An interrupt that is taken before the operation is due drops the operation and
 * asks anew, so that a workload decides with everything that the guest knows at that moment. All
 * times are guest TSC, and a workload cannot see anything else.
 */
#ifndef LAZYTSC_SIM_WORKLOAD_H
#define LAZYTSC_SIM_WORKLOAD_H

#include <stddef.h>

#include <lazytsc/sim/random.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lazytsc_workload_op_kind {
	LAZYTSC_WORKLOAD_NOTHING, /* nothing until an interrupt */
	LAZYTSC_WORKLOAD_PAUSE, /* nothing until `at`; then ask again */
	LAZYTSC_WORKLOAD_SET, /* program `value` through the guest's hook */
	LAZYTSC_WORKLOAD_DISARM, /* the same for no deadline */
	LAZYTSC_WORKLOAD_RAW, /* WRMSR(0x6e0, value) past the hook */
	LAZYTSC_WORKLOAD_RDMSR, /* RDMSR(0x6e0), TMCCT and LAZYTSC_MSR */
	LAZYTSC_WORKLOAD_HALT, /* HLT; another device wakes it at `value`, 0: none does */
	LAZYTSC_WORKLOAD_MASK, /* LVTT masked when `value`, else not */
	LAZYTSC_WORKLOAD_MODE, /* `value`: enum lazytsc_workload_mode */
	LAZYTSC_WORKLOAD_TMICT, /* write TMICT: a count of `value` guest TSC cycles */
	LAZYTSC_WORKLOAD_APIC, /* the APIC hardware-enabled when `value`, else disabled */
	LAZYTSC_WORKLOAD_FEATURE, /* the feature switched on when `value`, else off */
	/* clear the MSR, give the page away; FEATURE comes back from it */
	LAZYTSC_WORKLOAD_OFFLINE,
	LAZYTSC_WORKLOAD_WORD, /* `value` written to LAZYTSC_MSR as it is */
	LAZYTSC_WORKLOAD_SCRIBBLE_ARMED, /* `value` stored to armed */
	/* `value` stored to pending, with no regard for the rules */
	LAZYTSC_WORKLOAD_SCRIBBLE_PENDING,
	LAZYTSC_WORKLOAD_DONE, /* the workload has ended: as NOTHING, and the run may end */
	LAZYTSC_WORKLOAD_COUNT
};

/* Modes of the LVT timer. */
enum lazytsc_workload_mode { LAZYTSC_MODE_PERIODIC, LAZYTSC_MODE_DEADLINE, LAZYTSC_MODE_ONE_SHOT };

struct lazytsc_workload_op {
	enum lazytsc_workload_op_kind kind;
	u64 at; /* when; a time in the past is now */
	u64 value;
};

/* Why a workload is asked. */
enum lazytsc_asked {
	LAZYTSC_ASKED_START, /* the vCPU starts, or starts again after a reset */
	LAZYTSC_ASKED_NEXT, /* the operation has been executed */
	LAZYTSC_ASKED_TIMER, /* the timer's interrupt handler has run */
	LAZYTSC_ASKED_WOKEN /* HLT ended, and not by the timer */
};

/* One write of a recorded trace. */
struct lazytsc_workload_write {
	u64 tsc; /* when, guest TSC */
	u64 value; /* what was written to MSR_IA32_TSC_DEADLINE */
};

/* One vCPU's writes, in order of time. */
struct lazytsc_workload_trace {
	const struct lazytsc_workload_write *write;
	size_t count;
};

/* What can be set about a guest. Times in ns; a workload uses those that it names. */
struct lazytsc_workload_options {
	u64 tick_ns; /* period of the tick */
	u64 request_ns; /* nohz-rr: mean time from going idle to the next request */
	u64 service_ns; /* nohz-rr: time to serve a request */
	u64 idle_ns; /* nohz-rr: mean distance of the next timer when idle */
	u64 timers; /* cyclic: how many; the i-th has i + 1 times the tick's period, less i us */
	u64 gap_ns; /* storm, random, raw, hostile: mean time between operations or bursts */
	u64 mean_ns; /* storm, random, raw, hostile: mean distance of a deadline */
	/* trace: vCPU i runs traces[i % trace_count] */
	const struct lazytsc_workload_trace *traces;
	size_t trace_count;
};

/** lazytsc_workload_options_default() - HZ=1000, a request every 30 us, and so on */
struct lazytsc_workload_options lazytsc_workload_options_default(void);

/* What a workload keeps. */
struct lazytsc_workload_state {
	const struct lazytsc_workload_options *options;
	struct lazytsc_random random;
	u64 khz; /* of the guest's TSC */
	u64 start; /* guest TSC when the vCPU first started */
	u64 vcpu;
	u64 w[12]; /* the workload's own */
};

struct lazytsc_workload {
	const char *name;
	const char *summary;
	/* What the guest does next; @now is the guest TSC. */
	void (*next)(struct lazytsc_workload_state *s, enum lazytsc_asked reason, u64 now,
		     struct lazytsc_workload_op *op);
};

/** lazytsc_workload_at() - the @i-th workload, counted from 0; NULL: no more */
const struct lazytsc_workload *lazytsc_workload_at(unsigned int i);

/** lazytsc_workload_find() - the workload of that name, or NULL */
const struct lazytsc_workload *lazytsc_workload_find(const char *name);

#ifdef __cplusplus
}
#endif

#endif
