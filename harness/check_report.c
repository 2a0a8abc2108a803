// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cli.h"

#define HEADINGS 9

/* What a scenario's letters are, in words. */
static void alphabet(const struct lazytsc_scenario *s, char text[CHECK_TEXT])
{
#define X(name, words, valued) words,
	static const char *const ops[] = { LAZYTSC_GUEST_OPS(X) };
#undef X
	size_t at = 0;

	text[0] = 0;
	for (unsigned int op = 0; op < LAZYTSC_GUEST_OPS_COUNT; op++)
		if (s->alphabet & 1u << op)
			at += (size_t)snprintf(text + at, CHECK_TEXT - at, "%s%s", at ? ", " : "",
					       ops[op]);
}

const char *check_dimension(const struct lazytsc_scenario *s, unsigned int i, char text[CHECK_TEXT])
{
	static const char *const names[CHECK_DIMENSIONS] = {
		"clock",   "deadlines", "guest operations", "each one of",     "expiries decided",
		"advance", "guesses",	"trips to user",    "memslot changes", "other wake-ups",
	};
	static const char *const where[] = { "nowhere", "vCPU context", "another CPU", "either" };
	unsigned long long horizon = s->horizon;

	switch (i) {
	case 0:
		snprintf(text, CHECK_TEXT, "0 to %llu", horizon);
		break;
	case 1:
		snprintf(text, CHECK_TEXT, "0 to %llu, ~0", horizon);
		break;
	case 2:
		snprintf(text, CHECK_TEXT, "%u", s->ops);
		break;
	case 3:
		alphabet(s, text);
		break;
	case 4:
		snprintf(text, CHECK_TEXT, "%s", where[s->where]);
		break;
	case 5:
		snprintf(text, CHECK_TEXT, "%llu", (unsigned long long)s->wait);
		break;
	case 6:
		if (s->guesses)
			snprintf(text, CHECK_TEXT, "none, 1 to %llu", horizon + 1);
		else
			snprintf(text, CHECK_TEXT, "none");
		break;
	case 7:
		snprintf(text, CHECK_TEXT, "%u", s->trips);
		break;
	case 8:
		snprintf(text, CHECK_TEXT, "%u", s->slots);
		break;
	default:
		snprintf(text, CHECK_TEXT, "%u", s->wakes);
		break;
	}
	return names[i];
}

static const char *outcome(const struct check_result *r)
{
	switch (r->outcome) {
	case LAZYTSC_HOLDS:
		return "holds";
	case LAZYTSC_VIOLATED:
		return r->violation.broken.rule
			       ? lazytsc_rule_requirement(
					 (enum lazytsc_rule)r->violation.broken.rule)
			       : "assertion";
	case LAZYTSC_BOUNDED:
		return "bounded";
	case LAZYTSC_CYCLE:
		return "may not end";
	case LAZYTSC_NO_MEMORY:
		break;
	}
	return "no memory";
}

__attribute__((format(printf, 3, 4))) static void cell(struct libscols_line *line, size_t column,
						       const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) >= 0)
		scols_line_refer_data(line, column, text);
	va_end(ap);
}

static struct libscols_table *new_table(const char *const *names, size_t n, unsigned int left)
{
	struct libscols_table *tb = scols_new_table();

	if (!tb)
		return NULL;
	scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER);
	scols_table_set_column_separator(tb, "  ");
	for (size_t i = 0; i < n; i++)
		scols_table_new_column(tb, names[i], 0, left & 1u << i ? 0 : SCOLS_FL_RIGHT);
	return tb;
}

static void print_table(FILE *to, struct libscols_table *tb)
{
	scols_table_set_stream(tb, to);
	scols_print_table(tb);
	scols_unref_table(tb);
}

static void print_dimensions(FILE *to, const struct check_result *results, size_t n)
{
	static const char *const names[] = { "scenario", "dimension", "bound" };
	struct libscols_table *tb = new_table(names, 3, 7);

	for (size_t i = 0; tb && i < n; i++) {
		for (unsigned int d = 0; d < CHECK_DIMENSIONS; d++) {
			struct libscols_line *line = scols_table_new_line(tb, NULL);
			char text[CHECK_TEXT];
			const char *name = check_dimension(results[i].scenario, d, text);

			cell(line, 0, "%s", d ? "" : results[i].scenario->name);
			cell(line, 1, "%s", name);
			cell(line, 2, "%s", text);
		}
	}
	if (tb)
		print_table(to, tb);
}

