// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "table.h"

/* A change of host entries smaller than this is called small. */
#define SMALL_PERCENT 10.0

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

/* The @i-th row's counts: the vCPUs in order, then the total. */
static const struct counts *row(const struct replay *r, size_t i, size_t policy)
{
	return i < r->nvcpus ? &r->vcpus[i].counts[policy] : &r->total[policy];
}

/* The table leaves out what waits cost, in time and gain in lateness, where nothing waits. */
static bool has_column(const struct replay *r, const struct report_options *o, size_t c)
{
	if (c != COL_WAITED && c != COL_HOST_CYCLES && c != COL_LATE_CYCLES)
		return true;
	for (size_t p = 0; p < o->shown; p++) {
		if (r->total[p].value[COL_WAITED])
			return true;
	}
	return false;
}

static void print_row(struct libscols_line *line, const struct replay *r, size_t i, size_t p,
		      const size_t *columns, size_t n)
{
	const struct counts *k = row(r, i, p);
	double pct;

	if (i < r->nvcpus)
		table_cell(line, 0, "%s", r->vcpus[i].name);
	else
		table_cell(line, 0, "total");
	table_cell(line, 1, "%s", r->policies[p].name);
	for (size_t c = 0; c < n; c++) {
		if (k->known[columns[c]])
			table_cell(line, 2 + c, "%" PRIu64, k->value[columns[c]]);
		else
			table_cell(line, 2 + c, "-");
	}
	if (change(k, row(r, i, r->stock), &pct))
		table_cell(line, 2 + n, "%+.2f", pct);
	else
		table_cell(line, 2 + n, "-");
}

static void print_counts(FILE *to, const struct replay *r, const struct report_options *o)
{
	const char *names[COLUMNS + 3] = { "vcpu", "variant" };
	size_t columns[COLUMNS], n = 0;
	struct libscols_table *tb;

	for (size_t c = 0; c < COLUMNS; c++) {
		if (has_column(r, o, c)) {
			names[2 + n] = column_names[c];
			columns[n++] = c;
		}
	}
	names[2 + n] = "change %";
	tb = table_new(names, n + 3, 3);
	for (size_t i = 0; tb && i <= r->nvcpus; i++) {
		for (size_t p = 0; p < o->shown; p++)
			print_row(table_line(tb), r, i, p, columns, n);
	}
	if (tb)
		table_print(to, tb);
}

static void print_clock(FILE *to, const struct trace_stats *st)
{
	if (st->evidence == TRACE_EXACT) {
		fprintf(to, "Figures are exact: %s.\n", st->why);
		return;
	}
	fprintf(to, "Figures are APPROXIMATE: %s.\n", st->why);
	if (!st->fitted)
		return;
	fputs("The guest's clock is fitted to them, ", to);
	if (st->cycles)
		fprintf(to, "%.6f +- %.6f cycles for each unit", st->cycles_per_unit,
			st->cycles_per_unit_error);
	else if (st->tsc_khz_error > 0)
		fprintf(to, "%.3f +- %.3f kHz", st->tsc_khz, st->tsc_khz_error);
	else
		fprintf(to, "%.3f kHz", st->tsc_khz);
	if (st->irqs_seen)
		fprintf(to, ", by timer interrupts that scatter by %.0f cycles.\n",
			st->offset_error);
	else
		fputs(", by the closest deadlines: the trace has too few timer interrupts.\n", to);
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
	const char *sep = "";

	fputs("Other lines: ", to);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!st->kinds[kinds[i].kind])
			continue;
		fprintf(to, "%s%" PRIu64 " x %s", sep, st->kinds[kinds[i].kind], kinds[i].what);
		sep = ", ";
	}
	fprintf(to, "%s.\n", *sep ? "" : "none");
}

