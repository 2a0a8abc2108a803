/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One vCPU's deadline writes, replayed through one protocol variant, with everything counted.
 *
 * How to use it. One struct lazytsc_replay for each vCPU and each variant; feed it what the guest
 * did, in order of time:
 *
 *	struct lazytsc_replay r;
 *
 *	lazytsc_replay_init(&r, &lazytsc_variant_lazy, NULL, NULL);
 *	lazytsc_replay_write(&r, 1000, 5000); // at 1000 the guest set a deadline, 5000
 *	lazytsc_replay_write(&r, 2000, 0); // at 2000 it disarmed
 *	lazytsc_replay_run_until(&r, 10000); // and after that did nothing until 10000
 *	printf("%llu host entries\n", (unsigned long long)lazytsc_replay_host_entries(&r.counts));
 *
 * The host it plays, but for host_cycles and late_cycles, is ideal: its timer fires at the very
 * time for which it is armed, it decides at once in vCPU context, and the interrupt is delivered at
 * once. What a write finds is therefore this: every host timer at or before the time of the write
 * has fired. Nothing after the last call happens, so a deadline that is still outstanding at the
 * end is not counted as delivered.
 *
 * Where the host waits for a deadline the guest is held until then: a write that the trace has in
 * between is made at the end of the wait.
 *
 * The same writes are fed to every variant: how a guest would have programmed its timer differently
 * after an early or a missing interrupt is not modelled.
 *
 * Times are guest TSC. Not thread-safe; one object may be used by one thread at a time.
 */
#ifndef LAZYTSC_SIM_REPLAY_H
#define LAZYTSC_SIM_REPLAY_H

#include <lazytsc/sim/guess.h>
#include <lazytsc/sim/variant.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What happened, from the start. lazytsc_replay_restart() keeps these. */
struct lazytsc_replay_counts {
	u64 msr_write_exits; /* sets and disarms that exited */
	u64 skips; /* sets and disarms that did not */
	u64 silent_expiries; /* host timers that fired and injected nothing */
	u64 injections; /* interrupts decided */
	u64 early_injections; /* of these: although a later deadline was pending */
};

struct lazytsc_replay {
	const struct lazytsc_variant *variant;
	const struct lazytsc_guess_source *source; /* NULL: no guesses */
	void *source_state;
	u64 wait; /* how long the host may hold the guest to wait for a deadline; 0 after init */
	bool blocked; /* halted: the hardware's timer stands where the guest wants it */
	u64 held; /* the guest was held until here */
	u64 waited; /* for how long in all; a restart keeps it */
	/*
	 * By the default costs of <lazytsc/sim/machine.h>, in units of the trace's clock: what
	 * exits, timers and waits take of the host's time, and what passes from a deadline (or the
	 * write of a past one) until its interrupt is in the guest. Half of an exit's cost lies
	 * before the decision, so a wait begins only after it. A restart keeps both.
	 */
	u64 host_cycles, late_cycles;
	u64 write_cost, timer_cost; /* of one exit; lazytsc_replay_rate() */
	struct lazytsc_replay_counts counts;
	/* the most by which silent_expiries ever led skips (B12: 0 for the plain rule) */
	u64 excess;
	u64 looks; /* decisions of lazytsc_replay_wake() and _look(), from the start */
	struct lazytsc_guest guest;
	struct lazytsc_host host;
	struct lazytsc_area area;
};

/**
 * lazytsc_replay_init() - a vCPU that has just enabled the feature
 * @r:       memory for it, aligned as the type asks
 * @variant: which protocol
 * @source:  where guesses come from, or NULL
 * @state:   for @source; its owner frees it
 */
void lazytsc_replay_init(struct lazytsc_replay *r, const struct lazytsc_variant *variant,
			 const struct lazytsc_guess_source *source, void *state);

/**
 * lazytsc_replay_rate() - how many units of the trace's clock make a ms, for the costs
 * @r:   the vCPU, before its first deadline; the exits of disarms before are charged anew
 * @khz: the rate; 2.6 GHz, that of the costs' sources, until this is called
 */
void lazytsc_replay_rate(struct lazytsc_replay *r, double khz);

/**
 * lazytsc_replay_restart() - events were lost: start afresh, with no timer and no deadline
 * @r: the vCPU
 *
 * Counts go on from where they are.
 */
void lazytsc_replay_restart(struct lazytsc_replay *r);

/** lazytsc_replay_timer() - when the host's timer fires if nothing comes before; 0: never */
u64 lazytsc_replay_timer(struct lazytsc_replay *r);

/* Lets the timer that is due fire, and those that it arms and that are due as well. */
void lazytsc_replay_fire(struct lazytsc_replay *r, u64 now);

/**
 * lazytsc_replay_run_until() - let every host timer at or before a time fire
 * @r:   the vCPU
 * @now: guest TSC; not below that of the call before
 */
static inline void lazytsc_replay_run_until(struct lazytsc_replay *r, u64 now)
{
	if (r->host.timer && r->host.timer <= now)
		lazytsc_replay_fire(r, now);
}

/**
 * lazytsc_replay_write() - the guest programs its timer
 * @r:   the vCPU
 * @now: guest TSC of the write; not below that of the call before
 * @v:   the deadline; 0 disarms
 *
 * Every host timer at or before @now fires first.
 */
void lazytsc_replay_write(struct lazytsc_replay *r, u64 now, u64 v);

/**
 * lazytsc_replay_block() - the guest halts, and the host uses that (B29)
 * @r:   the vCPU
 * @now: guest TSC of the HLT; not below that of the call before
 *
 * Until the vCPU is woken or its deadline is delivered no host timer fires but for a deadline that
 * the guest wants. Without these calls the host is one that leaves its timer where it is.
 */
void lazytsc_replay_block(struct lazytsc_replay *r, u64 now);

/**
 * lazytsc_replay_wake() - the guest goes on, for whatever reason
 * @r:   the vCPU
 * @now: guest TSC; not below that of the call before
 *
 * A promise that has passed meanwhile is put right by a free look, which is no host entry. Without
 * effect on a vCPU that is not blocked.
 */
void lazytsc_replay_wake(struct lazytsc_replay *r, u64 now);

/**
 * lazytsc_replay_look() - a guest that runs has left for another reason
 * @r:   the vCPU
 * @now: guest TSC; never below the one of the call before
 *
 * Where the guest wants a deadline beyond the one that was promised, the host promises that
 * instead, or what its source of guesses says (B29). The look itself counts for nothing.
 */
void lazytsc_replay_look(struct lazytsc_replay *r, u64 now);

/** lazytsc_replay_host_entries() - MSR-write exits + silent expiries: all besides deliveries */
static inline u64 lazytsc_replay_host_entries(const struct lazytsc_replay_counts *c)
{
	return c->msr_write_exits + c->silent_expiries;
}

#ifdef __cplusplus
}
#endif

#endif
