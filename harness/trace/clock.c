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
/*
 * The write that follows a delivered deadline mostly comes within so many units of the time stamp
 * (ns, or cycles) after it, but hardly ever within ANSWER_GAP: the interrupt is on its way then.
 */
#define ANSWER_REACH 0x1p18
#define ANSWER_GAP   0x1p13
/* A deadline is hardly ever written when it has passed by more. Each such write weighs so much. */
#define PAST_REACH  ANSWER_GAP
#define PAST_WEIGHT 4
/* So many rates are tried on either side of the first one; of few points more are. */
#define GRID	  16
#define GRID_MAX  128
#define GRID_NEXT 2 /* of a later window */
/* So many points tell. */
#define GRID_POINTS 16384
/*
 * Writes that scatter no more than this (ns, or cycles) tell nothing: time stamps are rounded. By
 * so much more than their delays they scatter where they answer; where they move deadlines on they
 * scatter less.
 */
#define TELLING	     2000
#define FOLLOW_RATIO 1.25
/* So many points tell whether a fit holds; it may miss this part that another would not. */
#define HOLDS_ENOUGH 32
#define HOLDS_PART   0.25
/*
 * More deadlines than one of so many that had passed this long ago when they were written, or were
 * still so far ahead, in TSC cycles, are of another time: the guest was reset.
 */
#define FAR_PART  10
#define FAR_PAST  0x1p32
#define FAR_AHEAD 0x1p42
/* No guest has a timer interrupt at every such interval, most of the time. */
#define INTERVAL_MIN 0x1p18

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

/* Sorted heights of at most GRID_POINTS points. Return: how many. */
static size_t sample_heights(const struct clock_fit *fit, const struct clock_point *p, size_t n,
			     double *x)
{
	size_t step = n / GRID_POINTS + 1, m = 0;

	for (size_t i = 0; i < n; i += step)
		x[m++] = height(fit, &p[i]);
	qsort(x, m, sizeof(*x), by_number);
	return m;
}

/*
 * The offset under which most deadlines are answered within @reach, few stay unanswered for longer,
 * and few are written when they have passed. @answers, @ahead: heights, sorted. Return: how many
 * more are answered than speak against it.
 */
static double best_offset(const double *answers, size_t n, const double *ahead, size_t m,
			  double reach, double past_reach, double *offset)
{
	size_t late = 0, past = 0;
	double best = -INFINITY;

	for (size_t i = 0; i < n; i++) {
		double score;

		while (answers[late] < answers[i] - reach)
			late++;
		while (past < m && ahead[past] < answers[i] - past_reach)
			past++;
		score = (double)(i + 1 - late) - (double)late - PAST_WEIGHT * (double)past;
		if (score > best) {
			best = score;
			*offset = answers[i];
		}
	}
	return best;
}

/* Score a rate, and find its offset. */
static double try_rate(struct clock_fit *fit, const struct clock_points *p, double rate,
		       double reach, double *x)
{
	double *ahead = x + GRID_POINTS;
	size_t n, m;

	fit->rate = rate;
	n = sample_heights(fit, p->answers, p->nanswers, x);
	m = sample_heights(fit, p->writes, p->nwrites, ahead);
	return best_offset(x, n, ahead, m, reach * rate, PAST_REACH * rate, &fit->offset);
}

/* The middle of the best of @grid rates on either side of fit->rate. Return: its score. */
static double search_rate(struct clock_fit *fit, const struct clock_points *p, int grid,
			  double reach, double *x)
{
	double span = rel(p->writes[p->nwrites - 1].ts, p->writes[0].ts), first = fit->rate;
	double best = -INFINITY, low = first, high = first;

	for (int i = -grid; i <= grid; i++) {
		double rate = first * (1 + i * reach / 4 / span), score;

		/* Of a trace that is as short as what is looked for, any rate might be. */
		if (!(rate >= RATE_MIN && rate <= RATE_MAX))
			continue;
		score = try_rate(fit, p, rate, reach, x);
		if (score > best) {
			best = score;
			low = rate;
		}
		if (score == best)
			high = rate;
	}
	return try_rate(fit, p, (low + high) / 2, reach, x);
}

/*
 * By the writes that follow a delivered deadline: sets the rate, unless @given, and the offset
 * roughly. Return: false where there are none.
 */
