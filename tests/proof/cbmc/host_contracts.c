// SPDX-License-Identifier: BSD-2-Clause
/*
 * Contracts of core/host.c: one call of any of its functions, with any arguments, from any state of
 * the invariant, against a guest that may write anything into the area at any time. Each promise of
 * <lazytsc/host.h> is a property here, named by its requirement. The invariant holds afterwards: so
 * what is proven holds after any number of calls, for all 64-bit values.
 */
#include "shared.h"
#include "host.c"

typedef unsigned __int128 u128;

static struct lazytsc_host h, was;

/*
 * The invariant. Lazy: armed stands published as the timer, and what was seen in pending lies at
 * the timer or beyond. Plain or none: armed is 0, and the timer is the deadline.
 */
static bool invariant(const struct lazytsc_area *a)
{
	if (!h.lazy)
		return h.timer == h.wanted && (!a || !ghost.armed);
	return h.timer && (!h.wanted || h.wanted >= h.timer) && (!a || ghost.armed == h.timer);
}

static bool same_stats(const struct lazytsc_host_stats *s)
{
	for (int i = 0; i < LAZYTSC_WITHDRAW_REASONS; i++) {
		if (h.stats.withdrawals[i] != s->withdrawals[i])
			return false;
	}
	return h.stats.traps == s->traps && h.stats.injections == s->injections &&
	       h.stats.silent_running == s->silent_running &&
	       h.stats.silent_blocked == s->silent_blocked && h.stats.looks == s->looks &&
	       h.stats.left == s->left && h.stats.recovered == s->recovered;
}

static bool is(u64 timer, bool lazy, u64 wanted)
{
	return h.timer == timer && h.lazy == lazy && h.wanted == wanted;
}

static bool as_it_was(void)
{
	return is(was.timer, was.lazy, was.wanted);
}

/* What every decision promises. */
static void decided(struct lazytsc_decision d)
{
	ensure("host: the decision names the timer", d.timer == h.timer);
	ensure("A3: an injection reads as set until delivered",
	       !d.inject || h.inflight == d.inject);
	ensure("B6: no armed at or below an injected deadline stands published",
	       !d.inject || !ghost.armed || ghost.armed > d.inject);
}

static void memory(unsigned int pending_loads)
{
	ensure("B11: armed is never read", !ghost.armed_loads);
	ensure("B1: pending is the guest's", !ghost.pending_stores);
	ensure("B11: pending is read once for each decision", ghost.pending_loads <= pending_loads);
}

static u64 guess_of(u64 guess, u64 limit)
{
	return guess > limit ? guess : 0;
}

static void check_write(struct lazytsc_area *a)
{
	u64 v = any_u64(), now = any_u64(), guess = any_u64(), g;
	struct lazytsc_host_stats stats = was.stats;
	struct lazytsc_decision d = lazytsc_host_write(&h, a, v, now, guess);
	bool ours = a && ghost.pending_loads && ghost.pending == v;

	decided(d);
	memory(1);
	stats.traps++;
	stats.injections += d.inject != 0;
	ensure("B24: traps and injections are counted, nothing else", same_stats(&stats));
	ensure("B25: a trap is the vCPU's own work", !d.thread && !h.unpaid);
	ensure("B26: a write leaves done as it is", !ghost.done_stores && !ghost.done_loads);
	ensure("B1: a write publishes anew", !a || ghost.armed_stores == 1);
	if (!v) {
		ensure("A4: 0 disarms", !d.inject && is(0, false, 0) && !h.inflight);
		return;
	}
	ensure("B7: whether pending holds the value is looked at", !a || ghost.pending_loads == 1);
	g = ours ? guess_of(guess, now) : 0;
	if (v <= now) {
		ensure("A2: a deadline past is injected now", d.inject == v);
		ensure("B9: after it only a guess ahead may be armed", is(g, g != 0, 0));
		return;
	}
	ensure("A5, A6: a deadline ahead replaces, and is not injected", !d.inject && !h.inflight);
	ensure("A1, A7: the timer fires no later than the deadline", h.timer && h.timer <= v);
	if (ours) {
		ensure("B7: a deadline that pending holds is lazy",
		       is(g && g < v ? g : v, true, v));
		ensure("B27: and leaves a promise, no later than it",
		       ghost.armed && ghost.armed <= v);
	} else {
		ensure("B7: a raw write gets a plain timer, and leaves no promise",
		       is(v, false, v) && (!a || !ghost.armed));
	}
}

