/* SPDX-License-Identifier: BSD-2-Clause */
/* Many traces at once, on all CPUs; what comes out is in their order, as with one CPU. */
#ifndef LAZYTSC_REPLAY_MANY_H
#define LAZYTSC_REPLAY_MANY_H

#include "replay.h"

#define MAX_POLICIES 16
/* Exit status: a trace holds exits alone. */
#define REPLAY_BOUNDS 4

/** many_worse() - of two exit statuses the one that counts: the higher, but anything over bounds */
int many_worse(int a, int b);

struct many {
	struct trace_options trace;
	struct selection selection;
	bool by_task;
	/* As in struct replay; called in one thread at a time, so for one trace. */
	void (*observe)(void *ctx, const struct replay_step *step);
	void *observe_ctx;
	size_t observed;
	unsigned int jobs; /* 0: as many as there are CPUs */
	/* many_policies() */
	struct policy policies[MAX_POLICIES];
	size_t npolicies, shown, stock, lazy, early;
};

/**
 * many_policies() - those that were asked for, and behind them those that every answer needs
 * @list: names, separated by commas
 *
 * Return: -1, with a message, where a name is none.
 */
int many_policies(struct many *m, const char *list, const struct policy_options *options);

/**
 * many_run() - replay traces, and hand out each one's result in their order
 * @done: called in the caller's thread; returns an exit status; the replay is freed after it
 *
 * A trace that cannot be replayed gets a message. Return: the worst exit status.
 */
int many_run(const struct many *m, char **traces, int n,
	     int (*done)(void *ctx, const char *name, struct replay *r), void *ctx);

#endif
