// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "cli.h"
#include "report.h"
#include "table.h"

/* A change of host entries smaller than this is called small. */
#define SMALL_PERCENT 10.0
/* Columns of a terminal. */
#define WIDTH 80

/* The change of host entries against stock in %, two decimals; false: there is none. */
static bool change(const struct counts *c, const struct counts *stock, double *pct)
{
	double s = (double)stock->value[COL_HOST_ENTRIES];

	if (!c->known[COL_HOST_ENTRIES] || s == 0)
		return false;
	*pct = round(10000.0 * ((double)c->value[COL_HOST_ENTRIES] - s) / s) / 100.0;
	/* Not "-0". */
	if (*pct == 0)
		*pct = 0;
	return true;
}

static double percent(uint64_t part, uint64_t of)
{
	return of ? 100.0 * (double)part / (double)of : 0;
}

/* How many rows each vCPU has: the policies that are shown, and what was measured. */
static size_t nvariants(const struct replay *r, const struct report_options *o)
{
	return o->shown + replay_measured(r);
}

/* The @i-th of them: an index into counts. */
static size_t variant_at(const struct replay *r, const struct report_options *o, size_t i)
{
	return i < o->shown ? i : r->npolicies;
}

static const char *variant_name(const struct replay *r, size_t v)
{
	return v < r->npolicies ? r->policies[v].name : REPLAY_MEASURED;
}

/* The @i-th row's counts: the vCPUs in order, then the total. */
static const struct counts *row(const struct replay *r, size_t i, size_t variant)
{
	return i < r->nvcpus ? &r->vcpus[i].counts[variant] : &r->total[variant];
}

/* --- Tables --- */

/* A line of a table: whose, under which variant. */
struct line {
	const char *name;
	size_t variant;
	const struct counts *counts, *stock;
};

/* Columns that only wide tables have, with their names in JSON. */
static void wide_names(const char **names)
{
	names[0] = "vcpu";
	names[1] = "variant";
	for (size_t c = 0; c < COLUMNS; c++)
		names[2 + c] = column_names[c];
	names[2 + COLUMNS] = "entries/s";
	names[3 + COLUMNS] = "CPU %";
	names[4 + COLUMNS] = "change %";
}

static void wide_line(struct libscols_table *tb, const struct replay *r, const struct line *l)
{
	struct libscols_line *line = table_line(tb);
	const struct counts *k = l->counts;
	char rate[32];
	double pct;

	table_cell(line, 0, "%s", l->name);
	table_cell(line, 1, "%s", variant_name(r, l->variant));
	for (size_t c = 0; c < COLUMNS; c++) {
		if (k->known[c])
			table_cell(line, 2 + c, "%" PRIu64, k->value[c]);
		else
			table_cell(line, 2 + c, "-");
	}
	if (k->known[COL_HOST_ENTRIES] && r->seconds > 0)
		table_cell(line, 2 + COLUMNS, "%s",
			   rate_text(answer_rate(r, k->value[COL_HOST_ENTRIES]), rate));
	else
		table_cell(line, 2 + COLUMNS, "-");
	if (k->known[COL_HOST_CYCLES] && r->seconds > 0)
		table_cell(line, 3 + COLUMNS, "%.3f", answer_cpu(r, k));
	else
		table_cell(line, 3 + COLUMNS, "-");
	if (change(k, l->stock, &pct))
		table_cell(line, 4 + COLUMNS, "%+.2f", pct);
	else
		table_cell(line, 4 + COLUMNS, "-");
}

/* The table of 80 columns. */
static const char *const narrow_names[] = { "vcpu", "variant", "exits", "skips", "silent",
					    "irqs", "entries", "/s",	"CPU %", "change %" };
static const enum column narrow_columns[] = { COL_MSR_WRITE_EXITS, COL_SKIPS, COL_SILENT_EXPIRIES,
					      COL_INJECTIONS, COL_HOST_ENTRIES };

#define NARROW	       (sizeof(narrow_names) / sizeof(narrow_names[0]))
#define NARROW_COLUMNS (sizeof(narrow_columns) / sizeof(narrow_columns[0]))

/* At most seven characters: in full, else in thousands or millions. */
static void short_cell(struct libscols_line *line, size_t column, uint64_t n)
{
	if (n < 10000000)
		table_cell(line, column, "%" PRIu64, n);
	else if (n < 1000000000)
		table_cell(line, column, "%" PRIu64 "k", n / 1000);
	else
		table_cell(line, column, "%" PRIu64 "M", n / 1000000);
}

