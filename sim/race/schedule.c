// SPDX-License-Identifier: BSD-2-Clause
/*
 * Makes a schedule of steps from an execution graph. hb is a partial order of the execution's
 * reads, of its writes as they reach memory, and of its fences, and the machine can perform them in
 * any order that respects hb; stores enter their buffer, in program order, as late as possible. A
 * stepper performs each step as it is found. That adds the steps which are no events of the graph,
 * and shows that the schedule can be performed.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lazytsc/sim/step.h>

#include "schedule.h"

struct scheduler {
	const struct graph *g;
	struct lazytsc_stepper *stepper;
	FILE *out;
	unsigned issued[LAZYTSC_MAX_THREADS]; /* events that the thread has been through */
	unsigned drained[LAZYTSC_MAX_THREADS]; /* its writes that are in memory */
	bool *done; /* by event */
	uint16_t *clock; /* how much of each chain is done */
	const uint16_t *until; /* only what is hb-before this; NULL: all */
};

static bool is_failed(const struct scheduler *s)
{
	return lazytsc_stepper_status(s->stepper) == LAZYTSC_FAILED;
}

static void perform(struct scheduler *s, struct lazytsc_step step)
{
	char text[LAZYTSC_STEP_TEXT];

	/* Another assertion failed on the way: the schedule ends there. */
	if (is_failed(s))
		return;
	assert(lazytsc_stepper_is_enabled(s->stepper, step));
	lazytsc_stepper_perform(s->stepper, step);
	lazytsc_step_print(step, text);
	fprintf(s->out, ftell(s->out) ? " %s" : "%s", text);
}

/* Does a thread's next operation leave no event in the graph? */
static bool is_silent(const struct scheduler *s, unsigned thread)
{
	switch (lazytsc_stepper_pending(s->stepper, thread).op) {
	case LAZYTSC_OP_EVENT:
		return true;
	case LAZYTSC_OP_MB:
	case LAZYTSC_OP_EXIT:
		return !graph_needs_fence(s->g, thread, s->issued[thread]);
	default:
		return false;
	}
}

static bool is_locked_pair(const struct graph *g, event_id read)
{
	const struct event *e = &g->ev[read];

	return e->kind == EVENT_READ && e->locked && e->index + 1u < g->len[e->thread] &&
	       g->ev[read + 1].locked && g->ev[read + 1].kind == EVENT_WRITE;
}

/* A thread goes on up to the event, which it has then been through. */
static void issue(struct scheduler *s, const struct event *e)
{
	const unsigned t = e->thread;

	while (s->issued[t] <= e->index && !is_failed(s)) {
		const event_id id = graph_id(s->g, t, s->issued[t]);
		const bool silent = is_silent(s, t);
		struct lazytsc_step step = { .cpu = (unsigned char)t };

		if (!silent && s->g->ev[id].kind == EVENT_CHOICE)
			step.choice = (unsigned short)s->g->ev[id].value;
		perform(s, step);
		if (!silent)
			s->issued[t] += is_locked_pair(s->g, id) ? 2 : 1;
	}
}

/* Makes the event happen: read, in memory, or passed. */
static void commit(struct scheduler *s, event_id id)
{
	const struct event *e = &s->g->ev[id];
	const uint16_t *clock = graph_clock(s->g, id);

	s->done[id] = true;
	for (unsigned c = 0; c < s->g->chains; c++)
		if (s->clock[c] < clock[c])
			s->clock[c] = clock[c];
	/* The two halves of a locked operation are one step; all is done before the second. */
	if (is_locked_pair(s->g, id))
		return;
	issue(s, e);
	if (e->kind == EVENT_WRITE && !e->locked && s->g->model == LAZYTSC_TSO)
		perform(s, (struct lazytsc_step){ .cpu = e->thread, .drain = true });
}

