/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The events of a trace in batches. Where a CPU is free for it, a thread of its own reads ahead
 * while the caller works on the batch before: reading takes as long as replaying.
 */
#ifndef LAZYTSC_TRACE_AHEAD_H
#define LAZYTSC_TRACE_AHEAD_H

#include "trace.h"

/*
 * Some 330 kB: a few of them fit into a CPU's cache. With 1024 events, waking the other thread at
 * each batch took a seventh of the time.
 */
#define TRACE_BATCH 8192

struct trace_batch {
	struct trace_stats stats; /* at its first event; the clock's rate is that of all of them */
	size_t n;
	struct trace_event events[TRACE_BATCH];
};

struct trace_ahead;

/**
 * trace_ahead_open() - begin to read a trace
 * @t:        open, and unread; until trace_ahead_close() the caller uses only trace_task()
 * @threaded: read in a thread; else, or where none can be had, in trace_ahead_next()
 *
 * Return: NULL where there is no memory.
 */
struct trace_ahead *trace_ahead_open(struct trace *t, bool threaded);

/**
 * trace_ahead_next() - the next batch, which is never empty
 *
 * Return: valid until the next call; NULL at the trace's end, or on an error.
 */
const struct trace_batch *trace_ahead_next(struct trace_ahead *a);

/**
 * trace_ahead_close() - end the thread, also before the trace's end
 *
 * Return: what trace_next() returned last.
 */
int trace_ahead_close(struct trace_ahead *a);

#endif
