// SPDX-License-Identifier: BSD-2-Clause
#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <lazytsc/sim/scenario.h>

#define HUGE_DEADLINE (~(u64)0)
/* The host may stall for any time here, so the monitor's bound on lateness is never reached. */
#define NEVER_LATE (~(u64)0)
#define AREA_GPA   ((u64)1 << 20)
#define GPA_END	   ((u64)1 << 30)

/* The guest's grace; without one in the scenario no promise is ever void (B28). */
static u64 grace(const struct lazytsc_scenario *s)
{
	return s->grace ? s->grace : NEVER_LATE;
}

enum {
	CPU_VCPU = LAZYTSC_CPU_VCPU,
	CPU_OTHER = LAZYTSC_CPU_OTHER,
	CPU_CLOCK = LAZYTSC_CPU_CLOCK,
	CPU_LAPIC = LAZYTSC_CPU_LAPIC
};

#define X(name, words) words,
static const char *const choices[] = { LAZYTSC_CHOICES(X) };
#undef X

enum lazytsc_choice lazytsc_choice_of(const struct lazytsc_step_info *step)
{
	unsigned int i = 0;

	while (i < LAZYTSC_CHOICE_VALUE && strcmp(choices[i], step->name))
		i++;
	return (enum lazytsc_choice)i;
}

/* What a thread works with. */
struct actor {
	struct lazytsc_world *w;
	struct lazytsc_area *area;
	const struct lazytsc_cell *cell;
	const struct lazytsc_scenario *s;
	u64 until; /* for after() */
};

static struct actor actor(const struct lazytsc_self *self)
{
	const struct lazytsc_cell *cell = self->arg;

	return (struct actor){
		.w = self->common,
		.area = self->shared,
		.cell = cell,
		.s = cell->scenario,
	};
}

/* The area as the host can reach it now. */
static struct lazytsc_area *host_area(const struct actor *a)
{
	const struct lazytsc_world *w = a->w;

	if (!w->enabled || w->masked || w->slot_gone)
		return NULL;
	if (a->s->glue && (!w->mapped || w->outdated))
		return NULL;
	return a->area;
}

/*
 * The area in which armed is published. The kernel does not look the page up for an expiry: whoever
 * takes the mapping, or changes the memslot, has withdrawn before.
 */
static struct lazytsc_area *published_area(const struct actor *a)
{
	const struct lazytsc_world *w = a->w;

	if (!a->s->glue)
		return host_area(a);
	return w->host.lazy && w->mapped ? a->area : NULL;
}

/*
 * Counters that no decision and no rule looks at must not tell two states apart, so they are
 * zeroed. B12 compares silent expiries with skips: both are lowered by the smaller of them, which
 * keeps their difference.
 */
static void settle(struct lazytsc_world *w)
{
	struct lazytsc_monitor *m = &w->mon;
	u64 both = m->skips < m->silent ? m->skips : m->silent;

	memset(&w->host.stats, 0, sizeof(w->host.stats));
	w->guest.writes = w->guest.skips = 0;
	/* The guest reads the TSC between its load and its decision. */
	if (!m->in_set || !m->limits.grace)
		w->loaded = 0;
	m->skips -= both;
	m->silent -= both;
	if (m->limits.credit)
		m->skips = m->silent = 0;
	m->sets = m->injections = m->deliveries = m->taken_count = 0;
	for (unsigned int i = 0; i < LAZYTSC_ARMS && m->arm[i].serial; i++)
		m->arm[i].since = NEVER_LATE;
	for (unsigned int i = 0; i < m->inflights; i++)
		m->inflight[i].since = NEVER_LATE;
	m->ended.since = m->irr_since = NEVER_LATE;
	if (!m->in_host)
		m->now = m->limit = m->trapped = m->trap_pending = 0;
	w->guest.overdue = 0;
	if (!m->in_set)
		m->set_tsc = 0;
	if (m->expiry_tsc != w->clock || !m->repeats)
		m->expiry_tsc = m->repeats = 0;
}

/*
 * The host, in vCPU context or on another CPU.
 */

static bool may_decide(void *arg)
{
	const struct actor *a = arg;

	return !a->w->deciding;
}

/* As may_decide(), and no callback is between its decision and its end: hrtimer_cancel(). */
static bool may_cancel(void *arg)
{
	const struct actor *a = arg;

	return !a->w->deciding && (!a->w->acting || a->cell->glue == LAZYTSC_GLUE_NO_CANCEL);
}

static bool after(void *arg)
{
	const struct actor *a = arg;

	return a->w->clock >= a->until;
}

/* A host function is about to be called; what it will find is remembered with the call. */
static u64 begin_deciding(struct actor *a)
{
	struct lazytsc_world *w = a->w;

	assert(!w->deciding);
	w->deciding = 1;
	lazytsc_note(w->clock);
	lazytsc_note(XXH3_64bits(&w->host, sizeof(w->host)));
	return w->clock;
}

/* Any guess, or none: this includes every guess that a predictor could make. */
static u64 guess(struct actor *a)
{
	u64 choice = 0;

	if (a->s->guesses)
		choice = lazytsc_choose(choices[LAZYTSC_CHOICE_GUESS],
					a->s->horizon - a->s->start + 2);
	return choice ? a->s->start + choice : 0;
}

static void decided(struct actor *a, const struct lazytsc_decision *d, bool expiry)
{
	lazytsc_mon_decision(&a->w->mon, a->w->clock, d, expiry);
	a->w->timer = d->timer;
}

static void deliver(struct actor *a)
{
	struct lazytsc_world *w = a->w;

	while (w->mon.inflights) {
		if (w->masked || w->other_mode) {
			lazytsc_mon_dropped(&w->mon, w->clock);
		} else {
			lazytsc_mon_delivered(&w->mon, w->clock);
			w->irr = 1;
		}
	}
	a->cell->variant->host_delivered(&w->host);
	w->posted = 0;
}

/* vCPU context: the guest stays stopped, so what was decided is delivered before it goes on. */
static void inject(struct actor *a, u64 deadline)
{
	if (!deadline)
		return;
	if (deadline > a->w->clock) {
		a->until = deadline;
		lazytsc_event_if("waits for the deadline", after, a);
	}
	deliver(a);
}

