// SPDX-License-Identifier: BSD-2-Clause
/*
 * The search, after "Truly stateless, optimal dynamic partial order reduction" (Kokologiannakis,
 * Marmaras, Gavrilenko, Vafeiadis; POPL 2022): a graph grows event by event; a read branches over
 * the writes that it may read from; a write branches over its places in co, and over the reads,
 * added before it, that it may take over. Such a revisit drops what was added since the read and
 * does not lead to the write; it is taken only where that was added in the one way that makes every
 * graph come about exactly once (graph_can_revisit()).
 *
 * Threads run on fibers. A fiber that has been through the events of its thread in the graph goes
 * on from where it stopped; one that has been elsewhere starts again, and is given the values that
 * its reads read in the graph, without a switch in between.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/access.h"
#include "schedule.h"
#include "search.h"

/* A bound on visit()'s recursion, for the stack that checker.c gives it. */
enum { MAX_RECURSION = 200000 };

struct lazytsc_final {
	const struct search *search;
	const struct graph *graph;
};

u64 lazytsc_final_memory(const struct lazytsc_final *f, size_t offset)
{
	assert(offset % sizeof(u64) == 0 && offset / sizeof(u64) < f->graph->fields);
	return graph_final_value(f->graph, (unsigned)(offset / sizeof(u64)));
}

const void *lazytsc_final_own(const struct lazytsc_final *f, unsigned thread)
{
	return f->search->thread[thread].self.own;
}

static bool is_locked(enum lazytsc_op op)
{
	return op == LAZYTSC_OP_XCHG || op == LAZYTSC_OP_XADD || op == LAZYTSC_OP_CMPXCHG;
}

/* Does a locked operation whose read gave `old` write? If so, sets what. */
static bool locked_write(const struct lazytsc_access *a, u64 old, u64 *value)
{
	*value = a->op == LAZYTSC_OP_XADD ? old + a->value : a->value;
	return a->op != LAZYTSC_OP_CMPXCHG || old == a->expect;
}

/* The thread goes through its next event, which must be what it asks for. */
static const struct event *consume(struct search_thread *t, const struct graph *g,
				   enum event_kind kind, const struct lazytsc_access *a)
{
	const struct event *e = &g->ev[graph_id(g, t->self.cpu, t->pos)];

	if (e->kind != kind || (a->field && e->field != t->field))
		access_die(a, "is not what the thread did here when it ran before");
	t->pos++;
	t->uid = e->uid;
	return e;
}

/* The thread asks for an event, or half of one. If the graph has it not yet, the thread waits. */
static bool wait_for_event(struct search *s, struct search_thread *t, bool half,
			   const struct lazytsc_access *a)
{
	if (t->pos < s->graph->len[t->self.cpu])
		return true;
	t->pending = *a;
	t->half = half;
	fiber_yield(&t->fiber);
	return false;
}

static u64 access_event(struct search *s, struct search_thread *t, enum event_kind kind,
			const struct lazytsc_access *a)
{
	u64 old, value;

	while (!wait_for_event(s, t, false, a))
		;
	old = consume(t, s->graph, kind, a)->value;
	if (!is_locked(a->op) || !locked_write(a, old, &value))
		return kind == EVENT_WRITE ? 0 : old;
	while (!wait_for_event(s, t, true, a))
		;
	consume(t, s->graph, EVENT_WRITE, a);
	return old;
}

static void refuse_to_wait(const struct lazytsc_access *a)
{
	if (a->ready)
		access_die(a, "waits for plain memory, which the exhaustive search cannot follow");
}

static u64 access_search(struct lazytsc_engine *engine, const struct lazytsc_access *a)
{
	struct search *s = (struct search *)engine;
	struct search_thread *t = s->running;

	if (!t)
		return arena_setup(&s->arena, a);
	switch (a->op) {
	case LAZYTSC_OP_LOAD:
	case LAZYTSC_OP_XCHG:
	case LAZYTSC_OP_XADD:
	case LAZYTSC_OP_CMPXCHG:
		t->field = arena_index(&s->arena, a);
		return access_event(s, t, EVENT_READ, a);
	case LAZYTSC_OP_STORE:
		t->field = arena_index(&s->arena, a);
		return access_event(s, t, EVENT_WRITE, a);
	case LAZYTSC_OP_MB:
	case LAZYTSC_OP_EXIT:
		refuse_to_wait(a);
		if (!graph_needs_fence(s->graph, t->self.cpu, t->pos))
			return 0;
		return access_event(s, t, EVENT_FENCE, a);
	case LAZYTSC_OP_EVENT:
		refuse_to_wait(a);
		return 0;
	case LAZYTSC_OP_TSC:
		return 0; /* there is no time here: nothing is ever overdue */
	case LAZYTSC_OP_CHOOSE:
		return access_event(s, t, EVENT_CHOICE, a);
	case LAZYTSC_OP_ASSUME:
		if (a->value)
			return 1;
		break;
	case LAZYTSC_OP_CHECKPOINT:
	case LAZYTSC_OP_NOTE:
		return 0;
	case LAZYTSC_OP_FAIL:
	case LAZYTSC_OP_END:
		break;
	}
	/* The thread stops here, and nothing resumes it. */
	t->pending = *a;
	fiber_yield(&t->fiber);
	access_die(a, "went on");
	return 0;
}