static void narrow_line(struct libscols_table *tb, const struct replay *r, const struct line *l)
{
	struct libscols_line *line = table_line(tb);
	const struct counts *k = l->counts;
	size_t at = 0;
	char rate[32];
	double pct;

	table_cell(line, at++, "%s", l->name);
	table_cell(line, at++, "%s", variant_name(r, l->variant));
	for (size_t c = 0; c < NARROW_COLUMNS; c++, at++) {
		if (k->known[narrow_columns[c]])
			short_cell(line, at, k->value[narrow_columns[c]]);
		else
			table_cell(line, at, "-");
	}
	if (k->known[COL_HOST_ENTRIES] && r->seconds > 0)
		table_cell(line, at++, "%s",
			   rate_text(answer_rate(r, k->value[COL_HOST_ENTRIES]), rate));
	else
		table_cell(line, at++, "-");
	if (k->known[COL_HOST_CYCLES] && r->seconds > 0)
		table_cell(line, at++, "%s", cpu_text(answer_cpu(r, k), rate));
	else
		table_cell(line, at++, "-");
	if (change(k, l->stock, &pct))
		table_cell(line, at++, "%+.2f", pct);
	else
		table_cell(line, at++, "-");
}

static struct libscols_table *counts_table(const struct report_options *o)
{
	const char *names[COLUMNS + 5];
	struct libscols_table *tb;

	if (o->wide) {
		wide_names(names);
		return table_new(names, COLUMNS + 5, 3);
	}
	tb = table_new(narrow_names, NARROW, 3);
	if (scols_table_set_column_separator(tb, " "))
		cli_no_memory();
	return tb;
}

static void add_lines(struct libscols_table *tb, const struct replay *r,
		      const struct report_options *o, const char *name, const struct counts *counts)
{
	for (size_t k = 0; k < nvariants(r, o); k++) {
		size_t v = variant_at(r, o, k);
		struct line l = { name, v, &counts[v], &counts[r->stock] };

		if (o->wide)
			wide_line(tb, r, &l);
		else
			narrow_line(tb, r, &l);
	}
}

/* One VM's vCPUs and their total. */
static void print_vm(FILE *to, const struct replay *r, const struct report_options *o,
		     const struct replay_vm *vm)
{
	struct libscols_table *tb = counts_table(o);
	char id[16];

	for (size_t i = vm->first; i < vm->first + vm->n; i++) {
		snprintf(id, sizeof(id), "%d", r->vcpus[i].at.id);
		add_lines(tb, r, o, id, r->vcpus[i].counts);
	}
	add_lines(tb, r, o, "total", vm->total);
	table_print(to, tb);
}

static void print_counts(FILE *to, const struct replay *r, const struct report_options *o)
{
	struct libscols_table *tb;

	for (size_t i = 0; i < r->nvms; i++) {
		if (r->nvms > 1)
			fprintf(to, "%sVM %s:\n", i ? "\n" : "", r->vms[i].name);
		print_vm(to, r, o, &r->vms[i]);
	}
	if (r->nvms < 2)
		return;
	fprintf(to, "\nAll %zu VMs:\n", r->nvms);
	tb = counts_table(o);
	add_lines(tb, r, o, "total", r->total);
	table_print(to, tb);
}

/* Who writes: the busiest tasks, the others as one. */
static void print_tasks(FILE *to, const struct replay *r, const struct report_options *o)
{
	static const char *const names[] = { "task",	"writes",     "/s",	    "later",
					     "earlier", "lazy skips", "early skips" };
	size_t shown = r->ntasks < o->tasks_shown ? r->ntasks : o->tasks_shown;
	struct libscols_table *tb = table_new(names, 7, 1);
	uint64_t rest = 0;

	fprintf(to, "\nBy task (%s): writes, those that move a deadline, those that are skipped:\n",
		r->stats.host ? "the host's thread" : "which the guest ran when it wrote");
	for (size_t i = 0; i < r->ntasks; i++) {
		const struct task *t = &r->tasks[i];
		struct libscols_line *line;
		char rate[32];

		if (i >= shown) {
			rest += t->writes;
			continue;
		}
		line = table_line(tb);
		table_cell(line, 0, "%s", t->name);
		table_cell(line, 1, "%" PRIu64, t->writes);
		table_cell(line, 2, "%s", rate_text(answer_rate(r, t->writes), rate));
		table_cell(line, 3, "%" PRIu64, t->later);
		table_cell(line, 4, "%" PRIu64, t->earlier);
		table_cell(line, 5, "%" PRIu64, t->skips[r->lazy]);
		table_cell(line, 6, "%" PRIu64, t->skips[r->early]);
	}
	table_print(to, tb);
	if (rest)
		fprintf(to, "%zu task%s more: %" PRIu64 " write%s; --wide shows them.\n",
			r->ntasks - shown, r->ntasks - shown == 1 ? "" : "s", rest,
			rest == 1 ? "" : "s");
}

