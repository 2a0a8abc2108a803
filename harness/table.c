// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>

#include "table.h"

struct libscols_table *table_new(const char *const *names, size_t n, unsigned int left)
{
	struct libscols_table *tb = scols_new_table();

	if (!tb)
		return NULL;
	scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER);
	scols_table_set_column_separator(tb, "  ");
	for (size_t i = 0; i < n; i++)
		scols_table_new_column(tb, names[i], 0, left & 1u << i ? 0 : SCOLS_FL_RIGHT);
	return tb;
}

void table_cell(struct libscols_line *line, size_t column, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) >= 0)
		scols_line_refer_data(line, column, text);
	va_end(ap);
}

void table_print(FILE *to, struct libscols_table *tb)
{
	scols_table_set_stream(tb, to);
	scols_print_table(tb);
	scols_unref_table(tb);
}
