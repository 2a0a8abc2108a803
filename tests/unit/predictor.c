// SPDX-License-Identifier: BSD-2-Clause
/*
 * The predictor between the real guest and host sides, on a machine of a few lines: a periodic
 * deadline is soon found, its writes are skipped, and the guest is never held for longer than the
 * slack; deliveries stay exact (A6, A7). Off (slack 0) there is no guess; on another CPU no wait.
 * The credit (B12): hits earn, silent expiries that prove no skip cost, at none the guesses stop,
 * and a store whose WRMSR is still on its way is not taken for a skip. How streams are found,
 * halved and replaced. Any values whatever, also those that wrap, leave it within its bounds (B11).
 * Then each part by itself, as docs/early.md promises it ("What each part promises", B12, B15).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/guest.h>
#include <lazytsc/predictor.h>

#define SLACK  2000
#define PERIOD 10000000

static struct machine {
	struct lazytsc_area area;
	struct lazytsc_guest guest;
	struct lazytsc_host host;
	struct lazytsc_predictor p;
	struct lazytsc_stream beyond; /* no stream of the predictor's */
	enum lazytsc_context context;
	u64 now, waited, delivered;
} m;

u64 lazytsc_tsc(void)
{
	return m.now;
}

static void start(u64 slack)
{
	memset(&m, 0, sizeof(m));
	lazytsc_predictor_init(&m.p, slack);
	lazytsc_guest_enable(&m.guest, &m.area, 0x1000, SLACK);
	lazytsc_host_enable(&m.host, &m.area);
	m.now = 1000000000;
}

static int setup(void **state)
{
	(void)state;
	start(SLACK);
	return 0;
}

static void set(u64 t)
{
	if (lazytsc_guest_set(&m.guest, t)) {
		u64 guess = lazytsc_predictor_write(&m.p, &m.host, &m.area, t, m.now);

		lazytsc_host_write(&m.host, &m.area, t, m.now, guess);
	}
}

/* The host timer fires; the deadline that was delivered, or 0. */
static u64 expire(void)
{
	struct lazytsc_expiry e = { .context = m.context, .now = m.host.timer, .wait = SLACK };
	struct lazytsc_decision d;

	assert_true(m.host.timer > m.now);
	m.now = m.host.timer;
	e.guess = lazytsc_predictor_expire(&m.p, &m.host, &m.area, &e);
	d = lazytsc_host_expire(&m.host, &m.area, &e);
	if (d.inject > m.now) {
		assert_true(d.inject - m.now <= SLACK);
		m.waited += d.inject - m.now;
		m.now = d.inject;
	}
	if (d.inject)
		m.delivered++;
	return d.inject;
}

/* Set t, let time go until it is delivered, and the handler take its time. */
static void deliver(u64 t)
{
	u64 got;

	set(t);
	do {
		got = expire();
	} while (!got);
	assert_int_equal(got, t);
	assert_int_equal(m.now, t);
	m.now += 50000;
}

/* Some cycles of jitter, as a guest's conversion from ns has them. */
static u64 jitter(unsigned int i)
{
	return i * 7919 % 200;
}

static void ticks(unsigned int n)
{
	static u64 base;

	base = m.now;
	for (unsigned int i = 1; i <= n; i++)
		deliver(base + (u64)i * PERIOD + jitter(i));
}

static void a_tick_is_found(void **state)
{
	(void)state;
	ticks(10);
	assert_true(m.guest.skips > 0);
	m.guest.writes = 0;
	m.waited = 0;
	m.host.stats.silent_running = 0;
	m.p.silent = 0;
	ticks(1000);
	assert_true(m.guest.writes + m.host.stats.silent_running < 30);
	assert_true(m.waited / 1000 < SLACK / 4);
}

static void two_streams(void **state)
{
	u64 base = m.now;

	(void)state;
	/* A tick, and a timer of 3/10 of its period that is never at the same place. */
	for (unsigned int tick = 1, timer = 1; tick < 500;) {
		u64 a = base + (u64)tick * PERIOD + jitter(tick);
		u64 b = base + 555555 + (u64)timer * 3 * PERIOD / 10 + jitter(timer + 7);

		if (tick == 100)
			m.guest.writes = m.host.stats.silent_running = m.p.silent = 0;
		deliver(a < b ? a : b);
		a < b ? tick++ : timer++;
	}
	assert_true(m.guest.writes + m.host.stats.silent_running < 80);
}

static void off_without_slack(void **state)
{
	(void)state;
	start(0);
	ticks(100);
	assert_int_equal(m.guest.writes, 100);
	assert_int_equal(m.guest.skips, 0);
	assert_int_equal(m.host.stats.silent_running, 0);
	assert_int_equal(m.waited, 0);
}

static void no_wait_on_another_cpu(void **state)
{
	(void)state;
	m.context = LAZYTSC_REMOTE;
	ticks(100);
	/*
	 * Each guess is armed again for its deadline: no wait, and the exit is saved all the same.
	 */
	assert_int_equal(m.waited, 0);
	assert_true(m.guest.skips > 90);
	assert_true(m.host.stats.silent_running <= m.guest.skips + 5);
	assert_in_range(m.p.credit, LAZYTSC_PREDICTOR_CREDIT - 5, LAZYTSC_PREDICTOR_CREDIT);
}

static void credit_runs_out(void **state)
{
	unsigned int silent = 0;

	(void)state;
	ticks(100);
	m.p.credit = 5;
	/* The guest falls silent after a delivery, again and again, and wants nothing. */
	for (unsigned int i = 0; i < 1000; i++) {
		while (m.host.timer) {
			assert_int_equal(expire(), 0);
			silent++;
			m.now += 50000;
		}
		/* One delivery that is no hit: it earns nothing. */
		m.now += 3 * PERIOD + i * 5021;
		set(m.now + PERIOD / 3);
		while (!expire())
			silent++;
	}
	assert_in_range(silent, 3, 5);
	assert_in_range(m.p.credit, 0, 1);
	/* Nothing left, nothing armed early. */
	assert_int_equal(m.host.timer, 0);
}

static void hits_earn_credit(void **state)
{
	(void)state;
	ticks(100);
	m.p.credit = 5;
	ticks(20);
	assert_in_range(m.p.credit, 15, 25);
	ticks(2 * LAZYTSC_PREDICTOR_CREDIT);
	assert_in_range(m.p.credit, LAZYTSC_PREDICTOR_CREDIT - 10, LAZYTSC_PREDICTOR_CREDIT);
}

static void a_write_on_its_way_is_no_skip(void **state)
{
	(void)state;
	m.p.credit = 100;
	set(m.now + PERIOD);
	/* The guest has stored, and exits for something else before its WRMSR. */
	lazytsc_store(&m.area.pending, m.now + 200);
	assert_int_equal(expire(), 0);
	m.now += 50000;
	/* Now the WRMSR; armed is 0 or a guess beyond. */
	lazytsc_predictor_write(&m.p, &m.host, &m.area, lazytsc_load(&m.area.pending), m.now);
	assert_int_equal(m.p.credit, 99);
}

/* The host looks at `pending` when its lazy timer fires, and nothing is due. */
static void look(u64 pending)
{
	struct lazytsc_expiry e = { .now = m.now, .wait = SLACK };

	lazytsc_store(&m.area.pending, pending);
	m.host.lazy = true;
	m.host.timer = m.now;
	lazytsc_predictor_expire(&m.p, &m.host, &m.area, &e);
}

