// SPDX-License-Identifier: BSD-2-Clause
/* The host timer behind a deadline: which one it is, when it fires, and who decides then. */
#include "vcpu.h"

/* The hv timer counts down at the TSC's rate divided by 2^5, in 32 bits (IA32_VMX_MISC[4:0]). */
#define HV_SHIFT 5
#define HV_RANGE ((u64)0xffffffff << HV_SHIFT)

/* A timer that is set further ahead than this is left off: no run is that long. */
#define FAR ((u64)1 << 61)

/* So many guesses are followed in the liveness phase. */
#define SETTLE_GUESSES 1000

static enum lazytsc_timer_kind kind_now(const struct vcpu *v)
{
	enum lazytsc_timer_kind kind = v->m->config.timer;

	if (kind == LAZYTSC_TIMER_MIXED)
		kind = v->mixed;
	if (kind == LAZYTSC_TIMER_HV && (v->state == BLOCKED || v->state == USER))
		kind = LAZYTSC_TIMER_SW;
	return kind;
}

static void stop(struct vcpu *v)
{
	v->at[AT_TIMER] = NEVER;
	v->hw_expired = 0;
	lazytsc_mon_timer(&v->mon, v->tsc, 0, 0, 0);
}

/* Where the hardware's steps and the conversions' rounding may take a timer, in guest cycles. */
static u64 rounding(const struct vcpu *v)
{
	return mul48(mul48((u64)2 << HV_SHIFT, v->clock.host_mul), v->clock.ratio) + 4;
}

/* Set the host timer, anew or only where something about it has changed. */
void timer_set(struct vcpu *v, u64 deadline, bool anew)
{
	enum lazytsc_timer_kind kind = kind_now(v);
	u64 target = deadline, wait;

	if (!anew && deadline == v->hw_deadline && kind == v->hw_kind &&
	    (!deadline || v->at[AT_TIMER] != NEVER || v->hw_expired))
		return;
	v->hw_deadline = deadline;
	v->hw_kind = kind;
	if (!deadline) {
		stop(v);
		return;
	}
	if (kind == LAZYTSC_TIMER_HV || kind == LAZYTSC_TIMER_SW)
		target = deadline > v->m->d.wait ? deadline - v->m->d.wait : 1;
	wait = target <= v->tsc ? 0 : delay(v, target - v->tsc);
	if (defect(v, LAZYTSC_DEFECT_NO_SCALING))
		wait = target <= v->tsc ? 0 : target - v->tsc;
	if (wait > FAR) {
		stop(v);
		return;
	}
	if (kind == LAZYTSC_TIMER_HV && wait > HV_RANGE)
		v->hw_kind = LAZYTSC_TIMER_SW;
	if (v->hw_kind == LAZYTSC_TIMER_HV)
		wait = (wait + ((u64)1 << HV_SHIFT) - 1) >> HV_SHIFT << HV_SHIFT;
	v->hw_expired = 0;
	v->at[AT_TIMER] = v->now + wait;
	if (target > v->tsc)
		lazytsc_mon_timer(&v->mon, v->tsc, target, clock_guest(&v->clock, v->at[AT_TIMER]),
				  rounding(v));
	else
		lazytsc_mon_timer(&v->mon, v->tsc, v->tsc, v->tsc, 0);
	if (v->hw_kind != LAZYTSC_TIMER_HV && v->m->d.late)
		v->at[AT_TIMER] += roll(v, v->m->d.late + 1);
	vcpu_step(v, LAZYTSC_STEP_TIMER, deadline);
}

/* The vCPU enters the guest, blocks or goes to user space: the timer may have to be another. */
void timer_follow(struct vcpu *v)
{
	if (v->m->config.timer == LAZYTSC_TIMER_MIXED && roll(v, 8) == 0)
		v->mixed = roll(v, LAZYTSC_TIMER_MIXED);
	/* Too far for the hv timer when it was set; it stays the sw timer until it fires. */
	if (v->hw_kind == LAZYTSC_TIMER_SW && kind_now(v) == LAZYTSC_TIMER_HV &&
	    v->at[AT_TIMER] != NEVER && v->at[AT_TIMER] - v->now > HV_RANGE)
		return;
	if (v->at[AT_TIMER] == NEVER && !v->hw_expired)
		return;
	timer_set(v, v->hostside.timer, false);
}

