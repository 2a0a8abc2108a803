// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "checkpoint.h"
#include "cli.h"

/* The longest line that is read; a counterexample of 60,000 steps has less. */
enum { MAX_LINE = 1 << 20 };

struct entry {
	const struct lazytsc_scenario *scenario;
	unsigned int cell;
	struct lazytsc_explored result;
};

struct check_point {
	char program[CHECK_POINT_PROGRAM];
	const struct lazytsc_scenario *scenario[CHECK_SCENARIOS + 1];
	struct entry *entry;
	size_t entries, room;
	bool sorted;
	unsigned char *seen[CHECK_SCENARIOS]; /* by scenario and cell */
	FILE *file; /* where further ones go */
	const char *name;
	bool failed;
};

static const char *const outcomes[] = {
	[LAZYTSC_HOLDS] = "holds", [LAZYTSC_VIOLATED] = "violated",   [LAZYTSC_BOUNDED] = "bounded",
	[LAZYTSC_CYCLE] = "cycle", [LAZYTSC_NO_MEMORY] = "no memory",
};

void check_point_program(char text[CHECK_POINT_PROGRAM])
{
	XXH3_state_t state;
	char buffer[65536];
	FILE *f = fopen("/proc/self/exe", "rb");
	size_t n;

	XXH3_64bits_reset(&state);
	while (f && (n = fread(buffer, 1, sizeof(buffer), f)))
		XXH3_64bits_update(&state, buffer, n);
	if (f)
		fclose(f);
	snprintf(text, CHECK_POINT_PROGRAM, "%016llx",
		 (unsigned long long)XXH3_64bits_digest(&state));
}

struct check_point *check_point_new(const char *program)
{
	struct check_point *point = cli_alloc(1, sizeof(*point));

	snprintf(point->program, sizeof(point->program), "%s", program);
	return point;
}

void check_point_free(struct check_point *point)
{
	for (size_t i = 0; i < point->entries; i++)
		lazytsc_explored_fini(&point->entry[i].result);
	if (point->file)
		fclose(point->file);
	for (size_t i = 0; i < CHECK_SCENARIOS; i++)
		free(point->seen[i]);
	free(point->entry);
	free(point);
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int names = strcmp(x->scenario->name, y->scenario->name);

	return names ? names : (x->cell > y->cell) - (x->cell < y->cell);
}

static struct entry *find(struct check_point *point, const struct lazytsc_scenario *s,
			  unsigned int cell)
{
	const struct entry key = { .scenario = s, .cell = cell };

	if (!point->sorted && point->entries)
		qsort(point->entry, point->entries, sizeof(key), compare);
	point->sorted = true;
	return point->entries ? bsearch(&key, point->entry, point->entries, sizeof(key), compare)
			      : NULL;
}

bool check_point_find(struct check_point *point, const struct lazytsc_scenario *s,
		      unsigned int cell, struct lazytsc_explored *result)
{
	struct entry *e = find(point, s, cell);

	if (!e)
		return false;
	*result = e->result;
	if (e->result.path) {
		result->path = cli_alloc(e->result.steps + 1, sizeof(*result->path));
		memcpy(result->path, e->result.path, e->result.steps * sizeof(*result->path));
	}
	return true;
}

static json_t *path_json(const struct lazytsc_explored *e)
{
	char *text = cli_alloc(e->steps + 1, LAZYTSC_STEP_TEXT + 1), *p = text;
	json_t *json;

	for (unsigned int i = 0; i < e->steps; i++) {
		if (i)
			*p++ = ' ';
		lazytsc_step_print(e->path[i], p);
		p += strlen(p);
	}
	json = json_string(text);
	free(text);
	return json;
}

static json_t *cell_json(const struct lazytsc_scenario *s, unsigned int cell,
			 const struct lazytsc_explored *e)
{
	if (e->outcome == LAZYTSC_VIOLATED)
		return json_pack("{s:s, s:i, s:s, s:i, s:i, s:I, s:I, s:I, s:I, s:o}", "scenario",
				 s->name, "cell", cell, "outcome", outcomes[e->outcome], "steps",
				 e->steps, "switches", e->switches, "rule", e->broken.rule, "tsc",
				 e->broken.tsc, "a", e->broken.a, "b", e->broken.b, "path",
				 path_json(e));
	return json_pack("{s:s, s:i, s:s, s:I, s:I, s:I, s:i}", "scenario", s->name, "cell", cell,
			 "outcome", outcomes[e->outcome], "states", e->states, "transitions",
			 e->transitions, "ends", e->ends, "longest", e->longest);
}