static void a_page_that_is_gone_leaks_no_credit(void **state)
{
	u64 v = m.now - 200;

	(void)state;
	/* The store was seen before its WRMSR, and the page is gone when that exits. */
	m.p.credit = 100;
	look(v);
	assert_int_equal(m.p.credit, 101);
	lazytsc_predictor_write(&m.p, &m.host, NULL, v, m.now);
	assert_int_equal(m.p.credit, 100);
	lazytsc_predictor_write(&m.p, &m.host, NULL, v, m.now);
	assert_int_equal(m.p.credit, 100);
	/* A store whose WRMSR exited without the page, found there when the page is back. */
	lazytsc_predictor_write(&m.p, &m.host, NULL, v + 50, m.now);
	look(v + 50);
	assert_int_equal(m.p.credit, 100);
}

static void the_half_of_a_period_is_found(void **state)
{
	u64 base = m.now;
	unsigned int n = 0;

	(void)state;
	/* The guest is idle at every other beat, and then it is not any more. */
	for (n = 2; n <= 20; n += 2)
		deliver(base + (u64)n * PERIOD);
	assert_int_equal(m.p.streams[0].period >> 8, 2 * PERIOD);
	for (n = 21; n <= 40; n++)
		deliver(base + (u64)n * PERIOD);
	assert_in_range(m.p.streams[0].period >> 8, PERIOD - 2, PERIOD + 2);
	m.guest.writes = 0;
	for (n = 41; n <= 60; n++)
		deliver(base + (u64)n * PERIOD);
	assert_true(m.guest.writes <= 1);
}

static void a_new_stream_waits_for_the_least_worthy(void **state)
{
	u64 base = m.now;

	(void)state;
	for (int i = 0; i < LAZYTSC_STREAMS; i++) {
		m.p.streams[i].period = 1ULL << 48;
		m.p.streams[i].next = m.now + (1ULL << 39);
		m.p.streams[i].worth = (u8)(i == 3 ? 2 : 7);
		m.p.streams[i].context = 4;
	}
	for (unsigned int n = 1; n <= 4; n++)
		deliver(base + (u64)n * PERIOD);
	assert_int_equal(m.p.streams[3].period, 1ULL << 48);
	assert_int_equal(m.p.streams[3].worth, 0);
	assert_int_equal(m.p.streams[0].worth, 5);
	deliver(base + 5ULL * PERIOD);
	assert_int_equal(m.p.streams[3].period >> 8, PERIOD);
}

static void the_nearest_stream_learns(void **state)
{
	u64 base = m.now;

	(void)state;
	ticks(10);
	m.p.streams[1] = m.p.streams[0];
	m.p.streams[1].next += 1000;
	m.p.streams[2] = m.p.streams[0];
	m.p.streams[2].next += 500;
	deliver(base + 11ULL * PERIOD + jitter(11));
	assert_true(m.p.streams[0].last > m.p.streams[1].last);
	assert_true(m.p.streams[0].last > m.p.streams[2].last);
}

static void a_beat_further_on_is_no_stray(void **state)
{
	u64 base = m.now;
	u32 strays;

	(void)state;
	ticks(10);
	strays = m.p.stray;
	m.now = base + 10ULL * PERIOD + 50000;
	lazytsc_store(&m.area.pending, base + 13ULL * PERIOD);
	lazytsc_predictor_write(&m.p, &m.host, &m.area, base + 13ULL * PERIOD, m.now);
	assert_int_equal(m.p.stray, strays);
	assert_true(m.p.streams[0].last < base + 13ULL * PERIOD - PERIOD);
}

static void a_period_has_a_least(void **state)
{
	const u64 least = 32 * SLACK;
	u64 t = m.now;

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		deliver(t += least);
	for (unsigned int i = 0; i < 20; i++) {
		deliver(t = m.p.streams[0].next - SLACK + 100);
		assert_true(m.p.streams[0].period >> 8 >= least);
	}
}

static void what_tells_nothing(void **state)
{
	struct lazytsc_expiry e = { .now = m.now, .wait = SLACK };

	(void)state;
	ticks(10);
	/* No area, a raw write, a disarm, a plain timer: no guess. */
	assert_int_equal(lazytsc_predictor_write(&m.p, &m.host, NULL, m.now + 5, m.now), 0);
	assert_int_equal(lazytsc_predictor_write(&m.p, &m.host, &m.area, m.now + 5, m.now), 0);
	lazytsc_store(&m.area.pending, 0);
	assert_int_equal(lazytsc_predictor_write(&m.p, &m.host, &m.area, 0, m.now), 0);
	m.host.lazy = false;
	assert_int_equal(lazytsc_predictor_expire(&m.p, &m.host, &m.area, &e), 0);
	/* With no credit a write on its way costs none. */
	m.p.credit = 0;
	m.p.proven = true;
	m.p.known = 0;
	assert_int_equal(lazytsc_predictor_write(&m.p, &m.host, &m.area, 0, m.now), 0);
	assert_int_equal(m.p.credit, 0);
}

/*
 * What each part promises, by itself: the state is given, one call is made, and what docs/early.md
 * says of that part is what has changed.
 */

/* A stream whose next beat is `next`, on which nothing has been seen; its chances are 100. */
static struct lazytsc_stream *follow(int i, u64 period, u64 next)
{
	struct lazytsc_stream *s = &m.p.streams[i];

	*s = (struct lazytsc_stream){ .period = period << 8,
				      .next = next,
				      .last = next - period,
				      .age = 6,
				      .worth = 1,
				      .context = 4,
				      .chance = { 100, 100, 100, 100 } };
	return s;
}

/* The guest writes v at m.now, and has stored it before; the guess. */
static u64 write_value(u64 v)
{
	lazytsc_store(&m.area.pending, v);
	return lazytsc_predictor_write(&m.p, &m.host, &m.area, v, m.now);
}

/* The lazy timer for `fired` is found expired at m.now, and this in pending; the guess. */
static u64 fire(u64 fired, u64 pending, enum lazytsc_context context)
{
	struct lazytsc_expiry e = { .context = context, .now = m.now, .wait = SLACK };

	lazytsc_store(&m.area.pending, pending);
	m.host.lazy = true;
	m.host.timer = fired;
	return lazytsc_predictor_expire(&m.p, &m.host, &m.area, &e);
}

/* A deadline that lies on no beat of a stream of this period, nor in the middle of two. */
#define NOWHERE (PERIOD / 4)

static void a_slack_has_a_most(void **state)
{
	const u64 most = 1 << 22, slacks[] = { most - 1, most, most + 1, ~0ULL };

	(void)state;
	for (int i = 0; i < 4; i++) {
		start(slacks[i]);
		assert_int_equal(m.p.slack, slacks[i] < most ? slacks[i] : most);
		assert_int_equal(m.p.credit, LAZYTSC_PREDICTOR_CREDIT);
		assert_int_equal(m.p.chosen, -1);
	}
}

static void what_earns_and_what_costs(void **state)
{
	(void)state;
	/* A look that finds something new earns one, one that does not earns none. */
	m.p.credit = 10;
	fire(m.now, 5, LAZYTSC_VCPU);
	assert_int_equal(m.p.credit, 11);
	fire(m.now, 5, LAZYTSC_VCPU);
	assert_int_equal(m.p.credit, 11);
	/* Silent expiries of both kinds cost one each, once. */
	m.host.stats.silent_running += 2;
	m.host.stats.silent_blocked += 1;
	fire(m.now, 5, LAZYTSC_VCPU);
	assert_int_equal(m.p.credit, 8);
	fire(m.now, 5, LAZYTSC_VCPU);
	assert_int_equal(m.p.credit, 8);
	m.host.stats.silent_blocked += 1;
	write_value(7);
	assert_int_equal(m.p.credit, 7);
	/* It ends at none, and at its most. */
	m.host.stats.silent_running += 9;
	fire(m.now, 7, LAZYTSC_VCPU);
	assert_int_equal(m.p.credit, 0);
	m.p.credit = LAZYTSC_PREDICTOR_CREDIT - 1;
	fire(m.now, 8, LAZYTSC_VCPU);
	assert_int_equal(m.p.credit, LAZYTSC_PREDICTOR_CREDIT);
	fire(m.now, 9, LAZYTSC_VCPU);
	assert_int_equal(m.p.credit, LAZYTSC_PREDICTOR_CREDIT);
}

