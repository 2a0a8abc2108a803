// SPDX-License-Identifier: BSD-2-Clause
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "checkpoint.h"
#include "cli.h"
#include "commands.h"

enum {
	OPT_VARIANT = 256,
	OPT_MODEL,
	OPT_FULL,
	OPT_SHARD,
	OPT_CHECKPOINT,
	OPT_MAX_STATES,
	OPT_JSON,
	OPT_LIST,
	OPT_DEFECTS,
	OPT_NECESSITY,
	OPT_RACES,
	OPT_CHART,
	OPT_ONLY,
	OPT_CELL,
	OPT_REPLAY
};

struct arguments {
	struct check_run run;
	const struct lazytsc_scenario *scenario[CHECK_SCENARIOS];
	size_t scenarios;
	const char *checkpoint, *replay, *races, *defect;
	unsigned int cell;
	bool has_cell;
	const struct lazytsc_defect *defects;
	bool full, all, json, list; /* all: no scenario was named */
};

static const struct argp_option options[] = {
	{ "scenario", 's', "NAME", 0, "This scenario; may be repeated (default: all; see --list)",
	  0 },
	{ "variant", OPT_VARIANT, "NAME", 0, "Which variant of the protocol (default: lazy)", 0 },
	{ "model", OPT_MODEL, "tso|sc", 0, "The memory model (default: tso, that is x86-TSO)", 0 },
	{ "full", OPT_FULL, NULL, 0, "The large scenarios too", 0 },
	{ "shard", OPT_SHARD, "I/N", 0, "The I-th of N parts, 0 <= I < N; see lazytsc merge", 0 },
	{ "checkpoint", OPT_CHECKPOINT, "FILE", 0,
	  "Note cells there as they are done, and do not search again those it has", 0 },
	{ "max-states", OPT_MAX_STATES, "N", 0, "Stop in a cell after N states (status 3)", 0 },
	{ "jobs", 'j', "N", 0, "Threads (default: one for each CPU)", 0 },
	{ "json", OPT_JSON, NULL, 0, "Print JSON", 0 },
	{ "list", OPT_LIST, NULL, 0, "List scenarios and variants", 0 },
	{ "defects", OPT_DEFECTS, "NAME", OPTION_ARG_OPTIONAL,
	  "Find what the 2023 series did wrong, and mistakes as easy to make; all, or that one",
	  0 },
	{ "necessity", OPT_NECESSITY, "NAME", OPTION_ARG_OPTIONAL,
	  "Weaken each barrier, order and comparison of the core, one at a time; all, or that one",
	  0 },
	{ "races", OPT_RACES, "DIR", 0, "Tell every known defect in DIR/races.md, with charts", 0 },
	{ "only", OPT_ONLY, "REQUIREMENT", 0, "Look for a violation of this requirement alone", 0 },
	{ "chart", OPT_CHART, "FILE.svg", 0, "Draw the counterexample, or what --replay performs",
	  0 },
	{ "cell", OPT_CELL, "N", 0, "With --replay: the scenario's cell", 0 },
	{ "replay", OPT_REPLAY, "STEPS", 0, "Perform these steps, as a counterexample gives them",
	  0 },
	{ 0 },
};

static const char doc[] =
	"Search the states of the lazy TSC deadline's protocol, guest and host, for one that breaks a requirement.\v"
	"The scenarios' bounds are printed; within them the search is exhaustive. Where a requirement is broken, the smallest counterexample is shown step by step.\n\n"
	"Exit status: 0 nothing is violated; 1 wrong usage; 2 a checkpoint cannot be read or written; 3 stopped at a bound; 42 a violation was found.";

static void parse_shard(struct argp_state *state, const char *arg, struct check_run *run)
{
	unsigned long n[2] = { 0, 0 };
	char *end = (char *)arg;

	errno = 0;
	if (isdigit((unsigned char)*arg))
		n[0] = strtoul(arg, &end, 10);
	if (end != arg && *end == '/' && isdigit((unsigned char)end[1]))
		n[1] = strtoul(end + 1, &end, 10);
	run->shard = (unsigned int)n[0];
	run->shards = (unsigned int)n[1];
	if (end == arg || *end || errno || n[0] >= n[1] || n[1] > UINT_MAX)
		argp_error(state, "--shard is I/N with 0 <= I < N, not '%s'", arg);
}

