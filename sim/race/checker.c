// SPDX-License-Identifier: BSD-2-Clause
/*
 * Divides a search among workers, and puts their results together in the order in which one worker
 * alone would have found them: so nothing depends on the number of workers.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "search.h"

enum {
	TASKS = 256, /* divide until there are so many, with more than one worker */
	TICK_MS = 20, /* how often limits are looked at */
	MAX_JOBS = 256
};

#define PROGRESS_SECONDS 0.5
/* For MAX_RECURSION in search.c; untouched pages are free. */
#define STACK_SIZE ((size_t)512 << 20)

enum task_state { TASK_OPEN, TASK_FOUND, TASK_MERGED };

struct checker {
	const struct lazytsc_check *check;
	struct lazytsc_check_result *result;
	struct search *search; /* of each worker */
	unsigned jobs;
	struct task_list tasks;
	struct found *found; /* of each task */
	unsigned char *state; /* of each task */
	struct outcomes outcomes;
	u64 limit;
	atomic_bool stop;
	pthread_mutex_t lock; /* of what follows, and of state[] and result */
	pthread_cond_t ended;
	size_t next, merged; /* tasks given out; tasks whose results are in */
	unsigned running; /* workers */
	bool no_memory;
};

struct worker {
	struct checker *c;
	struct search *search;
	pthread_t thread;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void add_found(struct checker *c, struct found *f)
{
	struct lazytsc_check_result *r = c->result;

	r->executions += f->executions;
	r->blocked += f->blocked;
	r->cut += f->cut;
	r->violations += f->violations;
	if (!r->violation) {
		r->violation = f->violation;
		r->schedule = f->schedule;
		f->violation = f->schedule = NULL;
	}
	if (!outcomes_merge(&c->outcomes, &f->outcomes))
		c->no_memory = true;
	found_fini(f);
}

/* Is there nothing more to take in? Called with the lock held. */
static bool is_over(const struct checker *c)
{
	return c->result->executions >= c->limit || c->no_memory ||
	       (c->check->stop && c->result->violations);
}

/* Takes in the results that are next in order. Called with the lock held. */
static void merge(struct checker *c, struct search *s)
{
	while (c->merged < c->tasks.n && c->state[c->merged] == TASK_FOUND && !is_over(c)) {
		struct found *f = &c->found[c->merged];
		u64 room = c->limit - c->result->executions;

		if (f->executions >= room && room < c->limit) {
			/* The limit lies in this task: run it again, as far as one worker would. */
			found_fini(f);
			search_run(s, &c->tasks.task[c->merged], f, room);
			c->no_memory |= s->no_memory;
		}
		add_found(c, f);
		c->state[c->merged++] = TASK_MERGED;
	}
	if (is_over(c))
		atomic_store(&c->stop, true);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct checker *c = w->c;
	struct search *s = w->search;

	pthread_mutex_lock(&c->lock);
	while (c->next < c->tasks.n && !c->stop) {
		size_t i = c->next++;

		pthread_mutex_unlock(&c->lock);
		search_run(s, &c->tasks.task[i], &c->found[i], c->limit);
		pthread_mutex_lock(&c->lock);
		c->no_memory |= s->no_memory;
		c->state[i] = TASK_FOUND;
		if (!c->stop)
			merge(c, s);
	}
	c->running--;
	pthread_cond_signal(&c->ended);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void report_progress(struct checker *c, double seconds)
{
	struct lazytsc_progress p = { .seconds = seconds };

	for (unsigned i = 0; i < c->jobs; i++) {
		p.executions += atomic_load_explicit(&c->search[i].total, memory_order_relaxed);
		p.part += atomic_load_explicit(&c->search[i].part, memory_order_relaxed);
	}
	c->check->progress(&p, c->check->progress_arg);
}

/* Which limit outside the program has been met? */
static enum lazytsc_check_bound met_limit(const struct checker *c, double seconds)
{
	const struct lazytsc_check_limits *l = &c->check->limits;
	struct rusage usage;

	if (l->seconds > 0 && seconds >= l->seconds)
		return LAZYTSC_BOUND_TIME;
	if (!l->memory || getrusage(RUSAGE_SELF, &usage))
		return LAZYTSC_COMPLETE;
	return (size_t)usage.ru_maxrss * 1024 > l->memory ? LAZYTSC_BOUND_MEMORY : LAZYTSC_COMPLETE;
}

/* Waits for the workers, with an eye on the limits. Called with the lock held. */
static enum lazytsc_check_bound watch(struct checker *c)
{
	enum lazytsc_check_bound bound = LAZYTSC_COMPLETE;
	const double start = now();
	double told = 0, seconds;

	while (c->running) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += TICK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		if (!pthread_cond_timedwait(&c->ended, &c->lock, &until))
			continue;
		seconds = now() - start;
		if (c->check->progress && seconds - told >= PROGRESS_SECONDS) {
			report_progress(c, seconds);
			told = seconds;
		}
		if (bound == LAZYTSC_COMPLETE && !c->stop) {
			bound = met_limit(c, seconds);
			atomic_store(&c->stop, bound != LAZYTSC_COMPLETE);
		}
	}
	return bound;
}

/* Adds what the workers had found when a limit stopped them; its order is not reproducible. */
static void add_all_found(struct checker *c)
{
	for (size_t i = 0; i < c->tasks.n; i++) {
		if (c->state[i] == TASK_FOUND) {
			add_found(c, &c->found[i]);
			c->state[i] = TASK_MERGED;
		}
	}
}

static bool run_workers(struct checker *c)
{
	struct worker *worker = calloc(c->jobs, sizeof(*worker));
	enum lazytsc_check_bound bound = LAZYTSC_BOUND_MEMORY;
	pthread_attr_t attr;
	unsigned started = 0;

	if (!worker || pthread_attr_init(&attr)) {
		free(worker);
		return false;
	}
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_mutex_lock(&c->lock);
	for (; started < c->jobs; started++) {
		worker[started] = (struct worker){ .c = c, .search = &c->search[started] };
		if (pthread_create(&worker[started].thread, &attr, work, &worker[started]))
			break;
	}
	c->running = started;
	if (started)
		bound = watch(c);
	pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < started; i++)
		pthread_join(worker[i].thread, NULL);
	pthread_attr_destroy(&attr);
	free(worker);

