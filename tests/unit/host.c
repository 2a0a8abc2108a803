// SPDX-License-Identifier: BSD-2-Clause
/*
 * The host's side on its own: each function against every class of (timer, pending, now, guess),
 * with the guest's part of the area written by the test. Shown are the decisions, what stands
 * published afterwards, and the counters. Requirements by number at each test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/host.h>

#define HUGE_DEADLINE (~(u64)0)

static struct lazytsc_area area;
static struct lazytsc_host host;
static u64 nearest; /* for fire() */

static int setup(void **state)
{
	(void)state;
	memset(&host, 0, sizeof(host));
	memset(&area, 0, sizeof(area));
	nearest = 0;
	lazytsc_host_enable(&host, &area);
	return 0;
}

static u64 armed(void)
{
	return lazytsc_load(&area.armed);
}

/* What the guest does, without its decision whether to write the MSR. */
static void want(u64 pending)
{
	lazytsc_store(&area.pending, pending);
}

static struct lazytsc_decision trap(u64 v, u64 now, u64 guess)
{
	return lazytsc_host_write(&host, &area, v, now, guess);
}

static struct lazytsc_decision fire(enum lazytsc_context context, u64 now, u64 wait, u64 guess)
{
	const struct lazytsc_expiry e = {
		.context = context, .now = now, .wait = wait, .guess = guess, .nearest = nearest
	};

	return lazytsc_host_expire(&host, &area, &e);
}

static void check(struct lazytsc_decision d, u64 timer, u64 inject, u64 published)
{
	assert_int_equal(d.timer, timer);
	assert_int_equal(d.inject, inject);
	assert_int_equal(host.timer, timer);
	assert_int_equal(armed(), published);
}

static u64 deadline(void)
{
	return lazytsc_host_deadline(&host, &area);
}

/* A lazy timer at @t, as a set on an idle host leaves it. */
static void arm_lazy(u64 t)
{
	want(t);
	check(trap(t, 0, 0), t, 0, t);
	assert_true(host.lazy);
}

