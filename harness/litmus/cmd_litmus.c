// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lazytsc/sim/litmus.h>

#include "cli.h"
#include "commands.h"
#include "expect.h"
#include "parse.h"
#include "replay.h"

enum {
	OPT_MODEL = 256,
	OPT_EXPECT,
	OPT_TIME,
	OPT_WITNESS,
	OPT_REPLAY,
	OPT_DEPTH,
	OPT_EXECUTIONS,
	OPT_SECONDS,
	OPT_MEMORY
};

struct arguments {
	struct lazytsc_check check;
	const char *expect, *replay;
	bool time, witness;
	char **files;
	int nfiles;
};

static const struct argp_option options[] = {
	{ "model", OPT_MODEL, "sc|tso", 0, "The memory model (tso)", 0 },
	{ "expect", OPT_EXPECT, "FILE", 0,
	  "Compare with a table of verdicts, outcomes and executions, and print what differs", 0 },
	{ "jobs", 'j', "N", 0, "Search on N threads (1); the results are the same", 0 },
	{ "time", OPT_TIME, NULL, 0, "Print how long each test took", 0 },
	{ "witness", OPT_WITNESS, NULL, 0,
	  "Print a schedule that leads to a state in which the condition of exists or ~exists holds, or that of forall does not",
	  0 },
	{ "replay", OPT_REPLAY, "SCHEDULE", 0, "Do these steps of one test, and show them", 0 },
	{ "max-depth", OPT_DEPTH, "N", 0, "Follow no thread beyond N events (1000)", 1 },
	{ "max-executions", OPT_EXECUTIONS, "N", 0, "Stop each test after N executions", 1 },
	{ "max-time", OPT_SECONDS, "SECONDS", 0, "Stop each test after so long", 1 },
	{ "max-memory", OPT_MEMORY, "MIB", 0, "Stop a test when the process is so large", 1 },
	{ 0 },
};

