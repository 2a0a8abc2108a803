// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "trace.h"
#include "clock.h"
#include "input.h"

/* Events that one fit of the clock is made from, and bounded memory. */
#define WINDOW (64 * 1024)
/* Threads of a host trace that are told apart; a power of two. */
#define MAX_THREADS (4 * TRACE_MAX_CPUS)

struct vcpu {
	uint64_t last_ts; /* of the last write, as printed */
	uint64_t last_now; /* the same in guest TSC, fitted clocks only */
	uint64_t outstanding; /* the deadline that the next timer interrupt is for; 0: none */
	int64_t tid; /* host: the thread that runs it; -1: none seen */
	unsigned int digits; /* of the last value */
	bool seen;
};

struct thread {
	int64_t tid; /* 0: free */
	int vcpu;
};

struct trace {
	struct trace_input *in;
	struct trace_layout layout;
	struct trace_options options;
	struct trace_stats st;
	struct vcpu *vcpus; /* TRACE_MAX_CPUS */
	struct thread *threads; /* MAX_THREADS, by hash; NULL until needed */
	unsigned int nthreads;
	unsigned int vcpu_end; /* beyond the highest vCPU seen */
	unsigned int gap_next, gap_end; /* host: vCPUs that a gap is still to be told of */
	bool started; /* a deadline write was seen: source and clock are known */

	/* Fitted clocks: events as read, time stamps in the trace's own clock. */
	struct trace_event *window;
	size_t window_len, window_pos;
	struct clock_point *writes, *irqs;
	size_t nwrites, nirqs;
	bool fitted;
	struct clock_fit fit;

	char error[256];
};

__attribute__((format(printf, 2, 3))) static int fail(struct trace *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->error, sizeof(t->error), fmt, ap);
	va_end(ap);
	return -1;
}

int trace_open(const char *path, const struct trace_options *options, struct trace **out)
{
	struct trace *t = calloc(1, sizeof(*t));

	*out = t;
	if (!t)
		return -1;
	t->options = *options;
	t->vcpus = calloc(TRACE_MAX_CPUS, sizeof(*t->vcpus));
	if (!t->vcpus)
		return fail(t, "%s: out of memory", path);
	for (unsigned int i = 0; i < TRACE_MAX_CPUS; i++)
		t->vcpus[i].tid = -1;
	if (trace_input_open(path, &t->in))
		return fail(t, "%s", t->in ? t->in->error : "out of memory");
	return 0;
}

void trace_close(struct trace *t)
{
	if (!t)
		return;
	trace_input_close(t->in);
	free(t->vcpus);
	free(t->threads);
	free(t->window);
	free(t->writes);
	free(t->irqs);
	free(t);
}

const struct trace_stats *trace_stats(const struct trace *t)
{
	return &t->st;
}

const char *trace_error(const struct trace *t)
{
	return t ? t->error : "out of memory";
}

/* The entry of a thread, or the free one where it belongs. NULL: too many threads. */
static struct thread *find_thread(struct trace *t, int64_t tid)
{
	size_t i = ((uint64_t)tid * 0x9e3779b97f4a7c15ULL) >> 32;

	if (!t->threads)
		t->threads = calloc(MAX_THREADS, sizeof(*t->threads));
	if (!t->threads)
		return NULL;
	for (;; i++) {
		struct thread *th = &t->threads[i % MAX_THREADS];

		if (th->tid == tid)
			return th;
		if (!th->tid)
			return t->nthreads < MAX_THREADS / 2 ? th : NULL;
	}
}

static void learn_vcpu(struct trace *t, const struct trace_line *l)
{
	struct thread *th = l->tid > 0 ? find_thread(t, l->tid) : NULL;

	if (!th)
		return;
	if (!th->tid)
		t->nthreads++;
	th->tid = l->tid;
	th->vcpu = l->vcpu;
}

/* The vCPU of a host's line. Return: 1; 0: it does not tell; -1: an error. */
static int host_vcpu(struct trace *t, struct trace_line *l)
{
	struct vcpu *v;

	if (l->vcpu < 0 && l->tid > 0) {
		struct thread *th = find_thread(t, l->tid);

		if (th && th->tid)
			l->vcpu = th->vcpu;
	}
	if (l->vcpu < 0)
		return 0;
	l->cpu = (unsigned int)l->vcpu;
	v = &t->vcpus[l->cpu];
	if (v->tid >= 0 && v->tid != l->tid)
		return fail(t,
			    "%s:%" PRIu64 ": vCPU %u is thread %" PRId64 ", was thread %" PRId64
			    ": keep the lines of one VM",
			    t->in->name, t->st.lines, l->cpu, l->tid, v->tid);
	v->tid = l->tid;
	return 1;
}

