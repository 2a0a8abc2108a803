// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lazytsc/sim/replay.h>

#include "replay.h"
#include "trace/ahead.h"

#define ALIGN 64

/* One vCPU while the trace is read. */
struct running {
	char *states; /* of the policies, one after another; NULL: it has written nothing yet */
	/*
	 * What comes behind the last write, or the last before a gap, has not happened for any
	 * policy. So the states before a halt or another exit are kept until the next write, and
	 * the steps since then are held back.
	 */
	char *kept; /* as `states`; NULL: no policy uses halts or exits */
	bool is_kept;
	struct replay_step *held;
	size_t nheld, held_room;
	struct deadlines deadlines;
	uint64_t skipped; /* in the trace itself */
	bool last_selected; /* its last write was replayed */
	bool halted; /* by the trace, since its last event */
	bool halts; /* so at least once */
	uint64_t comm; /* left out because of who wrote */
	unsigned int step_vcpu; /* in order of the first write */
	uint64_t due; /* the deadline whose interrupt has not come; 0: none */
	uint64_t came; /* the one that stands, if its interrupt has come; 0: it has not */
	struct task *tasks; /* by the trace's index; only with by_task */
	size_t ntasks;
};

struct run {
	struct replay *r;
	const struct trace_batch *batch; /* that is being replayed */
	struct running *vcpus; /* TRACE_MAX_VCPUS */
	size_t *offsets; /* of each policy's state */
	size_t size; /* of all of them */
	bool looks; /* a policy uses halts, or other exits */
	bool no_memory; /* for steps that are held back */
	unsigned int nvcpus; /* above the last that is in use */
	uint64_t first_ts, last_ts; /* of what was selected */
	uint64_t begin_ts; /* of the first event */
	uint64_t from_ts, to_ts; /* what is selected, in the trace's clock */
	double khz, units; /* the trace's TSC rate and cycles for a unit, as they were known last */
	unsigned int begun_vcpus;
	uint64_t *entries; /* by policy: host entries of all vCPUs, when the slice began */
	size_t slice; /* that is being filled */
	uint64_t slice_begin, slice_end; /* its time stamps */
	bool begun;
};

static int layout(struct run *run)
{
	const struct replay *r = run->r;

	run->offsets = calloc(r->npolicies, sizeof(*run->offsets));
	run->vcpus = calloc(TRACE_MAX_VCPUS, sizeof(*run->vcpus));
	if (!run->offsets || !run->vcpus)
		return -1;
	for (size_t i = 0; i < r->npolicies; i++) {
		run->offsets[i] = run->size;
		run->size += (r->policies[i].state_size + ALIGN - 1) / ALIGN * ALIGN;
		run->looks |= r->policies[i].block || r->policies[i].look;
	}
	return 0;
}

const char *const replay_step_names[REPLAY_STEPS] = {
	[REPLAY_SKIP] = "skip",	    [REPLAY_EXIT] = "exit", [REPLAY_SILENT] = "silent expiry",
	[REPLAY_INJECT] = "inject", [REPLAY_GAP] = "gap",
};

static bool begin_vcpu(struct run *run, struct running *v)
{
	const struct replay *r = run->r;

	v->step_vcpu = run->begun_vcpus++;
	v->states = aligned_alloc(ALIGN, run->size);
	if (run->looks)
		v->kept = aligned_alloc(ALIGN, run->size);
	if (!v->states || (run->looks && !v->kept))
		return false;
	memset(v->states, 0, run->size);
	for (size_t i = 0; i < r->npolicies; i++)
		r->policies[i].init(&r->policies[i], &r->clock, v->states + run->offsets[i]);
	return true;
}

/* The time stamp so many ns behind another; no later than there are. */
static uint64_t after(const struct replay *r, uint64_t ts, double ns)
{
	double units = ns / r->unit_ns;

	return units < (double)(UINT64_MAX - ts) ? ts + (uint64_t)units : UINT64_MAX;
}