static void a_proof_is_taken_back_once(void **state)
{
	(void)state;
	m.p.credit = 10;
	fire(m.now, 5, LAZYTSC_VCPU);
	/* Seen by two looks, and counted by the first. */
	fire(m.now, 5, LAZYTSC_VCPU);
	assert_int_equal(m.p.credit, 11);
	write_value(5);
	assert_int_equal(m.p.credit, 10);
	write_value(5);
	assert_int_equal(m.p.credit, 10);
	/* The write of another value: what was seen before was a skip. */
	fire(m.now, 6, LAZYTSC_VCPU);
	write_value(7);
	assert_int_equal(m.p.credit, 11);
	fire(m.now, 7, LAZYTSC_VCPU);
	assert_int_equal(m.p.credit, 11);
}

static void a_guess_needs_two_credits(void **state)
{
	(void)state;
	for (u32 credit = 1; credit <= 2; credit++) {
		follow(0, PERIOD, m.now + PERIOD);
		m.p.credit = credit;
		m.p.chosen = 0;
		assert_int_equal(write_value(m.now - 1) != 0, credit == 2);
		assert_int_equal(m.p.chosen, credit == 2 ? 0 : -1);
		follow(0, PERIOD, m.now + PERIOD);
		m.p.credit = credit;
		assert_int_equal(fire(m.now - 1, m.now - 1, LAZYTSC_VCPU) != 0, credit == 2);
		assert_int_equal(m.p.credit, credit);
	}
}

static void only_what_is_ahead_is_weighed(void **state)
{
	struct lazytsc_stream *s = follow(0, PERIOD, m.now);

	(void)state;
	/* A beat is not over before the slack is. */
	s->context = 2;
	m.now += SLACK;
	write_value(m.now + NOWHERE);
	assert_int_equal(s->next, m.now - SLACK);
	assert_int_equal(s->chance[2], 100);
	/* One that is over, and was weighed, was not wanted: an eighth of its chance is gone. */
	m.now++;
	write_value(m.now + NOWHERE);
	assert_int_equal(s->next, m.now - SLACK - 1 + PERIOD);
	assert_int_equal(s->chance[2], 87);
	assert_int_equal(s->context, 2);
	/* It tells of the context in which it was weighed, and of no other. */
	assert_true(s->chance[0] == 100 && s->chance[1] == 100 && s->chance[3] == 100);
}

static void what_was_not_weighed_is_not_judged(void **state)
{
	struct lazytsc_stream *s = follow(0, PERIOD, m.now - 2 * SLACK);

	(void)state;
	m.p.streams[1].period = 0;
	follow(1, PERIOD + 128, m.now + PERIOD / 8 + 77);
	m.p.streams[1].period += 0xff;
	write_value(m.now + NOWHERE);
	assert_true(s->chance[0] == 100 && s->chance[1] == 100 && s->chance[2] == 100 &&
		    s->chance[3] == 100);
	assert_int_equal(m.p.streams[1].period, ((PERIOD + 128ULL) << 8) + 0xff);
	/* Nor is one on which a deadline has been seen. */
	s = follow(0, PERIOD, m.now - 2 * SLACK);
	s->context = 2;
	s->seen = true;
	write_value(m.now + NOWHERE);
	assert_int_equal(s->chance[2], 100);
	assert_false(s->seen);
	/* The beat after a pause may lie behind again: it is not weighed. */
	s = follow(0, PERIOD, m.now - PERIOD - SLACK / 2);
	s->context = 2;
	write_value(m.now + NOWHERE);
	assert_int_equal(s->next, m.now - SLACK / 2);
	assert_int_equal(s->context, 4);
	assert_int_equal(s->chance[2], 87);
}

static void a_pause_is_passed_in_whole_beats(void **state)
{
	struct lazytsc_stream *s;

	(void)state;
	for (u64 n = 1; n < 1000; n = 3 * n + 1) {
		s = follow(0, PERIOD, m.now - SLACK - n * PERIOD);
		write_value(m.now + NOWHERE);
		assert_int_equal(s->next, m.now - SLACK + PERIOD);
		s = follow(0, PERIOD, m.now - SLACK - n * PERIOD + 1);
		write_value(m.now + NOWHERE);
		assert_int_equal(s->next, m.now - SLACK + 1);
	}
	/* About an hour, and it is forgotten. */
	m.now = 1ULL << 50;
	s = follow(0, PERIOD, m.now - SLACK - (1ULL << 43) + 1);
	write_value(m.now + NOWHERE);
	assert_int_equal(s->period, (u64)PERIOD << 8);
	s = follow(0, PERIOD, m.now - SLACK - (1ULL << 43));
	write_value(m.now + NOWHERE);
	assert_int_equal(s->period, 0);
	assert_int_equal(s->worth, 0);
}

static void a_deadline_corrects_its_stream(void **state)
{
	const u64 t = m.now + 5000;

	(void)state;
	for (int sign = -1; sign <= 1; sign += 2) {
		struct lazytsc_stream *s = follow(0, PERIOD, t);

		s->error = 640;
		s->halves = 2;
		s->context = 2;
		write_value(t + (u64)(sign * 170));
		/* One beat since the last, known for six: a seventh, and two seventeenths. */
		assert_int_equal(s->period, ((u64)PERIOD << 8) + (u64)(sign * (170 * 256 / 7)));
		assert_int_equal(s->next, t + (u64)(sign * 20));
		/* A sixteenth of it: 640 - 40 + 170 * 256 / 16. */
		assert_int_equal(s->error, 3320);
		assert_int_equal(s->age, 7);
		assert_int_equal(s->last, t + (u64)(sign * 170));
		assert_int_equal(s->worth, 2);
		assert_int_equal(s->halves, 1);
		assert_true(s->seen);
		/* An eighth of what is left to certain, rounded up, in its context alone. */
		assert_int_equal(s->chance[2], 120);
		assert_true(s->chance[0] == 100 && s->chance[1] == 100 && s->chance[3] == 100);
		/* What has been seen is not seen once more. */
		write_value(t + (u64)(sign * 20));
		assert_int_equal(s->chance[2], 120);
	}
}

static void a_beat_that_was_not_weighed_gains_nothing(void **state)
{
	struct lazytsc_stream *s = follow(0, PERIOD, m.now + 5000);

	(void)state;
	follow(1, PERIOD, m.now + PERIOD / 8);
	m.p.streams[1].period++;
	write_value(m.now + 5000);
	assert_true(s->chance[0] == 100 && s->chance[1] == 100 && s->chance[2] == 100 &&
		    s->chance[3] == 100);
	assert_int_equal(m.p.streams[1].period, ((u64)PERIOD << 8) + 1);
	/* A chance ends at certain, and at none. */
	for (int i = 0; i < 99; i++) {
		s = follow(0, PERIOD, m.now + 5000);
		s->context = 2;
		s->chance[2] = (u8)(i < 1 ? 255 : 254);
		write_value(m.now + 5000);
		assert_int_equal(s->chance[2], 255);
	}
	s = follow(0, PERIOD, m.now - 2 * SLACK);
	s->context = 2;
	s->chance[2] = 1;
	write_value(m.now + NOWHERE);
	assert_int_equal(s->chance[2], 0);
}

