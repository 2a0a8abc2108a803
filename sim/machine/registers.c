// SPDX-License-Identifier: BSD-2-Clause
/*
 * The registers that the guest reaches by exits: the LAPIC's, and the MSRs that belong to its
 * timer.
 */
#include "count.h"
#include "decide.h"
#include "hosttimer.h"
#include "lapic.h"
#include "record.h"
#include "registers.h"

/* WRMSR(0x6e0) has exited. */
void register_deadline(struct vcpu *v, u64 value)
{
	const struct lazytsc_guess_source *p = v->m->config.guess;
	struct lazytsc_decision d = { .timer = v->hostside.timer };
	u64 before = lazytsc_load(&v->area.armed);

	record_paid(v);
	decide_look_up(v);
	record_step(v, LAZYTSC_STEP_TRAP, value);
	v->stats.writes++;
	v->set_tsc = v->tsc;
	lazytsc_mon_trap(&v->mon, v->tsc, value, lazytsc_load(&v->area.pending));
	/* What was decided and is not in IRR is replaced with its deadline. */
	lapic_drop(v);
	if (!lapic_off(v) || defect(v, LAZYTSC_DEFECT_APIC_OFF_ARMS)) {
		u64 guess = 0;

		if (p)
			guess = p->write(v->guess_state, &v->hostside, v->host_area, value, v->tsc);
		d = variant(v)->host_write(&v->hostside, v->host_area, value, v->tsc, guess);
		record_publish(v, before);
	}
	decide_act(v, &d, false);
	if (defect(v, LAZYTSC_DEFECT_IRR_TAKEN_BACK))
		v->irr = 0;
	lazytsc_mon_irr(&v->mon, v->tsc, v->irr);
}

/* RDMSR(0x6e0), TMCCT and LAZYTSC_MSR. */
void register_read(struct vcpu *v)
{
	u64 value = lapic_off(v) ? 0 : variant(v)->host_deadline(&v->hostside, v->host_area);

	record_step(v, LAZYTSC_STEP_RDMSR, value);
	lazytsc_mon_rdmsr(&v->mon, v->tsc, value);
	lazytsc_mon_tmcct(&v->mon, v->tsc,
			  defect(v, LAZYTSC_DEFECT_TMCCT_COUNTS) ? v->tsc : count_rest(v));
	lazytsc_mon_feature_read(&v->mon, v->tsc, v->word);
}

void register_mask(struct vcpu *v, bool masked)
{
	v->masked = masked;
	record_step(v, LAZYTSC_STEP_LAPIC, masked);
	if (masked && !defect(v, LAZYTSC_DEFECT_MASK_KEEPS))
		decide_withdraw(v, LAZYTSC_WITHDRAW_MASK);
	lazytsc_mon_mask(&v->mon, v->tsc, masked);
}

static void change(struct vcpu *v, enum lazytsc_end end)
{
	record_step(v, LAZYTSC_STEP_LAPIC, lapic_off(v));
	if (!defect(v, LAZYTSC_DEFECT_COUNT_KEEPS))
		count_stop(v);
	if (!defect(v, LAZYTSC_DEFECT_MODE_KEEPS)) {
		decide_cancel(v);
		v->inject = 0;
	}
	lazytsc_mon_lapic(&v->mon, v->tsc, end, !lapic_off(v));
}

void register_mode(struct vcpu *v, enum lazytsc_workload_mode mode)
{
	bool off = mode != LAZYTSC_MODE_DEADLINE;

	if (v->mode_off == off)
		return;
	v->mode_off = off;
	v->periodic = mode == LAZYTSC_MODE_PERIODIC;
	change(v, LAZYTSC_END_MODE);
}

void register_apic(struct vcpu *v, bool enabled)
{
	if (v->apic_off != enabled)
		return;
	v->apic_off = !enabled;
	change(v, LAZYTSC_END_APIC);
}

/* RESET: the LAPIC and the feature go, and the guest starts again. */
void register_reset(struct vcpu *v)
{
	if (!defect(v, LAZYTSC_DEFECT_RESET_KEEPS)) {
		decide_cancel(v);
		v->inject = 0;
	}
	v->masked = 0;
	v->mode_off = 0;
	v->apic_off = 0;
	v->irr = v->count_irr = 0;
	count_stop(v);
	v->host_area = NULL;
	v->guest.area = NULL;
	if (!defect(v, LAZYTSC_DEFECT_RESET_SAYS_ENABLED))
		v->word = 0;
	record_step(v, LAZYTSC_STEP_RESET, 0);
	lazytsc_mon_lapic(&v->mon, v->tsc, LAZYTSC_END_RESET, !lapic_off(v));
	lazytsc_mon_feature(&v->mon, v->tsc, 0, GPA_END, v->m->config.offer);
	lazytsc_mon_feature_read(&v->mon, v->tsc, v->word);
}

static bool accepted(const struct vcpu *v, u64 word)
{
	enum lazytsc_offer offer = v->m->config.offer;

	if (offer == LAZYTSC_UNKNOWN && !defect(v, LAZYTSC_DEFECT_UNKNOWN_ACCEPTED))
		return false;
	if (offer == LAZYTSC_APIC_TIMER_VIRTUAL && !defect(v, LAZYTSC_DEFECT_APICV_ACCEPTED))
		return false;
	if (defect(v, LAZYTSC_DEFECT_ACCEPTS_ANY_WORD))
		return true;
	switch (variant(v)->host_check_msr(word, GPA_END)) {
	case LAZYTSC_MSR_SWITCH_ON:
	case LAZYTSC_MSR_SWITCH_OFF:
		return true;
	default:
		return false;
	}
}

/* A word for LAZYTSC_MSR, from the guest or from user space; one that is refused does nothing. */
void register_word(struct vcpu *v, u64 word)
{
	u64 before;

	record_step(v, LAZYTSC_STEP_WORD, word);
	if (!accepted(v, word))
		return;
	if (v->word)
		decide_withdraw(v, LAZYTSC_WITHDRAW_DISABLE);
	v->word = word;
	v->host_area = NULL;
	/* No memory is modelled at any other address. */
	if ((word & LAZYTSC_MSR_GPA) == AREA_GPA && !v->slot_gone) {
		before = lazytsc_load(&v->area.armed);
		v->host_area = &v->area;
		variant(v)->host_enable(&v->hostside, v->host_area);
		record_publish(v, before);
	}
	lazytsc_mon_feature(&v->mon, v->tsc, word, GPA_END, v->m->config.offer);
}
