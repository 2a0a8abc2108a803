// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"
#include "clock.h"
#include "dat.h"
#include "input.h"
#include "judge.h"
#include "vcpus.h"

/*
 * The number of events from which the kind of trace is decided, and one fit is made. A fuzzer's
 * inputs are short: it is built with a short one.
 */
#ifndef WINDOW
#define WINDOW (64 * 1024)
#endif
/*
 * A window that has fewer deadlines than this, because most of its events are disarms or gaps, is
 * made longer, up to LONGEST_WINDOW.
 */
#define DEADLINES_WANTED (WINDOW / 8)
#define LONGEST_WINDOW	 (8 * WINDOW)
/* This number of deadlines is enough to decide what the trace is. */
#define WRITES_TO_DECIDE (WINDOW / 4)
/* A later window with at least this number of points gets a fit of its own. */
#define POINTS_FOR_FIT (WINDOW / 32)
/* Buffers or files that trace-cmd names before its lines; 0 is none. A word has a bit for each. */
#define MAX_LABELS 64
#define LABEL_SIZE 64
#define TASK_SIZE  32
/*
 * The quickest timer interrupts come sooner than this after their deadline, in TSC cycles or ns: a
 * third of a millisecond at 3 GHz.
 */
#define IRQ_LATENCY 0x1p20
/* Two buffers record one timer interrupt no farther apart, in TSC cycles or ns. */
#define IRQ_TWICE 0x1p15
/* TSC cycles for a nanosecond: the range of real machines. */
#define NS_RATE_LOW  1.25
#define NS_RATE_HIGH 8.0
/* A time stamp in microseconds may be this much too low, ns. */
#define MICROSECOND 1000
/* Rates this near to 1 are 1; a rate that is so many times its error off is another one. */
#define RATE_ONE    0.001
#define RATE_ERRORS 4
/* Hardly more than this part of a guest's timer interrupts comes while no deadline is set. */
#define UNSET_PART 16
/* Where there are fewer points, in a shorter time (ns), there may be no fit for want of them. */
#define POINTS_TO_TELL 64
#define SPAN_TO_TELL   10000000
#define WRITE_MIN      50
/* A fit has to hold for each of so many parts of its window. */
#define STEADY_PARTS 8
/* So many writes that are dropped are told of, and no reason to refuse the trace. */
#define FEW_DROPPED 16

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
	uint64_t kvm_events, rearms, set; /* lines that tell what the trace is */
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

__attribute__((format(printf, 2, 3))) static int fail(struct trace *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->error, sizeof(t->error), fmt, ap);
	va_end(ap);
	return -1;
}

__attribute__((format(printf, 2, 3))) static void because(struct trace *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->st.why, sizeof(t->st.why), fmt, ap);
	va_end(ap);
}

int trace_open(const char *path, const struct trace_options *options, struct trace **out)
{
	struct trace *t = calloc(1, sizeof(*t));

	*out = t;
	if (!t)
		return -1;
	t->options = *options;
	t->layout.no_idle = !(options->events & 1U << TRACE_EVENT_IDLE);
	t->layout.no_msr = !(options->events & 1U << TRACE_EVENT_MSR);
	t->items = calloc(WINDOW, sizeof(*t->items));
	t->labels = calloc(MAX_LABELS, sizeof(*t->labels));
	t->nlabels = 1;
	t->tasks = calloc(TRACE_MAX_TASKS, sizeof(*t->tasks));
	t->task_hash = calloc(2 * TRACE_MAX_TASKS, sizeof(*t->task_hash));
	t->ntasks = 1;
	if (!t->items || !t->labels || !t->tasks || !t->task_hash || !vcpus_init(&t->vcpus) ||
	    !vcpus_init(&t->threads))
		return fail(t, "%s: out of memory", path);
	strcpy(t->tasks[0], "?");
	if (trace_input_open(path, &t->in))
		return fail(t, "%s", t->in ? t->in->error : "out of memory");
	if (options->no_progress)
		t->in->progress_due_ns = 0;
	if (t->in->dat) {
		t->dat = trace_dat_open(t->in->fd);
		if (!t->dat)
			return fail(t, "%s: %s", path, strerror(errno));
	}
	return 0;
}

void trace_close(struct trace *t)
{
	if (!t)
		return;
	trace_dat_close(t->dat);
	trace_input_close(t->in);
	vcpus_free(&t->vcpus);
	vcpus_free(&t->threads);
	free(t->items);
	free(t->labels);
	free(t->tasks);
	free(t->task_hash);
	free(t->window);
	free(t->writes);
	free(t->irqs);
	free(t->answers);
	free(t->irq_points);
	free(t);
}

const struct trace_stats *trace_stats(const struct trace *t)
{
	return &t->st;
}

const struct trace_vcpu *trace_vcpu(const struct trace *t, unsigned int i)
{
	return &t->vcpus.v[i].pub;
}

const struct trace_vm *trace_vm(const struct trace *t, unsigned int i)
{
	return &t->vcpus.vms[i];
}

const char *trace_task(const struct trace *t, unsigned int task)
{
	/* Not by ntasks, which may grow while another thread reads ahead. */
	return t->tasks[task < TRACE_MAX_TASKS && *t->tasks[task] ? task : 0];
}

const char *trace_error(const struct trace *t)
{
	return t ? t->error : "out of memory";
}

static unsigned int find_label(struct trace *t, const struct trace_line *l)
{
	size_t len = l->label_len < LABEL_SIZE ? l->label_len : LABEL_SIZE - 1;

	if (!l->label)
		return 0;
	for (unsigned int i = 1; i < t->nlabels; i++) {
		if (!strncmp(t->labels[i], l->label, len) && !t->labels[i][len])
			return i;
	}
	if (t->nlabels == MAX_LABELS) {
		t->too_many_labels = true;
		return 0;
	}
	memcpy(t->labels[t->nlabels], l->label, len);
	return t->nlabels++;
}

static unsigned int find_task(struct trace *t, const struct trace_line *l)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	const char *name;
	size_t len;

	if (!trace_line_task(l, &name, &len))
		return 0;
	if (len >= TASK_SIZE)
		len = TASK_SIZE - 1;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3ULL;
	for (size_t i = hash >> 32;; i++) {
		uint16_t *slot = &t->task_hash[i % (2 * TRACE_MAX_TASKS)];

		if (!*slot) {
			if (t->ntasks == TRACE_MAX_TASKS)
				return 0;
			memcpy(t->tasks[t->ntasks], name, len);
			*slot = (uint16_t)t->ntasks;
			return t->ntasks++;
		}
		if (!strncmp(t->tasks[*slot], name, len) && !t->tasks[*slot][len])
			return *slot;
	}
}

static void vcpu_number(struct vcpu *v, int id)
{
	if (id < 0 || v->named)
		return;
	v->pub.id = id;
	v->named = true;
}

/* Of a thread, or where that is not told of a process's vCPU. */
static uint64_t thread_key(int64_t tid, int64_t pid, int id)
{
	return tid >= 0 ? (uint64_t)tid : 1ULL << 62 | (uint64_t)(uint32_t)pid << 16 | (uint64_t)id;
}

/* The thread of a host's line; NULL: it tells none, or there are too many. */
static struct vcpu *find_thread(struct vcpus *threads, int64_t tid, int64_t pid, int id)
{
	struct vcpu *v;

	if (tid < 0 && id < 0)
		return NULL;
	v = vcpus_get(threads, thread_key(tid, pid, id));
	if (!v)
		return NULL;
	v->pub.tid = tid;
	if (pid >= 0)
		v->pid = pid;
	vcpu_number(v, id);
	return v;
}

/* The guest's vCPU of a CPU. */
static struct vcpu *find_cpu(struct trace *t, unsigned int cpu, unsigned int label)
{
	struct vcpu *v;

	if (!t->labels_are_vms)
		label = 0;
	v = vcpus_get(&t->vcpus, 1ULL << 63 | (uint64_t)label << 32 | cpu);
	if (!v)
		return NULL;
	v->label = label;
	vcpu_number(v, (int)cpu);
	return v;
}

/* The threads' table, wherever it is. */
static struct vcpus *host_threads(struct trace *t)
{
	return t->decided && (t->st.source == TRACE_HOST || t->st.source == TRACE_EXITS)
		       ? &t->vcpus
		       : &t->threads;
}

/* A thread runs one vCPU: an id that several have is the process's. */
static void note_id(struct trace *t, int *last, int id)
{
	if (*last >= 0 && id >= 0 && *last != id && !t->two_vcpus++)
		t->first_two_vcpus = t->st.lines;
	*last = id >= 0 ? id : *last;
}