/*
 * VM entry: the host's stores are in memory before the guest goes on, and before another CPU can
 * decide. A real host orders them by unlocking, or by arming its timer.
 */
static void leave_host(struct actor *a)
{
	lazytsc_exit("VM entry");
	a->w->deciding = 0;
	a->w->in_host = 0;
	lazytsc_mon_paid(&a->w->mon);
	settle(a->w);
}

static void withdraw(struct actor *a, struct lazytsc_area *area,
		     enum lazytsc_withdraw_reason reason)
{
	u64 now = begin_deciding(a);
	struct lazytsc_decision d;

	lazytsc_mon_host_begin(&a->w->mon, now, now, 0);
	d = a->cell->variant->host_withdraw(&a->w->host, area, reason);
	lazytsc_exit("withdrawn");
	if (!area && a->cell->glue == LAZYTSC_GLUE_INVALIDATES)
		lazytsc_mon_orphaned(&a->w->mon);
	lazytsc_mon_decision(&a->w->mon, a->w->clock, &d, false);
	/* The glue leaves its hardware timer alone: it is early, not late. */
	if (!a->s->glue)
		a->w->timer = d.timer;
}

/*
 * The vCPU's thread looks the page up. It may sleep for that, and others decide meanwhile. A
 * mapping that was made before a memslot change still leads to the page that the guest reads: the
 * thread withdraws through it, and publishes nothing there.
 */
static void look_up(struct actor *a)
{
	struct lazytsc_world *w = a->w;

	lazytsc_note(w->enabled | w->mapped << 1 | w->outdated << 2);
	if (!a->s->glue || !w->enabled || (w->mapped && !w->outdated))
		return;
	if (w->mapped) {
		withdraw(a, a->area, LAZYTSC_WITHDRAW_MEMSLOT);
		w->deciding = 0;
	}
	lazytsc_event_if("page is looked up", may_cancel, a);
	w->mapped = !w->slot_gone;
	w->outdated = 0;
}

/* The vCPU's thread starts the timer: nothing is left to it any more. */
static void start_timer(struct actor *a)
{
	a->w->timer = a->w->host.timer;
	a->w->elsewhere = 0;
	a->w->undecided = a->w->again = 0;
}

static void trap(struct actor *a, u64 v)
{
	struct lazytsc_world *w = a->w;
	struct lazytsc_decision d;
	u64 now;

	lazytsc_exit_if("WRMSR(TSC_DEADLINE)", may_cancel, a);
	w->in_host = 1;
	look_up(a);
	now = begin_deciding(a);
	lazytsc_mon_trap(&w->mon, now, v, w->pending);
	d = a->cell->variant->host_write(&w->host, host_area(a), v, now, v ? guess(a) : 0);
	decided(a, &d, false);
	start_timer(a);
	inject(a, d.inject);
	leave_host(a);
	lazytsc_mon_enter(&w->mon, w->clock);
}

static struct lazytsc_decision expire(struct actor *a, enum lazytsc_context context, u64 wait,
				      bool look)
{
	struct lazytsc_world *w = a->w;
	u64 now = begin_deciding(a);
	struct lazytsc_expiry e = {
		.context = context,
		.now = now,
		.wait = wait,
		.blocked = w->blocked,
		.nearest = a->s->nearest,
		.look = look,
	};

	lazytsc_mon_host_begin(&w->mon, now, now, context == LAZYTSC_VCPU ? wait : 0);
	if (w->host.lazy)
		e.guess = guess(a);
	return a->cell->variant->host_expire(&w->host, published_area(a), &e);
}

/* The vCPU's thread blocks: until it goes on, the timer stands where the guest wants it (B29). */
static void block(struct actor *a)
{
	struct lazytsc_world *w = a->w;

	lazytsc_event_if("timer may stand later", may_cancel, a);
	begin_deciding(a);
	w->timer = a->cell->variant->host_blocked(&w->host, published_area(a));
	w->elsewhere = 0;
	w->deciding = 0;
}

/*
 * It goes on: because the guest wakes up, or to do something else. A promise that has passed is
 * looked at; else the timer stands at it again. Others wait until the caller has left the host.
 */
static void go_on(struct actor *a)
{
	struct lazytsc_world *w = a->w;
	struct lazytsc_decision d;
	bool passed;

	lazytsc_event_if("the thread goes on", may_cancel, a);
	passed = w->host.timer && w->host.timer <= w->clock;
	lazytsc_note(passed);
	if (passed && a->cell->glue != LAZYTSC_GLUE_NO_LOOK) {
		d = expire(a, LAZYTSC_VCPU, a->s->wait, true);
		decided(a, &d, false);
		start_timer(a);
		inject(a, d.inject);
	} else {
		begin_deciding(a);
		if (!passed && a->cell->glue != LAZYTSC_GLUE_STAYS_LATE)
			start_timer(a);
	}
	lazytsc_mon_goes_on(&w->mon, w->clock, w->timer);
}

static bool vcpu_timer_due(const struct lazytsc_self *self)
{
	const struct actor a = actor(self);
	const struct lazytsc_world *w = a.w;

	return (a.s->where & LAZYTSC_WHERE_VCPU) && w->timer && !w->deciding && !w->in_host &&
	       (w->timer <= w->clock || w->timer - w->clock <= a.s->wait);
}

static void vcpu_timer(const struct lazytsc_self *self)
{
	struct actor a = actor(self);
	struct lazytsc_decision d;

	a.w->in_host = 1;
	if (a.s->glue)
		a.w->timer = 0;
	if (a.cell->glue == LAZYTSC_GLUE_INVALIDATES)
		look_up(&a);
	d = expire(&a, LAZYTSC_VCPU, a.s->wait, false);
	decided(&a, &d, true);
	start_timer(&a);
	inject(&a, d.inject);
	leave_host(&a);
}

static bool requested(const struct lazytsc_self *self)
{
	const struct lazytsc_world *w = self->common;

	return (w->undecided || w->again) && !w->deciding && !w->acting && !w->in_host;
}

