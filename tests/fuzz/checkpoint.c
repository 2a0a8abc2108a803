// SPDX-License-Identifier: BSD-2-Clause
/*
 * A checkpoint, resumed and merged with itself: no cell is taken twice, and every result that was
 * taken can be found. The fuzzer's bytes are what follows the first line, or with a first byte of 0
 * all of it. The program that wrote it is called "fuzz", so that a seed can be a whole file.
 */
#include <string.h>

#include "checkpoint.h"
#include "file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static char header[4096];
static size_t header_size;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct check_run run = { .shards = 1, .threads = 1 };
	struct check_point *point = check_point_new("fuzz");
	const struct lazytsc_scenario *scenarios[] = { lazytsc_scenario_at(0),
						       lazytsc_scenario_at(1) };
	char path[32];
	int fd = fuzz_file(NULL, 0, path);

	(void)argc;
	(void)argv;
	check_subject_find(&run.subject, "lazy");
	if (check_point_resume(point, &run, path, scenarios, 2))
		abort();
	check_point_free(point);
	header_size = (size_t)pread(fd, header, sizeof(header), 0);
	close(fd);
	return 0;
}

/* Returns how many cells are known. */
static unsigned int known(struct check_point *point)
{
	const struct lazytsc_scenario *s;
	unsigned int n = 0;

	for (unsigned int i = 0; (s = lazytsc_scenario_at(i)); i++) {
		for (unsigned int cell = 0; cell < lazytsc_scenario_cells(s); cell++) {
			struct lazytsc_explored e;

			if (!check_point_find(point, s, cell, &e))
				continue;
			n++;
			lazytsc_explored_fini(&e);
		}
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct check_run run = { .shards = 1, .threads = 1 };
	struct check_point *point = check_point_new("fuzz");
	bool whole = size && !data[0];
	size_t head = whole ? 0 : header_size;
	uint8_t *text = malloc(head + size + 1);
	char path[32];
	int fd;

	if (!text)
		abort();
	memcpy(text, header, head);
	memcpy(text + head, data + whole, size - whole);
	fd = fuzz_file(text, head + size - whole, path);
	if (!check_point_read(point, &run, path)) {
		unsigned int cells = known(point);

		if (cells && !check_point_read(point, &run, path))
			abort();
		if (known(point) != cells)
			abort();
	}
	check_point_free(point);
	free(text);
	close(fd);
	return 0;
}