/* Which vCPU a thread runs; and how long the host was busy with it. */
static void note_vcpu(struct trace *t, const struct trace_line *l)
{
	struct vcpu *v = find_thread(host_threads(t), l->tid, l->pid, l->vcpu);
	struct trace_exits *x;

	t->kvm_events++;
	t->whole_exits += l->cycles != t->swapped;
	if (!v)
		return;
	note_id(t, &v->kvm_id, l->vcpu);
	/* kvm_entry and kvm_exit know better than a name. */
	if (l->vcpu >= 0)
		v->pub.id = l->vcpu;
	x = &v->pub.exits;
	if (l->exit != TRACE_EXIT_NONE) {
		x->count[l->exit]++;
		if (!x->first)
			x->first = l->ts;
		x->last = l->ts;
		v->exit = l->exit;
		v->exit_ts = l->ts;
		v->exit_deadline = false;
	} else if (v->exit_ts && l->ts >= v->exit_ts) {
		x->time[v->exit] += l->ts - v->exit_ts;
		x->timed[v->exit]++;
		if (v->exit_deadline) {
			x->deadline_time += l->ts - v->exit_ts;
			x->deadline_timed++;
		}
		v->exit_ts = 0;
	} else {
		v->exit_ts = 0;
	}
}

/* The exit that goes on is that of a deadline write. */
static void note_deadline(struct trace *t, const struct trace_line *l)
{
	struct vcpu *v = find_thread(host_threads(t), l->tid, l->pid, l->vcpu);

	if (!v)
		return;
	note_id(t, &v->name_id, l->vcpu);
	v->pub.exits.deadlines++;
	v->exit_deadline = v->exit_ts != 0;
}

/* A last line without its newline may have lost the end of its value. */
static bool seems_cut(struct trace *t, const struct trace_text *text, const struct trace_line *l)
{
	const struct vcpu *v;

	if (!text->unterminated || (l->kind != TRACE_LINE_WRITE && l->kind != TRACE_LINE_SKIP &&
				    l->kind != TRACE_LINE_REARM))
		return false;
	for (size_t i = t->nitems; !t->decided && i-- > 0;) {
		if (t->items[i].kind == l->kind && t->items[i].cpu == l->cpu)
			return l->value_digits < t->items[i].digits;
	}
	v = t->decided && (t->st.source == TRACE_GUEST || t->st.source == TRACE_REARM)
		    ? find_cpu(t, l->cpu, find_label(t, l))
		    : NULL;
	return v && l->value_digits < v->digits;
}

/* A table's row. */
static void note_count(struct trace *t, const struct trace_line *l)
{
	struct trace_exits *x = &t->counts;

	t->rows++;
	if (l->exit == TRACE_EXIT_NONE) {
		t->counted += l->value;
		return;
	}
	x->count[l->exit] += l->value;
	if (!l->ts)
		return;
	x->time[l->exit] += l->ts;
	x->timed[l->exit] += l->value;
}

/* What `lazytsc record` notes at the head of its file. */
static void note_comment(struct trace *t, const struct trace_text *text)
{
	static const char mark[] = "# lazytsc record: tsc_khz=";
	char number[32] = "";
	size_t n = (size_t)(text->e - text->p);

	if (n < sizeof(mark) || memcmp(text->p, mark, sizeof(mark) - 1))
		return;
	n -= sizeof(mark) - 1;
	memcpy(number, text->p + sizeof(mark) - 1, n < sizeof(number) ? n : sizeof(number) - 1);
	t->noted_khz = strtod(number, NULL);
	if (!(t->noted_khz >= 1e3 && t->noted_khz <= 1e8))
		t->noted_khz = 0;
}

static void note_spoiled(struct trace *t, enum trace_spoiled how)
{
	if (!t->spoiled[how]++)
		t->first_spoiled[how] = t->st.lines;
}

/* The first of all ways in which lines were spoiled, or NOT. */
static enum trace_spoiled first_way(const struct trace *t)
{
	for (int i = 1; i < TRACE_SPOILED_WAYS; i++) {
		if (t->spoiled[i])
			return (enum trace_spoiled)i;
	}
	return TRACE_SPOILED_NOT;
}

/* Is this line used? */
static bool wanted(const struct trace *t, const struct trace_line *l)
{
	unsigned int ask = t->options.events;

	switch (l->kind) {
	case TRACE_LINE_WRITE:
	case TRACE_LINE_SKIP:
	case TRACE_LINE_REARM:
	case TRACE_LINE_HOST_WRITE:
	case TRACE_LINE_LOST:
		return true;
	case TRACE_LINE_TIMER_IRQ:
	case TRACE_LINE_HOST_IRQ:
		return !t->decided || t->fit || (ask & 1U << TRACE_EVENT_IRQ);
	case TRACE_LINE_VCPU:
		/* A timer that fires, for the fit. */
		return (l->exit == TRACE_EXIT_PREEMPTION_TIMER && (!t->decided || t->st.host)) ||
		       (ask & (1U << TRACE_EVENT_EXIT | 1U << TRACE_EVENT_ENTRY));
	case TRACE_LINE_IDLE:
		return ask & 1U << TRACE_EVENT_IDLE;
	case TRACE_LINE_OTHER_MSR:
		return ask & 1U << TRACE_EVENT_MSR;
	default:
		return false;
	}
}

static void count_kind(struct trace *t, enum trace_line_kind kind)
{
	if (kind == TRACE_LINE_IDLE)
		kind = TRACE_LINE_OTHER_EVENT;
	else if (kind == TRACE_LINE_HOST_IRQ)
		kind = TRACE_LINE_TIMER_IRQ;
	else if (kind == TRACE_LINE_COUNT)
		kind = TRACE_LINE_UNKNOWN; /* unless there is nothing else */
	t->st.kinds[kind]++;
}

/*
 * trace-cmd report prints a buffer's name before the mark of lost events, and not before the event
 * behind it.
 */
static void pass_label(struct trace *t, struct trace_line *l)
{
	bool mark = l->kind == TRACE_LINE_LOST && l->label;
	size_t len = mark && l->label_len < LABEL_SIZE ? l->label_len : LABEL_SIZE - 1;

	if (*t->marked && l->kind < TRACE_LINE_COMMENT && l->kind != TRACE_LINE_LOST && !l->label &&
	    l->cpu == t->marked_cpu) {
		l->label = t->marked;
		l->label_len = strlen(t->marked);
		t->marked_cpu = UINT_MAX;
		return;
	}
	*t->marked = '\0';
	if (!mark)
		return;
	memcpy(t->marked, l->label, len);
	t->marked[len] = '\0';
	t->marked_cpu = l->cpu;
}

/* The next line of text. Return: 1; 0 at the end; -1 on an error. */
static int next_text(struct trace *t, struct trace_line *l)
{
	struct trace_text text;
	int got = trace_input_line(t->in, &text);

	if (got < 0)
		return fail(t, "%s", t->in->error);
	if (got == 0)
		return 0;
	trace_line_parse(&t->layout, text.p, text.e, l);
	if (text.cut) {
		l->kind = TRACE_LINE_UNKNOWN;
		l->spoiled = l->spoiled == TRACE_SPOILED_JOINED ? l->spoiled : TRACE_SPOILED_NOT;
	}
	if (l->kind == TRACE_LINE_LOST || *t->marked)
		pass_label(t, l);
	if (text.unterminated && seems_cut(t, &text, l))
		l->kind = TRACE_LINE_DAMAGED;
	if (l->kind == TRACE_LINE_COMMENT)
		note_comment(t, &text);
	return 1;
}

/* The next line that is used. Return: 1; 0 at the end; -1 on an error. */
static int read_item(struct trace *t, struct item *it)
{
	struct trace_line l;
	int got;

	for (;;) {
		got = t->dat ? trace_dat_next(t->dat, &l) : next_text(t, &l);
		if (got < 0 && t->dat)
			return fail(
				t,
				"%s: a trace-cmd file that is truncated or damaged (was it copied whole, and did trace-cmd record end by itself?)",
				t->in->name);
		if (got <= 0)
			return got;
		t->st.lines++;
		count_kind(t, l.kind);
		if (l.kind == TRACE_LINE_VCPU)
			note_vcpu(t, &l);
		else if (l.kind == TRACE_LINE_HOST_WRITE)
			note_deadline(t, &l);
		else if (l.kind == TRACE_LINE_COUNT)
			note_count(t, &l);
		else if (l.kind == TRACE_LINE_DAMAGED || l.kind == TRACE_LINE_UNKNOWN)
			note_spoiled(t, l.spoiled);
		if (l.kind == TRACE_LINE_DAMAGED && !t->st.first_damaged)
			t->st.first_damaged = t->st.lines;
		if (l.kind == TRACE_LINE_VCPU && !t->decided)
			t->host_label[find_label(t, &l)] = true;
		if (wanted(t, &l))
			break;
	}
	*it = (struct item){ .kind = (uint8_t)l.kind, .cpu = (uint16_t)l.cpu, .value = l.value };
	it->line = t->st.lines;
	if (l.kind == TRACE_LINE_LOST)
		return 1;
	it->ts = l.ts;
	it->cycles = l.cycles != t->swapped;
	it->micro = l.micro;
	it->relative = l.relative;
	it->digits = (uint8_t)l.value_digits;
	it->label = l.label ? (uint8_t)find_label(t, &l) : 0;
	if (l.kind == TRACE_LINE_HOST_WRITE || l.kind == TRACE_LINE_HOST_IRQ ||
	    l.kind == TRACE_LINE_VCPU) {
		it->tid = (int32_t)l.tid;
		it->pid = (int32_t)l.pid;
		it->vcpu = (int16_t)l.vcpu;
		it->exit = (uint8_t)l.exit;
	}
	if (t->options.tasks && (l.kind == TRACE_LINE_WRITE || l.kind == TRACE_LINE_SKIP ||
				 l.kind == TRACE_LINE_REARM || l.kind == TRACE_LINE_HOST_WRITE))
		it->task = (uint16_t)find_task(t, &l);
	if (t->too_many_labels)
		return fail(
			t,
			"%s:%" PRIu64
			": more than %d buffers or files in one trace; replay some of them at a time",
			t->in->name, t->st.lines, MAX_LABELS - 1);
	return 1;
}