static bool find_answers(struct clock_fit *fit, const struct clock_points *p, bool given, double *x)
{
	double best = IRQS_ENOUGH - 1, starts[3] = { fit->rate }, error;
	int grid = GRID * (int)(1 + GRID_POINTS / (4 * (p->nanswers + 1)));
	struct clock_fit found = { 0 };

	if (p->nanswers < IRQS_ENOUGH || p->writes[p->nwrites - 1].ts == p->writes[0].ts)
		return false;
	if (given) {
		grid = 0;
	} else if (p->rate_before != 0) {
		grid = GRID_NEXT;
	} else {
		/* The better one where there are short timers; where all are delivered. */
		starts[1] = slope(p->writes, p->nwrites, x, &error);
		starts[2] = slope(p->answers, p->nanswers, x, &error);
	}
	if (grid > GRID_MAX)
		grid = GRID_MAX;
	for (int i = 0; i < 3; i++) {
		struct clock_fit here = *fit;
		double score;

		here.rate = starts[i];
		if (!(here.rate >= RATE_MIN && here.rate <= RATE_MAX))
			continue;
		score = search_rate(&here, p, grid, ANSWER_REACH, x);
		if (score > best) {
			best = score;
			found = here;
		}
	}
	if (!found.rate)
		return false;
	if (!given)
		search_rate(&found, p, GRID / 2, ANSWER_REACH / 4, x);
	*fit = found;
	return true;
}

static size_t from_to(const double *x, size_t n, double from, double to)
{
	size_t m = 0;

	for (size_t i = 0; i < n; i++)
		m += x[i] >= from && x[i] < to;
	return m;
}

/*
 * The emptiest place just above the offset: between the answers and what was overwritten before.
 * @x: heights. A place counts, and less so what is around it.
 */
static double emptiest(const double *x, size_t n, double offset, double gap, double reach)
{
	size_t fewest = SIZE_MAX;
	double best = offset;

	for (double at = offset; at <= offset + reach; at += gap / 4) {
		size_t m = 4 * from_to(x, n, at - gap / 2, at + gap / 2) +
			   from_to(x, n, at - gap, at + gap) + (size_t)((at - offset) / gap);

		if (m < fewest) {
			fewest = m;
			best = at;
		}
	}
	return best;
}

/* How far they scatter, but for the outermost, one in @part at either end. Sorts. */
static double scatter(double *x, size_t n, size_t part)
{
	if (!n)
		return 0;
	qsort(x, n, sizeof(*x), by_number);
	return x[n - 1 - n / part] - x[n / part];
}

/*
 * Do the answers follow their deadlines, or might they move them on? An answer's delay does not
 * depend on when its deadline was set. So answers come at intervals that scatter more than their
 * delays do; or, of a periodic timer, less evenly than the deadlines. A timer that is always set
 * for the same time ahead shows neither, delivered or moved on. Sets fit->moved by how often they
 * come.
 */
static bool follow(struct clock_fit *fit, const struct clock_points *p, double *x)
{
	double low = fit->offset - ANSWER_REACH * fit->rate, delays, intervals, steps;
	size_t n = 0, m = 0;

	for (size_t i = 0; i < p->nanswers; i++) {
		double h = height(fit, &p->answers[i]);

		if (h >= low && h <= fit->offset) {
			p->irqs[n] = p->answers[i];
			x[n++] = h / fit->rate;
		}
	}
	delays = scatter(x, n, 10);
	for (size_t i = 0; i < n; i++)
		x[i] = rel(p->irqs[i].ts, p->irqs[i].set);
	intervals = scatter(x, n, 10);
	if (intervals > TELLING && intervals > FOLLOW_RATIO * delays)
		return true;
	fit->moved = n && x[n / 2] < INTERVAL_MIN;
	intervals = scatter(x, n, 4);
	for (size_t i = 0; i < n; i++) {
		if (p->irqs[i].before && p->irqs[i].before != p->irqs[i].value)
			x[m++] = rel(p->irqs[i].value, p->irqs[i].before) / fit->rate;
	}
	steps = scatter(x, m, 4);
	return intervals > TELLING && 2 * m > n && 2 * steps < intervals;
}

/*
 * Where the answers may be none, those that come later may be the answers: if most of these have
 * about the same delay, which nothing else explains. Sets the offset. Return: false if they have
 * not.
 */
