/* SPDX-License-Identifier: BSD-2-Clause */
/* Aligned tables, the same on a terminal and in a file. Without memory the program ends. */
#ifndef LAZYTSC_TABLE_H
#define LAZYTSC_TABLE_H

#include <libsmartcols.h>
#include <stdio.h>

/* The bit of a column, for table_new(). */
#define TABLE_COLUMN(column) (1u << (column))

/* Columns are aligned to the right but those whose bit is set in `left`. */
struct libscols_table *table_new(const char *const *names, size_t n, unsigned int left);

struct libscols_line *table_line(struct libscols_table *tb);
__attribute__((format(printf, 3, 4))) void table_cell(struct libscols_line *line, size_t column,
						      const char *fmt, ...);

/* Prints and frees it. */
void table_print(FILE *to, struct libscols_table *tb);

#endif
