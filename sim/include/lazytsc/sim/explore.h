/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The search: every state of a cell of a scenario.
 *
 * First depth first, which says whether anything is violated. Each state is visited once; it is
 * known by a hash (lazytsc_stepper_hash()). Where something is violated, breadth first: the
 * violation with the fewest steps; of those with so many the one with the fewest context switches;
 * of those the first in the order of the search. So the same cell gives the same answer always.
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
	LAZYTSC_BOUNDED, /* it stopped at a bound before either */
	LAZYTSC_CYCLE, /* the machine comes back to a state: it may go on for ever */
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
 * @result: what was found; for lazytsc_explored_fini(). The counts are exact where it holds. Where
 *          it is violated, the path is not given: see lazytsc_shortest().
 *
 * Context: any OS thread; cells can be searched at the same time.
 */
void lazytsc_sweep(const struct lazytsc_cell *cell, enum lazytsc_model model, u64 states,
		   struct lazytsc_explored *result);

/**
 * lazytsc_shortest() - the smallest counterexample of a cell
 * @max_steps: of no interest where it has more steps; 0: no bound
 * @result:    filled; LAZYTSC_HOLDS where there is none, LAZYTSC_BOUNDED where there is none with
 *             so few steps
 *
 * Context: as lazytsc_sweep().
 */
void lazytsc_shortest(const struct lazytsc_cell *cell, enum lazytsc_model model,
		      unsigned int max_steps, struct lazytsc_explored *result);

/** lazytsc_explored_fini() - free the path that lazytsc_shortest() left in @result */
void lazytsc_explored_fini(struct lazytsc_explored *result);

enum lazytsc_verdict {
	LAZYTSC_SOUND,
	LAZYTSC_BROKEN, /* a rule, or an assertion */
	LAZYTSC_BROKEN_OTHER /* one that does not count, see struct lazytsc_cell */
};

/** lazytsc_judge() - what has the step done that was performed last? */
enum lazytsc_verdict lazytsc_judge(const struct lazytsc_cell *cell,
				   struct lazytsc_stepper *stepper);

/* More steps than these are never enabled in one state. */
enum { LAZYTSC_ENABLED_MAX = 128 };

#ifdef __cplusplus
}
#endif

#endif