/* Prints @text and a newline, broken at blanks so that no line is longer than WIDTH; frees it. */
static void print_wrapped(FILE *to, char *text)
{
	const char *p = text;

	while (strlen(p) > WIDTH) {
		size_t n = WIDTH;

		while (n > 0 && p[n] != ' ')
			n--;
		/* A word that is longer than a line stays whole. */
		if (n == 0)
			n = strcspn(p, " ");
		fprintf(to, "%.*s\n", (int)n, p);
		p += n;
		p += *p == ' ';
	}
	if (*p)
		fprintf(to, "%s\n", p);
	free(text);
}

static void print_clock(FILE *to, const struct trace_stats *st)
{
	static const char unsure[] =
		" Nothing tells whether they answer the deadline or move it on; the guest's timer interrupts, or on its host kvm:kvm_apic_accept_irq, would.";
	static const char stepped[] =
		" No one clock fits all of them: the guest's TSC seems to step (a reset, a restore); replay each part on its own.";
	char *rate, *by, *doubt;

	if (st->evidence == TRACE_EXACT) {
		print_wrapped(to, cli_text("Figures are exact: %s.", st->why));
		return;
	}
	print_wrapped(to, cli_text("Figures are APPROXIMATE: %s.", st->why));
	if (!st->fitted)
		return;
	if (st->cycles)
		rate = cli_text("%.6f +- %.6f cycles for each unit", st->cycles_per_unit,
				st->cycles_per_unit_error);
	else if (st->tsc_khz_error > 0)
		rate = cli_text("%.3f +- %.3f kHz", st->tsc_khz, st->tsc_khz_error);
	else
		rate = cli_text("%.3f kHz", st->tsc_khz);
	if (st->by == CLOCK_BY_IRQS)
		by = cli_text("%s that scatter by %.0f cycles",
			      st->host ? "expiries of the host's timers" : "timer interrupts",
			      st->offset_error);
	else if (st->by == CLOCK_BY_ANSWERS)
		by = cli_text(
			"the writes that follow delivered deadlines (the trace has too few timer interrupts)");
	else
		by = cli_text(
			"the closest deadlines (the trace has too few timer interrupts, and too few deadlines seem to be delivered)");
	if (st->doubtful)
		doubt = cli_text("It decides whether a deadline was delivered before %" PRIu64
				 " of %" PRIu64 " writes (%.2f %%), which are in doubt.%s",
				 st->doubtful, st->writes,
				 100.0 * (double)st->doubtful / (double)st->writes,
				 st->stepped  ? stepped
				 : st->unsure ? unsure
					      : "");
	else
		doubt = cli_text(
			"No write comes so near to the deadline before that the fit decides whether it was delivered.");
	print_wrapped(to, cli_text("The guest's clock is fitted to them, %s, by %s. %s", rate, by,
				   doubt));
	free(rate);
	free(by);
	free(doubt);
}

static void plural(FILE *to, uint64_t n, const char *what, const char *tail)
{
	fprintf(to, "%" PRIu64 " %s%s%s", n, what, n == 1 ? "" : "s", tail);
}

/* What was left out of the replay, by kind. */
static void print_ignored(FILE *to, const struct trace_stats *st)
{
	static const struct {
		enum trace_line_kind kind;
		const char *what;
	} kinds[] = {
		{ TRACE_LINE_TIMER_IRQ, "timer interrupt" },
		{ TRACE_LINE_VCPU, "VM entry or exit" },
		{ TRACE_LINE_OTHER_MSR, "access to another MSR or read" },
		{ TRACE_LINE_OTHER_EVENT, "other event" },
		{ TRACE_LINE_COMMENT, "comment or empty line" },
		{ TRACE_LINE_UNKNOWN, "line that is no trace event" },
	};
	char *text = cli_text("Other lines: ");
	bool any = false;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char *before = text;

		if (!st->kinds[kinds[i].kind])
			continue;
		text = cli_text("%s%s%" PRIu64 " x %s", before, any ? ", " : "",
				st->kinds[kinds[i].kind], kinds[i].what);
		free(before);
		any = true;
	}
	print_wrapped(to, cli_text("%s%s.", text, any ? "" : "none"));
	free(text);
}

/* Is a policy with free looks among them? */
static bool needs_halts(const struct replay *r)
{
	for (size_t i = 0; i < r->npolicies; i++) {
		if (r->policies[i].block)
			return true;
	}
	return false;
}

