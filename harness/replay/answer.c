// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <lazytsc/sim/machine.h>

#include "answer.h"
#include "cli.h"

const char *const worth_names[WORTH_LEVELS] = { "yes", "little", "no" };

const char *const evidence_names[] = {
	[TRACE_EXACT] = "exact",
	[TRACE_APPROXIMATE] = "approximate",
	[TRACE_BOUNDS] = "bounds",
};

double answer_rate(const struct replay *r, uint64_t n)
{
	return r->seconds > 0 ? (double)n / r->seconds : 0;
}

static const char *number_text(double v, int digits, char *to)
{
	snprintf(to, 32, "%.*f", digits, v);
	/* Prints 0 and not "-0". */
	if (to[0] == '-' && !to[strspn(to, "-0.")])
		memmove(to, to + 1, strlen(to));
	return to;
}

const char *rate_text(double rate, char *to)
{
	double size = fabs(rate);

	return number_text(rate, size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2, to);
}

const char *cpu_text(double percent, char *to)
{
	return number_text(percent, fabs(percent) < 0.0995 ? 3 : 2, to);
}

const char *percent_text(double percent, int digits, char *to)
{
	double step = digits ? 0.1 : 1;

	if (percent < 100 && percent >= 100 - step / 2)
		return number_text(fmin(percent, 99.9), 1, to);
	return number_text(percent, digits, to);
}

/* Units of the trace's clock in its whole length. */
static double length(const struct replay *r)
{
	return r->seconds * r->clock.khz * 1e3;
}

double answer_cpu(const struct replay *r, const struct counts *k)
{
	return r->seconds > 0 ? 100 * (double)k->value[COL_HOST_CYCLES] / length(r) : 0;
}

/* How long an exit of one kind took on average, ns; 0: none was timed. */
static double mean_ns(const struct replay *r, enum trace_exit reason, bool deadlines)
{
	double time = 0, n = 0;

	for (size_t i = 0; i < r->nvcpus; i++) {
		const struct trace_exits *x = &r->vcpus[i].at.exits;

		time += (double)(deadlines ? x->deadline_time : x->time[reason]);
		n += (double)(deadlines ? x->deadline_timed : x->timed[reason]);
	}
	return n > 0 ? time / n * r->unit_ns : 0;
}

/* The exits that are those of deadline writes for sure, else all of MSR writes. */
static double mean_write_ns(const struct replay *r)
{
	double ns = mean_ns(r, TRACE_EXIT_MSR_WRITE, true);

	return ns > 0 ? ns : mean_ns(r, TRACE_EXIT_MSR_WRITE, false);
}

/* An expiry: on the hv timer, else as the host's own timer interrupt. */
static double mean_timer_ns(const struct replay *r)
{
	double ns = mean_ns(r, TRACE_EXIT_PREEMPTION_TIMER, false);

	return ns > 0 ? ns : mean_ns(r, TRACE_EXIT_EXTERNAL_INTERRUPT, false);
}

/* What a policy takes by the trace's own exits, s. */
static double own_seconds(const struct replay *r, const struct answer *a, const struct counts *k)
{
	double timer = a->timer_ns > 0 ? a->timer_ns : a->write_ns;

	return ((double)k->value[COL_MSR_WRITE_EXITS] * a->write_ns +
		(double)(k->value[COL_SILENT_EXPIRIES] + k->value[COL_INJECTIONS]) * timer) /
		       1e9 +
	       (double)k->value[COL_WAITED] / (r->clock.khz * 1e3);
}

static enum worth worth(double percent)
{
	if (percent >= WORTH_PERCENT)
		return WORTH_IT;
	return percent >= LITTLE_PERCENT ? WORTH_LITTLE : WORTH_NOTHING;
}

static struct gain gain(const struct replay *r, const struct answer *a, size_t p)
{
	const struct counts *k = &r->total[p], *stock = &r->total[r->stock];
	double was = (double)stock->value[COL_HOST_ENTRIES];
	struct gain g = { .measured = a->write_ns > 0 };