/* --- What is it? --- */

/* Time stamps do not mean what their form says: cycles or nanoseconds. */
static void swap_form(struct trace *t)
{
	for (size_t i = 0; i < t->nitems; i++)
		t->items[i].cycles ^= true;
	t->swapped = true;
	t->st.cycles ^= true;
}

static bool is_guest_write(const struct item *it)
{
	return it->kind == TRACE_LINE_WRITE || it->kind == TRACE_LINE_SKIP;
}

/* Is it a deadline of the source that was decided on? */
static bool is_write(const struct trace *t, const struct item *it)
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

/* Has another buffer an event among the last ones that is no farther than @near from @what? */
static bool seen_before(struct trace_recent *recent, unsigned int *n, uint64_t what, uint64_t near,
			unsigned int label)
{
	uint64_t bit = 1ULL << label;

	for (unsigned int i = 0; i < TRACE_RECENT && i < *n; i++) {
		uint64_t a = recent[i].what;

		if ((a > what ? a - what : what - a) > near || (recent[i].labels & bit))
			continue;
		recent[i].labels |= bit;
		return true;
	}
	recent[(*n)++ % TRACE_RECENT] = (struct trace_recent){ what, bit };
	return false;
}

/* Has another buffer recorded this write as well? Remembers it. */
static bool recorded_twice(struct vcpu *v, const struct item *it)
{
	return seen_before(v->recent, &v->nrecent, it->value, 0, it->label);
}

/* Each buffer gives an interrupt a time stamp of its own. */
static bool irq_twice(const struct trace *t, struct vcpu *v, const struct item *it)
{
	return t->nlabels > 1 && !t->labels_are_vms && !t->labels_split &&
	       seen_before(v->irqs, &v->nirqs, it->ts, IRQ_TWICE, it->label);
}

/* The vCPUs that were found for the sake of a test are dropped. */
static void drop_vcpus(struct trace *t)
{
	memset(t->vcpus.hash, 0, 2 * TRACE_MAX_VCPUS * sizeof(*t->vcpus.hash));
	t->vcpus.n = 0;
}

/* How many timer interrupts come while no deadline is set? @n: of how many. */
static size_t without_deadline(struct trace *t, size_t *n)
{
	size_t without = 0;

	*n = 0;
	for (size_t i = 0; i < t->nitems; i++) {
		const struct item *it = &t->items[i];
		struct vcpu *v = NULL;

		/* Behind lost events one may be. */
		for (unsigned int k = 0; it->kind == TRACE_LINE_LOST && k < t->vcpus.n; k++)
			t->vcpus.v[k].outstanding = it->line;
		if (t->guest_label[it->label] &&
		    (is_write(t, it) || it->kind == TRACE_LINE_TIMER_IRQ))
			v = find_cpu(t, it->cpu, it->label);
		if (!v)
			continue;
		if (is_write(t, it)) {
			v->outstanding = it->value;
			continue;
		}
		++*n;
		without += !v->outstanding;
		v->outstanding = 0;
	}
	drop_vcpus(t);
	return without;
}

static int alloc_points(struct trace *t)
{
	if (t->writes)
		return 0;
	t->window = calloc(LONGEST_WINDOW, sizeof(*t->window));
	t->writes = calloc(WINDOW, sizeof(*t->writes));
	t->irqs = calloc(WINDOW, sizeof(*t->irqs));
	t->answers = calloc(WINDOW, sizeof(*t->answers));
	t->irq_points = calloc(WINDOW, sizeof(*t->irq_points));
	if (!t->window || !t->writes || !t->irqs || !t->answers || !t->irq_points)
		return fail(t, "%s: out of memory", t->in->name);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const struct clock_point *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return x->ts < y->ts ? -1 : x->ts > y->ts;
}

/* Has a CPU the same deadline in two buffers? No two guests have one. */
static bool share_writes(struct trace *t)
{
	struct clock_point *p = t->writes;
	size_t n = 0;

	for (size_t i = 0; i < t->nitems; i++) {
		const struct item *it = &t->items[i];

		if (is_write(t, it) && it->value)
			p[n++] = (struct clock_point){ .value = it->value,
						       .ts = it->cpu,
						       .set = it->label };
	}
	qsort(p, n, sizeof(*p), by_value);
	for (size_t i = 1; i < n; i++) {
		if (p[i].value == p[i - 1].value && p[i].ts == p[i - 1].ts &&
		    p[i].set != p[i - 1].set)
			return true;
	}
	return false;
}

/*
 * Are buffers that hold deadline writes the same guest's? They are when they share writes. They are
 * no buffers at all, but one guest's lines with words before them (as a log's stdout and stderr),
 * when the interrupts of each come while none of its own deadlines is set, and all together they do
 * not.
 */
static int tell_labels(struct trace *t)
{
	unsigned int with_writes = 0;
	size_t of_vms, of_one, n;

	for (size_t i = 0; i < t->nitems; i++) {
		const struct item *it = &t->items[i];

		if (!is_write(t, it) || (t->kvm_events && t->host_label[it->label]))
			continue;
		with_writes += !t->guest_label[it->label];
		t->guest_label[it->label] = true;
	}
	if (with_writes < 2)
		return 0;
	if (alloc_points(t))
		return -1;
	if (share_writes(t))
		return 0;
	of_one = without_deadline(t, &n);
	t->labels_are_vms = true;
	of_vms = without_deadline(t, &n);
	t->labels_split = of_vms > n / UNSET_PART && of_one < of_vms / 2;
	t->labels_are_vms = !t->labels_split;
	/* A file of trace-cmd's knows its buffers. */
	t->labels_unproven = !t->dat && n < UNSET_PART;
	return 0;
}

/* Is this timer interrupt the guest's? A host's own stands in a buffer with kvm events. */
static bool is_guest_irq(const struct trace *t, const struct item *it)
{
	return t->st.source != TRACE_HOST &&
	       !(t->host_label[it->label] && !t->guest_label[it->label]);
}

/* A vCPU's write, for a fit. */
static void add_points(struct clock_points *p, struct vcpu *v, uint64_t ts, uint64_t value)
{
	if (v->unanswered)
		p->answers[p->nanswers++] = (struct clock_point){
			.ts = ts, .value = v->unanswered, .set = v->set, .before = v->before
		};
	if (value)
		p->writes[p->nwrites++] = (struct clock_point){ .ts = ts, .value = value };
	v->before = v->unanswered;
	v->unanswered = value;
	v->set = ts;
}

static struct judge_result judge_items(struct trace *t)
{
	struct clock_points p = { .writes = t->writes, .answers = t->answers, .irqs = t->irqs };
	struct judge_result r;

	for (size_t i = 0; i < t->nitems; i++) {
		const struct item *it = &t->items[i];
		struct vcpu *v = NULL;

		if (it->kind != TRACE_LINE_LOST && it->cycles != t->st.cycles)
			continue;
		for (unsigned int k = 0; it->kind == TRACE_LINE_LOST && k < t->vcpus.n; k++)
			t->vcpus.v[k].unanswered = 0;
		if (is_write(t, it) || it->kind == TRACE_LINE_TIMER_IRQ)
			v = find_cpu(t, it->cpu, it->label);
		if (!v)
			continue;
		if (is_write(t, it)) {
			add_points(&p, v, it->ts, it->value);
			v->outstanding = it->value;
		} else if (v->outstanding && is_guest_irq(t, it)) {
			p.irqs[p.nirqs++] =
				(struct clock_point){ .ts = it->ts, .value = v->outstanding };
			v->outstanding = 0;
		}
	}
	for (unsigned int i = 0; i < t->vcpus.n; i++)
		t->vcpus.v[i].outstanding = t->vcpus.v[i].unanswered = 0;
	r = judge(&p, IRQ_LATENCY);
	return r;
}