void report_no_halts(FILE *to, const char *name, const struct replay *r)
{
	char *names = cli_text("%s", "");
	bool needed = false, looks = false;

	for (size_t i = 0; i < r->npolicies; i++) {
		needed |= !replay_has_figures(r, &r->policies[i]);
		looks |= !replay_has_figures(r, &r->policies[i]) && r->policies[i].look;
	}
	if (r->stats.evidence == TRACE_BOUNDS)
		goto out;
	if (needed)
		fprintf(to,
			"%s: the guest never halts by a cpu_idle event, or kvm_exit of HLT%s: no figures with free looks\n",
			name, looks ? ", nor leaves for another reason" : "");
	if (!needs_halts(r) || !r->halts)
		goto out;
	for (size_t i = 0; i < r->nvcpus; i++) {
		char *before = names;

		if (r->vcpus[i].halts)
			continue;
		names = cli_text("%s%s%s", before, *before ? ", " : "", r->vcpus[i].name);
		free(before);
	}
	if (*names)
		fprintf(to,
			"%s: the trace shows no halt of vCPU %s, but of others: its figures with free looks are those without\n",
			name, names);
out:
	free(names);
}

static void warn_of(FILE *to, const char *name, uint64_t writes, const char *which)
{
	if (!writes)
		return;
	fprintf(to, "%s: ", name);
	plural(to, writes, "deadline write", which);
}

void report_warnings(FILE *to, const char *name, const struct replay *r)
{
	const struct trace_stats *st = &r->stats;
	const struct left_out *l = &r->left_out;

	report_no_halts(to, name, r);
	if (l->time || l->comm || l->vcpu || l->vm)
		fprintf(to,
			"%s: deadline writes not selected: by --from and --to %" PRIu64
			", --comm %" PRIu64 ", --vcpu %" PRIu64 ", --vm %" PRIu64
			"; replayed as if they had not been made\n",
			name, l->time, l->comm, l->vcpu, l->vm);
	if (st->kinds[TRACE_LINE_DAMAGED])
		fprintf(to, "%s:%" PRIu64 ": damaged deadline write, %" PRIu64 " such dropped\n",
			name, st->first_damaged, st->kinds[TRACE_LINE_DAMAGED]);
	if (st->out_of_order)
		fprintf(to,
			"%s:%" PRIu64 ": time stamp below its vCPU's last, %" PRIu64
			" such dropped\n",
			name, st->first_out_of_order, st->out_of_order);
	if (st->gaps) {
		fprintf(to, "%s: ", name);
		plural(to, st->gaps, "gap", " (");
		plural(to, st->lost_events, "event", " lost): a vCPU starts afresh there\n");
	}
	warn_of(to, name, st->kinds[TRACE_LINE_FAILED], " that failed with #GP, dropped\n");
	warn_of(to, name, st->own_timer, " of the host's own timer, dropped\n");
	if (st->other_source > st->own_timer)
		warn_of(to, name, st->other_source - st->own_timer,
			" of another machine or with another clock, dropped\n");
	warn_of(to, name, st->no_vcpu, " of a vCPU that is not known, dropped\n");
	warn_of(to, name, st->twice, " that two buffers recorded, counted once\n");
}

/* What the small benefit is small for: every reason that concerns a tenth of the deadlines. */
static void print_reasons(FILE *to, const struct deadlines *d, const struct counts *k)
{
	uint64_t skips = k->value[COL_SKIPS], silent = k->value[COL_SILENT_EXPIRIES];

	if (percent(skips, d->writes) >= SMALL_PERCENT)
		fprintf(to,
			"  %" PRIu64 " write%s skipped, but %" PRIu64 " silent expir%s place.\n",
			skips, skips == 1 ? " is" : "s are", silent,
			silent == 1 ? "y takes their" : "ies take their");
	if (percent(d->delivered, d->writes) >= SMALL_PERCENT)
		fputs("  A deadline that is delivered leaves nothing armed: the next write exits.\n",
		      to);
	if (percent(d->earlier, d->writes) >= SMALL_PERCENT)
		fputs("  A deadline before the one that is armed must exit.\n", to);
}

bool report_broken_promises(FILE *to, const char *name, const struct replay *r)
{
	bool broken = false;

	for (size_t p = 0; p < r->npolicies; p++) {
		if (r->total[p].excess <= r->policies[p].max_excess)
			continue;
		fprintf(to,
			"%s: %s: silent expiries led skips by %" PRIu64 ", at most %" PRIu64
			" is promised (B12)\n",
			name, r->policies[p].name, r->total[p].excess, r->policies[p].max_excess);
		broken = true;
	}
	return broken;
}

/* What became of the deadlines, and why the benefit is small where it is. */
static void print_verdict(FILE *to, const struct replay *r, size_t lazy)
{
	const struct deadlines *d = &r->deadlines;
	const struct counts *k = &r->total[lazy];
	char delivered[32], later[32], earlier[32];
	double pct;

	if (!change(k, &r->total[r->stock], &pct))
		return;
	print_wrapped(
		to,
		cli_text(
			"Of %" PRIu64
			" deadline%s %s %% were delivered; overwritten before were %s %% by a later and %s %% by an earlier one.",
			d->writes, d->writes == 1 ? "" : "s",
			percent_text(percent(d->delivered, d->writes), 1, delivered),
			percent_text(percent(d->later, d->writes), 1, later),
			percent_text(percent(d->earlier, d->writes), 1, earlier)));
	if (pct <= -SMALL_PERCENT) {
		fprintf(to, "lazy: %.1f %% fewer host entries besides deliveries.\n", -pct);
		return;
	}
	fprintf(to, "lazy: the benefit is small, %+.2f %% host entries besides deliveries.\n", pct);
	print_reasons(to, d, k);
}

