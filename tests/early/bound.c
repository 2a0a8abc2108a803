// SPDX-License-Identifier: BSD-2-Clause
/*
 * The clairvoyant bound is the optimum, not just a number: on thousands of small random guests it
 * equals the best that an exhaustive search over everything a host could publish and arm finds, and
 * the plain rule is never below it. The same holds with free looks strewn among the writes. The
 * search shares no code and no idea with the rule that it checks. The counting rules at the edges
 * (first write, past deadline, disarm, equal times) have cases of their own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/sim/bound.h>
#include <lazytsc/sim/replay.h>

#define MAX_WRITES 7
#define MAX_EVENTS (2 * MAX_WRITES) /* with a second look each */
#define MAX_TIME   12 /* writes and deadlines lie at 1..MAX_TIME */
#define NEVER	   (MAX_TIME + 1)
#define UNKNOWN	   (~0u)

struct guest {
	unsigned int n;
	struct {
		u64 now, v; /* of a look: what was written last */
		bool look;
	} w[MAX_EVENTS];
};

/* The fewest entries from one at time t on, when the first i writes have been made. */
struct search {
	const struct guest *g;
	unsigned int best[MAX_EVENTS + 1][MAX_TIME + 1];
};

static unsigned int search_from(struct search *s, unsigned int i, u64 t);

/* What follows when the host leaves with this armed and this timer, 0 for none. */
static unsigned int leave(struct search *s, unsigned int i, u64 armed, u64 timer)
{
	const struct guest *g = s->g;
	u64 pending = i ? g->w[i - 1].v : 0;

	for (; i < g->n; i++) {
		u64 now = g->w[i].now, v = g->w[i].v;

		if (timer && timer <= now)
			return (pending != timer) + search_from(s, i, timer);
		if (g->w[i].look)
			return search_from(s, i + 1, now);
		if (armed == 0 || (v && v < armed))
			return 1 + search_from(s, i + 1, now);
		pending = v;
	}
	return 0;
}

static unsigned int search_from(struct search *s, unsigned int i, u64 t)
{
	u64 wanted = i && s->g->w[i - 1].v > t ? s->g->w[i - 1].v : 0;
	unsigned int *best = &s->best[i][t];

	if (*best != UNKNOWN)
		return *best;
	for (u64 armed = 0; armed <= NEVER; armed++) {
		if (armed && armed <= t)
			continue;
		for (u64 timer = 0; timer <= NEVER; timer++) {
			unsigned int cost;

			/* It keeps its promise to look, and is not late for what it knows of. */
			if ((timer && timer <= t) || (armed && (!timer || timer > armed)) ||
			    (wanted && (!timer || timer > wanted)))
				continue;
			cost = leave(s, i, armed, timer);
			if (cost < *best)
				*best = cost;
		}
	}
	return *best;
}

static unsigned int search_best(const struct guest *g)
{
	struct search s = { .g = g };

	memset(s.best, 0xff, sizeof(s.best));
	return leave(&s, 0, 0, 0);
}

static u64 bound(const struct guest *g)
{
	struct lazytsc_bound b;

	lazytsc_bound_init(&b);
	for (unsigned int i = 0; i < g->n; i++) {
		if (g->w[i].look)
			lazytsc_bound_look(&b, g->w[i].now);
		else
			lazytsc_bound_write(&b, g->w[i].now, g->w[i].v);
	}
	return b.host_entries;
}

/* @blocks: each look is a halt that lasts until the next event, and the host uses it. */
static u64 lazy(const struct guest *g, bool blocks)
{
	struct lazytsc_replay r;

	lazytsc_replay_init(&r, &lazytsc_variant_lazy, NULL, NULL);
	for (unsigned int i = 0; i < g->n; i++) {
		lazytsc_replay_wake(&r, g->w[i].now);
		if (!g->w[i].look)
			lazytsc_replay_write(&r, g->w[i].now, g->w[i].v);
		else if (blocks)
			lazytsc_replay_block(&r, g->w[i].now);
	}
	assert_true(r.excess == 0);
	return lazytsc_replay_host_entries(&r.counts);
}

static u32 random_below(u64 *state, u32 n)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(*state >> 33) % n;
}

static void random_guest(u64 *state, struct guest *g, bool looks)
{
	u64 now = 1;

	g->n = 1 + random_below(state, MAX_WRITES);
	/* The last event is a write: what lies behind the last event is not counted. */
	for (unsigned int i = 0; i < g->n; i++) {
		now += random_below(state, 3);
		if (now > MAX_TIME)
			now = MAX_TIME;
		g->w[i].now = now;
		g->w[i].look = looks && i + 1 < g->n && random_below(state, 3) == 0;
		g->w[i].v = random_below(state, MAX_TIME + 1);
		if (g->w[i].look)
			g->w[i].v = i ? g->w[i - 1].v : 0;
	}
}

