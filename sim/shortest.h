/* SPDX-License-Identifier: BSD-2-Clause */
/* The smallest counterexample of a cell in which something is violated. */
#ifndef LAZYTSC_SIM_SHORTEST_H
#define LAZYTSC_SIM_SHORTEST_H

#include <lazytsc/sim/explore.h>

/* More steps than these are never enabled in one state. */
enum { LAZYTSC_ENABLED_MAX = 128 };

/* Has the step that was performed last broken a rule, or an assertion? */
bool lazytsc_violated(struct lazytsc_stepper *stepper);

/*
 * Fills the result's fields of a violation, which there must be. Returns false without memory.
 */
bool shortest(const struct lazytsc_cell *cell, struct lazytsc_stepper *stepper,
	      struct lazytsc_explored *result);

#endif