/* What the trace's clock is, and which part of the trace is selected. */
static void take_clock(struct run *run, const struct trace_stats *st)
{
	struct replay *r = run->r;
	const struct selection *s = &r->selection;
	double rate = st->cycles && st->fitted && st->cycles_per_unit > 0 ? st->cycles_per_unit : 1;

	run->khz = st->tsc_khz;
	run->units = st->cycles_per_unit;
	r->clock.ns = st->source == TRACE_REARM;
	r->clock.khz = st->tsc_khz;
	r->khz_assumed = st->tsc_khz <= 0;
	if (r->khz_assumed)
		r->clock.khz = ASSUMED_KHZ;
	r->unit_ns = st->cycles ? 1e6 * rate / r->clock.khz : 1;
	/* In a file of one CPU after the other, the first write need not be the earliest. */
	run->from_ts = s->from_ns ? after(r, run->begin_ts, (double)s->from_ns) : 0;
	run->to_ts = s->to_ns ? after(r, run->begin_ts, (double)s->to_ns) : UINT64_MAX;
}

/*
 * A trace that begins with more disarms than a fit's window holds tells its rate only after them.
 * They have been replayed, and are charged anew.
 */
static void take_late_clock(struct run *run, const struct trace_stats *st)
{
	const struct replay *r = run->r;

	take_clock(run, st);
	for (unsigned int i = 0; i < run->nvcpus; i++) {
		const struct running *v = &run->vcpus[i];

		for (size_t k = 0; v->states && k < r->npolicies; k++) {
			if (!r->policies[k].is_replay)
				continue;
			lazytsc_replay_rate((void *)(v->states + run->offsets[k]), r->clock.khz);
			if (v->is_kept)
				lazytsc_replay_rate((void *)(v->kept + run->offsets[k]),
						    r->clock.khz);
		}
	}
}

static int begin(struct run *run, const struct trace_event *ev)
{
	const struct trace_stats *st = &run->batch->stats;
	struct replay *r = run->r;
	const struct selection *s = &r->selection;

	run->begun = true;
	run->begin_ts = ev->ts;
	/* As short as that: a slice is at least what one write takes. */
	r->slices.slice_ns = 1000;
	r->slices.entries = calloc(r->npolicies, sizeof(*r->slices.entries));
	run->entries = calloc(r->npolicies, sizeof(*run->entries));
	if (!r->slices.entries || !run->entries)
		return -1;
	take_clock(run, st);
	if ((s->from_ns || s->to_ns) && st->cycles && r->khz_assumed) {
		snprintf(
			r->error, sizeof(r->error),
			"--from and --to need the TSC's rate, which this trace does not tell: give --tsc-khz");
		return -1;
	}
	return 0;
}

static unsigned int bucket(uint64_t v)
{
	return v ? 64 - (unsigned int)__builtin_clzll(v) : 0;
}

/* What does this write do to the deadline that stands? @task: who writes, or NULL. */
static void classify(struct deadlines *d, struct task *task, struct lazytsc_replay *stock,
		     uint64_t now, uint64_t v)
{
	uint64_t old;

	d->writes++;
	if (task)
		task->writes++;
	lazytsc_replay_run_until(stock, now);
	old = stock->host.timer;
	if (!old)
		return;
	if (!v) {
		d->disarmed++;
	} else if (v > old) {
		d->later++;
		d->moved_later[bucket(v - old)]++;
	} else if (v < old) {
		d->earlier++;
		d->moved_earlier[bucket(old - v)]++;
	} else {
		d->same++;
	}
	d->before_expiry[bucket(old - now)]++;
	if (!task)
		return;
	task->disarmed += !v;
	task->later += v > old;
	task->earlier += v && v < old;
	task->same += v == old;
}

/* The counts of a task on a vCPU; NULL: they are not wanted, or there is no memory. */
static struct task *find_task(const struct replay *r, struct running *v, unsigned int i)
{
	struct task *t;

	if (i >= v->ntasks) {
		size_t n = i + 1 > 2 * v->ntasks ? i + 1 : 2 * v->ntasks;

		t = reallocarray(v->tasks, n, sizeof(*t));
		if (!t)
			return NULL;
		memset(t + v->ntasks, 0, (n - v->ntasks) * sizeof(*t));
		v->tasks = t;
		v->ntasks = n;
	}
	t = &v->tasks[i];
	if (!t->skips)
		t->skips = calloc(r->npolicies, sizeof(*t->skips));
	return t->skips ? t : NULL;
}