static void start(void *arg)
{
	struct search_thread *t = arg;
	struct search *s = (struct search *)lazytsc_engine;

	s->check->program->thread[t->self.cpu].run(&t->self);
}

/* Has the fiber been through the first events of its thread in the graph, and nothing else? */
static bool is_on_path(const struct search_thread *t, const struct graph *g)
{
	if (!t->stopped || t->pos > g->len[t->self.cpu])
		return false;
	return t->pos == 0 || g->ev[graph_id(g, t->self.cpu, t->pos - 1)].uid == t->uid;
}

/* Lets a thread run through its events in the graph, up to what it asks for next. */
static const struct lazytsc_access *run_thread(struct search *s, const struct graph *g,
					       unsigned thread)
{
	struct search_thread *t = &s->thread[thread];

	if (!is_on_path(t, g)) {
		fiber_start(&t->fiber, start, t);
		memset(t->self.own, 0, s->check->program->own_size);
		t->pos = 0;
		t->stopped = false;
	}
	if (t->stopped && t->pos == g->len[thread])
		return &t->pending;

	s->graph = g;
	s->running = t;
	if (!fiber_resume(&t->fiber))
		t->pending = (struct lazytsc_access){ .op = LAZYTSC_OP_END, .name = "end" };
	s->running = NULL;
	t->stopped = true;
	assert(t->pos == g->len[thread]);
	return &t->pending;
}

static void out_of_memory(struct search *s)
{
	s->no_memory = true;
	s->done = true;
}

static bool add_task(struct task_list *list, const struct graph *g, double weight, bool whole)
{
	void *packed;

	if (list->n == list->size) {
		size_t size = list->size ? 2 * list->size : 64;
		struct task *task = realloc(list->task, size * sizeof(*task));

		if (!task)
			return false;
		list->task = task;
		list->size = size;
	}
	packed = graph_pack(g);
	if (packed)
		list->task[list->n++] =
			(struct task){ .graph = packed, .weight = weight, .whole = whole };
	return packed != NULL;
}

/* Keeps a graph for later, instead of going on with it. */
static void put_aside(struct search *s, const struct graph *g, double weight, bool whole)
{
	if (!add_task(s->collect, g, weight, whole))
		out_of_memory(s);
}

/* Describes a violation: the assertion at which @thread has stopped; -1: the final condition. */
static char *describe_violation(struct search *s, const struct graph *g, int thread)
{
	static const char at_end[] = "the final condition does not hold";
	const struct lazytsc_access *a;
	char *text;
	size_t size;

	if (thread < 0)
		return strdup(at_end);
	a = run_thread(s, g, (unsigned)thread);
	size = strlen(a->file) + strlen(a->func) + strlen(a->name) + 64;
	text = malloc(size);
	if (text)
		snprintf(text, size, "%s:%d: %s: assertion failed: %s", a->file, a->line, a->func,
			 a->name);
	return text;
}

static void note_violation(struct search *s, const struct graph *g, int thread)
{
	struct found *found = s->found;

	if (found->violations++ == 0) {
		found->schedule = schedule_of(s->check, g, &thread);
		found->violation = describe_violation(s, g, thread);
		if (!found->violation || !found->schedule)
			out_of_memory(s);
	}
	if (s->check->stop)
		s->done = true;
}

/* An execution in which every thread has returned. */
static void finish(struct search *s, const struct graph *g)
{
	const struct lazytsc_check *check = s->check;
	const struct lazytsc_final f = { .search = s, .graph = g };

	for (unsigned t = 0; t < g->threads; t++)
		run_thread(s, g, t);
	memset(s->outcome, 0, check->outcome_size);
	if (!check->final(&f, s->outcome, check->arg))
		note_violation(s, g, -1);
	if (check->outcome_size && !outcomes_add(&s->found->outcomes, s->outcome, 1))
		out_of_memory(s);
}

