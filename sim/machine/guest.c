// SPDX-License-Identifier: BSD-2-Clause
/* The guest: what its workload does, and what becomes of that after an exit. */
#include "count.h"
#include "guest.h"
#include "lapic.h"
#include "record.h"
#include "registers.h"

/* Ask the workload what comes next. */
void guest_ask(struct vcpu *v, enum lazytsc_asked reason)
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

static void back_in(struct vcpu *v)
{
	self(v, SELF_ENTER, v->now + v->m->d.cost.exit_write / 2);
}

/* The guest is in guest mode, with interrupts on, and goes on. */
void guest_go_on(struct vcpu *v)
{
	v->device = 0;
	if ((v->irr || v->count_irr) && !v->isr) {
		if (v->irr)
			lapic_take(v);
		else
			v->count_irr = 0;
		v->isr = 1;
		v->halted = 0;
		self(v, SELF_HANDLER, v->now + v->m->d.cost.irq);
	} else if (v->isr) {
		self(v, SELF_HANDLER, v->now + v->m->d.cost.irq);
	} else if (v->halted) {
		v->halted = 0;
		guest_ask(v, LAZYTSC_ASKED_WOKEN);
	} else if (v->op.kind == LAZYTSC_WORKLOAD_NOTHING || v->op.kind == LAZYTSC_WORKLOAD_DONE) {
		self(v, SELF_OP, NEVER);
	} else {
		self(v, SELF_OP, time_of(v, v->op.at));
	}
}

/* A set or a disarm through the guest's hook. */
static void hooked(struct vcpu *v)
{
	u64 t = v->op.kind == LAZYTSC_WORKLOAD_SET ? v->op.value : 0;
	bool write;

	lazytsc_mon_set_begin(&v->mon, v->tsc, t);
	lazytsc_clock = v->tsc;
	write = t ? variant(v)->guest_set(&v->guest, t) : variant(v)->guest_disarm(&v->guest);
	v->dirty |= v->guest.area != NULL;
	v->stats.events++;
	v->stats.sets += t != 0;
	record_step(v,
		    write ? (t ? LAZYTSC_STEP_SET_WRITE : LAZYTSC_STEP_DISARM_WRITE)
			  : (t ? LAZYTSC_STEP_SET_SKIP : LAZYTSC_STEP_DISARM_SKIP),
		    t);
	v->op.value = t;
	if (write) {
		v->in_wrmsr = 1;
		record_exit(v, LAZYTSC_EXIT_WRITE, SELF_TRAP);
		return;
	}
	v->stats.skips++;
	v->stats.guest_ns += v->m->config.costs.skip;
	lazytsc_mon_set_skip(&v->mon, v->tsc, t, lazytsc_load(&v->area.armed));
	guest_ask(v, LAZYTSC_ASKED_NEXT);
}

bool guest_looks(struct vcpu *v)
{
	u64 t = v->wrote, patience = v->guest.patience;

	if (!t)
		return false;
	lazytsc_clock = v->tsc;
	if (!v->looked && variant(v)->guest_wrote(&v->guest, t) &&
	    !defect(v, LAZYTSC_DEFECT_NEVER_LOOKS)) {
		v->looks = 1;
		record_exit(v, LAZYTSC_EXIT_OTHER, SELF_TRAP);
		return true;
	}
	v->wrote = v->looked = 0;
	v->mon.limits.patience = patience + 1;
	/* A guest that writes to armed hides from itself that nothing is armed. */
	if (!v->mon.armed_written)
		lazytsc_mon_wrote(&v->mon, v->tsc, t);
	return false;
}

/* The guest has read LAZYTSC_MSR: the feature is enabled again, if this host does not know it. */
static void found(struct vcpu *v)
{
	u64 word = variant(v)->guest_found(&v->guest, v->word);

	v->looks = 0;
	v->looked = 1;
	if (word)
		register_word(v, word);
}

static void scribble(struct vcpu *v, bool armed)
{
	lazytsc_store(armed ? &v->area.armed : &v->area.pending, v->op.value);
	v->dirty = 1;
	lazytsc_mon_scribble(&v->mon, v->tsc, armed);
	record_step(v, LAZYTSC_STEP_SCRIBBLE, v->op.value);
	guest_ask(v, LAZYTSC_ASKED_NEXT);
}