/* Interrupts that no guest asked for are no host entries, so they must be named. */
static void print_early(FILE *to, const struct replay *r, size_t p)
{
	uint64_t n = r->total[p].value[COL_EARLY_INJECTIONS];

	if (n)
		fprintf(to,
			"%s: %" PRIu64 " interrupt%s before the deadline that the guest held.\n",
			r->policies[p].name, n, n == 1 ? "" : "s");
}

static void print_hist(FILE *to, const struct deadlines *d, double tsc_khz)
{
	const char *names[] = { tsc_khz > 0 ? "from us" : "from cycles", "moved later",
				"moved earlier", "before expiry" };
	struct libscols_table *tb = table_new(names, 4, 0);

	fputs("\nOverwritten deadlines: by how much they moved, and how long before expiry:\n", to);
	for (unsigned int b = 0; tb && b < HIST_BUCKETS; b++) {
		struct libscols_line *line;
		uint64_t from = b ? 1ULL << (b - 1) : 0;

		if (!d->moved_later[b] && !d->moved_earlier[b] && !d->before_expiry[b])
			continue;
		line = table_line(tb);
		if (tsc_khz > 0)
			table_cell(line, 0, "%.3f", (double)from * 1000.0 / tsc_khz);
		else
			table_cell(line, 0, "%" PRIu64, from);
		table_cell(line, 1, "%" PRIu64, d->moved_later[b]);
		table_cell(line, 2, "%" PRIu64, d->moved_earlier[b]);
		table_cell(line, 3, "%" PRIu64, d->before_expiry[b]);
	}
	if (tb)
		table_print(to, tb);
}

static const char *const exit_names[TRACE_EXIT_REASONS] = {
	[TRACE_EXIT_MSR_WRITE] = "msr_write",
	[TRACE_EXIT_MSR_READ] = "msr_read",
	[TRACE_EXIT_PREEMPTION_TIMER] = "preemption_timer",
	[TRACE_EXIT_HLT] = "hlt",
	[TRACE_EXIT_EXTERNAL_INTERRUPT] = "external_interrupt",
	[TRACE_EXIT_OTHER] = "other",
};

/* Exits alone: what can be said without a single deadline, as bounds. */
static void print_bounds(FILE *to, const char *name, const struct replay *r)
{
	const char *names[TRACE_EXIT_REASONS + 1] = { "vcpu" };
	uint64_t late = 0;
	struct libscols_table *tb;

	print_wrapped(to, answer_text(name, r));
	fputc('\n', to);
	print_wrapped(to, cli_text("For figures: %s.", r->stats.why));
	fputs("\nExits:\n", to);
	for (size_t i = 0; i < TRACE_EXIT_REASONS; i++)
		names[i + 1] = exit_names[i];
	tb = table_new(names, TRACE_EXIT_REASONS + 1, TRACE_EXIT_REASONS + 1);
	for (size_t i = 0; tb && i < r->nvcpus; i++) {
		struct libscols_line *line = scols_table_new_line(tb, NULL);
		const struct trace_exits *x = &r->vcpus[i].at.exits;

		table_cell(line, 0, "%s", r->vcpus[i].name);
		for (size_t k = 0; k < TRACE_EXIT_REASONS; k++)
			table_cell(line, k + 1, "%" PRIu64, x->count[k]);
		late += x->count[TRACE_EXIT_PREEMPTION_TIMER];
	}
	if (tb)
		table_print(to, tb);
	fputc('\n', to);
	if (late)
		print_wrapped(
			to, cli_text("Deadlines delivered while the guest ran are at most %" PRIu64
				     " (PREEMPTION_TIMER).",
				     late));
	else
		print_wrapped(
			to,
			cli_text(
				"How many deadlines were delivered is not known: there is no PREEMPTION_TIMER exit (AMD has none)."));
}

static bool has_exits(const struct replay *r)
{
	for (size_t i = 0; i < r->nvcpus; i++) {
		if (r->vcpus[i].at.exits.last)
			return true;
	}
	return false;
}