static void after_a_pause_an_error_is_drift(void **state)
{
	struct lazytsc_stream *s = follow(0, PERIOD, m.now + 5000);

	(void)state;
	s->last = s->next - 9ULL * PERIOD;
	write_value(m.now + 5170);
	assert_int_equal(s->period, ((u64)PERIOD << 8) + 170 * 256 / 15);
	assert_int_equal(s->next, m.now + 5000 + 170 * 10 / 25);
	assert_int_equal(s->age, 15);
	/* To the nearest beat. */
	s = follow(0, PERIOD, m.now + 5000);
	s->last = s->next - 9ULL * PERIOD - PERIOD / 2 + 1;
	write_value(s->next);
	assert_int_equal(s->age, 6 + 9);
	s = follow(0, PERIOD, m.now + 5000);
	s->last = s->next - 9ULL * PERIOD - PERIOD / 2;
	write_value(s->next);
	assert_int_equal(s->age, 6 + 10);
	/* A stream is known for no more than 256 beats: it goes on learning. */
	s = follow(0, PERIOD, m.now + 5000);
	s->age = 250;
	write_value(s->next);
	assert_int_equal(s->age, 251);
	s = follow(0, PERIOD, m.now + 5000);
	s->age = 250;
	s->last = s->next - 9ULL * PERIOD;
	write_value(s->next);
	assert_int_equal(s->age, 256);
	/* So for one that was last seen any time ago. */
	s = follow(0, PERIOD, m.now + 5000);
	s->last = s->next - (1ULL << 62);
	write_value(s->next + 100);
	assert_int_equal(s->age, 256);
	assert_int_equal(s->next, m.now + 5099);
	/* Twice on one beat: that counts as one beat's distance. */
	s = follow(0, PERIOD, m.now + 5000);
	s->last = s->next;
	write_value(s->next);
	assert_int_equal(s->age, 7);
	/* Set once more and a little earlier: the same, and no pause that wraps. */
	s = follow(0, PERIOD, m.now + 5000);
	s->last = s->next + 171;
	write_value(s->next + 170);
	assert_int_equal(s->age, 7);
	assert_int_equal(s->next, m.now + 5020);
	assert_int_equal(s->period, ((u64)PERIOD << 8) + 170 * 256 / 7);
	/* Worth and halves keep their bounds. */
	s = follow(0, PERIOD, m.now + 5000);
	s->worth = 7;
	write_value(s->next);
	assert_int_equal(s->worth, 8);
	assert_int_equal(s->halves, 0);
	s = follow(0, PERIOD, m.now + 5000);
	s->worth = 8;
	write_value(s->next);
	assert_int_equal(s->worth, 8);
}

static void a_period_stays_a_stream_s(void **state)
{
	struct lazytsc_stream *s = follow(0, 32 * SLACK, m.now + 5000);

	(void)state;
	write_value(m.now + 5000 - 100);
	assert_int_equal(s->period, (32ULL * SLACK) << 8);
	s = follow(0, 32 * SLACK, m.now + 5000);
	write_value(m.now + 5000 + 70);
	assert_int_equal(s->period, ((32ULL * SLACK) << 8) + 10 * 256);
	s = follow(0, 32 * SLACK, m.now + 5000);
	write_value(m.now + 5000 + 1);
	assert_int_equal(s->period, ((32ULL * SLACK) << 8) + 256 / 7);
	s = follow(0, 32 * SLACK + 1, m.now + 5000);
	write_value(m.now + 5000 - 7);
	assert_int_equal(s->period, (32ULL * SLACK) << 8);
}

static void times_wrap(void **state)
{
	static const u64 beats[] = { 1ULL << 63, (1ULL << 63) - 100, 100, 50 };

	(void)state;
	for (int i = 0; i < 4; i++) {
		for (u64 d = 0; d <= 200; d += 100) {
			u64 deadline = beats[i] - 100 + d;
			struct lazytsc_stream *s = follow(0, PERIOD, beats[i]);

			m.now = deadline - 5000;
			/* 0 is no deadline. */
			write_value(deadline);
			assert_int_equal(s->age, deadline ? 7 : 6);
		}
	}
}

static void what_lies_on_a_beat(void **state)
{
	struct lazytsc_stream *s;
	u32 strays;

	(void)state;
	for (int sign = -1; sign <= 1; sign += 2) {
		/* Within the slack, on both sides. */
		s = follow(0, PERIOD, m.now + 5000);
		write_value(m.now + 5000 + (u64)(sign * SLACK));
		assert_int_equal(s->age, 7);
		s = follow(0, PERIOD, m.now + 5000);
		write_value(m.now + 5000 + (u64)(sign * (SLACK + 1)));
		assert_int_equal(s->age, 6);
		/* So are later beats; those tell nothing, and are no strays. */
		strays = m.p.stray;
		s = follow(0, PERIOD, m.now + 5000 - 1000ULL * PERIOD);
		m.p.streams[1].period = 0;
		fire(m.now, m.now, LAZYTSC_VCPU);
		assert_int_equal(m.p.stray, strays + 1);
		s = follow(0, PERIOD, m.now + PERIOD);
		m.p.delivered = 0;
		lazytsc_store(&m.area.pending, 0);
		write_value(m.now + 7ULL * PERIOD + (u64)(sign * SLACK));
		assert_int_equal(s->age, 6);
		assert_int_equal(s->halves, 0);
	}
}

static void a_delivery_goes_on_to_the_next_beat(void **state)
{
	struct lazytsc_stream *s = follow(0, PERIOD, m.now);

	(void)state;
	fire(m.now, m.now, LAZYTSC_VCPU);
	assert_int_equal(s->next, m.now + PERIOD);
	assert_int_equal(s->age, 7);
	assert_false(s->seen);
	assert_int_equal(m.p.delivered, m.now);
	/* A beat that is over when the deadline comes goes by before. */
	m.now += 3 * PERIOD / 2;
	s = follow(0, PERIOD, m.now - SLACK - 1);
	s->context = 0;
	fire(m.now, m.now, LAZYTSC_VCPU);
	assert_true(s->next == m.now - SLACK - 1 + PERIOD && s->chance[0] == 87);
	/* Only wanted: the beat is still to come. */
	s = follow(0, PERIOD, m.now + 5000);
	write_value(m.now + 5000);
	assert_int_equal(s->next, m.now + 5000);
	/* Delivered, but on a later beat: that one is to come as well. */
	s = follow(0, PERIOD, m.now - SLACK);
	m.p.streams[0].next = m.now + PERIOD;
	fire(m.now - 1, m.now, LAZYTSC_VCPU);
	assert_int_equal(s->next, m.now + PERIOD);
}

static void of_two_streams_the_nearer(void **state)
{
	struct lazytsc_stream *a, *b;

	(void)state;
	for (int i = 0; i < 2; i++) {
		a = follow(i, PERIOD, m.now + 5000);
		b = follow(1 - i, PERIOD, m.now + 5100);
		write_value(m.now + 5049);
		assert_true(a->age == 7 && b->age == 6);
		a = follow(i, PERIOD, m.now + 5000);
		b = follow(1 - i, PERIOD, m.now + 5100);
		write_value(m.now + 5051);
		assert_true(a->age == 6 && b->age == 7);
	}
	/* A later beat that is nearer counts, and so the other stream learns nothing. */
	follow(0, PERIOD, m.now + 5000);
	b = follow(1, PERIOD, m.now + 5050 + PERIOD);
	write_value(m.now + 5000 + PERIOD);
	assert_true(m.p.streams[0].age == 6 && b->age == 6);
	/* As near: the first. */
	a = follow(0, PERIOD, m.now + 5000);
	b = follow(1, PERIOD, m.now + 5100);
	write_value(m.now + 5050);
	assert_true(a->age == 7 && b->age == 6);
	/* One that is free is none. */
	a->period = 0;
	write_value(m.now + 5000);
	assert_int_equal(a->age, 7);
}

