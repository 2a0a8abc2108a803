/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An execution as a graph: each thread's events in program order (po), from which write each read
 * reads (rf), and in which order the writes of a field reach memory (co). Two interleavings are the
 * same execution (one Mazurkiewicz trace) if and only if their graphs are the same.
 *
 * The graph grows and shrinks by whole events at the ends of threads. Consistency with the memory
 * model is kept at each addition, by vector clocks over the order hb that the model imposes:
 *
 *   SC     po, rf, co, and fr (a read before the writes that follow, in co, the one it reads from)
 *   TSO    the same without rf inside a thread (forwarding), and without po from a write to a later
 *          read, unless a fence or a locked operation lies between; and a read sees its own
 *          thread's last write to the field, or one that follows it in co
 *
 * A locked operation is two events, a read and a write next to it in po and, in co, next to the one
 * that it reads from. docs/soundness.md says why this is all that the models ask.
 */
#ifndef LAZYTSC_SIM_GRAPH_H
#define LAZYTSC_SIM_GRAPH_H

#include <lazytsc/sim/program.h>

typedef uint32_t event_id; /* thread * cap + index in po; the first write of field f: the f-th id
			      after all threads' */
#define NO_EVENT ((event_id)~0u)

enum event_kind {
	EVENT_READ,
	EVENT_WRITE,
	EVENT_FENCE, /* TSO only: SC needs none */
	EVENT_CHOICE
};

struct event {
	u64 value; /* read or written; a choice's */
	u64 uid; /* no two events that were ever added in one search share it */
	uint32_t stamp; /* order of addition */
	uint32_t field;
	event_id rf; /* of a read */
	event_id co_prev, co_next; /* of a write */
	/* of a read: another of the same field; of a first write: one of them */
	event_id next_read;
	uint16_t index;
	/*
	 * Under TSO, hb orders the reads of one thread among themselves, and its writes among
	 * themselves, but not each write before a later read. So a thread has two chains, one of
	 * reads and one of writes. A fence, and the write of a locked operation, is in both.
	 *
	 * reads, writes: how many events of the chain the thread has up to this one, it included.
	 * last_read, last_write: the index in po of the last of them, plus 1; 0: there is none.
	 */
	uint16_t reads, writes;
	uint16_t last_read, last_write;
	uint8_t thread;
	uint8_t kind;
	bool locked;
	bool unfenced; /* the thread has written since its last fence or locked operation */
};

enum thread_state {
	THREAD_RUNS,
	THREAD_ENDED,
	THREAD_BLOCKED, /* an assumption did not hold */
	THREAD_FAILED, /* an assertion failed */
	THREAD_CUT /* at the limit on its events */
};

struct graph {
	enum lazytsc_model model;
	unsigned threads, fields;
	unsigned cap; /* events that a thread may have */
	unsigned chains; /* components of a clock: one for a thread in SC, two in TSO */
	unsigned len[LAZYTSC_MAX_THREADS];
	uint8_t state[LAZYTSC_MAX_THREADS];
	int prefer; /* the thread that is in the middle of a locked operation, or -1 */
	uint32_t stamp; /* of the next event */
	struct event *ev;
	event_id *co_last; /* of each field: its last write */
	/* of each event but the first writes: how much of each chain is hb-before */
	uint16_t *clock;
	uint16_t *prefix; /* the same for (po and rf)+, one component for each thread */
};

/* What an addition changed in other events' clocks, so that it can be taken back. */
struct graph_log {
	uint16_t *words;
	size_t used, size;
	bool failed; /* there was no memory: the search must end */
};

/* Returns false when there is no memory. */
bool graph_init(struct graph *g, enum lazytsc_model model, unsigned threads, unsigned fields,
		unsigned cap);
void graph_fini(struct graph *g);

/* Empties it: no events but the first writes, with the values given. */
void graph_clear(struct graph *g, const u64 *values);

/* Copies a graph made with the same numbers; of each thread the first len[] events. */
void graph_copy(struct graph *to, const struct graph *from, const unsigned *len);

/*
 * A graph's contents in one block, to be freed; NULL when there is no memory. Unpack puts them into
 * a graph made with the same numbers.
 */
void *graph_pack(const struct graph *g);
void graph_unpack(struct graph *g, const void *packed);

static inline event_id graph_id(const struct graph *g, unsigned thread, unsigned index)
{
	return thread * g->cap + index;
}

static inline event_id graph_first_write(const struct graph *g, unsigned field)
{
	return g->threads * g->cap + field;
}

static inline bool graph_is_first_write(const struct graph *g, event_id id)
{
	return id >= g->threads * g->cap;
}

/* Would a fence matter, after the first n events of a thread? */
static inline bool graph_needs_fence(const struct graph *g, unsigned thread, unsigned n)
{
	return g->model == LAZYTSC_TSO && n && g->ev[graph_id(g, thread, n - 1)].unfenced;
}

static inline u64 graph_final_value(const struct graph *g, unsigned field)
{
	return g->ev[g->co_last[field]].value;
}

/*
 * Adds an event at the end of a thread. A read then needs graph_set_rf(), a write graph_set_co().
 * Returns its id.
 */
event_id graph_push(struct graph *g, unsigned thread, enum event_kind kind, bool locked,
		    uint32_t field, u64 value, u64 uid);

/*
 * The writes that a read, just pushed, may read from: start with NO_EVENT; NO_EVENT ends them. The
 * last in co comes first.
 */
event_id graph_next_rf(const struct graph *g, event_id read, event_id write);

/* The writes after which a write, just pushed, may be placed, in the same way. */
event_id graph_next_co(const struct graph *g, event_id write, event_id after);

/* A read that reads from elsewhere is another event, with an uid of its own. */
void graph_set_rf(struct graph *g, event_id read, event_id write, u64 uid, struct graph_log *log);
void graph_set_co(struct graph *g, event_id write, event_id after, struct graph_log *log);

/* Takes rf or co back, in the opposite order of setting them; `used` is log->used before. */
void graph_unset(struct graph *g, event_id id, struct graph_log *log, size_t used);

/* Removes the last event of a thread, which has no rf or co (any more). */
void graph_pop(struct graph *g, unsigned thread);

/*
 * May a write that is about to be added at the end of `thread` take over this read? If so, len[]
 * says what of each thread stays beside the read: what was added before it, and what the write
 * depends on.
 */
bool graph_can_revisit(const struct graph *g, unsigned thread, event_id read, unsigned *len);

/*
 * Is e hb-before what has this clock, or that itself? The first writes are before everything.
 */
static inline bool graph_before(const struct graph *g, event_id id, const uint16_t *clock)
{
	const struct event *e = &g->ev[id];

	if (graph_is_first_write(g, id))
		return true;
	if (g->model == LAZYTSC_SC)
		return clock[e->thread] > e->index;
	if (e->kind == EVENT_READ)
		return clock[2 * e->thread] >= e->reads;
	return clock[2 * e->thread + 1] >= e->writes;
}

static inline uint16_t *graph_clock(const struct graph *g, event_id id)
{
	return g->clock + (size_t)id * g->chains;
}

#endif