/* A kick, and the vCPU's thread serves the request: it decides, or starts the timer. */
static void serve_request(const struct lazytsc_self *self)
{
	struct actor a = actor(self);
	struct lazytsc_decision d;

	a.w->in_host = 1;
	lazytsc_note(a.w->undecided);
	if (a.w->undecided) {
		look_up(&a);
		d = expire(&a, LAZYTSC_VCPU, a.s->wait, false);
		decided(&a, &d, true);
		start_timer(&a);
		inject(&a, d.inject);
	} else {
		begin_deciding(&a);
		start_timer(&a);
	}
	leave_host(&a);
}

static bool stale_call(const struct lazytsc_world *w, const struct lazytsc_scenario *s)
{
	return w->stale < s->stale && !w->deciding && w->timer && w->timer > w->clock &&
	       w->timer - w->clock > s->wait;
}

static bool vcpu_stale(const struct lazytsc_self *self)
{
	const struct actor a = actor(self);

	return (a.s->where & LAZYTSC_WHERE_VCPU) && !a.w->in_host && stale_call(a.w, a.s);
}

/* A late call: the timer was moved after it had fired, so no timer expires with this call. */
static void vcpu_stale_call(const struct lazytsc_self *self)
{
	struct actor a = actor(self);
	struct lazytsc_decision d;

	a.w->stale++;
	a.w->in_host = 1;
	d = expire(&a, LAZYTSC_VCPU, a.s->wait, false);
	decided(&a, &d, false);
	inject(&a, d.inject);
	leave_host(&a);
}

static bool other_stale(const struct lazytsc_self *self)
{
	const struct actor a = actor(self);

	return (a.s->where & LAZYTSC_WHERE_REMOTE) && stale_call(a.w, a.s);
}

static bool other_timer_due(void *arg)
{
	const struct actor *a = arg;
	const struct lazytsc_world *w = a->w;

	return (a->s->where & LAZYTSC_WHERE_REMOTE) && w->timer && !w->deciding &&
	       w->timer <= w->clock;
}

/* Acts on what was decided on another CPU, there. */
static void act(struct actor *a, const struct lazytsc_decision *d)
{
	struct lazytsc_world *w = a->w;

	if (d->inject && w->masked)
		deliver(a); /* that is: drop it */
	else
		w->posted |= d->inject != 0;
	w->timer = d->timer;
	w->elsewhere = a->s->nearest != 0;
	if (d->thread && a->cell->glue != LAZYTSC_GLUE_STARTS_ALL) {
		w->timer = 0;
		w->again = 1;
	}
}

/* As the first glue did: without the page the decision is left to the vCPU's thread. */
static bool leaves_undecided(struct actor *a)
{
	struct lazytsc_world *w = a->w;

	if (a->cell->glue != LAZYTSC_GLUE_INVALIDATES || !w->host.lazy || host_area(a))
		return false;
	w->undecided = 1;
	return true;
}

static void call_back(struct actor *a, bool expiry)
{
	struct lazytsc_world *w = a->w;
	struct lazytsc_decision d;

	if (expiry && w->elsewhere)
		lazytsc_mon_elsewhere(&w->mon, w->clock);
	if (a->s->glue)
		w->timer = 0;
	if (leaves_undecided(a)) {
		settle(w);
		return;
	}
	/* LAZYTSC_REMOTE must ignore the wait, so pass one. */
	d = expire(a, LAZYTSC_REMOTE, a->s->wait, false);

	/* Arming a timer, posting an interrupt and unlocking are all locked operations. */
	lazytsc_exit(a->s->glue ? "callback unlocks" : "callback returns");
	lazytsc_mon_decision(&w->mon, w->clock, &d, expiry);
	w->deciding = 0;
	if (a->s->glue) {
		w->acting = 1;
		settle(w);
		lazytsc_event("callback acts");
		w->acting = 0;
	}
	act(a, &d);
	settle(w);
}

static void other_stale_call(const struct lazytsc_self *self)
{
	struct actor a = actor(self);

	a.w->stale++;
	call_back(&a, false);
}

static void run_other(const struct lazytsc_self *self)
{
	struct actor a = actor(self);

	for (;;) {
		lazytsc_checkpoint(0);
		lazytsc_event_if("hrtimer fires", other_timer_due, &a);
		call_back(&a, true);
	}
}

static bool timer_may_be_lost(const struct lazytsc_self *self)
{
	const struct actor a = actor(self);

	return a.w->forgets < a.s->forgets && a.w->timer && !a.w->deciding && !a.w->acting;
}

/* A fault outside the protocol, or a host that stands still: the promise is not kept. */
static void timer_is_lost(const struct lazytsc_self *self)
{
	struct lazytsc_world *w = self->common;

	w->forgets++;
	w->timer = 0;
	lazytsc_mon_forsaken(&w->mon);
	settle(w);
}

static bool may_write_pending(const struct lazytsc_self *self)
{
	const struct actor a = actor(self);

	return a.w->siblings < a.s->siblings;
}

/* Another vCPU of the guest writes to this one's area. */
static void write_pending(const struct lazytsc_self *self)
{
	struct actor a = actor(self);
	u64 v;

	a.w->siblings++;
	v = lazytsc_choose("another vCPU stores pending", a.s->horizon + 1);
	lazytsc_store(&a.area->pending, v);
	lazytsc_mon_besieged(&a.w->mon, a.w->clock);
	lazytsc_exit("stored");
}

static bool may_unmap(const struct lazytsc_self *self)
{
	const struct actor a = actor(self);

	/* The notifier holds gpc->lock, so no decision is in progress. */
	return a.s->glue && a.w->unmaps < a.s->unmaps && a.w->mapped && !a.w->deciding;
}

/* The MMU notifier: the mapping becomes invalid, for instance because the page is moved. */
static void unmap(const struct lazytsc_self *self)
{
	struct actor a = actor(self);
	struct lazytsc_world *w = a.w;

	w->unmaps++;
	if (w->enabled && a.cell->glue != LAZYTSC_GLUE_INVALIDATES) {
		withdraw(&a, a.area, LAZYTSC_WITHDRAW_MEMSLOT);
		lazytsc_mon_memslot(&w->mon, w->clock);
	}
	w->mapped = 0;
	w->deciding = 0;
	settle(w);
}

