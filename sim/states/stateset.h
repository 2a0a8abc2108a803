/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of states, each known by 96 bits of its hash, with a number for each. Of 10^9 states two
 * would be taken for one with a probability of 10^-11.
 */
#ifndef LAZYTSC_SIM_STATESET_H
#define LAZYTSC_SIM_STATESET_H

#include <lazytsc/sim/step.h>

struct stateset_slot {
	u64 low;
	u32 high;
	u32 number; /* the caller's; 0: the slot is free */
};

struct stateset {
	struct stateset_slot *slot;
	size_t slots, used;
};

/*
 * The slot of a state: free (then the caller sets its number) or taken. Good until the next call.
 * NULL: no memory.
 */
struct stateset_slot *stateset_get(struct stateset *set, struct lazytsc_state_hash hash);

void stateset_fini(struct stateset *set);

#endif
