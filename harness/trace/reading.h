/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trace that is being read, for the files that read it. Each uses those before it: items.c takes
 * the lines that are used, decide.c tells what the trace is, events.c makes events of its lines,
 * fit.c fits a clock, trace.c is what others call.
 */
#ifndef LAZYTSC_TRACE_READING_H
#define LAZYTSC_TRACE_READING_H

#include "clock.h"
#include "input.h"
#include "trace.h"
#include "vcpus.h"

/*
 * The number of events from which the kind of trace is decided, and one fit is made. A fuzzer's
 * inputs are short: it is built with a short one.
 */
#ifndef WINDOW
#define WINDOW (64 * 1024)
#endif
/* The longest that a window may get. */
#define LONGEST_WINDOW (8 * WINDOW)
/* Buffers or files that trace-cmd names before its lines; 0 is none. A word has a bit for each. */
#define MAX_LABELS 64
#define LABEL_SIZE 64
#define TASK_SIZE  32
/*
 * The quickest timer interrupts come sooner than this after their deadline, in TSC cycles or ns: a
 * third of a millisecond at 3 GHz.
 */
#define IRQ_LATENCY 0x1p20
/* Rates this near to 1 are 1; a rate that is so many times its error off is another one. */
#define RATE_ONE    0.001
#define RATE_ERRORS 4

/* A line that is kept until it is known what the trace is. */
struct item {
	uint64_t ts, value, line;
	int32_t tid, pid;
	int16_t vcpu;
	uint16_t cpu;
	uint16_t task;
	uint8_t kind, exit, label, digits;
	bool cycles, micro, relative;
};

struct trace {
	struct trace_input *in;
	struct trace_dat *dat; /* the input is a file of trace-cmd's; NULL: text */
	bool swapped; /* whole numbers are nanoseconds, and seconds count cycles */
	struct trace_layout layout;
	struct trace_options options;
	struct trace_stats st;
	struct vcpus vcpus; /* what is replayed */
	struct vcpus threads; /* of a host, beside a guest's vCPUs; else none */
	bool decided;
	bool labels_are_vms;
	bool labels_unproven; /* without interrupts nothing shows that they are */
	bool labels_split; /* one guest's events between them: none is there twice */
	char marked[LABEL_SIZE]; /* the name that the mark of lost events, right before, had */
	unsigned int marked_cpu;
	bool guest_label[MAX_LABELS], host_label[MAX_LABELS];
	uint64_t label_writes[MAX_LABELS]; /* of one guest's several buffers */
	bool fit; /* time stamps are turned into guest TSC by a line */
	double given_rate; /* of it; 0: to be estimated */
	double rate; /* as fitted */
	bool exact_if_clear; /* REARM with microseconds: exact unless a deadline hides in one */
	uint64_t hidden; /* so many did */
	uint64_t two_vcpus, first_two_vcpus; /* lines of a thread that told another vCPU before */
	uint64_t steps_back; /* of the out-of-order writes: also below the event right before */
	uint64_t other_clock, first_other_clock; /* writes with the other kind of time stamp */
	uint64_t strange; /* writes behind the first window whose deadline is far from their time */

	struct item *items;
	size_t nitems, item_pos;
	uint64_t kvm_events; /* lines that tell that a host recorded it */
	uint64_t whole_exits; /* entries and exits whose time stamps are whole numbers */
	struct trace_exits counts; /* of tables */
	uint64_t rows; /* these have */
	uint64_t counted; /* exits that a table says there were in all; 0: none does */
	uint64_t spoiled[TRACE_SPOILED_WAYS], first_spoiled[TRACE_SPOILED_WAYS];
	double noted_khz; /* the rate that `lazytsc record` notes */
	uint64_t first_ts, last_ts;

	unsigned int gap_next, gap_end; /* vCPUs that a gap is still to be told of */
	unsigned int gap_cpu; /* guest: the one; UINT_MAX: all */