static bool slot_may_change(const struct lazytsc_self *self)
{
	const struct actor a = actor(self);

	return a.w->slots < a.s->slots && !a.w->deciding;
}

static void slot_changes(const struct lazytsc_self *self)
{
	struct actor a = actor(self);
	struct lazytsc_world *w = a.w;

	w->slots++;
	if (a.s->glue) {
		/* Every look-up from now on sees the change; earlier readers have left (SRCU). */
		w->outdated = 1;
		lazytsc_event_if("memslot is flushed", may_decide, &a);
	}
	lazytsc_note(w->mapped);
	withdraw(&a, a.s->glue && w->enabled && w->mapped ? a.area : host_area(&a),
		 LAZYTSC_WITHDRAW_MEMSLOT);
	if (a.cell->glue != LAZYTSC_GLUE_INVALIDATES)
		lazytsc_mon_memslot(&w->mon, w->clock);
	w->slot_gone = 1;
	w->deciding = 0;
	settle(w);
	lazytsc_event_if("memslot is back", may_decide, &a);
	w->slot_gone = 0;
	w->outdated = a.s->glue;
}

static bool time_left(void *arg)
{
	const struct actor *a = arg;

	return a->w->clock < a->s->horizon;
}

static void run_clock(const struct lazytsc_self *self)
{
	struct actor a = actor(self);

	for (;;) {
		lazytsc_checkpoint(0);
		lazytsc_event_if("time passes", time_left, &a);
		a.w->clock++;
		a.w->mon.expiry_tsc = a.w->mon.repeats = 0;
	}
}

static bool on_its_way(void *arg)
{
	const struct actor *a = arg;
	const struct lazytsc_world *w = a->w;

	if (a->cell->glue == LAZYTSC_GLUE_NO_KICK && !w->in_host && !w->blocked)
		return false;
	return w->posted && !w->deciding && !w->user;
}

static void run_lapic(const struct lazytsc_self *self)
{
	struct actor a = actor(self);

	for (;;) {
		lazytsc_checkpoint(0);
		lazytsc_event_if("interrupt arrives", on_its_way, &a);
		deliver(&a);
		settle(a.w);
	}
}

/*
 * The guest's TSC.
 */

/* The hardware timer goes on by the former time. */
static void jump(struct actor *a, u64 to)
{
	struct lazytsc_world *w = a->w;
	u64 by = to - w->clock, timer = w->timer;

	if (timer && to >= w->clock)
		w->timer = timer > HUGE_DEADLINE - by ? HUGE_DEADLINE : timer + by;
	else if (timer && timer != HUGE_DEADLINE)
		w->timer = timer + by && timer > w->clock - to ? timer + by : 1;
	w->clock = to;
	lazytsc_mon_jump(&w->mon, to);
}

static u64 any_time(struct actor *a, const char *what)
{
	return a->s->start + lazytsc_choose(what, a->s->horizon - a->s->start + 1);
}

static bool tsc_may_change(const struct lazytsc_self *self)
{
	const struct actor a = actor(self);

	return a.w->jumps < a.s->jumps && !a.w->in_host;
}

/* A blocked vCPU's thread does something else. */
static void go_on_first(struct actor *a)
{
	if (!a->w->blocked || !a->s->free)
		return;
	go_on(a);
	a->w->deciding = 0;
}

/* The guest is in HLT still, and the thread blocks once more. */
static void block_again(struct actor *a)
{
	if (!a->w->blocked || !a->s->free)
		return;
	a->w->in_host = 1;
	block(a);
	a->w->in_host = 0;
	settle(a->w);
}

/* Callbacks decide on, by either time, until the timer is computed anew below. */
static void tsc_changes(const struct lazytsc_self *self)
{
	struct actor a = actor(self);
	struct lazytsc_world *w = a.w;
	u64 now;

	w->jumps++;
	w->in_host = 1;
	go_on_first(&a);
	jump(&a, any_time(&a, "the TSC reads"));
	if (a.cell->glue != LAZYTSC_GLUE_STALE_TIME) {
		lazytsc_event_if("timer is computed anew", may_cancel, &a);
		look_up(&a);
		withdraw(&a, host_area(&a), LAZYTSC_WITHDRAW_TIME);
		start_timer(&a);
		now = w->clock;
		lazytsc_note(now);
		a.cell->variant->host_resume(&w->host, host_area(&a), now);
	}
	/*
	 * With this defect the search shall find the consequence, not the missing call: so the
	 * monitor is told in any case that the timer was set anew (B19).
	 */
	lazytsc_mon_timer(&w->mon, w->clock, 0, 0, 0);
	leave_host(&a);
	lazytsc_mon_enter(&w->mon, w->clock);
	block_again(&a);
}

/*
 * User space.
 */

static void enable(struct actor *a)
{
	a->cell->variant->host_enable(&a->w->host, a->area);
	a->w->enabled = 1;
	lazytsc_mon_feature(&a->w->mon, a->w->clock, AREA_GPA | LAZYTSC_MSR_ENABLE, GPA_END,
			    LAZYTSC_OFFERED);
}

static void restore(struct actor *a, u64 v)
{
	a->w->timer = a->cell->variant->host_restore(&a->w->host, v).timer;
	lazytsc_mon_restore(&a->w->mon, a->w->clock, v);
}

enum {
#define X(name, words) TRIP_##name,
	LAZYTSC_TRIPS(X)
#undef X
		TRIP_PARTS /* a restore part by part; not one of the choices */
};

#define PART(name) (1u << LAZYTSC_PART_##name)

enum lazytsc_restored_part lazytsc_part_missing(uint8_t parts, u64 n)
{
	unsigned int part = 0;

	for (; part < LAZYTSC_PARTS; part++) {
		if (!(parts & 1u << part) && n-- == 0)
			break;
	}
	return part;
}

