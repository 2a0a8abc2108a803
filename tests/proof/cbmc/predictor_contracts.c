// SPDX-License-Identifier: BSD-2-Clause
/*
 * Contracts of core/predictor.c, function by function: one call, with any arguments, from any state
 * of the invariant. There is no division by zero, no access out of bounds, no overflow of a signed
 * number or of a narrower one, and every loop ends (B11). The credit is what docs/early.md says it
 * is, and learning and choosing leave it alone (B12). The invariant holds afterwards: so what is
 * proven holds after any number of calls, for all 64-bit values.
 *
 * A whole call has divisions of one unknown by another for each stream, and CBMC had not solved
 * one in minutes. So it is proven in parts. For what takes part in it there is a function here,
 * named as in the core, that says what it needs and what it leaves behind, and does nothing more:
 * anything else may have become of the state. Each check proves one function of the core, and
 * contracts.py takes these in place of the core's, where it calls them. The one that the check is
 * named for is the core's own, and is proven to leave behind what the others rely on.
 */
#include <string.h>
#include "shared.h"
#include "predictor_state.h"
#include "predictor.c"

static struct lazytsc_predictor was;

/*
 * What no overflow and no division by zero need, and no more: the bounds are constants, which are
 * sooner proven. With a slack of at least 1, of two strays and a deadline that are each off by it,
 * no period comes out shorter than PERIOD_LEAST.
 */
#define PERIOD_LEAST ((u64)SHORTEST_PERIOD / 2 << FRACTION)

static bool stream_in_order(const struct lazytsc_stream *s)
{
	return (!s->period || s->period >= PERIOD_LEAST) && s->age <= AGE_MAX &&
	       s->error <= (u32)LONGEST_SLACK << FRACTION && s->worth <= WORTH_MAX &&
	       s->halves < HALVES_MAX && s->context <= CONTEXT_NONE;
}

static bool in_order(void)
{
	for (int i = 0; i < LAZYTSC_STREAMS; i++) {
		if (!stream_in_order(&p.streams[i]))
			return false;
	}
	return p.slack <= LONGEST_SLACK && p.credit <= LAZYTSC_PREDICTOR_CREDIT && p.chosen >= -1 &&
	       p.chosen < LAZYTSC_STREAMS && p.again <= p.slack / AGAIN_MOST;
}

/* The credit, and what belongs to it. */
static bool same_credit(const struct lazytsc_predictor *a)
{
	return p.credit == a->credit && p.silent == a->silent && p.known == a->known &&
	       p.proven == a->proven && p.slack == a->slack;
}

static void any_stream(struct lazytsc_stream *s)
{
	struct lazytsc_stream any;

	*s = any;
	s->seen = any_u8() & 1;
}

/* --- In place of the core's functions, where others call them --- */

/*
 * The deadline that a call is about, and for each stream whether it lies within the slack of the
 * next beat: worked out once, because two such subtractions are not soon found to be the same. Not
 * fresh: the streams may have changed since.
 */
static u64 asked;
static bool on_next[LAZYTSC_STREAMS], fresh;

static void ask(void)
{
	asked = any_u64();
	for (int i = 0; i < LAZYTSC_STREAMS; i++)
		on_next[i] = apart(asked, p.streams[i].next) <= p.slack;
	fresh = true;
}

static bool is_asked(u64 deadline)
{
	return fresh && deadline == asked;
}

static void call(struct lazytsc_predictor *q)
{
	struct lazytsc_predictor before = p;

	ensure("predictor: whatever is called finds the state in order",
	       q == &p && p.slack && in_order());
	any_predictor();
	assume(in_order() && same_credit(&before));
	fresh = false;
}

static void call_stream(struct lazytsc_stream *s, u64 slack)
{
	ensure("predictor: whatever is called finds the stream in order",
	       p.slack && p.slack == slack && slack <= LONGEST_SLACK && stream_in_order(s));
	any_stream(s);
	assume(stream_in_order(s));
	fresh = false;
}

static void pass(struct lazytsc_stream *s, u64 slack, u64 t)
{
	call_stream(s, slack);
}

static void learn(struct lazytsc_stream *s, u64 slack, u64 deadline)
{
	ensure("predictor: what is learned lies on a beat of a stream",
	       s->period && is_asked(deadline) && on_next[s - p.streams]);
	call_stream(s, slack);
	assume(s->period);
}

