/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The search visits every state of a cell of a scenario.
 *
 * lazytsc_sweep() searches depth first and says whether anything is violated. It visits each state
 * once, and recognises states by a hash (lazytsc_stepper_hash()). lazytsc_shortest() searches
 * breadth first for the violation with the fewest steps; among these for the one with the fewest
 * context switches; and among these for the first in the order of the search. So the same cell
 * always gives the same answer.
 */
#ifndef LAZYTSC_SIM_EXPLORE_H
#define LAZYTSC_SIM_EXPLORE_H

#include <lazytsc/sim/scenario.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lazytsc_explore_outcome {
	LAZYTSC_HOLDS, /* every state was visited, and nothing is violated */
	LAZYTSC_VIOLATED,
	LAZYTSC_BOUNDED, /* the search stopped at a bound before it could say either */
	LAZYTSC_CYCLE, /* the machine comes back to a state of its path: it may go on forever */
	LAZYTSC_NO_MEMORY
};

struct lazytsc_explored {
	enum lazytsc_explore_outcome outcome;
	u64 states; /* different ones, the first included */
	u64 transitions; /* steps from one state to another */
	u64 ends; /* states after which nothing can happen */
	unsigned int longest; /* steps of the longest path */

	/* Of a violation. */
	struct lazytsc_broken broken; /* by a rule; rule 0: an assertion failed */
	struct lazytsc_step *path; /* to be freed by lazytsc_explored_fini() */
	unsigned int steps, switches;
};

/**
 * lazytsc_sweep() - visit every state of a cell
 * @states: visit no more than these; 0: no bound
 * @result: filled; to be released with lazytsc_explored_fini(). The counts are exact if the outcome
 *          is LAZYTSC_HOLDS. No path is given for a violation: see lazytsc_shortest().
 *
 * Context: any OS thread; cells can be searched at the same time.
 */
void lazytsc_sweep(const struct lazytsc_cell *cell, enum lazytsc_model model, u64 states,
		   struct lazytsc_explored *result);

/**
 * lazytsc_shortest() - the smallest counterexample of a cell
 * @max_steps: look for no counterexample with more steps; 0: no bound
 * @result:    filled; LAZYTSC_HOLDS if there is no counterexample, LAZYTSC_BOUNDED if there is none
 *             with so few steps
 *
 * Context: as lazytsc_sweep().
 */
void lazytsc_shortest(const struct lazytsc_cell *cell, enum lazytsc_model model,
		      unsigned int max_steps, struct lazytsc_explored *result);

/** lazytsc_explored_fini() - free the path that lazytsc_shortest() left in @result */
void lazytsc_explored_fini(struct lazytsc_explored *result);

enum lazytsc_verdict {
	LAZYTSC_SOUND,
	LAZYTSC_BROKEN, /* the step broke a rule, or an assertion failed */
	LAZYTSC_BROKEN_OTHER /* it broke a rule that does not count, see lazytsc_cell.only */
};

/** lazytsc_judge() - has the step that was performed last broken anything? */
enum lazytsc_verdict lazytsc_judge(const struct lazytsc_cell *cell,
				   struct lazytsc_stepper *stepper);

/* More steps than these are never enabled in one state. */
enum { LAZYTSC_ENABLED_MAX = 128 };

#ifdef __cplusplus
}
#endif

#endif
