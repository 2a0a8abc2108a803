// SPDX-License-Identifier: BSD-2-Clause
/*
 * Arming early against the plain rule on synthetic guests that are not like the recorded ones:
 * jitter beyond the slack, changing phases and periods, more streams than it follows, timers that
 * are merged or closer than a handler, sleepers, re-writes, restarted ticks, no pattern at all.
 * Never more than 1 % more host entries than the plain rule (and the cost of learning), clearly
 * fewer where there is something to learn, and the waits stay below a quarter of the slack.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/sim/early.h>

#define US	2000 /* cycles; also the slack */
#define MS	(1000 * US)
#define ROUNDS	20000 /* deliveries of each guest */
#define TIMERS	10
#define HANDLER (20 * US)

struct guest {
	const char *name;
	u64 period[TIMERS]; /* 0: none; the first one is the tick */
	u64 jitter; /* of each deadline */
	u64 spread; /* of each sleep: the next one starts where this one ended */
	u64 merge; /* timers within this of a delivery are delivered with it */
	u32 sporadic; /* per cent of the rounds with a one-shot timer as well */
	u32 idle; /* per cent of the rounds at which the tick stops for a while */
	u32 wakes; /* tick restarts and stops in such an idle time */
	u32 moves; /* per cent of the rounds at which the tick's phase changes */
	u32 rewrites; /* further writes a round, each a little later */
	u64 most; /* host entries against lazy, per mille */
};

static const struct guest guests[] = {
	{ .name = "tick", .period = { 4 * MS }, .jitter = 200, .most = 20 },
	{ .name = "tick, jitter 10 us", .period = { 4 * MS }, .jitter = 10 * US, .most = 1010 },
	{ .name = "tick, jitter 2 us", .period = { 4 * MS }, .jitter = 2 * US, .most = 1010 },
	{ .name = "tick, moved", .period = { 4 * MS }, .jitter = 200, .moves = 5, .most = 500 },
	{ .name = "tick, moved often", .period = { 4 * MS }, .moves = 30, .most = 1010 },
	{ .name = "tick and one-shots", .period = { MS }, .sporadic = 30, .most = 600 },
	{ .name = "tick in idle",
	  .period = { 4 * MS },
	  .jitter = 200,
	  .idle = 50,
	  .wakes = 1,
	  .most = 600 },
	{ .name = "request/response",
	  .period = { 4 * MS },
	  .jitter = 200,
	  .idle = 90,
	  .wakes = 9,
	  .most = 500 },
	{ .name = "two timers", .period = { 4 * MS, 700 * US }, .jitter = 200, .most = 50 },
	{ .name = "two timers, merged",
	  .period = { 4 * MS, 700 * US },
	  .jitter = 200,
	  .merge = 50 * US,
	  .most = 80 },
	{ .name = "fast timer", .period = { 4 * MS, 50 * US }, .jitter = 100, .most = 100 },
	{ .name = "fast timer, merged",
	  .period = { 4 * MS, 50 * US },
	  .jitter = 100,
	  .merge = 30 * US,
	  .most = 200 },
	{ .name = "six timers",
	  .jitter = 200,
	  .most = 400,
	  .period = { 4 * MS, 3 * MS, 5 * MS + 7, 7 * MS + 77, 11 * MS, 13 * MS } },
	{ .name = "ten timers",
	  .jitter = 200,
	  .most = 1010,
	  .period = { 4 * MS, 3 * MS, 5 * MS, 7 * MS, 11 * MS, 13 * MS, 17 * MS, 19 * MS, 23 * MS,
		      29 * MS } },
	{ .name = "sleepers", .period = { MS, 3 * MS, 7 * MS }, .spread = 70 * US, .most = 1010 },
	{ .name = "no pattern", .period = { 2 * MS }, .spread = 2 * MS, .most = 1010 },
	{ .name = "one-shots alone", .sporadic = 100, .most = 1010 },
	{ .name = "watchdog", .period = { 50 * MS }, .rewrites = 9, .most = 1010 },
	{ .name = "re-written tick",
	  .period = { 4 * MS },
	  .jitter = 200,
	  .rewrites = 3,
	  .most = 1010 },
};

