// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>

#include "cli.h"
#include "table.h"

struct libscols_table *table_new(const char *const *names, size_t n, unsigned int left)
{
	struct libscols_table *tb = scols_new_table();

	if (!tb)
		cli_no_memory();
	scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER);
	scols_table_set_column_separator(tb, "  ");
	for (size_t i = 0; i < n; i++) {
		int flags = left & 1u << i ? 0 : SCOLS_FL_RIGHT;

		if (!scols_table_new_column(tb, names[i], 0, flags))
			cli_no_memory();
	}
	return tb;
}

struct libscols_line *table_line(struct libscols_table *tb)
{
	struct libscols_line *line = scols_table_new_line(tb, NULL);

	if (!line)
		cli_no_memory();
	return line;
}

void table_cell(struct libscols_line *line, size_t column, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int length;

	va_start(ap, fmt);
	length = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (length < 0 || scols_line_refer_data(line, column, text))
		cli_no_memory();
}

void table_print(FILE *to, struct libscols_table *tb)
{
	scols_table_set_stream(tb, to);
	if (scols_print_table(tb) && !ferror(to))
		cli_no_memory();
	scols_unref_table(tb);
}