static void leaf(struct search *s, const struct graph *g, double weight)
{
	bool blocked = false, cut = false;
	int failed = -1;

	if (s->collect) {
		put_aside(s, g, weight, true);
		return;
	}
	for (unsigned t = 0; t < g->threads; t++) {
		blocked |= g->state[t] == THREAD_BLOCKED;
		cut |= g->state[t] == THREAD_CUT;
		if (g->state[t] == THREAD_FAILED && failed < 0)
			failed = (int)t;
	}
	atomic_store_explicit(&s->part, s->part + weight, memory_order_relaxed);
	atomic_store_explicit(&s->total, s->total + 1, memory_order_relaxed);
	if (cut)
		s->found->cut++;
	else if (blocked)
		s->found->blocked++;
	else
		s->found->executions++;
	if (failed >= 0)
		note_violation(s, g, failed);
	else if (!cut && !blocked && s->check->final)
		finish(s, g);
	if (s->found->executions >= s->limit)
		s->done = true;
}

static void visit(struct search *s, struct graph *g, double weight);

/* Goes on with a graph, which is one of several where `branches`. */
static void descend(struct search *s, struct graph *g, double weight, bool branches)
{
	if (s->collect && branches)
		put_aside(s, g, weight, false);
	else
		visit(s, g, weight);
}

static void visit_read(struct search *s, struct graph *g, unsigned thread, bool locked,
		       uint32_t field, double weight)
{
	event_id read = graph_push(g, thread, EVENT_READ, locked, field, 0, 0);
	unsigned n = 0;
	event_id w = NO_EVENT;

	while ((w = graph_next_rf(g, read, w)) != NO_EVENT)
		n++;
	while ((w = graph_next_rf(g, read, w)) != NO_EVENT && !s->done) {
		size_t used = s->log.used;

		graph_set_rf(g, read, w, ++s->uid, &s->log);
		g->prefer = locked ? (int)thread : -1;
		descend(s, g, weight / (double)n, n > 1);
		graph_unset(g, read, &s->log, used);
	}
	graph_pop(g, thread);
}

unsigned lazytsc_check_depth(const struct lazytsc_check_limits *limits)
{
	const unsigned most = 65000;
	const unsigned depth = limits->depth ? limits->depth : 1000;

	return depth < most ? depth : most;
}

static bool init_graph(const struct search *s, struct graph *g)
{
	const struct lazytsc_check *check = s->check;

	/* One more than the limit: a locked operation is not cut in the middle. */
	return graph_init(g, check->model, check->program->threads, (unsigned)s->arena.fields,
			  lazytsc_check_depth(&check->limits) + 1);
}

static struct graph *revisit_graph(struct search *s)
{
	if (s->level == s->pool_size) {
		struct graph *pool = realloc(s->pool, (s->pool_size + 1) * sizeof(*pool));

		if (!pool)
			return NULL;
		s->pool = pool;
		if (!init_graph(s, &pool[s->pool_size]))
			return NULL;
		s->pool_size++;
	}
	return &s->pool[s->level];
}

/* The read now reads from the write that was just added, and keeps its stamp. */
static void retake(struct search *s, struct graph *g, const struct event *read, event_id write,
		   double weight)
{
	event_id id = graph_push(g, read->thread, EVENT_READ, read->locked, read->field, 0, 0);
	event_id w = NO_EVENT;

	g->ev[id].stamp = read->stamp;
	while ((w = graph_next_rf(g, id, w)) != NO_EVENT && w != write)
		;
	if (w == write) {
		size_t used = s->log.used;

		graph_set_rf(g, id, write, ++s->uid, &s->log);
		g->prefer = read->locked ? read->thread : -1;
		descend(s, g, weight, true);
		graph_unset(g, id, &s->log, used);
	}
	graph_pop(g, read->thread);
}

struct write {
	unsigned thread;
	bool locked;
	uint32_t field;
	u64 value, uid;
};

static event_id push_write(struct graph *g, const struct write *w)
{
	return graph_push(g, w->thread, EVENT_WRITE, w->locked, w->field, w->value, w->uid);
}