static void restore_part(struct actor *a, enum lazytsc_restored_part part)
{
	struct lazytsc_world *w = a->w;

	w->parts |= 1u << part;
	switch (part) {
	case LAZYTSC_PART_LAPIC:
		/* Without CPUID's deadline bit KVM drops the LAPIC's deadline mode. */
		w->cpuid_first = (w->parts & PART(CPUID)) != 0;
		break;
	case LAZYTSC_PART_TSC:
		jump(a, w->saved_clock);
		break;
	case LAZYTSC_PART_DEADLINE:
		/* Without deadline mode KVM drops the deadline, and reports success. */
		if (w->cpuid_first)
			a->cell->variant->host_restore(&w->host, w->saved_deadline);
		break;
	case LAZYTSC_PART_FEATURE:
		if (w->was_enabled)
			enable(a);
		break;
	case LAZYTSC_PART_MEMORY:
		lazytsc_store(&a->area->armed, 0);
		lazytsc_store(&a->area->pending, w->saved_pending);
		lazytsc_store(&a->area->done, w->saved_done);
		break;
	default:
		break;
	}
	lazytsc_exit("restored");
}

/*
 * Does the host find the wanted deadline in the restored memory? Without recovery it is lost. A set
 * that has not stored yet leaves the former deadline there.
 */
static bool recoverable(const struct lazytsc_world *w)
{
	bool former = w->mon.in_set && w->mon.arm[0].deadline != w->saved_pending;
	const struct lazytsc_arm *arm = &w->mon.arm[former];

	return w->enabled && !w->stale_done && !arm->raw && arm->deadline == w->saved_pending;
}

/*
 * Restores a new vCPU part by part. No timer is started before KVM_RUN. There is no guest with this
 * timer without LAPIC, CPUID and memory, so these parts are never left out.
 */
static void restore_parts(struct actor *a)
{
	struct lazytsc_world *w = a->w;
	unsigned int part = 0;

	w->saved_clock = w->clock;
	w->saved_pending = lazytsc_load(&a->area->pending);
	w->saved_done = lazytsc_load(&a->area->done);
	lazytsc_store(&a->area->armed, 1);
	lazytsc_store(&a->area->pending, 1);
	lazytsc_store(&a->area->done, 0);
	lazytsc_exit("new vCPU");
	jump(a, any_time(a, "the new TSC reads"));
	while (part < LAZYTSC_PARTS) {
		const unsigned int needed = PART(CPUID) | PART(LAPIC) | PART(MEMORY);
		unsigned int missing = LAZYTSC_PARTS - (unsigned int)__builtin_popcount(w->parts);
		bool may_run = (w->parts & needed) == needed;

		lazytsc_checkpoint(w->parts);
		part = lazytsc_part_missing(w->parts,
					    lazytsc_choose(choices[LAZYTSC_CHOICE_RESTORE],
							   missing + may_run));
		if (part < LAZYTSC_PARTS)
			restore_part(a, part);
	}
	if (!w->host.timer && !recoverable(w))
		lazytsc_mon_restore(&w->mon, w->clock, 0);
	w->parts = w->cpuid_first = w->was_enabled = 0;
	w->saved_clock = w->saved_deadline = w->saved_pending = w->saved_done = 0;
}

static void migrate(struct actor *a, u64 how)
{
	struct lazytsc_world *w = a->w;
	bool was_enabled = w->enabled;
	u64 v = a->cell->variant->host_deadline(&w->host, host_area(a));

	lazytsc_note(v);
	lazytsc_mon_rdmsr(&w->mon, w->clock, v);
	memset(&w->host, 0, sizeof(w->host));
	w->timer = 0;
	w->posted = 0;
	w->enabled = 0;
	w->undecided = w->again = w->elsewhere = 0;
	lazytsc_mon_moved(&w->mon, w->clock);
	if (how == TRIP_PARTS) {
		w->saved_deadline = v;
		w->was_enabled = was_enabled;
		restore_parts(a);
		return;
	}
	if (how == TRIP_DEADLINE_FIRST)
		restore(a, v);
	if (was_enabled && how != TRIP_UNAWARE)
		enable(a);
	if (how != TRIP_DEADLINE_FIRST)
		restore(a, v);
}

/* Back to a snapshot in which nothing was armed: later deadlines do not exist there. */
static void revert(struct actor *a)
{
	struct lazytsc_world *w = a->w;
	u64 v;

	a->cell->variant->host_restore(&w->host, 0);
	w->timer = 0;
	w->posted = 0;
	lazytsc_mon_restore(&w->mon, w->clock, 0);
	v = a->cell->variant->host_deadline(&w->host, NULL);
	lazytsc_mon_rdmsr(&w->mon, w->clock, v);
}

static bool may_leave(const struct lazytsc_self *self)
{
	const struct actor a = actor(self);

	return a.w->trips < a.s->trips && !a.w->deciding && !a.w->in_host;
}

static void trip(const struct lazytsc_self *self)
{
	struct actor a = actor(self);
	struct lazytsc_world *w = a.w;
	u64 how, now;

	w->trips++;
	w->in_host = 1;
	go_on_first(&a);
	look_up(&a);
	if (a.cell->glue != LAZYTSC_GLUE_PINNED)
		withdraw(&a, host_area(&a), LAZYTSC_WITHDRAW_USERSPACE);
	lazytsc_note(w->undecided | w->again);
	if (w->undecided || w->again)
		start_timer(&a);
	/* User space reads this with LAZYTSC_MSR, and restores it with it. */
	w->stale_done = !host_area(&a) && a.cell->glue != LAZYTSC_GLUE_TRUSTS_STALE;
	if (a.cell->glue != LAZYTSC_GLUE_NOT_DIRTY)
		lazytsc_mon_dirty(&w->mon, w->clock);
	w->user = 1;
	lazytsc_mon_user(&w->mon, w->clock);
	w->deciding = 0;
	settle(w);

	how = a.s->restores ? TRIP_PARTS : lazytsc_choose(choices[LAZYTSC_CHOICE_TRIP], TRIP_PARTS);
	if (how != TRIP_NOTHING) {
		lazytsc_event_if("user space acts", may_cancel, &a);
		begin_deciding(&a);
		if (how == TRIP_REVERT)
			revert(&a);
		else
			migrate(&a, how);
		lazytsc_exit("back in user space");
		w->deciding = 0;
		settle(w);
	}
	lazytsc_event_if("leaves user space", may_cancel, &a);
	look_up(&a);
	now = begin_deciding(&a);
	lazytsc_note(w->stale_done);
	if (how != TRIP_NOTHING && how != TRIP_REVERT && !w->stale_done &&
	    a.cell->glue != LAZYTSC_GLUE_NO_RECOVERY) {
		struct lazytsc_decision d;

		lazytsc_mon_host_begin(&w->mon, now, now, 0);
		d = a.cell->variant->host_recover(&w->host, host_area(&a));
		lazytsc_mon_decision(&w->mon, w->clock, &d, false);
	}
	a.cell->variant->host_resume(&w->host, host_area(&a), now);
	if (!a.s->glue || how != TRIP_NOTHING)
		start_timer(&a);
	lazytsc_mon_timer(&w->mon, w->clock, 0, 0, 0);
	w->user = w->stale_done = 0;
	leave_host(&a);
	lazytsc_mon_enter(&w->mon, w->clock);
	block_again(&a);
}