	char (*labels)[LABEL_SIZE];
	unsigned int nlabels;
	bool too_many_labels;
	char (*tasks)[TASK_SIZE];
	uint16_t *task_hash; /* 2 * TRACE_MAX_TASKS: index + 1 */
	unsigned int ntasks;

	/* Fitted clocks: events as read, time stamps in the trace's own clock. */
	struct trace_event *window;
	size_t window_len, window_pos;
	struct clock_point *writes, *irqs, *answers; /* WINDOW each: one VM's */
	struct {
		struct clock_point p;
		uint32_t vcpu;
		uint32_t at; /* so many of the window's events come before */
	} * irq_points; /* all VMs' */
	size_t nirq_points;
	bool fitted;

	char error[512];
};

static inline bool is_guest_write(const struct item *it)
{
	return it->kind == TRACE_LINE_WRITE || it->kind == TRACE_LINE_SKIP;
}

/* Is it a deadline of the source that was decided on? */
static inline bool is_write(const struct trace *t, const struct item *it)
{
	switch (t->st.source) {
	case TRACE_GUEST:
		return is_guest_write(it);
	case TRACE_HOST:
		return it->kind == TRACE_LINE_HOST_WRITE;
	case TRACE_REARM:
		return it->kind == TRACE_LINE_REARM;
	default:
		return false;
	}
}

/* Is this timer interrupt the guest's? A host's own stands in a buffer with kvm events. */
static inline bool is_guest_irq(const struct trace *t, const struct item *it)
{
	return t->st.source != TRACE_HOST &&
	       !(t->host_label[it->label] && !t->guest_label[it->label]);
}

static inline bool asked(const struct trace *t, const struct trace_event *ev)
{
	return t->options.events & 1U << ev->kind;
}

/* items.c */

/** trace_fail() - note what is wrong. Return: -1 */
__attribute__((format(printf, 2, 3))) int trace_fail(struct trace *t, const char *fmt, ...);

/** trace_because() - note why the trace is taken for what it is */
__attribute__((format(printf, 2, 3))) void trace_because(struct trace *t, const char *fmt, ...);

/** trace_find_cpu() - the guest's vCPU of a CPU; NULL: there are too many */
struct vcpu *trace_find_cpu(struct trace *t, unsigned int cpu, unsigned int label);

/** trace_thread_key() - of a thread, or where that is not told of a process's vCPU */
uint64_t trace_thread_key(int64_t tid, int64_t pid, int id);

/** trace_find_thread() - the thread of a host's line; NULL: it tells none, or there are too many */
struct vcpu *trace_find_thread(struct vcpus *threads, int64_t tid, int64_t pid, int id);

/** trace_read_item() - the next line that is used. Return: 1; 0 at the end; -1 on an error */
int trace_read_item(struct trace *t, struct item *it);

/** trace_first_way() - what spoiled a deadline write first */
enum trace_spoiled trace_first_way(const struct trace *t);

/* decide.c */

/* What to say of each way to spoil a deadline write. */
extern const char *const trace_spoiled_by[TRACE_SPOILED_WAYS];

/** trace_start() - read until it is clear what the trace is. Return: 0, or -1 on an error */
int trace_start(struct trace *t);

/** trace_swap_form() - time stamps do not mean what their form says: cycles or nanoseconds */
void trace_swap_form(struct trace *t);

/** trace_known_khz() - of the option or of `lazytsc record`; 0: neither tells */
double trace_known_khz(const struct trace *t);

/** trace_add_points() - a vCPU's write, for a fit */
void trace_add_points(struct clock_points *p, struct vcpu *v, uint64_t ts, uint64_t value);

/* events.c */

/** trace_next_raw() - the next event, its time as printed. Return: as trace_next() */
int trace_next_raw(struct trace *t, struct trace_event *ev);

/** trace_check_times() - are time stamps one time? Return: 0, or -1 on an error */
int trace_check_times(struct trace *t);

/* fit.c */

/** trace_read_window() - read events, beginning with @first, and fit the clock. Return: 0, or -1 */
int trace_read_window(struct trace *t, const struct trace_event *first);

#endif
