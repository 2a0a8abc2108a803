// SPDX-License-Identifier: BSD-2-Clause
#include <pthread.h>
#include <stdlib.h>

#include "ahead.h"

/* One that is used, and those that may be filled meanwhile. */
#define BATCHES 4

struct trace_ahead {
	struct trace *t;
	int got; /* what trace_next() returned last; the reader's until it has ended */
	struct trace_event held; /* belongs to the next batch */
	bool holding;
	bool threaded;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below, but for the batches between used and filled */
	pthread_cond_t changed;
	size_t filled, used; /* so many batches, since the beginning; used: with the one in use */
	bool ended, stop;
	struct trace_batch batches[BATCHES];
};

/* Read a batch. Where the clock's rate changes, it ends: the rate holds for all of its events. */
static void fill(struct trace_ahead *a, struct trace_batch *b)
{
	const struct trace_stats *st = trace_stats(a->t);

	b->n = 0;
	if (a->holding)
		b->events[b->n++] = a->held;
	b->stats = *st;
	a->holding = false;
	while (b->n < TRACE_BATCH) {
		a->got = trace_next(a->t, &b->events[b->n]);
		if (a->got <= 0)
			return;
		if (!b->n) {
			b->stats = *st;
		} else if (b->stats.tsc_khz != st->tsc_khz ||
			   b->stats.cycles_per_unit != st->cycles_per_unit) {
			a->held = b->events[b->n];
			a->holding = true;
			return;
		}
		b->n++;
	}
}

static void *read_ahead(void *arg)
{
	struct trace_ahead *a = arg;

	pthread_mutex_lock(&a->lock);
	while (!a->stop && a->got > 0) {
		struct trace_batch *b = &a->batches[a->filled % BATCHES];

		/* The one in use is not filled. */
		if (a->filled - a->used == BATCHES - 1) {
			pthread_cond_wait(&a->changed, &a->lock);
			continue;
		}
		pthread_mutex_unlock(&a->lock);
		fill(a, b);
		pthread_mutex_lock(&a->lock);
		a->filled += b->n > 0;
		pthread_cond_signal(&a->changed);
	}
	a->ended = true;
	pthread_cond_signal(&a->changed);
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

struct trace_ahead *trace_ahead_open(struct trace *t, bool threaded)
{
	struct trace_ahead *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->t = t;
	a->got = 1;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	a->threaded = threaded && !pthread_create(&a->thread, NULL, read_ahead, a);
	return a;
}

const struct trace_batch *trace_ahead_next(struct trace_ahead *a)
{
	const struct trace_batch *b = &a->batches[a->used % BATCHES];

	if (!a->threaded) {
		if (a->got <= 0)
			return NULL;
		fill(a, a->batches);
		return a->batches->n ? a->batches : NULL;
	}
	pthread_mutex_lock(&a->lock);
	while (a->used == a->filled && !a->ended)
		pthread_cond_wait(&a->changed, &a->lock);
	if (a->used == a->filled)
		b = NULL;
	else
		a->used++;
	pthread_cond_signal(&a->changed);
	pthread_mutex_unlock(&a->lock);
	return b;
}

int trace_ahead_close(struct trace_ahead *a)
{
	int got;

	if (a->threaded) {
		pthread_mutex_lock(&a->lock);
		a->stop = true;
		pthread_cond_signal(&a->changed);
		pthread_mutex_unlock(&a->lock);
		pthread_join(a->thread, NULL);
	}
	got = a->got;
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->changed);
	free(a);
	return got;
}
