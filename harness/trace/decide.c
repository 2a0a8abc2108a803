// SPDX-License-Identifier: BSD-2-Clause
/* What is this trace? By what it holds, not by its first line. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "reading.h"

/* This number of deadlines is enough to decide what the trace is. */
#define WRITES_TO_DECIDE (WINDOW / 4)
/* TSC cycles for a nanosecond: the range of real machines. */
#define NS_RATE_LOW  1.25
#define NS_RATE_HIGH 8.0
/* Hardly more than this part of a guest's timer interrupts comes while no deadline is set. */
#define UNSET_PART 16

/* Time stamps do not mean what their form says: cycles or nanoseconds. */
void trace_swap_form(struct trace *t)
{
	for (size_t i = 0; i < t->nitems; i++)
		t->items[i].cycles ^= true;
	t->swapped = true;
	t->st.cycles ^= true;
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
			v = trace_find_cpu(t, it->cpu, it->label);
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
		return trace_fail(t, "%s: out of memory", t->in->name);
	return 0;
}

static int by_deadline(const void *a, const void *b)
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
	qsort(p, n, sizeof(*p), by_deadline);
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

/* A vCPU's write, for a fit. */
void trace_add_points(struct clock_points *p, struct vcpu *v, uint64_t ts, uint64_t value)
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
			v = trace_find_cpu(t, it->cpu, it->label);
		if (!v)
			continue;
		if (is_write(t, it)) {
			trace_add_points(&p, v, it->ts, it->value);
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
			trace_because(
				t,
				"time stamps are %s: %zu of %zu timer interrupts follow their deadline",
				what, r.irqs_agree, r.irqs);
		else
			trace_because(t, "time stamps are %s: deadlines lie just ahead of them",
				      what);
		return 0;
	case JUDGE_UNPROVEN:
		trace_because(
			t,
			"nothing in the trace shows that time stamps are %s; record timer interrupts too",
			what);
		return 0;
	case JUDGE_OFFSET:
		t->fit = true;
		t->given_rate = 1;
		trace_because(
			t,
			"time stamps count in units of %s, but not from its start (latency-format, --date)",
			what);
		return 0;
	case JUDGE_OTHER:
		t->fit = true;
		trace_because(t, "time stamps are %s, but not %s",
			      t->st.cycles ? "whole numbers" : "seconds", what);
		return 0;
	default:
		if (!r.rate)
			return trace_fail(
				t,
				"%s: time stamps are whole numbers, and nothing shows what they count; record with trace_clock x86-tsc, and timer interrupts",
				t->in->name);
		return trace_fail(
			t,
			"%s: time stamps do not tell the time: deadlines move by %.0f TSC cycles for each unit, as with trace_clock counter or uptime, or where values are cut; record with trace_clock x86-tsc",
			t->in->name, r.rate);
	}
}

const char *const trace_spoiled_by[TRACE_SPOILED_WAYS] = {
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
	[TRACE_SPOILED_WRAPPED] =
		"exits without their reason, or deadline writes without their value: lines were wrapped or cut, as by mail; get the file as it was written, in an attachment",
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
	enum trace_spoiled how = trace_first_way(t);

	if (!n)
		return trace_fail(t, "%s: %s", name,
				  t->dat ? "a trace-cmd file without events"
				  : t->in->perf
					  ? "a perf.data file of which `perf script` prints nothing"
					  : "empty file");
	if (how)
		return trace_fail(t, "%s:%" PRIu64 ": %s", name, t->first_spoiled[how],
				  trace_spoiled_by[how]);
	if (t->st.first_damaged)
		return trace_fail(
			t,
			"%s:%" PRIu64
			": damaged deadline write, or one in an unknown form, and no whole one in %" PRIu64
			" lines (expected \"write_msr: 6e0, value HEX\" or \"kvm_msr: msr_write 6e0 = 0xHEX\")",
			name, t->st.first_damaged, n);
	if (k[TRACE_LINE_COMMENT] + k[TRACE_LINE_UNKNOWN] == n)
		return trace_fail(
			t,
			"%s: no trace event in %" PRIu64
			" lines (expected the text of ftrace, trace-cmd report or perf script)",
			name, n);
	return trace_fail(
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
	if (!exits && trace_first_way(t))
		return no_deadlines(t);
	if (!exits)
		return trace_fail(
			t,
			"%s: a host's trace without exits and without its guests' deadline writes; on the host: " TRACE_RECORD_HOST,
			t->in->name);
	t->st.source = TRACE_EXITS;
	t->st.host = true;
	/* Those of a trace-cmd file are whole numbers whatever the clock, and ns as a rule. */
	t->st.cycles = !t->dat && t->whole_exits > t->kvm_events / 2;
	t->st.evidence = TRACE_BOUNDS;
	trace_because(t, "exits alone: kvm:kvm_msr is missing; on the host: " TRACE_RECORD_HOST);
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
	trace_because(t, "counts of exits alone; on the host: " TRACE_RECORD_HOST);
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
		trace_swap_form(t);
	if (t->st.host) {
		t->fit = true;
		t->st.evidence = TRACE_APPROXIMATE;
		trace_because(t, "a host's time stamps are not the guest's TSC");
		return 0;
	}
	if (tell_labels(t))
		return -1;
	if (t->st.source == TRACE_GUEST && !t->st.cycles && has_tsc_as_seconds(t)) {
		trace_swap_form(t);
		if (micro) {
			t->st.evidence = TRACE_APPROXIMATE;
			trace_because(
				t,
				"time stamps are guest TSC, printed as seconds and cut to 1000 cycles; trace-cmd report -t prints all digits");
			return 0;
		}
	}
	if (t->st.source == TRACE_REARM || t->st.cycles) {
		if (decide_clock(t))
			return -1;
		if (t->labels_unproven && t->st.evidence == TRACE_EXACT) {
			t->st.evidence = TRACE_APPROXIMATE;
			trace_because(
				t,
				"names before the lines are taken for guests, and without timer interrupts nothing shows that they are");
		}
		return 0;
	}
	t->fit = true;
	t->st.evidence = TRACE_APPROXIMATE;
	trace_because(t, "time stamps are nanoseconds, not the guest's TSC");
	return 0;
}

/* kHz, of the option or of `lazytsc record`; 0: neither tells. */
double trace_known_khz(const struct trace *t)
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
	return trace_fail(
		t,
		"%s: the TSC's rate is not the given --tsc-khz %.0f: `lazytsc record` noted %.3f kHz; leave the option out",
		t->in->name, given, noted);
}

/* Read until it is clear what the trace is. */
int trace_start(struct trace *t)
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
		got = trace_read_item(t, it);
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
		t->st.tsc_khz = trace_known_khz(t);
	if (!t->fit)
		return 0;
	if (!t->given_rate && !t->st.cycles && t->st.source != TRACE_REARM)
		t->given_rate = t->options.tsc_khz / 1e6;
	return alloc_points(t);
}
