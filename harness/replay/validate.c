// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lazytsc/sim/replay.h>

#include "replay.h"
#include "validate.h"

/* Whoever delivers ahead of time, as KVM with its timer advance does, is no earlier than that. */
#define EARLY_US 5
/* An interrupt comes no later than that behind a deadline overwritten before it was due. */
#define NEAR_US 200

/* Two ways to replay the writes; which one counts is known at the end. */
enum way { STOCK, LAZY, WAYS };

struct checked {
	struct lazytsc_replay replay;
	uint64_t injections; /* so many of them were taken note of */
	uint64_t due_ts; /* an interrupt was predicted at this time, and has not come; 0: none */
	bool paid; /* the next one has come already */
	struct agreement interrupts;
	struct unexpected why;
};

struct running {
	struct checked *ways; /* WAYS; NULL: this vCPU has written nothing yet */
	uint64_t writes, skipped;
	uint64_t now; /* of the last event */
	uint64_t deadline, replaced; /* that stands; that was overwritten last */
	uint64_t exit_ts; /* an MSR_WRITE exit whose write has not come; 0: none */
	bool begins; /* no write yet, or none since events were lost: its exit may be before that */
	bool gap; /* events were lost, and no write or interrupt since: a deadline may be */
	struct agreement exits;
	uint64_t other_exits, timer_exits, interrupts;
};

struct run {
	struct running *vcpus; /* TRACE_MAX_VCPUS */
	double khz;
};

double agreement_percent(const struct agreement *a)
{
	uint64_t all = a->both + a->missing + a->unexpected;

	return all ? 100 * (double)a->both / (double)all : 100;
}

static void missing(struct agreement *a, uint64_t ts)
{
	a->missing++;
	if (!a->first_missing)
		a->first_missing = ts;
}

static void unexpected(struct agreement *a, uint64_t ts)
{
	a->unexpected++;
	if (!a->first_unexpected)
		a->first_unexpected = ts;
}

/* Interrupts that the replay has injected since: one can wait, a second before it came is lost. */
static void take_injections(struct checked *c, uint64_t ts)
{
	for (; c->injections < c->replay.counts.injections; c->injections++) {
		if (c->paid) {
			c->paid = false;
			continue;
		}
		if (c->due_ts)
			missing(&c->interrupts, c->due_ts);
		c->due_ts = ts;
	}
}

static double cycles(const struct run *run, double us)
{
	return us * run->khz / 1e3;
}

static void take_write(struct run *run, struct running *v, const struct trace_event *ev)
{
	v->writes++;
	v->skipped += ev->skipped;
	if (!ev->skipped) {
		if (v->exit_ts)
			v->exits.both++;
		else if (!v->begins)
			missing(&v->exits, ev->ts);
		v->exit_ts = 0;
		v->begins = false;
	}
	v->gap = false;
	for (int w = 0; w < WAYS; w++) {
		struct checked *c = &v->ways[w];

		lazytsc_replay_run_until(&c->replay, ev->now);
		take_injections(c, ev->ts);
		lazytsc_replay_write(&c->replay, ev->now, ev->value);
		take_injections(c, ev->ts);
		/* What came ahead of its time was for a deadline that no longer stands. */
		c->paid = false;
	}
	if (v->deadline > ev->now)
		v->replaced = v->deadline;
	v->deadline = ev->value;
	(void)run;
}

static void take_interrupt(struct run *run, struct running *v, const struct trace_event *ev,
			   double scatter)
{
	double early = cycles(run, EARLY_US) + scatter, near = cycles(run, NEAR_US) + scatter;

	v->interrupts++;
	if (v->gap) {
		v->gap = false;
		return;
	}
	for (int w = 0; w < WAYS; w++) {
		struct checked *c = &v->ways[w];
		uint64_t timer;

		lazytsc_replay_run_until(&c->replay, ev->now);
		take_injections(c, ev->ts);
		timer = v->deadline;
		if (c->due_ts) {
			c->due_ts = 0;
			c->interrupts.both++;
		} else if (!c->paid && timer > ev->now && (double)(timer - ev->now) <= early) {
			c->paid = true;
			c->interrupts.both++;
		} else {
			unexpected(&c->interrupts, ev->ts);
			if (v->replaced &&
			    (v->replaced <= ev->now ? (double)(ev->now - v->replaced) <= near
						    : (double)(v->replaced - ev->now) <= early))
				c->why.replaced++;
			else if (timer > ev->now)
				c->why.early++;
			else
				c->why.none++;
		}
	}
	v->replaced = 0;
}

