// SPDX-License-Identifier: BSD-2-Clause
/* A vCPU's thread: the ways in and out of guest mode, and what happens next. */
#include <assert.h>

#include "count.h"
#include "decide.h"
#include "guest.h"
#include "hosttimer.h"
#include "lapic.h"
#include "loop.h"
#include "record.h"
#include "restore.h"
#include "trouble.h"

static void resume_promise(struct vcpu *v)
{
	u64 before = lazytsc_load(&v->area.armed);

	v->was_user = 0;
	variant(v)->host_resume(&v->hostside, v->host_area, v->tsc);
	record_publish(v, before);
}

/* The thread is about to enter the guest, or to block. */
static void prepare(struct vcpu *v)
{
	record_paid(v);
	decide_look_up(v);
	if (v->left)
		timer_set(v, v->hostside.timer, true);
	if (v->retime) {
		v->retime = 0;
		if (!defect(v, LAZYTSC_DEFECT_STALE_TIMER)) {
			decide_withdraw(v, LAZYTSC_WITHDRAW_TIME);
			timer_set(v, v->hostside.timer, true);
			v->was_user = 1;
		}
	}
	if (v->restored)
		restore_recover(v);
	if (v->was_user)
		resume_promise(v);
}

static void enter(struct vcpu *v)
{
	prepare(v);
	timer_follow(v);
	if (v->hw_expired) {
		/* The hv timer has run out: the vCPU exits before its first instruction. */
		v->hw_expired = 0;
		v->stats.exits[LAZYTSC_EXIT_TIMER]++;
		v->host_time += v->m->d.cost.exit_timer;
		self(v, SELF_EXPIRE, v->now + v->m->d.cost.exit_timer / 2);
		return;
	}
	if (count_exits(v))
		return;
	if (v->inject && v->inject > v->tsc && !defect(v, LAZYTSC_DEFECT_NO_WAIT)) {
		u64 end = time_of(v, v->inject);

		/* The injection was decided early: the guest stays stopped until it is due. */
		v->host_time += end - v->now;
		self(v, SELF_ENTER, end);
		return;
	}
	if (v->inject)
		lapic_deliver(v);
	v->state = GUEST;
	lazytsc_mon_enter(&v->mon, v->tsc);
	record_step(v, LAZYTSC_STEP_ENTER, 0);
	if (v->in_wrmsr)
		record_exit(v, LAZYTSC_EXIT_WRITE, SELF_TRAP);
	else if (!guest_looks(v))
		guest_go_on(v);
}

static void block(struct vcpu *v)
{
	prepare(v);
	if (v->inject && v->inject <= v->tsc)
		lapic_deliver(v);
	if (v->irr || v->inject || v->device || v->count_irr) {
		self(v, SELF_ENTER, v->now + v->m->d.cost.block / 2);
		return;
	}
	v->state = BLOCKED;
	lazytsc_mon_halt(&v->mon, v->tsc);
	record_step(v, LAZYTSC_STEP_BLOCKED, 0);
	self(v, SELF_NONE, NEVER);
	timer_follow(v);
	decide_block(v);
}

/* The blocked thread runs again: for the timer, or for another device. */
static void woken(struct vcpu *v)
{
	bool defective = defect(v, LAZYTSC_DEFECT_SILENT_WAKES);

	decide_go_on(v);
	prepare(v);
	if (v->inject && v->inject > v->tsc && !defect(v, LAZYTSC_DEFECT_NO_WAIT)) {
		self(v, SELF_WOKEN, time_of(v, v->inject));
		return;
	}
	if (v->inject)
		lapic_deliver(v);
	if (!v->irr && !v->device && !v->count_irr && !defective) {
		/* There is nothing for the guest: it stays halted. */
		self(v, SELF_NONE, NEVER);
		decide_block(v);
		return;
	}
	v->stats.wakes++;
	v->at[AT_DEVICE] = NEVER;
	lazytsc_mon_wake(&v->mon, v->tsc, v->device || v->count_irr);
	record_step(v, LAZYTSC_STEP_WAKE, v->device);
	v->state = EXITED;
	self(v, SELF_ENTER, v->now);
}

static void run_self(struct vcpu *v)
{
	switch ((enum self)v->self) {
	case SELF_OP:
		guest_operate(v);
		break;
	case SELF_HANDLER:
		v->isr = 0;
		guest_ask(v, LAZYTSC_ASKED_TIMER);
		if (v->irr || v->count_irr)
			guest_go_on(v);
		break;
	case SELF_TRAP:
		guest_trap(v);
		break;
	case SELF_EXPIRE:
		decide_expire(v);
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
	if (v->left && v->state == GUEST) {
		record_exit(v, LAZYTSC_EXIT_IRQ, SELF_ENTER);
		return;
	}
	if (!v->inject || v->inject > v->tsc)
		return;
	if (v->hw_kind == LAZYTSC_TIMER_POSTED && (v->state == GUEST || v->state == EXITED)) {
		lapic_deliver(v);
		if (v->state == GUEST && v->irr && !v->isr)
			guest_go_on(v);
	} else if (v->state == GUEST) {
		record_exit(v, LAZYTSC_EXIT_IRQ, SELF_ENTER);
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

	for (enum source s = 1; s < AT_SOURCES; s++) {
		if (v->at[s] > v->at[first])
			continue;
		ties = v->at[s] == v->at[first] ? ties + 1 : 1;
		if (ties == 1 || (v->at[s] != NEVER && roll(v, ties) == 0))
			first = s;
	}
	return first;
}

void loop_run(struct vcpu *v, u64 until)
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
			decide_timer_fires(v);
			break;
		case AT_ARRIVAL:
			arrive(v);
			break;
		case AT_DEVICE:
			device(v);
			break;
		case AT_COUNT:
			count_ends(v);
			break;
		default:
			trouble_strikes(v);
			break;
		}
	}
}