static bool parse_path(const char *text, struct lazytsc_explored *e)
{
	e->path = cli_alloc(e->steps + 1, sizeof(*e->path));
	for (unsigned int i = 0; i < e->steps; i++) {
		text = lazytsc_step_parse(text, &e->path[i]);
		if (!text)
			return false;
	}
	return *text == 0;
}

static bool parse_counts(json_t *json, struct lazytsc_explored *e)
{
	json_int_t states, transitions, ends;
	int longest;

	if (json_unpack(json, "{s:I, s:I, s:I, s:i}", "states", &states, "transitions",
			&transitions, "ends", &ends, "longest", &longest))
		return false;
	e->states = (u64)states;
	e->transitions = (u64)transitions;
	e->ends = (u64)ends;
	e->longest = (unsigned int)longest;
	return states >= 0 && transitions >= 0 && ends >= 0 && longest >= 0;
}

static bool parse_violation(json_t *json, struct lazytsc_explored *e)
{
	json_int_t rule, tsc, a, b;
	int steps, switches;
	const char *path;

	if (json_unpack(json, "{s:i, s:i, s:I, s:I, s:I, s:I, s:s}", "steps", &steps, "switches",
			&switches, "rule", &rule, "tsc", &tsc, "a", &a, "b", &b, "path", &path) ||
	    steps < 0 || steps > 1 << 20 || switches < 0 || rule < 0 || rule >= LAZYTSC_RULE_COUNT)
		return false;
	e->steps = (unsigned int)steps;
	e->switches = (unsigned int)switches;
	e->broken = (struct lazytsc_broken){ (u64)tsc, (u64)a, (u64)b, (u64)rule };
	return parse_path(path, e);
}

static bool parse_cell(json_t *json, struct entry *entry)
{
	const char *name, *outcome;
	int cell;

	if (json_unpack(json, "{s:s, s:i, s:s}", "scenario", &name, "cell", &cell, "outcome",
			&outcome))
		return false;
	entry->scenario = lazytsc_scenario_find(name);
	if (!entry->scenario || cell < 0 ||
	    (unsigned int)cell >= lazytsc_scenario_cells(entry->scenario))
		return false;
	entry->cell = (unsigned int)cell;
	for (unsigned int i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		if (strcmp(outcome, outcomes[i]))
			continue;
		entry->result.outcome = i;
		return i == LAZYTSC_VIOLATED ? parse_violation(json, &entry->result)
					     : parse_counts(json, &entry->result);
	}
	return false;
}

/* False: the cell is there already. So there are never more entries than cells. */
static bool add(struct check_point *point, const struct entry *e)
{
	unsigned char *seen;
	size_t s = 0;

	while (lazytsc_scenario_at((unsigned int)s) != e->scenario)
		s++;
	if (!point->seen[s])
		point->seen[s] = cli_alloc(lazytsc_scenario_cells(e->scenario), 1);
	seen = &point->seen[s][e->cell];
	if (*seen)
		return false;
	*seen = 1;
	if (point->entries == point->room) {
		point->room = point->room ? point->room * 2 : 64;
		point->entry = cli_grow(point->entry, point->room, sizeof(*e));
	}
	point->entry[point->entries++] = *e;
	point->sorted = false;
	return true;
}

static json_t *header(const struct check_point *point, const struct check_run *run,
		      const struct lazytsc_scenario *const *scenarios, size_t n)
{
	json_t *names = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(names, json_string(scenarios[i]->name));
	return json_pack("{s:s, s:s, s:s, s:I, s:o}", "program", point->program, "variant",
			 run->subject.name, "model",
			 run->subject.model == LAZYTSC_TSO ? "tso" : "sc", "max states",
			 run->max_states, "scenarios", names);
}

static bool parse_scenarios(struct check_point *point, json_t *names)
{
	if (point->scenario[0])
		return true;
	if (json_array_size(names) > CHECK_SCENARIOS)
		return false;
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));

		point->scenario[i] = name ? lazytsc_scenario_find(name) : NULL;
		if (!point->scenario[i])
			return false;
	}
	return point->scenario[0] != NULL;
}

const struct lazytsc_scenario *const *check_point_scenarios(const struct check_point *point)
{
	return point->scenario;
}

/* The first line: takes the subject from it, or says why not. */
static const char *parse_header(struct check_point *point, json_t *json, struct check_run *run)
{
	const char *by, *name, *model;
	struct check_subject subject;
	json_int_t max_states;
	json_t *names;

	if (json_unpack(json, "{s:s, s:s, s:s, s:I, s:o}", "program", &by, "variant", &name,
			"model", &model, "max states", &max_states, "scenarios", &names))
		return "no header of a checkpoint";
	if (strcmp(by, point->program))
		return "written by another build of lazytsc";
	if (!check_subject_find(&subject, name))
		return "no such variant";
	if (!parse_scenarios(point, names))
		return "no such scenario";
	subject.model = strcmp(model, "sc") ? LAZYTSC_TSO : LAZYTSC_SC;
	if (run->subject.name &&
	    (strcmp(run->subject.name, subject.name) || run->subject.model != subject.model ||
	     run->max_states != (u64)max_states))
		return "results of another variant, model or bound";
	run->subject = subject;
	run->max_states = (u64)max_states;
	return NULL;
}