/* --- Over time --- */

/* The time of something that happens at @now, not behind @ev, on ev's vCPU. */
static double step_ns(const struct run *run, const struct trace_event *ev, uint64_t now)
{
	return (double)(ev->ts - run->first_ts) * run->r->unit_ns -
	       (double)(ev->now - now) / run->r->clock.khz * 1e6;
}

/* Hand a step out, or hold it back until the vCPU writes again. */
static void hand_out(struct run *run, struct running *v, const struct replay_step *s)
{
	const struct replay *r = run->r;

	if (!v->is_kept) {
		r->observe(r->observe_ctx, s);
		return;
	}
	if (v->nheld == v->held_room) {
		size_t room = v->held_room ? 2 * v->held_room : 16;
		struct replay_step *held = reallocarray(v->held, room, sizeof(*held));

		run->no_memory |= !held;
		if (!held)
			return;
		v->held = held;
		v->held_room = room;
	}
	v->held[v->nheld++] = *s;
}

/* A halt or another exit comes: it counts only if a write follows. */
static void keep(struct run *run, struct running *v)
{
	if (!v->kept || v->is_kept)
		return;
	memcpy(v->kept, v->states, run->size);
	v->is_kept = true;
}

/* The write that follows has come. */
static void release(const struct run *run, struct running *v)
{
	v->is_kept = false;
	for (size_t i = 0; i < v->nheld; i++)
		run->r->observe(run->r->observe_ctx, &v->held[i]);
	v->nheld = 0;
}

/* None follows: back to the states behind the last write. */
static void undo(const struct run *run, struct running *v)
{
	if (v->is_kept)
		memcpy(v->states, v->kept, run->size);
	v->is_kept = false;
	v->nheld = 0;
}

static struct lazytsc_replay *observed(const struct run *run, const struct running *v)
{
	return (void *)(v->states + run->offsets[run->r->observed]);
}

static void step(struct run *run, struct running *v, const struct trace_event *ev,
		 enum replay_step_kind kind, uint64_t now)
{
	const struct replay *r = run->r;
	struct lazytsc_replay *s = observed(run, v);
	uint64_t armed = s->host.timer,
		 pending = s->guest.area ? lazytsc_load(&s->area.pending) : armed;
	struct replay_step one = { .kind = kind,
				   .vcpu = v->step_vcpu,
				   .ns = step_ns(run, ev, now) };

	one.armed_ns = armed > now ? (double)(armed - now) / r->clock.khz * 1e6 : -1;
	one.pending_ns = pending > now ? (double)(pending - now) / r->clock.khz * 1e6 : -1;
	hand_out(run, v, &one);
}

/* What a write did under the observed policy. */
static void observe_write(struct run *run, struct running *v, const struct trace_event *ev,
			  const struct lazytsc_replay_counts *before)
{
	const struct lazytsc_replay_counts *after = &observed(run, v)->counts;

	step(run, v, ev, after->skips > before->skips ? REPLAY_SKIP : REPLAY_EXIT, ev->now);
	if (after->injections > before->injections)
		step(run, v, ev, REPLAY_INJECT, ev->now);
}

/* Timers of the observed policy that fire before this event, one by one. */
static void observe_expiries(struct run *run, struct running *v, const struct trace_event *ev)
{
	struct lazytsc_replay *s;
	uint64_t fired;

	if (!run->r->observe)
		return;
	s = observed(run, v);
	/* Ends: a timer that is armed again lies beyond the one that fired. */
	while ((fired = lazytsc_replay_timer(s)) && fired <= ev->now) {
		uint64_t injections = s->counts.injections;

		lazytsc_replay_fire(s, fired);
		step(run, v, ev, s->counts.injections > injections ? REPLAY_INJECT : REPLAY_SILENT,
		     fired);
	}
}

