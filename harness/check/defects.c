// SPDX-License-Identifier: BSD-2-Clause
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cli.h"
#include "table.h"

/* The scenarios to search: that which the list names, or those of the default run. */
static size_t where(const struct lazytsc_defect *d,
		    const struct lazytsc_scenario *scenarios[CHECK_SCENARIOS])
{
	const struct lazytsc_scenario *s;
	size_t n = 0;

	if (d->scenario) {
		scenarios[0] = lazytsc_scenario_find(d->scenario);
		return scenarios[0] != NULL;
	}
	for (unsigned int i = 0; (s = lazytsc_scenario_at(i)) && n < CHECK_SCENARIOS; i++)
		if (!s->full)
			scenarios[n++] = s;
	return n;
}

static bool smaller(const struct check_result *a, const struct check_result *b)
{
	if (a->outcome != LAZYTSC_VIOLATED || b->outcome != LAZYTSC_VIOLATED)
		return a->outcome == LAZYTSC_VIOLATED;
	if (a->violation.steps != b->violation.steps)
		return a->violation.steps < b->violation.steps;
	return a->violation.switches < b->violation.switches;
}

static const char *broken(const struct check_result *r)
{
	if (r->outcome != LAZYTSC_VIOLATED)
		return "-";
	return r->violation.broken.rule
		       ? lazytsc_rule_requirement((enum lazytsc_rule)r->violation.broken.rule)
		       : "assertion";
}

/* The same scenario without the defect. */
static int repair(const struct check_run *run, const struct lazytsc_scenario *s,
		  struct check_found *found)
{
	struct check_run sound = *run;
	struct check_result result;
	int status;

	sound.progress = false;
	if (!check_subject_find(&sound.subject, "lazy"))
		return CLI_MISMATCH;
	status = check_scenarios(&sound, NULL, &s, 1, &result);
	found->repaired = result.outcome;
	check_results_fini(&result, 1);
	return status;
}

/* The smallest counterexample in all of the scenarios. */
static int search(const struct check_run *run, const struct lazytsc_scenario *const *scenarios,
		  size_t n, struct check_found *found)
{
	struct check_result results[CHECK_SCENARIOS];
	int status = check_scenarios(run, NULL, scenarios, n, results);
	size_t best = 0;

	found->exhaustive = true;
	for (size_t i = 0; i < n; i++) {
		found->exhaustive &= results[i].outcome == LAZYTSC_HOLDS;
		if (smaller(&results[i], &results[best]))
			best = i;
	}
	found->result = results[best];
	memset(&results[best].violation, 0, sizeof(results[best].violation));
	check_results_fini(results, n);
	found->requirement = broken(&found->result);
	return status;
}

int check_defect(const struct check_run *run, const struct lazytsc_defect *defect,
		 struct check_found *found)
{
	const struct lazytsc_scenario *scenarios[CHECK_SCENARIOS];
	size_t n = where(defect, scenarios);
	struct check_run one = *run;
	int status;

	memset(found, 0, sizeof(*found));
	found->defect = defect;
	one.progress = false;
	if (!n || !check_subject_find(&one.subject, defect->name)) {
		warnx("%s: no scenario '%s'", defect->name,
		      defect->scenario ? defect->scenario : "");
		return CLI_MISMATCH;
	}
	status = search(&one, scenarios, n, found);
	if (status == CLI_OK && found->result.outcome == LAZYTSC_VIOLATED &&
	    strcmp(found->requirement, defect->requirement)) {
		found->smaller = found->requirement;
		found->smaller_steps = found->result.violation.steps;
		check_found_fini(found);
		one.only = defect->requirement;
		status = search(&one, scenarios, n, found);
	}
	if (status == CLI_OK && found->result.outcome == LAZYTSC_VIOLATED)
		status = repair(run, found->result.scenario, found);
	return status;
}

void check_found_fini(struct check_found *found)
{
	lazytsc_explored_fini(&found->result.violation);
}

bool check_as_expected(const struct check_found *found)
{
	if (strcmp(found->requirement, found->defect->requirement))
		return false;
	if (found->result.outcome == LAZYTSC_VIOLATED)
		return found->repaired == LAZYTSC_HOLDS;
	return found->exhaustive;
}

enum column { COL_DEFECT, COL_BREAKS, COL_STEPS, COL_SWITCHES, COL_SCENARIO, COL_WHAT, COLUMNS };