/* A clock includes its own event, in each chain that the event is in. */
static unsigned counts_itself(const struct graph *g, const struct event *e, unsigned chain)
{
	if (g->model == LAZYTSC_SC)
		return chain == e->thread;
	if (chain == 2u * e->thread)
		return e->last_read == e->index + 1;
	return chain == 2u * e->thread + 1 && e->last_write == e->index + 1;
}

static bool is_ready(const struct scheduler *s, event_id id)
{
	const struct graph *g = s->g;
	const uint16_t *clock = graph_clock(g, id);
	const struct event *e = &g->ev[id];

	/* In TSO a choice has no place in hb; the thread takes it on its way. */
	if (s->done[id] || (e->kind == EVENT_CHOICE && g->model == LAZYTSC_TSO))
		return false;
	if (s->until && !graph_before(g, id, s->until))
		return false;
	for (unsigned c = 0; c < g->chains; c++)
		if (clock[c] > s->clock[c] + counts_itself(g, e, c))
			return false;
	return true;
}

/* The first event of a thread that can happen now; NO_EVENT: none. */
static event_id ready_event(const struct scheduler *s, unsigned thread)
{
	for (unsigned i = 0; i < s->g->len[thread]; i++) {
		event_id id = graph_id(s->g, thread, i);

		if (is_ready(s, id))
			return id;
	}
	return NO_EVENT;
}

static void run_all(struct scheduler *s)
{
	unsigned thread = 0, idle = 0;

	while (idle < s->g->threads) {
		event_id id = ready_event(s, thread);

		if (id != NO_EVENT) {
			commit(s, id);
			idle = 0;
		} else {
			thread = (thread + 1) % s->g->threads;
			idle++;
		}
	}
}

/* Performs the rest of a thread: choices, buffered stores, operations without an event. */
static void run_out(struct scheduler *s, unsigned thread)
{
	const unsigned len = s->g->len[thread];

	if (len)
		issue(s, &s->g->ev[graph_id(s->g, thread, len - 1)]);
	while (lazytsc_stepper_status(s->stepper) == LAZYTSC_RUNNING && is_silent(s, thread))
		perform(s, (struct lazytsc_step){ .cpu = (unsigned char)thread });
}

/* The clock of a thread's last read, on which its end depends; NULL: it has read nothing. */
static const uint16_t *last_read_clock(const struct graph *g, unsigned thread)
{
	const struct event *e;

	if (!g->len[thread])
		return NULL;
	e = &g->ev[graph_id(g, thread, g->len[thread] - 1)];
	return e->last_read ? graph_clock(g, graph_id(g, thread, e->last_read - 1)) : NULL;
}

/* The thread whose assertion has failed. */
static int failed_thread(const struct scheduler *s)
{
	int t = 0;

	while (lazytsc_stepper_pending(s->stepper, (unsigned)t).op != LAZYTSC_OP_FAIL)
		t++;
	return t;
}

char *schedule_of(const struct lazytsc_check *check, const struct graph *g, int *failed)
{
	const int thread = *failed;
	struct scheduler s = { .g = g };
	char *text = NULL;
	size_t size;

	s.stepper = lazytsc_stepper_new(&(struct lazytsc_stepper_config){ .program = check->program,
									  .model = check->model });
	s.done = calloc((size_t)g->threads * g->cap, sizeof(*s.done));
	s.clock = calloc(g->chains, sizeof(*s.clock));
	s.out = open_memstream(&text, &size);
	if (s.stepper && s.done && s.clock && s.out) {
		if (thread >= 0)
			s.until = last_read_clock(g, (unsigned)thread);
		if (thread < 0 || s.until)
			run_all(&s);
		for (int t = 0; t < (int)g->threads; t++)
			if (thread < 0 || t == thread)
				run_out(&s, (unsigned)t);
		assert(is_failed(&s) == (thread >= 0));
		if (thread >= 0)
			*failed = failed_thread(&s);
	}
	if (s.out && fclose(s.out)) {
		free(text);
		text = NULL;
	}
	lazytsc_stepper_free(s.stepper);
	free(s.done);
	free(s.clock);
	return text;
}