static uint64_t host_entries(const struct policy *p, const void *state)
{
	const struct lazytsc_replay *s = state;

	return p->is_replay ? lazytsc_replay_host_entries(&s->counts) : 0;
}

/* The slice that was filled is over: what was counted since the one before belongs to it. */
static void end_slice(struct run *run)
{
	struct replay *r = run->r;

	for (size_t p = 0; p < r->npolicies; p++) {
		uint64_t sum = 0;

		for (unsigned int i = 0; i < run->nvcpus; i++) {
			const struct running *v = &run->vcpus[i];

			if (v->states)
				sum += host_entries(&r->policies[p],
						    (v->is_kept ? v->kept : v->states) +
							    run->offsets[p]);
		}
		r->slices.entries[p][run->slice] += sum - run->entries[p];
		run->entries[p] = sum;
	}
}

/* Go to the slice of this event. Where that lies behind the last, slices are joined in twos. */
static void next_slice(struct run *run, const struct trace_event *ev)
{
	struct replay *r = run->r;
	struct slices *s = &r->slices;
	double ns = step_ns(run, ev, ev->now);

	end_slice(run);
	while (ns >= SLICES * s->slice_ns) {
		for (size_t p = 0; p < r->npolicies; p++) {
			for (size_t i = 0; i < SLICES / 2; i++)
				s->entries[p][i] = s->entries[p][2 * i] + s->entries[p][2 * i + 1];
			memset(&s->entries[p][SLICES / 2], 0,
			       SLICES / 2 * sizeof(s->entries[p][0]));
		}
		s->slice_ns *= 2;
	}
	run->slice = ns > 0 ? (size_t)(ns / s->slice_ns) : 0;
	run->slice_begin = after(r, run->first_ts, (double)run->slice * s->slice_ns);
	run->slice_end = after(r, run->first_ts, (double)(run->slice + 1) * s->slice_ns);
}

/* The deadline that the stock timer delivers before @now, and whose interrupt is to come. */
static void take_due(struct running *v, const struct lazytsc_replay *stock, uint64_t now)
{
	if (stock->host.timer && stock->host.timer <= now && stock->host.timer != v->came)
		v->due = stock->host.timer;
}

static void write_all(struct run *run, struct running *v, struct task *task,
		      const struct trace_event *ev)
{
	const struct replay *r = run->r;

	for (size_t i = 0; i < r->npolicies; i++) {
		const struct policy *p = &r->policies[i];
		char *state = v->states + run->offsets[i];
		uint64_t before = task && p->skips ? p->skips(state) : 0;

		p->write(state, ev->now, ev->value);
		if (task && p->skips)
			task->skips[i] += p->skips(state) - before;
	}
}

static void block_all(struct run *run, struct running *v, const struct trace_event *ev)
{
	struct replay *r = run->r;

	r->halts++;
	v->halted = true;
	v->halts = true;
	if (r->policies[r->observed].block)
		observe_expiries(run, v, ev);
	for (size_t i = 0; i < r->npolicies; i++) {
		if (r->policies[i].block)
			r->policies[i].block(v->states + run->offsets[i], ev->now);
	}
}

static void wake_all(struct run *run, struct running *v, const struct trace_event *ev)
{
	const struct replay *r = run->r;

	if (!v->halted)
		return;
	v->halted = false;
	if (r->policies[r->observed].wake)
		observe_expiries(run, v, ev);
	for (size_t i = 0; i < r->npolicies; i++) {
		if (r->policies[i].wake)
			r->policies[i].wake(v->states + run->offsets[i], ev->now);
	}
}

static void look_all(struct run *run, struct running *v, const struct trace_event *ev)
{
	struct replay *r = run->r;

	r->other_exits++;
	if (r->policies[r->observed].look)
		observe_expiries(run, v, ev);
	for (size_t i = 0; i < r->npolicies; i++) {
		if (r->policies[i].look)
			r->policies[i].look(v->states + run->offsets[i], ev->now);
	}
}

/*
 * An exit that would happen without deadlines, too: not that of a timer, nor a host's MSR_WRITE,
 * which may be that of a deadline.
 */