static void check_withdraw(struct lazytsc_area *a)
{
	u32 reason = any_u32();
	struct lazytsc_host_stats stats = was.stats;
	struct lazytsc_decision d;
	bool note;

	assume(reason < LAZYTSC_WITHDRAW_REASONS);
	/* The other reasons come with the loads of one decision. */
	note = a && reason == LAZYTSC_WITHDRAW_USERSPACE;
	d = lazytsc_host_withdraw(&h, a, (enum lazytsc_withdraw_reason)reason);
	decided(d);
	memory(note ? 2 : 1);
	ensure("B4: the promise is taken back, then, behind a barrier, pending is read",
	       !ghost.raised);
	ensure("B8, B17, B18: nothing is promised any more", !h.lazy && (!a || !ghost.armed));
	ensure("B8: nothing is injected or dropped",
	       !d.inject && h.inflight == was.inflight && !d.thread && h.unpaid == was.unpaid);
	stats.withdrawals[reason] += was.lazy;
	ensure("B8: a withdrawal of a lazy timer is counted", same_stats(&stats));
	if (!was.lazy) {
		ensure("B8: a plain timer stays as it is", as_it_was() && !ghost.armed_stores);
	} else if (!a) {
		ensure("B18: without the page the deadline last seen is kept",
		       h.timer == was.wanted);
	} else {
		ensure("B8: the deadline that is wanted is kept, a consumed one is not",
		       h.timer == (ghost.first_pending >= was.timer ? ghost.first_pending : 0));
	}
	ensure("B26: done is written on the way to user space", ghost.done_stores == note);
	/* Where it was lazy pending is read twice, and a sibling may have stored in between. */
	ensure("B26: done names what a timer or an injection does not stand for",
	       !note || ghost.done == (ghost.pending == h.timer || ghost.pending == h.inflight
					       ? 0
					       : ghost.pending));
	ensure("B7: of a plain timer pending counts for done alone",
	       was.lazy || ghost.pending_loads == note);
}

static void check_recover(const struct lazytsc_area *a)
{
	struct lazytsc_host_stats stats = was.stats;
	struct lazytsc_decision d = lazytsc_host_recover(&h, a);
	bool lost = a && !was.timer && !was.inflight && ghost.pending_loads && ghost.pending &&
		    !(ghost.done_loads && ghost.pending == ghost.done);

	decided(d);
	memory(1);
	ensure("B26: recovering writes nothing", !ghost.armed_stores && !ghost.done_stores);
	ensure("B26: pending is looked at", !a || was.timer || was.inflight || ghost.pending_loads);
	ensure("B26: done is looked at where pending holds a deadline",
	       !a || was.timer || was.inflight || !ghost.pending || ghost.done_loads);
	ensure("B26: exactly a lost deadline becomes a plain timer",
	       lost ? is(ghost.pending, false, ghost.pending) : as_it_was());
	stats.recovered += lost;
	ensure("B26: and is counted", same_stats(&stats));
	ensure("B26: nothing is injected or dropped",
	       !d.inject && h.inflight == was.inflight && !d.thread && h.unpaid == was.unpaid);
}

static void check_resume(struct lazytsc_area *a)
{
	u64 now = any_u64();

	/* A restore may have brought any armed back. */
	if (a && !h.lazy)
		ghost.armed = any_u64();
	lazytsc_host_resume(&h, a, now);
	memory(1);
	ensure("B26: resuming leaves done as it is", !ghost.done_stores && !ghost.done_loads);
	ensure("B17: the timer itself stays as it is", h.timer == was.timer);
	ensure("B17: nothing is decided", h.inflight == was.inflight && same_stats(&was.stats));
	ensure("B25: entering the guest is the vCPU's own work", !h.unpaid);
	if (!a || was.lazy)
		ensure("B17: what is published stays", as_it_was() && !ghost.armed_stores);
	else if (was.timer > now && ghost.pending_loads && ghost.pending == was.timer)
		ensure("B17: what pending holds is lazy again", is(was.timer, true, was.timer));
	else
		ensure("B17: any other timer stays plain", as_it_was());
	ensure("B17: in every other case 0 is published, whatever a restore brought",
	       !a || was.lazy || ghost.armed == (h.lazy ? h.timer : 0));
	ensure("B17: pending is looked at",
	       !a || was.timer <= now || was.lazy || ghost.pending_loads);
}

static void nothing_is_left(struct lazytsc_decision d)
{
	decided(d);
	ensure("A3, A16: an undelivered injection is dropped",
	       !d.inject && !h.inflight && !d.thread);
	ensure("B25: the vCPU's own work", !h.unpaid);
	ensure("host: nothing is counted", same_stats(&was.stats));
	ensure("B17: pending does not count", !ghost.pending_loads && !ghost.pending_stores &&
						      !ghost.armed_loads && !ghost.done_stores &&
						      !ghost.done_loads);
}

