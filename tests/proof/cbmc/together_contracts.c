// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guest and host together, the real files of both, by rely and guarantee: an invariant of the whole
 * protocol that every step of either side keeps, whatever the other one does in between. So it
 * holds for all values and after any number of operations: a wanted deadline is never lost (A7),
 * never early (A6), never injected twice (B6).
 *
 * How. One operation of one side runs from any state of the invariant. Immediately before each of
 * its accesses to the area, any number of steps of the other side may happen: what the other side
 * owns takes any value that the invariant allows, and time passes. After each access the invariant
 * must hold again. What the guest does with the MSR exits, and runs the host's function while the
 * guest is stopped.
 *
 * Assumed: accesses happen one after the other (sequential consistency). That the two barriers make
 * it so where it matters is what the checker (x86-TSO) and the LKMM litmus tests show. Calls for
 * one struct lazytsc_host are serialised, as host.h demands. The guest is honest, and drives its
 * MSR by guest.h; the kernel's own state is not in here. Not in here either, but in
 * host_contracts.c: a page that is gone (area NULL), and lazytsc_host_recover(), whose restored
 * state is no state of this invariant.
 */
#include "guest.c"
#include "host.c"

static struct lazytsc_area area;
static struct lazytsc_guest g;
static struct lazytsc_host h;

/* What the guest is doing. */
enum place {
	IDLE, /* between two operations */
	STORED, /* in set or disarm: pending is stored, armed not yet loaded */
	WRITES, /* the MSR write is on its way */
	PLACES
};

/* Memory, and what both sides together mean; the code sees armed, pending and time only. */
static struct {
	u64 armed, pending, time;
	enum place place;
	u64 wanted; /* what the guest set last; 0: nothing */
	bool served; /* its interrupt has been raised */
	u64 former; /* while the guest is in an operation: what it wanted before */
	bool former_served;
	bool published; /* the host has published, and pending is still to be read */
} s;

/* Who runs, and whether the other side may. */
static enum { GUEST, HOST } running;
static bool guest_stopped;

/*
 * The invariant.
 *
 * Lazy: armed is 0 or at the timer or beyond: whoever skips on it is looked at in time. Plain:
 * armed is 0, so that everybody exits.
 *
 * A guest that is idle wants what the host knows or will find: by a lazy timer that looks at
 * pending no later than the deadline, or by a plain one. A deadline that was served lies below
 * whatever the host looks for: it is not found again.
 */
static bool invariant(void)
{
	if (h.lazy) {
		if (!h.timer || (s.armed && s.armed < h.timer) || s.pending != s.wanted)
			return false;
		if (s.served ? s.wanted >= h.timer
			     : s.place == IDLE && s.wanted && s.wanted < h.timer)
			return false;
	} else {
		if (s.armed || s.published || h.timer != h.wanted)
			return false;
		if (s.place == IDLE && h.timer != (s.served ? 0 : s.wanted))
			return false;
		if (s.place != IDLE && h.timer &&
		    (h.timer == s.wanted ? s.served : s.former_served || h.timer != s.former))
			return false;
	}
	if (s.place != IDLE && s.pending != s.wanted)
		return false;
	return s.place < PLACES && (s.wanted || !s.served);
}

static void keeps_invariant(void)
{
	ensure("A7, B4: the invariant: what is wanted is armed, or is going to be seen",
	       invariant());
	/* What it is for, in other words. */
	ensure("A7: a wanted deadline has a timer that fires no later",
	       s.place != IDLE || !s.wanted || s.served || (h.timer && h.timer <= s.wanted));
}

/* Any number of steps of the other side. */
static void others(void)
{
	u64 time = any_u64();

	assume(time >= s.time);
	s.time = time;
	if (running == HOST) {
		if (guest_stopped)
			return;
		s.pending = any_u64();
		s.wanted = any_u64();
		s.former = any_u64();
		s.served = any_u8() & 1;
		s.former_served = any_u8() & 1;
		s.place = (enum place)(any_u8() & 3);
	} else {
		s.armed = any_u64();
		h.timer = any_u64();
		h.wanted = any_u64();
		h.inflight = any_u64();
		h.lazy = any_u8() & 1;
		h.unpaid = any_u8() & 1;
		s.published = any_u8() & 1;
		s.served = any_u8() & 1;
		s.former_served = any_u8() & 1;
	}
	assume(invariant());
}

u64 lazytsc_load(const lazytsc_shared_t *p)
{
	others();
	if (p == &area.pending) {
		s.published = false;
		return s.pending;
	}
	ensure("together: armed and pending are all that is loaded", p == &area.armed);
	return s.armed;
}

/* What the guest stores in pending is what it wants from now on. */
static void store_pending(u64 v)
{
	s.former = s.wanted;
	s.former_served = s.served;
	s.wanted = v;
	s.served = false;
	s.pending = v;
	s.place = STORED;
}

void lazytsc_store(lazytsc_shared_t *p, u64 v)
{
	others();
	if (p == &area.pending) {
		store_pending(v);
		keeps_invariant();
	} else if (p == &area.armed) {
		s.armed = v;
		if (running == HOST && !guest_stopped) {
			s.published = h.lazy;
			keeps_invariant();
		}
	}
}

