// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <lazytsc/host.h>

enum lazytsc_msr_verdict lazytsc_host_check_msr(u64 word, u64 gpa_end)
{
	if (word == 0)
		return LAZYTSC_MSR_SWITCH_OFF;
	if (!(word & LAZYTSC_MSR_ENABLE) || (word & LAZYTSC_MSR_RESERVED))
		return LAZYTSC_MSR_BAD_RESERVED;
	if ((word & LAZYTSC_MSR_GPA) >= gpa_end)
		return LAZYTSC_MSR_BAD_ADDRESS;
	return LAZYTSC_MSR_SWITCH_ON;
}

/*
 * Publish an armed that is earlier than the former one. This needs no barrier: the host looks
 * sooner than it promised, so every deadline that the guest has skipped on is still looked at.
 */
static void publish_earlier(struct lazytsc_area *area, u64 armed)
{
	lazytsc_store(&area->armed, armed);
}

/*
 * Publish an armed that is later than the former one (0 is the latest): the promise at the former
 * one is taken back. Then read what the guest wants.
 *
 * The barrier pairs with the one in store_then_load() of guest.c: store buffering (SB). Here armed
 * is stored and pending loaded; there pending is stored and armed loaded. With both barriers at
 * least one side sees the other. Without this one, or with the load first, the guest can skip on
 * the former armed while the host has read the former pending: the deadline is lost (A7).
 */
static u64 publish_then_read(struct lazytsc_area *area, u64 armed)
{
	lazytsc_store(&area->armed, armed);
	lazytsc_mb();
	return lazytsc_load(&area->pending);
}

static void set_timer(struct lazytsc_host *h, bool lazy, u64 timer, u64 wanted)
{
	lazytsc_assert(timer != 0 || !lazy);
	lazytsc_assert(lazy || timer == wanted);

	h->lazy = lazy;
	h->timer = timer;
	h->wanted = wanted;
}

static struct lazytsc_decision decide(struct lazytsc_host *h, u64 inject)
{
	if (inject) {
		h->inflight = inject;
		h->unpaid = false;
		h->stats.injections++;
	}
	return (struct lazytsc_decision){ .timer = h->timer, .inject = inject };
}

/* The earlier of a deadline and a guess, where 0 is no guess. */
static u64 earlier(u64 deadline, u64 guess)
{
	return guess && guess < deadline ? guess : deadline;
}

void lazytsc_host_enable(struct lazytsc_host *h, struct lazytsc_area *area)
{
	lazytsc_assert(!h->lazy);

	lazytsc_store(&area->armed, 0);
}

struct lazytsc_decision lazytsc_host_write(struct lazytsc_host *h, struct lazytsc_area *area, u64 v,
					   u64 now, u64 guess)
{
	bool ours;
	u64 armed;

	h->stats.traps++;
	h->unpaid = false;
	if (v == 0)
		return lazytsc_host_cancel(h, area);

	/* The exit drained the guest's stores. A value that is not in pending is a raw write. */
	ours = area && lazytsc_load(&area->pending) == v;
	h->inflight = 0;
	if (guess <= now || !ours)
		guess = 0;

	if (v <= now) {
		/*
		 * v is injected now, and pending still holds it. The guess lies beyond v, so at its
		 * expiry pending < armed says that v is not wanted once more.
		 */
		armed = guess;
		set_timer(h, armed != 0, armed, 0);
	} else {
		armed = ours ? earlier(v, guess) : 0;
		set_timer(h, ours, ours ? armed : v, v);
	}
	/* The guest is stopped and pending is known: this may raise armed without reading again. */
	if (area)
		lazytsc_store(&area->armed, armed);
	return decide(h, v <= now ? v : 0);
}

/*
 * A silent expiry: the timer fires later, or not again. On another CPU nobody is charged for it,
 * and another vCPU that keeps moving pending a little ahead could make the timer fire as fast as it
 * can be served. So when the timer was re-armed silently there before, a near re-arm is left to the
 * vCPU's thread (B25).
 */
static struct lazytsc_decision silent(struct lazytsc_host *h, const struct lazytsc_expiry *e)
{
	struct lazytsc_decision d = decide(h, 0);

	if (e->look)
		h->stats.looks++;
	else if (e->blocked)
		h->stats.silent_blocked++;
	else
		h->stats.silent_running++;
	if (e->context == LAZYTSC_VCPU) {
		h->unpaid = false;
	} else if (h->timer && e->nearest) {
		d.thread = h->unpaid && h->timer - e->now < e->nearest;
		h->stats.left += d.thread;
		h->unpaid = true;
	}
	return d;
}

/* The last moment at which a deadline is due in this expiry; ~0 where the sum would wrap. */
static u64 due_limit(const struct lazytsc_expiry *e)
{
	/* On another CPU the guest could still move a deadline that is not due: wait for none. */
	u64 wait = e->context == LAZYTSC_VCPU ? e->wait : 0;

	return e->now > ~wait ? ~(u64)0 : e->now + wait;
}