void report_warnings(FILE *to, const char *name, const struct replay *r)
{
	const struct trace_stats *st = &r->stats;

	if (st->kinds[TRACE_LINE_DAMAGED])
		fprintf(to, "%s:%" PRIu64 ": damaged deadline write, %" PRIu64 " such dropped\n",
			name, st->first_damaged, st->kinds[TRACE_LINE_DAMAGED]);
	if (st->out_of_order)
		fprintf(to,
			"%s:%" PRIu64 ": time stamp below its vCPU's last, %" PRIu64 " such "
			"dropped\n",
			name, st->first_out_of_order, st->out_of_order);
	if (st->gaps) {
		fprintf(to, "%s: ", name);
		plural(to, st->gaps, "gap", " (");
		plural(to, st->lost_events, "event", " lost): a vCPU starts afresh there\n");
	}
	if (st->kinds[TRACE_LINE_FAILED])
		fprintf(to, "%s: %" PRIu64 " deadline writes that failed with #GP, dropped\n", name,
			st->kinds[TRACE_LINE_FAILED]);
	if (st->own_timer)
		fprintf(to, "%s: %" PRIu64 " deadline writes of the host's own timer, dropped\n",
			name, st->own_timer);
	if (st->other_source > st->own_timer)
		fprintf(to,
			"%s: %" PRIu64 " deadline writes of another machine or with another clock, "
			"dropped\n",
			name, st->other_source - st->own_timer);
	if (st->no_vcpu)
		fprintf(to,
			"%s: %" PRIu64 " deadline writes that do not tell their vCPU, dropped\n",
			name, st->no_vcpu);
	if (st->twice)
		fprintf(to,
			"%s: %" PRIu64 " deadline writes that two buffers recorded, counted once\n",
			name, st->twice);
}

/* What the small benefit is small for: every reason that concerns a tenth of the deadlines. */
static void print_reasons(FILE *to, const struct deadlines *d, const struct counts *k)
{
	if (percent(k->value[COL_SKIPS], d->writes) >= SMALL_PERCENT)
		fprintf(to,
			"  %" PRIu64 " writes are skipped, but %" PRIu64 " silent expiries take "
			"their place.\n",
			k->value[COL_SKIPS], k->value[COL_SILENT_EXPIRIES]);
	if (percent(d->delivered, d->writes) >= SMALL_PERCENT)
		fputs("  A deadline that is delivered leaves nothing armed: the next write "
		      "exits.\n",
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
			"%s: %s: silent expiries led skips by %" PRIu64 ", at most %" PRIu64 " is "
			"promi"
			"sed "
			"(B12)"
			"\n",
			name, r->policies[p].name, r->total[p].excess, r->policies[p].max_excess);
		broken = true;
	}
	return broken;
}