	if (bound != LAZYTSC_COMPLETE || c->no_memory)
		add_all_found(c);
	if (bound == LAZYTSC_COMPLETE && c->no_memory)
		bound = LAZYTSC_BOUND_MEMORY;
	if (bound == LAZYTSC_COMPLETE && c->result->executions >= c->limit)
		bound = LAZYTSC_BOUND_EXECUTIONS;
	if (bound == LAZYTSC_COMPLETE && c->result->cut)
		bound = LAZYTSC_BOUND_DEPTH;
	c->result->bound = bound;
	return started != 0;
}

/* Replaces each graph in the list by what branches from it. */
static bool divide_once(struct checker *c, bool *any)
{
	struct search *s = &c->search[0];
	struct task_list next = { 0 };

	*any = false;
	for (size_t i = 0; i < c->tasks.n && !s->no_memory; i++) {
		*any |= !c->tasks.task[i].whole;
		search_divide(s, &c->tasks.task[i], &next);
	}
	task_list_clear(&c->tasks);
	c->tasks = next;
	return !s->no_memory;
}

static bool divide(struct checker *c)
{
	bool any = true;

	if (!search_start(&c->search[0], &c->tasks))
		return false;
	while (c->jobs > 1 && any && c->tasks.n < TASKS)
		if (!divide_once(c, &any))
			return false;
	c->found = calloc(c->tasks.n + 1, sizeof(*c->found));
	c->state = calloc(c->tasks.n + 1, sizeof(*c->state));
	return c->found && c->state;
}

struct order {
	const struct outcomes *o;
	size_t slot;
};

