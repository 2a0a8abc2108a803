/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest TSC from another clock's time stamps.
 *
 * A straight line is fitted to a window of the trace. Timer interrupts tell best: each is taken a
 * short, nearly constant time after its deadline. If the trace has none, the write that follows a
 * delivered deadline takes their place: it answers the interrupt. If there are too few of these,
 * the deadlines themselves are used: a deadline lies ahead of the time of its write, and the
 * closest ones lie just ahead. All have outliers on either side (a deadline replaced just before
 * its interrupt, a time stamp taken long after the exit). So a slope begins as the median of many
 * pairs, and only those points count on which most agree.
 */
#ifndef LAZYTSC_TRACE_CLOCK_H
#define LAZYTSC_TRACE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock_point {
	uint64_t ts; /* the other clock */
	uint64_t value; /* guest TSC */
	/* Of an answer: when its deadline was set, and the vCPU's deadline before that, or 0. */
	uint64_t set, before;
};

/* What a fit is made from. All are sorted in place. */
struct clock_points {
	struct clock_point *writes; /* time stamps of deadline writes, and the deadline */
	struct clock_point *answers; /* time stamps of writes, and the vCPU's deadline before it */
	struct clock_point *irqs; /* time stamps of interrupts; room for nanswers is needed, too */
	size_t nwrites, nanswers, nirqs;
	double rate_before; /* of the window before, where it was fitted; 0: this is the first */
};

enum clock_by {
	CLOCK_BY_IRQS,
	CLOCK_BY_ANSWERS, /* the writes that follow deadlines */
	CLOCK_BY_DEADLINES, /* the closest deadlines alone */
};

struct clock_fit {
	uint64_t ts0, value0; /* guest TSC at ts is value0 + rate * (ts - ts0) + offset */
	double rate; /* TSC cycles for one unit of the other clock */
	double rate_error; /* 0: the rate was given */
	double offset;
	double best; /* that offset from which most points lie within reach; for clock_holds() */
	double offset_error; /* how far the interrupts, or the deadlines, scatter, TSC cycles */
	size_t doubtful; /* answers of which the fit decides whether they are any */
	/*
	 * CLOCK_BY_ANSWERS: nothing tells whether the writes between these heights above the line
	 * answer their deadlines or move them on. Low is not below high: there are none.
	 */
	double unsure_low, unsure_high;
	bool moved; /* they are taken to move them on: they come too often to answer */
	enum clock_by by;
};

/**
 * clock_fit() - fit a window
 * @points: of one VM
 * @rate:   TSC cycles for one unit, or 0: estimate
 * @fit:    the result
 *
 * Return: false when there is too little to estimate a rate from, when what comes out is no TSC's
 * rate, and when memory is short.
 */
bool clock_fit(const struct clock_points *points, double rate, struct clock_fit *fit);

/**
 * clock_holds() - does a fit hold for a part of its window, or for one of its vCPUs?
 * @points: of that part; sorted
 * @fit:    of all
 *
 * Return: false where another offset explains far more of the points: the clock has stepped, or is
 * not shared. True as well where there are too few to tell.
 */
bool clock_holds(const struct clock_points *points, const struct clock_fit *fit);

/**
 * clock_rate() - the median slope through points that lie half of them apart
 * @p:     sorted in place; points of value 0 and far from the others do not count
 * @error: set to half the distance of the quartiles of all slopes
 *
 * Return: 0 when there are too few points, or memory is short.
 */
double clock_rate(struct clock_point *p, size_t n, double *error);

/** clock_unsure() - are there writes of which nothing tells whether they answer their deadlines? */
static inline bool clock_unsure(const struct clock_fit *fit)
{
	return fit->unsure_low < fit->unsure_high;
}

/** clock_tsc() - guest TSC at a time stamp */
uint64_t clock_tsc(const struct clock_fit *fit, uint64_t ts);

#endif