/* Say how large the benefit of lazy is, and why. */
static void print_verdict(FILE *to, const struct replay *r, size_t lazy)
{
	const struct deadlines *d = &r->deadlines;
	const struct counts *k = &r->total[lazy];
	double pct;

	if (!change(k, &r->total[r->stock], &pct))
		return;
	fprintf(to,
		"Of %" PRIu64 " deadlines %.1f %% were delivered; overwritten before were %.1f %% "
		"by a later and %.1f %% by an earlier one.\n",
		d->writes, percent(d->delivered, d->writes), percent(d->later, d->writes),
		percent(d->earlier, d->writes));
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
		fprintf(to, "%s: %" PRIu64 " interrupts before the deadline that the guest held.\n",
			r->policies[p].name, n);
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
	double seconds = r->stats.span / 1e9;
	uint64_t writes = 0, late = 0;
	struct libscols_table *tb;

	fprintf(to, "%s: no deadline writes, but the exits of %zu vCPUs in %.3f s: BOUNDS only\n",
		name, r->nvcpus, seconds);
	fprintf(to, "For figures: %s.\n\nExits:\n", r->stats.why);
	for (size_t i = 0; i < TRACE_EXIT_REASONS; i++)
		names[i + 1] = exit_names[i];
	tb = table_new(names, TRACE_EXIT_REASONS + 1, TRACE_EXIT_REASONS + 1);
	for (size_t i = 0; tb && i < r->nvcpus; i++) {
		struct libscols_line *line = scols_table_new_line(tb, NULL);
		const struct trace_exits *x = &r->vcpus[i].at.exits;

		table_cell(line, 0, "%s", r->vcpus[i].name);
		for (size_t k = 0; k < TRACE_EXIT_REASONS; k++)
			table_cell(line, k + 1, "%" PRIu64, x->count[k]);
		writes += x->count[TRACE_EXIT_MSR_WRITE];
		late += x->count[TRACE_EXIT_PREEMPTION_TIMER];
	}
	if (tb)
		table_print(to, tb);
	fprintf(to,
		"\nDeadline writes are among the %" PRIu64 " MSR_WRITE exits: lazy takes away "
		"between "
		"none and all of them",
		writes);
	if (seconds > 0)
		fprintf(to, ", at most %.0f a second", (double)writes / seconds);
	fprintf(to,
		".\nDeadlines delivered while the guest ran are at most %" PRIu64 " (PREEMPTION_"
		"TIMER, which "
		"AMD lacks).\n",
		late);
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
	fprintf(to, "%s: ", name);
	plural(to, r->deadlines.writes, "deadline write", " on ");
	plural(to, r->nvcpus, "vCPU", r->stats.host ? ", seen by the host\n" : "\n");
	print_clock(to, &r->stats);
	fputc('\n', to);
	print_counts(to, r, o);
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

void report_csv(FILE *to, const char *name, const struct replay *r, const struct report_options *o)
{
	for (size_t p = 0; p < o->shown; p++) {
		for (size_t i = 0; i <= r->nvcpus; i++) {
			const struct counts *k = row(r, i, p);
			double pct;

			csv_text(to, name);
			fprintf(to, ",%s,", r->policies[p].name);
			if (i < r->nvcpus)
				fputs(r->vcpus[i].name, to);
			else
				fputs("total", to);
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
	}
}

/* A file's name need not be UTF-8; JSON must. */
static json_t *json_name(const char *name)
{
	json_t *s = json_string(name);
	char *copy;

	if (s)
		return s;
	copy = strdup(name);
	for (char *c = copy; c && *c; c++) {
		if (*c & 0x80)
			*c = '?';
	}
	s = json_string(copy ? copy : "");
	free(copy);
	return s;
}

static void set_int(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

json_t *report_json_new(const struct report_options *o)
{
	json_t *root = json_object();

	set_int(root, "version", REPORT_VERSION);
	json_object_set_new(root, "timer", json_string(o->sw_timer ? "sw" : "hv"));
	json_object_set_new(root, "rows", json_array());
	json_object_set_new(root, "traces", json_array());
	return root;
}

static json_t *json_row(const char *name, const struct replay *r, size_t i, size_t p)
{
	const struct counts *k = row(r, i, p);
	json_t *o = json_object();
	double pct;

	json_object_set_new(o, "trace", json_name(name));
	json_object_set_new(o, "variant", json_string(r->policies[p].name));
	if (i < r->nvcpus)
		set_int(o, "vcpu", (uint64_t)r->vcpus[i].at.id);
	else
		json_object_set_new(o, "vcpu", json_string("total"));
	if (i < r->nvcpus && r->stats.nvms > 1)
		json_object_set_new(o, "vm", json_string(r->vcpus[i].vm));
	for (size_t c = 0; c < COLUMNS; c++) {
		if (k->known[c])
			set_int(o, column_names[c], k->value[c]);
		else
			json_object_set_new(o, column_names[c], json_null());
	}
	if (change(k, row(r, i, r->stock), &pct))
		json_object_set_new(o, "host_entries_change_pct", json_real(pct));
	else
		json_object_set_new(o, "host_entries_change_pct", json_null());
	if (r->stats.approximate)
		json_object_set_new(o, "approximate", json_true());
	return o;
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

		if (!x->last)
			continue;
		o = json_object();
		json_object_set_new(o, "vcpu", json_string(r->vcpus[i].name));
		for (size_t k = 0; k < TRACE_EXIT_REASONS; k++)
			set_int(o, exit_names[k], x->count[k]);
		json_array_append_new(list, o);
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
	static const char *const evidence[] = {
		[TRACE_EXACT] = "exact",
		[TRACE_APPROXIMATE] = "approximate",
		[TRACE_BOUNDS] = "bounds",
	};
	const struct trace_stats *st = &r->stats;
	const struct deadlines *d = &r->deadlines;
	json_t *t = json_object();

	json_object_set_new(t, "trace", json_name(name));
	json_object_set_new(t, "source", json_string(st->host ? "host" : "guest"));
	json_object_set_new(t, "approximate", json_boolean(st->approximate));
	json_object_set_new(t, "evidence", json_string(evidence[st->evidence]));
	json_object_set_new(t, "why", json_string(st->why));
	json_object_set_new(t, "exits", json_exits(r));
	if (st->approximate && !st->cycles) {
		json_object_set_new(t, "tsc_khz", json_real(st->tsc_khz));
		json_object_set_new(t, "tsc_khz_error", json_real(st->tsc_khz_error));
	}
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

	for (size_t p = 0; p < o->shown; p++) {
		for (size_t i = 0; i <= r->nvcpus; i++)
			json_array_append_new(rows, json_row(name, r, i, p));
	}
	json_array_append_new(json_object_get(root, "traces"), json_trace(name, r, o));
}

void report_json_print(FILE *to, json_t *root)
{
	json_dumpf(root, to, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	fputc('\n', to);
	json_decref(root);
}
