// SPDX-License-Identifier: BSD-2-Clause
/*
 * The worked example of the protocol (t0 traps and is armed; t1 < t2 < t3 are programmed before t0
 * fires), and its worst case, through every variant and every column: what each of them exits for,
 * skips, lets pass silently and injects, and when. Also the counting rules at equal times, a
 * deadline in the past, a disarm, and a gap in the trace. Requirements B5, B6, B9, B12.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <lazytsc/sim/replay.h>

struct step {
	u64 now, v; /* v at now; both 0: a gap */
};

struct expected {
	const char *variant;
	struct lazytsc_replay_counts counts;
};

static void check(const struct step *steps, size_t n, u64 end, const struct expected *want,
		  size_t nwant)
{
	for (size_t i = 0; i < nwant; i++) {
		const struct lazytsc_variant *v = lazytsc_variant_find(want[i].variant);
		struct lazytsc_replay r;

		assert_non_null(v);
		lazytsc_replay_init(&r, v, NULL, NULL);
		for (size_t s = 0; s < n; s++) {
			if (steps[s].now)
				lazytsc_replay_write(&r, steps[s].now, steps[s].v);
			else
				lazytsc_replay_restart(&r);
		}
		lazytsc_replay_run_until(&r, end);
		print_message("%s\n", want[i].variant);
		assert_int_equal(r.counts.msr_write_exits, want[i].counts.msr_write_exits);
		assert_int_equal(r.counts.skips, want[i].counts.skips);
		assert_int_equal(r.counts.silent_expiries, want[i].counts.silent_expiries);
		assert_int_equal(r.counts.injections, want[i].counts.injections);
		assert_int_equal(r.counts.early_injections, want[i].counts.early_injections);
		assert_int_equal(lazytsc_replay_host_entries(&r.counts),
				 want[i].counts.msr_write_exits + want[i].counts.silent_expiries);
		assert_int_equal(r.excess, 0);
	}
}

#define CHECK(steps, end, want)                                     \
	check(steps, sizeof(steps) / sizeof((steps)[0]), end, want, \
	      sizeof(want) / sizeof((want)[0]))

static void worked_example(void **state)
{
	static const struct step steps[] = { { 10, 100 }, { 20, 120 }, { 30, 140 }, { 40, 160 } };
	/* { exits, skips, silent, injections, early } */
	static const struct expected want[] = {
		{ "stock", { 4, 0, 0, 1, 0 } },	    { "lazy", { 1, 3, 1, 1, 0 } },
		{ "rfc-v1", { 1, 3, 0, 2, 1 } },    { "rfc-v3", { 1, 3, 1, 1, 0 } },
		{ "rfc-v3-sw", { 1, 3, 0, 2, 1 } },
	};

	(void)state;
	CHECK(steps, 160, want);
}

static void worst_case(void **state)
{
	static const struct step steps[] = { { 10, 100 }, { 20, 120 } };
	static const struct expected want[] = {
		{ "stock", { 2, 0, 0, 1, 0 } },	    { "lazy", { 1, 1, 1, 1, 0 } },
		{ "rfc-v1", { 1, 1, 0, 2, 1 } },    { "rfc-v3", { 1, 1, 1, 1, 0 } },
		{ "rfc-v3-sw", { 1, 1, 0, 2, 1 } },
	};

	(void)state;
	CHECK(steps, 120, want);
}

/* At 99 nothing has fired, and what is outstanding at the end is not delivered. */
static void outstanding_at_the_end(void **state)
{
	static const struct step steps[] = { { 10, 100 }, { 20, 120 } };
	static const struct expected want[] = {
		{ "stock", { 2, 0, 0, 0, 0 } },
		{ "lazy", { 1, 1, 0, 0, 0 } },
		{ "rfc-v1", { 1, 1, 0, 0, 0 } },
	};

	(void)state;
	CHECK(steps, 99, want);
}

/* A timer at the time of a write fires first; an earlier deadline always exits. */
static void equal_times_and_earlier(void **state)
{
	static const struct step steps[] = {
		{ 10, 100 },
		{ 100, 200 },
		{ 100, 150 },
		{ 150, 300 },
	};
	static const struct expected want[] = {
		{ "stock", { 4, 0, 0, 2, 0 } },
		{ "lazy", { 4, 0, 0, 2, 0 } },
		{ "rfc-v1", { 4, 0, 0, 2, 0 } },
		{ "rfc-v3", { 4, 0, 0, 2, 0 } },
	};

	(void)state;
	CHECK(steps, 150, want);
}

