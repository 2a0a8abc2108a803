// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include <lazytsc/abi.h>
#include <lazytsc/sim/workload.h>

#include "wide.h"

struct lazytsc_workload_options lazytsc_workload_options_default(void)
{
	return (struct lazytsc_workload_options){
		.tick_ns = 1000000,
		.request_ns = 20000,
		.service_ns = 10000,
		.idle_ns = 20000000,
		.timers = 4,
		.gap_ns = 100000,
		.mean_ns = 200000,
	};
}

static u64 cycles(const struct lazytsc_workload_state *s, u64 ns)
{
	return wide_mul_div(ns, s->khz, 1000000);
}

/* Uniform around a mean: in [1, 2 * mean]. */
static u64 around(struct lazytsc_workload_state *s, u64 ns)
{
	return 1 + lazytsc_random_below(&s->random, 2 * cycles(s, ns));
}

static u64 below(struct lazytsc_workload_state *s, u64 n)
{
	return lazytsc_random_below(&s->random, n);
}

static void put(struct lazytsc_workload_op *op, enum lazytsc_workload_op_kind kind, u64 at,
		u64 value)
{
	op->kind = kind;
	op->at = at;
	op->value = value;
}

/* The first tick after @now. Each vCPU's ticks have their own phase, as with skew_tick=1. */
static u64 next_tick(const struct lazytsc_workload_state *s, u64 now)
{
	u64 period = cycles(s, s->options->tick_ns);
	u64 phase = s->start + s->vcpu % 64 * (period / 64);

	return now < phase ? phase : phase + ((now - phase) / period + 1) * period;
}

/* A busy guest with a periodic tick: each tick's handler programs the next. */
static void tick_next(struct lazytsc_workload_state *s, enum lazytsc_asked reason, u64 now,
		      struct lazytsc_workload_op *op)
{
	if (reason == LAZYTSC_ASKED_NEXT)
		put(op, LAZYTSC_WORKLOAD_NOTHING, now, 0);
	else
		put(op, LAZYTSC_WORKLOAD_SET, now, next_tick(s, now));
}

/*
 * Request and response on a guest that goes idle between them, with NOHZ: netperf's TCP_RR. Leaving
 * idle restarts the tick, going idle stops it: two programmed deadlines a request, and hardly one
 * of them ever expires.
 */
static void nohz_rr_next(struct lazytsc_workload_state *s, enum lazytsc_asked reason, u64 now,
			 struct lazytsc_workload_op *op)
{
	enum { BUSY, STOP_TICK, GO_IDLE, IDLE };
	u64 *phase = &s->w[0], *busy_until = &s->w[1], *timer = &s->w[2], *request = &s->w[3];

	if (reason == LAZYTSC_ASKED_START || reason == LAZYTSC_ASKED_WOKEN) {
		*phase = BUSY;
		*busy_until = now + cycles(s, s->options->service_ns);
		put(op, LAZYTSC_WORKLOAD_SET, now, next_tick(s, now));
	} else if (reason == LAZYTSC_ASKED_TIMER && *phase != IDLE) {
		*phase = BUSY;
		put(op, LAZYTSC_WORKLOAD_SET, now, next_tick(s, now));
	} else if (reason == LAZYTSC_ASKED_TIMER || *phase == STOP_TICK) {
		if (*timer <= now)
			*timer = now + around(s, s->options->idle_ns);
		if (*phase == STOP_TICK)
			*request = now + around(s, s->options->request_ns);
		*phase = GO_IDLE;
		put(op, LAZYTSC_WORKLOAD_SET, now, *timer);
	} else if (*phase == BUSY) {
		*phase = STOP_TICK;
		put(op, LAZYTSC_WORKLOAD_PAUSE, *busy_until, 0);
	} else {
		*phase = IDLE;
		put(op, LAZYTSC_WORKLOAD_HALT, now, *request > now ? *request : now + 1);
	}
}

/* Several cyclic timers, one clock event device: cyclictest with as many threads. */
static void cyclic_next(struct lazytsc_workload_state *s, enum lazytsc_asked reason, u64 now,
			struct lazytsc_workload_op *op)
{
	u64 n = s->options->timers < 8 ? s->options->timers : 8;
	u64 first = ~(u64)0;

	for (u64 i = 0; i < n; i++) {
		u64 period = cycles(s, (i + 1) * s->options->tick_ns - i * 1000);

		if (!s->w[i])
			s->w[i] = s->start + period;
		while (s->w[i] <= now)
			s->w[i] += period;
		if (s->w[i] < first)
			first = s->w[i];
	}
	if (reason == LAZYTSC_ASKED_NEXT || !n)
		put(op, LAZYTSC_WORKLOAD_NOTHING, now, 0);
	else
		put(op, LAZYTSC_WORKLOAD_SET, now, first);
}