/* Whole numbers, or nanoseconds against nanoseconds: the trace has to show that they agree. */
static int decide_clock(struct trace *t)
{
	struct judge_result r;
	const char *what = t->st.source == TRACE_REARM ? "CLOCK_MONOTONIC"
			   : t->swapped		       ? "guest TSC, printed as seconds"
						       : "guest TSC";

	if (alloc_points(t))
		return -1;
	r = judge_items(t);
	t->st.evidence = TRACE_APPROXIMATE;
	switch (r.judgement) {
	case JUDGE_SHARED:
		t->st.evidence = TRACE_EXACT;
		if (r.irqs_agree)
			because(t,
				"time stamps are %s: %zu of %zu timer interrupts follow their deadline",
				what, r.irqs_agree, r.irqs);
		else
			because(t, "time stamps are %s: deadlines lie just ahead of them", what);
		return 0;
	case JUDGE_UNPROVEN:
		because(t,
			"nothing in the trace shows that time stamps are %s; record timer interrupts too",
			what);
		return 0;
	case JUDGE_OFFSET:
		t->fit = true;
		t->given_rate = 1;
		because(t,
			"time stamps count in units of %s, but not from its start (latency-format, --date)",
			what);
		return 0;
	case JUDGE_OTHER:
		t->fit = true;
		because(t, "time stamps are %s, but not %s",
			t->st.cycles ? "whole numbers" : "seconds", what);
		return 0;
	default:
		if (!r.rate)
			return fail(
				t,
				"%s: time stamps are whole numbers, and nothing shows what they count; record with trace_clock x86-tsc, and timer interrupts",
				t->in->name);
		return fail(
			t,
			"%s: time stamps do not tell the time: deadlines move by %.0f TSC cycles for each unit, as with trace_clock counter or uptime, or where values are cut; record with trace_clock x86-tsc",
			t->in->name, r.rate);
	}
}

static const char *const spoiled_by[TRACE_SPOILED_WAYS] = {
	[TRACE_SPOILED_RAW] =
		"ftrace's option raw, hex or bin prints no values: echo 0 > options/raw (hex, bin), and cat trace again",
	[TRACE_SPOILED_CONTEXT] =
		"deadline writes without time stamp and CPU: ftrace's option context-info is off, or perf script -F left them out; echo 1 > options/context-info, or " PERF_SCRIPT,
	[TRACE_SPOILED_CPU] =
		"a guest's deadline writes without their CPU: perf script -F left it out; run " PERF_SCRIPT,
	[TRACE_SPOILED_TIME] =
		"deadline writes without time stamp: perf script -F left it out; run " PERF_SCRIPT,
	[TRACE_SPOILED_EVENT] =
		"values without the name of their event: perf script -F left it out; run " PERF_SCRIPT,
	[TRACE_SPOILED_TEXT] =
		"events without their values: perf script -F left out trace; run " PERF_SCRIPT,
	[TRACE_SPOILED_REASON] =
		"exits without their reason: lines were wrapped or cut, as by mail; get the file as it was written, in an attachment",
	[TRACE_SPOILED_SAMPLED] =
		"events that stand for several, as their period says: perf record -F, or a group of events with :S, left the others out; record without",
	[TRACE_SPOILED_JOINED] =
		"several events on one line: line ends were lost; get the file as it was written (of old Macintosh line ends: tr '\\r' '\\n' < FILE | lazytsc replay -)",
	[TRACE_SPOILED_COARSE] =
		"time stamps with fewer than six decimals: some tool has cut them, and a deadline write is not told from the next one; print the trace with all of them",
	[TRACE_SPOILED_BELOW_0] =
		"time stamps below 0, as of trace-cmd report --ts-offset; print the trace without that option",
	[TRACE_SPOILED_BLANKS] =
		"no-break spaces between the columns, as of a web page: sed 's/\\xc2\\xa0/ /g' FILE | lazytsc replay -",
	[TRACE_SPOILED_COLOURS] =
		"escape sequences of colours within events: sed 's/\\x1b\\[[0-9;]*[mK]//g' FILE | lazytsc replay - (or grep without --color)",
	[TRACE_SPOILED_QUOTED] =
		"quoted-printable text of a mail, with =3D: perl -MMIME::QuotedPrint -pe '$_ = decode_qp($_)' FILE | lazytsc replay -",
	[TRACE_SPOILED_CTF] =
		"babeltrace's text of a CTF trace, which is not read: run " PERF_SCRIPT
		" on the perf.data from which perf data convert made it",
	[TRACE_SPOILED_GRAPH] =
		"events as comments of the tracer function_graph: echo nop > current_tracer, and record again",
	[TRACE_SPOILED_PERF_TRACE] =
		"perf trace does not print a guest's CPU; run perf record -a -e msr:write_msr -e irq_vectors:local_timer_entry, then " PERF_SCRIPT,
};

/* There is no deadline in the trace: say why. */
static int no_deadlines(struct trace *t)
{
	const char *name = t->in->name;
	const uint64_t *k = t->st.kinds;
	uint64_t n = t->st.lines;
	enum trace_spoiled how = first_way(t);

	if (!n)
		return fail(t, "%s: %s", name,
			    t->dat	  ? "a trace-cmd file without events"
			    : t->in->perf ? "a perf.data file of which `perf script` prints nothing"
					  : "empty file");
	if (how)
		return fail(t, "%s:%" PRIu64 ": %s", name, t->first_spoiled[how], spoiled_by[how]);
	if (t->st.first_damaged)
		return fail(
			t,
			"%s:%" PRIu64
			": damaged deadline write, or one in an unknown form, and no whole one in %" PRIu64
			" lines (expected \"write_msr: 6e0, value HEX\" or \"kvm_msr: msr_write 6e0 = 0xHEX\")",
			name, t->st.first_damaged, n);
	if (k[TRACE_LINE_COMMENT] + k[TRACE_LINE_UNKNOWN] == n)
		return fail(t,
			    "%s: no trace event in %" PRIu64
			    " lines (expected the text of ftrace, trace-cmd report or perf script)",
			    name, n);
	return fail(
		t,
		"%s: no TSC-deadline write in %" PRIu64
		" lines; record msr:write_msr in the guest (from Linux 7.1 on timer:hrtimer_rearm), or kvm:kvm_msr on its host",
		name, n);
}

/* Exits alone. */
static int decide_exits(struct trace *t)
{
	uint64_t exits = 0;

	for (unsigned int i = 0; i < t->threads.n; i++)
		exits += t->threads.v[i].pub.exits.last != 0;
	if (!exits && first_way(t))
		return no_deadlines(t);
	if (!exits)
		return fail(
			t,
			"%s: a host's trace without exits and without its guests' deadline writes; on the host: " TRACE_RECORD_HOST,
			t->in->name);
	t->st.source = TRACE_EXITS;
	t->st.host = true;
	/* Those of a trace-cmd file are whole numbers whatever the clock, and ns as a rule. */
	t->st.cycles = !t->dat && t->whole_exits > t->kvm_events / 2;
	t->st.evidence = TRACE_BOUNDS;
	because(t, "exits alone: kvm:kvm_msr is missing; on the host: " TRACE_RECORD_HOST);
	return 0;
}

/* Has a table rows of exits? Another table has none of their names. */
static bool has_counts(const struct trace *t)
{
	for (int i = 0; i < TRACE_EXIT_OTHER; i++) {
		if (t->counts.count[i])
			return true;
	}
	return false;
}

/* A table of exits, which are those of all vCPUs. */
static int decide_counts(struct trace *t)
{
	struct vcpu *all = vcpus_get(&t->threads, 0);
	uint64_t named = 0;

	for (int i = 0; i < TRACE_EXIT_REASONS; i++)
		named += t->counts.count[i];
	t->st.kinds[TRACE_LINE_UNKNOWN] -= t->rows;
	t->st.kinds[TRACE_LINE_VCPU] += t->rows;
	if (t->counted > named)
		t->counts.count[TRACE_EXIT_OTHER] += t->counted - named;
	all->pub.id = 0;
	all->named = true;
	all->pub.exits = t->counts;
	t->st.source = TRACE_EXITS;
	t->st.host = t->st.counted = true;
	t->st.evidence = TRACE_BOUNDS;
	because(t, "counts of exits alone; on the host: " TRACE_RECORD_HOST);
	return 0;
}

