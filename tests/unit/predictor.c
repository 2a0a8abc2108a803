// SPDX-License-Identifier: BSD-2-Clause
/*
 * The predictor between the real guest and host sides, on a machine of a few lines: a periodic
 * deadline is soon found, its writes are skipped, and the guest is never held for longer than the
 * slack; deliveries stay exact (A6, A7). Off (slack 0) there is no guess; on another CPU no wait.
 * The credit (B12): hits earn, silent expiries that prove no skip cost, at none the guesses stop,
 * and a store whose WRMSR is still on its way is not taken for a skip. How streams are found,
 * halved and replaced. Any values whatever, also those that wrap, leave it within its bounds (B11).
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
		cmocka_unit_test_setup(any_values, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