/* A revisit: a read that was added before the write now reads from it. */
static void revisit(struct search *s, const struct graph *from, const struct write *w,
		    event_id read, double weight)
{
	unsigned len[LAZYTSC_MAX_THREADS];
	struct graph *pooled = revisit_graph(s), g;
	event_id write, after = NO_EVENT;
	unsigned n = 0;

	if (!pooled || !graph_can_revisit(from, w->thread, read, len)) {
		out_of_memory(s);
		return;
	}
	/* A copy of the handle: deeper levels may move the pool. */
	g = *pooled;
	s->level++;
	graph_copy(&g, from, len);
	write = push_write(&g, w);
	while ((after = graph_next_co(&g, write, after)) != NO_EVENT)
		n++;
	while ((after = graph_next_co(&g, write, after)) != NO_EVENT && !s->done) {
		size_t used = s->log.used;

		graph_set_co(&g, write, after, &s->log);
		retake(s, &g, &from->ev[read], write, weight / (double)n);
		graph_unset(&g, write, &s->log, used);
	}
	s->level--;
}

/* Puts the reads that the write may take over on the stack; returns how many. */
static size_t find_revisits(struct search *s, const struct graph *g, const struct write *w)
{
	unsigned len[LAZYTSC_MAX_THREADS];
	event_id r = g->ev[graph_first_write(g, w->field)].next_read;
	size_t before = s->reads_used;

	for (; r != NO_EVENT; r = g->ev[r].next_read) {
		if (!graph_can_revisit(g, w->thread, r, len))
			continue;
		if (s->reads_used == s->reads_size) {
			size_t size = s->reads_size ? 2 * s->reads_size : 256;
			event_id *reads = realloc(s->reads, size * sizeof(*reads));

			if (!reads) {
				out_of_memory(s);
				break;
			}
			s->reads = reads;
			s->reads_size = size;
		}
		s->reads[s->reads_used++] = r;
	}
	return s->reads_used - before;
}

static void visit_write(struct search *s, struct graph *g, const struct write *w, double weight)
{
	const size_t before = s->reads_used;
	const size_t revisits = find_revisits(s, g, w);
	event_id write = push_write(g, w);
	event_id after = NO_EVENT;
	size_t n = revisits;

	while ((after = graph_next_co(g, write, after)) != NO_EVENT)
		n++;
	while ((after = graph_next_co(g, write, after)) != NO_EVENT && !s->done) {
		size_t used = s->log.used;

		graph_set_co(g, write, after, &s->log);
		descend(s, g, weight / (double)n, n > 1);
		graph_unset(g, write, &s->log, used);
	}
	graph_pop(g, w->thread);
	for (size_t i = 0; i < revisits && !s->done; i++)
		revisit(s, g, w, s->reads[before + i], weight / (double)n);
	s->reads_used = before;
}

static void visit_fence(struct search *s, struct graph *g, unsigned thread, double weight)
{
	graph_push(g, thread, EVENT_FENCE, false, 0, 0, ++s->uid);
	descend(s, g, weight, false);
	graph_pop(g, thread);
}

static void visit_choice(struct search *s, struct graph *g, unsigned thread, u64 ways,
			 double weight)
{
	for (u64 way = 0; way < ways && !s->done; way++) {
		graph_push(g, thread, EVENT_CHOICE, false, 0, way, ++s->uid);
		descend(s, g, weight / (double)ways, ways > 1);
		graph_pop(g, thread);
	}
}

/* Why a thread does not go on, by what it asks for. */
static enum thread_state end_state(const struct lazytsc_access *a)
{
	switch (a->op) {
	case LAZYTSC_OP_END:
		return THREAD_ENDED;
	case LAZYTSC_OP_FAIL:
		return THREAD_FAILED;
	case LAZYTSC_OP_ASSUME:
		return THREAD_BLOCKED;
	case LAZYTSC_OP_CHOOSE:
		return a->value ? THREAD_RUNS : THREAD_BLOCKED;
	default:
		return THREAD_RUNS;
	}
}

/*
 * The thread to go on with: the one in the middle of a locked operation, else the first that can.
 * Returns it, having run it to what it asks for; or -1 where every thread has ended or stopped.
 */
static int next_thread(struct search *s, struct graph *g)
{
	for (unsigned i = 0; i <= g->threads; i++) {
		int thread = i ? (int)i - 1 : g->prefer;
		const struct lazytsc_access *a;

		if (thread < 0 || g->state[thread] != THREAD_RUNS)
			continue;
		a = run_thread(s, g, (unsigned)thread);
		g->state[thread] = (uint8_t)end_state(a);
		if (g->state[thread] == THREAD_RUNS && !s->thread[thread].half &&
		    g->len[thread] >= g->cap - 1)
			g->state[thread] = THREAD_CUT;
		if (g->state[thread] == THREAD_RUNS)
			return thread;
	}
	return -1;
}