/* B11: only an aligned address in the guest's space with the enable bit, or 0, is acceptable. */
static void msr_word(void **state)
{
	static const struct {
		u64 word;
		enum lazytsc_msr_verdict verdict;
	} cases[] = {
		{ 0, LAZYTSC_MSR_SWITCH_OFF },
		{ 1, LAZYTSC_MSR_SWITCH_ON },
		{ 0x1001, LAZYTSC_MSR_SWITCH_ON },
		{ 0x1041, LAZYTSC_MSR_SWITCH_ON },
		{ 0xfffffc1, LAZYTSC_MSR_SWITCH_ON },
		{ 0x10000001, LAZYTSC_MSR_BAD_ADDRESS },
		{ ~(u64)0x3f | 1, LAZYTSC_MSR_BAD_ADDRESS },
		{ 0x1000, LAZYTSC_MSR_BAD_RESERVED },
		{ 0x1003, LAZYTSC_MSR_BAD_RESERVED },
		{ 0x1021, LAZYTSC_MSR_BAD_RESERVED },
		{ 2, LAZYTSC_MSR_BAD_RESERVED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(lazytsc_host_check_msr(cases[i].word, 0x10000000),
				 cases[i].verdict);
}

/* A1, A2, A8, B7, B9: what a trapped write does, alone decided by its value. */
static void write_decides(void **state)
{
	static const struct {
		u64 pending, v, now, guess;
		u64 timer, inject, published;
		bool lazy;
	} cases[] = {
		/* ours, ahead: lazy, at a guess where that is earlier */
		{ 100, 100, 50, 0, 100, 0, 100, true },
		{ 100, 100, 50, 80, 80, 0, 80, true },
		{ 100, 100, 50, 50, 100, 0, 100, true },
		{ 100, 100, 50, 100, 100, 0, 100, true },
		{ 100, 100, 50, 200, 100, 0, 100, true },
		{ HUGE_DEADLINE, HUGE_DEADLINE, 50, 0, HUGE_DEADLINE, 0, HUGE_DEADLINE, true },
		/* ours, past: injected, armed is 0 or a guess ahead */
		{ 100, 100, 100, 0, 0, 100, 0, false },
		{ 1, 1, 100, 0, 0, 1, 0, false },
		{ 100, 100, 150, 150, 0, 100, 0, false },
		{ 100, 100, 150, 151, 151, 100, 151, true },
		/* raw: plain, whatever pending holds, and no guess */
		{ 0, 100, 50, 0, 100, 0, 0, false },
		{ 200, 100, 50, 80, 100, 0, 0, false },
		{ 99, 100, 50, 0, 100, 0, 0, false },
		{ 200, 100, 150, 180, 0, 100, 0, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(state);
		want(cases[i].pending);
		check(trap(cases[i].v, cases[i].now, cases[i].guess), cases[i].timer,
		      cases[i].inject, cases[i].published);
		assert_int_equal(host.lazy, cases[i].lazy);
		assert_int_equal(host.stats.traps, 1);
		assert_int_equal(host.stats.injections, cases[i].inject != 0);
		assert_int_equal(deadline(), cases[i].v);
		assert_int_equal(lazytsc_load(&area.pending), cases[i].pending);
	}
}

/* A4, A5: a later write replaces, 0 disarms, an undelivered injection goes with either. */
static void write_replaces(void **state)
{
	(void)state;
	arm_lazy(100);
	want(40);
	check(trap(40, 10, 0), 40, 0, 40);
	check(trap(200, 20, 0), 200, 0, 0);
	want(0);
	check(trap(0, 30, 99), 0, 0, 0);
	assert_int_equal(deadline(), 0);
	assert_int_equal(host.stats.traps, 4);

	want(5);
	check(trap(5, 50, 0), 0, 5, 0);
	assert_int_equal(deadline(), 5);
	check(trap(0, 51, 0), 0, 0, 0);
	assert_int_equal(deadline(), 0);

	want(5);
	check(trap(5, 50, 0), 0, 5, 0);
	want(70);
	check(trap(70, 51, 0), 70, 0, 70);
	assert_int_equal(deadline(), 70);
	/* What was replaced is gone, also once the new one is disarmed by a skip. */
	want(0);
	assert_int_equal(deadline(), 0);
}

/* B1, A7: what stood in the area before is no promise of this host. */
static void enable_promises_nothing(void **state)
{
	(void)state;
	lazytsc_store(&area.armed, 77);
	lazytsc_host_enable(&host, &area);
	assert_int_equal(armed(), 0);
}

/* A8, B6: at the end of time, and where the timer fires too early, with a guess at the timer. */
static void edges_of_an_expiry(void **state)
{
	(void)state;
	trap(~0ULL, 0, 0);
	check(fire(LAZYTSC_VCPU, ~0ULL - 1, 10, 0), 0, ~0ULL, 0);

	arm_lazy(100);
	want(0);
	check(fire(LAZYTSC_VCPU, 50, 0, 100), 0, 0, 0);
}

/* B25: only a bounded re-arm on another CPU is owed, and a cancelled timer owes nothing. */
static void what_is_not_owed(void **state)
{
	(void)state;
	arm_lazy(100);
	want(300);
	fire(LAZYTSC_REMOTE, 100, 0, 0);
	assert_false(host.unpaid);
	nearest = 50;
	fire(LAZYTSC_REMOTE, 300 - 1, 0, 0);
	assert_true(host.unpaid);
	lazytsc_host_cancel(&host, &area);
	assert_false(host.unpaid);
	arm_lazy(100);
	want(0);
	fire(LAZYTSC_REMOTE, 100, 0, 0);
	assert_false(host.unpaid);
}

/* The feature is off: a stock TSC deadline (A1..A5). */
static void stock_without_area(void **state)
{
	const struct lazytsc_expiry e = { .context = LAZYTSC_REMOTE, .now = 100 };
	struct lazytsc_decision d;

	(void)state;
	d = lazytsc_host_write(&host, NULL, 100, 50, 70);
	assert_int_equal(d.timer, 100);
	assert_false(host.lazy);
	d = lazytsc_host_expire(&host, NULL, &e);
	assert_int_equal(d.timer, 0);
	assert_int_equal(d.inject, 100);
	lazytsc_host_delivered(&host);
	assert_int_equal(lazytsc_host_deadline(&host, NULL), 0);
	lazytsc_host_resume(&host, NULL, 100);
	lazytsc_host_write(&host, NULL, 200, 150, 0);
	d = lazytsc_host_cancel(&host, NULL);
	assert_int_equal(d.timer, 0);
	assert_int_equal(armed(), 0);
}

/* B5, B6, B10: a lazy timer at 100 fires; pending decides, compared with 100 and with now. */
static void lazy_expiry(void **state)
{
	static const struct {
		u64 pending, now, guess;
		u64 timer, inject, published;
	} cases[] = {
		{ 100, 100, 0, 0, 100, 0 }, /* due */
		{ 130, 130, 0, 0, 130, 0 }, /* moved, and the host is late */
		{ 150, 100, 0, 150, 0, 150 }, /* moved on: re-armed */
		{ HUGE_DEADLINE, 100, 0, HUGE_DEADLINE, 0, HUGE_DEADLINE },
		{ 0, 100, 0, 0, 0, 0 }, /* disarmed */
		{ 99, 100, 0, 0, 0, 0 }, /* delivered before, or its write is on the way */
		{ 1, 100, 0, 0, 0, 0 },
		/* with a guess, published before pending is read */
		{ 100, 100, 300, 300, 100, 300 },
		{ 150, 100, 300, 150, 0, 150 },
		{ 150, 100, 120, 120, 0, 120 },
		{ 150, 100, 150, 150, 0, 150 },
		{ 0, 100, 300, 300, 0, 300 },
		{ 99, 100, 300, 300, 0, 300 },
		/* guesses that do not lie ahead */
		{ 100, 100, 100, 0, 100, 0 },
		{ 100, 120, 110, 0, 100, 0 },
		{ 115, 120, 120, 0, 115, 0 },
		{ 150, 100, 50, 150, 0, 150 },
	};

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		enum lazytsc_context context = i % 2 ? LAZYTSC_REMOTE : LAZYTSC_VCPU;

		setup(state);
		arm_lazy(100);
		want(cases[i / 2].pending);
		check(fire(context, cases[i / 2].now, 0, cases[i / 2].guess), cases[i / 2].timer,
		      cases[i / 2].inject, cases[i / 2].published);
		assert_int_equal(host.lazy, cases[i / 2].published != 0);
		assert_int_equal(host.stats.injections, cases[i / 2].inject != 0);
		assert_int_equal(host.stats.silent_running, cases[i / 2].inject == 0);
		assert_int_equal(lazytsc_load(&area.pending), cases[i / 2].pending);
	}
}

/* A6, B15: in advance by what the caller can wait; on another CPU nothing is committed early. */
static void expiry_in_advance(void **state)
{
	(void)state;
	arm_lazy(100);
	check(fire(LAZYTSC_VCPU, 95, 5, 0), 0, 100, 0);

	setup(state);
	arm_lazy(100);
	check(fire(LAZYTSC_VCPU, 94, 5, 0), 100, 0, 100);

	setup(state);
	arm_lazy(100);
	check(fire(LAZYTSC_REMOTE, 95, 5, 0), 100, 0, 100);

	/* A guess within the wait would stand at or below the injected deadline. */
	setup(state);
	arm_lazy(100);
	want(104);
	check(fire(LAZYTSC_VCPU, 100, 5, 103), 0, 104, 0);

	/* Not due within the wait: re-armed. The wait may be absurd without an overflow. */
	setup(state);
	arm_lazy(100);
	want(106);
	check(fire(LAZYTSC_VCPU, 100, 5, 0), 106, 0, 106);
	check(fire(LAZYTSC_VCPU, 100, HUGE_DEADLINE, 0), 0, 106, 0);
}

/* A1, A6: a plain timer fires. Pending does not count, and no guess is taken. */
static void plain_expiry(void **state)
{
	(void)state;
	want(300);
	check(trap(100, 0, 0), 100, 0, 0);
	check(fire(LAZYTSC_VCPU, 90, 5, 0), 100, 0, 0);
	check(fire(LAZYTSC_REMOTE, 99, 5, 0), 100, 0, 0);
	assert_int_equal(host.stats.silent_running, 2);
	check(fire(LAZYTSC_VCPU, 96, 5, 200), 0, 100, 0);
	/* A stale callback finds no timer. */
	check(fire(LAZYTSC_VCPU, 100, 0, 200), 0, 0, 0);
	assert_int_equal(host.stats.injections, 1);
}

/* B13: silent expiries of a blocked vCPU are counted apart. */
static void blocked_is_counted_apart(void **state)
{
	const struct lazytsc_expiry e = { .context = LAZYTSC_VCPU, .now = 100, .blocked = true };

	(void)state;
	arm_lazy(100);
	want(0);
	lazytsc_host_expire(&host, &area, &e);
	assert_int_equal(host.stats.silent_blocked, 1);
	assert_int_equal(host.stats.silent_running, 0);
}

/*
 * B29: a free look decides as an expiry does, at any time, and is counted as a look. It is the work
 * of the vCPU's own thread (B25).
 */
static void look_decides(void **state)
{
	static const struct {
		u64 pending, now, guess;
		u64 timer, inject, published;
	} cases[] = {
		/* the promise has passed while the vCPU was blocked */
		{ 500, 300, 0, 500, 0, 500 },
		{ 500, 300, 400, 400, 0, 400 },
		{ 0, 300, 0, 0, 0, 0 },
		{ 50, 300, 0, 0, 0, 0 },
		{ 250, 300, 0, 0, 250, 0 },
		{ 250, 300, 400, 400, 250, 400 },
		/* it has not */
		{ 500, 70, 0, 500, 0, 500 },
		{ 100, 70, 0, 100, 0, 100 },
		{ 0, 70, 0, 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct lazytsc_expiry e = { .context = LAZYTSC_VCPU,
						  .now = cases[i].now,
						  .guess = cases[i].guess,
						  .blocked = true,
						  .look = true };

		setup(state);
		arm_lazy(100);
		host.unpaid = true;
		want(cases[i].pending);
		check(lazytsc_host_expire(&host, &area, &e), cases[i].timer, cases[i].inject,
		      cases[i].published);
		assert_int_equal(host.stats.looks, cases[i].inject == 0);
		assert_int_equal(host.stats.injections, cases[i].inject != 0);
		assert_int_equal(host.stats.silent_running + host.stats.silent_blocked, 0);
		assert_false(host.unpaid);
	}
}

/* B29: a blocked vCPU's timer stands where the guest wants it; nothing is published for that. */
static void blocked_timer(void **state)
{
	(void)state;
	assert_int_equal(lazytsc_host_blocked(&host, NULL), 0);
	arm_lazy(100);
	assert_int_equal(lazytsc_host_blocked(&host, &area), 100);
	want(300);
	assert_int_equal(lazytsc_host_blocked(&host, &area), 300);
	want(99);
	assert_int_equal(lazytsc_host_blocked(&host, &area), 0);
	want(0);
	assert_int_equal(lazytsc_host_blocked(&host, &area), 0);
	assert_int_equal(armed(), 100);
	assert_int_equal(host.timer, 100);

	/* Plain: the deadline. An injection under way needs no timer, and reads as a deadline. */
	lazytsc_host_cancel(&host, &area);
	want(300);
	check(trap(200, 0, 0), 200, 0, 0);
	assert_int_equal(lazytsc_host_blocked(&host, NULL), 200);
	check(fire(LAZYTSC_VCPU, 200, 0, 0), 0, 200, 0);
	assert_int_equal(lazytsc_host_blocked(&host, NULL), 0);
	assert_int_equal(lazytsc_host_deadline(&host, NULL), 200);
}

/* B6: with a guess standing, a consumed pending is not delivered once more. */
static void consumed_once(void **state)
{
	(void)state;
	arm_lazy(100);
	check(fire(LAZYTSC_VCPU, 100, 0, 200), 200, 100, 200);
	lazytsc_host_delivered(&host);
	assert_int_equal(deadline(), 0);
	check(fire(LAZYTSC_VCPU, 200, 0, 0), 0, 0, 0);
	assert_int_equal(host.stats.injections, 1);
	assert_int_equal(host.stats.silent_running, 1);
}

/* A3, A7, A8, B14: RDMSR reads what is wanted and not given; not a guess, not what is consumed. */
static void effective_deadline(void **state)
{
	(void)state;
	assert_int_equal(deadline(), 0);
	arm_lazy(100);
	assert_int_equal(deadline(), 100);
	want(150);
	assert_int_equal(deadline(), 150);
	want(99);
	assert_int_equal(deadline(), 0);
	want(0);
	assert_int_equal(deadline(), 0);

	want(100);
	check(fire(LAZYTSC_REMOTE, 100, 0, 200), 200, 100, 200);
	assert_int_equal(deadline(), 100); /* decided, not delivered */
	want(250);
	assert_int_equal(deadline(), 250); /* replaced before it was raised */
	want(100);
	lazytsc_host_delivered(&host);
	assert_int_equal(deadline(), 0);
}

/* B8, B17, B18: withdraw keeps the deadline that is wanted, and only that. */
static void withdraw_harvests(void **state)
{
	static const struct {
		u64 pending, kept;
	} cases[] = { { 100, 100 }, { 150, 150 }, { 99, 0 }, { 0, 0 }, { HUGE_DEADLINE, ~0ULL } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(state);
		arm_lazy(100);
		want(cases[i].pending);
		check(lazytsc_host_withdraw(&host, &area, LAZYTSC_WITHDRAW_MASK), cases[i].kept, 0,
		      0);
		assert_false(host.lazy);
		assert_int_equal(host.stats.withdrawals[LAZYTSC_WITHDRAW_MASK], 1);
		assert_int_equal(lazytsc_host_deadline(&host, NULL), cases[i].kept);
		/* once more: nothing to withdraw */
		check(lazytsc_host_withdraw(&host, NULL, LAZYTSC_WITHDRAW_MEMSLOT), cases[i].kept,
		      0, 0);
		assert_int_equal(host.stats.withdrawals[LAZYTSC_WITHDRAW_MEMSLOT], 0);
	}
}

/* B18: the page is gone: what was seen last is kept; a guess is not a deadline. */
static void withdraw_without_page(void **state)
{
	(void)state;
	arm_lazy(100);
	want(150);
	fire(LAZYTSC_VCPU, 100, 0, 0);
	want(170);
	lazytsc_host_withdraw(&host, NULL, LAZYTSC_WITHDRAW_MEMSLOT);
	assert_int_equal(host.timer, 150);

	setup(state);
	arm_lazy(100);
	check(fire(LAZYTSC_VCPU, 100, 0, 300), 300, 100, 300);
	lazytsc_host_withdraw(&host, NULL, LAZYTSC_WITHDRAW_MEMSLOT);
	assert_int_equal(host.timer, 0);
}

/* B17: the page rests with armed = 0; running again publishes what is still wanted, no more. */
static void resume_publishes(void **state)
{
	(void)state;
	arm_lazy(100);
	lazytsc_host_resume(&host, &area, 10);
	assert_int_equal(armed(), 100); /* lazy already */

	lazytsc_host_withdraw(&host, &area, LAZYTSC_WITHDRAW_USERSPACE);
	assert_int_equal(armed(), 0);
	lazytsc_host_resume(&host, &area, 20);
	assert_true(host.lazy);
	assert_int_equal(armed(), 100);

	/* past already: the timer fires as a plain one */
	lazytsc_host_withdraw(&host, &area, LAZYTSC_WITHDRAW_USERSPACE);
	lazytsc_host_resume(&host, &area, 100);
	assert_false(host.lazy);
	assert_int_equal(armed(), 0);

	/* a raw write's timer stays plain; an armed that a restore brought back is repaired */
	want(500);
	trap(100, 50, 0);
	lazytsc_store(&area.armed, 77);
	lazytsc_host_resume(&host, &area, 60);
	assert_false(host.lazy);
	assert_int_equal(armed(), 0);
	assert_int_equal(host.timer, 100);

	/* no timer at all */
	lazytsc_host_cancel(&host, &area);
	want(0);
	lazytsc_host_resume(&host, &area, 60);
	assert_false(host.lazy);
	assert_int_equal(armed(), 0);
}

/* A11, A17, B8: cancel ends everything. */
static void cancel_ends(void **state)
{
	(void)state;
	arm_lazy(100);
	check(lazytsc_host_cancel(&host, &area), 0, 0, 0);
	assert_int_equal(deadline(), 0);
	want(100);
	check(fire(LAZYTSC_VCPU, 100, 0, 0), 0, 0, 0);
	assert_int_equal(host.stats.injections, 0);
}

/* B17: what user space restores is authoritative, in either order with the area. */
static void restore_is_authoritative(void **state)
{
	struct lazytsc_decision d;

	(void)state;
	want(300);
	d = lazytsc_host_restore(&host, 200);
	assert_int_equal(d.timer, 200);
	assert_int_equal(d.inject, 0);
	lazytsc_host_resume(&host, &area, 10);
	assert_false(host.lazy);

	want(200);
	lazytsc_host_enable(&host, &area);
	assert_int_equal(armed(), 0);
	lazytsc_host_resume(&host, &area, 10);
	assert_true(host.lazy);
	assert_int_equal(armed(), 200);

	setup(state);
	want(300);
	lazytsc_host_restore(&host, 0);
	lazytsc_host_resume(&host, &area, 10);
	assert_int_equal(host.timer, 0);
	assert_int_equal(armed(), 0);
}

/* B14: what had expired in user space and was not delivered is forgotten with its deadline. */
static void restore_forgets_an_injection(void **state)
{
	(void)state;
	lazytsc_host_restore(&host, 100);
	check(fire(LAZYTSC_REMOTE, 100, 0, 0), 0, 100, 0);
	assert_int_equal(deadline(), 100);
	lazytsc_host_restore(&host, 0);
	assert_int_equal(deadline(), 0);
}

static u64 done(void)
{
	return lazytsc_load(&area.done);
}

/* B26: at rest the area says whether pending needs anything more. */
static void rest_says_what_is_done(void **state)
{
	(void)state;
	/* wanted, by a lazy timer; moved on; by a plain one */
	arm_lazy(100);
	lazytsc_store(&area.done, 7);
	lazytsc_host_withdraw(&host, &area, LAZYTSC_WITHDRAW_MASK);
	assert_int_equal(done(), 7); /* only on the way to user space */
	lazytsc_host_withdraw(&host, &area, LAZYTSC_WITHDRAW_USERSPACE);
	assert_int_equal(done(), 0);
	lazytsc_host_resume(&host, &area, 10);
	want(150);
	lazytsc_host_withdraw(&host, &area, LAZYTSC_WITHDRAW_USERSPACE);
	assert_int_equal(done(), 0);
	/* decided, not delivered; then delivered */
	lazytsc_host_resume(&host, &area, 10);
	check(fire(LAZYTSC_REMOTE, 150, 0, 0), 0, 150, 0);
	lazytsc_host_withdraw(&host, &area, LAZYTSC_WITHDRAW_USERSPACE);
	assert_int_equal(done(), 0);
	lazytsc_host_delivered(&host);
	lazytsc_host_withdraw(&host, &area, LAZYTSC_WITHDRAW_USERSPACE);
	assert_int_equal(done(), 150);
	/* cancelled by a raw 0; replaced by a raw deadline; its MSR write on the way; none */
	arm_lazy(200);
	trap(0, 160, 0);
	lazytsc_host_withdraw(&host, &area, LAZYTSC_WITHDRAW_USERSPACE);
	assert_int_equal(done(), 200);
	trap(180, 160, 0);
	lazytsc_host_withdraw(&host, &area, LAZYTSC_WITHDRAW_USERSPACE);
	assert_int_equal(done(), 200);
	arm_lazy(300);
	want(250);
	lazytsc_host_withdraw(&host, &area, LAZYTSC_WITHDRAW_USERSPACE);
	assert_int_equal(done(), 250);
	want(0);
	lazytsc_host_withdraw(&host, &area, LAZYTSC_WITHDRAW_USERSPACE);
	assert_int_equal(done(), 0);
	/* without the page nothing is written */
	want(400);
	lazytsc_host_withdraw(&host, NULL, LAZYTSC_WITHDRAW_USERSPACE);
	assert_int_equal(done(), 0);
}

/* B26: what pending holds is armed where nothing stands for it and it was not done with. */
static void recover_what_is_lost(void **state)
{
	static const struct {
		u64 pending, done, timer, recovered;
	} cases[] = {
		{ 100, 0, 0, 100 }, { 100, 50, 0, 100 },
		{ 100, 100, 0, 0 }, { 0, 0, 0, 0 },
		{ 0, 100, 0, 0 },   { 100, 0, 70, 0 },
		{ 100, 0, 100, 0 }, { HUGE_DEADLINE, 0, 0, HUGE_DEADLINE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		u64 timer = cases[i].recovered ? cases[i].recovered : cases[i].timer;

		setup(state);
		want(cases[i].pending);
		lazytsc_store(&area.done, cases[i].done);
		lazytsc_host_restore(&host, cases[i].timer);
		check(lazytsc_host_recover(&host, &area), timer, 0, 0);
		assert_false(host.lazy);
		assert_int_equal(host.stats.recovered, cases[i].recovered != 0);
	}

	/* an injection is under way; there is no area */
	setup(state);
	lazytsc_host_restore(&host, 100);
	fire(LAZYTSC_REMOTE, 100, 0, 0);
	want(100);
	check(lazytsc_host_recover(&host, &area), 0, 0, 0);
	setup(state);
	want(100);
	check(lazytsc_host_recover(&host, NULL), 0, 0, 0);
}

/* A silent re-arm at @timer, decided on another CPU at @now: is it left to the vCPU's thread? */
static bool left(u64 now, u64 timer)
{
	struct lazytsc_decision d;

	want(timer);
	d = fire(LAZYTSC_REMOTE, now, 0, 0);
	check(d, timer, 0, timer);
	assert_true(host.lazy);
	return d.thread;
}

/*
 * B25: on another CPU one silent re-arm may be near. The next ones lie ahead by the distance, or
 * are left to the vCPU's thread, until that has done something.
 */
static void rearms_are_paid_for(void **state)
{
	(void)state;
	nearest = 1000;
	arm_lazy(100);
	assert_false(left(100, 101));
	assert_true(left(101, 102));
	assert_true(left(102, 1101));
	assert_false(left(1101, 2101));
	assert_true(left(2101, 2102));
	assert_int_equal(host.stats.left, 3);

	/* the thread decides, silently */
	want(2103);
	assert_false(fire(LAZYTSC_VCPU, 2102, 0, 0).thread);
	assert_false(left(2103, 2104));
	assert_true(left(2104, 2105));
	/* enters the guest again */
	lazytsc_host_resume(&host, &area, 2104);
	assert_false(left(2105, 2106));
	assert_true(left(2106, 2107));
	/* answers a write */
	want(2200);
	trap(2200, 2107, 0);
	assert_false(left(2200, 2201));
	assert_true(left(2201, 2202));
	/* delivers */
	fire(LAZYTSC_REMOTE, 2202, 0, 2300);
	assert_false(left(2300, 2301));
	assert_true(left(2301, 2302));

	/* a timer that ends costs nobody anything; a plain one that is early is a re-arm as well */
	want(0);
	assert_false(fire(LAZYTSC_REMOTE, 2302, 0, 0).thread);
	lazytsc_host_restore(&host, 3000);
	assert_false(fire(LAZYTSC_REMOTE, 2990, 0, 0).thread);
	assert_true(fire(LAZYTSC_REMOTE, 2991, 0, 0).thread);
	lazytsc_host_cancel(&host, &area);
	arm_lazy(4000);
	assert_false(left(4000, 4001));

	/* no bound */
	nearest = 0;
	assert_false(left(4001, 4002));
	assert_false(left(4002, 4003));
}

/* protocol.md's worked example: three exits gone, one silent expiry added (B12). */
static void worked_example(void **state)
{
	(void)state;
	arm_lazy(1000); /* t0 */
	want(2000); /* t1, t2, t3 */
	want(3000);
	want(4000);
	check(fire(LAZYTSC_VCPU, 1000, 0, 0), 4000, 0, 4000);
	check(fire(LAZYTSC_VCPU, 4000, 0, 0), 0, 4000, 0);
	assert_int_equal(host.stats.traps, 1);
	assert_int_equal(host.stats.silent_running, 1);
	assert_int_equal(host.stats.injections, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(msr_word, setup),
		cmocka_unit_test_setup(write_decides, setup),
		cmocka_unit_test_setup(write_replaces, setup),
		cmocka_unit_test_setup(enable_promises_nothing, setup),
		cmocka_unit_test_setup(edges_of_an_expiry, setup),
		cmocka_unit_test_setup(what_is_not_owed, setup),
		cmocka_unit_test_setup(stock_without_area, setup),
		cmocka_unit_test_setup(lazy_expiry, setup),
		cmocka_unit_test_setup(expiry_in_advance, setup),
		cmocka_unit_test_setup(plain_expiry, setup),
		cmocka_unit_test_setup(blocked_is_counted_apart, setup),
		cmocka_unit_test_setup(look_decides, setup),
		cmocka_unit_test_setup(blocked_timer, setup),
		cmocka_unit_test_setup(consumed_once, setup),
		cmocka_unit_test_setup(effective_deadline, setup),
		cmocka_unit_test_setup(withdraw_harvests, setup),
		cmocka_unit_test_setup(withdraw_without_page, setup),
		cmocka_unit_test_setup(resume_publishes, setup),
		cmocka_unit_test_setup(cancel_ends, setup),
		cmocka_unit_test_setup(restore_is_authoritative, setup),
		cmocka_unit_test_setup(restore_forgets_an_injection, setup),
		cmocka_unit_test_setup(rest_says_what_is_done, setup),
		cmocka_unit_test_setup(recover_what_is_lost, setup),
		cmocka_unit_test_setup(rearms_are_paid_for, setup),
		cmocka_unit_test_setup(worked_example, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
