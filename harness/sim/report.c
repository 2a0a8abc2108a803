// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "sim.h"
#include "table.h"

/* The columns: name, as in replay where replay has them, and where the figure comes from. */
#define COLUMNS(X)                                                            \
	X("msr_write_exits", s->exits[LAZYTSC_EXIT_WRITE])                    \
	X("skips", s->skips)                                                  \
	X("silent_expiries", s->host.silent_running + s->host.silent_blocked) \
	X("silent_blocked", s->host.silent_blocked)                           \
	X("injections", s->host.injections)                                   \
	X("host_entries", host_entries(s))                                    \
	X("timer_interrupts", s->interrupts)                                  \
	X("exits", exits(s))                                                  \
	X("wakes", s->wakes)                                                  \
	X("host_us", (s->host_ns + s->other_ns) / 1000)

static u64 host_entries(const struct lazytsc_machine_stats *s)
{
	return s->exits[LAZYTSC_EXIT_WRITE] + s->host.silent_running + s->host.silent_blocked;
}

static u64 exits(const struct lazytsc_machine_stats *s)
{
	u64 sum = 0;

	for (unsigned int e = 0; e < LAZYTSC_EXITS; e++)
		sum += s->exits[e];
	return sum;
}

static const char *const names[] = {
#define X(name, value) name,
	COLUMNS(X)
#undef X
};

#define N (sizeof(names) / sizeof(names[0]))

static u64 column(const struct lazytsc_machine_stats *s, unsigned int i)
{
	const u64 values[N] = {
#define X(name, value) value,
		COLUMNS(X)
#undef X
	};

	return values[i];
}

static const struct lazytsc_machine_stats *stats(const struct sim_run *run,
						 const struct sim_result *r, unsigned int i)
{
	return i < run->config.vcpus ? &r->vcpu[i] : &r->total;
}

static const struct sim_result *stock(const struct sim_run *run, const struct sim_result *results)
{
	for (unsigned int v = 0; v < run->nvariants; v++) {
		if (results[v].variant.variant == &lazytsc_variant_stock)
			return &results[v];
	}
	return NULL;
}

/* The change of host entries against stock, %; false: nothing to compare with. */
static bool change(const struct sim_run *run, const struct sim_result *results,
		   const struct sim_result *r, unsigned int i, double *pct)
{
	const struct sim_result *base = stock(run, results);
	double was = base ? (double)host_entries(stats(run, base, i)) : 0;

	if (was == 0)
		return false;
	*pct = round(10000.0 * ((double)host_entries(stats(run, r, i)) - was) / was) / 100.0;
	return true;
}

static u64 average(const struct lazytsc_machine_stats *s)
{
	return s->interrupts ? s->late_sum / s->interrupts : 0;
}

static void row(struct libscols_table *tb, const struct sim_run *run,
		const struct sim_result *results, const struct sim_result *r, unsigned int i)
{
	struct libscols_line *line = table_line(tb);
	const struct lazytsc_machine_stats *s = stats(run, r, i);
	double pct;

	if (i < run->config.vcpus)
		table_cell(line, 0, "%u", i);
	else
		table_cell(line, 0, "total");
	table_cell(line, 1, "%s", r->variant.name);
	for (unsigned int c = 0; c < N; c++)
		table_cell(line, 2 + c, "%" PRIu64, column(s, c));
	if (change(run, results, r, i, &pct))
		table_cell(line, 2 + N, "%+.2f", pct);
	else
		table_cell(line, 2 + N, "-");
	table_cell(line, 3 + N, "%.3f", (double)s->late_min / 1e3);
	table_cell(line, 4 + N, "%.3f", (double)average(s) / 1e3);
	table_cell(line, 5 + N, "%.3f", (double)s->late_max / 1e3);
}

/* What restores have lost (B26): the stock timer has nowhere to look. */
static void print_lost(FILE *to, const struct sim_run *run, const struct sim_result *results)
{
	const struct lazytsc_machine_config *c = &run->config;

	if (!c->trouble_ns[LAZYTSC_TROUBLE_migrate])
		return;
	fputs("\nDeadlines that restores have lost, of restores:", to);
	for (unsigned int v = 0; v < run->nvariants; v++)
		fprintf(to, "%s %s %" PRIu64 " of %" PRIu64, v ? "," : "", results[v].variant.name,
			results[v].total.lost, results[v].total.migrations);
	fputc('\n', to);
}

