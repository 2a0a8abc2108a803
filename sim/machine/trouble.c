// SPDX-License-Identifier: BSD-2-Clause
/* What disturbs a vCPU from outside: kicks, user space, memslots, the TSC, other vCPUs, RESET. */
#include "decide.h"
#include "guest.h"
#include "hosttimer.h"
#include "record.h"
#include "registers.h"
#include "restore.h"
#include "trouble.h"

/* A migration's first pass copies the page; this long afterwards the machine stops. */
#define PRECOPY_NS 1000000

static u64 next(struct vcpu *v, enum lazytsc_trouble t)
{
	u64 mean = v->m->d.trouble[t];

	if (!mean)
		return NEVER;
	/* A migration hits all vCPUs at once: the same numbers for each. */
	return add_sat(v->now,
		       1 + lazytsc_random_below(t == LAZYTSC_TROUBLE_migrate ? &v->migrations
									     : &v->random,
						2 * mean));
}

static void plan_next(struct vcpu *v)
{
	v->at[AT_TROUBLE] = NEVER;
	for (unsigned int t = 0; t < LAZYTSC_TROUBLE_COUNT; t++) {
		if (v->trouble_at[t] < v->at[AT_TROUBLE])
			v->at[AT_TROUBLE] = v->trouble_at[t];
	}
	/* What had to wait while something else disturbed the vCPU is due at once. */
	if (v->at[AT_TROUBLE] < v->now)
		v->at[AT_TROUBLE] = v->now;
}

void trouble_plan(struct vcpu *v)
{
	for (unsigned int t = 0; t < LAZYTSC_TROUBLE_COUNT; t++)
		v->trouble_at[t] = next(v, t);
	plan_next(v);
}

static void mark_dirty(struct vcpu *v)
{
	if (defect(v, LAZYTSC_DEFECT_NOT_DIRTY))
		return;
	v->dirty = 1;
	lazytsc_mon_dirty(&v->mon, v->tsc);
}

/* The thread returns to user space for @time. */
static void leave(struct vcpu *v, u64 time)
{
	if (v->state == BLOCKED) {
		decide_go_on(v);
		lazytsc_mon_wake(&v->mon, v->tsc, true);
	}
	decide_look_up(v);
	v->stale = v->word && !v->host_area;
	if (!defect(v, LAZYTSC_DEFECT_REST_ARMED))
		decide_withdraw(v, LAZYTSC_WITHDRAW_USERSPACE);
	mark_dirty(v);
	v->state = USER;
	v->was_user = 1;
	lazytsc_mon_user(&v->mon, v->tsc);
	record_step(v, LAZYTSC_STEP_USER, 0);
	timer_follow(v);
	v->stats.exits[LAZYTSC_EXIT_OTHER]++;
	v->host_time += v->m->d.cost.exit_other + time;
	self(v, SELF_USER_BACK, v->now + v->m->d.cost.exit_other + time);
}

/*
 * By user space; or by the guest, or by KVM, without a trip there: then armed stands published, and
 * until the thread has computed the timer anew an expiry elsewhere is decided by the new time.
 */
static void change_tsc(struct vcpu *v)
{
	u64 span = v->m->config.guest_khz; /* one ms */
	bool user = roll(v, 2);

	if (user)
		leave(v, v->m->d.cost.user);
	v->clock.offset += roll(v, 2 * span);
	if (v->tsc > 2 * span)
		v->clock.offset -= span;
	v->tsc = clock_guest(&v->clock, v->now);
	lazytsc_mon_jump(&v->mon, v->tsc);
	/* What was decided was decided in the former time: nobody waits for it in this one. */
	if (v->inject > v->tsc)
		v->inject = v->tsc;
	record_step(v, LAZYTSC_STEP_TSC, v->tsc);
	if (user) {
		if (!defect(v, LAZYTSC_DEFECT_STALE_TIMER))
			timer_set(v, v->hostside.timer, true);
		return;
	}
	v->retime = 1;
	if (v->state == GUEST)
		record_exit(v, LAZYTSC_EXIT_OTHER, SELF_ENTER);
	else
		self(v, SELF_WOKEN, v->now + v->m->d.cost.wake);
}

/*
 * The MMU notifier: the mapping goes, and until the vCPU's thread looks the page up once more the
 * host is without it. The guest goes on.
 */
static void unmap(struct vcpu *v)
{
	if (!v->host_area)
		return;
	record_step(v, LAZYTSC_STEP_UNMAP, 0);
	if (defect(v, LAZYTSC_DEFECT_UNMAP_KEEPS))
		v->host_area = NULL; /* as the first glue: a withdrawal without the page */
	decide_withdraw(v, LAZYTSC_WITHDRAW_MEMSLOT);
	lazytsc_mon_memslot(&v->mon, v->tsc);
	v->host_area = NULL;
	v->was_user = 1;
}