static bool find_below(struct clock_fit *fit, const struct clock_points *p, double *x)
{
	double reach = ANSWER_REACH * fit->rate, high = fit->offset - reach;
	size_t n = 0;

	for (size_t i = 0; i < p->nanswers; i++) {
		double h = height(fit, &p->answers[i]);

		if (h < high)
			x[n++] = h;
	}
	qsort(x, n, sizeof(*x), by_number);
	return n >= IRQS_ENOUGH && best_offset(x, n, NULL, 0, reach, 0, &fit->offset) >=
					   fmax(IRQS_ENOUGH, (double)n / 2);
}

/* Refine the fit by the answers that lie within reach below its offset. */
static void fit_answered(struct clock_fit *fit, const struct clock_points *p, bool given, double *x)
{
	double reach = ANSWER_REACH * fit->rate, top = fit->offset;
	size_t n = 0;

	for (size_t i = 0; i < p->nanswers; i++) {
		double h = height(fit, &p->answers[i]);

		/* A cycle more: top is the height of one, maybe rounded otherwise. */
		if (h >= top - reach && h <= top + 1)
			p->irqs[n++] = p->answers[i];
	}
	fit_irqs(fit, p->irqs, n, given, x);
	/* Those near it. */
	n = 0;
	for (size_t i = 0; i < p->nanswers; i++) {
		double h = height(fit, &p->answers[i]);

		if (fabs(h - fit->offset) <= 2 * reach)
			x[n++] = h;
	}
	fit->offset = emptiest(x, n, fit->offset, ANSWER_GAP * fit->rate, reach / 2);
	fit->offset_error = ANSWER_GAP * fit->rate;
}

/* As fit_irqs(), by the answers. */
static bool fit_answers(struct clock_fit *fit, const struct clock_points *p, bool given, double *x)
{
	struct clock_fit below;
	double low, high;

	if (!find_answers(fit, p, given, x))
		return false;
	fit_answered(fit, p, given, x);
	if (follow(fit, p, x))
		return true;
	high = fit->offset;
	low = high - ANSWER_REACH * fit->rate;
	below = *fit;
	if (find_below(&below, p, x)) {
		fit_answered(&below, p, given, x);
		*fit = below;
		if (follow(fit, p, x))
			return true;
	} else if (fit->moved) {
		fit->offset = low;
	}
	fit->unsure_low = low;
	fit->unsure_high = high;
	return true;
}

/* Without answers: the closest deadlines of the window. How far those of its parts scatter. */
static void fit_deadlines(struct clock_fit *fit, const struct clock_point *w, size_t n, double *x)
{
	size_t parts = n < PARTS ? n : PARTS;

	heights(fit, w, n, x);
	for (size_t k = 0; k < parts; k++) {
		for (size_t i = k * n / parts; i < (k + 1) * n / parts; i++)
			x[k * n / parts] = fmin(x[k * n / parts], x[i]);
		x[k] = x[k * n / parts];
	}
	qsort(x, parts, sizeof(*x), by_number);
	fit->offset_error = x[parts - 1];
	heights(fit, w, n, x);
	qsort(x, n, sizeof(*x), by_number);
	fit->offset = x[(size_t)(WRITE_QUANTILE * (double)n)];
	fit->offset_error -= fit->offset;
}

/*
 * An answer, or an interrupt, that seems to be late is none that came too early. Nor is a deadline
 * in doubt that is taken for delivered, where the trace has its interrupt.
 */
static void count_doubtful(struct clock_fit *fit, const struct clock_points *p)
{
	double low = -ANSWER_GAP / 2 * fit->rate, high = 2 * ANSWER_GAP * fit->rate;

	if (fit->by == CLOCK_BY_DEADLINES)
		low = -(high = fit->offset_error);
	if (fit->by == CLOCK_BY_IRQS)
		qsort(p->irqs, p->nirqs, sizeof(*p->irqs), by_value);
	for (size_t i = 0; i < p->nanswers; i++) {
		double h = height(fit, &p->answers[i]);

		if (clock_unsure(fit) && h >= fit->unsure_low && h <= fit->unsure_high) {
			fit->doubtful++;
			continue;
		}
		h -= fit->offset;
		if (h < low || h > high)
			continue;
		fit->doubtful +=
			fit->by != CLOCK_BY_IRQS || h > 0 ||
			!bsearch(&p->answers[i], p->irqs, p->nirqs, sizeof(*p->irqs), by_value);
	}
}