static struct lazytsc_decision expire_plain(struct lazytsc_host *h, const struct lazytsc_expiry *e)
{
	u64 deadline = h->timer;

	if (deadline > due_limit(e))
		return silent(h, e);
	set_timer(h, false, 0, 0);
	return decide(h, deadline);
}

static struct lazytsc_decision expire_lazy(struct lazytsc_host *h, struct lazytsc_area *area,
					   const struct lazytsc_expiry *e)
{
	u64 limit = due_limit(e);
	u64 fired = h->timer;
	u64 next = e->guess > fired && e->guess > limit ? e->guess : 0;
	u64 pending = publish_then_read(area, next);

	if (pending >= fired && pending <= limit) {
		/* next is 0 or beyond pending, so this deadline is not found wanted once more. */
		set_timer(h, next != 0, next, 0);
		return decide(h, pending);
	}

	if (pending < fired) {
		/* Nothing is wanted: disarmed, delivered before, or its WRMSR is on the way. */
		set_timer(h, next != 0, next, 0);
		return silent(h, e);
	}
	set_timer(h, true, earlier(pending, next), pending);
	if (h->timer != next)
		publish_earlier(area, h->timer);
	return silent(h, e);
}

struct lazytsc_decision lazytsc_host_expire(struct lazytsc_host *h, struct lazytsc_area *area,
					    const struct lazytsc_expiry *e)
{
	if (!h->timer)
		return decide(h, 0);
	if (!h->lazy)
		return expire_plain(h, e);

	lazytsc_assert(area);
	return expire_lazy(h, area, e);
}

void lazytsc_host_delivered(struct lazytsc_host *h)
{
	h->inflight = 0;
}

static void make_plain(struct lazytsc_host *h, struct lazytsc_area *area)
{
	u64 wanted = h->wanted;

	if (area) {
		u64 pending = publish_then_read(area, 0);

		wanted = pending >= h->timer ? pending : 0;
	}
	set_timer(h, false, wanted, wanted);
}

/*
 * The deadline in pending is wanted only if a timer or an injection stands for it. User space saves
 * these as MSRs too, but may restore those wrongly; the area comes with the guest's memory.
 */
static void write_done(const struct lazytsc_host *h, struct lazytsc_area *area)
{
	u64 pending = lazytsc_load(&area->pending);
	bool wanted = pending == h->timer || pending == h->inflight;

	lazytsc_store(&area->done, wanted ? 0 : pending);
}

struct lazytsc_decision lazytsc_host_withdraw(struct lazytsc_host *h, struct lazytsc_area *area,
					      enum lazytsc_withdraw_reason reason)
{
	lazytsc_assert(reason < LAZYTSC_WITHDRAW_REASONS);

	if (h->lazy) {
		make_plain(h, area);
		h->stats.withdrawals[reason]++;
	}
	if (area && reason == LAZYTSC_WITHDRAW_USERSPACE)
		write_done(h, area);
	return decide(h, 0);
}

struct lazytsc_decision lazytsc_host_recover(struct lazytsc_host *h,
					     const struct lazytsc_area *area)
{
	u64 pending;

	if (!area || h->timer || h->inflight)
		return decide(h, 0);

	pending = lazytsc_load(&area->pending);
	if (pending && pending != lazytsc_load(&area->done)) {
		set_timer(h, false, pending, pending);
		h->stats.recovered++;
	}
	return decide(h, 0);
}

void lazytsc_host_resume(struct lazytsc_host *h, struct lazytsc_area *area, u64 now)
{
	h->unpaid = false;
	if (!area || h->lazy)
		return;

	if (h->timer > now && lazytsc_load(&area->pending) == h->timer)
		set_timer(h, true, h->timer, h->timer);
	lazytsc_store(&area->armed, h->lazy ? h->timer : 0);
}

struct lazytsc_decision lazytsc_host_cancel(struct lazytsc_host *h, struct lazytsc_area *area)
{
	if (area)
		lazytsc_store(&area->armed, 0);
	set_timer(h, false, 0, 0);
	h->inflight = 0;
	h->unpaid = false;
	return decide(h, 0);
}

struct lazytsc_decision lazytsc_host_restore(struct lazytsc_host *h, u64 v)
{
	lazytsc_assert(!h->lazy);

	set_timer(h, false, v, v);
	h->inflight = 0;
	h->unpaid = false;
	return decide(h, 0);
}

u64 lazytsc_host_blocked(const struct lazytsc_host *h, const struct lazytsc_area *area)
{
	u64 pending;

	if (!h->lazy)
		return h->timer;
	lazytsc_assert(area);
	pending = lazytsc_load(&area->pending);
	return pending >= h->timer ? pending : 0;
}

u64 lazytsc_host_deadline(const struct lazytsc_host *h, const struct lazytsc_area *area)
{
	u64 wanted = lazytsc_host_blocked(h, area);

	return wanted ? wanted : h->inflight;
}