static bool halve(struct lazytsc_stream *s, u64 slack, u64 deadline)
{
	ensure("predictor: only a stream is halved", s->period);
	call_stream(s, slack);
	return any_bool();
}

static u64 off_beat(const struct lazytsc_stream *s, u64 deadline, bool *is_next)
{
	u64 off = any_u64();

	ensure("predictor: only a stream has a beat", s->period && is_asked(deadline));
	*is_next = any_u8() & 1;
	if (*is_next)
		assume((off <= p.slack) == on_next[s - p.streams]);
	return off;
}

/* What stream_of() finds; -1: nothing. Each in turn, so that there is no pointer to any of them. */
static int found;

static struct lazytsc_stream *stream_of(struct lazytsc_predictor *q, u64 deadline, bool *is_next)
{
	ensure("predictor: the deadline is the one that is asked for", is_asked(deadline));
	if (found < 0)
		return NULL;
	*is_next = any_u8() & 1;
	assume(p.streams[found].period);
	assume(!*is_next || on_next[found]);
	return &p.streams[found];
}

static void new_stream(struct lazytsc_predictor *q, u64 period, u64 beat)
{
	ensure("predictor: a new stream is none of bursts", period >= PERIOD_LEAST);
	call(q);
}

static u64 period_with_strays(const struct lazytsc_predictor *q, u64 deadline)
{
	u64 period = any_u64();

	assume(!period || period >= PERIOD_LEAST);
	return period;
}

static void keep_stray(struct lazytsc_predictor *q, u64 deadline)
{
	call(q);
}

static void observe(struct lazytsc_predictor *q, u64 deadline, bool due)
{
	call(q);
}

static void pass_all(struct lazytsc_predictor *q, u64 t)
{
	call(q);
}

static void look_ahead(struct lazytsc_predictor *q, u64 now, u64 *ahead, u8 kind)
{
	ensure("predictor: a beat is weighed after a delivery or at rest",
	       kind == CONTEXT_DELIVERED || kind == CONTEXT_AT_REST);
	for (int i = 0; i < LAZYTSC_STREAMS; i++)
		ahead[i] = any_u64();
	call(q);
}

static u64 choose(struct lazytsc_predictor *q, u64 now, u64 limit, u8 kind)
{
	ensure("predictor: a beat is chosen after a delivery or at rest",
	       kind == CONTEXT_DELIVERED || kind == CONTEXT_AT_REST);
	call(q);
	return any_u64();
}

static u64 guess_after(struct lazytsc_predictor *q, u64 deadline, u64 now)
{
	call(q);
	return any_u64();
}

static u64 guess_at_rest(struct lazytsc_predictor *q, u64 wanted, u64 now)
{
	call(q);
	return any_u64();
}

static u64 guess_after_silence(struct lazytsc_predictor *q, u64 fired, u64 pending, u64 now,
			       bool changed)
{
	call(q);
	return any_u64();
}

/* --- What is proven of each --- */