static const char doc[] =
	"Run litmus tests in herd's X86 format exhaustively, under sequential consistency or x86-TSO.\v"
	"For each test: its final states over what the condition and `locations' name, whether the condition is as its quantifier says, and the number of executions, where two interleavings count as one if each load reads from the same store and the stores to each location come in the same order.\n\n"
	"Exit status: 0 done; 1 wrong usage, or --expect found a difference; 2 a file cannot be read or understood (the others are still run); 3 a search stopped at a bound; 42 a condition with forall does not hold, or one with ~exists does.";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	struct lazytsc_check_limits *limits = &a->check.limits;

	switch (key) {
	case OPT_MODEL:
		if (strcmp(arg, "sc") && strcmp(arg, "tso"))
			argp_error(state, "--model is sc or tso, not '%s'", arg);
		a->check.model = strcmp(arg, "sc") ? LAZYTSC_TSO : LAZYTSC_SC;
		break;
	case OPT_EXPECT:
		a->expect = arg;
		break;
	case 'j':
		a->check.jobs = (unsigned)cli_number(state, "-j", arg, 1, 256);
		break;
	case OPT_TIME:
		a->time = true;
		break;
	case OPT_WITNESS:
		a->witness = true;
		break;
	case OPT_REPLAY:
		a->replay = arg;
		break;
	case OPT_DEPTH:
		limits->depth = (unsigned)cli_number(state, "--max-depth", arg, 1, 65000);
		break;
	case OPT_EXECUTIONS:
		limits->executions = cli_number(state, "--max-executions", arg, 1, ~0ULL);
		break;
	case OPT_SECONDS:
		limits->seconds = cli_real(state, "--max-time", arg, 0.001, 1e9, "s");
		break;
	case OPT_MEMORY:
		limits->memory = (size_t)cli_number(state, "--max-memory", arg, 1, 1ULL << 40)
				 << 20;
		break;
	case ARGP_KEY_ARGS:
		a->files = state->argv + state->next;
		a->nfiles = state->argc - state->next;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which FILE?");
		break;
	case ARGP_KEY_END:
		if (a->replay && (a->nfiles != 1 || a->expect || a->witness))
			argp_error(state, "--replay takes one FILE, and no --expect or --witness");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

struct progress {
	const char *test;
	bool shown;
};

static void show_progress(const struct lazytsc_progress *p, void *arg)
{
	struct progress *progress = arg;

	if (p->seconds <= 2)
		return;
	progress->shown = true;
	fprintf(stderr, "\r%s: %llu executions, about %.1f %% ", progress->test,
		(unsigned long long)p->executions, 100 * p->part);
}

/* Is the condition as its quantifier says? */
static bool is_ok(const struct lazytsc_litmus *t, const struct lazytsc_litmus_result *r)
{
	switch (t->quantifier) {
	case LAZYTSC_LITMUS_EXISTS:
		return r->positive != 0;
	case LAZYTSC_LITMUS_NOT_EXISTS:
		return r->positive == 0;
	default:
		return r->negative == 0;
	}
}

/* Could executions that were not visited change that? */
static bool is_decided(const struct lazytsc_litmus *t, const struct lazytsc_litmus_result *r)
{
	return r->check.bound == LAZYTSC_COMPLETE ||
	       is_ok(t, r) == (t->quantifier == LAZYTSC_LITMUS_EXISTS);
}

static void print_result(const struct lazytsc_litmus *t, const struct lazytsc_check *check,
			 const struct lazytsc_litmus_result *r)
{
	static const char *const kinds[] = { "Allowed", "Forbidden", "Required" };
	static const char *const words[] = { "exists", "~exists", "forall" };
	const char *often = !r->positive ? "Never" : !r->negative ? "Always" : "Sometimes";
	char verdict[64];

	printf("Test %s %s\nStates %zu\n", t->name, kinds[t->quantifier], r->check.outcomes);
	for (size_t i = 0; i < r->check.outcomes; i++)
		litmus_print_state(t, r->check.outcome[i].data);
	printf("%s\nWitnesses\nPositive: %llu Negative: %llu\n",
	       !is_decided(t, r) ? "Undecided"
	       : is_ok(t, r)	 ? "Ok"
				 : "No",
	       (unsigned long long)r->positive, (unsigned long long)r->negative);
	printf("Condition %s %s\nObservation %s %s %llu %llu\nExecutions %llu\n",
	       words[t->quantifier], t->condition, t->name, often, (unsigned long long)r->positive,
	       (unsigned long long)r->negative, (unsigned long long)r->check.executions);
	lazytsc_check_verdict(check, &r->check, verdict);
	if (r->check.bound != LAZYTSC_COMPLETE)
		printf("Search %s\n", verdict);
}

struct totals {
	unsigned run, bad, differ, bounded, violated;
};

/* By the test's name, or else by its file's. */
static const struct litmus_expected *find_row(const struct litmus_table *table, const char *test,
					      const char *path)
{
	const struct litmus_expected *row = litmus_table_find(table, test);
	const char *slash = strrchr(path, '/');
	static const char suffix[] = ".litmus";
	size_t length;
	char *name;

	if (row)
		return row;
	name = cli_text("%s", slash ? slash + 1 : path);
	length = strlen(name);
	if (length > strlen(suffix) && !strcmp(name + length - strlen(suffix), suffix))
		name[length - strlen(suffix)] = 0;
	row = litmus_table_find(table, name);
	free(name);
	return row;
}

static void compare(const struct litmus_table *table, const char *path,
		    const struct lazytsc_litmus *t, const struct lazytsc_check *check,
		    const struct lazytsc_litmus_result *r, struct totals *totals)
{
	const struct litmus_expected *row = find_row(table, t->name, path);
	char verdict[64];

	if (!row) {
		printf("%s: not in the table\n", t->name);
		totals->differ++;
	} else if (r->check.bound != LAZYTSC_COMPLETE) {
		lazytsc_check_verdict(check, &r->check, verdict);
		printf("%s: %s\n", t->name, verdict);
	} else if (!litmus_compare(row, t, r, check->model, stdout)) {
		totals->differ++;
	}
}

static void run_file(const struct arguments *a, const char *path, const struct litmus_table *table,
		     struct totals *totals)
{
	struct lazytsc_litmus *t = litmus_read(path, stderr);
	struct progress progress = { .test = t ? t->name : path };
	struct lazytsc_check check = a->check;
	struct lazytsc_litmus_result r;
	const double start = cli_seconds();

	if (!t) {
		totals->bad++;
		return;
	}
	check.progress = isatty(STDERR_FILENO) ? show_progress : NULL;
	check.progress_arg = &progress;
	if (!lazytsc_litmus_run(t, &check, a->witness, &r))
		cli_no_memory();
	if (progress.shown)
		fputs("\r\033[K", stderr);
	if (r.check.executions != r.positive + r.negative) {
		warnx("%s: a thread uses a number as an address", path);
		totals->bad++;
	} else if (table) {
		compare(table, path, t, &check, &r, totals);
	} else {
		printf("%s", totals->run ? "\n" : "");
		print_result(t, &check, &r);
		if (r.check.schedule)
			printf("Schedule %s\n", r.check.schedule);
		if (a->time)
			printf("Time %s %.2f\n", t->name, cli_seconds() - start);
		totals->violated += is_decided(t, &r) && !is_ok(t, &r) &&
				    t->quantifier != LAZYTSC_LITMUS_EXISTS;
	}
	totals->run++;
	totals->bounded += r.check.bound != LAZYTSC_COMPLETE;
	lazytsc_check_release(&r.check);
	litmus_free(t);
}

static int replay(const struct arguments *a)
{
	struct lazytsc_litmus *t = litmus_read(a->files[0], stderr);
	int status = CLI_BAD_INPUT;

	if (t)
		status = litmus_replay(t, a->check.model, a->replay);
	litmus_free(t);
	return status;
}

static int run_files(const struct arguments *a)
{
	const double start = cli_seconds();
	struct litmus_table table;
	struct totals totals = { 0 };

	if (a->expect && !litmus_table_read(&table, a->expect, stderr))
		return CLI_BAD_INPUT;
	for (int i = 0; i < a->nfiles; i++)
		run_file(a, a->files[i], a->expect ? &table : NULL, &totals);
	if (a->expect) {
		printf("%u tests under %s: %u differ from the table\n", totals.run,
		       a->check.model == LAZYTSC_SC ? "SC" : "x86-TSO", totals.differ);
		if (a->time)
			printf("Time %.2f\n", cli_seconds() - start);
		litmus_table_free(&table);
	}
	if (totals.bad)
		return CLI_BAD_INPUT;
	if (totals.differ)
		return CLI_MISMATCH;
	if (totals.violated)
		return CLI_VIOLATION;
	return totals.bounded ? CLI_BOUNDED : CLI_OK;
}

int cmd_litmus(int argc, char **argv)
{
	const struct argp argp = {
		.options = options, .parser = parse, .args_doc = "FILE...", .doc = doc
	};
	struct arguments a = { .check.model = LAZYTSC_TSO };

	cli_parse(&argp, argc, argv, &a);
	return a.replay ? replay(&a) : run_files(&a);
}