/* Delivered at once, and nothing stays armed that a later write could be skipped on (B9). */
static void past_deadline(void **state)
{
	static const struct step steps[] = { { 10, 100 }, { 20, 5 }, { 30, 30 }, { 40, 200 } };
	static const struct expected want[] = {
		{ "stock", { 4, 0, 0, 2, 0 } },
		{ "lazy", { 4, 0, 0, 2, 0 } },
		{ "rfc-v1", { 4, 0, 0, 2, 0 } },
		{ "rfc-v3", { 4, 0, 0, 2, 0 } },
	};

	(void)state;
	CHECK(steps, 199, want);
}

/*
 * lazy: the disarm is a skip, the timer finds nothing wanted. The series left the guest's shutdown
 * path alone: it exits.
 */
static void disarm(void **state)
{
	static const struct step steps[] = { { 10, 100 }, { 20, 0 }, { 200, 0 } };
	static const struct expected want[] = {
		{ "stock", { 3, 0, 0, 0, 0 } },
		{ "lazy", { 2, 1, 1, 0, 0 } },
		{ "rfc-v1", { 3, 0, 0, 0, 0 } },
		{ "rfc-v3", { 3, 0, 0, 0, 0 } },
	};

	(void)state;
	CHECK(steps, 300, want);
}

/* After a gap nothing is armed and nothing outstanding: the next write exits; counts go on. */
static void gap(void **state)
{
	static const struct step steps[] = { { 10, 100 }, { 20, 120 }, { 0, 0 }, { 30, 140 } };
	static const struct expected want[] = {
		{ "stock", { 3, 0, 0, 1, 0 } },
		{ "lazy", { 2, 1, 0, 1, 0 } },
		{ "rfc-v1", { 2, 1, 0, 1, 0 } },
		{ "rfc-v3", { 2, 1, 0, 1, 0 } },
	};

	(void)state;
	CHECK(steps, 1000, want);
}

/* A source that always guesses: each guess is one silent expiry, which `excess` records. */
static u64 always_write(void *state, const struct lazytsc_host *h, const struct lazytsc_area *area,
			u64 v, u64 now)
{
	(void)h;
	(void)area;
	(void)v;
	++*(unsigned int *)state;
	return now + 50;
}

static u64 always_expire(void *state, const struct lazytsc_host *h, const struct lazytsc_area *area,
			 const struct lazytsc_expiry *e)
{
	return always_write(state, h, area, 0, e->now);
}

static void guesses_are_passed(void **state)
{
	static const struct lazytsc_guess_source source = { .write = always_write,
							    .expire = always_expire };
	unsigned int calls = 0;
	struct lazytsc_replay r;

	(void)state;
	lazytsc_replay_init(&r, &lazytsc_variant_lazy, &source, &calls);
	lazytsc_replay_write(&r, 10, 100);
	assert_int_equal(r.host.timer, 60);
	lazytsc_replay_run_until(&r, 60);
	assert_int_equal(r.host.timer, 100);
	assert_int_equal(r.counts.silent_expiries, 1);
	assert_int_equal(r.excess, 1);
	lazytsc_replay_run_until(&r, 100);
	assert_int_equal(r.counts.injections, 1);
	assert_int_equal(r.host.timer, 150);
	/* The guess at 150 covers this write. */
	lazytsc_replay_write(&r, 110, 155);
	assert_int_equal(r.counts.skips, 1);
	assert_int_equal(calls, 3);
}

static void registry(void **state)
{
	unsigned int n = 0;

	(void)state;
	for (const struct lazytsc_variant *v; (v = lazytsc_variant_at(n)); n++)
		assert_ptr_equal(lazytsc_variant_find(v->name), v);
	assert_true(n >= 5);
	assert_null(lazytsc_variant_find("no such variant"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worked_example),
		cmocka_unit_test(worst_case),
		cmocka_unit_test(outstanding_at_the_end),
		cmocka_unit_test(equal_times_and_earlier),
		cmocka_unit_test(past_deadline),
		cmocka_unit_test(disarm),
		cmocka_unit_test(gap),
		cmocka_unit_test(guesses_are_passed),
		cmocka_unit_test(registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
