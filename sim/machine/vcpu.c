// SPDX-License-Identifier: BSD-2-Clause
/* A vCPU's thread and its guest: what happens next, and the ways in and out of guest mode. */
#include <assert.h>

#include "vcpu.h"

void vcpu_step(struct vcpu *v, enum lazytsc_step_kind kind, u64 value)
{
	struct lazytsc_machine_step *s = &v->step[v->steps++ % STEPS];

	s->ns = v->now; /* units of time; converted when it is shown */
	s->tsc = v->tsc;
	s->value = value;
	s->armed = lazytsc_load(&v->area.armed);
	s->pending = lazytsc_load(&v->area.pending);
	s->timer = v->hostside.timer;
	s->kind = kind;
	if (v->m->config.observe) {
		struct lazytsc_machine_step seen = *s;

		seen.ns = (u64)((unsigned __int128)s->ns * 1000000 / v->m->config.host_khz[0]);
		seen.vcpu = v - v->m->vcpu;
		v->m->config.observe(v->m->config.observe_arg, &seen);
	}
}

/* Steps are atomic here, so what the host published shows afterwards. */
void vcpu_publish(struct vcpu *v, u64 before)
{
	u64 armed = lazytsc_load(&v->area.armed);

	/* Over the same value, stored by a hostile guest, it does not show; the host's copy tells. */
	if (armed != before ||
	    (armed != v->mon.published && armed == (v->hostside.lazy ? v->hostside.timer : 0)))
		lazytsc_mon_publish(&v->mon, v->tsc, armed);
}

/* Ask the workload what comes next. */
void ask(struct vcpu *v, enum lazytsc_asked reason)
{
	if (v->settling) {
		v->op.kind = LAZYTSC_WORKLOAD_NOTHING;
	} else {
		v->workload->next(&v->ps, reason, v->tsc, &v->op);
		v->done = v->op.kind == LAZYTSC_WORKLOAD_DONE;
	}
	if (v->op.kind == LAZYTSC_WORKLOAD_NOTHING || v->op.kind == LAZYTSC_WORKLOAD_DONE)
		self(v, SELF_OP, NEVER);
	else
		self(v, SELF_OP, time_of(v, v->op.at));
}

/* Out of guest mode; the host can act after half of the exit's cost. */
void vcpu_exit(struct vcpu *v, enum lazytsc_exit why, enum self then)
{
	const struct lazytsc_costs *c = &v->m->d.cost;
	const u64 cost[LAZYTSC_EXITS] = {
		[LAZYTSC_EXIT_WRITE] = c->exit_write, [LAZYTSC_EXIT_TIMER] = c->exit_timer,
		[LAZYTSC_EXIT_IRQ] = c->exit_irq,     [LAZYTSC_EXIT_HLT] = c->block,
		[LAZYTSC_EXIT_OTHER] = c->exit_other,
	};

	v->state = EXITED;
	v->stats.exits[why]++;
	v->host_time += cost[why];
	vcpu_step(v, LAZYTSC_STEP_EXIT, why);
	self(v, then, v->now + cost[why] / 2);
}

static void back_in(struct vcpu *v)
{
	self(v, SELF_ENTER, v->now + v->m->d.cost.exit_write / 2);
}

/* The guest is in guest mode, with interrupts on, and goes on. */
static void go_on(struct vcpu *v)
{
	v->device = 0;
	if (v->irr && !v->isr) {
		lapic_take(v);
		v->halted = 0;
		self(v, SELF_HANDLER, v->now + v->m->d.cost.irq);
	} else if (v->isr) {
		self(v, SELF_HANDLER, v->now + v->m->d.cost.irq);
	} else if (v->halted) {
		v->halted = 0;
		ask(v, LAZYTSC_ASKED_WOKEN);
	} else if (v->op.kind == LAZYTSC_WORKLOAD_NOTHING || v->op.kind == LAZYTSC_WORKLOAD_DONE) {
		self(v, SELF_OP, NEVER);
	} else {
		self(v, SELF_OP, time_of(v, v->op.at));
	}
}