static const char *parse_line(struct check_point *point, struct check_run *run, const char *line,
			      bool first)
{
	json_error_t error;
	json_t *json = json_loads(line, 0, &error);
	struct entry e = { 0 };
	const char *wrong = NULL;

	if (!json)
		return "not JSON";
	if (first)
		wrong = parse_header(point, json, run);
	else if (!parse_cell(json, &e))
		wrong = "no result of a cell";
	else if (!add(point, &e))
		wrong = "a cell whose result is there already";
	if (wrong)
		lazytsc_explored_fini(&e.result);
	json_decref(json);
	return wrong;
}

/* Whole lines; what follows the last newline was cut off. */
static int read_lines(struct check_point *point, struct check_run *run, FILE *f, const char *file)
{
	char *line = cli_alloc(MAX_LINE + 1, 1);
	size_t number = 0, length = 0;
	const char *wrong = NULL;
	int c = EOF;

	while (!wrong && (c = getc(f)) != EOF) {
		if (c != '\n' && length < MAX_LINE) {
			line[length++] = (char)c;
			continue;
		}
		line[length] = 0;
		number++;
		if (c != '\n')
			wrong = "a line of more than 1 MiB";
		else if (strlen(line) != length)
			wrong = "not JSON";
		else
			wrong = parse_line(point, run, line, number == 1);
		length = 0;
	}
	if (!wrong && !number && !ferror(f))
		wrong = length ? "no header of a checkpoint" : "empty";
	free(line);
	if (ferror(f)) {
		warn("%s", file);
		return CLI_BAD_INPUT;
	}
	if (wrong && number)
		warnx("%s:%zu: %s", file, number, wrong);
	else if (wrong)
		warnx("%s: %s", file, wrong);
	return wrong ? CLI_BAD_INPUT : CLI_OK;
}

int check_point_read(struct check_point *point, struct check_run *run, const char *file)
{
	FILE *f = fopen(file, "r");
	int status;

	if (!f) {
		warn("%s", file);
		return CLI_BAD_INPUT;
	}
	status = read_lines(point, run, f, file);
	fclose(f);
	return status;
}

static void write_line(struct check_point *point, json_t *json)
{
	if (!json || json_dumpf(json, point->file, JSON_COMPACT) ||
	    fputc('\n', point->file) == EOF || fflush(point->file))
		point->failed = true;
	json_decref(json);
}

/* Whether a file ends in the middle of a line. */
static bool cut_off(FILE *f)
{
	return !fseek(f, -1, SEEK_END) && fgetc(f) != '\n';
}

int check_point_resume(struct check_point *point, struct check_run *run, const char *file,
		       const struct lazytsc_scenario *const *scenarios, size_t n)
{
	int status;
	long size;

	point->name = file;
	point->file = fopen(file, "a+");
	if (!point->file) {
		warn("%s", file);
		return CLI_BAD_INPUT;
	}
	/* Until the end of the process: what another one adds is not known here. */
	if (flock(fileno(point->file), LOCK_EX | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			warnx("%s: in use by another lazytsc check", file);
		else
			warn("%s", file);
		return CLI_BAD_INPUT;
	}
	if (!fseek(point->file, 0, SEEK_END) && ftell(point->file) > 0) {
		rewind(point->file);
		status = read_lines(point, run, point->file, file);
		if (status != CLI_OK)
			return status;
	}
	if (cut_off(point->file)) {
		/* Go back to the last whole line. */
		size = ftell(point->file);
		while (size > 0 && !fseek(point->file, size - 1, SEEK_SET) &&
		       fgetc(point->file) != '\n')
			size--;
		if (ftruncate(fileno(point->file), size))
			point->failed = true;
	}
	fseek(point->file, 0, SEEK_END);
	if (ftell(point->file) == 0)
		write_line(point, header(point, run, scenarios, n));
	return CLI_OK;
}

void check_point_note(struct check_point *point, const struct lazytsc_scenario *s,
		      unsigned int cell, const struct lazytsc_explored *result)
{
	if (point->file)
		write_line(point, cell_json(s, cell, result));
}

bool check_point_written(struct check_point *point)
{
	if (point->failed)
		warnx("%s: cannot be written", point->name);
	return !point->failed;
}
