/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of trace text: what it is, and what it says about deadlines.
 *
 * Takes what ftrace's `trace` file (with any flags columns, and in latency format), trace-cmd
 * report, perf script, perf trace, perf-prof and dmesg print. docs/recording.md shows each.
 */
#ifndef LAZYTSC_TRACE_LINE_H
#define LAZYTSC_TRACE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Linux's largest NR_CPUS; a CPU number beyond it is damage. */
#ifndef TRACE_MAX_CPUS
#define TRACE_MAX_CPUS 8192
#endif

/* Lost events of no CPU in particular: any may have lost some. */
#define TRACE_ALL_CPUS UINT16_MAX

enum trace_line_kind {
	TRACE_LINE_WRITE, /* msr:write_msr of the deadline, in the guest; lazytsc:lazytsc_write */
	TRACE_LINE_SKIP, /* lazytsc:lazytsc_skip: a deadline that the guest only stored */
	TRACE_LINE_REARM, /* timer:hrtimer_rearm: the clock event device's next event, ns */
	TRACE_LINE_HOST_WRITE, /* kvm:kvm_msr of the deadline, on the host */
	TRACE_LINE_TIMER_IRQ, /* irq_vectors:local_timer_entry */
	TRACE_LINE_HOST_IRQ, /* kvm:kvm_apic_accept_irq of Linux's timer: KVM injects it */
	TRACE_LINE_VCPU, /* kvm:kvm_entry or kvm_exit */
	TRACE_LINE_COUNT, /* how often guests left for a reason: perf kvm stat report, kvm_stat */
	TRACE_LINE_IDLE, /* power:cpu_idle */
	TRACE_LINE_LOST, /* events of a CPU, or of TRACE_ALL_CPUS, were lost here */
	TRACE_LINE_OTHER_MSR, /* another MSR, or a read */
	TRACE_LINE_OTHER_EVENT,
	TRACE_LINE_FAILED, /* a deadline write that got #GP */
	TRACE_LINE_DAMAGED, /* an MSR write of which something is missing or unreadable */
	TRACE_LINE_COMMENT, /* a header or an empty line */
	TRACE_LINE_UNKNOWN, /* none of these */
	TRACE_LINE_KINDS
};

/* Why a guest left; what msr:write_msr costs is among MSR_WRITE. */
enum trace_exit {
	TRACE_EXIT_MSR_WRITE, /* AMD's "msr" where info1 is 1 or not printed, too */
	TRACE_EXIT_MSR_READ,
	TRACE_EXIT_PREEMPTION_TIMER,
	TRACE_EXIT_HLT,
	TRACE_EXIT_EXTERNAL_INTERRUPT,
	TRACE_EXIT_OTHER,
	TRACE_EXIT_REASONS,
	TRACE_EXIT_NONE = TRACE_EXIT_REASONS /* it was an entry */
};

/* What a deadline write lacks because of how it was printed, not because it is damaged. */
enum trace_spoiled {
	TRACE_SPOILED_NOT,
	TRACE_SPOILED_RAW, /* ftrace's options raw, hex, bin: no values */
	TRACE_SPOILED_CONTEXT, /* no time, CPU or task: ftrace's option context-info is off */
	TRACE_SPOILED_CPU, /* perf script without the CPU */
	TRACE_SPOILED_TIME,
	TRACE_SPOILED_EVENT,
	TRACE_SPOILED_TEXT, /* perf script without what the event says */
	TRACE_SPOILED_WRAPPED, /* no reason of an exit, or value of a write: cut */
	TRACE_SPOILED_SAMPLED, /* an event that stands for several: perf record -F */
	TRACE_SPOILED_JOINED, /* several events on one line */
	TRACE_SPOILED_COARSE, /* the time stamp has fewer decimals than any tool prints */
	TRACE_SPOILED_BELOW_0, /* the time stamp is negative */
	TRACE_SPOILED_PERF_TRACE, /* which prints no CPU, in a guest */
	TRACE_SPOILED_BLANKS, /* no-break spaces */
	TRACE_SPOILED_COLOURS, /* a terminal's escape sequences */
	TRACE_SPOILED_QUOTED, /* a mail's quoted-printable */
	TRACE_SPOILED_CTF, /* babeltrace's text */
	TRACE_SPOILED_GRAPH, /* events as comments of the tracer function_graph */
	TRACE_SPOILED_WAYS
};

struct trace_line {
	enum trace_line_kind kind;
	enum trace_spoiled spoiled; /* DAMAGED, UNKNOWN */
	enum trace_exit exit; /* VCPU; COUNT: NONE is all reasons */
	bool cycles; /* the time stamp is a whole number, not seconds */
	bool relative; /* latency format: it counts from the start of the buffer */
	bool micro; /* it has been rounded to microseconds */
	unsigned int cpu; /* not on UNKNOWN and COMMENT */
	uint64_t ts; /* on events; COUNT: how long all of them took, ns, 0: not said */
	uint64_t value; /* writes: the deadline; IDLE: the state; COUNT, LOST: how many, or 0 */
	unsigned int value_digits; /* how many were printed */
	int64_t tid; /* HOST_WRITE, HOST_IRQ, VCPU: the thread, or -1 */
	int64_t pid; /* HOST_WRITE, HOST_IRQ, VCPU: its process, or -1 */
	int vcpu; /* HOST_WRITE, HOST_IRQ (from the thread's name), VCPU: the vCPU, or -1 */
	const char *label; /* the buffer or file that trace-cmd names before the line; NULL: none */
	size_t label_len;
	const char *head, *head_end; /* text: what stands before the CPU, behind the label */
	const char *task; /* of a binary file: the task's name; NULL: look into the head */
	size_t task_len;
};

/*
 * Where the last line had its "[cpu]" and its time stamp: nearly always the next one has them in
 * the same columns. Zeroed at first, but for what is not asked for.
 */
struct trace_layout {
	bool no_idle; /* cpu_idle is not asked for: an OTHER_EVENT */
	bool no_msr; /* nor the time of an OTHER_MSR */
	unsigned int cpu, cpu_end; /* the brackets */
	unsigned int ts, ts_end; /* the time stamp, up to its colon; ts_end 0: none known */
	unsigned int point; /* its decimal point; 0: none */
};

/** trace_line_vcpu() - the vCPU that a thread's name tells, or -1 */
int trace_line_vcpu(const char *name, size_t len);

/** trace_line_is_timer() - is this the vector of Linux's timer interrupt? */
static inline bool trace_line_is_timer(uint64_t vector)
{
	/* Before Linux 4.15 it was the latter. */
	return vector == 0xec || vector == 0xef;
}

/** trace_line_exit() - kvm_exit's reason; @isa: 1 Intel, 2 AMD */
enum trace_exit trace_line_exit(uint64_t reason, uint64_t isa, uint64_t info1);

/** trace_line_task() - the name of the task that a line's head ends with; false: there is none */
bool trace_line_task(const struct trace_line *l, const char **name, size_t *len);

/** trace_line_parse() - read the line from @p up to @e, without its newline, into @out */
void trace_line_parse(struct trace_layout *layout, const char *p, const char *e,
		      struct trace_line *out);

#endif