	g.entries = a->stock_entries - answer_rate(r, k->value[COL_HOST_ENTRIES]);
	g.percent = was > 0 ? 100 * (was - (double)k->value[COL_HOST_ENTRIES]) / was : 0;
	g.cpu = a->stock_cpu - answer_cpu(r, k);
	for (size_t i = 0; i < r->nvcpus; i++) {
		const struct counts *c = r->vcpus[i].counts;
		double cpu = answer_cpu(r, &c[r->stock]) - answer_cpu(r, &c[p]);

		if (i == 0 || cpu > g.busiest_cpu)
			g.busiest_cpu = cpu;
	}
	if (g.measured)
		g.own_cpu = 100 * (own_seconds(r, a, stock) - own_seconds(r, a, k)) / r->seconds;
	g.waited_us = answer_rate(r, k->value[COL_WAITED]) / r->clock.khz * 1e3;
	g.early = answer_rate(r, k->value[COL_EARLY_INJECTIONS]);
	g.worth = worth(g.busiest_cpu);
	return g;
}

/*
 * A tenth of the trace; how much busier than the average it must be to be mentioned, and how many
 * host entries it must have.
 */
#define TENTH	    10
#define PEAK_FACTOR 2
#define PEAK_LEAST  100

/* The busiest tenth. Slices are at least SLICES / 2 for the whole trace, or it is short. */
static void find_peak(const struct replay *r, struct answer *a)
{
	const uint64_t *stock = r->slices.entries[r->stock], *lazy = r->slices.entries[r->lazy];
	size_t used = (size_t)ceil(r->seconds * 1e9 / r->slices.slice_ns), n = used / TENTH;
	uint64_t sum = 0, most = 0, lazy_sum = 0, lazy_there = 0;
	size_t begins = 0;
	double ns = (double)lazytsc_costs_default().exit_write;

	if (n == 0)
		return;
	for (size_t i = 0; i < used && i < SLICES; i++) {
		sum += stock[i] - (i >= n ? stock[i - n] : 0);
		lazy_sum += lazy[i] - (i >= n ? lazy[i - n] : 0);
		if (sum > most) {
			most = sum;
			lazy_there = lazy_sum;
			begins = i >= n ? i - n + 1 : 0;
		}
	}
	a->peak_seconds = (double)n * r->slices.slice_ns / 1e9;
	a->peak_from = (r->first_ns + (double)begins * r->slices.slice_ns) / 1e9;
	a->peak_stock = (double)most / a->peak_seconds;
	a->peak_lazy = (double)lazy_there / a->peak_seconds;
	a->peak_cpu = 100 * (a->peak_stock - a->peak_lazy) * ns / 1e9;
	a->has_peak = most >= PEAK_LEAST && a->peak_stock >= PEAK_FACTOR * a->stock_entries;
}

struct answer answer(const struct replay *r)
{
	const struct counts *stock = &r->total[r->stock];
	struct answer a = { .rates = r->seconds > 0 && r->deadlines.writes > 1 };

	if (!a.rates)
		return a;
	a.writes = answer_rate(r, r->deadlines.writes) / (double)r->nvcpus;
	for (size_t i = 0; i < r->nvcpus; i++) {
		double cpu = answer_cpu(r, &r->vcpus[i].counts[r->stock]);
		double writes = answer_rate(r, r->vcpus[i].deadlines.writes);

		if (cpu > a.stock_busiest_cpu)
			a.stock_busiest_cpu = cpu;
		if (writes > a.busiest_writes) {
			a.busiest_writes = writes;
			a.busiest = r->vcpus[i].name;
		}
	}
	a.stock_entries = answer_rate(r, stock->value[COL_HOST_ENTRIES]);
	a.stock_cpu = answer_cpu(r, stock);
	a.write_ns = mean_write_ns(r);
	a.timer_ns = mean_timer_ns(r);
	a.lazy = gain(r, &a, r->lazy);
	a.early = gain(r, &a, r->early);
	find_peak(r, &a);
	a.worth = a.early.worth < a.lazy.worth ? a.early.worth : a.lazy.worth;
	return a;
}

/* --- Sentences --- */

static void say_assumed(FILE *to, const struct replay *r)
{
	if (r->khz_assumed)
		fputs(", if its TSC runs at 2.6 GHz (the trace does not tell: give --tsc-khz)", to);
}

/* The busiest vCPU is named where it writes so many times as often as the average. */
#define UNEQUAL 1.05

static void say_writes(FILE *to, const struct replay *r, const struct answer *a)
{
	char rate[32];

	if (r->nvcpus == 1) {
		fprintf(to, "The guest's one vCPU writes its TSC deadline %s times a second",
			rate_text(a->writes, rate));
	} else {
		fprintf(to, "Each of %zu vCPUs writes its TSC deadline %s times a second",
			r->nvcpus, rate_text(a->writes, rate));
		if (a->busiest_writes > UNEQUAL * a->writes)
			fprintf(to, " on average (vCPU %s: %s)", a->busiest,
				rate_text(a->busiest_writes, rate));
	}
	say_assumed(to, r);
	fputs(". ", to);
}