void lazytsc_mb(void)
{
}

u64 lazytsc_tsc(void)
{
	return any_u64();
}

/* The host has decided, in the state as it is now. */
static void decided(struct lazytsc_decision d)
{
	if (d.inject) {
		/* In vCPU context the caller keeps the guest stopped until then. */
		if (guest_stopped && s.time < d.inject)
			s.time = d.inject;
		ensure("A6: never before the deadline", d.inject <= s.time);
		ensure("A6, A7: injected is what the guest wants, or wanted until this operation",
		       d.inject == s.wanted ||
			       (s.place != IDLE && d.inject == s.former && !s.former_served));
		ensure("B6: never twice", s.place != IDLE || !s.served);
		s.served |= d.inject == s.wanted;
		s.former_served |= d.inject == s.former;
	}
	s.published = false;
	keeps_invariant();
}

/* The guest's MSR write exits; the host's lock is free, and the guest stopped until it is done. */
static void trap(void)
{
	struct lazytsc_decision d;
	u64 now, guess = any_u64();

	others();
	assume(!s.published);
	now = any_u64();
	assume(now <= s.time);
	running = HOST;
	guest_stopped = true;
	s.place = IDLE;
	s.served = false;
	d = lazytsc_host_write(&h, &area, s.wanted, now, guess);
	ensure("A6: never before the deadline", !d.inject || d.inject <= now);
	s.served = d.inject != 0;
	keeps_invariant();
}

static void guest_operates(void)
{
	u64 t = any_u64();
	bool write;

	assume(s.place == IDLE);
	running = GUEST;
	write = t ? lazytsc_guest_set(&g, t) : lazytsc_guest_disarm(&g);
	/* Since it has loaded armed, the guest has touched nothing that is shared. */
	s.place = write ? WRITES : IDLE;
	keeps_invariant();
	if (write)
		trap();
}

static void host_expires(void)
{
	struct lazytsc_expiry e;

	e.context = guest_stopped ? LAZYTSC_VCPU : LAZYTSC_REMOTE;
	e.now = any_u64();
	e.wait = any_u64();
	e.guess = any_u64();
	e.blocked = any_u8() & 1;
	e.nearest = any_u64();
	assume(e.now <= s.time);
	/* Also too soon, and without a timer: a stale call is harmless. */
	decided(lazytsc_host_expire(&h, &area, &e));
	ensure("A7, B10: a timer that has fired fires again later", !h.timer || h.timer > e.now);
}

static void host_withdraws(void)
{
	u32 reason = any_u32();

	assume(reason < LAZYTSC_WITHDRAW_REASONS);
	/* To user space only the vCPU's own thread goes, which looks at pending once more. */
	assume(reason != LAZYTSC_WITHDRAW_USERSPACE || guest_stopped);
	decided(lazytsc_host_withdraw(&h, &area, (enum lazytsc_withdraw_reason)reason));
	ensure("B8: nothing is promised any more", !h.lazy && !s.armed);
}

/* What user space, or a reset, decides over the guest's head is what is wanted from then on. */
static void now_wants(u64 v)
{
	if (s.place == IDLE) {
		s.wanted = v;
		s.served = false;
	} else {
		s.former = v;
		s.former_served = false;
		if (v == s.wanted)
			s.served = false;
	}
}

static void host_operates(void)
{
	u64 v = any_u64(), now = any_u64();

	assume(!s.published);
	running = HOST;
	guest_stopped = any_u8() & 1;
	switch (any_u8()) {
	case 0:
		host_expires();
		return;
	case 1:
		host_withdraws();
		return;
	}
	guest_stopped = true;
	switch (any_u8()) {
	case 0:
		lazytsc_host_resume(&h, &area, now);
		break;
	case 1:
		lazytsc_host_cancel(&h, &area);
		now_wants(0);
		break;
	case 2:
		assume(!h.lazy);
		lazytsc_host_restore(&h, v);
		now_wants(v);
		break;
	case 3:
		/* The guest has zeroed its area, and gives it to the host; it is idle. */
		assume(!h.lazy && s.place == IDLE);
		s.pending = 0;
		lazytsc_host_enable(&h, &area);
		break;
	}
	keeps_invariant();
}

int main(void)
{
	struct lazytsc_guest any;
	struct lazytsc_host any_host;

	ensure("A7: the invariant holds in the beginning, when all is 0", invariant());
	g = any;
	g.area = &area;
	h = any_host;
	h.lazy = any_u8() & 1;
	h.unpaid = any_u8() & 1;
	s.armed = any_u64();
	s.pending = any_u64();
	s.time = any_u64();
	s.place = (enum place)(any_u8() & 3);
	s.wanted = any_u64();
	s.served = any_u8() & 1;
	s.former = any_u64();
	s.former_served = any_u8() & 1;
	s.published = any_u8() & 1;
	assume(invariant());
	if (any_u8() & 1)
		guest_operates();
	else
		host_operates();
	return 0;
}
