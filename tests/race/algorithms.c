// SPDX-License-Identifier: BSD-2-Clause
/*
 * The checker on Dekker's, Peterson's, Lamport's and Szymanski's algorithms and on a sequence
 * counter, right and wrong, with and without fences, in both models: what is right passes, and what
 * is not is refuted, with a schedule that leads the step-by-step machine to the same failure. The
 * numbers of executions are those of other checkers where they have published them (Nidhugg, on the
 * SV-COMP and Tracer shapes).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/sim/algorithms.h>
#include <lazytsc/sim/checker.h>
#include <lazytsc/sim/step.h>

static void run(enum lazytsc_algorithm which, struct lazytsc_algorithm_options options,
		struct lazytsc_check check, struct lazytsc_check_result *result)
{
	struct lazytsc_thread threads[2];
	const struct lazytsc_program program = lazytsc_algorithm(which, &options, threads);

	check.program = &program;
	assert_true(lazytsc_check_run(&check, result));
}

/* The schedule makes the step-by-step machine fail as well. */
static void confirm(enum lazytsc_algorithm which, struct lazytsc_algorithm_options options,
		    enum lazytsc_model model, const char *schedule)
{
	struct lazytsc_thread threads[2];
	const struct lazytsc_program program = lazytsc_algorithm(which, &options, threads);
	struct lazytsc_stepper *s = lazytsc_stepper_new(
		&(struct lazytsc_stepper_config){ .program = &program, .model = model });
	struct lazytsc_step step;

	assert_non_null(s);
	while (*schedule) {
		schedule = lazytsc_step_parse(schedule, &step);
		assert_non_null(schedule);
		assert_true(lazytsc_stepper_is_enabled(s, step));
		lazytsc_stepper_perform(s, step);
	}
	assert_int_equal(lazytsc_stepper_status(s), LAZYTSC_FAILED);
	lazytsc_stepper_free(s);
}

static void right_passes_and_wrong_fails(void **state)
{
	(void)state;
	for (unsigned n = 0; n < LAZYTSC_ALGORITHMS * 8; n++) {
		const enum lazytsc_algorithm which = n / 8;
		const enum lazytsc_model model = n & 1 ? LAZYTSC_TSO : LAZYTSC_SC;
		const struct lazytsc_algorithm_options options = { .rounds = 2,
								   .fences = n & 2,
								   .wrong = n & 4 };
		/* x86-TSO keeps the order of stores, and that of loads: nothing else is asked. */
		const bool enough = model == LAZYTSC_SC || options.fences ||
				    which == LAZYTSC_SEQCOUNT;
		struct lazytsc_check_result r;

		run(which, options, (struct lazytsc_check){ .model = model, .stop = true }, &r);
		if ((r.violations == 0) != (enough && !options.wrong))
			fail_msg("%s, %s, %s fences, %s: %llu violations",
				 lazytsc_algorithm_name(which),
				 model == LAZYTSC_SC ? "SC" : "x86-TSO",
				 options.fences ? "with" : "without",
				 options.wrong ? "wrong" : "right",
				 (unsigned long long)r.violations);
		if (r.violations) {
			assert_non_null(strstr(r.violation, "assertion failed"));
			confirm(which, options, model, r.schedule);
		}
		lazytsc_check_release(&r);
	}
}

/* With fences there is nothing that x86-TSO adds to SC: the same executions. */
static void counts(void **state)
{
	static const struct {
		enum lazytsc_algorithm which;
		struct lazytsc_algorithm_options options;
		enum lazytsc_model model;
		u64 executions, blocked;
	} cases[] = {
		{ LAZYTSC_LAMPORT_FAST, { 2, 2, false, false }, LAZYTSC_SC, 25828, 0 },
		{ LAZYTSC_PETERSON, { 2, 2, false, false }, LAZYTSC_SC, 2420, 0 },
		{ LAZYTSC_SZYMANSKI, { 2, 2, false, false }, LAZYTSC_SC, 22945, 0 },
		{ LAZYTSC_PETERSON, { 2, 2, true, false }, LAZYTSC_TSO, 2420, 0 },
		{ LAZYTSC_PETERSON, { 2, 0, true, false }, LAZYTSC_SC, 120, 190 },
		{ LAZYTSC_PETERSON, { 2, 0, true, false }, LAZYTSC_TSO, 120, 190 },
		{ LAZYTSC_LAMPORT_FAST, { 2, 0, true, false }, LAZYTSC_TSO, 1496, 2444 },
		{ LAZYTSC_SZYMANSKI, { 2, 0, true, false }, LAZYTSC_TSO, 78, 1913 },
		{ LAZYTSC_SEQCOUNT, { 2, 0, false, false }, LAZYTSC_TSO, 3, 44 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lazytsc_check_result r;

		run(cases[i].which, cases[i].options,
		    (struct lazytsc_check){ .model = cases[i].model }, &r);
		assert_int_equal(r.executions, cases[i].executions);
		assert_int_equal(r.blocked, cases[i].blocked);
		assert_int_equal(r.violations, 0);
		assert_int_equal(r.bound, LAZYTSC_COMPLETE);
		lazytsc_check_release(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_passes_and_wrong_fails),
		cmocka_unit_test(counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
