// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "check.h"
#include "checkpoint.h"
#include "cli.h"
#include "commands.h"

enum { OPT_JSON = 256 };

struct arguments {
	bool json;
	char **files;
	int nfiles;
};

static const struct argp_option options[] = {
	{ "json", OPT_JSON, NULL, 0, "Print JSON", 0 },
	{ 0 },
};

static const char doc[] =
	"Put the parts of a search together that lazytsc check --shard --checkpoint has written.\v"
	"The result is that of one search, in the same words.\n\n"
	"Exit status: that of the search; 1 wrong usage; 2 a file cannot be read, or cells are missing.";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	(void)arg;
	switch (key) {
	case OPT_JSON:
		a->json = true;
		break;
	case ARGP_KEY_ARGS:
		a->files = state->argv + state->next;
		a->nfiles = state->argc - state->next;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which FILE?");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Is every cell there? Else says which is not. */
static bool complete(struct check_point *point, const struct lazytsc_scenario *const *scenarios,
		     size_t n)
{
	size_t missing = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned int cells = lazytsc_scenario_cells(scenarios[i]);

		for (unsigned int cell = 0; cell < cells; cell++) {
			struct lazytsc_explored e;

			if (check_point_find(point, scenarios[i], cell, &e)) {
				lazytsc_explored_fini(&e);
				continue;
			}
			if (!missing++)
				warnx("no result of %s, cell %u", scenarios[i]->name, cell);
		}
	}
	if (missing > 1)
		warnx("and of %zu more cells", missing - 1);
	return !missing;
}

int cmd_merge(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "FILE...", doc, NULL, NULL, NULL };
	char program[CHECK_POINT_PROGRAM];
	struct check_point *point;
	struct check_result results[CHECK_SCENARIOS];
	struct check_run run = { .shards = 1, .threads = 1 };
	const struct lazytsc_scenario *const *scenarios;
	struct arguments a = { 0 };
	int status = CLI_OK;
	size_t n = 0;

	cli_parse(&argp, argc, argv, &a);
	check_point_program(program);
	point = check_point_new(program);
	run.argc = argc;
	run.argv = argv;
	for (int i = 0; i < a.nfiles && status == CLI_OK; i++)
		status = check_point_read(point, &run, a.files[i]);
	if (status == CLI_OK) {
		scenarios = check_point_scenarios(point);
		while (scenarios[n])
			n++;
		if (!complete(point, scenarios, n))
			status = CLI_BAD_INPUT;
		else
			status = check_scenarios(&run, point, scenarios, n, results);
	}
	if (status == CLI_OK) {
		status = check_report(stdout, &run, results, n, a.json);
		check_results_fini(results, n);
	}
	check_point_free(point);
	return status;
}
