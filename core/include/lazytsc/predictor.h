/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Arm early: guess where the guest's next deadline will be, from what the host sees anyway.
 *
 * How to use it. One struct lazytsc_predictor for each vCPU, next to its struct lazytsc_host and
 * serialised with it. Ask for the guess just before the host decides, and pass it on:
 *
 *	guess = lazytsc_predictor_write(p, h, area, v, now);
 *	d = lazytsc_host_write(h, area, v, now, guess);
 *
 *	e.guess = lazytsc_predictor_expire(p, h, area, &e);
 *	d = lazytsc_host_expire(h, area, &e);
 *
 * Nothing here decides: a wrong guess, or a predictor that is in any state whatever, costs a silent
 * expiry and no correctness. What it reads of pending is a hint. The protocol's own order (publish,
 * barrier, read, act) is in host.c and does not depend on it.
 *
 * Cost: integers only, LAZYTSC_STREAMS * LAZYTSC_STREAM_STEPS steps at most for a call, no loop
 * that depends on a value in guest memory. docs/early.md has the reasons and the measurements.
 */
#ifndef LAZYTSC_PREDICTOR_H
#define LAZYTSC_PREDICTOR_H

#include <lazytsc/host.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LAZYTSC_STREAMS	     6 /* periodic streams that are followed at a time */
#define LAZYTSC_STREAM_STEPS 8 /* beats ahead that are weighed for a guess */
#define LAZYTSC_STRAYS	     8 /* deliveries that fit no stream, kept to find new streams */

/*
 * Silent expiries may lead the skips by no more than this, on one vCPU, from init on (B12). One
 * more may be seen while a write of the guest is on its way.
 */
#define LAZYTSC_PREDICTOR_CREDIT 256

/* Deadlines at equal distances. Each of its places in time is a beat, wanted or not. */
struct lazytsc_stream {
	u64 period; /* TSC cycles, 8 fraction bits; 0: this entry is free */
	u64 next; /* the next beat */
	u64 last; /* the deadline last seen on a beat */
	u32 error; /* mean distance of a deadline from its beat, TSC cycles, 8 fraction bits */
	u32 age; /* beats since it was found, up to a limit */
	u8 worth; /* what it has seen of late; the least worthy gives way to a new stream */
	u8 halves; /* deadlines seen between two beats, less those on one: halve the period? */
	u8 context; /* where `next` stood when it was last weighed, an index of chance[] */
	bool seen; /* a deadline on `next` has been seen already */
	u8 chance[4]; /* of 256: that a beat is wanted, by context */
};

struct lazytsc_predictor {
	u64 slack; /* the longest wait, TSC cycles; 0: off */
	u64 known; /* what pending held when the host last looked */
	u64 delivered; /* the last deadline that was due */
	u64 silent; /* of the host's silent expiries, those accounted for */
	u64 again; /* how far below a known deadline to look: it is set again, with jitter */
	u32 credit; /* proven skips - silent expiries + LAZYTSC_PREDICTOR_CREDIT, at most that */
	u32 stray; /* strays so far: the next goes to strays[stray % LAZYTSC_STRAYS] */
	int chosen; /* the stream of the guess that stands; -1: none */
	bool proven; /* `known` was counted as a skip */
	bool certain; /* the host looks for a deadline that it knows */
	u64 strays[LAZYTSC_STRAYS]; /* the last deliveries that fit no stream; 0: none yet */
	struct lazytsc_stream streams[LAZYTSC_STREAMS];
};

/**
 * lazytsc_predictor_init() - begin, knowing nothing
 * @p:     the vCPU's predictor, zeroed
 * @slack: how long the caller may hold the guest to wait for a deadline (lazytsc_expiry.wait), in
 *         guest TSC cycles; one microsecond's worth is meant. The predictor's other times are
 *         multiples of it. 0: never guess.
 *
 * Due once, when the vCPU is created. Anew whenever the guest enables the feature would give a
 * guest its credit anew; and what the predictor remembers of a former TSC or area does no harm.
 */
void lazytsc_predictor_init(struct lazytsc_predictor *p, u64 slack);

/**
 * lazytsc_predictor_write() - a guess for lazytsc_host_write()
 * @p:    the vCPU's predictor
 * @h:    its host side, before lazytsc_host_write()
 * @area: its area; NULL: no guess, but the write is accounted for
 * @v:    the value written
 * @now:  guest TSC
 *
 * Return: the guess, or 0. Context: vCPU context.
 * Source: requirement B12.
 */
u64 lazytsc_predictor_write(struct lazytsc_predictor *p, const struct lazytsc_host *h,
			    const struct lazytsc_area *area, u64 v, u64 now);

/**
 * lazytsc_predictor_expire() - a guess for lazytsc_host_expire()
 * @p:    the vCPU's predictor
 * @h:    its host side, before lazytsc_host_expire()
 * @area: its area; NULL only when the timer is not lazy
 * @e:    as for lazytsc_host_expire(); its guess is not read
 *
 * On another CPU nobody can wait: there a guess that is right is armed again, for its deadline.
 * That is one more expiry, but no exit of a vCPU.
 *
 * Return: the guess, or 0. Context: where lazytsc_host_expire() is called.
 * Source: requirement B12.
 */
u64 lazytsc_predictor_expire(struct lazytsc_predictor *p, const struct lazytsc_host *h,
			     const struct lazytsc_area *area, const struct lazytsc_expiry *e);

#ifdef __cplusplus
}
#endif

#endif