/* The guest runs once; what it writes is fed to both hosts. */
struct world {
	const struct guest *g;
	u64 seed, now;
	u64 next[TIMERS];
	struct lazytsc_replay lazy, early;
	struct lazytsc_predictor p;
};

static u64 random_below(struct world *w, u64 n)
{
	w->seed = w->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return n ? (w->seed >> 33) * n >> 31 : 0;
}

static bool percent(struct world *w, u32 p)
{
	return random_below(w, 100) < p;
}

static void set(struct world *w, u64 t)
{
	lazytsc_replay_write(&w->lazy, w->now, t);
	lazytsc_replay_write(&w->early, w->now, t);
	w->now += US;
}

static u64 deadline(struct world *w, u64 t)
{
	return t + random_below(w, w->g->jitter + 1);
}

/* The tick is stopped, and now and then restarted, while nothing else happens. */
static void idle(struct world *w, u64 until)
{
	const struct guest *g = w->g;

	for (u32 i = 0; i < g->wakes; i++) {
		u64 beat = w->next[0] + ((w->now - w->next[0]) / g->period[0] + 1) * g->period[0];

		if (w->now + 40 * US >= until || w->now < w->next[0])
			return;
		if (w->now + 20 * US < beat)
			set(w, deadline(w, beat));
		set(w, until);
		w->now += random_below(w, 2 * g->period[0] / g->wakes);
	}
}

static void round_of(struct world *w)
{
	const struct guest *g = w->g;
	u64 first = ~0ULL, t;

	if (g->period[0] && percent(w, g->idle)) {
		u64 until = w->now + g->period[0] * (1 + random_below(w, 20)) + 77777;

		set(w, until);
		idle(w, until);
		if (w->now < until)
			w->now = until;
		while (w->next[0] < w->now)
			w->next[0] += g->period[0];
	}
	if (percent(w, g->moves))
		w->next[0] += random_below(w, g->period[0]);
	for (unsigned int i = 0; i < TIMERS; i++) {
		if (g->period[i] && w->next[i] < first)
			first = w->next[i];
	}
	if (percent(w, g->sporadic)) {
		t = w->now + 50 * US + random_below(w, 3 * MS);
		if (t < first) {
			if (first != ~0ULL)
				set(w, deadline(w, first));
			first = t;
		}
	}
	t = deadline(w, first);
	for (u32 i = 0; i < g->rewrites && w->now + 50 * US < t; i++) {
		set(w, t - (g->rewrites - i) * US);
		w->now += random_below(w, 40 * US);
	}
	set(w, t);
	w->now = (w->now > t ? w->now : t) + HANDLER + random_below(w, HANDLER);
	for (unsigned int i = 0; i < TIMERS; i++) {
		while (g->period[i] && w->next[i] <= t + g->merge)
			w->next[i] = g->spread ? w->now + g->period[i] + random_below(w, g->spread)
					       : w->next[i] + g->period[i];
	}
}

static void no_worse_than_lazy(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++) {
		struct world w = { .g = &guests[i], .seed = i + 1, .now = 1000000000 };
		u64 lazy, early;

		lazytsc_replay_init(&w.lazy, &lazytsc_variant_lazy, NULL, NULL);
		lazytsc_early_init(&w.early, &w.p, US);
		for (unsigned int k = 0; k < TIMERS; k++)
			w.next[k] = w.now + w.g->period[k] + random_below(&w, w.g->period[k]);
		for (unsigned int k = 0; k < ROUNDS; k++)
			round_of(&w);
		lazy = lazytsc_replay_host_entries(&w.lazy.counts);
		early = lazytsc_replay_host_entries(&w.early.counts);
		print_message("%-20s lazy %6llu early %6llu, waits %4llu cycles a delivery\n",
			      w.g->name, (unsigned long long)lazy, (unsigned long long)early,
			      (unsigned long long)(w.early.waited / w.early.counts.injections));
		assert_true(early * 1000 <= lazy * w.g->most + 100 * 1000);
		assert_true(w.early.waited / w.early.counts.injections <= US / 4);
		assert_true(w.early.excess <= LAZYTSC_PREDICTOR_CREDIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_worse_than_lazy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