/* Does a policy cost more than it gives? @nothing: what is said of 0, as it is printed. */
static bool is_cost(double cpu, bool nothing)
{
	char text[32];

	return strtod(cpu_text(cpu, text), NULL) == 0 ? nothing : cpu < 0;
}

static void say_gain(FILE *to, const struct answer *a, const struct gain *g, const char *name)
{
	bool adds = g->entries < 0, costs = is_cost(g->cpu, adds);
	char entries[32], of[32], cpu[32];

	rate_text(fabs(g->entries), entries);
	rate_text(a->stock_entries, of);
	if (adds)
		fprintf(to, "%s would add %s host entries a second to %s (%.1f %%)", name, entries,
			of, -g->percent);
	else
		fprintf(to, "%s would take away %s of %s host entries a second (%s %%)", name,
			entries, of, percent_text(g->percent, 1, cpu));
	cpu_text(fabs(g->cpu), cpu);
	if (costs)
		fprintf(to, ", %s cost %s %% of one CPU", adds ? "and" : "but", cpu);
	else
		fprintf(to, adds ? ", but give %s %% of one CPU back" : ", %s %% of one CPU", cpu);
	fputs(" by the cost model", to);
	if (!g->measured)
		return;
	cpu_text(fabs(g->own_cpu), cpu);
	if (is_cost(g->own_cpu, costs) == costs)
		fprintf(to, " and %s %%", cpu);
	else
		fprintf(to, costs ? ", but give %s %% back" : ", but cost %s %%", cpu);
	fputs(" by the trace's own exit times", to);
}

static void say_early(FILE *to, const struct gain *g)
{
	char rate[32];

	if (g->waited_us > 0)
		fprintf(to, ", for which it holds the guest %s us a second to wait for deadlines",
			rate_text(g->waited_us, rate));
	if (g->early > 0)
		fprintf(to, "%s %s interrupts a second come before their deadline",
			g->waited_us > 0 ? " and" : ", but", rate_text(g->early, rate));
}

/* What keeps the gain small. Clauses, the first without a comma before it. */
static void say_reasons(FILE *to, const struct replay *r, const struct answer *a)
{
	const struct deadlines *d = &r->deadlines;
	const struct counts *lazy = &r->total[r->lazy];
	double writes = (double)d->writes;
	char cpu[32];

	fprintf(to, "all that the deadline costs the host there is %s %% of a CPU",
		cpu_text(a->stock_busiest_cpu, cpu));
	if (a->lazy.percent >= 50)
		return;
	if ((double)d->delivered >= 0.5 * writes)
		fprintf(to,
			", and %s %% of the deadlines are delivered, which leaves nothing armed that lazy could skip a write for",
			percent_text(100 * (double)d->delivered / writes, 0, cpu));
	else if ((double)d->earlier >= 0.25 * writes)
		fprintf(to, ", and %s %% of the deadlines move to an earlier time, which must exit",
			percent_text(100 * (double)d->earlier / writes, 0, cpu));
	if (lazy->value[COL_SKIPS] &&
	    lazy->value[COL_SILENT_EXPIRIES] * 3 >= lazy->value[COL_SKIPS])
		fprintf(to, ", and %s %% of lazy's skips are paid for by silent expiries",
			percent_text(100 * (double)lazy->value[COL_SILENT_EXPIRIES] /
					     (double)lazy->value[COL_SKIPS],
				     0, cpu));
}

static void say_peak(FILE *to, const struct replay *r, const struct answer *a)
{
	char stock[32], lazy[32], cpu[32];

	if (!a->has_peak)
		return;
	fprintf(to, " In the busiest %.3g s", a->peak_seconds);
	if (a->peak_from >= 0)
		fprintf(to, " (%s--from=%.6gs --to=%.6gs)",
			r->khz_assumed ? "--tsc-khz=2600000 " : "", a->peak_from,
			a->peak_from + a->peak_seconds);
	fprintf(to, " lazy would leave %s of %s host entries a second and %s %s %% of a CPU%s.",
		rate_text(a->peak_lazy, lazy), rate_text(a->peak_stock, stock),
		is_cost(a->peak_cpu, false) ? "cost" : "give", cpu_text(fabs(a->peak_cpu), cpu),
		is_cost(a->peak_cpu, false) ? "" : " back");
}

