// SPDX-License-Identifier: BSD-2-Clause
/*
 * The LVT timer's other modes: one-shot and periodic. The host has one timer for all modes, and a
 * change of the mode stops it, so the core never sees these. Their interrupts have a vector of
 * their own here, which the guest writes to LVTT with the mode.
 */
#include "count.h"
#include "record.h"

void count_start(struct vcpu *v, u64 cycles)
{
	if (!v->mode_off && !defect(v, LAZYTSC_DEFECT_TMICT_COUNTS))
		return;
	count_stop(v);
	/* In the liveness phase deadlines alone are waited for. */
	if (v->settling || v->apic_off || v->no_bit || !cycles)
		return;
	v->count = delay(v, cycles);
	/* KVM allows no shorter period (min_timer_period_us). */
	if (v->periodic && v->count < v->m->d.shortest)
		v->count = v->m->d.shortest;
	v->count_due = add_sat(v->now, v->count);
	v->at[AT_COUNT] = v->count_due;
}

void count_stop(struct vcpu *v)
{
	v->count = 0;
	v->counted = 0;
	v->at[AT_COUNT] = NEVER;
}

u64 count_rest(const struct vcpu *v)
{
	return v->count && v->count_due > v->now ? v->count_due - v->now : 0;
}

/*
 * The next period begins where the last one ended. After a long time without the vCPU it would have
 * ended long ago, and so would those that follow: then it begins now.
 */
static void restart(struct vcpu *v)
{
	v->count_due = add_sat(v->count_due, v->count);
	if (v->count_due <= v->now && !defect(v, LAZYTSC_DEFECT_COUNT_CATCHES_UP))
		v->count_due = add_sat(v->now, v->count);
	v->at[AT_COUNT] = v->count_due > v->now ? v->count_due : v->now;
}

static void expire(struct vcpu *v)
{
	bool missed = v->periodic && v->now - v->count_due >= v->count;

	v->stats.counts++;
	v->count_irr |= !v->masked;
	lazytsc_mon_count(&v->mon, v->tsc, missed);
	record_step(v, LAZYTSC_STEP_COUNT, v->count_irr);
	if (v->periodic)
		restart(v);
	else
		count_stop(v);
}

static bool by_hv_timer(const struct vcpu *v)
{
	return v->m->config.timer == LAZYTSC_TIMER_HV && v->state != BLOCKED;
}

void count_ends(struct vcpu *v)
{
	v->at[AT_COUNT] = NEVER;
	if (by_hv_timer(v) && v->state != GUEST) {
		v->counted = 1;
		return;
	}
	if (v->state == GUEST)
		record_exit(v, by_hv_timer(v) ? LAZYTSC_EXIT_TIMER : LAZYTSC_EXIT_IRQ, SELF_ENTER);
	expire(v);
	if (v->count_irr && v->state == BLOCKED && v->self == SELF_NONE)
		self(v, SELF_WOKEN, v->now + v->m->d.cost.wake);
}

bool count_exits(struct vcpu *v)
{
	if (v->count && v->at[AT_COUNT] <= v->now && by_hv_timer(v))
		v->counted = 1;
	if (!v->counted)
		return false;
	v->counted = 0;
	v->at[AT_COUNT] = NEVER;
	v->stats.exits[LAZYTSC_EXIT_TIMER]++;
	v->host_time += v->m->d.cost.exit_timer;
	expire(v);
	self(v, SELF_ENTER, v->now + v->m->d.cost.exit_timer);
	return true;
}