/* As cyclictest -h prints it: a line for each us, a column for each variant. */
static void print_hist(FILE *to, const struct sim_run *run, const struct sim_result *results)
{
	fputs("\n# Histogram of lateness, us", to);
	for (unsigned int v = 0; v < run->nvariants; v++)
		fprintf(to, " %s", results[v].variant.name);
	fputc('\n', to);
	for (unsigned int us = 0; us < LAZYTSC_LATENESS_US; us++) {
		bool any = false;

		for (unsigned int v = 0; v < run->nvariants; v++)
			any |= results[v].total.late_us[us] != 0;
		if (!any)
			continue;
		fprintf(to, "%06u", us);
		for (unsigned int v = 0; v < run->nvariants; v++)
			fprintf(to, " %06" PRIu64, results[v].total.late_us[us]);
		fputc('\n', to);
	}
	fputs("# Total:", to);
	for (unsigned int v = 0; v < run->nvariants; v++)
		fprintf(to, " %09" PRIu64, results[v].total.interrupts);
	fprintf(to, "\n# Histogram Overflows (from %d us):", LAZYTSC_LATENESS_US);
	for (unsigned int v = 0; v < run->nvariants; v++)
		fprintf(to, " %05" PRIu64, results[v].total.late_us[LAZYTSC_LATENESS_US]);
	fputc('\n', to);
}

void sim_print(FILE *to, const struct sim_run *run, const struct sim_result *results)
{
	const struct lazytsc_machine_config *c = &run->config;
	const char *heads[N + 6] = { "vcpu", "variant" };
	struct libscols_table *tb;

	fprintf(to,
		"guest %s, %u vCPU%s, timer %s, seed %" PRIu64 ", %.6g s\n"
		"host_us: vCPU time on exits, waits and wake-ups, and callbacks elsewhere. late: from the deadline\n"
		"to the guest's handler, us.\n\n",
		c->workload->name, c->vcpus, c->vcpus == 1 ? "" : "s", lazytsc_timer_name(c->timer),
		c->seed, (double)run->duration_ns / 1e9);
	memcpy(heads + 2, names, sizeof(names));
	heads[2 + N] = "change %";
	heads[3 + N] = "late min";
	heads[4 + N] = "avg";
	heads[5 + N] = "max";
	tb = table_new(heads, N + 6, TABLE_COLUMN(0) | TABLE_COLUMN(1)); /* vcpu, variant */
	for (unsigned int i = run->per_vcpu ? 0 : c->vcpus; i <= c->vcpus; i++) {
		for (unsigned int v = 0; v < run->nvariants; v++)
			row(tb, run, results, &results[v], i);
	}
	table_print(to, tb);
	print_lost(to, run, results);
	if (run->hist)
		print_hist(to, run, results);
}

