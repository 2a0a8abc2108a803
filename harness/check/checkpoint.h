/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of cells, in a file: to resume a search, and to put shards together.
 *
 * JSON, one object a line. The first says what is searched and by which program: results of another
 * program are not mixed in. Each further line is a cell that is done. A last line that was cut off
 * is ignored.
 */
#ifndef LAZYTSC_CHECK_POINT_H
#define LAZYTSC_CHECK_POINT_H

#include "check.h"

struct check_point;

/* Which program this is: a hash of its own bytes, as text. */
enum { CHECK_POINT_PROGRAM = 17 };
void check_point_program(char text[CHECK_POINT_PROGRAM]);

/* Nothing is known yet. @program: what check_point_program() says. */
struct check_point *check_point_new(const char *program);
void check_point_free(struct check_point *point);

/*
 * Reads a file into what is known. Its subject must be that of the files read before, and of *run
 * where that names one; else *run gets it. A cell that is known already is refused. Returns an enum
 * cli_status, a failure told on stderr.
 */
int check_point_read(struct check_point *point, struct check_run *run, const char *file);

/* The scenarios that the first file is about, NULL at their end. */
const struct lazytsc_scenario *const *check_point_scenarios(const struct check_point *point);

/* Is the cell known? Then *result is filled. */
bool check_point_find(struct check_point *point, const struct lazytsc_scenario *s,
		      unsigned int cell, struct lazytsc_explored *result);

/*
 * Reads a file that may be missing or empty, and has further cells go to its end. It is locked: a
 * second process is refused. Returns an enum cli_status.
 */
int check_point_resume(struct check_point *point, struct check_run *run, const char *file,
		       const struct lazytsc_scenario *const *scenarios, size_t n);
void check_point_note(struct check_point *point, const struct lazytsc_scenario *s,
		      unsigned int cell, const struct lazytsc_explored *result);

/* Has all been written? A failure is told on stderr. */
bool check_point_written(struct check_point *point);

#endif