static void take_exit(struct running *v, const struct trace_event *ev)
{
	v->timer_exits += ev->value == TRACE_EXIT_PREEMPTION_TIMER;
	if (ev->value != TRACE_EXIT_MSR_WRITE)
		return;
	/* The one before wrote another MSR. */
	v->other_exits += v->exit_ts != 0;
	v->exit_ts = ev->ts;
}

static void restart(struct running *v)
{
	for (int w = 0; v->ways && w < WAYS; w++) {
		lazytsc_replay_restart(&v->ways[w].replay);
		v->ways[w].due_ts = 0;
		v->ways[w].paid = false;
	}
	v->deadline = v->replaced = v->exit_ts = 0;
	v->begins = v->gap = true;
}

static bool begin(struct running *v)
{
	v->begins = true;
	/* The area within is aligned to more than what calloc() gives. */
	v->ways = aligned_alloc(_Alignof(struct checked), WAYS * sizeof(*v->ways));
	if (!v->ways)
		return false;
	memset(v->ways, 0, WAYS * sizeof(*v->ways));
	lazytsc_replay_init(&v->ways[STOCK].replay, &lazytsc_variant_stock, NULL, NULL);
	lazytsc_replay_init(&v->ways[LAZY].replay, &lazytsc_variant_lazy, NULL, NULL);
	return true;
}

static int feed(struct run *run, struct trace *t)
{
	struct trace_event ev;
	int got;

	while ((got = trace_next(t, &ev)) > 0) {
		struct running *v = &run->vcpus[ev.vcpu];

		if (run->khz == 0)
			run->khz = trace_stats(t)->tsc_khz > 0 ? trace_stats(t)->tsc_khz
							       : ASSUMED_KHZ;
		/* An interrupt, by which the replay goes as well, may be behind what follows. */
		if (ev.now < v->now)
			ev.now = v->now;
		v->now = ev.now;
		if (!v->ways && !begin(v))
			return -1;
		switch (ev.kind) {
		case TRACE_EVENT_WRITE:
			take_write(run, v, &ev);
			break;
		case TRACE_EVENT_IRQ:
			take_interrupt(run, v, &ev, trace_stats(t)->offset_error);
			break;
		case TRACE_EVENT_EXIT:
			take_exit(v, &ev);
			break;
		case TRACE_EVENT_SKIPPED:
			v->skipped++;
			break;
		case TRACE_EVENT_GAP:
			restart(v);
			break;
		default:
			break;
		}
	}
	return got;
}

static void add(struct agreement *sum, const struct agreement *a)
{
	sum->both += a->both;
	sum->missing += a->missing;
	sum->unexpected += a->unexpected;
}

static int by_name(const void *a, const void *b)
{
	const struct validated_vcpu *x = a, *y = b;

	if (x->at.vm != y->at.vm)
		return x->at.vm < y->at.vm ? -1 : 1;
	return x->at.id < y->at.id ? -1 : x->at.id > y->at.id;
}

/* One interrupt before the first write may be for a deadline from before the trace. */
static uint64_t unwritten(const struct trace_vcpu *at)
{
	return at->early_irqs ? at->early_irqs - 1 : 0;
}