static void any_state(void)
{
	any_predictor();
	any_host();
	assume(in_order());
	was = p;
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

static void check_init(void)
{
	u64 slack = any_u64();
	struct lazytsc_predictor zero = { 0 };

	p = zero;
	lazytsc_predictor_init(&p, slack);
	ensure("B11: the state is in order from the beginning", in_order());
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
	ensure("B11: the state is in order", in_order());
}

static void check_afford(void)
{
	u64 wish = any_u64(), guess;

	any_state();
	guess = afford(&p, wish);
	ensure("B12: with less than two credits left there is no guess",
	       guess == (p.credit >= 2 ? wish : 0) && (p.credit >= 2 || p.chosen == -1));
	ensure("B12: asking costs nothing", p.credit == was.credit);
	ensure("B11: the state is in order", in_order());
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

/* A state that what learns and chooses may find: only with a slack is anything called. */
static void on(void)
{
	any_state();
	assume(p.slack);
}

static void left_behind(void)
{
	ensure("B11: the state is in order", in_order());
	ensure("B12: learning and choosing leave the credit alone", same_credit(&was));
}

static u8 any_kind(void)
{
	return any_bool() ? CONTEXT_DELIVERED : CONTEXT_AT_REST;
}

static struct lazytsc_stream *any_free_or_not(void)
{
	p.slack = any_u64();
	any_stream(&p.streams[0]);
	assume(p.slack && p.slack <= LONGEST_SLACK && stream_in_order(&p.streams[0]));
	return &p.streams[0];
}

static struct lazytsc_stream *any_not_free(void)
{
	struct lazytsc_stream *s = any_free_or_not();

	assume(s->period);
	return s;
}

static void stream_left_behind(const struct lazytsc_stream *s)
{
	ensure("B11: the stream is in order", stream_in_order(s));
}

static void check_pass(void)
{
	struct lazytsc_stream *s = any_free_or_not();

	pass(s, p.slack, any_u64());
	stream_left_behind(s);
}

static void check_learn(void)
{
	struct lazytsc_stream *s = any_not_free();

	ask();
	assume(on_next[0]);
	learn(s, p.slack, asked);
	stream_left_behind(s);
	ensure("B12: a stream that is followed stays one", s->period);
}

static void check_halve(void)
{
	struct lazytsc_stream *s = any_not_free();

	halve(s, p.slack, any_u64());
	stream_left_behind(s);
}

static void check_off_beat(void)
{
	struct lazytsc_stream *s = any_not_free();
	bool is_next;
	u64 off;

	ask();
	off = off_beat(s, asked, &is_next);
	ensure("B11: what is on the next beat is measured from there",
	       !is_next || (off <= p.slack) == on_next[0]);
}

static void check_stream_of(void)
{
	const struct lazytsc_stream *s;
	bool is_next = false;

	on();
	ask();
	s = stream_of(&p, asked, &is_next);
	for (int i = 0; i < LAZYTSC_STREAMS; i++) {
		if (s != &p.streams[i])
			continue;
		ensure("predictor: what is found is a stream", p.streams[i].period);
		ensure("predictor: a deadline on the next beat is off it by the slack at most",
		       !is_next || on_next[i]);
		return;
	}
	ensure("predictor: what is found is one of the streams, or none", !s);
}

static void check_new_stream(void)
{
	u64 period = any_u64();

	on();
	assume(period >= PERIOD_LEAST);
	new_stream(&p, period, any_u64());
	left_behind();
}

static void check_period_with_strays(void)
{
	u64 period;

	on();
	period = period_with_strays(&p, any_u64());
	ensure("B11: bursts make no stream", !period || period >= PERIOD_LEAST);
}

static void check_keep_stray(void)
{
	on();
	keep_stray(&p, any_u64());
	left_behind();
}

static void check_observe(void)
{
	on();
	ask();
	for (found = -1; found < LAZYTSC_STREAMS; found++) {
		if (found < LAZYTSC_STREAMS - 1 && any_bool())
			continue;
		observe(&p, asked, any_u8() & 1);
		left_behind();
		return;
	}
}

static void check_pass_all(void)
{
	on();
	pass_all(&p, any_u64());
	left_behind();
}

static void check_look_ahead(void)
{
	u64 ahead[LAZYTSC_STREAMS];

	on();
	look_ahead(&p, any_u64(), ahead, any_kind());
	left_behind();
}

static void check_choose(void)
{
	on();
	choose(&p, any_u64(), any_u64(), any_kind());
	left_behind();
}

static void check_guess_after(void)
{
	on();
	guess_after(&p, any_u64(), any_u64());
	left_behind();
}

static void check_guess_at_rest(void)
{
	on();
	guess_at_rest(&p, any_u64(), any_u64());
	left_behind();
}

static void check_guess_after_silence(void)
{
	on();
	guess_after_silence(&p, any_u64(), any_u64(), any_u64(), any_bool());
	left_behind();
}

static void check_write(void)
{
	any_state();
	lazytsc_predictor_write(&p, &h, any_bool() ? &area : NULL, any_u64(), any_u64());
	ensure("B11: the state is in order", in_order());
	ensure("B11: pending is read once, and armed never",
	       ghost.pending_loads <= 1 && !ghost.armed_loads && !ghost.done_loads);
}

static void check_expire(void)
{
	struct lazytsc_expiry e;

	any_state();
	e.context = any_bool() ? LAZYTSC_VCPU : LAZYTSC_REMOTE;
	e.look = any_u8() & 1;
	e.blocked = any_u8() & 1;
	lazytsc_predictor_expire(&p, &h, h.lazy || any_bool() ? &area : NULL, &e);
	ensure("B11: the state is in order", in_order());
	ensure("B11: pending is read once, and armed never",
	       ghost.pending_loads <= 1 && !ghost.armed_loads && !ghost.done_loads);
}
