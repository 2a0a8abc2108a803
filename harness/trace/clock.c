// SPDX-License-Identifier: BSD-2-Clause
#include <math.h>
#include <stdlib.h>

#include "clock.h"

/* The range of plausible rates: TSC cycles for a nanosecond (or for a cycle of the host). */
#define RATE_MIN 0.1
#define RATE_MAX 10.0
/* With this many interrupts the fit uses them, and not the writes. */
#define IRQS_ENOUGH 16
/*
 * The fit uses the densest part of a sample, with this share of it. Many interrupts that end an
 * idle period are outliers: they are taken after their deadline was replaced on the way out of
 * idle.
 */
#define CORE_SHARE 0.25
/* Points within CORE_REACH widths of the densest part belong to it, but for the outermost. */
#define CORE_REACH    3
#define CORE_QUANTILE 0.98
/* The share of writes whose time stamp was taken after their deadline. */
#define WRITE_QUANTILE 0.001
/* Without interrupts: the closest deadline of each part of the window gives the slope. */
#define PARTS	    32
#define REFINEMENTS 3

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
	uint64_t median;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (w[i].value)
			w[kept++] = w[i];
	}
	n = kept;
	kept = 0;
	if (!n)
		return 0;
	qsort(w, n, sizeof(*w), by_value);
	median = w[n / 2].value;
	for (size_t i = 0; i < n; i++) {
		if (w[i].value > median / 2 && w[i].value / 2 < median)
			w[kept++] = w[i];
	}
	qsort(w, kept, sizeof(*w), by_ts);
	return kept;
}

/* The shortest interval that holds CORE_SHARE of the numbers. Sorts. */
static void densest(double *x, size_t n, double *low, double *high)
{
	size_t m = (size_t)(CORE_SHARE * (double)n);

	qsort(x, n, sizeof(*x), by_number);
	*low = x[0];
	*high = x[m];
	for (size_t i = 1; i + m < n; i++) {
		if (x[i + m] - x[i] < *high - *low) {
			*low = x[i];
			*high = x[i + m];
		}
	}
}

/*
 * The median slope of pairs that lie half the window apart (Theil and Sen). @x: room for n numbers.
 * @error: set to half the distance of the quartiles. Return: 0 when there is none.
 */
static double slope(const struct clock_point *p, size_t n, double *x, double *error)
{
	size_t half = n / 2, m = 0;

	for (size_t i = 0; i + half < n; i++) {
		const struct clock_point *a = &p[i], *b = &p[i + half];

		if (b->ts > a->ts)
			x[m++] = rel(b->value, a->value) / rel(b->ts, a->ts);
	}
	if (!m)
		return 0;
	qsort(x, m, sizeof(*x), by_number);
	*error = (x[m - 1 - m / 4] - x[m / 4]) / 2;
	return x[m / 2];
}

/* How far a point lies above the line through ts0, value0. */
static double height(const struct clock_fit *fit, const struct clock_point *p)
{
	return rel(p->value, fit->value0) - fit->rate * rel(p->ts, fit->ts0);
}

static void heights(const struct clock_fit *fit, const struct clock_point *p, size_t n, double *x)
{
	for (size_t i = 0; i < n; i++)
		x[i] = height(fit, &p[i]);
}

/* The line of least squares through the points whose heights lie between @low and @high. */
static void least_squares(struct clock_fit *fit, const struct clock_point *p, size_t n, double low,
			  double high)
{
	double mt = 0, mh = 0, tt = 0, th = 0, first = INFINITY, last = -INFINITY;
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		double t = rel(p[i].ts, fit->ts0), h = height(fit, &p[i]);
		double dt = t - mt, dh = h - mh;

		if (h < low || h > high)
			continue;
		/* Running means and sums of squares about them. */
		m++;
		mt += dt / (double)m;
		mh += dh / (double)m;
		tt += dt * (t - mt);
		th += dt * (h - mh);
		first = fmin(first, t);
		last = fmax(last, t);
	}
	if (m < 3 || tt <= 0)
		return;
	fit->rate += th / tt;
	/* A line that leaves the band on one side at its start and on the other at its end. */
	fit->rate_error = (high - low) / (last - first);
}