static bool is_other_exit(const struct trace_event *ev)
{
	return ev->kind == TRACE_EVENT_MSR ||
	       (ev->kind == TRACE_EVENT_EXIT &&
		(ev->value == TRACE_EXIT_MSR_READ || ev->value == TRACE_EXIT_EXTERNAL_INTERRUPT ||
		 ev->value == TRACE_EXIT_OTHER));
}

/*
 * The guest halts, goes on, or leaves for another reason. On a guest's own trace it has gone on by
 * the first event after: it handles the interrupt that wakes it before it says that it is no longer
 * idle.
 */
static void take_exit(struct run *run, struct running *v, const struct trace_event *ev)
{
	bool halts = ev->kind == TRACE_EVENT_IDLE
			     ? ev->value != TRACE_IDLE_POLL && ev->value != TRACE_IDLE_END
			     : ev->kind == TRACE_EVENT_EXIT && ev->value == TRACE_EXIT_HLT;

	if (!v->states || ev->ts < run->from_ts || ev->ts >= run->to_ts)
		return;
	keep(run, v);
	wake_all(run, v, ev);
	if (halts)
		block_all(run, v, ev);
	else if (is_other_exit(ev))
		look_all(run, v, ev);
}

/* Only some outputs ask for interrupts: no policy's state may change here. */
static void take_interrupt(struct run *run, struct running *v, const struct trace_event *ev)
{
	const struct lazytsc_replay *stock;

	if (!v->states || ev->ts < run->from_ts || ev->ts >= run->to_ts)
		return;
	stock = (const void *)(v->states + run->offsets[run->r->stock]);
	take_due(v, stock, ev->now);
	if (v->due) {
		run->r->late[bucket(ev->now > v->due ? ev->now - v->due : 0)]++;
		v->came = v->due;
	}
	v->due = 0;
}

static void restart(const struct run *run, struct running *v)
{
	const struct replay *r = run->r;

	undo(run, v);
	v->halted = false;
	v->due = 0;
	v->came = 0;
	for (size_t i = 0; v->states && i < r->npolicies; i++)
		r->policies[i].restart(v->states + run->offsets[i]);
}

/* Is this write among those that are wanted? Who writes, and when; not where. */
static bool selected(struct run *run, const struct trace *t, struct running *v,
		     const struct trace_event *ev)
{
	const char *comm = run->r->selection.comm;

	if (ev->ts < run->from_ts || ev->ts >= run->to_ts) {
		run->r->left_out.time++;
		return false;
	}
	if (comm && strcmp(comm, trace_task(t, ev->task))) {
		v->comm++;
		return false;
	}
	return true;
}

static int take(struct run *run, const struct trace *t, const struct trace_event *ev)
{
	struct running *v = &run->vcpus[ev->vcpu];
	struct replay *r = run->r;
	struct lazytsc_replay_counts before = { 0 };
	struct lazytsc_replay *stock;
	struct task *task = NULL;

	if (ev->vcpu >= run->nvcpus)
		run->nvcpus = ev->vcpu + 1;
	if (ev->kind == TRACE_EVENT_GAP) {
		restart(run, v);
		return 0;
	}
	if (ev->kind == TRACE_EVENT_IRQ) {
		take_interrupt(run, v, ev);
		return 0;
	}
	if (ev->kind == TRACE_EVENT_IDLE || ev->kind == TRACE_EVENT_EXIT ||
	    ev->kind == TRACE_EVENT_ENTRY || ev->kind == TRACE_EVENT_MSR) {
		take_exit(run, v, ev);
		return 0;
	}
	if (ev->kind == TRACE_EVENT_SKIPPED) {
		v->skipped += v->last_selected;
		v->last_selected = false;
		return 0;
	}
	v->last_selected = false;
	if (!run->begun && begin(run, ev))
		return -1;
	if (run->batch->stats.tsc_khz != run->khz ||
	    run->batch->stats.cycles_per_unit != run->units)
		take_late_clock(run, &run->batch->stats);
	if (!selected(run, t, v, ev))
		return 0;
	if (!v->states && !begin_vcpu(run, v))
		return -1;
	if (r->by_task) {
		task = find_task(r, v, ev->task);
		if (!task)
			return -1;
	}
	if (!run->first_ts || ev->ts < run->first_ts)
		run->first_ts = ev->ts;
	if (ev->ts > run->last_ts)
		run->last_ts = ev->ts;
	if (ev->ts < run->slice_begin || ev->ts >= run->slice_end)
		next_slice(run, ev);
	stock = (void *)(v->states + run->offsets[r->stock]);
	release(run, v);
	wake_all(run, v, ev);
	observe_expiries(run, v, ev);
	take_due(v, stock, ev->now);
	v->came = 0;
	classify(&v->deadlines, task, stock, ev->now, ev->value);
	if (ev->value && ev->value <= ev->now)
		v->due = ev->value;
	if (r->observe)
		before = observed(run, v)->counts;
	write_all(run, v, task, ev);
	if (r->observe)
		observe_write(run, v, ev, &before);
	v->skipped += ev->skipped;
	v->last_selected = true;
	return 0;
}

