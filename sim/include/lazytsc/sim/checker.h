/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All executions of a program under a memory model: a stateless search with optimal partial-order
 * reduction. It visits each execution (each Mazurkiewicz trace: which write each read reads from,
 * and in which order the writes of a field reach memory) exactly once. docs/soundness.md says how
 * and why.
 *
 * How to use it. Write the threads as functions over the port (<lazytsc/sim/program.h>). State what
 * must hold with lazytsc_assert() in them, or in `final`, at the end of each execution. Write a
 * spin loop as one load and lazytsc_assume(): executions that would spin are counted as blocked.
 * Threads may communicate only through shared fields, and must not use lazytsc_event_if().
 *
 * Counts, verdict, outcomes and counterexample depend on the program, the model and the limits on
 * executions and depth alone, and not on the number of jobs.
 */
#ifndef LAZYTSC_SIM_CHECKER_H
#define LAZYTSC_SIM_CHECKER_H

#include <lazytsc/sim/program.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A complete execution, as `final` sees it. */
struct lazytsc_final;

/* What memory holds at the end in the field at this offset in the program's shared fields. */
u64 lazytsc_final_memory(const struct lazytsc_final *f, size_t offset);

/* A thread's own block as the thread left it. */
const void *lazytsc_final_own(const struct lazytsc_final *f, unsigned thread);

enum lazytsc_check_bound {
	LAZYTSC_COMPLETE, /* no bound was met: the search was exhaustive */
	LAZYTSC_BOUND_DEPTH,
	LAZYTSC_BOUND_EXECUTIONS,
	LAZYTSC_BOUND_TIME,
	LAZYTSC_BOUND_MEMORY
};

struct lazytsc_progress {
	u64 executions; /* so far */
	double part; /* how much of the search is done, 0 to 1: an estimate */
	double seconds;
};

/*
 * Limits; 0 stands for none, or for the default. Some 100,000 events in one execution are the most
 * that the search's own stack holds; beyond that it ends as for lack of memory.
 */
struct lazytsc_check_limits {
	unsigned depth; /* events of one thread; default 1000, at most 65,000 */
	u64 executions;
	double seconds;
	size_t memory; /* bytes */
};

/* The limit on depth that a search with these limits uses: the default, if none is given. */
unsigned lazytsc_check_depth(const struct lazytsc_check_limits *limits);

struct lazytsc_check {
	const struct lazytsc_program *program;
	enum lazytsc_model model;
	struct lazytsc_check_limits limits;
	unsigned jobs; /* OS threads; 0: one */
	bool stop; /* at the first violation; else the search goes on and counts them */
	/*
	 * Called at the end of each complete execution in which no assertion failed; may be NULL.
	 * Fills outcome (outcome_size bytes, zeroed). Returns false where the execution is a
	 * violation. Runs on several OS threads at a time.
	 */
	bool (*final)(const struct lazytsc_final *f, void *outcome, const void *arg);
	size_t outcome_size; /* 0: outcomes are not collected */
	const void *arg; /* of final */
	/* Called about twice a second; may be NULL. */
	void (*progress)(const struct lazytsc_progress *p, void *arg);
	void *progress_arg;
};

struct lazytsc_check_outcome {
	u64 executions; /* that end in it */
	const void *data; /* outcome_size bytes */
};

struct lazytsc_check_result {
	u64 executions; /* complete ones, the violations among them */
	u64 blocked; /* in which some thread waits for good at an assumption */
	u64 cut; /* in which some thread met the limit on depth */
	u64 violations; /* complete, blocked or cut executions in which an assertion failed, and
			   those that final refused */
	enum lazytsc_check_bound bound;
	size_t outcomes;
	struct lazytsc_check_outcome *outcome; /* sorted by their bytes */
	/*
	 * The first violation in the order of the search: the assertion that failed ("file:line:
	 * function: text"), and a schedule that leads a stepper there; NULL where there is none.
	 */
	char *violation, *schedule;
};

/**
 * lazytsc_check_run() - visit all executions
 * @check:  what to do
 * @result: what was found; to be released with lazytsc_check_release()
 *
 * If a thread does not do the same when it is run again, or asks for an operation that the search
 * does not have, the program is faulty: the function says so on stderr and aborts.
 *
 * Return: false when there was no memory to start with.
 */
bool lazytsc_check_run(const struct lazytsc_check *check, struct lazytsc_check_result *result);

/** lazytsc_check_release() - free what lazytsc_check_run() left in @result, whatever it returned */
void lazytsc_check_release(struct lazytsc_check_result *result);

/* Writes "complete", or the bound that was met, as in "bounded at N executions", to @text. */
void lazytsc_check_verdict(const struct lazytsc_check *check,
			   const struct lazytsc_check_result *result, char text[64]);

#ifdef __cplusplus
}
#endif

#endif
