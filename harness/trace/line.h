/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of trace text: what it is, and what it says about deadlines.
 *
 * Takes what ftrace's `trace` file (with any flags columns, and in latency format), trace-cmd
 * report, perf script and perf-prof print. docs/recording.md shows each.
 */
#ifndef LAZYTSC_TRACE_LINE_H
#define LAZYTSC_TRACE_LINE_H

#include <stdbool.h>
#include <stdint.h>

/* Linux's largest NR_CPUS; a CPU number beyond it is damage. */
#define TRACE_MAX_CPUS 8192

enum trace_line_kind {
	TRACE_LINE_WRITE, /* msr:write_msr of the deadline, in the guest */
	TRACE_LINE_HOST_WRITE, /* kvm:kvm_msr of the deadline, on the host */
	TRACE_LINE_TIMER_IRQ, /* irq_vectors:local_timer_entry */
	TRACE_LINE_VCPU, /* kvm:kvm_entry or kvm_exit: which vCPU a thread runs */
	TRACE_LINE_LOST, /* events of a CPU were lost here */
	TRACE_LINE_OTHER_MSR, /* another MSR, or a read */
	TRACE_LINE_OTHER_EVENT,
	TRACE_LINE_FAILED, /* a deadline write that got #GP */
	TRACE_LINE_DAMAGED, /* an MSR write of which something is missing or unreadable */
	TRACE_LINE_COMMENT, /* a header or an empty line */
	TRACE_LINE_UNKNOWN, /* none of these */
	TRACE_LINE_KINDS
};

struct trace_line {
	enum trace_line_kind kind;
	bool cycles; /* the time stamp is a raw counter (x86-tsc), not nanoseconds */
	unsigned int cpu; /* not on UNKNOWN and COMMENT */
	uint64_t ts; /* WRITE, HOST_WRITE, TIMER_IRQ */
	uint64_t value; /* WRITE, HOST_WRITE: the deadline; LOST: how many, 0: not said */
	unsigned int value_digits; /* how many were printed */
	int64_t tid; /* HOST_WRITE, VCPU: the thread, or -1 */
	int vcpu; /* HOST_WRITE (from the thread's name), VCPU: the vCPU, or -1 */
};

/*
 * Where the last line had its "[cpu]" and its time stamp: nearly always the next one has them in
 * the same columns. Zeroed at first.
 */
struct trace_layout {
	unsigned int cpu, cpu_end; /* the brackets */
	unsigned int ts, ts_end; /* the time stamp, up to its colon; ts_end 0: none known */
	unsigned int point; /* its decimal point; 0: none */
};

/** trace_line_parse() - read the line from @p up to @e, without its newline, into @out */
void trace_line_parse(struct trace_layout *layout, const char *p, const char *e,
		      struct trace_line *out);

#endif