static void resume_promise(struct vcpu *v)
{
	u64 before = lazytsc_load(&v->area.armed);

	v->was_user = 0;
	if ((v->word & LAZYTSC_MSR_GPA) == AREA_GPA && !v->slot_gone)
		v->host_area = &v->area;
	variant(v)->host_resume(&v->hostside, v->host_area, v->tsc);
	vcpu_publish(v, before);
}

static void enter(struct vcpu *v)
{
	if (v->was_user)
		resume_promise(v);
	timer_follow(v);
	if (v->hw_expired) {
		/* The hv timer stands at 0: an exit before the first instruction. */
		v->hw_expired = 0;
		v->stats.exits[LAZYTSC_EXIT_TIMER]++;
		v->host_time += v->m->d.cost.exit_timer;
		self(v, SELF_EXPIRE, v->now + v->m->d.cost.exit_timer / 2);
		return;
	}
	if (v->inject && v->inject > v->tsc && !defect(v, LAZYTSC_DEFECT_NO_WAIT)) {
		u64 end = time_of(v, v->inject);

		/* Decided early: the guest stays stopped until it is due. */
		v->host_time += end - v->now;
		self(v, SELF_ENTER, end);
		return;
	}
	if (v->inject)
		lapic_deliver(v);
	v->state = GUEST;
	lazytsc_mon_enter(&v->mon, v->tsc);
	vcpu_step(v, LAZYTSC_STEP_ENTER, 0);
	if (v->in_wrmsr)
		vcpu_exit(v, LAZYTSC_EXIT_WRITE, SELF_TRAP);
	else
		go_on(v);
}

static void block(struct vcpu *v)
{
	if (v->was_user)
		resume_promise(v);
	if (v->inject && v->inject <= v->tsc)
		lapic_deliver(v);
	if (v->irr || v->inject || v->device) {
		self(v, SELF_ENTER, v->now + v->m->d.cost.block / 2);
		return;
	}
	v->state = BLOCKED;
	lazytsc_mon_halt(&v->mon, v->tsc);
	vcpu_step(v, LAZYTSC_STEP_BLOCKED, 0);
	self(v, SELF_NONE, NEVER);
	timer_follow(v);
}

/* The blocked thread runs again: for the timer, or for another device. */
static void woken(struct vcpu *v)
{
	bool defective = defect(v, LAZYTSC_DEFECT_SILENT_WAKES);

	if (v->inject && v->inject > v->tsc && !defect(v, LAZYTSC_DEFECT_NO_WAIT)) {
		self(v, SELF_WOKEN, time_of(v, v->inject));
		return;
	}
	if (v->inject)
		lapic_deliver(v);
	if (!v->irr && !v->device && !defective) {
		/* Nothing for the guest: it stays halted. */
		self(v, SELF_NONE, NEVER);
		return;
	}
	v->stats.wakes++;
	v->at[AT_DEVICE] = NEVER;
	lazytsc_mon_wake(&v->mon, v->tsc, v->device);
	vcpu_step(v, LAZYTSC_STEP_WAKE, v->device);
	v->state = EXITED;
	self(v, SELF_ENTER, v->now);
}

/* A set or a disarm through the guest's hook. */
static void hooked(struct vcpu *v)
{
	u64 t = v->op.kind == LAZYTSC_WORKLOAD_SET ? v->op.value : 0;
	bool write;

	lazytsc_mon_set_begin(&v->mon, v->tsc, t);
	write = t ? variant(v)->guest_set(&v->guest, t) : variant(v)->guest_disarm(&v->guest);
	v->dirty |= v->guest.area != NULL;
	v->stats.events++;
	v->stats.sets += t != 0;
	vcpu_step(v,
		  write ? (t ? LAZYTSC_STEP_SET_WRITE : LAZYTSC_STEP_DISARM_WRITE)
			: (t ? LAZYTSC_STEP_SET_SKIP : LAZYTSC_STEP_DISARM_SKIP),
		  t);
	v->op.value = t;
	if (write) {
		v->in_wrmsr = 1;
		vcpu_exit(v, LAZYTSC_EXIT_WRITE, SELF_TRAP);
		return;
	}
	v->stats.skips++;
	v->stats.guest_ns += v->m->config.costs.skip;
	lazytsc_mon_set_skip(&v->mon, v->tsc, t, lazytsc_load(&v->area.armed));
	ask(v, LAZYTSC_ASKED_NEXT);
}