static void collect_vcpu(struct validation *out, const struct trace *t, const struct running *v,
			 unsigned int i)
{
	struct validated_vcpu *to = &out->vcpus[out->nvcpus++], *sum = &out->total;
	static const struct checked no_writes;
	const struct checked *c = v->ways ? &v->ways[out->lazy ? LAZY : STOCK] : &no_writes;

	to->at = *trace_vcpu(t, i);
	replay_name_vcpu(t, &to->at, to->name, sizeof(to->name));
	to->writes = v->writes;
	to->skipped = v->skipped;
	to->interrupts = c->interrupts;
	to->why = c->why;
	to->interrupts.unexpected += unwritten(&to->at);
	to->why.none += unwritten(&to->at);
	if (unwritten(&to->at))
		to->interrupts.first_unexpected = to->at.early_irq_ts;
	to->exits = v->exits;
	to->other_exits = v->other_exits;
	to->timer_exits = v->timer_exits;
	to->deliveries = c->replay.counts.injections;
	sum->writes += to->writes;
	sum->skipped += to->skipped;
	add(&sum->interrupts, &to->interrupts);
	add(&sum->exits, &to->exits);
	sum->why.replaced += to->why.replaced;
	sum->why.none += to->why.none;
	sum->why.early += to->why.early;
	sum->other_exits += to->other_exits;
	sum->timer_exits += to->timer_exits;
	sum->deliveries += to->deliveries;
}

static int collect(struct validation *out, const struct trace *t, const struct run *run)
{
	out->stats = *trace_stats(t);
	out->lazy = out->stats.skipped != 0;
	out->vcpus = calloc(out->stats.nvcpus + 1, sizeof(*out->vcpus));
	if (!out->vcpus)
		return -1;
	for (unsigned int i = 0; i < out->stats.nvcpus; i++) {
		const struct running *v = &run->vcpus[i];

		if (!v->ways && !unwritten(trace_vcpu(t, i)))
			continue;
		out->has_interrupts |= v->interrupts || unwritten(trace_vcpu(t, i));
		/* hrtimer_rearm comes before its write, and does not tell whether that exits. */
		if (out->stats.source != TRACE_REARM)
			out->has_exits |= v->exits.both || v->other_exits || v->timer_exits;
		collect_vcpu(out, t, v, i);
	}
	strcpy(out->total.name, "total");
	qsort(out->vcpus, out->nvcpus, sizeof(*out->vcpus), by_name);
	if (out->stats.source == TRACE_EXITS) {
		snprintf(
			out->error, sizeof(out->error),
			"exits without deadline writes: there is nothing to replay; on the host: %s",
			TRACE_RECORD_HOST);
		return -1;
	}
	if (out->has_interrupts || out->has_exits)
		return 0;
	snprintf(
		out->error, sizeof(out->error),
		"deadline writes, but neither timer interrupts nor exits to hold them against: record irq_vectors:local_timer_entry in the guest, or kvm:kvm_exit on its host");
	return -1;
}

int validate(struct validation *out, const char *path, const struct trace_options *options)
{
	struct trace_options wanted = *options;
	struct run run = { .vcpus = calloc(TRACE_MAX_VCPUS, sizeof(*run.vcpus)) };
	struct trace *t = NULL;
	char error[sizeof(out->error)];
	int ret = -1;

	wanted.events |= 1U << TRACE_EVENT_IRQ | 1U << TRACE_EVENT_EXIT;
	snprintf(out->error, sizeof(out->error), "out of memory");
	if (run.vcpus && trace_open(path, &wanted, &t))
		snprintf(out->error, sizeof(out->error), "%s", trace_error(t));
	else if (run.vcpus)
		ret = feed(&run, t);
	if (ret < 0 && t && *trace_error(t))
		snprintf(out->error, sizeof(out->error), "%s", trace_error(t));
	else if (ret == 0)
		ret = collect(out, t, &run);
	if (ret && strncmp(out->error, path, strlen(path))) {
		memcpy(error, out->error, sizeof(error));
		snprintf(out->error, sizeof(out->error), "%s: %.400s", path, error);
	}
	trace_close(t);
	for (unsigned int i = 0; run.vcpus && i < TRACE_MAX_VCPUS; i++)
		free(run.vcpus[i].ways);
	free(run.vcpus);
	return ret;
}

void validate_free(struct validation *v)
{
	free(v->vcpus);
	v->vcpus = NULL;
	v->nvcpus = 0;
}
