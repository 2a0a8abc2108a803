/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of `lazytsc check`. */
#ifndef LAZYTSC_CHECK_H
#define LAZYTSC_CHECK_H

#include <jansson.h>
#include <stdio.h>

#include <lazytsc/sim/defect.h>
#include <lazytsc/sim/explore.h>

/* Goes up when a key of --json changes its meaning or goes away. */
enum { CHECK_JSON_VERSION = 1 };

enum { CHECK_SCENARIOS = 64 }; /* no more than these at once */

/* What is checked: one protocol, on one memory model, in one host. */
struct check_subject {
	const char *name; /* of the variant, or of the defect */
	const struct lazytsc_variant *variant;
	enum lazytsc_glue_defect glue;
	enum lazytsc_model model;
};

/* The subject of that name, a variant or a defect; returns false where there is none. */
bool check_subject_find(struct check_subject *subject, const char *name);

/* The result of a scenario, or of a shard of it. */
struct check_result {
	const struct lazytsc_scenario *scenario;
	unsigned int cells; /* searched, of lazytsc_scenario_cells() */
	enum lazytsc_explore_outcome outcome;
	u64 states, transitions, ends;
	unsigned int longest;
	/* The smallest counterexample. */
	unsigned int cell;
	struct lazytsc_explored violation;
};

/* Which cells, and how. */
struct check_run {
	struct check_subject subject;
	unsigned int shard, shards; /* cells whose number is shard modulo shards; 0 of 1: all */
	u64 max_states; /* of a cell; 0: no bound */
	const char *only; /* look for violations of this requirement alone; NULL: of any */
	unsigned int threads;
	const char *chart; /* draw the counterexample into this file; NULL: nowhere */
	bool progress; /* to stderr */
	int argc; /* the arguments, for --json */
	char **argv;
};

struct check_point;

/*
 * Searches scenarios; results[i] is of scenarios[i]. The same whatever the number of threads. Cells
 * that @point (checkpoint.h) knows are not searched again; others are noted there.
 * Returns an enum cli_status of 0, or that of a failure that was told on stderr.
 */
int check_scenarios(const struct check_run *run, struct check_point *point,
		    const struct lazytsc_scenario *const *scenarios, size_t n,
		    struct check_result *results);
void check_results_fini(struct check_result *results, size_t n);

/*
 * What was searched, and what was found, with the smallest counterexample. Returns the exit status
 * that the results stand for.
 */
int check_report(FILE *to, const struct check_run *run, const struct check_result *results,
		 size_t n, bool json);

enum { CHECK_TEXT = 256 };

/* A scenario's dimensions, in the order of the table. */
enum check_dimension {
	CHECK_CLOCK,
	CHECK_DEADLINES,
	CHECK_OPS,
	CHECK_DECIDED_IN,
	CHECK_ADVANCE,
	CHECK_GUESSES,
	CHECK_TRIPS,
	CHECK_MEMSLOTS,
	CHECK_WAKES,
	CHECK_STALE,
	CHECK_BESIDES,
	CHECK_ALPHABET,
	CHECK_DIMENSIONS
};

/* A dimension of a scenario: returns its name, and writes its bound as text. */
const char *check_dimension(const struct lazytsc_scenario *s, unsigned int i,
			    char text[CHECK_TEXT]);

/* A time as text; the last before 2^64 as "~0", "~0-1". */
const char *check_number(u64 v, char text[24]);

/*
 * Known defects.
 */

/* What became of one. */
struct check_found {
	const struct lazytsc_defect *defect;
	const char *requirement; /* of the counterexample; "-": there is none */
	struct check_result result; /* of the scenario with the counterexample */
	/* A smaller one breaks another requirement than the list says; NULL: there is none. */
	const char *smaller;
	unsigned int smaller_steps;
	bool exhaustive; /* every scenario was searched to its end */
	enum lazytsc_explore_outcome repaired; /* the project's own protocol in that scenario */
};

/*
 * Searches for the smallest counterexample of a defect. Returns an enum cli_status of 0, or that of
 * a failure that was told.
 */
int check_defect(const struct check_run *run, const struct lazytsc_defect *defect,
		 struct check_found *found);
void check_found_fini(struct check_found *found);

/* Is it as the list says? */
bool check_as_expected(const struct check_found *found);

/*
 * Searches for every defect of a list, or that of a name, and prints a table. Returns an enum
 * cli_status.
 */
int check_defects(FILE *to, const struct check_run *run, const struct lazytsc_defect *list,
		  const char *name, bool json);

/* Writes races.md and its charts into a directory. Returns an enum cli_status. */
int check_races(const struct check_run *run, const char *directory);

/*
 * A path, step by step.
 */
enum check_lane { CHECK_GUEST, CHECK_HOST, CHECK_OTHER, CHECK_TIME };

struct check_step {
	enum check_lane lane; /* guest; host on the vCPU's CPU; host on another CPU; clock, LAPIC */
	struct lazytsc_step_info info;
	char what[CHECK_TEXT]; /* in words */
	char then[CHECK_TEXT]; /* what follows from it; may be empty */
	u64 clock;
	char armed[24], pending[24]; /* in memory */
	char buffer[2][CHECK_TEXT]; /* waiting to get there: of the vCPU's CPU, of the other */
};

struct check_trace {
	const struct lazytsc_scenario *scenario;
	struct check_subject subject;
	unsigned int cell;
	struct check_step *step;
	unsigned int steps;
	bool violated;
	struct lazytsc_broken broken; /* rule 0: an assertion, and its text: */
	char failed[CHECK_TEXT];
	char command[4096]; /* replays it */
};

/*
 * Performs a path. Returns false, with a line on stderr, when a step of it cannot be performed or
 * there is no memory.
 */
bool check_trace(struct check_trace *t, const struct check_subject *subject,
		 const struct lazytsc_scenario *s, unsigned int cell,
		 const struct lazytsc_step *path, unsigned int steps);
void check_trace_fini(struct check_trace *t);

/* What is violated, in one line. */
void check_trace_says(const struct check_trace *t, char text[CHECK_TEXT]);
void check_trace_print(FILE *to, const struct check_trace *t);
/* Into an object: scenario, cell, requirement, says, replay, steps. */
void check_trace_json(json_t *o, const struct check_trace *t);
/* An SVG picture; check_trace_draw() into a file: returns an enum cli_status. */
void check_trace_chart(FILE *to, const struct check_trace *t);
int check_trace_draw(const char *file, const struct check_trace *t);

#endif