void report_table(FILE *to, const char *name, const struct replay *r,
		  const struct report_options *o)
{
	if (r->stats.evidence == TRACE_BOUNDS) {
		print_bounds(to, name, r);
		print_ignored(to, &r->stats);
		report_warnings(to, name, r);
		return;
	}
	print_wrapped(to, answer_text(name, r));
	fputc('\n', to);
	plural(to, r->deadlines.writes, "deadline write", " on ");
	plural(to, r->nvcpus, "vCPU", r->stats.host ? ", seen by the host" : "");
	fprintf(to, " in %.3f s.\n", r->seconds);
	print_clock(to, &r->stats);
	fputc('\n', to);
	print_counts(to, r, o);
	if (has_exits(r))
		fputs("\nThe host's exits are in the trace, too: see `lazytsc validate`.\n", to);
	if (r->by_task)
		print_tasks(to, r, o);
	fputc('\n', to);
	for (size_t p = 0; p < o->shown; p++) {
		if (!strcmp(r->policies[p].name, "lazy"))
			print_verdict(to, r, p);
		print_early(to, r, p);
	}
	if (o->hist)
		print_hist(to, &r->deadlines, o->tsc_khz);
	print_ignored(to, &r->stats);
	report_warnings(to, name, r);
}

void report_csv_header(FILE *to)
{
	fputs("trace,variant,vcpu", to);
	for (size_t c = 0; c < COLUMNS; c++)
		fprintf(to, ",%s", column_names[c]);
	fputs(",host_entries_change_pct,approximate\n", to);
}

static void csv_text(FILE *to, const char *s)
{
	if (!strpbrk(s, ",\"\r\n")) {
		fputs(s, to);
		return;
	}
	fputc('"', to);
	for (; *s; s++) {
		if (*s == '"')
			fputc('"', to);
		fputc(*s, to);
	}
	fputc('"', to);
}

static void csv_row(FILE *to, const char *name, const struct replay *r, size_t i, size_t variant)
{
	const struct counts *k = row(r, i, variant);
	double pct;

	csv_text(to, name);
	fprintf(to, ",%s,%s", variant_name(r, variant), i < r->nvcpus ? r->vcpus[i].name : "total");
	for (size_t c = 0; c < COLUMNS; c++) {
		fputc(',', to);
		if (k->known[c])
			fprintf(to, "%" PRIu64, k->value[c]);
	}
	fputc(',', to);
	if (change(k, row(r, i, r->stock), &pct))
		fprintf(to, "%.2f", pct);
	fprintf(to, ",%s\n", r->stats.approximate ? "true" : "false");
}

void report_csv(FILE *to, const char *name, const struct replay *r, const struct report_options *o)
{
	for (size_t k = 0; k < nvariants(r, o); k++) {
		for (size_t i = 0; i <= r->nvcpus; i++)
			csv_row(to, name, r, i, variant_at(r, o, k));
	}
}

static void set_int(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

json_t *report_json_new(const struct report_options *o, int argc, char **argv)
{
	json_t *root = cli_json(REPORT_VERSION, argc, argv);

	json_object_set_new(root, "timer", json_string(o->sw_timer ? "sw" : "hv"));
	json_object_set_new(root, "rows", json_array());
	json_object_set_new(root, "traces", json_array());
	return root;
}

/* A rate or a share, to six digits; null where there is none. */
static void set_real(json_t *o, const char *key, bool known, double v)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6g", v);
	v = strtod(text, NULL);
	json_object_set_new(o, key, known ? json_real(v == 0 ? 0 : v) : json_null());
}

/* A row's figures. */
static void set_counts(json_t *o, const struct replay *r, const struct counts *k,
		       const struct counts *stock)
{
	double pct;

	for (size_t c = 0; c < COLUMNS; c++) {
		if (k->known[c])
			set_int(o, column_names[c], k->value[c]);
		else
			json_object_set_new(o, column_names[c], json_null());
	}
	if (change(k, stock, &pct))
		json_object_set_new(o, "host_entries_change_pct", json_real(pct));
	else
		json_object_set_new(o, "host_entries_change_pct", json_null());
	set_real(o, "host_entries_per_second", k->known[COL_HOST_ENTRIES] && r->seconds > 0,
		 answer_rate(r, k->value[COL_HOST_ENTRIES]));
	set_real(o, "host_cpu_pct", k->known[COL_HOST_CYCLES] && r->seconds > 0, answer_cpu(r, k));
	if (r->stats.approximate)
		json_object_set_new(o, "approximate", json_true());
}

static json_t *json_row(const char *name, const struct replay *r, size_t i, size_t variant)
{
	json_t *o = json_object();

	json_object_set_new(o, "trace", cli_json_text(name));
	json_object_set_new(o, "variant", json_string(variant_name(r, variant)));
	if (i < r->nvcpus && r->stats.counted)
		json_object_set_new(o, "vcpu", json_string(r->vcpus[i].name));
	else if (i < r->nvcpus)
		set_int(o, "vcpu", (uint64_t)r->vcpus[i].at.id);
	else
		json_object_set_new(o, "vcpu", json_string("total"));
	if (i < r->nvcpus && r->stats.nvms > 1)
		json_object_set_new(o, "vm", json_string(r->vms[r->vcpus[i].vm].name));
	set_counts(o, r, row(r, i, variant), row(r, i, r->stock));
	return o;
}