/* Another vCPU of the guest stores into this one's area: a deadline that comes soon. */
static void scribble(struct vcpu *v)
{
	u64 next = v->tsc + 1 + roll(v, (u64)1 << (4 + roll(v, 16)));

	if (!v->guest.area)
		return;
	lazytsc_store(&v->area.pending, next);
	v->dirty = 1;
	lazytsc_mon_besieged(&v->mon, v->tsc);
	record_step(v, LAZYTSC_STEP_SIBLING, next);
}

/* An erratum: the hv timer fires, however far ahead its deadline lies. */
static void fire_early(struct vcpu *v)
{
	if (v->state != GUEST || v->hw_kind != LAZYTSC_TIMER_HV || v->at[AT_TIMER] == NEVER ||
	    v->at[AT_TIMER] <= v->now)
		return;
	v->at[AT_TIMER] = NEVER;
	v->hw_false = 1;
	record_exit(v, LAZYTSC_EXIT_TIMER, SELF_EXPIRE);
}

/* A fault, or a host that stands still: the promise is not kept, and the guest notices (B28). */
static void lose_timer(struct vcpu *v)
{
	if (v->at[AT_TIMER] == NEVER && !v->hw_expired)
		return;
	v->at[AT_TIMER] = NEVER;
	v->hw_expired = 0;
	lazytsc_mon_forsaken(&v->mon);
	record_step(v, LAZYTSC_STEP_LOSE, v->hw_deadline);
}

/* The memslot goes; the next time it comes back. */
static void change_memslot(struct vcpu *v)
{
	if (!v->slot_gone) {
		if (!defect(v, LAZYTSC_DEFECT_SLOT_KEEPS))
			decide_withdraw(v, LAZYTSC_WITHDRAW_MEMSLOT);
		if (v->word)
			lazytsc_mon_memslot(&v->mon, v->tsc);
		v->host_area = NULL;
	} else {
		v->was_user = 1;
	}
	v->slot_gone ^= 1;
	if (v->state == GUEST)
		record_exit(v, LAZYTSC_EXIT_OTHER, SELF_ENTER);
}

static void migrate(struct vcpu *v)
{
	v->precopied ^= 1;
	if (v->precopied) {
		v->precopy = v->area;
		v->dirty = 0;
		v->trouble_at[LAZYTSC_TROUBLE_migrate] =
			v->now + PRECOPY_NS * v->m->config.host_khz[0] / 1000000;
	} else {
		leave(v, v->m->d.downtime);
		restore_save(v);
	}
}

static void strike(struct vcpu *v, enum lazytsc_trouble t)
{
	v->trouble_at[t] = next(v, t);
	switch (t) {
	case LAZYTSC_TROUBLE_kick:
		if (v->state == GUEST)
			record_exit(v, LAZYTSC_EXIT_OTHER, SELF_ENTER);
		break;
	case LAZYTSC_TROUBLE_user:
		leave(v, v->m->d.cost.user);
		break;
	case LAZYTSC_TROUBLE_memslot:
		change_memslot(v);
		break;
	case LAZYTSC_TROUBLE_unmap:
		unmap(v);
		break;
	case LAZYTSC_TROUBLE_sibling:
		scribble(v);
		break;
	case LAZYTSC_TROUBLE_lose:
		lose_timer(v);
		break;
	case LAZYTSC_TROUBLE_early:
		fire_early(v);
		break;
	case LAZYTSC_TROUBLE_lapic:
		leave(v, v->m->d.cost.user);
		v->sets_lapic = 1;
		break;
	case LAZYTSC_TROUBLE_tsc:
		change_tsc(v);
		break;
	case LAZYTSC_TROUBLE_reset:
		leave(v, v->m->d.cost.user);
		register_reset(v);
		guest_start(v);
		break;
	default:
		migrate(v);
		break;
	}
}

void trouble_strikes(struct vcpu *v)
{
	bool between = v->state == EXITED && v->self == SELF_TRAP && v->in_wrmsr;

	if (v->state != GUEST && !between && !(v->state == BLOCKED && v->self == SELF_NONE)) {
		/* The host is at work for it: when that is done. */
		v->at[AT_TROUBLE] = v->at[AT_SELF] + 1;
		return;
	}
	if (between) {
		/* Between the guest's store and its WRMSR, which has not exited after all. */
		v->stats.exits[LAZYTSC_EXIT_WRITE]--;
		v->host_time -= v->m->d.cost.exit_write;
		v->state = GUEST;
		self(v, SELF_ENTER, v->now);
	}
	for (unsigned int t = 0; t < LAZYTSC_TROUBLE_COUNT; t++) {
		if (v->trouble_at[t] <= v->now) {
			strike(v, t);
			break;
		}
	}
	plan_next(v);
}

void trouble_user_back(struct vcpu *v)
{
	if (restore_goes_on(v)) {
		self(v, SELF_USER_BACK, v->now + v->m->d.cost.user);
		return;
	}
	v->state = EXITED;
	self(v, v->halted ? SELF_BLOCK : SELF_ENTER, v->now);
}