static int feed(struct run *run, struct trace *t)
{
	struct replay *r = run->r;
	struct trace_ahead *a = trace_ahead_open(t, r->ahead);
	const struct trace_batch *b;
	bool failed = false;
	int got;

	if (!a)
		return -1;
	while (!failed && (b = trace_ahead_next(a))) {
		run->batch = b;
		for (size_t i = 0; !failed && i < b->n; i++)
			failed = take(run, t, &b->events[i]) || run->no_memory;
	}
	got = trace_ahead_close(a);
	if (failed)
		return -1;
	r->stats = *trace_stats(t);
	if (got < 0)
		snprintf(r->error, sizeof(r->error), "%s", trace_error(t));
	return got;
}

static void add(struct counts *sum, const struct counts *c)
{
	for (int i = 0; i < COLUMNS; i++) {
		sum->value[i] += c->value[i];
		sum->known[i] |= c->known[i];
	}
	if (c->excess > sum->excess)
		sum->excess = c->excess;
}

static void add_deadlines(struct deadlines *sum, const struct deadlines *d)
{
	sum->writes += d->writes;
	sum->delivered += d->delivered;
	sum->later += d->later;
	sum->earlier += d->earlier;
	sum->same += d->same;
	sum->disarmed += d->disarmed;
	for (int i = 0; i < HIST_BUCKETS; i++) {
		sum->moved_later[i] += d->moved_later[i];
		sum->moved_earlier[i] += d->moved_earlier[i];
		sum->before_expiry[i] += d->before_expiry[i];
	}
}

static int by_vm(const void *a, const void *b)
{
	const struct replay_vcpu *x = a, *y = b;

	if (x->at.vm != y->at.vm)
		return x->at.vm < y->at.vm ? -1 : 1;
	return x->at.id < y->at.id ? -1 : x->at.id > y->at.id;
}

void replay_name_vm(const struct trace *t, unsigned int i, char *name, size_t size)
{
	const struct trace_vm *vm = trace_vm(t, i);
	long long id = vm->pid >= 0 ? vm->pid : vm->first_tid >= 0 ? vm->first_tid : i;

	snprintf(name, size, "%lld", id);
}

void replay_name_vcpu(const struct trace *t, const struct trace_vcpu *at, char *name, size_t size)
{
	char vm[REPLAY_VM_NAME];

	replay_name_vm(t, at->vm, vm, sizeof(vm));
	if (trace_stats(t)->counted)
		snprintf(name, size, "all");
	else if (trace_stats(t)->nvms < 2)
		snprintf(name, size, "%d", at->id);
	else
		snprintf(name, size, "%s:%d", vm, at->id);
}

/* Is this vCPU among those that are wanted? What it wrote is counted where it is not. */
static bool wanted(struct replay *r, const struct running *v, const struct trace_vcpu *at,
		   const char *vm)
{
	const struct selection *s = &r->selection;
	uint64_t writes = v->deadlines.writes + v->comm;

	if (s->vm && strcmp(s->vm, vm)) {
		r->left_out.vm += writes;
		return false;
	}
	if (s->vcpus && !(at->id >= 0 && at->id < TRACE_MAX_CPUS && s->vcpus[at->id])) {
		r->left_out.vcpu += writes;
		return false;
	}
	r->left_out.comm += v->comm;
	return true;
}