static json_t *json_gain(const struct gain *g)
{
	json_t *o = json_object();

	set_real(o, "host_entries_per_second", true, g->entries);
	set_real(o, "host_entries_pct", true, g->percent);
	set_real(o, "host_cpu_pct", true, g->cpu);
	set_real(o, "busiest_vcpu_host_cpu_pct", true, g->busiest_cpu);
	set_real(o, "host_cpu_pct_by_exit_times", g->measured, g->own_cpu);
	set_real(o, "waited_us_per_second", true, g->waited_us);
	set_real(o, "early_injections_per_second", true, g->early);
	json_object_set_new(o, "worth_it", json_string(worth_names[g->worth]));
	return o;
}

static json_t *json_answer(const char *name, const struct replay *r)
{
	struct answer a = answer(r);
	char *text = answer_text(name, r);
	json_t *o = json_object();

	json_object_set_new(o, "text", cli_json_text(text));
	free(text);
	if (!a.rates)
		return o;
	set_real(o, "writes_per_second_per_vcpu", true, a.writes);
	set_real(o, "writes_per_second_busiest_vcpu", true, a.busiest_writes);
	set_real(o, "stock_host_entries_per_second", true, a.stock_entries);
	set_real(o, "stock_host_cpu_pct", true, a.stock_cpu);
	set_real(o, "write_exit_ns", a.write_ns > 0, a.write_ns);
	set_real(o, "timer_exit_ns", a.timer_ns > 0, a.timer_ns);
	if (a.has_peak) {
		json_t *peak = json_object();

		set_real(peak, "from_seconds", a.peak_from >= 0, a.peak_from);
		set_real(peak, "seconds", true, a.peak_seconds);
		set_real(peak, "stock_host_entries_per_second", true, a.peak_stock);
		set_real(peak, "lazy_host_entries_per_second", true, a.peak_lazy);
		set_real(peak, "lazy_host_cpu_pct", true, a.peak_cpu);
		json_object_set_new(o, "busiest_tenth", peak);
	}
	json_object_set_new(o, "lazy", json_gain(&a.lazy));
	json_object_set_new(o, "early", json_gain(&a.early));
	json_object_set_new(o, "worth_it", json_string(worth_names[a.worth]));
	return o;
}

static json_t *json_vms(const struct replay *r, const struct report_options *o)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->nvms; i++) {
		const struct replay_vm *vm = &r->vms[i];
		json_t *entry = json_object(), *rows = json_array();

		json_object_set_new(entry, "vm", json_string(vm->name));
		set_int(entry, "vcpus", vm->n);
		set_int(entry, "writes", vm->writes);
		for (size_t k = 0; k < nvariants(r, o); k++) {
			size_t v = variant_at(r, o, k);
			json_t *one = json_object();

			json_object_set_new(one, "variant", json_string(variant_name(r, v)));
			set_counts(one, r, &vm->total[v], &vm->total[r->stock]);
			json_array_append_new(rows, one);
		}
		json_object_set_new(entry, "totals", rows);
		json_array_append_new(list, entry);
	}
	return list;
}

