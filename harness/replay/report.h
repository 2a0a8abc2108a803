/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a replay found: as a table with a verdict, as JSON, as CSV. docs/replay.md describes each.
 */
#ifndef LAZYTSC_REPLAY_REPORT_H
#define LAZYTSC_REPLAY_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "replay.h"

/* Goes up when a key or a column changes its meaning or goes away. */
#define REPORT_VERSION 2

struct report_options {
	size_t shown; /* how many of the policies have rows: the first ones */
	bool hist;
	bool wide; /* all columns, else what fits 80 characters */
	bool sw_timer;
	size_t tasks_shown; /* in the table */
	double tsc_khz; /* to show cycles as microseconds; 0: show cycles */
};

/** report_table() - for people; @name is the trace's */
void report_table(FILE *to, const char *name, const struct replay *r,
		  const struct report_options *o);

/** report_csv_header(), report_csv() - the rows of JSON, one line each */
void report_csv_header(FILE *to);
void report_csv(FILE *to, const char *name, const struct replay *r, const struct report_options *o);

/** report_no_halts() - one line where a policy has no figures because the trace has no halts */
void report_no_halts(FILE *to, const char *name, const struct replay *r);

/** report_warnings() - what a reader of rows alone would miss; one line each */
void report_warnings(FILE *to, const char *name, const struct replay *r);

/** report_broken_promises() - B12: says which policy's silent expiries led skips too far, if any */
bool report_broken_promises(FILE *to, const char *name, const struct replay *r);

/** report_json_new(), report_json_add() - all traces in one object */
json_t *report_json_new(const struct report_options *o, int argc, char **argv);
void report_json_add(json_t *root, const char *name, const struct replay *r,
		     const struct report_options *o);

#endif
