// SPDX-License-Identifier: BSD-2-Clause
/* Lines that are used, and what the others tell. */
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dat.h"
#include "reading.h"

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
uint64_t trace_thread_key(int64_t tid, int64_t pid, int id)
{
	return tid >= 0 ? (uint64_t)tid : 1ULL << 62 | (uint64_t)(uint32_t)pid << 16 | (uint64_t)id;
}

/* The thread of a host's line; NULL: it tells none, or there are too many. */
struct vcpu *trace_find_thread(struct vcpus *threads, int64_t tid, int64_t pid, int id)
{
	struct vcpu *v;

	if (tid < 0 && id < 0)
		return NULL;
	v = vcpus_get(threads, trace_thread_key(tid, pid, id));
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
	struct vcpu *v = trace_find_thread(host_threads(t), l->tid, l->pid, l->vcpu);
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
	struct vcpu *v = trace_find_thread(host_threads(t), l->tid, l->pid, l->vcpu);

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
