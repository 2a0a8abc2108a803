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
 * The predictor decides nothing: a wrong guess, or a predictor in any state whatever, costs silent
 * expiries and breaks no requirement but the bound on these. It reads pending as a hint only. The
 * protocol's own order (publish, barrier, read, act) is in host.c and does not depend on it.
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
 * that falls into a set or disarm counts only if that is skipped in the end: where it exits, the
 * stock timer would have fired at that moment.
 */
#define LAZYTSC_PREDICTOR_CREDIT 256

/* Deadlines at equal distances. Each time at which one may lie is a beat, wanted or not. */
struct lazytsc_stream {
	u64 period; /* TSC cycles, 8 fraction bits; 0: this entry is free */
	u64 next; /* the next beat */
	u64 last; /* the deadline last seen on a beat */
	u32 error; /* mean distance of a deadline from its beat, TSC cycles, 8 fraction bits */
	u32 age; /* beats since it was found, up to a limit */
	u8 worth; /* deadlines seen of late; the stream with the least gives way to a new one */
	u8 halves; /* deadlines seen midway between beats, less those on beats: halve the period? */
	u8 context; /* the context in which `next` was last weighed: an index of chance[] */
	bool seen; /* a deadline on `next` has been seen already */
	u8 chance[4]; /* the chance in 256 that a beat is wanted, by context */
};

struct lazytsc_predictor {
	u64 slack; /* the longest wait, TSC cycles; 0: off */
	u64 known; /* what pending held when the host last looked */
	u64 delivered; /* the last deadline that was due */
	u64 silent; /* how many of the host's silent expiries the credit has paid for */
	u64 again; /* how far below a known deadline to look: guests set it again, with jitter */
	u32 credit; /* proven skips - silent expiries + LAZYTSC_PREDICTOR_CREDIT, at most that */
	u32 stray; /* strays so far: the next goes to strays[stray % LAZYTSC_STRAYS] */
	int chosen; /* the stream of the guess that stands; -1: none */
	bool proven; /* `known` was counted as a skip */
	bool certain; /* the host looks for a deadline that it knows */
	u64 strays[LAZYTSC_STRAYS]; /* the last deliveries that fit no stream; 0: none yet */
	struct lazytsc_stream streams[LAZYTSC_STREAMS];
};

/**
 * lazytsc_predictor_init() - set up a predictor that has seen nothing
 * @p:     the vCPU's predictor, zeroed
 * @slack: how long the caller may hold the guest to wait for a deadline (lazytsc_expiry.wait), in
 *         guest TSC cycles; 0: never guess. Pass one microsecond's worth. The predictor's other
 *         times are multiples of it.
 *
 * Call this once, when the vCPU is created, and not again when the guest enables the feature: a
 * guest would get new credit each time. What the predictor remembers of a former TSC or area does
 * no harm.
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
 * On another CPU the caller cannot wait: after a right guess the timer is armed again there, for
 * the deadline itself. That is one more expiry, but no exit of a vCPU.
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