/* Do what was decided. */
void timer_act(struct vcpu *v, const struct lazytsc_decision *d, bool expiry)
{
	if (d->inject) {
		v->inject = d->inject;
		if (defect(v, LAZYTSC_DEFECT_WAIT_LONG) && d->inject > v->tsc)
			v->inject += v->m->d.limits.late + 1;
		vcpu_step(v, LAZYTSC_STEP_INJECT, d->inject);
	} else if (expiry) {
		vcpu_step(v, LAZYTSC_STEP_SILENT, v->hw_deadline);
	}
	lazytsc_mon_decision(&v->mon, v->tsc, d, expiry);
	timer_set(v, d->timer, false);
	/* An expiry under a mask is over at once: unmasking later does not bring it back. */
	if (d->inject && v->masked && !defect(v, LAZYTSC_DEFECT_DELIVER_MASKED))
		lapic_deliver(v);
}

void timer_expire(struct vcpu *v, enum lazytsc_context context)
{
	const struct lazytsc_guess_policy *p = v->m->config.policy;
	struct lazytsc_expiry e = {
		.context = context,
		.now = v->tsc,
		.wait = context == LAZYTSC_VCPU ? v->m->d.wait : 0,
		.blocked = v->state == BLOCKED,
	};
	u64 before = lazytsc_load(&v->area.armed);
	struct lazytsc_decision d;

	if (!v->hostside.timer)
		return;
	/* Settling ends: guesses are not followed for ever. */
	if (p && (!v->settling || v->settling_guesses++ < SETTLE_GUESSES))
		e.guess = p->expire(v->policy, &v->hostside, v->host_area, &e);
	v->stats.events++;
	lazytsc_mon_host_begin(&v->mon, v->tsc, e.now, e.wait);
	d = variant(v)->host_expire(&v->hostside, v->host_area, &e);
	vcpu_publish(v, before);
	timer_act(v, &d, true);
}

static void wake(struct vcpu *v, u64 after)
{
	if (v->state != BLOCKED || v->self != SELF_NONE)
		return;
	if (v->inject && defect(v, LAZYTSC_DEFECT_NO_WAKE)) {
		if (v->inject <= v->tsc)
			lapic_deliver(v);
		return;
	}
	if (v->inject || defect(v, LAZYTSC_DEFECT_SILENT_WAKES))
		self(v, SELF_WOKEN, v->now + after + v->m->d.cost.wake);
}

/* On another CPU: the vCPU goes on meanwhile, and is told if there is something for it. */
static void fires_elsewhere(struct vcpu *v)
{
	const struct lazytsc_costs *c = &v->m->d.cost;

	v->stats.remote_expiries++;
	v->other_time += c->callback;
	timer_expire(v, LAZYTSC_REMOTE);
	/* A posted interrupt reaches IRR in an exit as well; a kick has nothing to do there. */
	if ((v->state == GUEST || (v->state == EXITED && v->hw_kind == LAZYTSC_TIMER_POSTED)) &&
	    v->inject && v->at[AT_ARRIVAL] == NEVER && !defect(v, LAZYTSC_DEFECT_NO_KICK))
		v->at[AT_ARRIVAL] = v->now + c->ipi;
	wake(v, c->ipi);
}

void timer_fires(struct vcpu *v)
{
	v->at[AT_TIMER] = NEVER;
	if (v->hw_kind == LAZYTSC_TIMER_REMOTE || v->hw_kind == LAZYTSC_TIMER_POSTED) {
		fires_elsewhere(v);
	} else if (v->state == GUEST) {
		vcpu_exit(v, v->hw_kind == LAZYTSC_TIMER_HV ? LAZYTSC_EXIT_TIMER : LAZYTSC_EXIT_IRQ,
			  SELF_EXPIRE);
	} else if (v->hw_kind == LAZYTSC_TIMER_HV) {
		v->hw_expired = 1;
	} else {
		v->host_time += v->m->d.cost.callback;
		timer_expire(v, LAZYTSC_VCPU);
		wake(v, 0);
	}
}

void timer_withdraw(struct vcpu *v, enum lazytsc_withdraw_reason reason)
{
	u64 before = lazytsc_load(&v->area.armed);
	struct lazytsc_decision d;

	lazytsc_mon_host_begin(&v->mon, v->tsc, v->tsc, 0);
	d = variant(v)->host_withdraw(&v->hostside, v->host_area, reason);
	vcpu_publish(v, before);
	vcpu_step(v, LAZYTSC_STEP_WITHDRAW, d.timer);
	timer_act(v, &d, false);
}

void timer_cancel(struct vcpu *v)
{
	u64 before = lazytsc_load(&v->area.armed);
	struct lazytsc_decision d;

	lazytsc_mon_host_begin(&v->mon, v->tsc, v->tsc, 0);
	d = variant(v)->host_cancel(&v->hostside, v->host_area);
	vcpu_publish(v, before);
	timer_act(v, &d, false);
}
