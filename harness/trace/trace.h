/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trace as the stream of events that a replay needs: checked for order, with gaps where events
 * were lost, in guest TSC. What is left out is counted by kind. What the trace is (a guest's, a
 * host's, both; its clock) is decided from its first 65,536 events, not from its first line.
 *
 *	struct trace *t;
 *
 *	if (trace_open(path, &options, &t))
 *		complain(trace_error(t));
 *	while ((got = trace_next(t, &event)) > 0)
 *		...
 *	if (got < 0)
 *		complain(trace_error(t));
 *	trace_close(t);
 *
 * Memory does not grow with the trace.
 */
#ifndef LAZYTSC_TRACE_H
#define LAZYTSC_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "line.h"

/* Most vCPUs of one trace, all VMs together; a power of two. */
#define TRACE_MAX_VCPUS (2 * TRACE_MAX_CPUS)
/* Most names of tasks that are told apart; a power of two. */
#ifndef TRACE_MAX_TASKS
#define TRACE_MAX_TASKS 4096
#endif

enum trace_event_kind {
	TRACE_EVENT_WRITE, /* a deadline: written to the MSR, or skipped */
	TRACE_EVENT_GAP, /* events of this vCPU were lost here; now and value do not count */
	TRACE_EVENT_IRQ, /* a timer interrupt reached the guest */
	TRACE_EVENT_EXIT, /* value: enum trace_exit */
	TRACE_EVENT_ENTRY,
	TRACE_EVENT_IDLE, /* value: the C-state, or TRACE_IDLE_END */
	TRACE_EVENT_MSR, /* the guest writes another MSR; of its own trace */
	TRACE_EVENT_SKIPPED, /* with TRACE_REARM: the vCPU's last write was skipped; always */
};

#define TRACE_IDLE_END	UINT64_MAX
#define TRACE_IDLE_POLL 0 /* the CPU does not halt */

struct trace_options {
	double tsc_khz; /* 0: not given; estimate where it is needed */
	/* Kinds of events that are handed out besides writes and gaps: a bit for each. */
	unsigned int events;
	bool no_progress; /* do not show on a terminal how far it is */
	bool tasks; /* fill trace_event.task, which costs time on a guest's text */
};

struct trace_event {
	enum trace_event_kind kind;
	bool skipped; /* WRITE: lazytsc:lazytsc_skip, the guest did not write the MSR */
	unsigned int vcpu; /* an index for trace_vcpu() */
	unsigned int task; /* WRITE: an index for trace_task(); a host's thread */
	uint64_t ts; /* as the trace has it, in ns where stats->cycles is false */
	/* guest TSC; never below that of the same vCPU's event before, of which no IRQ is one */
	uint64_t now;
	uint64_t value; /* WRITE: the deadline; 0 disarms */
};

/* How far the figures can be trusted. What does not even allow for bounds is refused. */
enum trace_evidence {
	TRACE_EXACT, /* the trace itself shows that deadlines and time stamps share a clock */
	TRACE_APPROXIMATE, /* the clock was fitted, or nothing proves that it is shared */
	TRACE_BOUNDS, /* no deadlines at all: exits alone, see struct trace_exits */
};

enum trace_source {
	TRACE_GUEST, /* msr:write_msr, lazytsc:lazytsc_skip */
	TRACE_HOST, /* kvm:kvm_msr */
	TRACE_REARM, /* a guest's timer:hrtimer_rearm, with lazytsc_skip or not: times are ns */
	TRACE_EXITS, /* kvm:kvm_exit, kvm:kvm_entry alone */
};

/* A vCPU's exits, in the trace's own clock. */
struct trace_exits {
	uint64_t count[TRACE_EXIT_REASONS];
	uint64_t time[TRACE_EXIT_REASONS]; /* from exit to entry */
	uint64_t timed[TRACE_EXIT_REASONS]; /* so many of count have their entry */
	uint64_t deadline_time, deadline_timed; /* of MSR_WRITE: those that wrote a deadline */
	uint64_t deadlines; /* kvm:kvm_msr of the deadline, timed or not */
	uint64_t first, last; /* time stamps of this vCPU's first and last exit */
};

struct trace_vcpu {
	unsigned int vm; /* an index for trace_vm() */
	int id; /* the vCPU's number in its VM */
	int64_t tid; /* the host's thread; -1: not known */
	uint64_t writes;
	/*
	 * A guest's timer interrupts before its first write. One may be for a deadline from before
	 * the trace; each other one is for a write that the trace lacks. And when the second was.
	 */
	uint64_t early_irqs, early_irq_ts;
	struct trace_exits exits;
};

struct trace_vm {
	int64_t pid; /* the VM's process; -1: not known */
	int64_t first_tid; /* the lowest thread id; -1: a guest's own trace */
	unsigned int nvcpus;
};

struct trace_stats {
	uint64_t lines; /* of text, or records of a binary file */
	uint64_t kinds[TRACE_LINE_KINDS]; /* lines by kind; their sum is lines */
	uint64_t writes; /* handed out */
	uint64_t skipped; /* of these: lazytsc:lazytsc_skip */
	uint64_t out_of_order; /* dropped: below their predecessor on the same vCPU */
	uint64_t other_source; /* dropped: deadline writes of the other side, or of another clock */
	uint64_t own_timer; /* of these: a host's own deadline writes */
	uint64_t no_vcpu; /* dropped: a host's line that does not tell its vCPU */
	uint64_t interrupts; /* handed out: the guest's timer interrupts */
	uint64_t twice; /* dropped: one write recorded in two buffers */
	uint64_t gaps; /* handed out */
	uint64_t lost_events; /* as far as the gaps say */
	uint64_t first_damaged, first_out_of_order; /* line numbers; 0: none */
	unsigned int nvcpus, nvms; /* for trace_vcpu(), trace_vm() */

	enum trace_source source;
	enum trace_evidence evidence;
	char why[160]; /* one sentence: what the evidence is */
	bool host; /* source is TRACE_HOST or TRACE_EXITS */
	bool counted; /* TRACE_EXITS: a table of counts, of all vCPUs and of an unknown time */
	bool cycles; /* time stamps are whole numbers */
	double span; /* first to last event, in units of now; for rates divide by tsc_khz * 1000 */

	/* How time stamps were turned into guest TSC. */
	bool approximate; /* evidence is not TRACE_EXACT */
	bool fitted; /* by a line, else time stamps are used as they are */
	enum clock_by by; /* fitted: from what */
	double tsc_khz; /* of now and value: given, estimated, or 1e6 for ns; 0: not known */
	double tsc_khz_error; /* estimated: by how much it may be wrong; 0: given or not known */
	double cycles_per_unit; /* fitted, whole numbers: TSC cycles for one of the time stamp's */
	double cycles_per_unit_error;
	double offset_error; /* TSC cycles: how far the interrupts scatter */
	uint64_t doubtful; /* writes of which the fit decides the fate of the deadline before */
	bool stepped; /* a fit does not hold for a part of its window: all of that is in doubt */
	bool unsure; /* of some of them nothing tells whether they answer it or move it on */
};

/* What to run on a host, for messages. */
#define TRACE_RECORD_HOST "perf record -a -e kvm:kvm_msr --filter 'ecx == 0x6e0' sleep 10"

struct trace;

/**
 * trace_open() - start to read a trace
 * @path:    a file, or "-" for standard input
 * @options: copied
 * @t:       set to the trace; trace_close() frees it, after an error as well
 *
 * Return: 0, or -1 on an error.
 */
int trace_open(const char *path, const struct trace_options *options, struct trace **t);

/**
 * trace_next() - the next event
 *
 * Return: 1 and the next event, 0 at the end, -1 on an error. A trace of TRACE_EXITS ends without a
 * write.
 */
int trace_next(struct trace *t, struct trace_event *ev);

/** trace_stats() - what was read so far; complete when trace_next() has returned 0 */
const struct trace_stats *trace_stats(const struct trace *t);

/**
 * trace_vcpu() - a vCPU
 * @i: below trace_stats()->nvcpus
 *
 * Which VM it belongs to is settled when trace_next() has returned 0: by the process id, where the
 * trace has it, else by the order of thread ids, since a VM's vCPUs are started in order.
 */
const struct trace_vcpu *trace_vcpu(const struct trace *t, unsigned int i);

/** trace_vm() - a VM, as trace_vcpu(); in order of first_tid */
const struct trace_vm *trace_vm(const struct trace *t, unsigned int i);

/** trace_task() - the name of a task (its comm); valid until trace_close() */
const char *trace_task(const struct trace *t, unsigned int task);

/** trace_error() - one line that says what is wrong, beginning with the file's name */
const char *trace_error(const struct trace *t);

void trace_close(struct trace *t);

#endif