static void check_cancel(struct lazytsc_area *a)
{
	/* Also in user space, right after a restore. */
	if (a && !h.lazy)
		ghost.armed = any_u64();
	nothing_is_left(lazytsc_host_cancel(&h, a));
	ensure("A4, A11, A17: no timer is left", is(0, false, 0));
	ensure("A17, B1: no promise is left", !a || (ghost.armed_stores && !ghost.armed));
}

static void check_restore(struct lazytsc_area *a)
{
	u64 v = any_u64();

	assume(!h.lazy);
	nothing_is_left(lazytsc_host_restore(&h, v));
	ensure("B14, B17: the value is the deadline, as a plain timer", is(v, false, v));
}

static void check_enable(struct lazytsc_area *a)
{
	assume(a && !h.lazy);
	ghost.armed = any_u64();
	lazytsc_host_enable(&h, &area);
	memory(0);
	ensure("B26: enabling leaves done as it is", !ghost.done_stores);
	ensure("B1: armed starts at 0", ghost.armed_stores && !ghost.armed);
	ensure("B1: a timer that runs stays as it is", as_it_was() && h.inflight == was.inflight &&
							       h.unpaid == was.unpaid &&
							       same_stats(&was.stats));
}

static void check_delivered(struct lazytsc_area *a)
{
	lazytsc_host_delivered(&h);
	ensure("A3: once delivered the deadline reads as 0", !h.inflight);
	ensure("A16: nothing else",
	       as_it_was() && h.unpaid == was.unpaid && same_stats(&was.stats));
}

static void check_deadline(const struct lazytsc_area *a)
{
	u64 read, wanted;

	assume(a || !h.lazy);
	read = lazytsc_host_deadline(&h, a);
	memory(1);
	wanted = !h.lazy ? h.timer : ghost.pending >= h.timer ? ghost.pending : 0;
	ensure("B14: pending is read, and counts for a lazy timer alone",
	       ghost.pending_loads == h.lazy);
	ensure("A3, A8, B14: RDMSR gives what is wanted or under way, never a guess",
	       read == (wanted ? wanted : h.inflight));
	ensure("B14: reading changes nothing",
	       !ghost.armed_stores && !ghost.done_stores && as_it_was() && same_stats(&was.stats) &&
		       h.inflight == was.inflight && h.unpaid == was.unpaid);
}

static void check_blocked(const struct lazytsc_area *a)
{
	u64 timer;

	assume(a || !h.lazy);
	timer = lazytsc_host_blocked(&h, a);
	memory(1);
	ensure("B29: nothing is published or decided",
	       !ghost.armed_stores && !ghost.done_stores && as_it_was() && same_stats(&was.stats) &&
		       h.inflight == was.inflight && h.unpaid == was.unpaid);
	ensure("B29: the timer is what the guest wants",
	       timer == (!h.lazy		    ? h.timer
			 : ghost.pending >= h.timer ? ghost.pending
						    : 0));
	ensure("B7: of a plain timer pending does not count", ghost.pending_loads == h.lazy);
	ensure("B29: never before the promise", !timer || timer >= h.timer);
}

static void check_word(struct lazytsc_area *a)
{
	u64 word = any_u64(), end = any_u64();
	enum lazytsc_msr_verdict verdict = lazytsc_host_check_msr(word, end);

	ensure("B11: 0 switches off", (verdict == LAZYTSC_MSR_SWITCH_OFF) == (word == 0));
	if (verdict == LAZYTSC_MSR_SWITCH_ON) {
		ensure("B11: the enable bit, and no reserved bit", (word & 1) && !(word & 62));
		ensure("B11: the area lies in the guest's address space", word - 1 < end);
		ensure("B11: the area lies in one page",
		       ((word - 1) & 4095) + sizeof(struct lazytsc_area) <= 4096);
	}
	if ((word & 1) && !(word & 62))
		ensure("B11: only an address beyond the end is refused as such",
		       verdict ==
			       (word - 1 < end ? LAZYTSC_MSR_SWITCH_ON : LAZYTSC_MSR_BAD_ADDRESS));
	else if (word)
		ensure("B11: reserved bits are refused as such",
		       verdict == LAZYTSC_MSR_BAD_RESERVED);
	ensure("B26: the guest cannot set the bit that says that done is stale",
	       !(word & LAZYTSC_MSR_STALE) || verdict == LAZYTSC_MSR_BAD_RESERVED);
}

