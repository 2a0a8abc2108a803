// SPDX-License-Identifier: BSD-2-Clause
/*
 * Contracts of core/predictor.c, function by function: one call, with any arguments, from any state
 * of the invariant. There is no division by zero, no access out of bounds, no overflow of a signed
 * number or of a narrower one, and every loop ends (B11). The credit is what docs/early.md says it
 * is (B12). The invariant holds afterwards: so what is proven holds after any number of calls, for
 * all 64-bit values.
 *
 * The parts that divide (pass(), learn(), halve(), off_beat()) are proven for any stream, one by
 * one, as is the arithmetic of the credit; credit_contracts.c has the credit in whole calls. Not
 * proven of whole calls, because CBMC had not solved it in minutes: that they divide by no zero,
 * overflow nothing and keep the streams in order (docs/assurance.md).
 */
#include <string.h>
#include "shared.h"
#include "predictor.c"

static struct lazytsc_predictor p, was;
static struct lazytsc_host h;

static bool stream_invariant(const struct lazytsc_stream *s)
{
	u64 error = p.slack > ERROR_NEW ? p.slack : ERROR_NEW;

	return (!s->period || s->period >> FRACTION >= SHORTEST_PERIOD * p.slack) &&
	       s->error <= error << FRACTION && s->age <= AGE_MAX && s->worth <= WORTH_MAX &&
	       s->halves < HALVES_MAX && s->context <= CONTEXT_NONE;
}

static bool invariant(void)
{
	for (int i = 0; i < LAZYTSC_STREAMS; i++) {
		if (!stream_invariant(&p.streams[i]))
			return false;
	}
	return p.slack <= LONGEST_SLACK && p.credit <= LAZYTSC_PREDICTOR_CREDIT && p.chosen >= -1 &&
	       p.chosen < LAZYTSC_STREAMS && p.again <= p.slack / AGAIN_MOST;
}

static u64 silent(void)
{
	return h.stats.silent_running + h.stats.silent_blocked;
}

/* One more where a skip is proven, never above the limit; less what silent expiries have cost. */
static u64 credit_after(bool skip)
{
	u64 credit = was.credit, cost = silent() - was.silent;

	if (skip && credit < LAZYTSC_PREDICTOR_CREDIT)
		credit++;
	return cost < credit ? credit - cost : 0;
}

static void any_state(void)
{
	struct lazytsc_predictor any;
	struct lazytsc_host any_host;

	p = any;
	h = any_host;
	/* A _Bool of no given value may hold any byte. */
	p.proven = any_u8() & 1;
	p.certain = any_u8() & 1;
	for (int i = 0; i < LAZYTSC_STREAMS; i++)
		p.streams[i].seen = any_u8() & 1;
	h.lazy = any_u8() & 1;
	assume(invariant());
	was = p;
}

static void check_init(void)
{
	u64 slack = any_u64();
	struct lazytsc_predictor zero = { 0 };

	p = zero;
	lazytsc_predictor_init(&p, slack);
	ensure("B11: the state is in order from the beginning", invariant());
	ensure("B12: the credit begins at its limit", p.credit == LAZYTSC_PREDICTOR_CREDIT);
	ensure("predictor: a slack is taken as it is, up to a limit",
	       p.slack == (slack < LONGEST_SLACK ? slack : LONGEST_SLACK));
	ensure("predictor: nothing is chosen at the beginning", p.chosen == -1);
}

static void check_account(void)
{
	bool skip = any_u8() & 1;

	any_state();
	account(&p, &h, skip);
	ensure("B12: a proven skip earns one, a silent expiry costs one, and nothing else does "
	       "either",
	       p.credit == credit_after(skip));
	ensure("B12: a silent expiry is paid for once", p.silent == silent());
	ensure("B11: the state is in order", invariant());
}

static void check_afford(void)
{
	u64 wish = any_u64(), guess;

	any_state();
	guess = afford(&p, wish);
	ensure("B12: with less than two credits left there is no guess",
	       guess == (p.credit >= 2 ? wish : 0) && (p.credit >= 2 || p.chosen == -1));
	ensure("B12: asking costs nothing", p.credit == was.credit);
	ensure("B11: the state is in order", invariant());
}

/* A disarm: no stream has a part in it, so CBMC can do the whole call. */
static void check_disarm(void)
{
	u64 guess, credit;
	bool same = true;

	any_state();
	credit = credit_after(false);
	guess = lazytsc_predictor_write(&p, &h, &area, 0, any_u64());
	ensure("B12: a disarm gives no guess", !guess);
	ensure("B11: pending is read once, and armed never",
	       ghost.pending_loads <= 1 && !ghost.armed_loads && !ghost.done_loads);
	if (!p.slack) {
		ensure("B12: off, nothing is accounted", p.credit == was.credit);
		return;
	}
	if (was.proven && ghost.pending == was.known && credit)
		credit--;
	ensure("B12: a write is no skip, and takes back that its store was taken for one",
	       p.credit == credit && p.known == ghost.pending && !p.proven);
	for (int i = 0; i < LAZYTSC_STREAMS; i++)
		same &= !memcmp(&p.streams[i], &was.streams[i], sizeof(was.streams[i]));
	ensure("B11: nothing else of the state changes",
	       same && p.slack == was.slack && p.chosen == was.chosen && p.again == was.again);
}

/* Any stream, of any predictor. */
static struct lazytsc_stream *any_stream(void)
{
	struct lazytsc_stream *s = &p.streams[0];
	struct lazytsc_stream any;

	p.slack = any_u64();
	assume(p.slack && p.slack <= LONGEST_SLACK);
	*s = any;
	s->seen = any_u8() & 1;
	assume(s->period && stream_invariant(s));
	return s;
}

static void check_pass(void)
{
	struct lazytsc_stream *s = any_stream();

	pass(s, p.slack, any_u64());
	ensure("B11: the stream is in order", stream_invariant(s));
}

static void check_learn(void)
{
	struct lazytsc_stream *s = any_stream();
	u64 deadline = any_u64();

	/* stream_of() finds only such. */
	assume(apart(deadline, s->next) <= p.slack);
	learn(s, p.slack, deadline);
	ensure("B11: the stream is in order", stream_invariant(s));
	ensure("B12: a stream that is followed stays one", s->period);
}

static void check_halve(void)
{
	struct lazytsc_stream *s = any_stream();

	halve(s, p.slack, any_u64());
	ensure("B11: the stream is in order", stream_invariant(s));
}

static void check_off_beat(void)
{
	struct lazytsc_stream *s = any_stream();
	u64 deadline = any_u64();
	bool is_next;
	u64 off = off_beat(s, deadline, &is_next);

	ensure("B11: what is on the next beat is measured from there",
	       !is_next || off == apart(deadline, s->next));
}
