// SPDX-License-Identifier: BSD-2-Clause
/* What disturbs a vCPU from outside: kicks, user space, memslots, TSC writes, RESET, migration. */
#include <string.h>

#include "decide.h"
#include "guest.h"
#include "hosttimer.h"
#include "record.h"
#include "registers.h"
#include "trouble.h"
#include "wide.h"

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

static void set_clock(struct vcpu *v)
{
	const struct lazytsc_machine_config *c = &v->m->config;
	u64 khz = c->host_khz[v->host];

	v->clock.t0 = v->now;
	v->clock.host_base = lazytsc_random(&v->random) >> 4;
	v->clock.host_mul = wide_mul_div(khz, RATIO_1, c->host_khz[0]);
	v->clock.ratio = wide_mul_div(c->guest_khz, RATIO_1, khz);
	v->clock.offset = v->tsc - mul48(v->clock.host_base, v->clock.ratio);
}

static void add_host_stats(struct vcpu *v)
{
	struct lazytsc_host_stats *sum = &v->stats.host;
	const struct lazytsc_host_stats *s = &v->hostside.stats;

	sum->traps += s->traps;
	sum->injections += s->injections;
	sum->silent_running += s->silent_running;
	sum->silent_blocked += s->silent_blocked;
	sum->looks += s->looks;
	for (unsigned int i = 0; i < LAZYTSC_WITHDRAW_REASONS; i++)
		sum->withdrawals[i] += s->withdrawals[i];
}

/* The machine stops; what is in the page and in the MSR goes to another host. */
static void save(struct vcpu *v)
{
	leave(v, v->m->d.downtime);
	v->saved = variant(v)->host_deadline(&v->hostside, v->host_area);
	if (v->mode_off || v->apic_off)
		v->saved = 0;
	lazytsc_mon_rdmsr(&v->mon, v->tsc, v->saved);
	record_step(v, LAZYTSC_STEP_MIGRATE, v->saved);
	/* The last pass: the page goes again where the dirty log names it. */
	if (!v->dirty)
		v->area = v->precopy;

	add_host_stats(v);
	memset(&v->hostside, 0, sizeof(v->hostside));
	if (v->guess_state) {
		memset(v->guess_state, 0, v->m->config.guess->size);
		v->m->config.guess->init(v->guess_state, v->m->d.wait);
	}
	v->host_area = NULL;
	v->inject = 0;
	v->slot_gone = 0;
	v->retime = 0;
	v->at[AT_ARRIVAL] = NEVER;
	v->host ^= 1;
	set_clock(v);
	timer_set(v, 0, true);
	lazytsc_mon_moved(&v->mon, v->tsc);
	v->moving = 1;
	v->stats.migrations++;
}

static void restore_deadline(struct vcpu *v)
{
	struct lazytsc_decision d = variant(v)->host_restore(&v->hostside, v->saved);

	lazytsc_mon_restore(&v->mon, v->tsc, v->saved);
	timer_set(v, d.timer, true);
}

/* On the other host: its VMM restores, in whatever order. */
static void restore(struct vcpu *v)
{
	enum lazytsc_restore how = v->m->config.restore;
	u64 word = v->word;

	if (how == LAZYTSC_RESTORE_ANY)
		how = roll(v, LAZYTSC_RESTORE_ANY);
	v->moving = 0;
	v->word = 0;
	if (how == LAZYTSC_RESTORE_FEATURE_FIRST && word)
		register_word(v, word);
	restore_deadline(v);
	if (how == LAZYTSC_RESTORE_DEADLINE_FIRST && word)
		register_word(v, word);
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
		save(v);
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
	if (v->moving) {
		restore(v);
		self(v, SELF_USER_BACK, v->now + v->m->d.cost.user);
		return;
	}
	v->state = EXITED;
	self(v, v->halted ? SELF_BLOCK : SELF_ENTER, v->now);
}