static void count_sources(const struct trace *t, size_t *guest, size_t *host, size_t *rearm,
			  size_t *own)
{
	size_t skips = 0;

	*guest = *host = *rearm = *own = 0;
	for (size_t i = 0; i < t->nitems; i++) {
		const struct item *it = &t->items[i];

		*host += it->kind == TRACE_LINE_HOST_WRITE;
		if (it->kind != TRACE_LINE_REARM && !is_guest_write(it))
			continue;
		/* Where kvm events stand in the same buffer it is a host's own timer. */
		if (t->kvm_events && t->host_label[it->label])
			++*own;
		else if (it->kind == TRACE_LINE_SKIP)
			skips++;
		else if (is_guest_write(it))
			++*guest;
		else
			++*rearm;
	}
	/* Beside hrtimer_rearm, which has all deadlines, they say which of them were skipped. */
	if (*guest || !*rearm)
		*guest += skips;
}

/* The host's threads become the vCPUs. */
static void take_threads(struct trace *t)
{
	struct vcpus swap = t->vcpus;

	t->vcpus = t->threads;
	t->threads = swap;
}

/*
 * The time stamps of a trace-cmd file are whole numbers whatever the clock: nanoseconds where
 * deadlines go faster than they, cycles where they keep up.
 */
static bool has_ns(struct trace *t)
{
	double error, rate;
	size_t n = 0;

	if (t->st.source == TRACE_REARM)
		rate = NS_RATE_LOW;
	else {
		if (alloc_points(t))
			return false;
		for (size_t i = 0; i < t->nitems; i++) {
			if (is_write(t, &t->items[i]))
				t->writes[n++] = (struct clock_point){ .ts = t->items[i].ts,
								       .value = t->items[i].value };
		}
		rate = clock_rate(t->writes, n, &error);
	}
	return rate >= NS_RATE_LOW && rate <= NS_RATE_HIGH;
}

/*
 * Time stamps with a decimal point that are the guest's TSC: trace-cmd report prints every file as
 * seconds that does not tell its clock, as those of old versions and of trace-cmd extract.
 */
static bool has_tsc_as_seconds(struct trace *t)
{
	return !alloc_points(t) && judge_items(t).judgement == JUDGE_SHARED;
}

static int decide(struct trace *t)
{
	size_t guest, host, rearm, own, whole = 0, seconds = 0;
	bool micro = false;

	for (size_t i = 0; i < t->nitems; i++) {
		if (t->items[i].kind == TRACE_LINE_HOST_WRITE)
			t->host_label[t->items[i].label] = true;
		t->kvm_events += t->items[i].kind == TRACE_LINE_HOST_WRITE;
	}
	count_sources(t, &guest, &host, &rearm, &own);
	/* A guest's own file beside its host's says more than the host's. */
	if (guest && (!host || t->nlabels > 1))
		t->st.source = TRACE_GUEST;
	else if (host)
		t->st.source = TRACE_HOST;
	else if (rearm)
		t->st.source = TRACE_REARM;
	else if (t->kvm_events && !t->st.first_damaged)
		return decide_exits(t);
	else if (has_counts(t) && !t->st.first_damaged)
		return decide_counts(t);
	else
		return no_deadlines(t);

	for (size_t i = 0; i < t->nitems; i++) {
		if (!is_write(t, &t->items[i]))
			continue;
		whole += t->items[i].cycles;
		seconds += !t->items[i].cycles;
		micro |= t->items[i].micro;
	}
	t->exact_if_clear = t->st.source == TRACE_REARM && micro;
	t->st.cycles = whole > seconds;
	t->st.host = t->st.source == TRACE_HOST;
	if (t->dat && has_ns(t))
		swap_form(t);
	if (t->st.host) {
		t->fit = true;
		t->st.evidence = TRACE_APPROXIMATE;
		because(t, "a host's time stamps are not the guest's TSC");
		return 0;
	}
	if (tell_labels(t))
		return -1;
	if (t->st.source == TRACE_GUEST && !t->st.cycles && has_tsc_as_seconds(t)) {
		swap_form(t);
		if (micro) {
			t->st.evidence = TRACE_APPROXIMATE;
			because(t,
				"time stamps are guest TSC, printed as seconds and cut to 1000 cycles; trace-cmd report -t prints all digits");
			return 0;
		}
	}
	if (t->st.source == TRACE_REARM || t->st.cycles) {
		if (decide_clock(t))
			return -1;
		if (t->labels_unproven && t->st.evidence == TRACE_EXACT) {
			t->st.evidence = TRACE_APPROXIMATE;
			because(t,
				"names before the lines are taken for guests, and without timer interrupts nothing shows that they are");
		}
		return 0;
	}
	t->fit = true;
	t->st.evidence = TRACE_APPROXIMATE;
	because(t, "time stamps are nanoseconds, not the guest's TSC");
	return 0;
}

/* kHz, of the option or of `lazytsc record`; 0: neither tells. */
static double known_khz(const struct trace *t)
{
	return t->options.tsc_khz ? t->options.tsc_khz : t->noted_khz;
}

/* How far a given rate may be from the one that `lazytsc record` measured. */
#define NOTED_ERROR 1e-3

static int check_noted(struct trace *t)
{
	double given = t->options.tsc_khz, noted = t->noted_khz;

	if (!given || !noted || fabs(given - noted) <= NOTED_ERROR * noted)
		return 0;
	return fail(
		t,
		"%s: the TSC's rate is not the given --tsc-khz %.0f: `lazytsc record` noted %.3f kHz; leave the option out",
		t->in->name, given, noted);
}

/* Read until it is clear what the trace is. */
static int start(struct trace *t)
{
	size_t writes = 0, deadlines = 0;
	int got = 1;

	while (deadlines < WRITES_TO_DECIDE) {
		struct item *it = &t->items[t->nitems];

		/* Without a write yet, what came before is of no use. */
		if (t->nitems == WINDOW && writes)
			break;
		if (t->nitems == WINDOW)
			it = &t->items[t->nitems = 0];
		got = read_item(t, it);
		if (got <= 0)
			break;
		t->nitems++;
		if (!is_guest_write(it) && it->kind != TRACE_LINE_REARM &&
		    it->kind != TRACE_LINE_HOST_WRITE)
			continue;
		/* A disarm is no evidence. */
		writes++;
		deadlines += it->value != 0;
	}
	if (got < 0 || check_noted(t) || decide(t))
		return -1;
	if (t->st.host)
		take_threads(t);
	t->decided = true;
	t->st.approximate = t->st.evidence != TRACE_EXACT;
	t->st.fitted = t->fit;
	if (!t->fit && t->st.source == TRACE_REARM)
		t->st.tsc_khz = 1e6;
	else if (!t->fit)
		t->st.tsc_khz = known_khz(t);
	if (!t->fit)
		return 0;
	if (!t->given_rate && !t->st.cycles && t->st.source != TRACE_REARM)
		t->given_rate = t->options.tsc_khz / 1e6;
	return alloc_points(t);
}

/* --- Events --- */

/* On the host a CPU is no vCPU: any of them may have lost a write. */
static void take_gap(struct trace *t, const struct item *it)
{
	t->st.gaps++;
	t->st.lost_events += it->value;
	t->gap_cpu = t->st.host || it->cpu == TRACE_ALL_CPUS ? UINT32_MAX : it->cpu;
	t->gap_next = 0;
	t->gap_end = t->vcpus.n;
}

static bool next_gap(struct trace *t, struct trace_event *ev)
{
	while (t->gap_next < t->gap_end) {
		unsigned int i = t->gap_next++;
		struct vcpu *v = &t->vcpus.v[i];

		/* A second gap says nothing new. */
		if (!v->seen || v->gap ||
		    (t->gap_cpu != UINT32_MAX && v->pub.id != (int)t->gap_cpu))
			continue;
		v->outstanding = 0;
		v->gap = true;
		*ev = (struct trace_event){ .kind = TRACE_EVENT_GAP, .vcpu = i };
		return true;
	}
	return false;
}

/* Is the time in order? The vCPU's last time stamp moves on. */
static bool in_order(struct trace *t, struct vcpu *v, const struct item *it)
{
	if (v->seen && it->ts < v->last_ts)
		return false;
	v->seen = true;
	v->dropped_ts = 0;
	v->gap = false;
	v->last_ts = it->ts;
	if (!t->first_ts || it->ts < t->first_ts)
		t->first_ts = it->ts;
	if (it->ts > t->last_ts)
		t->last_ts = it->ts;
	return true;
}

static void note_out_of_order(struct trace *t, struct vcpu *v, const struct item *it)
{
	if (!t->st.out_of_order++)
		t->st.first_out_of_order = it->line;
	t->steps_back += !v->dropped_ts || it->ts < v->dropped_ts;
	v->dropped_ts = it->ts;
}