/* The one that takes longest comes last. */
static void check_expire(struct lazytsc_area *a)
{
	struct lazytsc_expiry e;
	struct lazytsc_host_stats stats = was.stats;
	struct lazytsc_decision d;
	u128 limit;
	u64 next, expected = 0;
	bool re_armed;

	e.context = any_bool() ? LAZYTSC_VCPU : LAZYTSC_REMOTE;
	e.now = any_u64();
	e.wait = any_u64();
	e.guess = any_u64();
	e.blocked = any_u8() & 1;
	e.nearest = any_u64();
	e.look = any_u8() & 1;
	assume(a || !h.lazy);
	assume(!e.look || e.context == LAZYTSC_VCPU);
	limit = e.now;
	if (e.context == LAZYTSC_VCPU)
		limit += e.wait;

	d = lazytsc_host_expire(&h, a, &e);
	decided(d);
	memory(1);
	ensure("B4: after each raise of armed, behind a barrier, pending is read", !ghost.raised);
	ensure("B26: an expiry leaves done as it is", !ghost.done_stores && !ghost.done_loads);
	ensure("A6: nothing is injected before it is due", (u128)d.inject <= limit);
	ensure("B6: nothing below the armed that fired", !d.inject || d.inject >= was.timer);
	ensure("B10: the same timer is armed again only where it is not due",
	       !was.timer || h.timer != was.timer || h.timer > limit);

	if (!was.timer) {
		ensure("B10: a stale call is harmless",
		       !d.inject && as_it_was() && same_stats(&was.stats) && !d.thread &&
			       h.unpaid == was.unpaid);
		return;
	}
	next = (u128)e.guess > limit && e.guess > was.timer ? e.guess : 0;
	if (!was.lazy) {
		expected = was.timer <= limit ? was.timer : 0;
		ensure("A3: a plain timer is over exactly when it was due",
		       expected ? is(0, false, 0) : as_it_was());
		ensure("B7: pending does not count", !ghost.armed_stores && !ghost.pending_loads);
	} else {
		u64 pending = ghost.pending;

		ensure("B4: pending is read", ghost.pending_loads == 1);
		if (pending < was.timer) {
			ensure("B6: below the armed that fired nothing is wanted",
			       is(next, next != 0, 0));
		} else if (pending <= limit) {
			expected = pending;
			ensure("A3: what is injected is not armed again", is(next, next != 0, 0));
		} else {
			ensure("B5: what is wanted later is armed again",
			       is(next && next < pending ? next : pending, true, pending));
		}
	}
	ensure("B5, B6: injected is what is wanted and due, and nothing else",
	       d.inject == expected);
	stats.injections += expected != 0;
	stats.looks += !expected && e.look;
	stats.silent_blocked += !expected && !e.look && e.blocked;
	stats.silent_running += !expected && !e.look && !e.blocked;
	stats.left += d.thread;
	ensure("B12, B13, B29: a silent expiry is counted once, a blocked one and a look apart",
	       same_stats(&stats));
	ensure("A16: an injection under way stays", expected || h.inflight == was.inflight);

	re_armed = !expected && h.timer && e.context == LAZYTSC_REMOTE && e.nearest;
	ensure("B25: of two re-arms in a row on another CPU the second is not near",
	       d.thread == (re_armed && was.unpaid && (u128)h.timer < (u128)e.now + e.nearest));
	ensure("B25: what the vCPU's thread has not paid for is remembered",
	       h.unpaid ==
		       (!expected && (re_armed || (was.unpaid && e.context == LAZYTSC_REMOTE))));
}

/* CHECK is one of the checks above: contracts.py asks for each alone, which is sooner. */
int main(void)
{
	struct lazytsc_host any;
	struct lazytsc_area *a = any_bool() ? &area : NULL;

	h = any;
	/* A _Bool of no given value may hold any byte. */
	h.lazy = any_u8() & 1;
	h.unpaid = any_u8() & 1;
	if (a)
		ghost.armed = any_u64();
	assume(invariant(a));
	assume(h.stats.traps < ~0ULL && h.stats.injections < ~0ULL && h.stats.left < ~0ULL &&
	       h.stats.silent_running < ~0ULL && h.stats.silent_blocked < ~0ULL &&
	       h.stats.recovered < ~0ULL && h.stats.looks < ~0ULL);
	for (int i = 0; i < LAZYTSC_WITHDRAW_REASONS; i++)
		assume(h.stats.withdrawals[i] < ~0ULL);
	was = h;

	CHECK(a);
	ensure("B1, B11: lazy exactly when armed stands published as the timer", invariant(a));
	return 0;
}