static void deadlines_in_the_middle_halve(void **state)
{
	const u64 t = m.now + PERIOD;
	struct lazytsc_stream *s;

	(void)state;
	for (int sign = -1; sign <= 1; sign += 2) {
		/* In the middle, within the slack. */
		s = follow(0, PERIOD, t);
		write_value(t - PERIOD / 2 + (u64)(sign * SLACK));
		assert_int_equal(s->halves, 3);
		s = follow(0, PERIOD, t);
		write_value(t - PERIOD / 2 + (u64)(sign * (SLACK + 1)));
		assert_int_equal(s->halves, 0);
		assert_int_equal(s->period, (u64)PERIOD << 8);
	}
	s = follow(0, PERIOD, t);
	s->halves = 8;
	write_value(t - PERIOD / 2);
	assert_int_equal(s->halves, 11);
	assert_int_equal(s->period, (u64)PERIOD << 8);
	/* At twelve it is a new stream, of which nothing is known but two distances. */
	s = follow(0, PERIOD, t);
	s->halves = 9;
	s->context = 1;
	write_value(t - PERIOD / 2 + 3);
	assert_int_equal(s->period, (u64)PERIOD << 7);
	assert_int_equal(s->next, t - PERIOD / 2 + 3);
	assert_int_equal(s->last, s->next);
	assert_int_equal(s->error, 32 << 8);
	assert_int_equal(s->age, 2);
	assert_int_equal(s->worth, 2);
	assert_int_equal(s->halves, 0);
	assert_int_equal(s->context, 4);
	assert_true(s->seen);
	assert_true(s->chance[0] == 64 && s->chance[1] == 0 && s->chance[2] == 64 &&
		    s->chance[3] == 0);
	/* The half is a period, too: 32 slacks at least. */
	s = follow(0, 64 * SLACK, t);
	write_value(t - 32 * SLACK);
	assert_int_equal(s->halves, 3);
	s = follow(0, 64 * SLACK - 1, t);
	write_value(t - 32 * SLACK);
	assert_int_equal(s->halves, 0);
	/* It tells of one stream, and is no stray. */
	follow(0, PERIOD, t);
	s = follow(1, PERIOD, t);
	m.now = t - PERIOD / 2;
	write_value(m.now);
	assert_true(m.p.streams[0].halves == 3 && s->halves == 0 && !m.p.stray);
}

/* A delivery now, with these two (one of them 0: none) at a distance before it as strays. */
static u64 found(u64 middle, u64 first)
{
	memset(&m.p.streams, 0, sizeof(m.p.streams));
	memset(&m.p.strays, 0, sizeof(m.p.strays));
	m.p.stray = 2;
	m.p.strays[1] = middle ? m.now - middle : 0;
	m.p.strays[0] = first ? m.now - first : 0;
	m.p.credit = LAZYTSC_PREDICTOR_CREDIT;
	write_value(m.now);
	assert_int_equal(m.p.stray, 3);
	assert_int_equal(m.p.strays[2], m.now);
	return m.p.streams[0].period;
}

static void three_at_equal_distances_are_a_stream(void **state)
{
	struct lazytsc_stream *s = &m.p.streams[0];

	(void)state;
	m.now = 1ULL << 50;
	assert_int_equal(found(PERIOD, 2 * PERIOD), (u64)PERIOD << 8);
	assert_true(s->next == m.now && s->age == 2 && s->worth == 2 && s->seen);
	/* To the slack; the period is half of the distance. */
	assert_int_equal(found(PERIOD, 2 * PERIOD + SLACK), ((2ULL * PERIOD + SLACK) << 8) / 2);
	assert_int_equal(found(PERIOD, 2 * PERIOD - SLACK), ((2ULL * PERIOD - SLACK) << 8) / 2);
	assert_int_equal(found(PERIOD, 2 * PERIOD + SLACK + 1), 0);
	assert_int_equal(found(PERIOD, 2 * PERIOD - SLACK - 1), 0);
	/* From 32 slacks to half an hour. */
	assert_int_equal(found(32 * SLACK, 64 * SLACK), (32ULL * SLACK) << 8);
	assert_int_equal(found(32 * SLACK - 1, 64 * SLACK - 2), 0);
	assert_int_equal(found(1ULL << 42, 1ULL << 43), 1ULL << 50);
	assert_int_equal(found((1ULL << 42) + 1, (1ULL << 43) + 2), 0);
	/* Two are none, nor is a time at which there was nothing. */
	assert_int_equal(found(PERIOD, 0), 0);
	m.now = 2 * PERIOD;
	assert_int_equal(found(PERIOD, 0), 0);
	assert_int_equal(found(2 * PERIOD, 0), 0);
	m.now = PERIOD;
	m.p.stray = 0;
	assert_int_equal(found(0, PERIOD / 2), 0);
}

static void of_several_periods_the_shortest(void **state)
{
	(void)state;
	memset(&m.p.strays, 0, sizeof(m.p.strays));
	/* Eight are kept, in order of time. */
	for (unsigned int i = 0; i < LAZYTSC_STRAYS; i++)
		m.p.strays[i] = m.now - (LAZYTSC_STRAYS - i) * PERIOD;
	m.p.stray = LAZYTSC_STRAYS;
	write_value(m.now);
	assert_int_equal(m.p.streams[0].period, (u64)PERIOD << 8);
	/* The oldest has given way. */
	assert_int_equal(m.p.strays[0], m.now);
	assert_int_equal(m.p.strays[1], m.now - (LAZYTSC_STRAYS - 1) * PERIOD);
	/* The oldest two of eight are found as well. */
	memset(&m.p.strays, 0, sizeof(m.p.strays));
	memset(&m.p.streams, 0, sizeof(m.p.streams));
	m.p.stray = 3;
	m.p.strays[3] = m.now - 2 * PERIOD;
	m.p.strays[4] = m.now - PERIOD;
	for (int i = 0; i < 3; i++)
		m.p.strays[i] = m.now - NOWHERE + i;
	write_value(m.now);
	assert_int_equal(m.p.streams[0].period, (u64)PERIOD << 8);
}

static void a_stray_is_a_delivery(void **state)
{
	(void)state;
	write_value(m.now + NOWHERE);
	assert_int_equal(m.p.stray, 0);
	write_value(m.now);
	assert_int_equal(m.p.stray, 1);
}

static void the_least_worthy_gives_way(void **state)
{
	(void)state;
	for (int least = 0; least < LAZYTSC_STREAMS; least++) {
		for (u8 worth = 0; worth < 2; worth++) {
			start(SLACK);
			for (int i = 0; i < LAZYTSC_STREAMS; i++) {
				follow(i, 1ULL << 40, m.now + (1ULL << 39) / 2 + 50000ULL * (u64)i);
				m.p.streams[i].worth = (u8)(i == least ? worth : 3 + i % 2);
			}
			m.p.stray = 2;
			m.p.strays[1] = m.now - PERIOD;
			m.p.strays[0] = m.now - 2 * PERIOD;
			m.beyond.worth = 7;
			write_value(m.now);
			assert_int_equal(m.beyond.worth, 7);
			for (int i = 0; i < LAZYTSC_STREAMS; i++) {
				bool given = i == least && !worth;

				assert_int_equal(m.p.streams[i].period,
						 given ? (u64)PERIOD << 8 : 1ULL << 48);
				assert_int_equal(m.p.streams[i].worth, given	    ? 2
								       : i == least ? 0
								       : !worth	    ? 3 + i % 2
										    : 2 + i % 2);
			}
		}
	}
}

/* The guess after a delivery at m.now that fits no stream. */
static u64 guess_after_delivery(void)
{
	m.p.credit = LAZYTSC_PREDICTOR_CREDIT;
	memset(&m.p.strays, 0, sizeof(m.p.strays));
	return write_value(m.now);
}

