/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Classic algorithms as programs for the checker: what it is tested and measured with, and examples
 * of how to write one's own.
 *
 * Four mutual exclusion algorithms for two threads, each with a critical section that stores the
 * thread's number and asserts that it reads it back; and a sequence counter as kvmclock has it, one
 * writer and one reader of two fields that must be equal.
 */
#ifndef LAZYTSC_SIM_ALGORITHMS_H
#define LAZYTSC_SIM_ALGORITHMS_H

#include <lazytsc/sim/program.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lazytsc_algorithm {
	LAZYTSC_DEKKER,
	LAZYTSC_PETERSON,
	LAZYTSC_LAMPORT_FAST, /* Lamport, "A fast mutual exclusion algorithm", 1987: the second */
	LAZYTSC_SZYMANSKI,
	LAZYTSC_SEQCOUNT,
	LAZYTSC_ALGORITHMS
};

struct lazytsc_algorithm_options {
	unsigned rounds; /* how often each thread goes through its critical section, or writes */
	/*
	 * How often a loop looks before its thread gives up and returns: with 2 rounds and 2 tries
	 * these are the shapes of SV-COMP's and Tracer's benchmarks. 0: as often as it takes (a
	 * load and an assumption).
	 */
	unsigned tries;
	bool fences; /* lazytsc_mb() between a store and a load where x86-TSO needs it */
	bool wrong; /* with a mistake, see algorithms.c */
};

/** lazytsc_algorithm_name() - its author or usual name, as reports have it; a constant */
const char *lazytsc_algorithm_name(enum lazytsc_algorithm which);

/**
 * lazytsc_algorithm() - a mutual exclusion algorithm as a program for lazytsc_check_run()
 * @options: how it is built; must outlive the program
 * @threads: filled; must outlive the program
 *
 * Loops without a limit on tries are assumptions: executions in which a thread waits forever count
 * as blocked.
 */
struct lazytsc_program lazytsc_algorithm(enum lazytsc_algorithm which,
					 const struct lazytsc_algorithm_options *options,
					 struct lazytsc_thread threads[2]);

#ifdef __cplusplus
}
#endif

#endif