/* The first deadline write tells what the trace is. */
static void start(struct trace *t, const struct trace_line *l)
{
	t->started = true;
	t->st.host = l->kind == TRACE_LINE_HOST_WRITE;
	t->st.cycles = l->cycles;
	t->st.approximate = t->st.host || !t->st.cycles;
}

/* Return: 1 and an event, 0: the line is dropped, -1: an error. */
static int take_write(struct trace *t, struct trace_line *l, struct trace_event *ev)
{
	bool host = l->kind == TRACE_LINE_HOST_WRITE;
	struct vcpu *v;

	if (!t->started)
		start(t, l);
	if (host != t->st.host || l->cycles != t->st.cycles) {
		t->st.other_source++;
		return 0;
	}
	if (host) {
		int known = host_vcpu(t, l);

		if (known <= 0) {
			t->st.no_vcpu += known == 0;
			return known;
		}
	}
	v = &t->vcpus[l->cpu];
	if (v->seen && l->ts < v->last_ts) {
		if (!t->st.out_of_order++)
			t->st.first_out_of_order = t->st.lines;
		return 0;
	}
	v->seen = true;
	v->last_ts = l->ts;
	v->digits = l->value_digits;
	if (l->cpu >= t->vcpu_end)
		t->vcpu_end = l->cpu + 1;
	*ev = (struct trace_event){ .vcpu = l->cpu, .now = l->ts, .value = l->value };
	t->st.writes++;
	return 1;
}

/* On the host a CPU is no vCPU: any of them may have lost a write. */
static void take_gap(struct trace *t, const struct trace_line *l)
{
	t->st.gaps++;
	t->st.lost_events += l->value;
	t->gap_next = t->st.host ? 0 : l->cpu;
	t->gap_end = t->st.host ? t->vcpu_end : l->cpu + 1;
}

static bool next_gap(struct trace *t, struct trace_event *ev)
{
	while (t->gap_next < t->gap_end) {
		unsigned int vcpu = t->gap_next++;

		if (!t->vcpus[vcpu].seen)
			continue;
		t->vcpus[vcpu].outstanding = 0;
		*ev = (struct trace_event){ .gap = true, .vcpu = vcpu };
		return true;
	}
	return false;
}

static void note_irq(struct trace *t, const struct trace_line *l)
{
	struct vcpu *v = &t->vcpus[l->cpu];

	if (!t->started || t->st.host || t->st.cycles || l->cycles || !v->outstanding)
		return;
	if (t->nirqs < WINDOW)
		t->irqs[t->nirqs++] = (struct clock_point){ l->ts, v->outstanding };
	v->outstanding = 0;
}

/* A last line without its newline may have lost the end of its value. */
static bool seems_cut(const struct trace *t, const struct trace_text *text,
		      const struct trace_line *l)
{
	return text->unterminated && l->kind == TRACE_LINE_WRITE &&
	       l->value_digits < t->vcpus[l->cpu].digits;
}

static int at_end(struct trace *t)
{
	const char *name = t->in->name;
	const uint64_t *k = t->st.kinds;
	uint64_t n = t->st.lines;

	if (t->st.writes)
		return 0;
	if (!n)
		return fail(t, "%s: empty file", name);
	if (k[TRACE_LINE_COMMENT] + k[TRACE_LINE_UNKNOWN] == n)
		return fail(t,
			    "%s: no trace event in %" PRIu64 " lines (expected the text of ftrace, "
			    "trace-cmd report or perf script)",
			    name, n);
	if (t->st.no_vcpu)
		return fail(t,
			    "%s: %" PRIu64 " deadline writes of a host, none tells its vCPU "
			    "(expected threads named \"CPU n/KVM\", or kvm_entry events)",
			    name, t->st.no_vcpu);
	if (t->st.first_damaged)
		return fail(t,
			    "%s:%" PRIu64 ": damaged deadline write, and no whole one in %" PRIu64
			    " lines (expected \"write_msr: 6e0, value HEX\")",
			    name, t->st.first_damaged, n);
	return fail(t,
		    "%s: no TSC-deadline write in %" PRIu64 " lines (expected \"write_msr: 6e0, "
		    "value HEX\"; Linux 7.1 and later have "
		    "no "
		    "trace event for it)",
		    name, n);
}

