// SPDX-License-Identifier: BSD-2-Clause
#include <math.h>
#include <stdlib.h>

#include "trace_clock.h"

/* Slowest and fastest TSC believed, in cycles for a nanosecond (or for a cycle of the host). */
#define RATE_MIN 0.1
#define RATE_MAX 10.0
/* So many interrupts make them better witnesses than writes. */
#define IRQS_ENOUGH 16
/* The interrupts' height that stands for "the deadline is now". */
#define IRQ_QUANTILE 0.75
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

/* Sorts. */
static double quantile(double *x, size_t n, double q)
{
	qsort(x, n, sizeof(*x), by_number);
	return x[(size_t)(q * (double)(n - 1) + 0.5)];
}

/* Drop disarms and values that are no time near this window's. Return: how many are left. */
static size_t keep_plausible(struct clock_point *w, size_t n)
{
	uint64_t median;
	size_t kept = 0;

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

/*
 * The median slope of pairs that lie half the window apart. @x: room for n numbers. @error: set to
 * half the distance of their quartiles. Return: 0 when there is none.
 */
static double slope(const struct clock_point *p, size_t n, double *x, double *error)
{
	size_t half = n / 2, m = 0;
	double low, high;

	for (size_t i = 0; i + half < n; i++) {
		const struct clock_point *a = &p[i], *b = &p[i + half];

		if (b->ts > a->ts)
			x[m++] = rel(b->value, a->value) / rel(b->ts, a->ts);
	}
	if (!m)
		return 0;
	low = quantile(x, m, 0.25);
	high = quantile(x, m, 0.75);
	*error = (high - low) / 2;
	return quantile(x, m, 0.5);
}

/* How far a point lies above the line through ts0, value0. */
static double height(const struct clock_fit *fit, const struct clock_point *p)
{
	return rel(p->value, fit->value0) - fit->rate * rel(p->ts, fit->ts0);
}

static double height_quantile(const struct clock_fit *fit, const struct clock_point *p, size_t n,
			      double q, double *x)
{
	for (size_t i = 0; i < n; i++)
		x[i] = height(fit, &p[i]);
	return quantile(x, n, q);
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
	if (nirqs < IRQS_ENOUGH) {
		fit->offset = height_quantile(fit, writes, nwrites, WRITE_QUANTILE, x);
		fit->offset_error = -1;
		return true;
	}
	fit->offset = height_quantile(fit, irqs, nirqs, IRQ_QUANTILE, x);
	fit->offset_error = fit->offset - height_quantile(fit, irqs, nirqs, 1 - IRQ_QUANTILE, x);
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

uint64_t clock_tsc(const struct clock_fit *fit, uint64_t ts)
{
	double d = fit->rate * rel(ts, fit->ts0) + fit->offset;

	if (d < 0)
		return fit->value0 > (uint64_t)-d ? fit->value0 - (uint64_t)-d : 0;
	return fit->value0 + (uint64_t)d;
}
