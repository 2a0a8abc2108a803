/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One worker of the search: visits all executions that extend a given graph. checker.c divides the
 * work and puts the results together.
 */
#ifndef LAZYTSC_SIM_SEARCH_H
#define LAZYTSC_SIM_SEARCH_H

#include <stdatomic.h>

#include <lazytsc/sim/checker.h>

#include "engine/arena.h"
#include "engine/fiber.h"
#include "graph.h"
#include "outcomes.h"

struct search_thread {
	struct fiber fiber;
	struct lazytsc_self self;
	struct lazytsc_access pending; /* where it stopped */
	size_t field; /* of pending */
	bool half; /* pending is a locked operation, and its read is in the graph already */
	bool stopped; /* it has run since its start */
	unsigned pos; /* how many events it has been through */
	u64 uid; /* of the last of them */
};

/* A graph to go on from; a list of them divides a search. */
struct task {
	void *graph; /* packed */
	double weight; /* its part of the whole search, estimated */
	bool whole; /* nothing can be added to it */
};

struct task_list {
	struct task *task;
	size_t n, size;
};

/* What a search has found below one task. */
struct found {
	u64 executions, blocked, cut, violations;
	struct outcomes outcomes;
	char *violation, *schedule; /* of the first violation */
};

struct search {
	struct lazytsc_engine engine; /* first: the port knows the search by it */
	const struct lazytsc_check *check;
	struct arena arena;
	char *own;
	size_t own_stride;
	struct search_thread thread[LAZYTSC_MAX_THREADS];
	struct search_thread *running; /* NULL: set-up */
	const struct graph *graph; /* that the running thread follows */
	struct graph root; /* of the task */
	struct graph *pool; /* a graph for each level of revisits */
	unsigned pool_size, level;
	struct graph_log log;
	event_id *reads; /* a stack of reads to revisit */
	size_t reads_used, reads_size;
	unsigned char *outcome;
	unsigned depth; /* of visit() */
	u64 uid; /* the last that was given to an event */
	u64 limit; /* on found.executions */
	struct found *found;
	struct task_list *collect; /* not NULL: do not go beyond the next branching, list it here */
	bool done; /* do not go on */
	bool no_memory; /* why */
	const atomic_bool *stop; /* nor when this is set, from outside */
	/* For progress, read from outside. */
	_Atomic u64 total;
	_Atomic double part;
};

/* Returns false when there is no memory. */
bool search_init(struct search *s, const struct lazytsc_check *check, const atomic_bool *stop);
void search_fini(struct search *s);

/* Adds the task that is the whole search. Returns false when there is no memory. */
bool search_start(const struct search *s, struct task_list *list);

/* Visits all executions that extend the task's graph, up to `limit`. */
void search_run(struct search *s, const struct task *task, struct found *found, u64 limit);

/* Lists what branches from the task's graph instead. */
void search_divide(struct search *s, const struct task *task, struct task_list *list);

void task_list_clear(struct task_list *list);

void found_fini(struct found *found);

#endif