static void a_guess_lies_before_its_beat(void **state)
{
	const u64 beat = m.now + PERIOD;
	/* Mean error, with its fraction, and the margin: three times that and 1/64 of the slack. */
	static const u32 margins[][2] = { { 0, 31 },	       { 255, 31 },
					  { 100 << 8, 331 },   { (100 << 8) + 255, 331 },
					  { 656 << 8, 1999 },  { 657 << 8, SLACK },
					  { 2000 << 8, SLACK } };

	(void)state;
	for (unsigned int i = 0; i < sizeof(margins) / sizeof(margins[0]); i++) {
		follow(0, PERIOD, beat)->error = margins[i][0];
		assert_int_equal(guess_after_delivery(), beat - margins[i][1]);
		assert_int_equal(m.p.chosen, 0);
	}
}

static void margins_are_shares_of_the_slack(void **state)
{
	const u64 t = m.now + PERIOD;

	(void)state;
	start(1 << 14);
	follow(0, PERIOD, t);
	assert_int_equal(guess_after_delivery(), t - 256);
	start(1 << 14);
	write_value(t);
	m.host.timer = t;
	assert_int_equal(write_value(t - 100), t - 100 - 228);
}

static void the_beat_that_is_likeliest_the_first(void **state)
{
	const u64 soon = m.now + PERIOD, late = soon + PERIOD / 2;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct lazytsc_stream *a = follow(i, 4 * PERIOD, soon);
		struct lazytsc_stream *b = follow(1 - i, 4 * PERIOD, late);

		/* 100 of 256 come first there; of the other 156, 164 of 256 here: fewer. */
		b->chance[0] = 164;
		assert_int_equal(guess_after_delivery(), soon - 31);
		assert_int_equal(m.p.chosen, i);
		b->chance[0] = 165;
		assert_int_equal(guess_after_delivery(), late - 31);
		assert_int_equal(m.p.chosen, 1 - i);
		a->chance[0] = 255;
		b->chance[0] = 255;
		assert_int_equal(guess_after_delivery(), soon - 31);
		/* What is never wanted is no guess. */
		a->chance[0] = 0;
		b->chance[0] = 0;
		assert_int_equal(guess_after_delivery(), 0);
		assert_int_equal(m.p.chosen, -1);
		/* After a delivery the least chance is better than none. */
		b->chance[0] = 1;
		assert_int_equal(guess_after_delivery(), late - 31);
	}
	/* A beat further on of a stream that is soon again counts as any other. */
	follow(0, PERIOD / 8, soon)->chance[0] = 60;
	follow(1, 4 * PERIOD, late)->chance[0] = 255;
	/* 1 - (196 / 256)^4 of all come before; 255 of 256 of the rest are 34 %. */
	assert_int_equal(guess_after_delivery(), late - 31);
	m.p.streams[0].chance[0] = 80;
	/* (176 / 256)^5 is 15 %, and 80 of 256 are more. */
	assert_int_equal(guess_after_delivery(), soon - 31);
	/* Of equals the first stream. */
	follow(0, PERIOD, soon);
	follow(1, PERIOD, soon);
	guess_after_delivery();
	assert_int_equal(m.p.chosen, 0);
}

static void eight_beats_are_weighed(void **state)
{
	const u64 period = 100 * SLACK;

	(void)state;
	/* The last stream as well as the first. */
	for (u64 n = 7; n <= 8; n++) {
		follow(0, period, m.now + 2 * period)->chance[0] = 0;
		follow(LAZYTSC_STREAMS - 1, PERIOD, m.now + (n + 1) * period + period / 2);
		assert_int_equal(guess_after_delivery(),
				 n == 7 ? m.now + 8 * period + period / 2 - 31 : 0);
	}
	/* A stream is weighed at each of its beats. */
	follow(0, period, m.now + period / 2)->chance[0] = 10;
	m.p.streams[0].chance[1] = 0;
	m.p.streams[LAZYTSC_STREAMS - 1].period = 0;
	assert_int_equal(guess_after_delivery(), m.now + period * 3 / 2 - 31);
}

static void a_beat_close_to_a_delivery_has_its_own_chance(void **state)
{
	struct lazytsc_stream *s;

	(void)state;
	for (u64 d = 64 * SLACK - 1; d <= 64 * SLACK; d++) {
		s = follow(0, PERIOD, m.now + d);
		s->chance[0] = 0;
		assert_int_equal(guess_after_delivery(), d < 64 * SLACK ? m.now + d - 31 : 0);
		assert_int_equal(s->context, d < 64 * SLACK ? 1 : 0);
		s->chance[0] = 100;
		s->chance[1] = 0;
		assert_int_equal(guess_after_delivery(),
				 m.now + d - 31 + (d < 64 * SLACK) * PERIOD);
		/* At rest both chances are others. */
		s = follow(0, PERIOD, m.now + d);
		s->chance[2] = d < 64 * SLACK ? 0 : 255;
		s->chance[3] = d < 64 * SLACK ? 255 : 0;
		m.p.delivered = m.now;
		lazytsc_store(&m.area.pending, m.now + 3 * PERIOD / 4);
		assert_int_equal(write_value(m.now + 3 * PERIOD / 4), m.now + d - 31);
		assert_int_equal(s->context, d < 64 * SLACK ? 3 : 2);
	}
}

static void where_a_stream_goes_on(void **state)
{
	struct lazytsc_stream *s;

	(void)state;
	/* What has been seen is not guessed once more, and not weighed. */
	s = follow(0, PERIOD, m.now + PERIOD);
	s->seen = true;
	assert_int_equal(guess_after_delivery(), m.now + 2 * PERIOD - 31);
	assert_int_equal(s->context, 4);
	/* What is behind, but not over, is not guessed. */
	m.p.strays[0] = 0;
	s = follow(0, PERIOD, m.now - 100);
	follow(1, PERIOD, m.now)->chance[0] = 0;
	assert_int_equal(guess_after_delivery(), m.now + PERIOD - 100 - 31);
	assert_int_equal(s->context, 4);
	m.p.streams[1].period = 0;
	/* What is now is still to come. */
	for (u64 d = 0; d < 2; d++) {
		follow(0, PERIOD, m.now)->chance[0] = 0;
		follow(1, PERIOD, m.now - d);
		assert_int_equal(guess_after_delivery(), m.now - d - 31 + d * PERIOD);
	}
	m.p.streams[1].period = 0;
	/* An expiry comes late: the first beat that is ahead then. */
	for (u64 d = 0; d < 2; d++) {
		s = follow(0, PERIOD, m.now - 3 * PERIOD - 100 + 100 * d);
		m.p.known = 1;
		assert_int_equal(fire(m.now - 5 * PERIOD, 2, LAZYTSC_VCPU),
				 m.now + PERIOD - (1 - d) * 100 - 31);
	}
}

static void at_rest_a_beat_must_be_likelier_than_none(void **state)
{
	const u64 wanted = m.now + PERIOD;

	(void)state;
	for (u8 chance = 128; chance <= 129; chance++) {
		struct lazytsc_stream *s = follow(0, PERIOD, wanted - 5 * SLACK);

		s->chance[2] = chance;
		m.p.chosen = 3;
		assert_int_equal(write_value(wanted), chance > 128 ? wanted - 5 * SLACK - 31 : 0);
		assert_int_equal(m.p.chosen, chance > 128 ? 0 : -1);
		/* A deadline is looked for for certain where no guess comes before. */
		assert_int_equal(m.p.certain, chance <= 128);
	}
	/* A beat counts that comes before by more than the slack. */
	for (u64 d = 0; d < 2; d++) {
		follow(0, PERIOD, m.now + NOWHERE);
		m.p.streams[0].chance[2] = 255;
		assert_int_equal(write_value(m.now + NOWHERE + SLACK + d),
				 d ? m.now + NOWHERE - 31 : 0);
	}
}

