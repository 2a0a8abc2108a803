/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a trace is replayed under: a protocol variant, or an analysis that has only some of the
 * columns. One state for each vCPU, fed that vCPU's writes in order of time.
 */
#ifndef LAZYTSC_POLICY_H
#define LAZYTSC_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum column {
	COL_MSR_WRITE_EXITS,
	COL_SKIPS,
	COL_SILENT_EXPIRIES,
	COL_INJECTIONS,
	COL_EARLY_INJECTIONS,
	COL_HOST_ENTRIES,
	COL_WAITED,
	COL_HOST_CYCLES,
	COL_LATE_CYCLES,
	COLUMNS
};

/* The columns' names, as in every output. */
extern const char *const column_names[COLUMNS];

struct counts {
	uint64_t value[COLUMNS];
	bool known[COLUMNS]; /* false: the policy has no such figure (null) */
	uint64_t excess; /* the most by which silent expiries ever led skips */
};

/* The clock of a trace. */
struct policy_clock {
	double khz; /* units of `now` in a ms; 0: not known */
	bool ns; /* the unit is a ns, not a TSC cycle; see policy.slack */
};

struct policy {
	const char *name; /* in the output */
	const char *summary;
	size_t state_size;
	/* Begin a vCPU. @state: state_size bytes, zeroed, aligned for any type, to 64 bytes. */
	void (*init)(const struct policy *p, const struct policy_clock *clock, void *state);
	/* The guest programmed @v (0: disarm) at @now, guest TSC. */
	void (*write)(void *state, uint64_t now, uint64_t v);
	/*
	 * The vCPU halts at @now, or goes on; NULL: this host does not use it. A policy that does
	 * has no figures on a trace that does not tell when the guest halts.
	 */
	void (*block)(void *state, uint64_t now);
	void (*wake)(void *state, uint64_t now);
	/*
	 * The host has control at @now for another reason, with the guest running; NULL: not used.
	 * A policy that has this has figures on a trace that tells such exits or halts.
	 */
	void (*look)(void *state, uint64_t now);
	/* Events were lost: start afresh; counts go on. */
	void (*restart)(void *state);
	/* No more writes: add this vCPU's figures to *@sum, and free what init() allocated. */
	void (*finish)(void *state, struct counts *sum);
	/* How many writes were skipped so far; NULL: the policy has no such figure. */
	uint64_t (*skips)(const void *state);
	/* A variant: the state is a struct lazytsc_replay. */
	bool is_replay;
	/* B12: how far silent expiries may lead skips on one vCPU; UINT64_MAX: no limit. */
	uint64_t max_excess;
	const void *data; /* the policy's own */
	uint64_t slack; /* TSC cycles; where the clock has ns, a cycle is half of one */
};

struct policy_options {
	bool sw_timer; /* rfc-v3 on the sw timer */
	uint64_t slack; /* early: the longest wait, TSC cycles */
	uint64_t advance; /* lazy: the same */
};

/**
 * policy_find() - the policy of that name
 * @name:    of a variant (see <lazytsc/sim/variant.h>) or an analysis
 * @options: what the command line asked for
 * @p:       filled in; points into nothing that @options owns
 */
bool policy_find(const char *name, const struct policy_options *options, struct policy *p);

/** policy_at() - the name of the @i-th policy and its summary; NULL: no more */
const char *policy_at(unsigned int i, const char **summary);

#endif