/* A deadline far from the time of its write, which no guest's is. */
static bool is_strange(const struct item *it)
{
	uint64_t d = it->value > it->ts ? it->value - it->ts : it->ts - it->value;

	return it->value && it->value < UINT64_MAX / 2 && d > 1ULL << 42;
}

/* hrtimer_rearm comes before the write, so it was this vCPU's last one that was skipped. */
static int take_skipped(struct trace *t, const struct item *it, struct trace_event *ev)
{
	struct vcpu *v = find_cpu(t, it->cpu, it->label);

	if (!v || !v->seen || v->gap || it->ts < v->last_ts) {
		t->st.other_source++;
		return 0;
	}
	t->st.skipped++;
	*ev = (struct trace_event){ .kind = TRACE_EVENT_SKIPPED,
				    .vcpu = (unsigned int)(v - t->vcpus.v),
				    .ts = it->ts,
				    .now = it->ts };
	return 1;
}

/* It cannot be told any more whether this is a second buffer of one guest, or a second guest. */
static int late_label(struct trace *t, const struct item *it)
{
	return fail(
		t,
		"%s:%" PRIu64 ": deadline writes of %s%.40s begin here, behind %" PRIu64
		" of others: one guest's second buffer, or another guest? replay each on its own",
		t->in->name, it->line, it->label ? "" : "the main buffer", t->labels[it->label],
		t->st.writes);
}

/* Return: 1 and an event, 0: the line is dropped, -1: an error. */
static int take_write(struct trace *t, const struct item *it, struct trace_event *ev)
{
	struct vcpu *v;

	if (it->kind == TRACE_LINE_SKIP && t->st.source == TRACE_REARM)
		return take_skipped(t, it, ev);
	if (!is_write(t, it) || it->cycles != t->st.cycles ||
	    (!t->st.host && t->kvm_events && t->host_label[it->label])) {
		t->st.other_source++;
		t->st.own_timer += t->st.host && is_guest_write(it);
		if (is_write(t, it) && it->cycles != t->st.cycles && !t->other_clock++)
			t->first_other_clock = it->line;
		return 0;
	}
	if (!t->st.host && t->nlabels > 1 && !t->labels_are_vms && !t->guest_label[it->label])
		return late_label(t, it);
	if (t->st.host)
		v = find_thread(&t->vcpus, it->tid, it->pid, it->vcpu);
	else
		v = find_cpu(t, it->cpu, it->label);
	if (!v) {
		t->st.no_vcpu++;
		return 0;
	}
	if (t->nlabels > 1 && !t->labels_are_vms && !t->labels_split && !t->st.host) {
		t->label_writes[it->label]++;
		if (recorded_twice(v, it)) {
			t->st.twice++;
			return 0;
		}
	}
	/* A stopped clock event device is not stopped again. */
	if (it->kind == TRACE_LINE_REARM && !it->value && v->stopped && !v->gap)
		return 0;
	if (t->exact_if_clear && v->outstanding && v->outstanding >= it->ts &&
	    v->outstanding - it->ts < MICROSECOND)
		t->hidden++;
	if (!in_order(t, v, it)) {
		note_out_of_order(t, v, it);
		return 0;
	}
	t->strange += !t->fit && is_strange(it);
	v->digits = it->digits;
	v->outstanding = it->value;
	v->stopped = !it->value;
	v->pub.writes++;
	t->st.writes++;
	t->st.skipped += it->kind == TRACE_LINE_SKIP;
	*ev = (struct trace_event){ .kind = TRACE_EVENT_WRITE,
				    .skipped = it->kind == TRACE_LINE_SKIP,
				    .vcpu = (unsigned int)(v - t->vcpus.v),
				    .task = it->task,
				    .ts = it->ts,
				    .now = it->ts,
				    .value = it->value };
	return 1;
}

/* The deadline that is outstanding has passed, just before. For the fit. */
static void add_irq(struct trace *t, struct vcpu *v, uint64_t ts)
{
	if (!t->fit || !v->outstanding || t->nirq_points == WINDOW)
		return;
	t->irq_points[t->nirq_points].p = (struct clock_point){ .ts = ts, .value = v->outstanding };
	t->irq_points[t->nirq_points].at = (uint32_t)t->window_len;
	t->irq_points[t->nirq_points++].vcpu = (uint32_t)(v - t->vcpus.v);
	v->outstanding = 0;
}

static bool asked(const struct trace *t, const struct trace_event *ev)
{
	return t->options.events & 1U << ev->kind;
}

/* Return: 1 and an event, 0: the line is dropped. */
static int take_other(struct trace *t, const struct item *it, struct trace_event *ev)
{
	struct vcpu *v = NULL;

	*ev = (struct trace_event){ .ts = it->ts, .now = it->ts, .value = it->value };
	if (it->cycles != t->st.cycles)
		return 0;
	switch (it->kind) {
	case TRACE_LINE_TIMER_IRQ:
	case TRACE_LINE_HOST_IRQ:
		ev->kind = TRACE_EVENT_IRQ;
		/* A timer on another CPU injects as well: that thread runs no vCPU. */
		if (t->st.host && it->kind == TRACE_LINE_HOST_IRQ)
			v = vcpus_find(&t->vcpus, thread_key(it->tid, it->pid, it->vcpu));
		else if (it->kind == TRACE_LINE_TIMER_IRQ && is_guest_irq(t, it))
			v = find_cpu(t, it->cpu, it->label);
		if (v && irq_twice(t, v, it))
			return 0;
		if (v && !v->seen && ++v->pub.early_irqs == 2)
			v->pub.early_irq_ts = it->ts;
		if (v)
			add_irq(t, v, it->ts);
		break;
	case TRACE_LINE_IDLE:
	case TRACE_LINE_OTHER_MSR:
		ev->kind = it->kind == TRACE_LINE_IDLE ? TRACE_EVENT_IDLE : TRACE_EVENT_MSR;
		if (is_guest_irq(t, it))
			v = find_cpu(t, it->cpu, it->label);
		break;
	case TRACE_LINE_VCPU:
		ev->kind = it->exit == TRACE_EXIT_NONE ? TRACE_EVENT_ENTRY : TRACE_EVENT_EXIT;
		ev->value = it->exit;
		if (t->st.host)
			v = find_thread(&t->vcpus, it->tid, it->pid, it->vcpu);
		else if (it->vcpu >= 0 && !t->labels_are_vms)
			v = find_cpu(t, (unsigned int)it->vcpu, 0);
		/* The host's timer has fired: the guest's interrupt comes next. */
		if (v && t->st.host && it->exit == TRACE_EXIT_PREEMPTION_TIMER)
			add_irq(t, v, it->ts);
		break;
	default:
		break;
	}
	if (!v || !v->seen)
		return 0;
	/*
	 * Some outputs ask for interrupts, and none may differ for that: they move no vCPU's time,
	 * and fill a fit's window whether they are asked for or not.
	 */
	if (ev->kind == TRACE_EVENT_IRQ ? it->ts < v->last_ts || (!t->fit && !asked(t, ev))
					: !asked(t, ev) || !in_order(t, v, it))
		return 0;
	t->st.interrupts += ev->kind == TRACE_EVENT_IRQ && asked(t, ev);
	ev->vcpu = (unsigned int)(v - t->vcpus.v);
	return 1;
}

/* A guest's vCPUs get the exits of the threads that run them, where one VM's are there. */
static void give_exits(struct trace *t)
{
	vcpus_settle(&t->threads);
	if (t->threads.nvms != 1 || t->labels_are_vms)
		return;
	for (unsigned int i = 0; i < t->threads.n; i++) {
		const struct vcpu *th = &t->threads.v[i];

		for (unsigned int j = 0; j < t->vcpus.n; j++) {
			struct vcpu *v = &t->vcpus.v[j];

			if (v->pub.id == th->pub.id) {
				v->pub.exits = th->pub.exits;
				v->pub.tid = th->pub.tid;
			}
		}
	}
}

/* Is this more than a few of the deadline writes? */
static bool many(const struct trace *t, uint64_t dropped)
{
	return dropped > t->st.writes || (dropped > FEW_DROPPED && dropped > t->st.writes / 10);
}

/*
 * Buffers that hold one guest's writes: all but the one with the most have them once more. Where
 * they hardly do, though some do, their clocks lie apart: the same writes come at other times.
 */
static bool has_two_clocks(const struct trace *t, uint64_t *second)
{
	uint64_t all = 0, most = 0;

	for (unsigned int i = 0; i < t->nlabels; i++) {
		all += t->label_writes[i];
		most = t->label_writes[i] > most ? t->label_writes[i] : most;
	}
	*second = all - most;
	return t->st.twice < *second / 2 && *second - t->st.twice > FEW_DROPPED;
}

