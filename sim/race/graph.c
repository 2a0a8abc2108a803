// SPDX-License-Identifier: BSD-2-Clause
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "graph.h"

static void *reserve(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

static size_t events(const struct graph *g)
{
	return (size_t)g->threads * g->cap;
}

/* One mapping holds it all; pages that are never used cost nothing. */
static size_t graph_size(const struct graph *g)
{
	return (events(g) + g->fields) * sizeof(*g->ev) + (g->fields + 1) * sizeof(*g->co_last) +
	       events(g) * (g->chains + g->threads) * sizeof(uint16_t);
}

bool graph_init(struct graph *g, enum lazytsc_model model, unsigned threads, unsigned fields,
		unsigned cap)
{
	char *map;

	memset(g, 0, sizeof(*g));
	g->model = model;
	g->threads = threads;
	g->fields = fields;
	g->cap = cap;
	g->chains = model == LAZYTSC_SC ? threads : 2 * threads;
	map = reserve(graph_size(g));
	if (!map)
		return false;
	g->ev = (struct event *)map;
	map += (events(g) + fields) * sizeof(*g->ev);
	g->co_last = (event_id *)map;
	map += (fields + 1) * sizeof(*g->co_last);
	g->clock = (uint16_t *)map;
	g->prefix = g->clock + events(g) * g->chains;
	return true;
}

void graph_fini(struct graph *g)
{
	if (g->ev)
		munmap(g->ev, graph_size(g));
	memset(g, 0, sizeof(*g));
}

void graph_clear(struct graph *g, const u64 *values)
{
	memset(g->len, 0, sizeof(g->len));
	memset(g->state, THREAD_RUNS, sizeof(g->state));
	g->prefer = -1;
	g->stamp = 1;
	for (unsigned f = 0; f < g->fields; f++) {
		g->co_last[f] = graph_first_write(g, f);
		g->ev[g->co_last[f]] = (struct event){
			.value = values[f],
			.field = f,
			.rf = NO_EVENT,
			.co_prev = NO_EVENT,
			.co_next = NO_EVENT,
			.next_read = NO_EVENT,
			.thread = LAZYTSC_MAX_THREADS,
			.kind = EVENT_WRITE,
		};
	}
}

static bool is_kept(const struct graph *g, event_id id)
{
	return graph_is_first_write(g, id) || id % g->cap < g->len[id / g->cap];
}

/* The lists of a field, without the events that were not copied. */
static void copy_lists(struct graph *to, const struct graph *from, unsigned field)
{
	const event_id first = graph_first_write(to, field);
	event_id *link = &to->ev[first].next_read;
	event_id last = first;
	event_id id;

	for (id = from->ev[first].next_read; id != NO_EVENT; id = from->ev[id].next_read) {
		if (is_kept(to, id)) {
			*link = id;
			link = &to->ev[id].next_read;
		}
	}
	*link = NO_EVENT;

	for (id = from->ev[first].co_next; id != NO_EVENT; id = from->ev[id].co_next) {
		if (is_kept(to, id)) {
			to->ev[last].co_next = id;
			to->ev[id].co_prev = last;
			last = id;
		}
	}
	to->ev[last].co_next = NO_EVENT;
	to->co_last[field] = last;
}

void graph_copy(struct graph *to, const struct graph *from, const unsigned *len)
{
	to->prefer = from->prefer;
	to->stamp = from->stamp;
	for (unsigned t = 0; t < from->threads; t++) {
		event_id first = graph_id(from, t, 0);

		to->len[t] = len[t];
		to->state[t] = len[t] == from->len[t] ? from->state[t] : THREAD_RUNS;
		memcpy(&to->ev[first], &from->ev[first], len[t] * sizeof(*to->ev));
		memcpy(to->clock + (size_t)first * to->chains,
		       from->clock + (size_t)first * to->chains,
		       len[t] * to->chains * sizeof(*to->clock));
		memcpy(to->prefix + (size_t)first * to->threads,
		       from->prefix + (size_t)first * to->threads,
		       len[t] * to->threads * sizeof(*to->prefix));
	}
	memcpy(&to->ev[graph_first_write(to, 0)], &from->ev[graph_first_write(to, 0)],
	       to->fields * sizeof(*to->ev));
	for (unsigned f = 0; f < to->fields; f++)
		copy_lists(to, from, f);
}

/* What graph_pack() keeps: parts of the graph's mapping, one after the other, behind this. */
struct packed {
	unsigned len[LAZYTSC_MAX_THREADS];
	uint8_t state[LAZYTSC_MAX_THREADS];
	int prefer;
	uint32_t stamp;
	char parts[];
};

/* Calls back for each part of the mapping that is in use. */
static void for_each_part(const struct graph *g, const unsigned *len,
			  void (*each)(void *part, size_t size, void *arg), void *arg)
{
	for (unsigned t = 0; t < g->threads; t++) {
		size_t first = graph_id(g, t, 0);

		each(&g->ev[first], len[t] * sizeof(*g->ev), arg);
		each(g->clock + first * g->chains, len[t] * g->chains * sizeof(*g->clock), arg);
		each(g->prefix + first * g->threads, len[t] * g->threads * sizeof(*g->prefix), arg);
	}
	each(&g->ev[graph_first_write(g, 0)], g->fields * sizeof(*g->ev), arg);
	each(g->co_last, g->fields * sizeof(*g->co_last), arg);
}

static void add_size(void *part, size_t size, void *arg)
{
	(void)part;
	*(size_t *)arg += size;
}

static void copy_out(void *part, size_t size, void *arg)
{
	char **to = arg;

	memcpy(*to, part, size);
	*to += size;
}

static void copy_in(void *part, size_t size, void *arg)
{
	const char **from = arg;

	memcpy(part, *from, size);
	*from += size;
}

void *graph_pack(const struct graph *g)
{
	size_t size = sizeof(struct packed);
	struct packed *p;
	char *to;

	for_each_part(g, g->len, add_size, &size);
	p = malloc(size);
	if (!p)
		return NULL;
	memcpy(p->len, g->len, sizeof(p->len));
	memcpy(p->state, g->state, sizeof(p->state));
	p->prefer = g->prefer;
	p->stamp = g->stamp;
	to = p->parts;
	for_each_part(g, g->len, copy_out, &to);
	return p;
}

void graph_unpack(struct graph *g, const void *packed)
{
	const struct packed *p = packed;
	const char *from = p->parts;

	memcpy(g->len, p->len, sizeof(g->len));
	memcpy(g->state, p->state, sizeof(g->state));
	g->prefer = p->prefer;
	g->stamp = p->stamp;
	for_each_part(g, g->len, copy_in, &from);
}

static uint16_t *prefix_of(const struct graph *g, event_id id)
{
	return g->prefix + (size_t)id * g->threads;
}

static void join(uint16_t *to, const uint16_t *from, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (to[i] < from[i])
			to[i] = from[i];
}

/* Counts an event as its own: everything is hb-before itself. */
static void count_self(const struct graph *g, event_id id)
{
	const struct event *e = &g->ev[id];
	uint16_t *clock = graph_clock(g, id);

	if (g->model == LAZYTSC_SC) {
		clock[e->thread] = e->index + 1;
		return;
	}
	if (e->last_read == e->index + 1)
		clock[2 * e->thread] = e->reads;
	if (e->last_write == e->index + 1)
		clock[2 * e->thread + 1] = e->writes;
}

static const struct event no_event;

/* Clock and prefix of an event as far as its own thread goes. */
static void start_clocks(const struct graph *g, event_id id)
{
	const struct event *e = &g->ev[id];
	const struct event *before = e->index ? e - 1 : &no_event;
	uint16_t *clock = graph_clock(g, id);
	uint16_t *prefix = prefix_of(g, id);
	event_id first = id - e->index;

	if (e->index)
		memcpy(prefix, prefix - g->threads, g->threads * sizeof(*prefix));
	else
		memset(prefix, 0, g->threads * sizeof(*prefix));
	prefix[e->thread] = (uint16_t)(e->index + 1);

	memset(clock, 0, g->chains * sizeof(*clock));
	if (before->last_read)
		join(clock, graph_clock(g, first + before->last_read - 1), g->chains);
	/* In TSO a read that is not locked does not wait for the writes before it. */
	if (before->last_write && (g->model == LAZYTSC_SC || e->kind != EVENT_READ || e->locked))
		join(clock, graph_clock(g, first + before->last_write - 1), g->chains);
}

event_id graph_push(struct graph *g, unsigned thread, enum event_kind kind, bool locked,
		    uint32_t field, u64 value, u64 uid)
{
	const unsigned index = g->len[thread]++;
	const event_id id = graph_id(g, thread, index);
	const struct event *before = index ? &g->ev[id - 1] : &no_event;
	const bool both = g->model == LAZYTSC_SC || kind == EVENT_FENCE ||
			  (kind == EVENT_WRITE && locked);
	const bool as_read = both || kind == EVENT_READ;
	const bool as_write = both || kind == EVENT_WRITE;

	assert(index < g->cap);
	g->ev[id] = (struct event){
		.value = value,
		.uid = uid,
		.stamp = g->stamp++,
		.field = field,
		.rf = NO_EVENT,
		.index = (uint16_t)index,
		.reads = (uint16_t)(before->reads + as_read),
		.writes = (uint16_t)(before->writes + as_write),
		.last_read = as_read ? (uint16_t)(index + 1) : before->last_read,
		.last_write = as_write ? (uint16_t)(index + 1) : before->last_write,
		.thread = (uint8_t)thread,
		.kind = (uint8_t)kind,
		.locked = locked,
		.unfenced = kind == EVENT_WRITE
				    ? !locked
				    : before->unfenced && !locked && kind != EVENT_FENCE,
	};
	g->state[thread] = THREAD_RUNS;

	start_clocks(g, id);
	if (kind == EVENT_FENCE || kind == EVENT_CHOICE)
		count_self(g, id);
	return id;
}

void graph_pop(struct graph *g, unsigned thread)
{
	assert(g->len[thread]);
	g->len[thread]--;
	g->stamp--;
	g->state[thread] = THREAD_RUNS;
}

/* Must an event with this clock not read the writes before `last` in co? */
static bool hides(const struct graph *g, event_id last, event_id id)
{
	const struct event *e = &g->ev[id];

	if (graph_before(g, last, graph_clock(g, id)))
		return true;
	/* Forwarding: the thread's own last write, even while no other thread can see it. */
	return g->ev[last].thread == e->thread;
}

event_id graph_next_rf(const struct graph *g, event_id read, event_id write)
{
	if (write == NO_EVENT)
		return g->co_last[g->ev[read].field];
	return hides(g, write, read) ? NO_EVENT : g->ev[write].co_prev;
}

event_id graph_next_co(const struct graph *g, event_id write, event_id after)
{
	const struct event *e = &g->ev[write];

	if (e->locked) {
		event_id rf = g->ev[write - 1].rf;
		event_id next = g->ev[rf].co_next;

		/* Directly after what its read has read, unless another locked write is there. */
		if (after != NO_EVENT || (next != NO_EVENT && g->ev[next].locked))
			return NO_EVENT;
		return rf;
	}
	if (after == NO_EVENT)
		return g->co_last[e->field];
	do {
		event_id next = after;

		if (hides(g, after, write))
			return NO_EVENT;
		after = g->ev[after].co_prev;
		/* Nothing comes between a locked write and what its read has read. */
		if (!g->ev[next].locked)
			return after;
	} while (true);
}

static void log_clock(const struct graph *g, event_id id, struct graph_log *log)
{
	size_t need = log->used + g->chains + 2;

	if (need > log->size) {
		size_t size = 2 * need + 1024;
		uint16_t *words = realloc(log->words, size * sizeof(*words));

		if (!words) {
			log->failed = true;
			return;
		}
		log->words = words;
		log->size = size;
	}
	memcpy(log->words + log->used, graph_clock(g, id), g->chains * sizeof(uint16_t));
	log->words[need - 2] = (uint16_t)(id & 0xffff);
	log->words[need - 1] = (uint16_t)(id >> 16);
	log->used = need;
}

/* `id` has become hb-before `next`: add its clock to `next` and to all that is hb-after that. */
static void put_before(struct graph *g, event_id id, event_id next, struct graph_log *log)
{
	const uint16_t *clock = graph_clock(g, id);

	for (unsigned t = 0; t < g->threads; t++) {
		for (unsigned i = g->len[t]; i > 0; i--) {
			event_id f = graph_id(g, t, i - 1);

			if (f == id)
				continue;
			if (graph_before(g, next, graph_clock(g, f))) {
				log_clock(g, f, log);
				join(graph_clock(g, f), clock, g->chains);
			} else if (g->model == LAZYTSC_SC) {
				break; /* nor is anything before f in its thread */
			}
		}
	}
}

void graph_set_rf(struct graph *g, event_id read, event_id write, u64 uid, struct graph_log *log)
{
	struct event *e = &g->ev[read];
	const struct event *w = &g->ev[write];
	struct event *first = &g->ev[graph_first_write(g, e->field)];

	e->rf = write;
	e->value = w->value;
	e->uid = uid;
	e->next_read = first->next_read;
	first->next_read = read;
	if (!graph_is_first_write(g, write)) {
		join(prefix_of(g, read), prefix_of(g, write), g->threads);
		if (g->model == LAZYTSC_SC || w->thread != e->thread)
			join(graph_clock(g, read), graph_clock(g, write), g->chains);
	}
	count_self(g, read);
	if (w->co_next != NO_EVENT)
		put_before(g, read, w->co_next, log);
}

void graph_set_co(struct graph *g, event_id write, event_id after, struct graph_log *log)
{
	struct event *e = &g->ev[write];
	event_id next = g->ev[after].co_next;
	uint16_t *clock = graph_clock(g, write);
	event_id r = g->ev[graph_first_write(g, e->field)].next_read;

	e->co_prev = after;
	e->co_next = next;
	g->ev[after].co_next = write;
	if (next != NO_EVENT)
		g->ev[next].co_prev = write;
	else
		g->co_last[e->field] = write;

	if (!graph_is_first_write(g, after))
		join(clock, graph_clock(g, after), g->chains);
	for (; r != NO_EVENT; r = g->ev[r].next_read)
		if (g->ev[r].rf == after)
			join(clock, graph_clock(g, r), g->chains);
	count_self(g, write);
	if (next != NO_EVENT)
		put_before(g, write, next, log);
}

void graph_unset(struct graph *g, event_id id, struct graph_log *log, size_t used)
{
	struct event *e = &g->ev[id];

	while (log->used > used) {
		event_id changed = log->words[log->used - 2] | (event_id)log->words[log->used - 1]
								       << 16;

		log->used -= g->chains + 2;
		memcpy(graph_clock(g, changed), log->words + log->used,
		       g->chains * sizeof(uint16_t));
	}
	if (e->kind == EVENT_READ) {
		struct event *first = &g->ev[graph_first_write(g, e->field)];

		assert(first->next_read == id);
		first->next_read = e->next_read;
	} else {
		g->ev[e->co_prev].co_next = e->co_next;
		if (e->co_next != NO_EVENT)
			g->ev[e->co_next].co_prev = e->co_prev;
		else
			g->co_last[e->field] = e->co_prev;
	}
	start_clocks(g, id);
	g->state[e->thread] = THREAD_RUNS;
}

/* Is an event in the prefix, or was it added no later than the stamp says? */
static bool is_previous(const struct graph *g, event_id id, uint32_t stamp, const uint16_t *prefix)
{
	const struct event *e = &g->ev[id];

	return graph_is_first_write(g, id) || e->stamp <= stamp || prefix[e->thread] > e->index;
}

/*
 * Would the event be as it is if it had been added last, after those before it and the prefix, each
 * read reading from the last write in co, and each write coming last in co?
 */
static bool is_maximal(const struct graph *g, event_id id, const uint16_t *prefix)
{
	const struct event *e = &g->ev[id];
	event_id write = id;

	if (e->kind == EVENT_FENCE)
		return true;
	if (e->kind == EVENT_CHOICE)
		return e->value == 0;
	if (e->kind == EVENT_READ) {
		write = e->rf;
		if (!is_previous(g, write, e->stamp, prefix))
			return false;
	} else {
		event_id r = g->ev[graph_first_write(g, e->field)].next_read;

		for (; r != NO_EVENT; r = g->ev[r].next_read)
			if (g->ev[r].rf == id && is_previous(g, r, e->stamp, prefix))
				return false;
	}
	for (write = g->ev[write].co_next; write != NO_EVENT; write = g->ev[write].co_next)
		if (write != id && is_previous(g, write, e->stamp, prefix))
			return false;
	return true;
}

bool graph_can_revisit(const struct graph *g, unsigned thread, event_id read, unsigned *len)
{
	static const uint16_t nothing[LAZYTSC_MAX_THREADS];
	const uint16_t *prefix =
		g->len[thread] ? prefix_of(g, graph_id(g, thread, g->len[thread] - 1)) : nothing;
	const struct event *r = &g->ev[read];

	if (prefix[r->thread] > r->index || !is_maximal(g, read, prefix))
		return false;
	for (unsigned t = 0; t < g->threads; t++) {
		unsigned n = g->len[t];

		for (; n > prefix[t] && g->ev[graph_id(g, t, n - 1)].stamp >= r->stamp; n--)
			if (!is_maximal(g, graph_id(g, t, n - 1), prefix))
				return false;
		len[t] = n;
	}
	return true;
}
