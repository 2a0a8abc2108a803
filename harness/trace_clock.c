// SPDX-License-Identifier: BSD-2-Clause
#include <math.h>
#include <stdlib.h>

#include "trace_clock.h"

/* Slowest and fastest TSC believed, in cycles for a nanosecond (or for a cycle of the host). */
#define RATE_MIN 0.1
#define RATE_MAX 10.0
/* This share of interrupts may seem earlier than their deadline: it was replaced just before. */
#define IRQ_OUTLIERS 100

static int by_ts(const void *a, const void *b)
{
	const struct clock_point *x = a, *y = b;

	if (x->ts != y->ts)
		return x->ts < y->ts ? -1 : 1;
	return x->value < y->value ? -1 : x->value > y->value;
}

static int by_value(const void *a, const void *b)
{
	const struct clock_point *x = a, *y = b;

	return x->value < y->value ? -1 : x->value > y->value;
}

static int by_number(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double rel(uint64_t a, uint64_t from)
{
	return a >= from ? (double)(a - from) : -(double)(from - a);
}

/* Drop disarms and values that are no time near this window's. Return: how many are left. */
static size_t keep_plausible(struct clock_point *w, size_t n)
{
	uint64_t low;
	size_t kept = 0;

	if (!n)
		return 0;
	qsort(w, n, sizeof(*w), by_value);
	low = w[n / 2].value / 2;
	for (size_t i = 0; i < n; i++) {
		if (w[i].value > low && w[i].value < low * 4)
			w[kept++] = w[i];
	}
	qsort(w, kept, sizeof(*w), by_ts);
	return kept;
}

/* Is b above the line from a to c? */
static bool above(const struct clock_point *a, const struct clock_point *b,
		  const struct clock_point *c)
{
	return rel(b->value, a->value) * rel(c->ts, a->ts) >=
	       rel(c->value, a->value) * rel(b->ts, a->ts);
}

/*
 * The slope of the lower hull of @w where it crosses the mean time. @w is sorted, and is turned
 * into its hull. Return: 0 when there is none.
 */
static double hull_slope(struct clock_point *w, size_t n)
{
	double mean = 0;
	size_t m = 0;

	for (size_t i = 0; i < n; i++)
		mean += rel(w[i].ts, w[0].ts) / (double)n;
	for (size_t i = 0; i < n; i++) {
		struct clock_point p = w[i];

		if (m && w[m - 1].ts == p.ts)
			continue; /* the lower one of two at the same time came first */
		while (m >= 2 && above(&w[m - 2], &w[m - 1], &p))
			m--;
		w[m++] = p;
	}
	for (size_t i = 1; i < m; i++) {
		if (rel(w[i].ts, w[0].ts) >= mean)
			return rel(w[i].value, w[i - 1].value) / rel(w[i].ts, w[i - 1].ts);
	}
	return 0;
}

/* How far a point lies above the line through ts0, value0. */
static double height(const struct clock_fit *fit, const struct clock_point *p)
{
	return rel(p->value, fit->value0) - fit->rate * rel(p->ts, fit->ts0);
}

/* The interrupts' heights, but for those beyond @high; the highest that is no outlier. */
static bool irq_height(const struct clock_fit *fit, const struct clock_point *irqs, size_t n,
		       double high, double *out)
{
	double *heights = malloc((n + 1) * sizeof(*heights));
	size_t kept = 0;

	if (!heights)
		return false;
	for (size_t i = 0; i < n; i++) {
		double h = height(fit, &irqs[i]);

		if (h <= high)
			heights[kept++] = h;
	}
	qsort(heights, kept, sizeof(*heights), by_number);
	if (kept)
		*out = heights[kept - 1 - kept / IRQ_OUTLIERS];
	free(heights);
	return kept > 0;
}

bool clock_fit(struct clock_point *writes, size_t nwrites, struct clock_point *irqs, size_t nirqs,
	       double rate, struct clock_fit *fit)
{
	struct clock_point last;
	double high = INFINITY, low;
	double span;

	nwrites = keep_plausible(writes, nwrites);
	if (!nwrites)
		return false;
	*fit = (struct clock_fit){
		.ts0 = writes[0].ts, .value0 = writes[0].value, .rate = rate, .offset_error = -1
	};
	last = writes[nwrites - 1];
	span = rel(last.ts, fit->ts0);
	if (rate == 0) {
		fit->rate = hull_slope(writes, nwrites);
		/* hull_slope() has left the hull at the start of writes; the rest is above it. */
	}
	if (!(fit->rate >= RATE_MIN && fit->rate <= RATE_MAX))
		return false;
	for (size_t i = 0; i < nwrites; i++)
		high = fmin(high, height(fit, &writes[i]));
	fit->offset = high;
	if (irq_height(fit, irqs, nirqs, high, &low)) {
		fit->offset = low;
		fit->offset_error = high - low;
	}
	if (rate == 0 && span > 0)
		fit->rate_error = fmax(fit->offset_error, 0) / span;
	return true;
}

uint64_t clock_tsc(const struct clock_fit *fit, uint64_t ts)
{
	double d = fit->rate * rel(ts, fit->ts0) + fit->offset;

	if (d < 0)
		return fit->value0 > (uint64_t)-d ? fit->value0 - (uint64_t)-d : 0;
	return fit->value0 + (uint64_t)d;
}