/* By timer interrupts. Unless @given, improves fit->rate. */
static void fit_irqs(struct clock_fit *fit, const struct clock_point *irqs, size_t n, bool given,
		     double *x)
{
	double low = 0, high = 0, reach;
	size_t m = 0;

	for (int round = 0; round < REFINEMENTS; round++) {
		heights(fit, irqs, n, x);
		densest(x, n, &low, &high);
		reach = CORE_REACH * (high - low);
		if (!given)
			least_squares(fit, irqs, n, low - reach, high + reach);
	}
	heights(fit, irqs, n, x);
	densest(x, n, &low, &high);
	reach = CORE_REACH * (high - low);
	for (size_t i = 0; i < n; i++) {
		if (x[i] >= low - reach && x[i] <= high + reach)
			x[m++] = x[i];
	}
	/* The quickest: nearest to the moment when the deadline passes. */
	fit->offset = x[(size_t)(CORE_QUANTILE * (double)(m - 1))];
	fit->offset_error = fit->offset - low;
}

/* The slope of the closest deadlines. Begins with fit->rate and improves it. */
static void refine(struct clock_fit *fit, const struct clock_point *w, size_t n, double *x)
{
	struct clock_point low[PARTS];

	for (int round = 0; round < REFINEMENTS; round++) {
		size_t parts = n < PARTS ? n : PARTS;

		for (size_t k = 0; k < parts; k++) {
			low[k] = w[k * n / parts];
			for (size_t i = k * n / parts; i < (k + 1) * n / parts; i++) {
				if (height(fit, &w[i]) < height(fit, &low[k]))
					low[k] = w[i];
			}
		}
		fit->rate = slope(low, parts, x, &fit->rate_error);
	}
}

static bool fit_all(struct clock_fit *fit, const struct clock_point *writes, size_t nwrites,
		    struct clock_point *irqs, size_t nirqs, double *x)
{
	bool given = fit->rate != 0;

	qsort(irqs, nirqs, sizeof(*irqs), by_ts);
	if (!given && nirqs >= IRQS_ENOUGH) {
		fit->rate = slope(irqs, nirqs, x, &fit->rate_error);
	} else if (!given) {
		fit->rate = slope(writes, nwrites, x, &fit->rate_error);
		refine(fit, writes, nwrites, x);
	}
	if (!(fit->rate >= RATE_MIN && fit->rate <= RATE_MAX))
		return false;
	if (nirqs >= IRQS_ENOUGH) {
		fit_irqs(fit, irqs, nirqs, given, x);
		return true;
	}
	heights(fit, writes, nwrites, x);
	qsort(x, nwrites, sizeof(*x), by_number);
	fit->offset = x[(size_t)(WRITE_QUANTILE * (double)nwrites)];
	fit->offset_error = -1;
	return true;
}

bool clock_fit(struct clock_point *writes, size_t nwrites, struct clock_point *irqs, size_t nirqs,
	       double rate, struct clock_fit *fit)
{
	double *x;
	bool ok;

	nwrites = keep_plausible(writes, nwrites);
	if (!nwrites)
		return false;
	*fit = (struct clock_fit){ .ts0 = writes[0].ts, .value0 = writes[0].value, .rate = rate };
	x = calloc(nwrites + nirqs, sizeof(*x));
	if (!x)
		return false;
	ok = fit_all(fit, writes, nwrites, irqs, nirqs, x);
	free(x);
	return ok;
}

double clock_rate(struct clock_point *p, size_t n, double *error)
{
	double *x, rate;

	n = keep_plausible(p, n);
	*error = 0;
	if (n < 2)
		return 0;
	x = calloc(n, sizeof(*x));
	if (!x)
		return 0;
	rate = slope(p, n, x, error);
	free(x);
	return rate;
}

uint64_t clock_tsc(const struct clock_fit *fit, uint64_t ts)
{
	double d = fit->rate * rel(ts, fit->ts0) + fit->offset;

	/* Not beyond what a uint64_t holds, whatever the trace says. */
	if (!(d > -0x1p63))
		d = -0x1p63;
	if (!(d < 0x1p63))
		d = 0x1p62;
	if (d < 0)
		return fit->value0 > (uint64_t)-d ? fit->value0 - (uint64_t)-d : 0;
	return fit->value0 <= UINT64_MAX - (uint64_t)d ? fit->value0 + (uint64_t)d : UINT64_MAX;
}