/* Time stamps that are no time, or not one time. Return: 0: they are. */
static int check_times(struct trace *t)
{
	static const enum trace_spoiled worst[] = {
		TRACE_SPOILED_BELOW_0,
		TRACE_SPOILED_JOINED,
		TRACE_SPOILED_SAMPLED,
	};
	const struct trace_stats *st = &t->st;
	uint64_t second;

	for (size_t i = 0; i < sizeof(worst) / sizeof(worst[0]); i++) {
		/* One that stands for several shows that all of them may. */
		if (many(t, t->spoiled[worst[i]]) ||
		    (worst[i] == TRACE_SPOILED_SAMPLED && t->spoiled[worst[i]]))
			return fail(t, "%s:%" PRIu64 ": %s", t->in->name,
				    t->first_spoiled[worst[i]], spoiled_by[worst[i]]);
	}
	if (has_two_clocks(t, &second))
		return fail(
			t,
			"%s: several buffers hold the same writes with clocks that lie apart: %" PRIu64
			" of %" PRIu64 " were found twice; replay one buffer at a time",
			t->in->name, st->twice, second);
	if (st->host && t->two_vcpus > FEW_DROPPED)
		return fail(
			t,
			"%s:%" PRIu64
			": one thread id for several vCPUs: perf script -F printed the process, not the thread; run " PERF_SCRIPT,
			t->in->name, t->first_two_vcpus);
	if (many(t, t->other_clock))
		return fail(
			t,
			"%s:%" PRIu64
			": time stamps change between whole numbers and seconds: %" PRIu64
			" of %" PRIu64
			" deadline writes have the other form; replay each recording on its own",
			t->in->name, t->first_other_clock, t->other_clock,
			t->other_clock + st->writes);
	if (many(t, st->out_of_order) && t->steps_back <= st->out_of_order / 4)
		return fail(
			t,
			"%s:%" PRIu64 ": the time goes back, and %" PRIu64 " of %" PRIu64
			" deadline writes lie before one that is above them: several recordings in one file, or a clock that has wrapped; replay each part on its own",
			t->in->name, st->first_out_of_order, st->out_of_order,
			st->out_of_order + st->writes);
	if (st->out_of_order > st->writes)
		return fail(
			t,
			"%s:%" PRIu64 ": time stamps go back on %" PRIu64 " of %" PRIu64
			" deadline writes: differences, as of perf script --deltatime, are no time; print the trace without that option",
			t->in->name, st->first_out_of_order, st->out_of_order,
			st->out_of_order + st->writes);
	if (!st->host && st->evidence == TRACE_EXACT &&
	    (t->strange > st->writes / 2 || many(t, t->strange)))
		return fail(t,
			    "%s: time stamps change their meaning within the trace: %" PRIu64
			    " of %" PRIu64 " deadlines are far from the time of their write",
			    t->in->name, t->strange, st->writes);
	return 0;
}

static int at_end(struct trace *t)
{
	struct trace_stats *st = &t->st;

	if (!st->host && t->kvm_events)
		give_exits(t);
	vcpus_settle(&t->vcpus);
	st->nvcpus = t->vcpus.n;
	st->nvms = t->vcpus.nvms;
	st->span = (double)(t->last_ts - t->first_ts);
	if (t->fit)
		st->span *= t->vcpus.n ? t->rate : 0;
	if (st->source == TRACE_EXITS) {
		uint64_t first = UINT64_MAX, last = 0;

		for (unsigned int i = 0; i < t->vcpus.n; i++) {
			const struct trace_exits *x = &t->vcpus.v[i].pub.exits;

			if (!x->last)
				continue;
			first = x->first < first ? x->first : first;
			last = x->last > last ? x->last : last;
		}
		st->span = last > first ? (double)(last - first) : 0;
		st->tsc_khz = st->cycles ? known_khz(t) : 1e6;
		return 0;
	}
	if (st->no_vcpu && !st->writes)
		return fail(
			t,
			"%s: %" PRIu64
			" deadline writes of a host, none tells its vCPU (expected thread ids, threads named \"CPU n/KVM\", or kvm_entry events)",
			t->in->name, st->no_vcpu);
	if (check_times(t))
		return -1;
	if (t->exact_if_clear && t->hidden && st->evidence == TRACE_EXACT) {
		st->evidence = TRACE_APPROXIMATE;
		because(t,
			"%" PRIu64
			" deadlines lie within the microsecond to which their time stamp is rounded",
			t->hidden);
	}
	if (st->evidence == TRACE_EXACT && many(t, st->kinds[TRACE_LINE_DAMAGED])) {
		st->evidence = TRACE_APPROXIMATE;
		because(t,
			"%" PRIu64 " deadline writes are damaged and left out, from line %" PRIu64,
			st->kinds[TRACE_LINE_DAMAGED], st->first_damaged);
	}
	st->approximate = st->evidence != TRACE_EXACT;
	return 0;
}

/* The next event, its time as printed. */
static int next_raw(struct trace *t, struct trace_event *ev)
{
	struct item one;
	const struct item *it;
	int got;

	for (;;) {
		if (t->gap_next < t->gap_end && next_gap(t, ev))
			return 1;
		if (t->item_pos < t->nitems) {
			it = &t->items[t->item_pos++];
		} else {
			got = read_item(t, &one);
			if (got < 0)
				return -1;
			if (got == 0)
				return at_end(t);
			it = &one;
			if (it->kind == TRACE_LINE_HOST_WRITE && !t->st.host && t->nlabels == 1)
				return fail(
					t,
					"%s:%" PRIu64
					": a guest's deadline write seen by its host, after %" PRIu64
					" of a machine's own: keep the kvm lines alone",
					t->in->name, it->line, t->st.writes);
		}
		if (t->st.source == TRACE_EXITS) {
			t->st.own_timer += is_guest_write(it);
			continue;
		}
		switch (it->kind) {
		case TRACE_LINE_WRITE:
		case TRACE_LINE_SKIP:
		case TRACE_LINE_REARM:
		case TRACE_LINE_HOST_WRITE:
			got = take_write(t, it, ev);
			break;
		case TRACE_LINE_LOST:
			take_gap(t, it);
			got = 0;
			break;
		default:
			got = take_other(t, it, ev);
			break;
		}
		if (got)
			return got;
	}
}

/* --- Fitted clocks --- */

/* Do two vCPUs share a TSC as far as one can tell? Those of one VM do. */
static bool same_clock(const struct vcpu *a, const struct vcpu *b)
{
	return a == b || (!a->alone && !b->alone && a->pub.vm == b->pub.vm &&
			  ((a->named && b->named) || a->pid >= 0));
}

/* A window's points of @leader's VM, or of @only; of a part of it. */
static struct clock_points take_points(struct trace *t, const struct vcpu *leader,
				       const struct vcpu *only, size_t from, size_t to)
{
	struct clock_points p = { .writes = t->writes, .answers = t->answers, .irqs = t->irqs };

	p.rate_before = leader->fitted ? leader->fit.rate : 0;
	for (unsigned int i = 0; i < t->vcpus.n; i++)
		t->vcpus.v[i].unanswered = 0;
	for (size_t i = from; i < to; i++) {
		const struct trace_event *ev = &t->window[i];
		struct vcpu *v = &t->vcpus.v[ev->vcpu];

		if (ev->kind == TRACE_EVENT_GAP)
			v->unanswered = 0;
		if (ev->kind == TRACE_EVENT_WRITE && same_clock(leader, v) && (!only || v == only))
			add_points(&p, v, ev->now, ev->value);
	}
	for (size_t i = 0; i < t->nirq_points; i++) {
		const struct vcpu *v = &t->vcpus.v[t->irq_points[i].vcpu];
		size_t at = t->irq_points[i].at;

		if (same_clock(leader, v) && (!only || v == only) && at >= from &&
		    (at < to || to == t->window_len))
			p.irqs[p.nirqs++] = t->irq_points[i].p;
	}
	return p;
}

/* Fit the clock of the vCPUs that share it with @leader. Return: how many points there were. */
static size_t fit_shared(struct trace *t, const struct vcpu *leader, double rate,
			 struct clock_fit *fit, bool *ok)
{
	struct clock_points p = take_points(t, leader, NULL, 0, t->window_len);

	*ok = clock_fit(&p, rate, fit);
	return p.nwrites;
}

/*
 * The vCPUs for which the fit does not hold are of another VM: that of each is fitted on its own.
 * Where there is no fit at all, that may be why. Return: were there any?
 */
static bool part(struct trace *t, const struct vcpu *leader, const struct clock_fit *fit)
{
	bool any = false;

	for (unsigned int i = 0; i < t->vcpus.n; i++) {
		struct vcpu *v = &t->vcpus.v[i];
		struct clock_points p;

		if (v->alone || !same_clock(leader, v))
			continue;
		p = take_points(t, leader, v, 0, t->window_len);
		if (!fit ? v != leader : !clock_holds(&p, fit))
			v->alone = any = true;
	}
	return any;
}

