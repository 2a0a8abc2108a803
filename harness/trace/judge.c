// SPDX-License-Identifier: BSD-2-Clause
#include <math.h>
#include <stdlib.h>

#include "judge.h"

/* Fewer interrupts, or writes, are no evidence for a rate or an offset. */
#define IRQS_ENOUGH   4
#define WRITES_ENOUGH 16
/*
 * A timer interrupt that belongs to a deadline comes at most this long after it, in cycles or ns.
 */
#define LATE_MAX 0x1p26
/*
 * The share of the interrupts that must agree. The others may be taken after their deadline was
 * replaced on the way out of idle.
 */
#define IRQS_AGREE 0.2
/* Rates between these count as 1: deadlines jump about, so they show a rate only roughly. */
#define RATE_ONE_LOW  0.8
#define RATE_ONE_HIGH 1.25
/* But not if they are this far from it, and so many times their error. */
#define RATE_EXACT  0.001
#define RATE_ERRORS 4
/* The range of plausible rates: TSC cycles for a nanosecond, or the reverse. */
#define RATE_MIN 0.1
#define RATE_MAX 10.0
/* The closest deadlines lie less than this ahead of their write, in cycles or ns. */
#define AHEAD_MAX 0x1p28
/* A deadline that lies further behind its write than this is of another clock. */
#define BEHIND_MAX 0x1p20
/*
 * The deadlines show the offset of a clock to about this: by the writes that answer delivered ones,
 * or by the closest ones ahead.
 */
#define OFFSET_MAX 0x1p17
/* Deadlines and time stamps of one clock differ by less than this part of them. */
#define SAME_PART (1.0 / 64)

static int by_number(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double ahead(const struct clock_point *p)
{
	return p->value >= p->ts ? (double)(p->value - p->ts) : -(double)(p->ts - p->value);
}

/* The number of interrupts that come just behind their deadline. */
static size_t agreeing(const struct clock_point *irqs, size_t n, double latency, double *x)
{
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		double late = -ahead(&irqs[i]);

		if (late >= 0 && late <= LATE_MAX)
			x[m++] = late;
	}
	if (!m)
		return 0;
	qsort(x, m, sizeof(*x), by_number);
	return x[m / 10] <= latency ? m : 0;
}

/*
 * Do the deadlines alone show one clock? @ts: a time stamp of the middle; @d: how far ahead of its
 * write each deadline is, sorted.
 */
static bool just_ahead(double ts, double span, const double *d, size_t n, double rate, double error)
{
	double far = fabs(d[n - 1 - n / 10]);
	size_t behind = 0;

	while (behind < n && d[behind] < 0)
		behind++;
	if (n >= 10 && d[n / 10] < -BEHIND_MAX)
		return false;
	/* The closest deadline that was ahead; one in a thousand may be there by chance. */
	if (behind < n && d[behind + (n - behind) / 1000] > AHEAD_MAX)
		return false;
	/* Do deadlines and time stamps drift apart, over a time longer than deadlines lie ahead? */
	if (n >= WRITES_ENOUGH && error < rate / 4 && span > 4 * far &&
	    (rate < RATE_ONE_LOW || rate > RATE_ONE_HIGH))
		return false;
	return fabs(d[n / 2]) <= SAME_PART * ts || d[n / 2] <= AHEAD_MAX;
}

/* A rate that differs from 1 by more than its error is another clock's. */
static enum judgement by_rate(double rate, double error)
{
	if (rate >= RATE_ONE_LOW && rate <= RATE_ONE_HIGH &&
	    fabs(rate - 1) <= fmax(RATE_EXACT, RATE_ERRORS * error))
		return JUDGE_OFFSET;
	if ((rate >= RATE_MIN && rate <= RATE_MAX))
		return JUDGE_OTHER;
	return JUDGE_NO_TIME;
}

/*
 * Deadlines and time stamps count in one unit. Do they count from one start? @d: how far ahead of
 * its write each deadline is, sorted.
 */
static enum judgement by_offset(const struct clock_points *p, const double *d, size_t n)
{
	double closest = d[n / 1000];
	struct clock_fit fit;

	if (clock_fit(p, 1, &fit) && fit.by == CLOCK_BY_ANSWERS) {
		double offset = (double)fit.value0 - (double)fit.ts0 + fit.offset;

		if (fabs(offset) <= OFFSET_MAX)
			return JUDGE_SHARED;
		if (!clock_unsure(&fit))
			return JUDGE_OFFSET;
		/* Moved on, however far the clock is off. */
		if (fit.moved)
			return JUDGE_SHARED;
		return fabs(offset) > AHEAD_MAX ? JUDGE_OFFSET : JUDGE_UNPROVEN;
	}
	if (fabs(closest) <= 2 * OFFSET_MAX)
		return JUDGE_SHARED;
	/* Were none delivered whatever the offset, it does not matter. */
	for (size_t i = 0; i < p->nanswers; i++) {
		if (ahead(&p->answers[i]) <= closest)
			return JUDGE_UNPROVEN;
	}
	return closest > 0 ? JUDGE_SHARED : JUDGE_UNPROVEN;
}

struct judge_result judge(const struct clock_points *p, double latency)
{
	struct clock_point *writes = p->writes, *irqs = p->irqs;
	size_t nwrites = p->nwrites, nirqs = p->nirqs;
	struct judge_result r = { .judgement = JUDGE_UNPROVEN, .irqs = nirqs };
	double *d = calloc(nwrites + nirqs + 1, sizeof(*d)), error = 0, irq_error, ts = 0, span = 0;
	size_t n = 0;

	if (!d)
		return r;
	r.irqs_agree = agreeing(irqs, nirqs, latency, d);
	if (nwrites) {
		ts = (double)writes[nwrites / 2].ts;
		span = (double)writes[nwrites - 1].ts - (double)writes[0].ts;
	}
	for (size_t i = 0; i < nwrites; i++) {
		if (writes[i].value)
			d[n++] = ahead(&writes[i]);
	}
	qsort(d, n, sizeof(*d), by_number);
	r.rate = clock_rate(writes, nwrites, &error);
	if (nirqs >= IRQS_ENOUGH && (double)r.irqs_agree >= IRQS_AGREE * (double)nirqs) {
		r.judgement = JUDGE_SHARED;
	} else if (nirqs >= IRQS_ENOUGH) {
		r.rate = clock_rate(irqs, nirqs, &irq_error);
		r.judgement = by_rate(r.rate, irq_error);
	} else if (n && just_ahead(ts, span, d, n, r.rate, error)) {
		r.judgement = by_offset(p, d, n);
	} else if (n >= 2 && fabs(d[n / 2]) > AHEAD_MAX) {
		r.judgement = by_rate(r.rate, error);
	} else if (n && by_offset(p, d, n) == JUDGE_OFFSET) {
		r.judgement = JUDGE_OFFSET;
	}
	free(d);
	return r;
}
