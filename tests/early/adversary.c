// SPDX-License-Identifier: BSD-2-Clause
/*
 * Arming early costs no guest more than the stated constant (B12): silent expiries lead skips by at
 * most LAZYTSC_PREDICTOR_CREDIT at every moment. The guest here knows the predictor: before each
 * step it tries every action on a copy of the whole machine, two steps deep, and takes what leads
 * to most silent expiries and fewest skips. It must come near the constant, so the search is one
 * that finds something, and never beyond. A predictor whose credit is not counted down would fail
 * here. Random guests, who know nothing, as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/sim/early.h>

#define SLACK  2000
#define PERIOD 3000000
#define LEFT   12 /* the credit that the searching guest starts from */
#define STEPS  400

struct world {
	struct lazytsc_replay r;
	struct lazytsc_predictor p;
	u64 now;
};

static void start(struct world *w)
{
	lazytsc_early_init(&w->r, &w->p, SLACK);
	w->now = 1000000000;
}

static void copy(struct world *to, const struct world *from)
{
	*to = *from;
	to->r.guest.area = &to->r.area;
	to->r.source_state = &to->p;
}

static void fire(struct world *w)
{
	if (!w->r.host.timer)
		return;
	if (w->r.host.timer > w->now)
		w->now = w->r.host.timer;
	lazytsc_replay_run_until(&w->r, w->now);
	if (w->r.held > w->now)
		w->now = w->r.held;
}

static void set(struct world *w, u64 t)
{
	lazytsc_replay_write(&w->r, ++w->now, t);
}

static u32 random_below(u64 *state, u32 n)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(*state >> 33) % n;
}

/* Everything that bears on the predictor; the last ones take what it is about to expect. */
static const u64 distances[] = { 50,	      SLACK / 2, SLACK,	      2 * SLACK,  40 * SLACK,
				 PERIOD - 99, PERIOD,	 PERIOD + 99, 2 * PERIOD, 5 * PERIOD };
#define DISTANCES (sizeof(distances) / sizeof(distances[0]))
#define ACTIONS	  (DISTANCES + 5 + LAZYTSC_STREAMS)

static void act(struct world *w, unsigned int action)
{
	u64 armed = w->r.host.timer;

	if (action < DISTANCES)
		set(w, w->now + distances[action]);
	else if (action == DISTANCES)
		fire(w);
	else if (action == DISTANCES + 1)
		set(w, 0);
	else if (action == DISTANCES + 2)
		set(w, armed + 1);
	else if (action == DISTANCES + 3)
		set(w, armed > w->now + 2 ? armed - 1 : w->now + 9);
	else if (action == DISTANCES + 4)
		w->now += 100000;
	else
		set(w, w->p.streams[action - DISTANCES - 5].next + 60);
}

static int64_t lead(const struct world *w)
{
	return (int64_t)w->r.counts.silent_expiries - (int64_t)w->r.counts.skips;
}

/* What comes of it if the guest does nothing more. */
static int64_t outlook(const struct world *from)
{
	struct world w;

	copy(&w, from);
	for (unsigned int i = 0; i < 4; i++) {
		fire(&w);
		w.now += 100000;
	}
	return lead(&w);
}

static unsigned int best_action(const struct world *from, u64 *seed)
{
	unsigned int best = 0, offset = random_below(seed, ACTIONS);
	int64_t most = INT64_MIN;
	struct world one, two;

	for (unsigned int i = 0; i < ACTIONS; i++) {
		unsigned int a = (i + offset) % ACTIONS;

		copy(&one, from);
		act(&one, a);
		for (unsigned int b = 0; b < ACTIONS; b++) {
			copy(&two, &one);
			act(&two, b);
			if (outlook(&two) <= most)
				continue;
			most = outlook(&two);
			best = a;
		}
	}
	return best;
}

/* Teach it a stream, at the cost of as few skips as it takes. */
static void train(struct world *w)
{
	u64 t = w->now;

	for (unsigned int i = 0; i < 6; i++) {
		set(w, t += PERIOD);
		while (w->now < t)
			fire(w);
		w->now += 100000;
	}
}

static void knows_the_predictor(void **state)
{
	u64 seed = 1;

	(void)state;
	for (unsigned int run = 0; run < 4; run++) {
		struct world w;
		int64_t before, most;

		start(&w);
		train(&w);
		w.p.credit = LEFT;
		w.p.silent = w.r.host.stats.silent_running;
		before = most = lead(&w);
		for (unsigned int i = 0; i < STEPS; i++) {
			act(&w, best_action(&w, &seed));
			if (lead(&w) > most)
				most = lead(&w);
			assert_true(lead(&w) - before <= LEFT);
		}
		assert_true(most - before >= LEFT - 2);
	}
}

static void knows_nothing(void **state)
{
	(void)state;
	for (u64 run = 1; run <= 2000; run++) {
		struct world w;
		u64 seed = run;

		start(&w);
		for (unsigned int i = 0; i < 500; i++) {
			unsigned int a = random_below(&seed, ACTIONS + 4);

			if (a >= ACTIONS)
				train(&w);
			else
				act(&w, a);
			w.now += random_below(&seed, 2) * random_below(&seed, 2 * PERIOD);
		}
		assert_true(w.r.excess <= LAZYTSC_PREDICTOR_CREDIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_predictor),
		cmocka_unit_test(knows_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
