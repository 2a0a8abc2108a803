// SPDX-License-Identifier: BSD-2-Clause
/*
 * How fast the exhaustive search is, on the shapes of SV-COMP's lamport.c and Tracer's peterson.c:
 * one line for each, "NAME JOBS EXECUTIONS SECONDS CPU-SECONDS", the best of several runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lazytsc/sim/algorithms.h>
#include <lazytsc/sim/checker.h>

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool measure(const char *name, enum lazytsc_algorithm which, unsigned rounds, unsigned jobs,
		    unsigned runs)
{
	const struct lazytsc_algorithm_options options = { .rounds = rounds, .tries = 2 };
	struct lazytsc_thread threads[2];
	const struct lazytsc_program program = lazytsc_algorithm(which, &options, threads);
	const struct lazytsc_check check = { .program = &program,
					     .model = LAZYTSC_SC,
					     .jobs = jobs };
	struct lazytsc_check_result result = { 0 };
	double best = 0, best_cpu = 0;

	for (unsigned i = 0; i < runs; i++) {
		double start = now(CLOCK_MONOTONIC), wall;
		double start_cpu = now(CLOCK_PROCESS_CPUTIME_ID), cpu;

		lazytsc_check_release(&result);
		if (!lazytsc_check_run(&check, &result))
			return false;
		wall = now(CLOCK_MONOTONIC) - start;
		cpu = now(CLOCK_PROCESS_CPUTIME_ID) - start_cpu;
		if (!i || wall < best)
			best = wall;
		if (!i || cpu < best_cpu)
			best_cpu = cpu;
	}
	printf("%s %u %llu %.6f %.6f\n", name, jobs, (unsigned long long)result.executions, best,
	       best_cpu);
	lazytsc_check_release(&result);
	return true;
}

int main(void)
{
	bool ok = measure("lamport", LAZYTSC_LAMPORT_FAST, 2, 1, 20) &&
		  measure("peterson", LAZYTSC_PETERSON, 2, 1, 50) &&
		  measure("szymanski", LAZYTSC_SZYMANSKI, 2, 1, 20) &&
		  measure("peterson-3", LAZYTSC_PETERSON, 3, 1, 5) &&
		  measure("peterson-3", LAZYTSC_PETERSON, 3, 2, 5);

	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