/* In guest mode: the workload's operation is due. */
void guest_operate(struct vcpu *v)
{
	switch (v->op.kind) {
	case LAZYTSC_WORKLOAD_PAUSE:
		guest_ask(v, LAZYTSC_ASKED_NEXT);
		break;
	case LAZYTSC_WORKLOAD_SET:
	case LAZYTSC_WORKLOAD_DISARM:
		hooked(v);
		break;
	case LAZYTSC_WORKLOAD_RAW:
		v->stats.events++;
		v->stats.sets += v->op.value != 0;
		record_step(v, LAZYTSC_STEP_RAW, v->op.value);
		record_exit(v, LAZYTSC_EXIT_WRITE, SELF_TRAP);
		break;
	case LAZYTSC_WORKLOAD_HALT:
		v->halted = 1;
		v->at[AT_DEVICE] = v->op.value ? time_of(v, v->op.value) : NEVER;
		record_step(v, LAZYTSC_STEP_HALT, v->op.value);
		record_exit(v, LAZYTSC_EXIT_HLT, SELF_BLOCK);
		break;
	case LAZYTSC_WORKLOAD_SCRIBBLE_ARMED:
		scribble(v, true);
		break;
	case LAZYTSC_WORKLOAD_SCRIBBLE_PENDING:
		scribble(v, false);
		break;
	default:
		record_exit(v, LAZYTSC_EXIT_OTHER, SELF_TRAP);
		break;
	}
}

static void feature(struct vcpu *v, bool on)
{
	if (on && v->guest.area)
		return;
	if (on && v->m->config.offer == LAZYTSC_OFFERED) {
		u64 grace = defect(v, LAZYTSC_DEFECT_NO_GRACE) ? NEVER : v->m->d.grace;
		u64 word = variant(v)->guest_enable(&v->guest, &v->area, AREA_GPA, grace);

		v->dirty = 1;
		if (v->guest.area)
			register_word(v, word);
	} else if (!on) {
		register_word(v, variant(v)->guest_disable(&v->guest));
	}
}

/* Offline, suspend, kexec: the guest clears the MSR, then uses the page for something else. */
static void offline(struct vcpu *v)
{
	if (defect(v, LAZYTSC_DEFECT_OFFLINE_KEEPS))
		v->guest.area = NULL;
	else
		feature(v, false);
	lazytsc_mon_page_reused(&v->mon, v->tsc);
}

/* The exit for an operation has reached the host. */
void guest_trap(struct vcpu *v)
{
	if (v->looks) {
		found(v);
		back_in(v);
		return;
	}
	switch (v->op.kind) {
	case LAZYTSC_WORKLOAD_SET:
	case LAZYTSC_WORKLOAD_DISARM:
	case LAZYTSC_WORKLOAD_RAW:
		if (v->in_wrmsr && v->guest.area)
			v->wrote = v->op.value;
		v->in_wrmsr = 0;
		register_deadline(v, v->op.value);
		break;
	case LAZYTSC_WORKLOAD_RDMSR:
		register_read(v);
		break;
	case LAZYTSC_WORKLOAD_MASK:
		register_mask(v, v->op.value);
		break;
	case LAZYTSC_WORKLOAD_MODE:
		register_mode(v, v->op.value);
		break;
	case LAZYTSC_WORKLOAD_TMICT:
		count_start(v, v->op.value);
		break;
	case LAZYTSC_WORKLOAD_APIC:
		register_apic(v, v->op.value);
		break;
	case LAZYTSC_WORKLOAD_FEATURE:
		feature(v, v->op.value);
		break;
	case LAZYTSC_WORKLOAD_OFFLINE:
		offline(v);
		break;
	default:
		register_word(v, v->op.value);
		break;
	}
	guest_ask(v, LAZYTSC_ASKED_NEXT);
	back_in(v);
}

/* The vCPU starts, or starts again: the guest enables the feature, then runs its workload. */
void guest_start(struct vcpu *v)
{
	v->state = EXITED;
	v->halted = 0;
	v->isr = 0;
	v->in_wrmsr = 0;
	v->wrote = v->looks = v->looked = 0;
	v->at[AT_DEVICE] = NEVER;
	feature(v, true);
	guest_ask(v, LAZYTSC_ASKED_START);
	back_in(v);
}