static int compare(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	return memcmp(x->o->data + x->slot * x->o->size, y->o->data + y->slot * y->o->size,
		      x->o->size);
}

/* The outcomes, sorted, in one block of memory that starts with their table. */
static bool list_outcomes(const struct outcomes *o, struct lazytsc_check_result *r)
{
	struct order *order = malloc((o->n + 1) * sizeof(*order));
	char *data;
	size_t n = 0;

	r->outcome = malloc((o->n + 1) * (sizeof(*r->outcome) + o->size));
	if (!order || !r->outcome) {
		free(order);
		return false;
	}
	for (size_t i = 0; i < o->slots; i++)
		if (o->count[i])
			order[n++] = (struct order){ .o = o, .slot = i };
	qsort(order, n, sizeof(*order), compare);
	data = (char *)&r->outcome[n + 1];
	for (size_t i = 0; i < n; i++, data += o->size) {
		memcpy(data, o->data + order[i].slot * o->size, o->size);
		r->outcome[i].executions = o->count[order[i].slot];
		r->outcome[i].data = data;
	}
	r->outcomes = n;
	free(order);
	return true;
}

static void release(struct checker *c)
{
	for (size_t i = 0; c->found && i < c->tasks.n; i++)
		found_fini(&c->found[i]);
	task_list_clear(&c->tasks);
	for (unsigned i = 0; i < c->jobs; i++)
		search_fini(&c->search[i]);
	outcomes_fini(&c->outcomes);
	pthread_cond_destroy(&c->ended);
	pthread_mutex_destroy(&c->lock);
	free(c->search);
	free(c->found);
	free(c->state);
}

bool lazytsc_check_run(const struct lazytsc_check *check, struct lazytsc_check_result *result)
{
	const unsigned jobs = check->jobs < MAX_JOBS ? check->jobs : MAX_JOBS;
	struct checker c = { .check = check,
			     .result = result,
			     .limit = check->limits.executions ? check->limits.executions : ~0ULL,
			     .outcomes.size = check->outcome_size };
	bool ok;

	memset(result, 0, sizeof(*result));
	pthread_mutex_init(&c.lock, NULL);
	pthread_cond_init(&c.ended, NULL);
	c.search = calloc(jobs ? jobs : 1, sizeof(*c.search));
	ok = c.search != NULL;
	while (ok && c.jobs < (jobs ? jobs : 1)) {
		ok = search_init(&c.search[c.jobs], check, &c.stop);
		/* Graphs go from worker to worker: no two may give the same uid. */
		c.search[c.jobs].uid = (u64)c.jobs << 48;
		c.jobs += ok;
	}
	ok = ok && divide(&c) && run_workers(&c) && list_outcomes(&c.outcomes, result);
	release(&c);
	if (!ok)
		lazytsc_check_release(result);
	return ok;
}

void lazytsc_check_release(struct lazytsc_check_result *result)
{
	free(result->outcome);
	free(result->violation);
	free(result->schedule);
	memset(result, 0, sizeof(*result));
}

void lazytsc_check_verdict(const struct lazytsc_check *check,
			   const struct lazytsc_check_result *result, char text[64])
{
	const struct lazytsc_check_limits *l = &check->limits;

	switch (result->bound) {
	case LAZYTSC_COMPLETE:
		snprintf(text, 64, "complete");
		break;
	case LAZYTSC_BOUND_DEPTH:
		snprintf(text, 64, "bounded at %u events of a thread", lazytsc_check_depth(l));
		break;
	case LAZYTSC_BOUND_EXECUTIONS:
		snprintf(text, 64, "bounded at %llu executions", (unsigned long long)l->executions);
		break;
	case LAZYTSC_BOUND_TIME:
		snprintf(text, 64, "bounded at %g s", l->seconds);
		break;
	case LAZYTSC_BOUND_MEMORY:
		snprintf(text, 64, l->memory ? "bounded at %zu MiB" : "bounded by lack of memory",
			 l->memory >> 20);
		break;
	}
}
