// SPDX-License-Identifier: BSD-2-Clause
/* The LAPIC: an interrupt on its way to the guest. */
#include "lapic.h"
#include "record.h"

void lapic_drop(struct vcpu *v)
{
	if (!v->inject)
		return;
	record_step(v, LAZYTSC_STEP_DROP, v->inject);
	v->inject = 0;
	while (v->mon.inflights)
		lazytsc_mon_dropped(&v->mon, v->tsc);
}

/* An injection reaches the LAPIC. */
void lapic_deliver(struct vcpu *v)
{
	if (lapic_off(v) || (v->masked && !defect(v, LAZYTSC_DEFECT_DELIVER_MASKED))) {
		lapic_drop(v);
	} else {
		v->stats.events++;
		v->stats.deliveries += !v->irr;
		v->irr = 1;
		v->irr_deadline = v->inject;
		v->inject = 0;
		record_step(v, LAZYTSC_STEP_DELIVER, v->irr_deadline);
		while (v->mon.inflights)
			lazytsc_mon_delivered(&v->mon, v->tsc);
	}
	variant(v)->host_delivered(&v->hostside);
}

static void count_lateness(struct vcpu *v)
{
	struct lazytsc_machine_stats *s = &v->stats;
	u64 due = v->irr_deadline > v->set_tsc ? v->irr_deadline : v->set_tsc;
	u64 ns = v->tsc > due ? mul48(v->tsc - due, v->m->d.ns_per_cycle) : 0;
	u64 us = ns / 1000;

	if (!s->interrupts || ns < s->late_min)
		s->late_min = ns;
	if (ns > s->late_max)
		s->late_max = ns;
	s->late_sum += ns;
	s->late_us[us < LAZYTSC_LATENESS_US ? us : LAZYTSC_LATENESS_US]++;
	s->interrupts++;
}

void lapic_take(struct vcpu *v)
{
	count_lateness(v);
	lazytsc_mon_take(&v->mon, v->tsc);
	v->irr = 0;
	record_step(v, LAZYTSC_STEP_TAKE, v->irr_deadline);
}