static void say_worth(FILE *to, const struct replay *r, const struct answer *a)
{
	const char *who = a->early.worth < a->lazy.worth ? "with early, not with lazy alone" : NULL;
	double best = a->lazy.busiest_cpu;
	char cpu[32];

	if (who || a->worth == WORTH_NOTHING)
		best = a->early.busiest_cpu > best ? a->early.busiest_cpu : best;
	switch (a->worth) {
	case WORTH_IT:
		fprintf(to, "Worth it%s%s: the host of the busiest vCPU gets %s %% of a CPU back.",
			who ? " " : "", who ? who : "", cpu_text(best, cpu));
		return;
	case WORTH_LITTLE:
		fprintf(to,
			"Worth little%s%s: the host of the busiest vCPU gets %s %% of a CPU back; ",
			who ? ", and only " : "", who ? who : "", cpu_text(best, cpu));
		break;
	default:
		fprintf(to, "Not worth it: the host of the busiest vCPU gets %s %% of a CPU back; ",
			cpu_text(best > 0 ? best : 0, cpu));
		break;
	}
	say_reasons(to, r, a);
	fputc('.', to);
}

/* Exits alone: lazy takes away none of the MSR_WRITE exits, or all, or what lies between. */
static void say_bounds(FILE *to, const struct replay *r)
{
	uint64_t writes = 0, timed = 0, all = 0;
	char rate[32], cpu[32];
	double ns = 0;

	for (size_t i = 0; i < r->nvcpus; i++) {
		const struct trace_exits *x = &r->vcpus[i].at.exits;

		writes += x->count[TRACE_EXIT_MSR_WRITE];
		timed += x->timed[TRACE_EXIT_MSR_WRITE];
		ns += (double)x->time[TRACE_EXIT_MSR_WRITE] * r->unit_ns;
		for (size_t k = 0; k < TRACE_EXIT_REASONS; k++)
			all += x->count[k];
	}
	if (r->stats.counted)
		fputs("No deadline writes, but counts of exits", to);
	else
		fprintf(to, "No deadline writes, but the exits of %zu vCPU%s", r->nvcpus,
			r->nvcpus == 1 ? "" : "s");
	fprintf(to,
		": lazy takes away between none and all of %" PRIu64
		" MSR_WRITE exit%s, %s %% of all exits",
		writes, writes == 1 ? "" : "s",
		percent_text(all ? 100 * (double)writes / (double)all : 0, 1, cpu));
	if (timed)
		fprintf(to, ", of %.2f us each", ns / (double)timed / 1000);
	if (r->seconds > 0)
		fprintf(to, ": at most %s a second", rate_text(answer_rate(r, writes), rate));
	if (r->seconds > 0 && timed)
		fprintf(to, ", %s %% of one CPU", cpu_text(ns / r->seconds / 1e7, cpu));
	say_assumed(to, r);
	fputc('.', to);
}

char *answer_text(const char *name, const struct replay *r)
{
	struct answer a = answer(r);
	char *text = NULL, share[32];
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		cli_no_memory();
	fprintf(to, "%s: %s", name,
		r->stats.evidence == TRACE_BOUNDS  ? "BOUNDS only"
		: r->stats.evidence == TRACE_EXACT ? "exact"
						   : "APPROXIMATE");
	if (r->stats.doubtful * 100 >= r->stats.writes && r->stats.doubtful)
		fprintf(to, ", %s %% of the writes in doubt",
			percent_text(100.0 * (double)r->stats.doubtful / (double)r->stats.writes, 0,
				     share));
	fputs(". ", to);
	if (r->stats.evidence == TRACE_BOUNDS) {
		say_bounds(to, r);
	} else if (!a.rates) {
		fprintf(to, "%" PRIu64 " deadline write%s: too few for rates.", r->deadlines.writes,
			r->deadlines.writes == 1 ? "" : "s");
	} else {
		say_writes(to, r, &a);
		say_gain(to, &a, &a.lazy, "lazy");
		fputs("; ", to);
		say_gain(to, &a, &a.early, "early");
		say_early(to, &a.early);
		fputs(". ", to);
		say_worth(to, r, &a);
		say_peak(to, r, &a);
	}
	if (fclose(to))
		cli_no_memory();
	return text;
}