static void scribble(struct vcpu *v, bool armed)
{
	lazytsc_store(armed ? &v->area.armed : &v->area.pending, v->op.value);
	v->dirty = 1;
	lazytsc_mon_scribble(&v->mon, v->tsc, armed);
	vcpu_step(v, LAZYTSC_STEP_SCRIBBLE, v->op.value);
	ask(v, LAZYTSC_ASKED_NEXT);
}

/* In guest mode: the workload's operation is due. */
static void operate(struct vcpu *v)
{
	switch (v->op.kind) {
	case LAZYTSC_WORKLOAD_PAUSE:
		ask(v, LAZYTSC_ASKED_NEXT);
		break;
	case LAZYTSC_WORKLOAD_SET:
	case LAZYTSC_WORKLOAD_DISARM:
		hooked(v);
		break;
	case LAZYTSC_WORKLOAD_RAW:
		v->stats.events++;
		v->stats.sets += v->op.value != 0;
		vcpu_step(v, LAZYTSC_STEP_RAW, v->op.value);
		vcpu_exit(v, LAZYTSC_EXIT_WRITE, SELF_TRAP);
		break;
	case LAZYTSC_WORKLOAD_HALT:
		v->halted = 1;
		v->at[AT_DEVICE] = v->op.value ? time_of(v, v->op.value) : NEVER;
		vcpu_step(v, LAZYTSC_STEP_HALT, v->op.value);
		vcpu_exit(v, LAZYTSC_EXIT_HLT, SELF_BLOCK);
		break;
	case LAZYTSC_WORKLOAD_SCRIBBLE_ARMED:
		scribble(v, true);
		break;
	case LAZYTSC_WORKLOAD_SCRIBBLE_PENDING:
		scribble(v, false);
		break;
	default:
		vcpu_exit(v, LAZYTSC_EXIT_OTHER, SELF_TRAP);
		break;
	}
}

static void feature(struct vcpu *v, bool on)
{
	if (on && v->guest.area)
		return;
	if (on && v->m->config.offer == LAZYTSC_OFFERED) {
		u64 word = variant(v)->guest_enable(&v->guest, &v->area, AREA_GPA);

		v->dirty = 1;
		if (v->guest.area)
			feature_word(v, word);
	} else if (!on) {
		feature_word(v, variant(v)->guest_disable(&v->guest));
	}
}

/* Offline, suspend, kexec: the MSR is cleared, then the page is somebody else's. */
static void offline(struct vcpu *v)
{
	if (defect(v, LAZYTSC_DEFECT_OFFLINE_KEEPS))
		v->guest.area = NULL;
	else
		feature(v, false);
	lazytsc_mon_page_reused(&v->mon, v->tsc);
}

/* The exit for an operation has reached the host. */
static void trap(struct vcpu *v)
{
	switch (v->op.kind) {
	case LAZYTSC_WORKLOAD_SET:
	case LAZYTSC_WORKLOAD_DISARM:
	case LAZYTSC_WORKLOAD_RAW:
		v->in_wrmsr = 0;
		lapic_write_deadline(v, v->op.value);
		break;
	case LAZYTSC_WORKLOAD_RDMSR:
		lapic_read(v);
		break;
	case LAZYTSC_WORKLOAD_MASK:
		lapic_mask(v, v->op.value);
		break;
	case LAZYTSC_WORKLOAD_MODE:
		lapic_mode(v, v->op.value);
		break;
	case LAZYTSC_WORKLOAD_APIC:
		lapic_enable(v, v->op.value);
		break;
	case LAZYTSC_WORKLOAD_FEATURE:
		feature(v, v->op.value);
		break;
	case LAZYTSC_WORKLOAD_OFFLINE:
		offline(v);
		break;
	default:
		feature_word(v, v->op.value);
		break;
	}
	ask(v, LAZYTSC_ASKED_NEXT);
	back_in(v);
}

