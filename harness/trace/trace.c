// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"
#include "dat.h"
#include "reading.h"

/* Two buffers record one timer interrupt no farther apart, in TSC cycles or ns. */
#define IRQ_TWICE 0x1p15
/* A time stamp in microseconds may be this much too low, ns. */
#define MICROSECOND 1000
/* So many writes that are dropped are told of, and no reason to refuse the trace. */
#define FEW_DROPPED 16

int trace_fail(struct trace *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->error, sizeof(t->error), fmt, ap);
	va_end(ap);
	return -1;
}

void trace_because(struct trace *t, const char *fmt, ...)
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
		return trace_fail(t, "%s: out of memory", path);
	strcpy(t->tasks[0], "?");
	if (trace_input_open(path, &t->in))
		return trace_fail(t, "%s", t->in ? t->in->error : "out of memory");
	if (options->no_progress)
		t->in->progress_due_ns = 0;
	if (t->in->dat) {
		t->dat = trace_dat_open(t->in->fd);
		if (!t->dat)
			return trace_fail(t, "%s: %s", path, strerror(errno));
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
struct vcpu *trace_find_cpu(struct trace *t, unsigned int cpu, unsigned int label)
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
		    ? trace_find_cpu(t, l->cpu, find_label(t, l))
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
enum trace_spoiled trace_first_way(const struct trace *t)
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
		return trace_fail(t, "%s", t->in->error);
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
int trace_read_item(struct trace *t, struct item *it)
{
	struct trace_line l;
	int got;

	for (;;) {
		got = t->dat ? trace_dat_next(t->dat, &l) : next_text(t, &l);
		if (got < 0 && t->dat)
			return trace_fail(
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
		return trace_fail(
			t,
			"%s:%" PRIu64
			": more than %d buffers or files in one trace; replay some of them at a time",
			t->in->name, t->st.lines, MAX_LABELS - 1);
	return 1;
}

/* --- Events --- */

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
	struct vcpu *v = trace_find_cpu(t, it->cpu, it->label);

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
	return trace_fail(
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
		v = trace_find_cpu(t, it->cpu, it->label);
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
			v = trace_find_cpu(t, it->cpu, it->label);
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
			v = trace_find_cpu(t, it->cpu, it->label);
		break;
	case TRACE_LINE_VCPU:
		ev->kind = it->exit == TRACE_EXIT_NONE ? TRACE_EVENT_ENTRY : TRACE_EVENT_EXIT;
		ev->value = it->exit;
		if (t->st.host)
			v = find_thread(&t->vcpus, it->tid, it->pid, it->vcpu);
		else if (it->vcpu >= 0 && !t->labels_are_vms)
			v = trace_find_cpu(t, (unsigned int)it->vcpu, 0);
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
int trace_check_times(struct trace *t)
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
			return trace_fail(t, "%s:%" PRIu64 ": %s", t->in->name,
					  t->first_spoiled[worst[i]], trace_spoiled_by[worst[i]]);
	}
	if (has_two_clocks(t, &second))
		return trace_fail(
			t,
			"%s: several buffers hold the same writes with clocks that lie apart: %" PRIu64
			" of %" PRIu64 " were found twice; replay one buffer at a time",
			t->in->name, st->twice, second);
	if (st->host && t->two_vcpus > FEW_DROPPED)
		return trace_fail(
			t,
			"%s:%" PRIu64
			": one thread id for several vCPUs: perf script -F printed the process, not the thread; run " PERF_SCRIPT,
			t->in->name, t->first_two_vcpus);
	if (many(t, t->other_clock))
		return trace_fail(
			t,
			"%s:%" PRIu64
			": time stamps change between whole numbers and seconds: %" PRIu64
			" of %" PRIu64
			" deadline writes have the other form; replay each recording on its own",
			t->in->name, t->first_other_clock, t->other_clock,
			t->other_clock + st->writes);
	if (many(t, st->out_of_order) && t->steps_back <= st->out_of_order / 4)
		return trace_fail(
			t,
			"%s:%" PRIu64 ": the time goes back, and %" PRIu64 " of %" PRIu64
			" deadline writes lie before one that is above them: several recordings in one file, or a clock that has wrapped; replay each part on its own",
			t->in->name, st->first_out_of_order, st->out_of_order,
			st->out_of_order + st->writes);
	if (st->out_of_order > st->writes)
		return trace_fail(
			t,
			"%s:%" PRIu64 ": time stamps go back on %" PRIu64 " of %" PRIu64
			" deadline writes: differences, as of perf script --deltatime, are no time; print the trace without that option",
			t->in->name, st->first_out_of_order, st->out_of_order,
			st->out_of_order + st->writes);
	if (!st->host && st->evidence == TRACE_EXACT &&
	    (t->strange > st->writes / 2 || many(t, t->strange)))
		return trace_fail(t,
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
		st->tsc_khz = st->cycles ? trace_known_khz(t) : 1e6;
		return 0;
	}
	if (st->no_vcpu && !st->writes)
		return trace_fail(
			t,
			"%s: %" PRIu64
			" deadline writes of a host, none tells its vCPU (expected thread ids, threads named \"CPU n/KVM\", or kvm_entry events)",
			t->in->name, st->no_vcpu);
	if (trace_check_times(t))
		return -1;
	if (t->exact_if_clear && t->hidden && st->evidence == TRACE_EXACT) {
		st->evidence = TRACE_APPROXIMATE;
		trace_because(
			t,
			"%" PRIu64
			" deadlines lie within the microsecond to which their time stamp is rounded",
			t->hidden);
	}
	if (st->evidence == TRACE_EXACT && many(t, st->kinds[TRACE_LINE_DAMAGED])) {
		st->evidence = TRACE_APPROXIMATE;
		trace_because(t,
			      "%" PRIu64
			      " deadline writes are damaged and left out, from line %" PRIu64,
			      st->kinds[TRACE_LINE_DAMAGED], st->first_damaged);
	}
	st->approximate = st->evidence != TRACE_EXACT;
	return 0;
}

/* The next event, its time as printed. */
int trace_next_raw(struct trace *t, struct trace_event *ev)
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
			got = trace_read_item(t, &one);
			if (got < 0)
				return -1;
			if (got == 0)
				return at_end(t);
			it = &one;
			if (it->kind == TRACE_LINE_HOST_WRITE && !t->st.host && t->nlabels == 1)
				return trace_fail(
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

int trace_next(struct trace *t, struct trace_event *ev)
{
	struct vcpu *v;
	int got;

	if (!t->decided && trace_start(t))
		return -1;
	do {
		if (t->window_pos == t->window_len) {
			t->window_pos = t->window_len = 0;
			got = trace_next_raw(t, ev);
			if (got <= 0 || !t->fit)
				return got;
			if (trace_read_window(t, ev))
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
