// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "expect.h"

enum column { TEST, SC, TSO, SC_OUTCOMES, TSO_OUTCOMES, SC_EXECUTIONS, TSO_EXECUTIONS, COLUMNS };

static const char *const headings[COLUMNS] = { "test",		"sc",		"tso",
					       "sc_outcomes",	"tso_outcomes", "sc_executions",
					       "tso_executions" };

enum { MAX_FIELDS = 64, MAX_LINE = 4096 };

struct reader {
	const char *path;
	FILE *err;
	unsigned line;
	unsigned place[COLUMNS]; /* which field of a line is this column */
};

/* Splits a line at its tabs. Returns how many fields there are. */
static unsigned split(char *line, char *fields[MAX_FIELDS])
{
	unsigned n = 0;

	line[strcspn(line, "\r\n")] = 0;
	do {
		fields[n++] = strsep(&line, "\t");
	} while (line && n < MAX_FIELDS);
	return n;
}

static bool read_headings(struct reader *r, char *line)
{
	char *fields[MAX_FIELDS];
	unsigned n = split(line, fields);

	for (unsigned c = 0; c < COLUMNS; c++) {
		unsigned i = 0;

		while (i < n && strcmp(fields[i], headings[c]))
			i++;
		if (i == n) {
			cli_say(r->err, "%s:%u: expected a heading '%s', found none", r->path,
				r->line, headings[c]);
			return false;
		}
		r->place[c] = i;
	}
	return true;
}

static bool read_count(struct reader *r, const char *text, u64 *count)
{
	char *end;

	errno = 0;
	*count = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno)
		return true;
	cli_say(r->err, "%s:%u: expected a count, found '%.40s'", r->path, r->line, text);
	return false;
}

static bool read_verdict(struct reader *r, const char *text, char **verdict)
{
	if (strcmp(text, "allow") && strcmp(text, "forbid") && strcmp(text, "holds") &&
	    strcmp(text, "fails")) {
		cli_say(r->err, "%s:%u: expected allow, forbid, holds or fails, found '%.40s'",
			r->path, r->line, text);
		return false;
	}
	*verdict = strdup(text);
	return *verdict != NULL;
}

static bool read_row(struct reader *r, char *line, struct litmus_expected *row)
{
	char *fields[MAX_FIELDS];
	unsigned n = split(line, fields);

	for (unsigned c = 0; c < COLUMNS; c++) {
		if (r->place[c] < n)
			continue;
		cli_say(r->err, "%s:%u: expected a field '%s', found the end of the line", r->path,
			r->line, headings[c]);
		return false;
	}
	row->test = strdup(fields[r->place[TEST]]);
	return row->test && read_verdict(r, fields[r->place[SC]], &row->verdict[LAZYTSC_SC]) &&
	       read_verdict(r, fields[r->place[TSO]], &row->verdict[LAZYTSC_TSO]) &&
	       read_count(r, fields[r->place[SC_OUTCOMES]], &row->outcomes[LAZYTSC_SC]) &&
	       read_count(r, fields[r->place[TSO_OUTCOMES]], &row->outcomes[LAZYTSC_TSO]) &&
	       read_count(r, fields[r->place[SC_EXECUTIONS]], &row->executions[LAZYTSC_SC]) &&
	       read_count(r, fields[r->place[TSO_EXECUTIONS]], &row->executions[LAZYTSC_TSO]);
}

static int compare_rows(const void *a, const void *b)
{
	return strcmp(((const struct litmus_expected *)a)->test,
		      ((const struct litmus_expected *)b)->test);
}

static bool read_rows(struct reader *r, struct litmus_table *table, FILE *f)
{
	char line[MAX_LINE + 1];
	size_t room = 0;
	bool ok = true;

	while (ok && fgets(line, sizeof(line), f)) {
		r->line++;
		if (strlen(line) == MAX_LINE && line[MAX_LINE - 1] != '\n') {
			cli_say(r->err, "%s:%u: expected a line of less than %d bytes", r->path,
				r->line, MAX_LINE);
			return false;
		}
		if (r->line == 1) {
			ok = read_headings(r, line);
			continue;
		}
		if (line[strspn(line, " \t\r\n")] == 0)
			continue;
		if (table->n == room) {
			struct litmus_expected *row;

			room = room ? 2 * room : 64;
			row = realloc(table->row, room * sizeof(*row));
			if (!row) {
				ok = false;
				break;
			}
			table->row = row;
		}
		table->row[table->n] = (struct litmus_expected){ 0 };
		ok = read_row(r, line, &table->row[table->n++]);
	}
	return ok;
}

bool litmus_table_read(struct litmus_table *table, const char *path, FILE *err)
{
	struct reader r = { .path = path, .err = err };
	FILE *f = fopen(path, "r");
	bool ok;

	*table = (struct litmus_table){ 0 };
	if (!f) {
		cli_say(err, "%s: %s", path, strerror(errno));
		return false;
	}
	errno = 0;
	ok = read_rows(&r, table, f);
	if (ok && !ferror(f) && r.line && !table->n) {
		cli_say(err, "%s: expected a test, found headings alone", path);
		ok = false;
	}
	if (ok && (ferror(f) || !r.line)) {
		cli_say(err, "%s: %s", path, ferror(f) ? strerror(errno) : "empty");
		ok = false;
	}
	fclose(f);
	if (!ok) {
		litmus_table_free(table);
		return false;
	}
	qsort(table->row, table->n, sizeof(*table->row), compare_rows);
	for (size_t i = 1; ok && i < table->n; i++) {
		if (!compare_rows(&table->row[i - 1], &table->row[i])) {
			cli_say(err, "%s: the test '%s' occurs twice", path, table->row[i].test);
			ok = false;
		}
	}
	if (!ok)
		litmus_table_free(table);
	return ok;
}

void litmus_table_free(struct litmus_table *table)
{
	for (size_t i = 0; i < table->n; i++) {
		free(table->row[i].test);
		free(table->row[i].verdict[LAZYTSC_SC]);
		free(table->row[i].verdict[LAZYTSC_TSO]);
	}
	free(table->row);
	*table = (struct litmus_table){ 0 };
}

const struct litmus_expected *litmus_table_find(const struct litmus_table *table, const char *test)
{
	const struct litmus_expected key = { .test = (char *)test };

	if (!table->n)
		return NULL;
	return bsearch(&key, table->row, table->n, sizeof(*table->row), compare_rows);
}

const char *litmus_verdict(const struct lazytsc_litmus *t, const struct lazytsc_litmus_result *r)
{
	if (t->quantifier == LAZYTSC_LITMUS_FORALL)
		return r->negative ? "fails" : "holds";
	return r->positive ? "allow" : "forbid";
}

bool litmus_compare(const struct litmus_expected *row, const struct lazytsc_litmus *t,
		    const struct lazytsc_litmus_result *r, enum lazytsc_model model, FILE *out)
{
	const char *verdict = litmus_verdict(t, r);

	if (!strcmp(verdict, row->verdict[model]) && r->condition_states == row->outcomes[model] &&
	    r->check.executions == row->executions[model])
		return true;
	fprintf(out,
		"%s: expected %s, %llu outcomes, %llu executions; found %s, %zu outcomes, %llu executions\n",
		t->name, row->verdict[model], (unsigned long long)row->outcomes[model],
		(unsigned long long)row->executions[model], verdict, r->condition_states,
		(unsigned long long)r->check.executions);
	return false;
}