static void a_beat_at_the_deadline_is_no_guess(void **state)
{
	const u64 wanted = m.now + NOWHERE;

	(void)state;
	/* The first stream learns from it; a beat of the other lies before it, by the slack. */
	follow(0, PERIOD, wanted);
	follow(1, PERIOD, wanted - SLACK)->chance[2] = 255;
	assert_int_equal(write_value(wanted), 0);
}

static void nothing_beyond_is_touched(void **state)
{
	struct lazytsc_stream was;

	(void)state;
	for (int i = 0; i < 2; i++) {
		u64 next = m.now + (i ? PERIOD : 0) - 2 * SLACK;

		follow(0, PERIOD, next);
		was = m.p.streams[0];
		m.p.streams[0].period = 0;
		m.beyond = was;
		write_value(next);
		write_value(next - PERIOD / 2);
		fire(m.now, m.now, LAZYTSC_VCPU);
		write_value(m.now + NOWHERE);
		assert_memory_equal(&m.beyond, &was, sizeof(was));
	}
}

static void nothing_is_wanted(void **state)
{
	struct lazytsc_stream *s = follow(0, PERIOD, m.now + NOWHERE);

	(void)state;
	/* As the host knew already: at rest. */
	m.p.known = 1;
	m.p.certain = true;
	/* 44 of 256 against (212 / 256)^8, which is more; 52 against (204 / 256)^8: less. */
	s->chance[2] = 44;
	assert_int_equal(fire(m.now, 1, LAZYTSC_VCPU), 0);
	assert_false(m.p.certain);
	s->chance[2] = 52;
	assert_int_equal(fire(m.now, 1, LAZYTSC_VCPU), s->next - 31);
	/* As likely as not at the first beat, and then there are more. */
	s->chance[2] = 128;
	assert_int_equal(fire(m.now, 1, LAZYTSC_VCPU), s->next - 31);
	/* It has changed since: as after a delivery. */
	s->chance[2] = 0;
	s->chance[0] = 1;
	assert_int_equal(fire(m.now, 2, LAZYTSC_VCPU), s->next - 31);
	assert_int_equal(fire(m.now, 2, LAZYTSC_VCPU), 0);
}

static void a_known_deadline_is_looked_for_early(void **state)
{
	const u64 t = m.now + PERIOD;

	(void)state;
	/* It is set again a little earlier: by that, and 1/128 of the slack. */
	assert_int_equal(write_value(t), 0);
	m.host.timer = t;
	assert_int_equal(write_value(t - 100), t - 100 - 115);
	assert_int_equal(m.p.again, 115);
	m.host.timer = t - 215;
	assert_int_equal(write_value(t - 315), t - 315 - 230);
	/* By half the slack at most. */
	m.host.timer = t - 545;
	assert_int_equal(write_value(t - 545 - 1000), t - 1545 - 1000);
	assert_int_equal(m.p.again, 1000);
	/* By less than the slack, earlier, and the same one: else it is no such deadline. */
	for (int i = 0; i < 5; i++) {
		static const u64 earlier[] = { SLACK - 1, SLACK, 1, 0, (u64)-1 };

		m.p.again = 7;
		m.p.certain = true;
		m.host.timer = t;
		write_value(t - earlier[i]);
		assert_int_equal(m.p.again, i == 0 ? 1000 : i == 2 ? 7 + 1 + 15 : 7);
	}
	m.p.certain = false;
	write_value(t - 1);
	assert_int_equal(m.p.again, 7);
	/* Each delivery at it takes 1/64, rounded up, and one at a guess nothing. */
	m.p.again = 128;
	m.p.certain = true;
	fire(m.now, m.now, LAZYTSC_VCPU);
	assert_int_equal(m.p.again, 126);
	fire(m.now, m.now, LAZYTSC_VCPU);
	assert_int_equal(m.p.again, 126);
	m.p.again = 1;
	m.p.certain = true;
	fire(m.now, m.now, LAZYTSC_VCPU);
	assert_int_equal(m.p.again, 0);
	/* A deadline is above 0, and so is where it is looked for. */
	m.p.again = 1000;
	m.now = 1;
	assert_int_equal(write_value(900), 0);
}

