// SPDX-License-Identifier: BSD-2-Clause
/*
 * User space saves the vCPU and restores it into a new one: MSR by MSR, or part by part, in any
 * order and with parts left out. What KVM does with each part, docs/kernel.md ("Restores") says.
 */
#include <string.h>

#include "decide.h"
#include "hosttimer.h"
#include "lapic.h"
#include "record.h"
#include "registers.h"
#include "restore.h"
#include "wide.h"

enum part { PART_CPUID, PART_LAPIC, PART_TSC, PART_DEADLINE, PART_FEATURE, PART_MEMORY, PARTS };

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
	struct lazytsc_machine_stats live = { .host = v->hostside.stats };

	lazytsc_machine_add(&v->stats, &live);
}

static void jump(struct vcpu *v, u64 offset)
{
	v->clock.offset = offset;
	v->tsc = clock_guest(&v->clock, v->now);
	lazytsc_mon_jump(&v->mon, v->tsc);
}

/*
 * A new vCPU: its LAPIC is as after RESET, its TSC reads anything, and its memory holds anything.
 * There is no guest without LAPIC, CPUID and memory; of the rest now and then a part is left out.
 * CPUID may come without its deadline bit.
 */
static void begin_parts(struct vcpu *v)
{
	u64 span = 2 * v->m->config.guest_khz; /* two ms */

	v->saved.parts = (1u << PARTS) - 1;
	for (enum part p = PART_TSC; p <= PART_FEATURE; p++) {
		if (!roll(v, 8))
			v->saved.parts &= ~(1u << p);
	}
	v->saved.no_bit = !roll(v, 16);
	v->saved.memory = v->area;
	memset(&v->area, 0, sizeof(v->area));
	lazytsc_store(&v->area.armed, 1);
	lazytsc_store(&v->area.pending, 1);
	v->saved.offset = v->clock.offset;
	if (v->tsc > span)
		jump(v, v->clock.offset - roll(v, span));
	v->irr = v->count_irr = 0;
	v->no_bit = 1;
}

void restore_save(struct vcpu *v)
{
	v->saved.deadline = lapic_off(v) ? 0
					 : variant(v)->host_deadline(&v->hostside, v->host_area);
	v->saved.word = v->word;
	v->saved.stale = v->stale;
	v->saved.irr = v->irr;
	v->saved.count_irr = v->count_irr;
	v->saved.no_bit = 0;
	v->saved.had_no_bit = v->no_bit;
	lazytsc_mon_rdmsr(&v->mon, v->tsc, v->saved.deadline);
	record_step(v, LAZYTSC_STEP_MIGRATE, v->saved.deadline);
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
	v->word = 0;
	v->stale = 0;
	v->inject = 0;
	v->slot_gone = 0;
	v->retime = 0;
	v->at[AT_ARRIVAL] = NEVER;
	v->host ^= 1;
	set_clock(v);
	timer_set(v, 0, true);
	lazytsc_mon_moved(&v->mon, v->tsc);
	v->moving = v->moved = 1;
	v->stats.migrations++;
	v->saved.how = v->m->config.restore;
	if (v->saved.how == LAZYTSC_RESTORE_ANY)
		v->saved.how = roll(v, LAZYTSC_RESTORE_ANY);
	if (v->saved.how == LAZYTSC_RESTORE_PARTS)
		begin_parts(v);
}

static void restore_deadline(struct vcpu *v, u64 deadline)
{
	struct lazytsc_decision d = variant(v)->host_restore(&v->hostside, deadline);

	v->restored = 1;
	v->inject = 0;
	lazytsc_mon_restore(&v->mon, v->tsc, deadline);
	timer_set(v, d.timer, true);
}

static void restore_feature(struct vcpu *v)
{
	v->restored = 1;
	v->stale = v->saved.stale;
	if (v->saved.word)
		register_word(v, v->saved.word);
}