/* Where two vCPUs ran one task, its counts are added up. */
static int collect_tasks(struct replay *r, const struct trace *t, const struct running *v)
{
	for (size_t i = 0; i < v->ntasks; i++) {
		const struct task *from = &v->tasks[i];
		const char *name = trace_task(t, (unsigned int)i);
		struct task *to;
		size_t k = 0;

		if (!from->skips)
			continue;
		while (k < r->ntasks && strcmp(r->tasks[k].name, name))
			k++;
		if (k == r->ntasks) {
			r->tasks[k].name = strdup(name);
			r->tasks[k].skips = calloc(r->npolicies, sizeof(*from->skips));
			if (!r->tasks[r->ntasks++].skips || !r->tasks[k].name)
				return -1;
		}
		to = &r->tasks[k];
		to->writes += from->writes;
		to->later += from->later;
		to->earlier += from->earlier;
		to->same += from->same;
		to->disarmed += from->disarmed;
		for (size_t p = 0; p < r->npolicies; p++)
			to->skips[p] += from->skips[p];
	}
	return 0;
}

static int by_writes(const void *a, const void *b)
{
	const struct task *x = a, *y = b;

	if (x->writes != y->writes)
		return x->writes > y->writes ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int collect_vcpu(struct run *run, const struct trace *t, unsigned int i, bool bounds)
{
	struct replay *r = run->r;
	struct running *run_vcpu = &run->vcpus[i];
	struct replay_vcpu *v = &r->vcpus[r->nvcpus];
	char vm[REPLAY_VM_NAME];
	struct counts *measured;

	v->at = *trace_vcpu(t, i);
	replay_name_vm(t, v->at.vm, vm, sizeof(vm));
	if (!wanted(r, run_vcpu, &v->at, vm) || (!bounds && !run_vcpu->deadlines.writes))
		return 0;
	replay_name_vcpu(t, &v->at, v->name, sizeof(v->name));
	v->counts = calloc(r->npolicies + 1, sizeof(*v->counts));
	r->nvcpus++;
	if (!v->counts || (r->by_task && collect_tasks(r, t, run_vcpu)))
		return -1;
	if (run_vcpu->states) {
		for (size_t p = 0; p < r->npolicies; p++) {
			if (replay_has_figures(r, &r->policies[p]))
				r->policies[p].finish(run_vcpu->states + run->offsets[p],
						      &v->counts[p]);
		}
	}
	v->step_vcpu = run_vcpu->step_vcpu;
	v->halts = run_vcpu->halts;
	v->deadlines = run_vcpu->deadlines;
	v->deadlines.delivered = v->counts[r->stock].value[COL_INJECTIONS];
	measured = &v->counts[r->npolicies];
	measured->value[COL_MSR_WRITE_EXITS] = v->deadlines.writes - run_vcpu->skipped;
	measured->value[COL_SKIPS] = run_vcpu->skipped;
	measured->known[COL_MSR_WRITE_EXITS] = measured->known[COL_SKIPS] = true;
	return 0;
}

/* The VMs' totals, and that of all. */
static int add_up(struct replay *r, const struct trace *t)
{
	for (size_t i = 0; i < r->nvcpus; i++) {
		struct replay_vcpu *v = &r->vcpus[i];
		struct replay_vm *vm = &r->vms[r->nvms];

		if (i && v->at.vm == r->vcpus[i - 1].at.vm) {
			vm--;
		} else {
			replay_name_vm(t, v->at.vm, vm->name, sizeof(vm->name));
			vm->first = i;
			vm->total = calloc(r->npolicies + 1, sizeof(*vm->total));
			if (!vm->total)
				return -1;
			r->nvms++;
		}
		v->vm = r->nvms - 1;
		vm->n++;
		vm->writes += v->deadlines.writes;
		for (size_t p = 0; p <= r->npolicies; p++) {
			add(&vm->total[p], &v->counts[p]);
			add(&r->total[p], &v->counts[p]);
		}
		add_deadlines(&r->deadlines, &v->deadlines);
	}
	return 0;
}

static int collect(struct run *run, const struct trace *t)
{
	struct replay *r = run->r;
	bool bounds = r->stats.evidence == TRACE_BOUNDS;
	unsigned int n = r->stats.nvcpus;

	r->vcpus = calloc(n + 1, sizeof(*r->vcpus));
	r->vms = calloc(n + 1, sizeof(*r->vms));
	r->total = calloc(r->npolicies + 1, sizeof(*r->total));
	r->tasks = calloc(r->by_task ? TRACE_MAX_TASKS : 1, sizeof(*r->tasks));
	if (!r->vcpus || !r->vms || !r->total || !r->tasks)
		return -1;
	for (unsigned int i = 0; i < n; i++) {
		undo(run, &run->vcpus[i]);
		if (collect_vcpu(run, t, i, bounds))
			return -1;
	}
	qsort(r->vcpus, r->nvcpus, sizeof(*r->vcpus), by_vm);
	qsort(r->tasks, r->ntasks, sizeof(*r->tasks), by_writes);
	if (bounds)
		take_clock(run, &r->stats);
	else
		r->first_ns = ((double)run->first_ts - (double)run->begin_ts) * r->unit_ns;
	r->seconds = bounds ? r->stats.span * r->unit_ns / 1e9
			    : (double)(run->last_ts - run->first_ts) * r->unit_ns / 1e9;
	if (run->begun)
		end_slice(run);
	if (add_up(r, t))
		return -1;
	if (r->nvcpus)
		return 0;
	snprintf(r->error, sizeof(r->error),
		 "none of the deadline writes is selected: left out by --from and --to %" PRIu64
		 ", --comm %" PRIu64 ", --vcpu %" PRIu64 ", --vm %" PRIu64,
		 r->left_out.time, r->left_out.comm, r->left_out.vcpu, r->left_out.vm);
	return -1;
}

int replay_run(struct replay *r, const char *path, const struct trace_options *options)
{
	struct run run = { .r = r };
	struct trace *t = NULL;
	char error[sizeof(r->error)];
	int ret = -1;

	snprintf(r->error, sizeof(r->error), "out of memory");
	if (trace_open(path, options, &t))
		snprintf(r->error, sizeof(r->error), "%s", trace_error(t));
	else if (!layout(&run) && !feed(&run, t) && !collect(&run, t))
		ret = 0;
	/* The trace's own messages begin with its name. */
	if (ret && strncmp(r->error, path, strlen(path))) {
		memcpy(error, r->error, sizeof(error));
		snprintf(r->error, sizeof(r->error), "%s: %.400s", path, error);
	}
	trace_close(t);
	for (unsigned int i = 0; i < run.nvcpus; i++) {
		for (size_t k = 0; k < run.vcpus[i].ntasks; k++)
			free(run.vcpus[i].tasks[k].skips);
		free(run.vcpus[i].tasks);
		free(run.vcpus[i].held);
		free(run.vcpus[i].kept);
		free(run.vcpus[i].states);
	}
	free(run.vcpus);
	free(run.offsets);
	free(run.entries);
	return ret;
}

void replay_free(struct replay *r)
{
	for (size_t i = 0; i < r->nvcpus; i++)
		free(r->vcpus[i].counts);
	for (size_t i = 0; i < r->nvms; i++)
		free(r->vms[i].total);
	for (size_t i = 0; i < r->ntasks; i++) {
		free((char *)r->tasks[i].name);
		free(r->tasks[i].skips);
	}
	free(r->vcpus);
	free(r->vms);
	free(r->tasks);
	free(r->total);
	free(r->slices.entries);
	r->slices.entries = NULL;
	r->vcpus = NULL;
	r->vms = NULL;
	r->tasks = NULL;
	r->total = NULL;
	r->nvcpus = r->nvms = r->ntasks = 0;
}