/* A violated scenario was not searched to its end: its counts say nothing. */
static void print_counts(FILE *to, const struct check_result *results, size_t n)
{
	static const char *const names[HEADINGS] = { "scenario",     "cells",	 "states",
						     "transitions",  "revisits", "ends",
						     "longest path", "result",	 "what" };
	struct libscols_table *tb = new_table(names, HEADINGS, 1 | 1 << 7 | 1 << 8);
	struct check_result total = { 0 };

	for (size_t i = 0; tb && i <= n; i++) {
		const struct check_result *r = i < n ? &results[i] : &total;
		struct libscols_line *line = scols_table_new_line(tb, NULL);

		cell(line, 0, "%s", i < n ? r->scenario->name : "total");
		cell(line, 1, "%u", r->cells);
		total.cells += i < n ? r->cells : 0;
		cell(line, 7, "%s", i < n ? outcome(r) : "");
		cell(line, 8, "%s", i < n ? r->scenario->summary : "");
		if (r->outcome == LAZYTSC_VIOLATED)
			continue;
		cell(line, 2, "%" PRIu64, r->states);
		cell(line, 3, "%" PRIu64, r->transitions);
		/* Each state but a cell's first was reached by one transition first. */
		cell(line, 4, "%" PRIu64, r->transitions - (r->states - r->cells));
		cell(line, 5, "%" PRIu64, r->ends);
		cell(line, 6, "%u", r->longest);
		if (i == n)
			continue;
		total.states += r->states;
		total.transitions += r->transitions;
		total.ends += r->ends;
		if (total.longest < r->longest)
			total.longest = r->longest;
	}
	if (tb)
		print_table(to, tb);
}

void check_print(FILE *to, const struct check_run *run, const struct check_result *results,
		 size_t n)
{
	int status = check_status(results, n);

	fprintf(to, "Variant %s on %s", run->subject.variant->name,
		run->subject.model == LAZYTSC_TSO ? "x86-TSO" : "SC");
	if (run->shards > 1)
		fprintf(to, ", shard %u of %u", run->shard, run->shards);
	fputs(".\n\n", to);
	print_counts(to, results, n);
	fputc('\n', to);
	print_dimensions(to, results, n);
	if (status == CLI_VIOLATION)
		return;
	if (status == CLI_BOUNDED) {
		fputs("\nNot exhaustive: bounded where the table says so.\n", to);
		return;
	}
	fputs("\nNothing is violated. The search was exhaustive over every order of the steps of "
	      "guest, host,\nstore buffers, clock and LAPIC, with every choice within the bounds "
	      "above",
	      to);
	fputs(run->shards > 1 ? ", for this shard's cells.\n" : ".\n", to);
}

static json_t *result_json(const struct check_result *r)
{
	json_t *o = json_object(), *dimensions = json_object();

	json_object_set_new(o, "scenario", json_string(r->scenario->name));
	json_object_set_new(o, "summary", json_string(r->scenario->summary));
	for (unsigned int d = 0; d < CHECK_DIMENSIONS; d++) {
		char text[CHECK_TEXT];
		const char *name = check_dimension(r->scenario, d, text);

		json_object_set_new(dimensions, name, json_string(text));
	}
	json_object_set_new(o, "dimensions", dimensions);
	json_object_set_new(o, "cells", json_integer(r->cells));
	json_object_set_new(o, "result", json_string(outcome(r)));
	if (r->outcome == LAZYTSC_VIOLATED)
		return o;
	json_object_set_new(o, "states", json_integer((json_int_t)r->states));
	json_object_set_new(o, "transitions", json_integer((json_int_t)r->transitions));
	json_object_set_new(o, "revisits",
			    json_integer((json_int_t)(r->transitions - (r->states - r->cells))));
	json_object_set_new(o, "ends", json_integer((json_int_t)r->ends));
	json_object_set_new(o, "longest_path", json_integer(r->longest));
	return o;
}

json_t *check_json(const struct check_run *run, const struct check_result *results, size_t n)
{
	json_t *o = json_object(), *scenarios = json_array();

	json_object_set_new(o, "variant", json_string(run->subject.variant->name));
	json_object_set_new(o, "model",
			    json_string(run->subject.model == LAZYTSC_TSO ? "tso" : "sc"));
	json_object_set_new(o, "shard", json_integer(run->shard));
	json_object_set_new(o, "shards", json_integer(run->shards));
	json_object_set_new(o, "exhaustive", json_boolean(check_status(results, n) == CLI_OK));
	for (size_t i = 0; i < n; i++)
		json_array_append_new(scenarios, result_json(&results[i]));
	json_object_set_new(o, "scenarios", scenarios);
	return o;
}
