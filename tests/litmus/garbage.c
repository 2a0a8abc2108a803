// SPDX-License-Identifier: BSD-2-Clause
/*
 * The reader of litmus tests on damaged files: bytes changed, removed, doubled, swapped, pieces of
 * other tests put in, the end cut off. It never crashes and never hangs; it takes the file, and
 * then the test can be run, or says in exactly one line what is wrong with it. The damage is that
 * of seeds 0, 1, 2, ...: a failure names one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "litmus/parse.h"

enum { MAX_FILES = 200, MAX_TEXT = 8192, ROUNDS = 6000 };

static char *texts[MAX_FILES];
static unsigned files;

static int load(void **state)
{
	DIR *dir = opendir(LITMUS_DIR);

	(void)state;
	assert_non_null(dir);
	for (struct dirent *e = readdir(dir); e && files < MAX_FILES; e = readdir(dir)) {
		char path[1024], *text = calloc(1, MAX_TEXT + 1);
		FILE *f;

		if (!strstr(e->d_name, ".litmus")) {
			free(text);
			continue;
		}
		snprintf(path, sizeof(path), "%s/%s", LITMUS_DIR, e->d_name);
		f = fopen(path, "r");
		assert_non_null(f);
		assert_true(fread(text, 1, MAX_TEXT, f) > 0);
		fclose(f);
		texts[files++] = text;
	}
	closedir(dir);
	assert_true(files > 10);
	return 0;
}

static int unload(void **state)
{
	(void)state;
	while (files)
		free(texts[--files]);
	return 0;
}

/* SplitMix64. */
static u64 next(u64 *seed)
{
	u64 z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static size_t damage(u64 *seed, char *text, size_t size)
{
	static const char symbols[] = "{}()[];:|=$,~/\\*\"'-&%0 \n\t\0\xffPXRE";
	const char *other = texts[next(seed) % files];
	size_t at = size ? next(seed) % size : 0, n = next(seed) % 20;

	switch (next(seed) % 5) {
	case 0:
		if (size)
			text[at] = symbols[next(seed) % (sizeof(symbols) - 1)];
		break;
	case 1:
		n = n < size - at ? n : size - at;
		memmove(text + at, text + at + n, size - at - n);
		return size - n;
	case 2:
		if (next(seed) % 4 == 0)
			return at;
		break;
	default:
		n = n < strlen(other) ? n : strlen(other);
		if (size + n > MAX_TEXT)
			break;
		memmove(text + at + n, text + at, size - at);
		memcpy(text + at, other + next(seed) % (strlen(other) - n + 1), n);
		return size + n;
	}
	return size;
}

static void one_line_or_a_test(void **state)
{
	unsigned taken = 0;

	(void)state;
	for (u64 round = 0; round < ROUNDS; round++) {
		u64 seed = round;
		const char *from = texts[next(&seed) % files];
		size_t size = strlen(from), said_size;
		char *text = malloc(MAX_TEXT + 1), *said = NULL;
		struct lazytsc_litmus *t;
		FILE *err = open_memstream(&said, &said_size);

		assert_true(text && err);
		memcpy(text, from, size);
		for (u64 n = 1 + next(&seed) % 3; n; n--)
			size = damage(&seed, text, size);
		text[size] = 0;
		t = litmus_parse("damaged", text, size, err);
		fclose(err);
		if (t) {
			const struct lazytsc_check check = { .model = LAZYTSC_TSO,
							     .limits.executions = 1000 };
			struct lazytsc_litmus_result r;

			assert_true(lazytsc_litmus_run(t, &check, false, &r));
			lazytsc_check_release(&r.check);
			assert_int_equal(said_size, 0);
			taken++;
		} else if (!said_size || strchr(said, '\n') != said + said_size - 1) {
			fail_msg("seed %llu: not one line: %s", (unsigned long long)round, said);
		}
		litmus_free(t);
		free(said);
		free(text);
	}
	/* Damage that nothing survives, or that changes nothing, would prove nothing. */
	assert_in_range(taken, ROUNDS / 100, ROUNDS * 9 / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line_or_a_test),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
