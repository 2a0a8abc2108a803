// SPDX-License-Identifier: BSD-2-Clause
/* The clocks of a trace whose time stamps are not the guest's TSC, window by window. */
#include <inttypes.h>
#include <math.h>

#include "reading.h"

/*
 * A window that has fewer deadlines than this, because most of its events are disarms or gaps, is
 * made longer, up to LONGEST_WINDOW.
 */
#define DEADLINES_WANTED (WINDOW / 8)
/* A later window with at least this number of points gets a fit of its own. */
#define POINTS_FOR_FIT (WINDOW / 32)
/* Where there are fewer points, in a shorter time (ns), there may be no fit for want of them. */
#define POINTS_TO_TELL 64
#define SPAN_TO_TELL   10000000
#define WRITE_MIN      50
/* A fit has to hold for each of so many parts of its window. */
#define STEADY_PARTS 8

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
			trace_add_points(&p, v, ev->now, ev->value);
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
	if (*ok && !steady(t, leader, fit)) {
		fit->doubtful = n;
		t->st.stepped = true;
	}
	return n;
}

/* A cycle for each nanosecond, which is the TSC of no machine but where it is known to be. */
static bool are_cycles(const struct trace *t, const struct clock_fit *fit)
{
	return !t->st.cycles && t->st.source != TRACE_REARM && fabs(fit->rate - 1) <= RATE_ONE &&
	       fabs(trace_known_khz(t) / 1e6 - 1) > RATE_ONE;
}

static void take_as_cycles(struct trace *t)
{
	trace_swap_form(t);
	t->given_rate = 0;
	trace_because(
		t,
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
	return trace_fail(
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
	return trace_fail(
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
			      : st->cycles		? trace_known_khz(t)
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
		if (!t->fitted && trace_check_times(t))
			return -1;
		if (!t->fitted && told(t, points))
			return fail_unlike(t, points);
		if (!t->fitted)
			return trace_fail(
				t, "%s: cannot tell the TSC's rate from %zu deadline writes%s",
				t->in->name, points,
				t->given_rate == 0 ? "; give --tsc-khz"
						   : " at the given --tsc-khz");
	}
	return 0;
}

/* Read a window of events, beginning with @first, and fit the clock. */
int trace_read_window(struct trace *t, const struct trace_event *first)
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
		got = trace_next_raw(t, &ev);
	}
	if (got < 0 || fit_window(t))
		return -1;
	t->nirq_points = 0;
	return 0;
}
