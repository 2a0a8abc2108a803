/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clairvoyant bound: the fewest host entries besides deliveries that any host without slack
 * could have had, with all of the guest's writes known in advance.
 *
 * "Without slack" means that it delivers at the deadline and never waits for one. Counted as for
 * the variants: the first write is an entry; a host timer at or before a write's time fires before
 * it; nothing after the last write counts; a write of a deadline that is past is an entry and a
 * delivery; an entry that delivers is free. docs/early.md has the rule and its proof. It needs no
 * look-ahead, so the writes are fed one by one.
 */
#ifndef LAZYTSC_SIM_BOUND_H
#define LAZYTSC_SIM_BOUND_H

#include <lazytsc/port.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lazytsc_bound {
	u64 host_entries; /* MSR-write exits + silent expiries, so far */
	u64 look; /* the latest possible next entry, by what is known so far; 0: none is due */
	u64 pending; /* what the guest wants; at or below the last entry: nothing */
	bool entered; /* the host has had control since the start */
};

/** lazytsc_bound_init() - a vCPU that has just enabled the feature */
void lazytsc_bound_init(struct lazytsc_bound *b);

/** lazytsc_bound_restart() - events were lost: start afresh; the count goes on */
void lazytsc_bound_restart(struct lazytsc_bound *b);

/**
 * lazytsc_bound_write() - the guest programs its timer
 * @b:   the vCPU
 * @now: guest TSC of the write; not below that of the call before
 * @v:   the deadline; 0 disarms
 */
void lazytsc_bound_write(struct lazytsc_bound *b, u64 now, u64 v);

/**
 * lazytsc_bound_look() - the host has control for another reason, and looks for nothing
 * @b:   the vCPU
 * @now: guest TSC; not below that of the call before
 *
 * A host that has such looks needs no more entries than one that has none.
 */
void lazytsc_bound_look(struct lazytsc_bound *b, u64 now);

#ifdef __cplusplus
}
#endif

#endif