static void set(json_t *o, const char *key, u64 v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static json_t *json_row(const struct sim_run *run, const struct sim_result *results,
			const struct sim_result *r, unsigned int i)
{
	const struct lazytsc_machine_stats *s = stats(run, r, i);
	json_t *o = json_object(), *list;
	double pct;

	json_object_set_new(o, "variant", json_string(r->variant.name));
	if (i < run->config.vcpus)
		set(o, "vcpu", i);
	else
		json_object_set_new(o, "vcpu", json_string("total"));
	for (unsigned int c = 0; c < N; c++)
		set(o, names[c], column(s, c));
	json_object_set_new(o, "host_entries_change_pct",
			    change(run, results, r, i, &pct) ? json_real(pct) : json_null());
	list = json_object();
	for (unsigned int e = 0; e < LAZYTSC_EXITS; e++)
		set(list, lazytsc_exit_name(e), s->exits[e]);
	json_object_set_new(o, "exits_by_reason", list);
	set(o, "remote_expiries", s->remote_expiries);
	set(o, "timer_events", s->events);
	set(o, "migrations", s->migrations);
	set(o, "deadlines_lost", s->lost);
	set(o, "deadlines_recovered", s->host.recovered);
	set(o, "late_min_ns", s->late_min);
	set(o, "late_avg_ns", average(s));
	set(o, "late_max_ns", s->late_max);
	if (!run->hist)
		return o;
	list = json_array();
	for (unsigned int us = 0; us <= LAZYTSC_LATENESS_US; us++)
		json_array_append_new(list, json_integer((json_int_t)s->late_us[us]));
	json_object_set_new(o, "late_us", list);
	return o;
}

static json_t *json_broken(const struct sim_result *r)
{
	const struct sim_failure *f = r->failure;
	json_t *o = json_object();
	char text[256];

	lazytsc_broken_text(&f->broken, text, sizeof(text));
	json_object_set_new(o, "variant", json_string(r->variant.name));
	set(o, "vcpu", f->vcpu);
	set(o, "vcpus", r->failures);
	json_object_set_new(o, "requirement",
			    json_string(lazytsc_rule_requirement(f->broken.rule)));
	json_object_set_new(o, "text", json_string(text));
	return o;
}

void sim_print_json(FILE *to, const struct sim_run *run, const struct sim_result *results)
{
	const struct lazytsc_machine_config *c = &run->config;
	json_t *root = cli_json(SIM_JSON_VERSION, run->argc, run->argv);
	json_t *rows = json_array(), *broken = json_array();

	json_object_set_new(root, "guest", json_string(c->workload->name));
	json_object_set_new(root, "timer", json_string(lazytsc_timer_name(c->timer)));
	set(root, "vcpus", c->vcpus);
	/* A JSON integer has a sign; a seed has none. */
	json_object_set_new(root, "seed", json_sprintf("%" PRIu64, c->seed));
	set(root, "tsc_khz", c->guest_khz);
	set(root, "duration_ns", run->duration_ns);
	for (unsigned int v = 0; v < run->nvariants; v++) {
		for (unsigned int i = run->per_vcpu ? 0 : c->vcpus; i <= c->vcpus; i++)
			json_array_append_new(rows, json_row(run, results, &results[v], i));
		if (results[v].failure)
			json_array_append_new(broken, json_broken(&results[v]));
	}
	json_object_set_new(root, "rows", rows);
	json_object_set_new(root, "broken", broken);
	cli_json_print(to, root);
}

/* A TSC as its distance from the one at which the rule broke; 0 is none, and far is far. */
static void near(struct libscols_line *line, unsigned int column, u64 tsc, u64 from)
{
	int64_t d = (int64_t)(tsc - from);

	if (!tsc)
		table_cell(line, column, "0");
	else if (d > 1000000000000LL || d < -1000000000000LL)
		table_cell(line, column, "%#" PRIx64, tsc);
	else
		table_cell(line, column, "%+" PRId64, d);
}

static bool is_time(enum lazytsc_step_kind kind)
{
	switch (kind) {
	case LAZYTSC_STEP_HALT:
	case LAZYTSC_STEP_LAPIC:
	case LAZYTSC_STEP_WORD:
	case LAZYTSC_STEP_ENTER:
	case LAZYTSC_STEP_EXIT:
	case LAZYTSC_STEP_BLOCKED:
	case LAZYTSC_STEP_WAKE:
	case LAZYTSC_STEP_USER:
	case LAZYTSC_STEP_RESET:
		return false;
	default:
		return true;
	}
}

/* What happened, with its value: a TSC, an exit reason or a word. */
static void what(struct libscols_line *line, unsigned int column,
		 const struct lazytsc_machine_step *s, u64 from)
{
	const char *text = lazytsc_machine_step_what(s->kind);
	int64_t d = (int64_t)(s->value - from);

	if (s->kind == LAZYTSC_STEP_EXIT)
		table_cell(line, column, "exit: %s", lazytsc_exit_name(s->value));
	else if (s->kind == LAZYTSC_STEP_WORD || s->kind == LAZYTSC_STEP_LAPIC)
		table_cell(line, column, "%s %#" PRIx64, text, s->value);
	else if (!is_time(s->kind))
		table_cell(line, column, "%s", text);
	else if (!s->value)
		table_cell(line, column, "%s 0", text);
	else if (d > 1000000000000LL || d < -1000000000000LL)
		table_cell(line, column, "%s %#" PRIx64, text, s->value);
	else
		table_cell(line, column, "%s %+" PRId64, text, d);
}

enum { CHART_US, CHART_GUEST, CHART_HOST, CHART_ARMED, CHART_PENDING, CHART_TIMER, CHART_COLUMNS };

static void print_chart(FILE *to, const struct sim_failure *f)
{
	static const char *const head[CHART_COLUMNS] = { "us",	  "guest",   "host",
							 "armed", "pending", "timer" };
	const unsigned int left = TABLE_COLUMN(CHART_GUEST) | TABLE_COLUMN(CHART_HOST);
	struct libscols_table *tb = table_new(head, CHART_COLUMNS, left);
	u64 end = f->nsteps ? f->step[f->nsteps - 1].ns : 0;

	for (size_t i = f->nsteps > 24 ? f->nsteps - 24 : 0; i < f->nsteps; i++) {
		const struct lazytsc_machine_step *s = &f->step[i];
		struct libscols_line *line = table_line(tb);
		bool guest = !strcmp(lazytsc_machine_step_who(s->kind), "guest");

		table_cell(line, CHART_US, "%.3f", -(double)(end - s->ns) / 1e3);
		what(line, guest ? CHART_GUEST : CHART_HOST, s, f->broken.tsc);
		near(line, CHART_ARMED, s->armed, f->broken.tsc);
		near(line, CHART_PENDING, s->pending, f->broken.tsc);
		near(line, CHART_TIMER, s->timer, f->broken.tsc);
	}
	table_print(to, tb);
}

void sim_print_failure(FILE *to, const struct sim_run *run, const struct sim_variant *variant,
		       const struct lazytsc_machine_config *config, const struct sim_failure *f,
		       bool swarm)
{
	char text[256];

	lazytsc_broken_text(&f->broken, text, sizeof(text));
	fprintf(to, "\nBROKEN: %s\nvariant %s, guest %s, timer %s, seed %" PRIu64 ", vCPU %u\n",
		text, variant->name, config->workload->name, lazytsc_timer_name(config->timer),
		f->seed, f->vcpu);
	fputs("The last steps; TSC values count from the moment of the violation:\n\n", to);
	print_chart(to, f);
	fprintf(to, "\nAgain: lazytsc sim%s --variants=%s --seed=%" PRIu64 "%s\n", run->repeat,
		variant->name, f->seed, swarm ? " --swarm=1" : "");
}

void sim_print_list(FILE *to)
{
	const struct lazytsc_workload *p;
	const struct lazytsc_variant *v;
	enum { COST_IS, COST_WHAT, COST_SOURCE, COST_COLUMNS };
	static const char *const heads[COST_COLUMNS] = { "  --cost", "what", "source" };
	struct libscols_table *tb = table_new(heads, COST_COLUMNS, ~0u);

	fputs("Guests (--guest):\n", to);
	for (unsigned int i = 0; (p = lazytsc_workload_at(i)); i++)
		fprintf(to, "  %-8s  %s\n", p->name, p->summary);
	fputs("\nVariants (--variants):\n", to);
	for (unsigned int i = 0; (v = lazytsc_variant_at(i)); i++)
		fprintf(to, "  %-10s  %s\n", v->name, v->summary);
	fprintf(to, "  %-10s  %s\n", lazytsc_guess_early.name, "lazy, arming early");
	fputs("\nTrouble (--trouble NAME=TIME, the mean time between two):\n", to);
#define X(name, meaning) fprintf(to, "  %-8s  %s\n", #name, meaning);
	LAZYTSC_TROUBLES(X)
#undef X
	fputs("\nCosts (--cost NAME=TIME), and their defaults:\n", to);
#define X(name, ns, meaning, source)                               \
	do {                                                       \
		struct libscols_line *line = table_line(tb);       \
		table_cell(line, COST_IS, "  %s=%dns", #name, ns); \
		table_cell(line, COST_WHAT, "%s", meaning);        \
		table_cell(line, COST_SOURCE, "%s", source);       \
	} while (0);
	LAZYTSC_COSTS(X)
#undef X
	table_print(to, tb);
}