/* Bursts of rewrites a microsecond apart, some earlier and some later than before. */
static void storm_next(struct lazytsc_workload_state *s, enum lazytsc_asked reason, u64 now,
		       struct lazytsc_workload_op *op)
{
	u64 *left = &s->w[0];

	if (reason != LAZYTSC_ASKED_NEXT || *left == 0) {
		*left = 1 + below(s, 8);
		put(op, LAZYTSC_WORKLOAD_PAUSE, now + around(s, s->options->gap_ns), 0);
		return;
	}
	--*left;
	put(op, LAZYTSC_WORKLOAD_SET, now + cycles(s, 1000), now + around(s, s->options->mean_ns));
}

/* A deadline as tests like them: mostly ahead; now and then past, equal, tiny or huge. */
static u64 any_deadline(struct lazytsc_workload_state *s, u64 now)
{
	switch (below(s, 16)) {
	case 0:
		return now - below(s, now < 1000000 ? now : 1000000);
	case 1:
		return now ? now : 1;
	case 2:
		return 1 + below(s, 2);
	case 3:
		return ~(u64)0 - below(s, 1000);
	default:
		return now + around(s, s->options->mean_ns);
	}
}

/* What was switched off is switched on again before anything else of its kind. */
static bool repair(struct lazytsc_workload_state *s, u64 at, struct lazytsc_workload_op *op)
{
	enum lazytsc_workload_op_kind off = s->w[0];

	if (!off || below(s, 4))
		return false;
	s->w[0] = 0;
	put(op, off, at, off != LAZYTSC_WORKLOAD_MASK);
	return true;
}

static void switch_off(struct lazytsc_workload_state *s, u64 at, struct lazytsc_workload_op *op)
{
	static const uint8_t kinds[] = {
		LAZYTSC_WORKLOAD_MASK,	  LAZYTSC_WORKLOAD_MODE,    LAZYTSC_WORKLOAD_APIC,
		LAZYTSC_WORKLOAD_FEATURE, LAZYTSC_WORKLOAD_OFFLINE,
	};
	enum lazytsc_workload_op_kind kind = kinds[below(s, sizeof(kinds))];

	if (s->w[0]) {
		put(op, LAZYTSC_WORKLOAD_RDMSR, at, 0);
		return;
	}
	s->w[0] = kind == LAZYTSC_WORKLOAD_OFFLINE ? LAZYTSC_WORKLOAD_FEATURE : kind;
	put(op, kind, at, kind == LAZYTSC_WORKLOAD_MASK);
	if (kind == LAZYTSC_WORKLOAD_MODE && below(s, 2))
		op->value = LAZYTSC_MODE_ONE_SHOT;
}

/* Everything that a guest may do, in any order. */
static void random_next(struct lazytsc_workload_state *s, enum lazytsc_asked reason, u64 now,
			struct lazytsc_workload_op *op)
{
	u64 at = now + around(s, s->options->gap_ns);

	if (reason == LAZYTSC_ASKED_START)
		s->w[0] = 0;
	if (repair(s, at, op))
		return;
	if (s->w[0] == LAZYTSC_WORKLOAD_MODE && below(s, 2)) {
		put(op, LAZYTSC_WORKLOAD_TMICT, at, around(s, s->options->mean_ns));
		return;
	}
	switch (below(s, 32)) {
	case 0 ... 1:
		put(op, LAZYTSC_WORKLOAD_DISARM, at, 0);
		break;
	case 2:
		put(op, LAZYTSC_WORKLOAD_RAW, at, below(s, 4) ? any_deadline(s, at) : 0);
		break;
	case 3 ... 5:
		put(op, LAZYTSC_WORKLOAD_RDMSR, at, 0);
		break;
	case 6 ... 9:
		put(op, LAZYTSC_WORKLOAD_HALT, at, at + around(s, s->options->mean_ns));
		break;
	case 10:
		switch_off(s, at, op);
		break;
	case 11:
		put(op, LAZYTSC_WORKLOAD_TMICT, at, around(s, s->options->mean_ns));
		break;
	default:
		put(op, LAZYTSC_WORKLOAD_SET, at, any_deadline(s, at));
		break;
	}
}

/* Enables the feature and then forgets it at times: firmware, a kexec'd kernel. */
static void raw_next(struct lazytsc_workload_state *s, enum lazytsc_asked reason, u64 now,
		     struct lazytsc_workload_op *op)
{
	u64 at = now + around(s, s->options->gap_ns);

	(void)reason;
	switch (below(s, 8)) {
	case 0:
		put(op, LAZYTSC_WORKLOAD_RDMSR, at, 0);
		break;
	case 1:
		put(op, LAZYTSC_WORKLOAD_HALT, at, at + around(s, s->options->mean_ns));
		break;
	case 2:
		put(op, LAZYTSC_WORKLOAD_SET, at, at + 2 * around(s, s->options->mean_ns));
		break;
	default:
		put(op, LAZYTSC_WORKLOAD_RAW, at, below(s, 8) ? any_deadline(s, at) : 0);
		break;
	}
}