/* The next event, its time as printed. */
static int next_raw(struct trace *t, struct trace_event *ev)
{
	struct trace_text text;
	struct trace_line l;
	int got;

	for (;;) {
		if (t->gap_next < t->gap_end && next_gap(t, ev))
			return 1;
		got = trace_input_line(t->in, &text);
		if (got < 0)
			return fail(t, "%s", t->in->error);
		if (got == 0)
			return at_end(t);
		t->st.lines++;
		l.kind = TRACE_LINE_UNKNOWN;
		if (!text.cut)
			trace_line_parse(&t->layout, text.p, text.e, &l);
		if (text.unterminated && seems_cut(t, &text, &l))
			l.kind = TRACE_LINE_DAMAGED;
		t->st.kinds[l.kind]++;

		switch (l.kind) {
		case TRACE_LINE_WRITE:
		case TRACE_LINE_HOST_WRITE:
			got = take_write(t, &l, ev);
			if (got)
				return got;
			break;
		case TRACE_LINE_LOST:
			take_gap(t, &l);
			break;
		case TRACE_LINE_TIMER_IRQ:
			note_irq(t, &l);
			break;
		case TRACE_LINE_VCPU:
			learn_vcpu(t, &l);
			break;
		case TRACE_LINE_DAMAGED:
			if (!t->st.first_damaged)
				t->st.first_damaged = t->st.lines;
			break;
		default:
			break;
		}
	}
}

static int alloc_window(struct trace *t)
{
	t->window = calloc(WINDOW, sizeof(*t->window));
	t->writes = calloc(WINDOW, sizeof(*t->writes));
	t->irqs = calloc(WINDOW, sizeof(*t->irqs));
	if (!t->window || !t->writes || !t->irqs)
		return fail(t, "%s: out of memory", t->in->name);
	return 0;
}

/* Fit the clock to the window that was read. A short last window is left to the fit before. */
static int fit_window(struct trace *t)
{
	struct trace_stats *st = &t->st;
	double rate = st->cycles ? 0 : t->options.tsc_khz / 1e6;
	double to_khz = st->cycles ? 1e3 : 1e6;

	if (t->fitted && t->window_len < WINDOW)
		return 0;
	if (!clock_fit(t->writes, t->nwrites, t->irqs, t->nirqs, rate, &t->fit))
		return fail(t, "%s: cannot tell the TSC's rate from %zu deadline writes%s",
			    t->in->name, t->nwrites,
			    rate == 0 ? "; give --tsc-khz" : " at the given --tsc-khz");
	if (!t->fitted) {
		st->tsc_khz = t->fit.rate * to_khz;
		st->irqs_seen = true;
	}
	t->fitted = true;
	if (t->fit.rate_error * to_khz > st->tsc_khz_error)
		st->tsc_khz_error = t->fit.rate_error * to_khz;
	if (t->fit.offset_error < 0)
		st->irqs_seen = false;
	if (t->fit.offset_error > st->offset_error)
		st->offset_error = t->fit.offset_error;
	return 0;
}

/* Read a window of events, beginning with @first, and fit the clock. */
static int read_window(struct trace *t, const struct trace_event *first)
{
	struct trace_event ev = *first;
	int got = 1;

	t->window_len = t->window_pos = 0;
	t->nwrites = t->nirqs = 0;
	while (got > 0) {
		t->window[t->window_len++] = ev;
		if (!ev.gap) {
			t->writes[t->nwrites++] = (struct clock_point){ ev.now, ev.value };
			t->vcpus[ev.vcpu].outstanding = ev.value;
		}
		if (t->window_len == WINDOW)
			break;
		got = next_raw(t, &ev);
	}
	if (got < 0)
		return -1;
	return fit_window(t);
}

int trace_next(struct trace *t, struct trace_event *ev)
{
	struct vcpu *v;
	int got;

	if (t->window_pos == t->window_len) {
		got = next_raw(t, ev);
		if (got <= 0 || !t->st.approximate)
			return got;
		if (!t->window && alloc_window(t))
			return -1;
		if (read_window(t, ev))
			return -1;
	}
	*ev = t->window[t->window_pos++];
	if (ev->gap)
		return 1;
	v = &t->vcpus[ev->vcpu];
	ev->now = clock_tsc(&t->fit, ev->now);
	/* Where two fits meet, time may seem to step back. */
	if (ev->now < v->last_now)
		ev->now = v->last_now;
	v->last_now = ev->now;
	return 1;
}