/*
 * The guest.
 */

static bool may_take(const struct lazytsc_self *self)
{
	const struct lazytsc_world *w = self->common;

	return w->irr && w->interrupts_on && !w->in_host && !w->blocked;
}

static void take(const struct lazytsc_self *self)
{
	struct lazytsc_world *w = self->common;

	lazytsc_mon_take(&w->mon, w->clock);
	w->irr = 0;
	settle(w);
}

/* A guest that keeps finding nothing armed reads LAZYTSC_MSR (B27). */
static void look_after_msr(struct actor *a)
{
	struct lazytsc_world *w = a->w;
	u64 word;

	lazytsc_exit("RDMSR(LAZYTSC_MSR)");
	lazytsc_note(w->enabled);
	word = a->cell->variant->guest_found(&w->guest,
					     w->enabled ? AREA_GPA | LAZYTSC_MSR_ENABLE : 0);
	if (!word)
		return;
	lazytsc_exit_if("WRMSR(LAZYTSC_MSR): on again", may_cancel, a);
	w->in_host = 1;
	begin_deciding(a);
	enable(a);
	a->cell->variant->host_resume(&w->host, host_area(a), w->clock);
	start_timer(a);
	leave_host(a);
}

static void set(struct actor *a, u64 t)
{
	struct lazytsc_world *w = a->w;
	const struct lazytsc_variant *v = a->cell->variant;
	bool write;

	lazytsc_mon_set_begin(&w->mon, w->clock, t);
	write = t ? v->guest_set(&w->guest, t) : v->guest_disarm(&w->guest);
	if (!write) {
		lazytsc_mon_set_skip(&w->mon, w->clock, t, w->loaded);
		return;
	}
	trap(a, t);
	if (!a->s->impatient || !t)
		return;
	w->guest.patience = 1;
	if (v->guest_wrote(&w->guest, t))
		look_after_msr(a);
	lazytsc_mon_wrote(&w->mon, w->clock, t);
}

static void read_msr(struct actor *a)
{
	struct lazytsc_world *w = a->w;
	u64 value;

	lazytsc_exit_if("RDMSR(TSC_DEADLINE)", may_decide, a);
	w->in_host = 1;
	look_up(a);
	begin_deciding(a);
	value = a->cell->variant->host_deadline(&w->host, host_area(a));
	lazytsc_mon_rdmsr(&w->mon, w->clock, value);
	leave_host(a);
}

static bool wakes(void *arg)
{
	const struct actor *a = arg;

	return a->w->irr || a->w->wakes < a->s->wakes;
}

static void halt(struct actor *a)
{
	struct lazytsc_world *w = a->w;

	lazytsc_exit("HLT");
	w->interrupts_on = 1;
	w->blocked = 1;
	lazytsc_mon_halt(&w->mon, w->clock);
	block_again(a);
	settle(w);
	lazytsc_event_if("wakes up", wakes, a);
	w->wakes += !w->irr;
	if (a->s->free) {
		w->in_host = 1;
		go_on(a);
		leave_host(a);
	}
	lazytsc_mon_wake(&w->mon, w->clock, !w->irr);
	w->blocked = 0;
}

static void mask(struct actor *a)
{
	struct lazytsc_world *w = a->w;

	lazytsc_exit_if("write LVTT", may_decide, a);
	w->in_host = 1;
	look_up(a);
	if (w->masked) {
		w->masked = 0;
		a->cell->variant->host_resume(&w->host, host_area(a), begin_deciding(a));
		if (!a->s->glue)
			w->timer = w->host.timer;
	} else {
		withdraw(a, host_area(a), LAZYTSC_WITHDRAW_MASK);
		w->masked = 1;
	}
	lazytsc_mon_mask(&w->mon, w->clock, w->masked);
	leave_host(a);
}

static void cancel(struct actor *a, enum lazytsc_end end, bool on)
{
	struct lazytsc_world *w = a->w;
	u64 now = begin_deciding(a);
	struct lazytsc_decision d;

	lazytsc_mon_host_begin(&w->mon, now, now, 0);
	d = a->cell->variant->host_cancel(&w->host, host_area(a));
	decided(a, &d, false);
	w->posted = 0;
	lazytsc_mon_lapic(&w->mon, w->clock, end, on);
}

static void change_mode(struct actor *a)
{
	for (int on = 0; on <= 1; on++) {
		lazytsc_exit_if(on ? "LVTT: deadline mode" : "LVTT: one-shot mode", may_decide, a);
		a->w->in_host = 1;
		cancel(a, LAZYTSC_END_MODE, on);
		a->w->other_mode = !on;
		leave_host(a);
	}
}