/* A word that LAZYTSC_MSR must refuse, or one for an address with no memory. */
static u64 bad_word(struct lazytsc_workload_state *s)
{
	u64 word = below(s, (u64)1 << 36) & LAZYTSC_MSR_GPA;

	switch (below(s, 4)) {
	case 3:
		return word | LAZYTSC_MSR_ENABLE;
	case 0:
		return word | LAZYTSC_MSR_ENABLE | (u64)2 << below(s, 5);
	case 1:
		return word | 0x1000;
	default:
		return word | LAZYTSC_MSR_ENABLE | (u64)1 << 62;
	}
}

/* Writes to its page what it likes, and words that no host may accept. */
static void hostile_next(struct lazytsc_workload_state *s, enum lazytsc_asked reason, u64 now,
			 struct lazytsc_workload_op *op)
{
	u64 at = now + around(s, s->options->gap_ns);

	(void)reason;
	switch (below(s, 8)) {
	case 0:
		put(op, LAZYTSC_WORKLOAD_SCRIBBLE_ARMED, at, below(s, 2) ? 0 : any_deadline(s, at));
		break;
	case 1:
	case 2:
		put(op, LAZYTSC_WORKLOAD_SCRIBBLE_PENDING, at, any_deadline(s, at));
		break;
	case 3:
		put(op, LAZYTSC_WORKLOAD_WORD, at, bad_word(s));
		break;
	case 4:
		put(op, LAZYTSC_WORKLOAD_RAW, at, any_deadline(s, at));
		break;
	case 5:
		put(op, LAZYTSC_WORKLOAD_HALT, at, at + around(s, s->options->mean_ns));
		break;
	default:
		put(op, LAZYTSC_WORKLOAD_SET, at, at + around(s, s->options->mean_ns));
		break;
	}
}

/*
 * A recorded trace. A write that came after the deadline before it had passed was made by the
 * interrupt's handler, or because of it: it does not come before the interrupt does here. Apart
 * from that each write comes when it came.
 */
static void trace_next(struct lazytsc_workload_state *s, enum lazytsc_asked reason, u64 now,
		       struct lazytsc_workload_op *op)
{
	static const struct lazytsc_workload_trace none;
	const struct lazytsc_workload_options *o = s->options;
	const struct lazytsc_workload_trace *t =
		o->trace_count ? &o->traces[s->vcpu % o->trace_count] : &none;
	const struct lazytsc_workload_write *w;
	u64 *i = &s->w[0], *waits = &s->w[1], *shift = &s->w[2], held;

	if (reason == LAZYTSC_ASKED_START)
		*shift = now - (t->count ? t->write[0].tsc : 0);
	if (reason == LAZYTSC_ASKED_TIMER)
		*waits = 0;
	if (*i == t->count) {
		put(op, LAZYTSC_WORKLOAD_DONE, now, 0);
		return;
	}
	w = &t->write[*i];
	held = *i ? w[-1].value : 0;
	if (held && held <= w->tsc && *waits) {
		put(op, LAZYTSC_WORKLOAD_NOTHING, now, 0);
		return;
	}
	if (w->tsc + *shift > now) {
		put(op, LAZYTSC_WORKLOAD_PAUSE, w->tsc + *shift, 0);
		return;
	}
	put(op, w->value ? LAZYTSC_WORKLOAD_SET : LAZYTSC_WORKLOAD_DISARM, now,
	    w->value ? w->value + *shift : 0);
	*waits = w->value != 0;
	++*i;
}

static const struct lazytsc_workload workloads[] = {
	{ "tick", "a busy guest with a periodic tick", tick_next },
	{ "nohz-rr", "requests to a guest that goes idle in between, NOHZ (netperf TCP_RR)",
	  nohz_rr_next },
	{ "cyclic", "several cyclic timers (cyclictest)", cyclic_next },
	{ "storm", "bursts of rewrites", storm_next },
	{ "random", "every operation, in any order", random_next },
	{ "raw", "writes the MSR past the hook", raw_next },
	{ "hostile", "writes nonsense to its page and its MSR", hostile_next },
	{ "trace", "a recorded trace, reacting to deliveries", trace_next },
};

const struct lazytsc_workload *lazytsc_workload_at(unsigned int i)
{
	return i < sizeof(workloads) / sizeof(workloads[0]) ? &workloads[i] : NULL;
}

const struct lazytsc_workload *lazytsc_workload_find(const char *name)
{
	const struct lazytsc_workload *p;

	for (unsigned int i = 0; (p = lazytsc_workload_at(i)); i++) {
		if (!strcmp(p->name, name))
			return p;
	}
	return NULL;
}
