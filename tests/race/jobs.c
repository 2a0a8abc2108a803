// SPDX-License-Identifier: BSD-2-Clause
/*
 * The checker with several jobs, and with limits: counts, outcomes, verdict and schedule are those
 * of one job, also where the search is stopped by a violation or by a limit on executions or depth;
 * every limit stops the search and says so; progress only grows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/sim/algorithms.h>
#include <lazytsc/sim/checker.h>

static void run(enum lazytsc_algorithm which, struct lazytsc_algorithm_options options,
		struct lazytsc_check check, struct lazytsc_check_result *result)
{
	struct lazytsc_thread threads[2];
	const struct lazytsc_program program = lazytsc_algorithm(which, &options, threads);

	check.program = &program;
	assert_true(lazytsc_check_run(&check, result));
}

static bool final(const struct lazytsc_final *f, void *outcome, const void *arg)
{
	u64 *o = outcome;

	(void)arg;
	for (unsigned i = 0; i < 4; i++)
		o[i] = lazytsc_final_memory(f, i * sizeof(u64));
	return true;
}

static void any_number_of_jobs(void **state)
{
	static const struct lazytsc_check variants[] = {
		{ .model = LAZYTSC_TSO },
		{ .model = LAZYTSC_TSO, .stop = true },
		{ .model = LAZYTSC_TSO, .limits.executions = 777 },
		{ .model = LAZYTSC_TSO, .limits.executions = 1 },
		{ .model = LAZYTSC_TSO, .limits.depth = 12 },
		{ .model = LAZYTSC_SC },
	};

	(void)state;
	for (size_t v = 0; v < sizeof(variants) / sizeof(variants[0]); v++) {
		struct lazytsc_check_result r[4];

		for (unsigned j = 0; j < 4; j++) {
			struct lazytsc_check check = variants[v];

			check.jobs = j ? 2 * j - 1 : 2;
			check.final = final;
			check.outcome_size = 4 * sizeof(u64);
			run(LAZYTSC_PETERSON, (struct lazytsc_algorithm_options){ 2, 2, 0, 0 },
			    check, &r[j]);
			assert_int_equal(r[j].executions, r[0].executions);
			assert_int_equal(r[j].blocked, r[0].blocked);
			assert_int_equal(r[j].cut, r[0].cut);
			assert_int_equal(r[j].violations, r[0].violations);
			assert_int_equal(r[j].bound, r[0].bound);
			assert_int_equal(r[j].outcomes, r[0].outcomes);
			for (size_t i = 0; i < r[0].outcomes; i++) {
				assert_int_equal(r[j].outcome[i].executions,
						 r[0].outcome[i].executions);
				assert_memory_equal(r[j].outcome[i].data, r[0].outcome[i].data,
						    check.outcome_size);
			}
			assert_int_equal(!r[j].schedule, !r[0].schedule);
			if (r[0].schedule)
				assert_string_equal(r[j].schedule, r[0].schedule);
		}
		for (unsigned j = 0; j < 4; j++)
			lazytsc_check_release(&r[j]);
	}
}

static void limits(void **state)
{
	static const struct {
		struct lazytsc_check_limits limits;
		enum lazytsc_check_bound bound;
		const char *verdict;
	} cases[] = {
		{ { .depth = 10 }, LAZYTSC_BOUND_DEPTH, "bounded at 10 events of a thread" },
		{ { .executions = 100 }, LAZYTSC_BOUND_EXECUTIONS, "bounded at 100 executions" },
		{ { .seconds = 0.01 }, LAZYTSC_BOUND_TIME, "bounded at 0.01 s" },
		{ { .memory = 1 << 20 }, LAZYTSC_BOUND_MEMORY, "bounded at 1 MiB" },
		{ { .executions = 1000000000 }, LAZYTSC_COMPLETE, "complete" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* Long enough that it would not end before the machine looks at the clock. */
		const unsigned rounds = cases[i].bound == LAZYTSC_COMPLETE ? 1 : 6;
		struct lazytsc_check check = { .limits = cases[i].limits };
		struct lazytsc_check_result r;
		char verdict[64];

		run(LAZYTSC_LAMPORT_FAST, (struct lazytsc_algorithm_options){ rounds, 3, 0, 0 },
		    check, &r);
		assert_int_equal(r.bound, cases[i].bound);
		lazytsc_check_verdict(&check, &r, verdict);
		assert_string_equal(verdict, cases[i].verdict);
		if (cases[i].bound == LAZYTSC_BOUND_EXECUTIONS)
			assert_int_equal(r.executions, 100);
		lazytsc_check_release(&r);
	}
}

static void tell(const struct lazytsc_progress *p, void *arg)
{
	double *part = arg;

	assert_true(p->part >= *part && p->part <= 1.000001);
	*part = p->part;
}

static void progress(void **state)
{
	double part = 0;
	struct lazytsc_check_result r;

	(void)state;
	run(LAZYTSC_LAMPORT_FAST, (struct lazytsc_algorithm_options){ 6, 3, 0, 0 },
	    (struct lazytsc_check){
		    .limits.seconds = 1.2, .progress = tell, .progress_arg = &part },
	    &r);
	assert_int_equal(r.bound, LAZYTSC_BOUND_TIME);
	assert_true(part > 0);
	lazytsc_check_release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_number_of_jobs),
		cmocka_unit_test(limits),
		cmocka_unit_test(progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
