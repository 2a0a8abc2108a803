// SPDX-License-Identifier: BSD-2-Clause
/* What the core decides, and what is done then: expiries, withdrawals, cancels. */
#include "decide.h"
#include "hosttimer.h"
#include "lapic.h"
#include "record.h"

/* The number of guesses that a vCPU follows in the liveness phase. */
#define SETTLE_GUESSES 1000

/* Do what was decided. */
void decide_act(struct vcpu *v, const struct lazytsc_decision *d, bool expiry)
{
	if (d->inject) {
		v->inject = d->inject;
		if (defect(v, LAZYTSC_DEFECT_WAIT_LONG) && d->inject > v->tsc)
			v->inject += v->m->d.limits.late + 1;
		record_step(v, LAZYTSC_STEP_INJECT, d->inject);
	} else if (expiry) {
		record_step(v, LAZYTSC_STEP_SILENT, v->hw_deadline);
	}
	lazytsc_mon_decision(&v->mon, v->tsc, d, expiry);
	timer_set(v, d->timer, false);
	/*
	 * An expiry under a mask is over at once: unmasking later does not bring it back. In user
	 * space it is over with the next entry, as in KVM.
	 */
	if (d->inject && v->masked && v->state != USER && !defect(v, LAZYTSC_DEFECT_DELIVER_MASKED))
		lapic_deliver(v);
}

/* Returns whether an interrupt was decided. */
static bool expire(struct vcpu *v, enum lazytsc_context context, bool look)
{
	const struct lazytsc_guess_source *p = v->m->config.guess;
	struct lazytsc_expiry e = {
		.context = context,
		.now = v->tsc,
		.wait = context == LAZYTSC_VCPU ? v->m->d.wait : 0,
		.blocked = v->state == BLOCKED,
		.look = look,
		.nearest = v->m->d.nearest,
	};
	bool fired = !look && !v->hw_false;
	u64 before = lazytsc_load(&v->area.armed);
	struct lazytsc_decision d;

	v->hw_false = 0;
	if (!v->hostside.timer)
		return false;
	if (!fired && !look && defect(v, LAZYTSC_DEFECT_BELIEVES_TIMER) &&
	    v->hostside.timer > e.now)
		e.now = v->hostside.timer;
	/* Settling ends: guesses are not followed for ever. */
	if (p && (!v->settling || v->settling_guesses++ < SETTLE_GUESSES))
		e.guess = p->expire(v->guess_state, &v->hostside, v->host_area, &e);
	v->stats.events++;
	lazytsc_mon_host_begin(&v->mon, v->tsc, v->tsc, e.wait);
	d = variant(v)->host_expire(&v->hostside, v->host_area, &e);
	record_publish(v, before);
	decide_act(v, &d, fired);
	if (d.thread && !defect(v, LAZYTSC_DEFECT_STARTS_ALL)) {
		/* Too near: the vCPU's thread starts it (B25). */
		v->at[AT_TIMER] = NEVER;
		v->left = 1;
	}
	return d.inject != 0;
}

void decide_expire(struct vcpu *v)
{
	expire(v, LAZYTSC_VCPU, false);
}

void decide_block(struct vcpu *v)
{
	u64 timer;

	if (!v->m->config.free_looks || !v->hostside.lazy)
		return;
	timer = variant(v)->host_blocked(&v->hostside, v->host_area);
	if (timer == v->hostside.timer)
		return;
	v->host_time += v->m->d.cost.look;
	timer_set(v, timer, false);
}

void decide_go_on(struct vcpu *v)
{
	u64 timer = v->hostside.timer;

	if (!v->m->config.free_looks)
		return;
	if (v->hw_deadline != timer && timer > v->tsc && !defect(v, LAZYTSC_DEFECT_STAYS_LATE))
		timer_set(v, timer, false);
	if (v->hw_deadline != timer && timer && timer <= v->tsc &&
	    !defect(v, LAZYTSC_DEFECT_NO_LOOK)) {
		v->host_time += v->m->d.cost.look;
		expire(v, LAZYTSC_VCPU, true);
	}
	lazytsc_mon_goes_on(&v->mon, v->tsc, v->hw_deadline);
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
	if (v->inject || v->left || defect(v, LAZYTSC_DEFECT_SILENT_WAKES))
		self(v, SELF_WOKEN, v->now + after + v->m->d.cost.wake);
}

/* The timer fires on another CPU: the vCPU goes on, and is kicked if it has to do something. */
static void fires_elsewhere(struct vcpu *v)
{
	const struct lazytsc_costs *c = &v->m->d.cost;
	bool injected;

	v->stats.remote_expiries++;
	v->other_time += c->callback;
	if (v->elsewhere)
		lazytsc_mon_elsewhere(&v->mon, v->tsc);
	injected = expire(v, LAZYTSC_REMOTE, false);
	/* What an injection starts is paid for with its deadline. */
	v->elsewhere = !injected && v->at[AT_TIMER] != NEVER;
	if (injected)
		lazytsc_mon_paid(&v->mon);
	/* A posted interrupt reaches IRR in an exit as well; a kick has nothing to do there. */
	if ((v->state == GUEST || (v->state == EXITED && v->hw_kind == LAZYTSC_TIMER_POSTED)) &&
	    (v->inject || v->left) && v->at[AT_ARRIVAL] == NEVER &&
	    !defect(v, LAZYTSC_DEFECT_NO_KICK))
		v->at[AT_ARRIVAL] = v->now + c->ipi;
	wake(v, c->ipi);
}

void decide_timer_fires(struct vcpu *v)
{
	v->at[AT_TIMER] = NEVER;
	if (v->hw_kind == LAZYTSC_TIMER_REMOTE || v->hw_kind == LAZYTSC_TIMER_POSTED) {
		fires_elsewhere(v);
	} else if (v->state == GUEST) {
		record_exit(v,
			    v->hw_kind == LAZYTSC_TIMER_HV ? LAZYTSC_EXIT_TIMER : LAZYTSC_EXIT_IRQ,
			    SELF_EXPIRE);
	} else if (v->hw_kind == LAZYTSC_TIMER_HV) {
		v->hw_expired = 1;
	} else {
		v->host_time += v->m->d.cost.callback;
		decide_expire(v);
		wake(v, 0);
	}
}

void decide_look_up(struct vcpu *v)
{
	if (!v->host_area && (v->word & LAZYTSC_MSR_GPA) == AREA_GPA && !v->slot_gone)
		v->host_area = &v->area;
}

void decide_withdraw(struct vcpu *v, enum lazytsc_withdraw_reason reason)
{
	u64 before = lazytsc_load(&v->area.armed);
	struct lazytsc_decision d;

	lazytsc_mon_host_begin(&v->mon, v->tsc, v->tsc, 0);
	d = variant(v)->host_withdraw(&v->hostside, v->host_area, reason);
	record_publish(v, before);
	record_step(v, LAZYTSC_STEP_WITHDRAW, d.timer);
	decide_act(v, &d, false);
}

void decide_cancel(struct vcpu *v)
{
	u64 before = lazytsc_load(&v->area.armed);
	struct lazytsc_decision d;

	lazytsc_mon_host_begin(&v->mon, v->tsc, v->tsc, 0);
	d = variant(v)->host_cancel(&v->hostside, v->host_area);
	record_publish(v, before);
	decide_act(v, &d, false);
}