static void add_next(struct search *s, struct graph *g, unsigned thread, double weight)
{
	struct search_thread *t = &s->thread[thread];
	const struct lazytsc_access *a = &t->pending;
	struct write w = { .thread = thread, .locked = t->half, .field = (uint32_t)t->field };

	switch (a->op) {
	case LAZYTSC_OP_LOAD:
		visit_read(s, g, thread, false, w.field, weight);
		return;
	case LAZYTSC_OP_XCHG:
	case LAZYTSC_OP_XADD:
	case LAZYTSC_OP_CMPXCHG:
		if (!t->half) {
			visit_read(s, g, thread, true, w.field, weight);
			return;
		}
		locked_write(a, g->ev[graph_id(g, thread, g->len[thread] - 1)].value, &w.value);
		break;
	case LAZYTSC_OP_STORE:
		w.value = a->value;
		break;
	case LAZYTSC_OP_CHOOSE:
		visit_choice(s, g, thread, a->value, weight);
		return;
	default:
		visit_fence(s, g, thread, weight);
		return;
	}
	w.uid = ++s->uid;
	visit_write(s, g, &w, weight);
}

static void visit(struct search *s, struct graph *g, double weight)
{
	const int prefer = g->prefer;
	int thread;

	if (s->done || atomic_load_explicit(s->stop, memory_order_relaxed))
		return;
	if (s->log.failed || s->depth >= MAX_RECURSION) {
		out_of_memory(s);
		return;
	}
	s->depth++;
	thread = next_thread(s, g);
	g->prefer = -1;
	if (thread < 0)
		leaf(s, g, weight);
	else
		add_next(s, g, (unsigned)thread, weight);
	g->prefer = prefer;
	s->depth--;
}

bool search_start(const struct search *s, struct task_list *list)
{
	struct graph g = s->root;

	graph_clear(&g, s->arena.values);
	return add_task(list, &g, 1, false);
}

static void run(struct search *s, const struct task *task)
{
	struct lazytsc_engine *outer = lazytsc_engine;

	graph_unpack(&s->root, task->graph);
	lazytsc_engine = &s->engine;
	visit(s, &s->root, task->weight);
	lazytsc_engine = outer;
}

void search_run(struct search *s, const struct task *task, struct found *found, u64 limit)
{
	*found = (struct found){ .outcomes.size = s->check->outcome_size };
	s->found = found;
	s->limit = limit;
	s->done = limit == 0;
	run(s, task);
	s->found = NULL;
}

void search_divide(struct search *s, const struct task *task, struct task_list *list)
{
	s->collect = list;
	run(s, task);
	s->collect = NULL;
}

void task_list_clear(struct task_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->task[i].graph);
	free(list->task);
	*list = (struct task_list){ 0 };
}

void found_fini(struct found *found)
{
	outcomes_fini(&found->outcomes);
	free(found->violation);
	free(found->schedule);
	*found = (struct found){ 0 };
}

bool search_init(struct search *s, const struct lazytsc_check *check, const atomic_bool *stop)
{
	const struct lazytsc_program *p = check->program;
	bool ok;

	memset(s, 0, sizeof(*s));
	s->engine.access = access_search;
	s->check = check;
	s->stop = stop;
	s->own_stride = (p->own_size + 63) / 64 * 64;
	s->own = calloc(1, s->own_stride * p->threads + 1);
	s->outcome = calloc(1, check->outcome_size + 1);
	ok = arena_init(&s->arena, p->shared_size) && s->own && s->outcome &&
	     init_graph(s, &s->root);
	for (unsigned i = 0; ok && i < p->threads; i++) {
		ok = fiber_init(&s->thread[i].fiber);
		s->thread[i].self = (struct lazytsc_self){
			.shared = s->arena.face,
			.own = s->own + i * s->own_stride,
			.arg = p->thread[i].arg,
			.cpu = i,
		};
	}
	if (ok && p->init) {
		struct lazytsc_engine *outer = lazytsc_engine;

		lazytsc_engine = &s->engine;
		p->init(s->arena.face, p->arg);
		lazytsc_engine = outer;
	}
	if (!ok)
		search_fini(s);
	return ok;
}

void search_fini(struct search *s)
{
	for (unsigned i = 0; i < s->check->program->threads; i++)
		fiber_fini(&s->thread[i].fiber);
	graph_fini(&s->root);
	for (unsigned i = 0; i < s->pool_size; i++)
		graph_fini(&s->pool[i]);
	arena_fini(&s->arena);
	free(s->pool);
	free(s->log.words);
	free(s->reads);
	free(s->outcome);
	free(s->own);
}