/* The points by which a fit was made. Return: how many. */
static size_t told_by(const struct clock_fit *fit, const struct clock_points *points,
		      const struct clock_point **p)
{
	*p = fit->by == CLOCK_BY_IRQS ? points->irqs : points->answers;
	return fit->by == CLOCK_BY_IRQS	     ? points->nirqs
	       : fit->by == CLOCK_BY_ANSWERS ? points->nanswers
					     : 0;
}

/*
 * The offset that has the best score. @x: room for 2 * GRID_POINTS. @missed: set to the part of the
 * points by which @at scores less.
 */
static double best_score(const struct clock_fit *fit, const struct clock_points *points, double *x,
			 double at, double *missed)
{
	double reach = ANSWER_REACH * fit->rate, past_reach = PAST_REACH * fit->rate;
	double *ahead = x + GRID_POINTS, offset = 0, best, here;
	const struct clock_point *p;
	size_t n = told_by(fit, points, &p), m;

	n = sample_heights(fit, p, n, x);
	m = sample_heights(fit, points->writes, points->nwrites, ahead);
	best = best_offset(x, n, ahead, m, reach, past_reach, &offset);
	here = (double)from_to(x, n, at - reach, at + 1) -
	       (double)from_to(x, n, -INFINITY, at - reach) -
	       PAST_WEIGHT * (double)from_to(ahead, m, -INFINITY, at - past_reach);
	*missed = n ? (best - here) / (double)n : 0;
	return offset;
}

static bool fit_all(struct clock_fit *fit, const struct clock_points *p, double *x)
{
	bool given = fit->rate != 0;
	double missed;

	qsort(p->irqs, p->nirqs, sizeof(*p->irqs), by_ts);
	if (!given && p->nirqs >= IRQS_ENOUGH) {
		fit->rate = slope(p->irqs, p->nirqs, x, &fit->rate_error);
	} else if (!given && p->rate_before != 0) {
		fit->rate = p->rate_before;
	} else if (!given) {
		fit->rate = slope(p->writes, p->nwrites, x, &fit->rate_error);
		refine(fit, p->writes, p->nwrites, x);
	}
	if (!(fit->rate >= RATE_MIN && fit->rate <= RATE_MAX))
		return false;
	fit->by = CLOCK_BY_DEADLINES;
	if (p->nirqs >= IRQS_ENOUGH) {
		fit->by = CLOCK_BY_IRQS;
		fit_irqs(fit, p->irqs, p->nirqs, given, x);
	} else if (fit_answers(fit, p, given, x)) {
		fit->by = CLOCK_BY_ANSWERS;
	} else {
		fit_deadlines(fit, p->writes, p->nwrites, x);
	}
	fit->best = best_score(fit, p, x, 0, &missed);
	count_doubtful(fit, p);
	return fit->rate >= RATE_MIN && fit->rate <= RATE_MAX;
}

bool clock_fit(const struct clock_points *points, double rate, struct clock_fit *fit)
{
	struct clock_points p = *points;
	double *x;
	bool ok;

	p.nwrites = keep_plausible(p.writes, p.nwrites);
	p.nanswers = keep_plausible(p.answers, p.nanswers);
	if (!p.nwrites)
		return false;
	*fit = (struct clock_fit){ .ts0 = p.writes[0].ts,
				   .value0 = p.writes[0].value,
				   .rate = rate };
	x = calloc(p.nwrites + p.nanswers + p.nirqs + 2 * GRID_POINTS, sizeof(*x));
	if (!x)
		return false;
	ok = fit_all(fit, &p, x);
	free(x);
	return ok;
}

bool clock_holds(const struct clock_points *points, const struct clock_fit *fit)
{
	const struct clock_point *p;
	size_t n = told_by(fit, points, &p);
	double missed, *x;
	size_t far = 0;

	for (size_t i = 0; i < points->nwrites; i++) {
		double h = height(fit, &points->writes[i]) - fit->offset;

		/* But for those that are meant never to come. */
		far += h < -FAR_PAST || (h > FAR_AHEAD && points->writes[i].value < INT64_MAX);
	}
	if (far >= HOLDS_ENOUGH && far > points->nwrites / FAR_PART)
		return false;
	if (n < HOLDS_ENOUGH || clock_unsure(fit))
		return true;
	if (fit->by == CLOCK_BY_IRQS && fit->offset_error > ANSWER_REACH * fit->rate)
		return false;
	x = calloc(2 * GRID_POINTS, sizeof(*x));
	if (!x)
		return true;
	best_score(fit, points, x, fit->best, &missed);
	free(x);
	return missed <= HOLDS_PART;
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
