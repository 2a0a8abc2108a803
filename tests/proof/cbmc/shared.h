/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared memory of a contract: whoever is on the other side is hostile. Every load finds any value,
 * and what this side has stored, loaded and in which order is written down.
 */
#ifndef LAZYTSC_PROOF_SHARED_H
#define LAZYTSC_PROOF_SHARED_H

#include <lazytsc/abi.h>

static struct lazytsc_area area;

static struct {
	u64 armed; /* as it was stored or loaded last */
	u64 pending, done; /* what was stored or loaded last */
	u64 first_pending; /* what was loaded first */
	unsigned int armed_stores, armed_loads, pending_stores, pending_loads, done_stores,
		done_loads;
	bool raised; /* armed was raised, and pending not looked at since behind a barrier */
	bool ordered; /* a barrier since the last store */
	bool store_load; /* the last load came behind a barrier that came behind the last store */
	u64 tsc;
	unsigned int tsc_reads;
} ghost;

u64 lazytsc_load(const lazytsc_shared_t *p)
{
	u64 v = any_u64();

	ghost.store_load = ghost.ordered;
	if (p == &area.armed) {
		ghost.armed_loads++;
		ghost.armed = v;
	} else if (p == &area.pending) {
		if (!ghost.pending_loads++)
			ghost.first_pending = v;
		ghost.pending = v;
		if (ghost.ordered)
			ghost.raised = false;
	} else {
		ensure("B11: a load lies in the area", p == &area.done);
		ghost.done_loads++;
		ghost.done = v;
	}
	return v;
}

void lazytsc_store(lazytsc_shared_t *p, u64 v)
{
	ghost.ordered = false;
	if (p == &area.armed) {
		ghost.armed_stores++;
		if (ghost.armed && (!v || v > ghost.armed))
			ghost.raised = true;
		ghost.armed = v;
	} else if (p == &area.pending) {
		ghost.pending_stores++;
		ghost.pending = v;
	} else {
		ensure("B11: a store lies in the area", p == &area.done);
		ghost.done_stores++;
		ghost.done = v;
	}
}

void lazytsc_mb(void)
{
	ghost.ordered = true;
}

u64 lazytsc_tsc(void)
{
	ghost.tsc_reads++;
	return ghost.tsc;
}

#endif
