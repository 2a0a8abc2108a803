// SPDX-License-Identifier: BSD-2-Clause
/* Events, made of the lines of a trace of which it is clear what it is. */
#include <inttypes.h>
#include <string.h>

#include "reading.h"

/* Two buffers record one timer interrupt no farther apart, in TSC cycles or ns. */
#define IRQ_TWICE 0x1p15
/* A time stamp in microseconds may be this much too low, ns. */
#define MICROSECOND 1000
/* So many writes that are dropped are told of, and no reason to refuse the trace. */
#define FEW_DROPPED 16

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
		v = trace_find_thread(&t->vcpus, it->tid, it->pid, it->vcpu);
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
			v = vcpus_find(&t->vcpus, trace_thread_key(it->tid, it->pid, it->vcpu));
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
			v = trace_find_thread(&t->vcpus, it->tid, it->pid, it->vcpu);
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
static bool more_than_few(const struct trace *t, uint64_t dropped)
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
		if (more_than_few(t, t->spoiled[worst[i]]) ||
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
	if (more_than_few(t, t->other_clock))
		return trace_fail(
			t,
			"%s:%" PRIu64
			": time stamps change between whole numbers and seconds: %" PRIu64
			" of %" PRIu64
			" deadline writes have the other form; replay each recording on its own",
			t->in->name, t->first_other_clock, t->other_clock,
			t->other_clock + st->writes);
	if (more_than_few(t, st->out_of_order) && t->steps_back <= st->out_of_order / 4)
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
	    (t->strange > st->writes / 2 || more_than_few(t, t->strange)))
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
	if (st->evidence == TRACE_EXACT && more_than_few(t, st->kinds[TRACE_LINE_DAMAGED])) {
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