static void add_row(struct libscols_table *tb, const struct check_found *f)
{
	struct libscols_line *line = table_line(tb);
	bool violated = f->result.outcome == LAZYTSC_VIOLATED;

	table_cell(line, COL_DEFECT, "%s", f->defect->name);
	table_cell(line, COL_BREAKS, "%s", violated ? f->requirement : "none");
	table_cell(line, COL_WHAT, "%s", f->defect->what);
	if (!violated)
		return;
	table_cell(line, COL_STEPS, "%u", f->result.violation.steps);
	table_cell(line, COL_SWITCHES, "%u", f->result.violation.switches);
	table_cell(line, COL_SCENARIO, "%s", f->result.scenario->name);
}

static json_t *to_json(const struct check_found *f)
{
	const struct lazytsc_defect *d = f->defect;
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "name", d->name, "what", d->what,
			      "because", d->because, "expected", d->requirement, "found",
			      f->requirement, "as_expected", check_as_expected(f));

	if (d->file) {
		json_object_set_new(o, "file", json_string(d->file));
		json_object_set_new(o, "line", json_integer(d->line));
		json_object_set_new(o, "was", json_string(d->was));
		json_object_set_new(o, "is", json_string(d->is));
	}
	if (f->result.outcome == LAZYTSC_VIOLATED) {
		json_object_set_new(o, "scenario", json_string(f->result.scenario->name));
		json_object_set_new(o, "steps", json_integer(f->result.violation.steps));
		json_object_set_new(o, "switches", json_integer(f->result.violation.switches));
	}
	return o;
}

/* What needs a sentence more than the table: nothing found, or not as the list says. */
static void remark(FILE *to, const struct check_found *f)
{
	if (!check_as_expected(f))
		fprintf(to, "%s: NOT AS LISTED: %s is listed, %s was found%s\n", f->defect->name,
			f->defect->requirement, f->smaller ? f->smaller : f->requirement,
			f->result.outcome == LAZYTSC_VIOLATED && f->repaired != LAZYTSC_HOLDS
				? "; and repaired it does not hold"
				: "");
	else if (f->smaller)
		fprintf(to, "%s: a smaller counterexample, of %u steps, breaks %s.\n",
			f->defect->name, f->smaller_steps, f->smaller);
	else if (f->result.outcome != LAZYTSC_VIOLATED)
		fprintf(to,
			"%s (%s:%d): no counterexample; the search was exhaustive within the bounds of the default run. %s\n",
			f->defect->name, f->defect->file, f->defect->line, f->defect->because);
}

int check_defects(FILE *to, const struct check_run *run, const struct lazytsc_defect *list,
		  const char *name, bool json)
{
	static const char *const names[COLUMNS] = { "defect",	"breaks",   "steps",
						    "switches", "scenario", "what is wrong" };
	const unsigned int numbers = TABLE_COLUMN(COL_STEPS) | TABLE_COLUMN(COL_SWITCHES);
	struct libscols_table *tb = table_new(names, COLUMNS, ~numbers);
	json_t *array = json_array();
	char *remarks = NULL;
	size_t size = 0, n = 0, at = 0;
	FILE *later = open_memstream(&remarks, &size);
	int status = CLI_OK;

	if (!later)
		cli_no_memory();
	while (list[n].name)
		n++;
	for (at = 0; at < n && status != CLI_BOUNDED; at++) {
		struct check_found found;

		if (name && strcmp(name, list[at].name))
			continue;
		if (run->progress)
			fprintf(stderr, "\r%zu of %zu ", at, n);
		if (check_defect(run, &list[at], &found) != CLI_OK) {
			status = CLI_BOUNDED;
			break;
		}
		add_row(tb, &found);
		json_array_append_new(array, to_json(&found));
		remark(later, &found);
		if (!check_as_expected(&found))
			status = CLI_MISMATCH;
		check_found_fini(&found);
	}
	if (run->progress)
		fprintf(stderr, "\r%zu of %zu\n", at, n);
	fclose(later);
	if (json) {
		json_t *o = cli_json(CHECK_JSON_VERSION, run->argc, run->argv);

		json_object_set_new(o, "defects", array);
		cli_json_print(to, o);
		scols_unref_table(tb);
	} else {
		table_print(to, tb);
		fprintf(to, "\n%s", remarks ? remarks : "");
		json_decref(array);
	}
	free(remarks);
	return status;
}