static json_t *json_tasks(const struct replay *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->ntasks; i++) {
		const struct task *t = &r->tasks[i];
		json_t *o = json_object();

		json_object_set_new(o, "task", cli_json_text(t->name));
		set_int(o, "writes", t->writes);
		set_real(o, "writes_per_second", r->seconds > 0, answer_rate(r, t->writes));
		set_int(o, "overwritten_later", t->later);
		set_int(o, "overwritten_earlier", t->earlier);
		set_int(o, "overwritten_same", t->same);
		set_int(o, "disarmed", t->disarmed);
		set_int(o, "lazy_skips", t->skips[r->lazy]);
		set_int(o, "early_skips", t->skips[r->early]);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *json_hist(const uint64_t *hist)
{
	json_t *list = json_array();

	for (unsigned int b = 0; b < HIST_BUCKETS; b++) {
		json_t *o;

		if (!hist[b])
			continue;
		o = json_object();
		set_int(o, "from_cycles", b ? 1ULL << (b - 1) : 0);
		set_int(o, "count", hist[b]);
		json_array_append_new(list, o);
	}
	return list;
}

/* The exits of each vCPU, where the trace has them. */
static json_t *json_exits(const struct replay *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->nvcpus; i++) {
		const struct trace_exits *x = &r->vcpus[i].at.exits;
		json_t *o;

		if (!x->last && !r->stats.counted)
			continue;
		o = json_object();
		json_object_set_new(o, "vcpu", json_string(r->vcpus[i].name));
		for (size_t k = 0; k < TRACE_EXIT_REASONS; k++)
			set_int(o, exit_names[k], x->count[k]);
		set_real(o, "write_ns", x->timed[TRACE_EXIT_MSR_WRITE] > 0,
			 r->unit_ns * (double)x->time[TRACE_EXIT_MSR_WRITE] /
				 (double)x->timed[TRACE_EXIT_MSR_WRITE]);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *json_left_out(const struct left_out *l)
{
	json_t *o = json_object();

	set_int(o, "time", l->time);
	set_int(o, "comm", l->comm);
	set_int(o, "vcpu", l->vcpu);
	set_int(o, "vm", l->vm);
	return o;
}

static json_t *json_without_halts(const struct replay *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->nvcpus; i++) {
		if (!r->vcpus[i].halts)
			json_array_append_new(list, json_string(r->vcpus[i].name));
	}
	return list;
}

static json_t *json_trace(const char *name, const struct replay *r, const struct report_options *o)
{
	static const struct {
		enum trace_line_kind kind;
		const char *key;
	} kinds[] = {
		{ TRACE_LINE_TIMER_IRQ, "timer_interrupts" },
		{ TRACE_LINE_VCPU, "vm_entries_and_exits" },
		{ TRACE_LINE_OTHER_MSR, "other_msrs" },
		{ TRACE_LINE_OTHER_EVENT, "other_events" },
		{ TRACE_LINE_COMMENT, "comments" },
		{ TRACE_LINE_UNKNOWN, "unknown_lines" },
		{ TRACE_LINE_DAMAGED, "damaged" },
		{ TRACE_LINE_FAILED, "failed" },
	};
	const struct trace_stats *st = &r->stats;
	const struct deadlines *d = &r->deadlines;
	json_t *t = json_object();

	json_object_set_new(t, "trace", cli_json_text(name));
	json_object_set_new(t, "source", json_string(st->host ? "host" : "guest"));
	json_object_set_new(t, "approximate", json_boolean(st->approximate));
	json_object_set_new(t, "evidence", json_string(evidence_names[st->evidence]));
	json_object_set_new(t, "why", json_string(st->why));
	json_object_set_new(t, "answer", json_answer(name, r));
	set_real(t, "seconds", r->seconds > 0, r->seconds);
	json_object_set_new(t, "exits", json_exits(r));
	json_object_set_new(t, "vms", json_vms(r, o));
	if (needs_halts(r) && r->halts)
		json_object_set_new(t, "vcpus_without_halts", json_without_halts(r));
	if (r->by_task)
		json_object_set_new(t, "tasks", json_tasks(r));
	json_object_set_new(t, "left_out", json_left_out(&r->left_out));
	if (st->tsc_khz > 0) {
		json_object_set_new(t, "tsc_khz", json_real(st->tsc_khz));
		json_object_set_new(t, "tsc_khz_error", json_real(st->tsc_khz_error));
	}
	if (st->fitted)
		set_int(t, "doubtful_writes", st->doubtful);
	set_int(t, "lines", st->lines);
	set_int(t, "writes", d->writes);
	set_int(t, "delivered", d->delivered);
	set_int(t, "overwritten_later", d->later);
	set_int(t, "overwritten_earlier", d->earlier);
	set_int(t, "overwritten_same", d->same);
	set_int(t, "disarmed", d->disarmed);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		set_int(t, kinds[i].key, st->kinds[kinds[i].kind]);
	set_int(t, "out_of_order", st->out_of_order);
	set_int(t, "other_source", st->other_source);
	set_int(t, "own_timer", st->own_timer);
	set_int(t, "twice", st->twice);
	set_int(t, "no_vcpu", st->no_vcpu);
	set_int(t, "gaps", st->gaps);
	set_int(t, "lost_events", st->lost_events);
	if (o->hist) {
		json_object_set_new(t, "moved_later", json_hist(d->moved_later));
		json_object_set_new(t, "moved_earlier", json_hist(d->moved_earlier));
		json_object_set_new(t, "before_expiry", json_hist(d->before_expiry));
	}
	return t;
}

void report_json_add(json_t *root, const char *name, const struct replay *r,
		     const struct report_options *o)
{
	json_t *rows = json_object_get(root, "rows");

	for (size_t k = 0; k < nvariants(r, o); k++) {
		for (size_t i = 0; i <= r->nvcpus; i++)
			json_array_append_new(rows, json_row(name, r, i, variant_at(r, o, k)));
	}
	json_array_append_new(json_object_get(root, "traces"), json_trace(name, r, o));
}
