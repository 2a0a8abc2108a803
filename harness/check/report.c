// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cli.h"
#include "table.h"

enum column {
	COL_SCENARIO,
	COL_CELLS,
	COL_STATES,
	COL_TRANSITIONS,
	COL_REVISITS,
	COL_ENDS,
	COL_LONGEST,
	COL_RESULT,
	COL_WHAT,
	COLUMNS
};

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

static void print_dimensions(FILE *to, const struct check_result *results, size_t n)
{
	const char *names[CHECK_DIMENSIONS + 1] = { "scenario" };
	char text[CHECK_TEXT];
	struct libscols_table *tb;
	unsigned int left;

	for (unsigned int d = 0; d < CHECK_DIMENSIONS; d++)
		names[d + 1] = check_dimension(results[0].scenario, d, text);
	/* Column 0 is the scenario's name; so dimension d is column d + 1. */
	left = TABLE_COLUMN(0) | TABLE_COLUMN(CHECK_DECIDED_IN + 1) |
	       TABLE_COLUMN(CHECK_GUESSES + 1) | TABLE_COLUMN(CHECK_BESIDES + 1);
	tb = table_new(names, CHECK_DIMENSIONS + 1, left);
	for (size_t i = 0; i < n; i++) {
		struct libscols_line *line = table_line(tb);

		table_cell(line, 0, "%s", results[i].scenario->name);
		for (unsigned int d = 0; d < CHECK_DIMENSIONS; d++) {
			check_dimension(results[i].scenario, d, text);
			table_cell(line, d + 1, "%s", text);
		}
	}
	table_print(to, tb);
}

/*
 * A violated scenario was not searched to its end: its counts say nothing, and are no part of the
 * total.
 */
static void print_counts(FILE *to, const struct check_result *results, size_t n)
{
	static const char *const names[COLUMNS] = { "scenario",	    "cells",	"states",
						    "transitions",  "revisits", "ends",
						    "longest path", "result",	"what" };
	const unsigned int left = TABLE_COLUMN(COL_SCENARIO) | TABLE_COLUMN(COL_RESULT) |
				  TABLE_COLUMN(COL_WHAT);
	struct libscols_table *tb = table_new(names, COLUMNS, left);
	struct check_result total = { 0 };
	size_t violated = 0;

	for (size_t i = 0; i <= n; i++) {
		const struct check_result *r = i < n ? &results[i] : &total;
		struct libscols_line *line;

		if (i == n && violated == n)
			break;
		line = table_line(tb);
		table_cell(line, COL_SCENARIO, "%s", i < n ? r->scenario->name : "total");
		table_cell(line, COL_CELLS, "%u", r->cells);
		table_cell(line, COL_RESULT, "%s", i < n ? outcome(r) : "");
		table_cell(line, COL_WHAT, "%s",
			   i < n      ? r->scenario->summary
			   : violated ? "of the scenarios that were searched to their end"
				      : "");
		if (i < n && r->outcome == LAZYTSC_VIOLATED) {
			violated++;
			continue;
		}
		table_cell(line, COL_STATES, "%" PRIu64, r->states);
		table_cell(line, COL_TRANSITIONS, "%" PRIu64, r->transitions);
		/* Each state but a cell's first was reached by one transition first. */
		table_cell(line, COL_REVISITS, "%" PRIu64, r->transitions - (r->states - r->cells));
		table_cell(line, COL_ENDS, "%" PRIu64, r->ends);
		table_cell(line, COL_LONGEST, "%u", r->longest);
		if (i == n)
			continue;
		total.cells += r->cells;
		total.states += r->states;
		total.transitions += r->transitions;
		total.ends += r->ends;
		if (total.longest < r->longest)
			total.longest = r->longest;
	}
	table_print(to, tb);
}

static int status_of(const struct check_result *results, size_t n)
{
	int status = CLI_OK;

	for (size_t i = 0; i < n; i++) {
		switch (results[i].outcome) {
		case LAZYTSC_HOLDS:
			break;
		case LAZYTSC_VIOLATED:
		case LAZYTSC_CYCLE:
			return CLI_VIOLATION;
		case LAZYTSC_BOUNDED:
		case LAZYTSC_NO_MEMORY:
			status = CLI_BOUNDED;
			break;
		}
	}
	return status;
}

static void print(FILE *to, const struct check_run *run, const struct check_result *results,
		  size_t n)
{
	int status = status_of(results, n);

	fprintf(to, "Variant %s on %s", run->subject.name,
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
	fputs("\nNothing is violated. The search was exhaustive over every order of the steps of guest, host,\n"
	      "store buffers, clock and LAPIC, with every choice within the bounds above",
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

static json_t *to_json(const struct check_run *run, const struct check_result *results, size_t n)
{
	json_t *o = cli_json(CHECK_JSON_VERSION, run->argc, run->argv);
	json_t *scenarios = json_array();

	json_object_set_new(o, "variant", json_string(run->subject.name));
	json_object_set_new(o, "model",
			    json_string(run->subject.model == LAZYTSC_TSO ? "tso" : "sc"));
	json_object_set_new(o, "shard", json_integer(run->shard));
	json_object_set_new(o, "shards", json_integer(run->shards));
	json_object_set_new(o, "exhaustive", json_boolean(status_of(results, n) == CLI_OK));
	for (size_t i = 0; i < n; i++)
		json_array_append_new(scenarios, result_json(&results[i]));
	json_object_set_new(o, "scenarios", scenarios);
	return o;
}

/* The smallest counterexample of all scenarios; NULL: there is none. */
static const struct check_result *smallest(const struct check_result *results, size_t n)
{
	const struct check_result *best = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct lazytsc_explored *v = &results[i].violation;

		if (results[i].outcome != LAZYTSC_VIOLATED)
			continue;
		if (!best || v->steps < best->violation.steps ||
		    (v->steps == best->violation.steps && v->switches < best->violation.switches))
			best = &results[i];
	}
	return best;
}

int check_report(FILE *to, const struct check_run *run, const struct check_result *results,
		 size_t n, bool json)
{
	const struct check_result *worst = smallest(results, n);
	json_t *o = json ? to_json(run, results, n) : NULL;
	int status = status_of(results, n);
	struct check_trace t;

	if (!json)
		print(to, run, results, n);
	if (worst && check_trace(&t, &run->subject, worst->scenario, worst->cell,
				 worst->violation.path, worst->violation.steps)) {
		if (json) {
			json_t *found = json_object();

			check_trace_json(found, &t);
			json_object_set_new(o, "counterexample", found);
		} else {
			fputc('\n', to);
			check_trace_print(to, &t);
		}
		if (run->chart && check_trace_draw(run->chart, &t) != CLI_OK)
			status = CLI_BAD_INPUT;
		check_trace_fini(&t);
	}
	if (json)
		cli_json_print(to, o);
	return status;
}
