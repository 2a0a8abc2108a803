// SPDX-License-Identifier: BSD-2-Clause
/*
 * A table of expected results: taken, with at least one test, each found by its name; or refused in
 * exactly one line.
 */
#include <string.h>

#include "file.h"
#include "litmus/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct litmus_table table;
	char path[32], *said = NULL;
	size_t n = 0;
	FILE *err = open_memstream(&said, &n);
	int fd = fuzz_file(data, size, path);
	bool taken = litmus_table_read(&table, path, err);

	fclose(err);
	if (taken) {
		if (n || !table.n)
			abort();
		for (size_t i = 0; i < table.n; i++)
			if (litmus_table_find(&table, table.row[i].test) != &table.row[i])
				abort();
		litmus_table_free(&table);
	} else if (!n || memchr(said, '\n', n) != said + n - 1) {
		abort();
	}
	free(said);
	close(fd);
	return 0;
}
