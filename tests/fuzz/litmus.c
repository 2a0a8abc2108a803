// SPDX-License-Identifier: BSD-2-Clause
/*
 * A litmus test: taken, and then it can be run (bounded), or refused in exactly one line.
 */
#include <string.h>

#include "file.h"
#include "litmus/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct lazytsc_check check = { .model = LAZYTSC_TSO, .limits.executions = 200 };
	char *text = calloc(1, size + 1), *said = NULL;
	struct lazytsc_litmus_result r;
	struct lazytsc_litmus *t;
	size_t n = 0;
	FILE *err = open_memstream(&said, &n);

	if (!text || !err)
		abort();
	memcpy(text, data, size);
	t = litmus_parse("fuzz", text, size, err);
	fclose(err);
	if (t) {
		if (n || !lazytsc_litmus_run(t, &check, false, &r))
			abort();
		lazytsc_check_release(&r.check);
	} else if (!n || memchr(said, '\n', n) != said + n - 1) {
		abort();
	}
	litmus_free(t);
	free(said);
	free(text);
	return 0;
}
