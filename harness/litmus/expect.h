/* SPDX-License-Identifier: BSD-2-Clause */
/* A table of what litmus tests are expected to give. */
#ifndef LAZYTSC_LITMUS_EXPECT_H
#define LAZYTSC_LITMUS_EXPECT_H

#include <stdio.h>

#include <lazytsc/sim/litmus.h>

struct litmus_expected {
	char *test;
	char *verdict[2]; /* by model: "allow", "forbid", "holds", "fails" */
	u64 outcomes[2], executions[2];
};

struct litmus_table {
	size_t n;
	struct litmus_expected *row;
};

/**
 * litmus_table_read() - read a table
 * @path: a file of tab-separated columns, with a line of headings: test, sc, tso, sc_outcomes,
 *        tso_outcomes, sc_executions, tso_executions, in any order, and others, ignored
 * @err:  where to say what is wrong with it, in one line
 *
 * Return: false after an error; else to be released with litmus_table_free().
 */
bool litmus_table_read(struct litmus_table *table, const char *path, FILE *err);
void litmus_table_free(struct litmus_table *table);

/* The row of a test; NULL: it is not there. */
const struct litmus_expected *litmus_table_find(const struct litmus_table *table, const char *test);

/* The verdict of a result, in the table's words. */
const char *litmus_verdict(const struct lazytsc_litmus *t, const struct lazytsc_litmus_result *r);

/* Compares; says in one line what differs. Returns whether nothing does. */
bool litmus_compare(const struct litmus_expected *row, const struct lazytsc_litmus *t,
		    const struct lazytsc_litmus_result *r, enum lazytsc_model model, FILE *out);

#endif
