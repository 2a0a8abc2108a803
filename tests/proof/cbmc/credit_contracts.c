// SPDX-License-Identifier: BSD-2-Clause
/*
 * The credit of core/predictor.c by induction, with core/host.c, for any guest and any guesses: a
 * whole call of each kind from any state of an invariant, which holds afterwards. So after any
 * number of calls silent expiries lead the skips by LAZYTSC_PREDICTOR_CREDIT at most (B12).
 *
 * How. The guest is free to set and disarm as it likes; on another CPU it may do so at any moment
 * of a decision. What the predictor learns and which beat it chooses is taken out: contracts.py
 * removes the bodies of the functions that are defined here in their place, which return any guess.
 * What is left is all of the credit's arithmetic, and the order in which predictor and host look at
 * pending.
 *
 * Assumed: a timer does not fire early; what was taken out changes neither the credit nor what
 * belongs to it (predictor_contracts.c proves that); the guest's memory is not restored to a former
 * state, and the feature is enabled once: each time more zeroes pending, which
 * may earn one and is no skip; one call at a time. A silent expiry while a set or disarm is under
 * way counts if that ends as a skip, as in the checker: where it ends as an exit, the stock timer
 * would have fired then.
 */
#include <lazytsc/abi.h>
#include "predictor_state.h"
#include "predictor.c"
#include "host.c"

static struct lazytsc_area area;

static struct {
	u64 pending;
	/* Skips, and the credit, less silent expiries: what the promise says is never below 0. */
	s64 room;
	bool open; /* a set or disarm has stored pending, and has neither skipped nor exited yet */
	bool early; /* there was a silent expiry since */
} s;

static bool guest_stopped;

static u64 silences(void)
{
	return h.stats.silent_running + h.stats.silent_blocked;
}

/* A timer that stands for a guess, or one for a deadline that pending does not hold any more. */
static bool guessed(void)
{
	return h.lazy && h.timer != h.wanted;
}

static bool moved(void)
{
	return h.lazy && h.timer == h.wanted && s.pending != h.wanted;
}

static bool invariant(void)
{
	u64 unpaid = silences() - p.silent;
	bool unseen = s.pending != p.known;
	s64 credit; /* once it is accounted */

	if (unpaid > 1ULL << 60 || s.room > (s64)1 << 60 || p.credit > LAZYTSC_PREDICTOR_CREDIT)
		return false;
	if (h.lazy ? !h.timer || (h.wanted && h.wanted < h.timer) : h.timer != h.wanted)
		return false;
	/* What the host will count as silent has its skip, but for the one under way. */
	if (s.room + s.open < moved() || (!(s.open && s.early) && s.room < 0))
		return false;
	if (!p.slack)
		return !guessed();
	credit = (s64)p.credit + unseen - (s64)unpaid;
	if (guessed() && p.credit < unpaid + 1)
		return false;
	return credit <= s.room + (s.open && (p.proven || unseen)) || (s.open && credit <= 0);
}

/* Any number of steps of the guest; check_guest() shows that each keeps the invariant. */
static void others(void)
{
	s64 room = (s64)any_u64();

	if (guest_stopped)
		return;
	assume(room >= s.room);
	s.room = room;
	s.pending = any_u64();
	s.open = any_u8() & 1;
	s.early = any_u8() & 1;
	assume(invariant());
}

u64 lazytsc_load(const lazytsc_shared_t *a)
{
	others();
	return a == &area.pending ? s.pending : any_u64();
}

void lazytsc_store(lazytsc_shared_t *a, u64 v)
{
}

void lazytsc_mb(void)
{
}

u64 lazytsc_tsc(void)
{
	return any_u64();
}

/* In place of what learns and chooses. */
static void observe(struct lazytsc_predictor *q, u64 deadline, bool due)
{
}

static void pass_all(struct lazytsc_predictor *q, u64 t)
{
}

static u64 choose(struct lazytsc_predictor *q, u64 now, u64 limit, u8 kind)
{
	q->chosen = (int)(any_u8() & 7) - 1;
	assume(q->chosen < LAZYTSC_STREAMS);
	return any_u64();
}

static void any_state(void)
{
	any_predictor();
	any_host();
	assume(p.chosen >= -1 && p.chosen < LAZYTSC_STREAMS);
	s.pending = any_u64();
	s.room = (s64)any_u64();
	s.open = any_u8() & 1;
	s.early = any_u8() & 1;
	assume(invariant());
}

static void keeps_invariant(void)
{
	/* Below the bound that makes the sums of the proof itself sound. */
	assume(s.room < (s64)1 << 59 && silences() - p.silent < 1ULL << 59);
	ensure("B12: silent expiries lead the skips by the credit at most, and so it stays",
	       invariant());
}

static void check_init(void)
{
	struct lazytsc_predictor zero = { 0 };
	struct lazytsc_host host = { 0 };

	p = zero;
	h = host;
	lazytsc_predictor_init(&p, any_u64());
	s.room = LAZYTSC_PREDICTOR_CREDIT;
	keeps_invariant();
}

static void check_guest(void)
{
	any_state();
	if (s.open) {
		s.open = false;
		s.room++;
	} else {
		s.open = true;
		s.pending = any_u64();
	}
	s.early = false;
	keeps_invariant();
}

/* The guest's MSR write exits: of a set or a disarm, or a raw one of any value. */
static void check_write(void)
{
	struct lazytsc_area *a = any_u8() & 1 ? &area : (struct lazytsc_area *)0;
	u64 v = any_u64(), now = any_u64(), guess;

	any_state();
	guest_stopped = true;
	/* Where the page is out of reach the guest has stored what it writes. */
	assume(a || v == s.pending);
	s.room += s.open && s.early;
	s.open = false;
	s.early = false;
	guess = lazytsc_predictor_write(&p, &h, a, v, now);
	lazytsc_host_write(&h, a, v, now, guess);
	keeps_invariant();
}

static void check_expire(void)
{
	struct lazytsc_expiry e;
	u64 before;

	any_state();
	guest_stopped = any_u8() & 1;
	e.context = guest_stopped ? LAZYTSC_VCPU : LAZYTSC_REMOTE;
	e.now = any_u64();
	e.wait = any_u64();
	e.blocked = any_u8() & 1;
	e.nearest = any_u64();
	e.look = guest_stopped && any_u8() & 1;
	/* In vCPU context the exit may be in the middle of a set, too: an interrupt of the host. */
	assume(e.look || h.timer <= e.now || (guest_stopped && h.timer - e.now <= e.wait));
	before = silences();
	e.guess = lazytsc_predictor_expire(&p, &h, &area, &e);
	lazytsc_host_expire(&h, &area, &e);
	if (silences() != before) {
		s.room--;
		s.early = s.open;
	}
	keeps_invariant();
}

/* What else happens to the timer, without the predictor. */
static void check_others(void)
{
	u64 v = any_u64(), now = any_u64();

	any_state();
	guest_stopped = any_u8() & 1;
	switch (any_u8()) {
	case 0:
		lazytsc_host_withdraw(&h, &area, LAZYTSC_WITHDRAW_MASK);
		break;
	case 1:
		guest_stopped = true;
		lazytsc_host_resume(&h, &area, now);
		break;
	case 2:
		lazytsc_host_cancel(&h, &area);
		break;
	case 3:
		assume(!h.lazy);
		lazytsc_host_restore(&h, v);
		break;
	case 4:
		guest_stopped = true;
		lazytsc_host_recover(&h, &area);
		break;
	}
	keeps_invariant();
}