static void switch_feature(struct actor *a)
{
	struct lazytsc_world *w = a->w;
	const struct lazytsc_variant *v = a->cell->variant;
	bool on = !w->guest.area;

	if (on)
		v->guest_enable(&w->guest, a->area, AREA_GPA, grace(a->s));
	else
		v->guest_disable(&w->guest);
	lazytsc_exit_if(on ? "WRMSR(LAZYTSC_MSR): on" : "WRMSR(LAZYTSC_MSR): off", may_decide, a);
	w->in_host = 1;
	if (on) {
		begin_deciding(a);
		enable(a);
	} else {
		withdraw(a, host_area(a), LAZYTSC_WITHDRAW_DISABLE);
		w->enabled = 0;
		lazytsc_mon_feature(&w->mon, w->clock, 0, GPA_END, LAZYTSC_OFFERED);
		lazytsc_mon_page_reused(&w->mon, w->clock);
	}
	leave_host(a);
	if (!on) {
		/* The guest now uses the memory for something else. */
		lazytsc_store(&a->area->armed, a->s->horizon);
		lazytsc_store(&a->area->pending, a->s->horizon);
	}
}

static void reset(struct actor *a)
{
	struct lazytsc_world *w = a->w;
	bool was_enabled;

	lazytsc_exit_if("INIT", may_decide, a);
	w->in_host = 1;
	was_enabled = w->enabled;
	lazytsc_note(was_enabled);
	cancel(a, LAZYTSC_END_RESET, true);
	w->irr = 0;
	w->masked = 0;
	w->enabled = 0;
	w->guest.area = NULL;
	lazytsc_mon_feature(&w->mon, w->clock, 0, GPA_END, LAZYTSC_OFFERED);
	lazytsc_mon_feature_read(&w->mon, w->clock,
				 a->cell->glue == LAZYTSC_GLUE_KEEPS_MSR && was_enabled
					 ? AREA_GPA | LAZYTSC_MSR_ENABLE
					 : 0);
	leave_host(a);
}

static void scribble(struct actor *a, bool armed, u64 v)
{
	a->w->scribbles = 1;
	if (armed)
		lazytsc_store(&a->area->armed, v);
	else
		lazytsc_store(&a->area->pending, v);
	a->w->scribbles = 0;
}

static void bad_word(struct actor *a)
{
	static const u64 words[] = {
		AREA_GPA | 0x20 | LAZYTSC_MSR_ENABLE, /* at a page's end it would straddle two */
		GPA_END | LAZYTSC_MSR_ENABLE,
	};
	u64 word = words[lazytsc_choose(choices[LAZYTSC_CHOICE_WORD], 2)];

	lazytsc_exit_if("WRMSR(LAZYTSC_MSR): a bad word", may_decide, a);
	if (a->cell->variant->host_check_msr(word, GPA_END) == LAZYTSC_MSR_SWITCH_ON ||
	    a->cell->glue == LAZYTSC_GLUE_UNCHECKED)
		lazytsc_mon_feature(&a->w->mon, a->w->clock, word, GPA_END, LAZYTSC_OFFERED);
}