/* Does the fit hold for its window, and for each part of it? */
static bool steady(struct trace *t, const struct vcpu *leader, const struct clock_fit *fit)
{
	struct clock_points p = take_points(t, leader, NULL, 0, t->window_len);
	bool holds = clock_holds(&p, fit);

	for (size_t i = 0; holds && i < STEADY_PARTS; i++) {
		p = take_points(t, leader, NULL, i * t->window_len / STEADY_PARTS,
				(i + 1) * t->window_len / STEADY_PARTS);
		holds = clock_holds(&p, fit);
	}
	return holds;
}

/* As fit_shared(), and tell whose clock it is. */
static size_t fit_one(struct trace *t, const struct vcpu *leader, double rate,
		      struct clock_fit *fit, bool *ok)
{
	size_t n;

	/* Ends: each time there is one vCPU less that shares it. */
	do {
		n = fit_shared(t, leader, rate, fit, ok);
	} while ((*ok || n >= POINTS_TO_TELL) && part(t, leader, *ok ? fit : NULL));
	if (*ok && (fit->far || !steady(t, leader, fit))) {
		fit->doubtful = n;
		t->st.stepped = true;
	}
	return n;
}

/* A cycle for each nanosecond, which is the TSC of no machine but where it is known to be. */
static bool are_cycles(const struct trace *t, const struct clock_fit *fit)
{
	return !t->st.cycles && t->st.source != TRACE_REARM && fabs(fit->rate - 1) <= RATE_ONE &&
	       fabs(known_khz(t) / 1e6 - 1) > RATE_ONE;
}

static void take_as_cycles(struct trace *t)
{
	swap_form(t);
	t->given_rate = 0;
	because(t,
		"%s; printed as seconds, they count TSC cycles (or the TSC runs at 1 GHz: give --tsc-khz)",
		t->st.host ? "a host's time stamps are not the guest's TSC"
			   : "time stamps are not the guest's TSC");
}

/*
 * Are so many points enough to tell the rate, of this window? No guest writes them so fast as some
 * clocks make it seem that do not measure time.
 */
static bool told(const struct trace *t, size_t n)
{
	uint64_t span = t->window[t->window_len - 1].ts - t->window->ts;

	return n >= POINTS_TO_TELL && !t->st.cycles &&
	       (span >= SPAN_TO_TELL || span / n < WRITE_MIN);
}

static int fail_unlike(struct trace *t, size_t n)
{
	return fail(
		t,
		"%s: no rate of a TSC makes %zu deadlines fit their time stamps: the clock is counter or uptime, values are cut, or the guest was reset; record with trace_clock x86-tsc, or replay what comes before and after on its own",
		t->in->name, n);
}

/*
 * A rate that is given, and that the trace contradicts, would make every figure wrong. Deadlines
 * alone show a rate too roughly. Return: 0: it may be right.
 */
static int check_given(struct trace *t, const struct vcpu *leader)
{
	const struct trace_event *last = &t->window[t->window_len - 1];
	double given = t->options.tsc_khz / 1e6, off;
	struct clock_fit own;
	size_t n;
	bool ok;

	if (!given || t->st.cycles || t->st.source == TRACE_REARM)
		return 0;
	n = fit_one(t, leader, 0, &own, &ok);
	if (!ok && told(t, n))
		return fail_unlike(t, n);
	if (!ok || own.by == CLOCK_BY_DEADLINES || clock_unsure(&own))
		return 0;
	if (are_cycles(t, &own)) {
		take_as_cycles(t);
		return 0;
	}
	off = fabs(given - own.rate);
	if (off <= RATE_ERRORS * own.rate_error ||
	    off * (double)(last->ts - t->window->ts) <= IRQ_LATENCY)
		return 0;
	return fail(
		t,
		"%s: the TSC's rate is not the given --tsc-khz %.0f: deadlines and time stamps show %.3f +- %.3f kHz; leave the option out",
		t->in->name, t->options.tsc_khz, own.rate * 1e6, own.rate_error * 1e6);
}

static void note_fit(struct trace *t, const struct clock_fit *fit)
{
	struct trace_stats *st = &t->st;
	/* From cycles for a unit to kHz: a unit is a nanosecond, but for whole numbers. */
	double error = fit->rate_error;

	if (!t->fitted) {
		if (are_cycles(t, fit))
			take_as_cycles(t);
		t->rate = fit->rate;
		st->by = fit->by;
		if (st->cycles)
			st->cycles_per_unit = fit->rate;
		st->tsc_khz = st->source == TRACE_REARM ? 1e6
			      : st->cycles		? known_khz(t)
							: fit->rate * 1e6;
	}
	t->fitted = true;
	if (st->cycles && error > st->cycles_per_unit_error)
		st->cycles_per_unit_error = error;
	if (!st->cycles && st->source != TRACE_REARM && error * 1e6 > st->tsc_khz_error)
		st->tsc_khz_error = error * 1e6;
	st->doubtful += fit->doubtful;
	st->unsure |= clock_unsure(fit);
	/* The weakest of all. */
	if (fit->by > st->by)
		st->by = fit->by;
	if (fit->offset_error > st->offset_error)
		st->offset_error = fit->offset_error;
}

/*
 * Fit the clocks to the window that was read, each VM's on its own. A short last window is left to
 * the fit before. A VM with too few points of its own has the rate of the others.
 */
static int fit_window(struct trace *t)
{
	bool again = t->fitted;
	size_t points = 0;

	vcpus_settle(&t->vcpus);
	for (unsigned int pass = 0; pass < 2; pass++) {
		for (unsigned int i = 0; i < t->vcpus.n; i++) {
			struct vcpu *v = &t->vcpus.v[i];
			struct clock_fit fit;
			unsigned int leader = 0;
			size_t n;
			bool ok;

			while (!same_clock(&t->vcpus.v[leader], v))
				leader++;
			if (leader != i) {
				if (t->vcpus.v[leader].fitted) {
					v->fit = t->vcpus.v[leader].fit;
					v->fitted = true;
				}
				continue;
			}
			if (pass && v->fitted)
				continue;
			if (again && v->fitted && t->window_len < WINDOW)
				continue;
			if (!v->fitted && check_given(t, v))
				return -1;
			n = fit_one(t, v, pass ? t->rate : t->given_rate, &fit, &ok);
			points += pass ? 0 : n;
			if (again && v->fitted && n < POINTS_FOR_FIT)
				continue;
			if (!ok)
				continue;
			v->fit = fit;
			v->fitted = true;
			note_fit(t, &fit);
		}
		/* Nothing but disarms so far: their time does not matter. */
		if (!t->fitted && !points && t->window_len == LONGEST_WINDOW)
			return 0;
		if (!t->fitted && check_times(t))
			return -1;
		if (!t->fitted && told(t, points))
			return fail_unlike(t, points);
		if (!t->fitted)
			return fail(t, "%s: cannot tell the TSC's rate from %zu deadline writes%s",
				    t->in->name, points,
				    t->given_rate == 0 ? "; give --tsc-khz"
						       : " at the given --tsc-khz");
	}
	return 0;
}

/* Read a window of events, beginning with @first, and fit the clock. */
static int read_window(struct trace *t, const struct trace_event *first)
{
	struct trace_event ev = *first;
	size_t deadlines = 0;
	int got = 1;

	while (got > 0) {
		t->window[t->window_len++] = ev;
		deadlines += ev.kind == TRACE_EVENT_WRITE && ev.value;
		if (t->window_len == LONGEST_WINDOW ||
		    (t->window_len >= WINDOW && deadlines >= DEADLINES_WANTED))
			break;
		got = next_raw(t, &ev);
	}
	if (got < 0 || fit_window(t))
		return -1;
	t->nirq_points = 0;
	return 0;
}

int trace_next(struct trace *t, struct trace_event *ev)
{
	struct vcpu *v;
	int got;

	if (!t->decided && start(t))
		return -1;
	do {
		if (t->window_pos == t->window_len) {
			t->window_pos = t->window_len = 0;
			got = next_raw(t, ev);
			if (got <= 0 || !t->fit)
				return got;
			if (read_window(t, ev))
				return -1;
		}
		*ev = t->window[t->window_pos++];
	} while (ev->kind == TRACE_EVENT_IRQ && !asked(t, ev));
	if (ev->kind == TRACE_EVENT_GAP)
		return 1;
	v = &t->vcpus.v[ev->vcpu];
	/* A vCPU that has only disarmed has no deadline to be late for. */
	ev->now = v->fitted ? clock_tsc(&v->fit, ev->now) : 0;
	/* Where two fits meet, time may seem to step back. */
	if (ev->now < v->last_now)
		ev->now = v->last_now;
	if (ev->kind != TRACE_EVENT_IRQ)
		v->last_now = ev->now;
	return 1;
}