/* KVM drops an injection that is not in IRR: the glue makes a timer of it again. */
static void set_lapic(struct vcpu *v)
{
	v->restored = 1;
	if (lapic_off(v) || !v->inject)
		return;
	if (defect(v, LAZYTSC_DEFECT_LAPIC_DROPS))
		v->inject = 0;
	else
		restore_deadline(v, variant(v)->host_deadline(&v->hostside, v->host_area));
}

static void restore_part(struct vcpu *v, enum part p)
{
	record_step(v, LAZYTSC_STEP_RESTORE, p);
	switch (p) {
	case PART_LAPIC:
		/* Without CPUID's deadline bit KVM drops the LAPIC's deadline mode. */
		v->no_bit = v->saved.no_bit || (v->saved.parts >> PART_CPUID & 1);
		v->irr = v->saved.irr;
		v->count_irr = v->saved.count_irr;
		set_lapic(v);
		break;
	case PART_TSC:
		jump(v, v->saved.offset);
		timer_set(v, v->hostside.timer, true);
		break;
	case PART_DEADLINE:
		/* Without deadline mode KVM drops the deadline, and reports success. */
		if (!lapic_off(v))
			restore_deadline(v, v->saved.deadline);
		break;
	case PART_FEATURE:
		restore_feature(v);
		break;
	case PART_MEMORY:
		v->area = v->saved.memory;
		break;
	default:
		break;
	}
}

static void any_part(struct vcpu *v)
{
	u64 n = roll(v, (u64)__builtin_popcount(v->saved.parts));
	unsigned int p = 0;

	for (;; p++) {
		if ((v->saved.parts >> p & 1) && n-- == 0)
			break;
	}
	v->saved.parts &= ~(1u << p);
	restore_part(v, p);
}

bool restore_goes_on(struct vcpu *v)
{
	if (v->sets_lapic) {
		v->sets_lapic = 0;
		set_lapic(v);
		return true;
	}
	if (!v->moving)
		return false;
	if (v->saved.how == LAZYTSC_RESTORE_PARTS) {
		any_part(v);
	} else {
		if (v->saved.how == LAZYTSC_RESTORE_FEATURE_FIRST)
			restore_feature(v);
		restore_deadline(v, v->saved.deadline);
		if (v->saved.how == LAZYTSC_RESTORE_DEADLINE_FIRST)
			restore_feature(v);
	}
	v->moving = v->saved.parts != 0;
	return true;
}

/*
 * Does the host find the wanted deadline in the guest's page? Without recovery it is lost. A raw
 * deadline is not there, and without LAZYTSC_MSR the host does not look.
 */
static bool recoverable(const struct vcpu *v)
{
	const struct lazytsc_arm *arm = &v->mon.arm[0];

	return v->host_area && !v->stale && !v->apic_off && !arm->raw &&
	       arm->deadline == lazytsc_load(&v->area.pending);
}

static void excuse(struct vcpu *v)
{
	const struct lazytsc_arm *arm = &v->mon.arm[0];

	if (v->hostside.timer || v->inject || v->mon.wild || recoverable(v))
		return;
	v->stats.lost += arm->serial && arm->end == LAZYTSC_END_NONE;
	lazytsc_mon_restore(&v->mon, v->tsc, 0);
}

void restore_recover(struct vcpu *v)
{
	struct lazytsc_decision d;

	v->restored = 0;
	/* By now CPUID is known, and the timer's mode is taken from LVTT once more. */
	v->no_bit = v->saved.no_bit;
	if (v->no_bit != v->saved.had_no_bit)
		lazytsc_mon_lapic(&v->mon, v->tsc, LAZYTSC_END_MODE, !lapic_off(v));
	v->saved.had_no_bit = v->no_bit;
	if (v->moved)
		excuse(v);
	v->moved = 0;
	if (lapic_off(v) || (v->stale && !defect(v, LAZYTSC_DEFECT_TRUSTS_STALE)) ||
	    defect(v, LAZYTSC_DEFECT_NO_RECOVERY))
		return;
	lazytsc_mon_host_begin(&v->mon, v->tsc, v->tsc, 0);
	d = variant(v)->host_recover(&v->hostside, v->host_area);
	decide_act(v, &d, false);
}
