// SPDX-License-Identifier: BSD-2-Clause
/* The host timer behind a deadline: which one it is, and when it fires. */
#include "hosttimer.h"
#include "record.h"

/* The hv timer counts down at the TSC's rate divided by 2^5, in 32 bits (IA32_VMX_MISC[4:0]). */
#define HV_SHIFT 5
#define HV_RANGE ((u64)0xffffffff << HV_SHIFT)

/* A timer that is set further ahead than this is left off: no run is that long. */
#define FAR ((u64)1 << 61)

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
	v->left = v->elsewhere = 0;
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
	record_step(v, LAZYTSC_STEP_TIMER, deadline);
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