static void parse_scenario(struct argp_state *state, const char *arg, struct arguments *a)
{
	const struct lazytsc_scenario *s = lazytsc_scenario_find(arg);

	if (!s)
		argp_error(state, "no scenario '%s'; see --list", arg);
	else if (a->scenarios == CHECK_SCENARIOS)
		argp_error(state, "too many scenarios");
	else
		a->scenario[a->scenarios++] = s;
}

static bool known(const struct lazytsc_defect *list, const char *name)
{
	while (list->name && strcmp(list->name, name))
		list++;
	return list->name != NULL;
}

static bool is_requirement(const char *name)
{
	for (enum lazytsc_rule rule = 1; rule < LAZYTSC_RULE_COUNT; rule++)
		if (!strcmp(name, lazytsc_rule_requirement(rule)))
			return true;
	return false;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 's':
		parse_scenario(state, arg, a);
		break;
	case OPT_VARIANT:
		if (!check_subject_find(&a->run.subject, arg))
			argp_error(state, "no variant '%s'; see --list", arg);
		break;
	case OPT_MODEL:
		if (strcmp(arg, "tso") && strcmp(arg, "sc"))
			argp_error(state, "--model is tso or sc, not '%s'", arg);
		a->run.subject.model = strcmp(arg, "sc") ? LAZYTSC_TSO : LAZYTSC_SC;
		break;
	case OPT_FULL:
		a->full = true;
		break;
	case OPT_SHARD:
		parse_shard(state, arg, &a->run);
		break;
	case OPT_CHECKPOINT:
		a->checkpoint = arg;
		break;
	case OPT_MAX_STATES:
		a->run.max_states = cli_number(state, "--max-states", arg, 1, INT64_MAX);
		break;
	case 'j':
		a->run.threads = (unsigned int)cli_number(state, "--jobs", arg, 1, 1024);
		break;
	case OPT_JSON:
		a->json = true;
		break;
	case OPT_LIST:
		a->list = true;
		break;
	case OPT_DEFECTS:
		a->defects = lazytsc_defects;
		a->defect = arg;
		break;
	case OPT_NECESSITY:
		a->defects = lazytsc_mutants;
		a->defect = arg;
		break;
	case OPT_RACES:
		a->races = arg;
		break;
	case OPT_ONLY:
		a->run.only = arg;
		if (!is_requirement(arg))
			argp_error(state, "the monitor checks no requirement '%s'", arg);
		break;
	case OPT_CHART:
		a->run.chart = arg;
		break;
	case OPT_CELL:
		a->cell = (unsigned int)cli_number(state, "--cell", arg, 0, UINT_MAX);
		a->has_cell = true;
		break;
	case OPT_REPLAY:
		a->replay = arg;
		break;
	case ARGP_KEY_END:
		if (a->has_cell && !a->replay)
			argp_error(state, "--cell goes with --replay");
		if (a->replay && a->checkpoint)
			argp_error(state,
				   "--replay performs steps: there is nothing for a --checkpoint");
		if (a->run.only && a->checkpoint)
			argp_error(state, "--only leaves results that a checkpoint cannot tell");
		if (a->defect && !known(a->defects, a->defect))
			argp_error(state, "no defect '%s' of that kind; see --list", a->defect);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "what is '%s'?", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int list(void)
{
	const struct lazytsc_scenario *s;
	const struct lazytsc_variant *v;

	puts("Scenarios:");
	for (unsigned int i = 0; (s = lazytsc_scenario_at(i)); i++)
		printf("  %-22s %s%s\n", s->name, s->full ? "(--full) " : "", s->summary);
	puts("Variants:");
	for (unsigned int i = 0; (v = lazytsc_variant_at(i)); i++)
		printf("  %-22s %s\n", v->name, v->summary);
	puts("Defects (see --defects):");
	for (const struct lazytsc_defect *d = lazytsc_defects; d->name; d++)
		printf("  %-22s %s\n", d->name, d->what);
	puts("Weakened cores (see --necessity):");
	for (const struct lazytsc_defect *d = lazytsc_mutants; d->name; d++)
		printf("  %-22s %s\n", d->name, d->what);
	return CLI_OK;
}

static struct lazytsc_step *parse_path(const char *text, unsigned int *steps)
{
	struct lazytsc_step *path = cli_alloc(strlen(text) + 1, sizeof(*path));

	*steps = 0;
	while (text && text[strspn(text, " \t\n")]) {
		text = lazytsc_step_parse(text, &path[*steps]);
		if (text)
			++*steps;
	}
	if (text)
		return path;
	warnx("--replay: step %u is none", *steps + 1);
	free(path);
	return NULL;
}

static int replay(const struct arguments *a)
{
	struct check_trace t;
	unsigned int steps;
	struct lazytsc_step *path;
	int status = CLI_MISMATCH;

	if (a->scenarios != 1 || a->cell >= lazytsc_scenario_cells(a->scenario[0])) {
		warnx("--replay needs one --scenario, and a --cell that it has");
		return CLI_MISMATCH;
	}
	path = parse_path(a->replay, &steps);
	if (!path)
		return CLI_MISMATCH;
	if (check_trace(&t, &a->run.subject, a->scenario[0], a->cell, path, steps)) {
		if (a->json) {
			json_t *o = cli_json(CHECK_JSON_VERSION, a->run.argc, a->run.argv);

			check_trace_json(o, &t);
			cli_json_print(stdout, o);
		} else {
			check_trace_print(stdout, &t);
		}
		status = t.violated ? CLI_VIOLATION : CLI_OK;
		if (a->run.chart && check_trace_draw(a->run.chart, &t) != CLI_OK)
			status = CLI_BAD_INPUT;
		check_trace_fini(&t);
	}
	free(path);
	return status;
}

static int run(struct arguments *a)
{
	struct check_result results[CHECK_SCENARIOS];
	char program[CHECK_POINT_PROGRAM] = "";
	struct check_point *point;
	int status = CLI_OK;

	if (a->checkpoint)
		check_point_program(program);
	point = check_point_new(program);
	if (a->checkpoint)
		status = check_point_resume(point, &a->run, a->checkpoint, a->scenario,
					    a->scenarios);
	if (status == CLI_OK)
		status = check_scenarios(&a->run, point, a->scenario, a->scenarios, results);
	if (status == CLI_OK) {
		status = check_report(stdout, &a->run, results, a->scenarios, a->json);
		if (status == CLI_OK && !a->json && a->all && !a->full)
			puts("The same kinds with larger bounds: --full.");
		check_results_fini(results, a->scenarios);
	}
	check_point_free(point);
	return status;
}

static void choose_scenarios(struct arguments *a)
{
	const struct lazytsc_scenario *s;

	for (unsigned int i = 0; (s = lazytsc_scenario_at(i)) && a->scenarios < CHECK_SCENARIOS;
	     i++)
		if (a->full || !s->full)
			a->scenario[a->scenarios++] = s;
}

int cmd_check(int argc, char **argv)
{
	static const struct argp argp = { options, parse, NULL, doc, NULL, NULL, NULL };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct arguments a = {
		.run = { .subject = { .model = LAZYTSC_TSO },
			 .shards = 1,
			 .threads = cpus > 0 ? (unsigned int)cpus : 1,
			 .progress = isatty(STDERR_FILENO) },
	};

	check_subject_find(&a.run.subject, "lazy");
	cli_parse(&argp, argc, argv, &a);
	a.run.argc = argc;
	a.run.argv = argv;
	if (a.list)
		return list();
	if (a.replay)
		return replay(&a);
	if (a.races)
		return check_races(&a.run, a.races);
	if (a.defects)
		return check_defects(stdout, &a.run, a.defects, a.defect, a.json);
	a.all = !a.scenarios;
	if (a.all)
		choose_scenarios(&a);
	return run(&a);
}