static void is_the_optimum(void **state)
{
	u64 seed = 1, below_lazy = 0;

	(void)state;
	for (unsigned int n = 0; n < 20000; n++) {
		struct guest g;

		random_guest(&seed, &g, false);
		assert_int_equal(bound(&g), search_best(&g));
		assert_true(bound(&g) <= lazy(&g, false));
		below_lazy += bound(&g) < lazy(&g, false);
	}
	/* The comparison had something to tell apart. */
	assert_true(below_lazy > 1000);
}

/* The same guest, but the host does not look. */
static struct guest blind(const struct guest *g)
{
	struct guest without = { 0 };

	for (unsigned int i = 0; i < g->n; i++) {
		if (!g->w[i].look)
			without.w[without.n++] = g->w[i];
	}
	return without;
}

/* The second look at the end of each halt. */
static struct guest with_wakes(const struct guest *g)
{
	struct guest twice = { 0 };

	for (unsigned int i = 0; i < g->n; i++) {
		if (i && g->w[i - 1].look && g->w[i].now > g->w[i - 1].now) {
			twice.w[twice.n] = g->w[i - 1];
			twice.w[twice.n++].now = g->w[i].now;
		}
		twice.w[twice.n++] = g->w[i];
	}
	return twice;
}

/* B29: free looks never cost an entry, and the bound with them is the optimum. */
static void free_looks(void **state)
{
	u64 seed = 2, saved = 0, lazy_saved = 0, below_lazy = 0;

	(void)state;
	for (unsigned int n = 0; n < 20000; n++) {
		struct guest g, sees_none, wakes;

		random_guest(&seed, &g, true);
		sees_none = blind(&g);
		wakes = with_wakes(&g);
		assert_int_equal(bound(&g), search_best(&g));
		assert_true(bound(&g) <= bound(&sees_none));
		assert_true(bound(&wakes) <= bound(&g));
		assert_true(bound(&wakes) <= lazy(&g, true));
		assert_true(lazy(&g, true) <= lazy(&g, false));
		saved += bound(&g) < bound(&sees_none);
		lazy_saved += lazy(&g, true) < lazy(&g, false);
		below_lazy += bound(&wakes) < lazy(&g, true);
	}
	/* Each comparison had something to tell apart. */
	assert_true(saved > 1000);
	assert_true(lazy_saved > 250);
	assert_true(below_lazy > 1000);
}

static void counting_rules(void **state)
{
	static const struct {
		struct guest g;
		u64 entries;
	} cases[] = {
		{ { 0, { { 0, 0, false } } }, 0 },
		/* The first write, also a disarm or a past deadline. */
		{ { 1, { { 1, 9, false } } }, 1 },
		{ { 1, { { 1, 0, false } } }, 1 },
		{ { 1, { { 2, 1, false } } }, 1 },
		/* Delivered at the deadline, the next one known: free. */
		{ { 3, { { 1, 3, false }, { 4, 6, false }, { 7, 9, false } } }, 1 },
		/* A timer at the time of a write fires before it. */
		{ { 2, { { 1, 3, false }, { 3, 6, false } } }, 1 },
		/* Superseded: one look, at the lowest deadline. */
		{ { 3, { { 1, 5, false }, { 2, 8, false }, { 6, 12, false } } }, 2 },
		{ { 3, { { 1, 5, false }, { 2, 4, false }, { 3, 8, false } } }, 1 },
		{ { 4, { { 1, 5, false }, { 2, 4, false }, { 3, 8, false }, { 8, 9, false } } },
		  2 },
		/* Past at its own write: an entry each. */
		{ { 3, { { 2, 1, false }, { 3, 3, false }, { 4, 2, false } } }, 3 },
		/* A disarm leaves the look; what is disarmed for good costs one. */
		{ { 2, { { 1, 5, false }, { 2, 0, false } } }, 1 },
		{ { 3, { { 1, 5, false }, { 2, 0, false }, { 6, 9, false } } }, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(bound(&cases[i].g), cases[i].entries);
		assert_int_equal(search_best(&cases[i].g), cases[i].entries);
	}
}

static void restart_starts_afresh(void **state)
{
	struct lazytsc_bound b;

	(void)state;
	lazytsc_bound_init(&b);
	lazytsc_bound_write(&b, 1, 5);
	lazytsc_bound_restart(&b);
	assert_int_equal(b.host_entries, 1);
	lazytsc_bound_write(&b, 9, 12);
	assert_int_equal(b.host_entries, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counting_rules),
		cmocka_unit_test(restart_starts_afresh),
		cmocka_unit_test(is_the_optimum),
		cmocka_unit_test(free_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