static void perform(struct actor *a, const struct lazytsc_guest_step *g)
{
	switch (g->op) {
	case LAZYTSC_GUEST_SET:
		set(a, g->value);
		break;
	case LAZYTSC_GUEST_DISARM:
		set(a, 0);
		break;
	case LAZYTSC_GUEST_RAW:
		trap(a, g->value);
		break;
	case LAZYTSC_GUEST_RDMSR:
		read_msr(a);
		break;
	case LAZYTSC_GUEST_HLT:
		halt(a);
		break;
	case LAZYTSC_GUEST_MASK:
		mask(a);
		break;
	case LAZYTSC_GUEST_MODE:
		change_mode(a);
		break;
	case LAZYTSC_GUEST_FEATURE:
		switch_feature(a);
		break;
	case LAZYTSC_GUEST_RESET:
		reset(a);
		break;
	case LAZYTSC_GUEST_PENDING:
		scribble(a, false, g->value);
		break;
	case LAZYTSC_GUEST_ARMED:
		scribble(a, true, g->value);
		break;
	case LAZYTSC_GUEST_WORD:
		bad_word(a);
		break;
	case LAZYTSC_GUEST_OPS_COUNT:
		break;
	}
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void run_vcpu(const struct lazytsc_self *self)
{
	struct actor a = actor(self);

	for (unsigned int i = 0; i < a.s->ops; i++) {
		bool fixed = i < a.s->prefix;
		u64 letter;

		a.w->interrupts_on = 1;
		settle(a.w);
		lazytsc_checkpoint(i);
		letter = lazytsc_choose(choices[LAZYTSC_CHOICE_OPERATION],
					fixed ? 1 : a.cell->letters);
		/* As a kernel's clock event code does. */
		a.w->interrupts_on = 0;
		perform(&a, fixed ? &a.cell->first[i] : &a.cell->alphabet[letter]);
	}
	a.w->interrupts_on = 1;
	settle(a.w);
	lazytsc_checkpoint(a.s->ops);
	lazytsc_event_if("guest is done", never, NULL);
}

/*
 * Cells.
 */

static const struct lazytsc_interruption interruptions[] = {
#define BREAKS_IN(cpu_, name_, drains_, ready_, run_)                                              \
	{                                                                                          \
		.name = (name_), .file = __FILE__, .func = #run_, .line = __LINE__, .cpu = (cpu_), \
		.drains = (drains_), .ready = ready_, .run = run_                                  \
	}
	BREAKS_IN(CPU_VCPU, "VM exit: timer", true, vcpu_timer_due, vcpu_timer),
	BREAKS_IN(CPU_VCPU, "guest takes the interrupt", false, may_take, take),
	BREAKS_IN(CPU_VCPU, "VM exit: to user space", true, may_leave, trip),
	BREAKS_IN(CPU_VCPU, "VM exit: a timer that is not due", true, vcpu_stale, vcpu_stale_call),
	BREAKS_IN(CPU_OTHER, "hrtimer, though not due", false, other_stale, other_stale_call),
	BREAKS_IN(CPU_OTHER, "memslot is about to change", false, slot_may_change, slot_changes),
	BREAKS_IN(CPU_VCPU, "VM exit: the TSC changes", true, tsc_may_change, tsc_changes),
	BREAKS_IN(CPU_VCPU, "VM exit: a request", true, requested, serve_request),
	BREAKS_IN(CPU_OTHER, "host timer is lost", false, timer_may_be_lost, timer_is_lost),
	BREAKS_IN(CPU_OTHER, "MMU notifier", false, may_unmap, unmap),
	BREAKS_IN(CPU_LAPIC, "another vCPU", false, may_write_pending, write_pending),
};

/* The monitor learns of accesses when they are executed. */
static void observe(void *common, void *shared, const struct lazytsc_step_info *step)
{
	struct lazytsc_world *w = common;
	struct lazytsc_area *area = shared;
	bool guest = step->step.cpu == CPU_VCPU && !w->in_host;

	if (step->op == LAZYTSC_OP_STORE && step->field == &area->pending && !step->local)
		w->pending = step->value;
	if (step->step.drain)
		return;
	if (guest && step->op == LAZYTSC_OP_STORE && w->scribbles)
		lazytsc_mon_scribble(&w->mon, w->clock, step->field == &area->armed);
	if (guest && step->op == LAZYTSC_OP_LOAD && step->field == &area->armed)
		w->loaded = step->result;
	if (!guest && step->op == LAZYTSC_OP_STORE && step->field == &area->armed)
		lazytsc_mon_publish(&w->mon, w->clock, step->value);
}

static u64 read_tsc(const void *common)
{
	const struct lazytsc_world *w = common;

	return w->clock;
}

/* Before the first step: the guest has enabled the feature, and nothing is armed. */
static void set_up(void *common, void *shared, const void *arg)
{
	const struct lazytsc_cell *cell = arg;
	const struct lazytsc_mon_limits limits = {
		.late = NEVER_LATE / 4, /* it is added to other times */
		.rearm = NEVER_LATE / 4,
		.credit = cell->scenario->guesses ? ~(u64)0 : 0,
		.grace = cell->scenario->grace,
		.nearest = cell->scenario->nearest,
		.patience = cell->scenario->impatient,
	};
	struct lazytsc_world *w = common;
	struct lazytsc_area *area = shared;
	u64 word;

	lazytsc_mon_init(&w->mon, &limits);
	w->clock = cell->scenario->start;
	/* The memory was used for something else before. */
	lazytsc_store(&area->armed, cell->scenario->horizon);
	lazytsc_store(&area->pending, cell->scenario->horizon);
	word = cell->variant->guest_enable(&w->guest, shared, AREA_GPA, grace(cell->scenario));
	w->pending = lazytsc_load(&area->pending);
	if (cell->variant->host_check_msr(word, GPA_END) != LAZYTSC_MSR_SWITCH_ON)
		return;
	cell->variant->host_enable(&w->host, shared);
	w->enabled = 1;
	w->mapped = 1;
	lazytsc_mon_feature(&w->mon, w->clock, word, GPA_END, LAZYTSC_OFFERED);
}

static void add_letter(struct lazytsc_cell *cell, enum lazytsc_guest_op op, u64 value)
{
	assert(cell->letters < LAZYTSC_ALPHABET_MAX);
	cell->alphabet[cell->letters++] = (struct lazytsc_guest_step){ op, value };
}

static void spell(struct lazytsc_cell *cell)
{
#define X(name, text, valued) valued,
	static const bool valued[] = { LAZYTSC_GUEST_OPS(X) };
#undef X
	const struct lazytsc_scenario *s = cell->scenario;

	for (enum lazytsc_guest_op op = 0; op < LAZYTSC_GUEST_OPS_COUNT; op++) {
		if (!(s->alphabet & 1u << op))
			continue;
		if (!valued[op]) {
			add_letter(cell, op, 0);
			continue;
		}
		if (op != LAZYTSC_GUEST_SET)
			add_letter(cell, op, 0);
		if (s->start)
			add_letter(cell, op, 1);
		for (u64 v = s->start ? s->start : 1; v < s->horizon; v++)
			add_letter(cell, op, v);
		add_letter(cell, op, s->horizon);
		if (s->horizon != HUGE_DEADLINE)
			add_letter(cell, op, HUGE_DEADLINE);
	}
}

void lazytsc_cell_init(struct lazytsc_cell *cell, const struct lazytsc_scenario *s, unsigned int i,
		       const struct lazytsc_variant *variant, enum lazytsc_glue_defect glue)
{
	static void (*const runs[])(const struct lazytsc_self *) = { run_vcpu, run_other, run_clock,
								     run_lapic };
	static const char *const names[] = { "vCPU", "other", "clock", "LAPIC" };

	memset(cell, 0, sizeof(*cell));
	cell->scenario = s;
	cell->variant = variant;
	cell->glue = glue;
	spell(cell);
	for (unsigned int j = s->prefix; j > 0; j--) {
		cell->first[j - 1] = cell->alphabet[i % cell->letters];
		i /= cell->letters;
	}
	for (unsigned int j = 0; j < 4; j++)
		cell->thread[j] = (struct lazytsc_thread){ names[j], runs[j], cell };
	cell->program = (struct lazytsc_program){
		.name = s->name,
		.threads = 4,
		.thread = cell->thread,
		.shared_size = sizeof(struct lazytsc_area),
	};
}

struct lazytsc_stepper *lazytsc_cell_stepper(const struct lazytsc_cell *cell,
					     enum lazytsc_model model)
{
	return lazytsc_stepper_new(&(struct lazytsc_stepper_config){
		.program = &cell->program,
		.interruption = interruptions,
		.interruptions = sizeof(interruptions) / sizeof(interruptions[0]),
		.model = model,
		.common_size = sizeof(struct lazytsc_world),
		.setup = set_up,
		.tsc = read_tsc,
		.arg = cell,
		.performed = observe,
		.notes = true,
	});
}

void lazytsc_world_end(struct lazytsc_world *w, const struct lazytsc_scenario *s)
{
	lazytsc_mon_end(&w->mon, w->clock, s->horizon);
}

unsigned int lazytsc_scenario_cells(const struct lazytsc_scenario *s)
{
	struct lazytsc_cell cell = { .scenario = s };
	unsigned int cells = 1;

	spell(&cell);
	for (unsigned int i = 0; i < s->prefix; i++)
		cells *= cell.letters;
	return cells;
}