static void a_guess_that_fails_is_held_against_it(void **state)
{
	/* Changed since, and what is wanted: nothing, or this much beyond the guess. */
	static const struct {
		bool changed, wants;
		u64 beyond;
		u8 chance;
	} cases[] = {
		{ false, false, 0, 87 },
		{ true, false, 0, 100 },
		{ true, true, PERIOD / 3, 87 },
		{ true, true, PERIOD, 87 },
		{ true, true, PERIOD + 1, 100 },
		{ false, true, PERIOD + 1, 87 },
		{ true, true, 3 * PERIOD / 4, 87 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		u64 fired = m.now, pending = cases[i].wants ? fired + cases[i].beyond : fired - 9;
		struct lazytsc_stream *s = follow(0, PERIOD, fired + 31);

		s->context = 0;
		m.p.chosen = 0;
		m.p.known = cases[i].changed ? 1 : pending;
		fire(fired, pending, LAZYTSC_VCPU);
		assert_int_equal(s->chance[0], cases[i].chance);
		assert_true(s->next > fired + PERIOD);
		/* Without a guess there is nothing to doubt. */
		s = follow(0, PERIOD, fired + 31);
		s->context = 0;
		m.p.chosen = -1;
		m.p.known = cases[i].changed ? 1 : pending;
		fire(fired, pending, LAZYTSC_VCPU);
		assert_int_equal(s->chance[0], 87);
	}
	/* Of two streams it is the one that was guessed. */
	follow(0, PERIOD, m.now + 31)->context = 0;
	follow(1, PERIOD, m.now + 31)->context = 0;
	m.p.chosen = 1;
	m.p.known = 1;
	fire(m.now, 2, LAZYTSC_VCPU);
	assert_true(m.p.streams[0].chance[0] == 87 && m.p.streams[1].chance[0] == 100);
}

static void a_guess_that_cannot_be_waited_for_stands(void **state)
{
	struct lazytsc_stream *s;

	(void)state;
	/* The deadline is within the slack of the guess, and nobody can wait on another CPU. */
	for (u64 d = SLACK; d <= SLACK + 1; d++) {
		s = follow(0, PERIOD, m.now - 5);
		m.p.again = 50;
		m.p.chosen = 0;
		fire(m.now, m.now + d, LAZYTSC_REMOTE);
		assert_int_equal(s->next != m.now - 5, d > SLACK);
		assert_int_equal(m.p.again, d > SLACK ? 50 : 0);
	}
	/* Nor for a timer that is found too early. */
	m.p.again = 50;
	fire(m.now + SLACK + 1, m.now + SLACK + 1, LAZYTSC_VCPU);
	assert_int_equal(m.p.again, 0);
	/* Otherwise the beats up to a slack beyond the guess are over. */
	for (u64 d = SLACK; d <= SLACK + 1; d++) {
		s = follow(0, PERIOD, m.now + d);
		fire(m.now, 1, LAZYTSC_VCPU);
		assert_int_equal(s->next, m.now + d + (d > SLACK ? 0 : PERIOD));
	}
}

static void what_is_due(void **state)
{
	static const struct {
		u64 fired, pending; /* after now */
		enum lazytsc_context context;
		bool due;
	} cases[] = {
		{ 0, 0, LAZYTSC_VCPU, true },
		{ 0, SLACK, LAZYTSC_VCPU, true },
		{ 0, SLACK + 1, LAZYTSC_VCPU, false },
		{ 0, 0, LAZYTSC_REMOTE, true },
		{ 0, 1, LAZYTSC_REMOTE, false },
		{ 1, 0, LAZYTSC_VCPU, false },
		{ (u64)-9, (u64)-9, LAZYTSC_REMOTE, true },
		{ (u64)-9, (u64)-10, LAZYTSC_REMOTE, false },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		m.p.delivered = 1;
		fire(m.now + cases[i].fired, m.now + cases[i].pending, cases[i].context);
		assert_int_equal(m.p.delivered, cases[i].due ? m.now + cases[i].pending : 1);
	}
	/* A deadline ahead is waited for: what lies before it is past by then. */
	follow(0, PERIOD, m.now + 1000)->chance[0] = 0;
	follow(1, PERIOD, m.now + 500);
	assert_int_equal(fire(m.now, m.now + 1000, LAZYTSC_VCPU), m.now + 500 + PERIOD - 31);
	/* A write of now is due, one of the next moment is not. */
	for (u64 d = 0; d < 2; d++) {
		m.p.delivered = 1;
		m.p.certain = !d;
		write_value(m.now + d);
		assert_int_equal(m.p.delivered, d ? 1 : m.now);
		assert_int_equal(m.p.certain, d == 1);
	}
}

static void off_nothing_changes(void **state)
{
	struct lazytsc_predictor was;

	(void)state;
	start(0);
	m.host.stats.silent_running = 3;
	was = m.p;
	assert_int_equal(write_value(m.now), 0);
	assert_int_equal(fire(m.now, m.now, LAZYTSC_VCPU), 0);
	assert_memory_equal(&was, &m.p, sizeof(was));
	/* On a raw write, and for a timer that is plain, nothing is learned. */
	start(SLACK);
	ticks(5);
	was = m.p;
	m.host.timer = m.now;
	m.host.lazy = false;
	assert_int_equal(lazytsc_predictor_expire(&m.p, &m.host, NULL,
						  &(struct lazytsc_expiry){ .now = m.now }),
			 0);
	assert_memory_equal(&was, &m.p, sizeof(was));
	lazytsc_store(&m.area.pending, m.now);
	assert_int_equal(lazytsc_predictor_write(&m.p, &m.host, &m.area, m.now + PERIOD, m.now), 0);
	assert_memory_equal(&was.streams, &m.p.streams, sizeof(was.streams));
	assert_int_equal(m.p.delivered, was.delivered);
}

static u64 random_value(u64 *seed)
{
	static const u64 bases[] = { 0, 1, 1ULL << 20, 1ULL << 43, 1ULL << 62, 1ULL << 63, ~0ULL };

	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return bases[(*seed >> 60) % 7] + ((*seed >> 33) & ((1ULL << (*seed >> 52 & 31)) - 1)) -
	       (*seed >> 58 & 1) * SLACK;
}

static void any_values(void **state)
{
	u64 seed = 1;

	(void)state;
	for (unsigned int i = 0; i < 300000; i++) {
		struct lazytsc_expiry e = { .now = random_value(&seed), .wait = SLACK };

		if (i % 5 == 0)
			e.now = m.now += random_value(&seed) & 0xffffff;
		lazytsc_store(&m.area.pending,
			      i % 3 ? e.now + i % 4 * PERIOD : random_value(&seed));
		m.host.lazy = true;
		m.host.timer = i % 2 ? e.now : random_value(&seed);
		m.host.stats.silent_running += i % 7 == 0;
		if (i & 4)
			lazytsc_predictor_expire(&m.p, &m.host, &m.area, &e);
		else
			lazytsc_predictor_write(&m.p, &m.host, &m.area,
						lazytsc_load(&m.area.pending), e.now);
		assert_true(m.p.credit <= LAZYTSC_PREDICTOR_CREDIT);
		assert_true(m.p.again <= SLACK);
		for (int k = 0; k < LAZYTSC_STREAMS; k++)
			assert_true(m.p.streams[k].error <= SLACK << 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_tick_is_found, setup),
		cmocka_unit_test_setup(two_streams, setup),
		cmocka_unit_test_setup(off_without_slack, setup),
		cmocka_unit_test_setup(no_wait_on_another_cpu, setup),
		cmocka_unit_test_setup(credit_runs_out, setup),
		cmocka_unit_test_setup(hits_earn_credit, setup),
		cmocka_unit_test_setup(a_write_on_its_way_is_no_skip, setup),
		cmocka_unit_test_setup(a_page_that_is_gone_leaks_no_credit, setup),
		cmocka_unit_test_setup(the_half_of_a_period_is_found, setup),
		cmocka_unit_test_setup(a_new_stream_waits_for_the_least_worthy, setup),
		cmocka_unit_test_setup(the_nearest_stream_learns, setup),
		cmocka_unit_test_setup(a_beat_further_on_is_no_stray, setup),
		cmocka_unit_test_setup(a_period_has_a_least, setup),
		cmocka_unit_test_setup(what_tells_nothing, setup),
		cmocka_unit_test_setup(a_slack_has_a_most, setup),
		cmocka_unit_test_setup(what_earns_and_what_costs, setup),
		cmocka_unit_test_setup(a_proof_is_taken_back_once, setup),
		cmocka_unit_test_setup(a_guess_needs_two_credits, setup),
		cmocka_unit_test_setup(only_what_is_ahead_is_weighed, setup),
		cmocka_unit_test_setup(what_was_not_weighed_is_not_judged, setup),
		cmocka_unit_test_setup(a_pause_is_passed_in_whole_beats, setup),
		cmocka_unit_test_setup(a_deadline_corrects_its_stream, setup),
		cmocka_unit_test_setup(a_beat_that_was_not_weighed_gains_nothing, setup),
		cmocka_unit_test_setup(after_a_pause_an_error_is_drift, setup),
		cmocka_unit_test_setup(a_period_stays_a_stream_s, setup),
		cmocka_unit_test_setup(what_lies_on_a_beat, setup),
		cmocka_unit_test_setup(a_delivery_goes_on_to_the_next_beat, setup),
		cmocka_unit_test_setup(of_two_streams_the_nearer, setup),
		cmocka_unit_test_setup(deadlines_in_the_middle_halve, setup),
		cmocka_unit_test_setup(three_at_equal_distances_are_a_stream, setup),
		cmocka_unit_test_setup(of_several_periods_the_shortest, setup),
		cmocka_unit_test_setup(a_stray_is_a_delivery, setup),
		cmocka_unit_test_setup(the_least_worthy_gives_way, setup),
		cmocka_unit_test_setup(a_guess_lies_before_its_beat, setup),
		cmocka_unit_test_setup(the_beat_that_is_likeliest_the_first, setup),
		cmocka_unit_test_setup(eight_beats_are_weighed, setup),
		cmocka_unit_test_setup(a_beat_close_to_a_delivery_has_its_own_chance, setup),
		cmocka_unit_test_setup(where_a_stream_goes_on, setup),
		cmocka_unit_test_setup(at_rest_a_beat_must_be_likelier_than_none, setup),
		cmocka_unit_test_setup(nothing_is_wanted, setup),
		cmocka_unit_test_setup(a_known_deadline_is_looked_for_early, setup),
		cmocka_unit_test_setup(a_guess_that_fails_is_held_against_it, setup),
		cmocka_unit_test_setup(a_guess_that_cannot_be_waited_for_stands, setup),
		cmocka_unit_test_setup(what_is_due, setup),
		cmocka_unit_test_setup(off_nothing_changes, setup),
		cmocka_unit_test_setup(times_wrap, setup),
		cmocka_unit_test_setup(margins_are_shares_of_the_slack, setup),
		cmocka_unit_test_setup(a_beat_at_the_deadline_is_no_guess, setup),
		cmocka_unit_test_setup(nothing_beyond_is_touched, setup),
		cmocka_unit_test_setup(any_values, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