/* The vCPU starts, or starts again: the guest enables the feature, then runs its workload. */
void vcpu_start(struct vcpu *v)
{
	v->state = EXITED;
	v->halted = 0;
	v->isr = 0;
	v->in_wrmsr = 0;
	v->at[AT_DEVICE] = NEVER;
	feature(v, true);
	ask(v, LAZYTSC_ASKED_START);
	back_in(v);
}

static void run_self(struct vcpu *v)
{
	switch ((enum self)v->self) {
	case SELF_OP:
		operate(v);
		break;
	case SELF_HANDLER:
		v->isr = 0;
		ask(v, LAZYTSC_ASKED_TIMER);
		if (v->irr)
			go_on(v);
		break;
	case SELF_TRAP:
		trap(v);
		break;
	case SELF_EXPIRE:
		timer_expire(v, LAZYTSC_VCPU);
		self(v, SELF_ENTER, v->now + v->m->d.cost.exit_timer / 2);
		break;
	case SELF_ENTER:
		enter(v);
		break;
	case SELF_BLOCK:
		block(v);
		break;
	case SELF_WOKEN:
		woken(v);
		break;
	case SELF_USER_BACK:
		trouble_user_back(v);
		break;
	case SELF_NONE:
		v->at[AT_SELF] = NEVER;
		break;
	}
}

/* A kick makes a running vCPU exit; a posted interrupt reaches it as it runs. */
static void arrive(struct vcpu *v)
{
	v->at[AT_ARRIVAL] = NEVER;
	if (!v->inject || v->inject > v->tsc)
		return;
	if (v->hw_kind == LAZYTSC_TIMER_POSTED && (v->state == GUEST || v->state == EXITED)) {
		lapic_deliver(v);
		if (v->state == GUEST && v->irr && !v->isr)
			go_on(v);
	} else if (v->state == GUEST) {
		vcpu_exit(v, LAZYTSC_EXIT_IRQ, SELF_ENTER);
	}
}

static void device(struct vcpu *v)
{
	v->at[AT_DEVICE] = NEVER;
	v->device = v->halted;
	if (v->state == BLOCKED && v->self == SELF_NONE)
		self(v, SELF_WOKEN, v->now + v->m->d.cost.wake);
}

/* The next event's source. Of several at the same time one is drawn. */
static enum source earliest(struct vcpu *v)
{
	enum source first = 0;
	unsigned int ties = 1;

	for (enum source s = 1; s < AT_COUNT; s++) {
		if (v->at[s] > v->at[first])
			continue;
		ties = v->at[s] == v->at[first] ? ties + 1 : 1;
		if (ties == 1 || (v->at[s] != NEVER && roll(v, ties) == 0))
			first = s;
	}
	return first;
}

void vcpu_run(struct vcpu *v, u64 until)
{
	while (!v->mon.broken.rule) {
		enum source s = earliest(v);

		if (v->at[s] > until || v->at[s] == NEVER)
			break;
		assert(v->at[s] >= v->now);
		v->now = v->at[s];
		v->tsc = clock_guest(&v->clock, v->now);
		switch (s) {
		case AT_SELF:
			run_self(v);
			break;
		case AT_TIMER:
			timer_fires(v);
			break;
		case AT_ARRIVAL:
			arrive(v);
			break;
		case AT_DEVICE:
			device(v);
			break;
		default:
			trouble_strikes(v);
			break;
		}
	}
}
