// SPDX-License-Identifier: BSD-2-Clause
/* What has happened, written down: a step, a publication, an exit. */
#include "record.h"
#include "wide.h"

void record_step(struct vcpu *v, enum lazytsc_step_kind kind, u64 value)
{
	struct lazytsc_machine_step *s = &v->step[v->steps++ % STEPS];

	s->ns = v->now; /* units of time; converted when it is shown */
	s->tsc = v->tsc;
	s->value = value;
	s->armed = lazytsc_load(&v->area.armed);
	s->pending = lazytsc_load(&v->area.pending);
	s->timer = v->hostside.timer;
	s->kind = kind;
	if (v->m->config.observe) {
		struct lazytsc_machine_step seen = *s;

		seen.ns = wide_mul_div(s->ns, 1000000, v->m->config.host_khz[0]);
		seen.vcpu = v - v->m->vcpu;
		v->m->config.observe(v->m->config.observe_arg, &seen);
	}
}

/* Steps are atomic here, so what the host published shows afterwards. */
void record_publish(struct vcpu *v, u64 before)
{
	u64 armed = lazytsc_load(&v->area.armed);

	/*
	 * Over the same value, stored by a hostile guest, it does not show; the host's copy tells.
	 */
	if (armed != before ||
	    (armed != v->mon.published && armed == (v->hostside.lazy ? v->hostside.timer : 0)))
		lazytsc_mon_publish(&v->mon, v->tsc, armed);
}

void record_paid(struct vcpu *v)
{
	v->elsewhere = 0;
	lazytsc_mon_paid(&v->mon);
}

/* Out of guest mode; the host can act after half of the exit's cost. */
void record_exit(struct vcpu *v, enum lazytsc_exit why, enum self then)
{
	const struct lazytsc_costs *c = &v->m->d.cost;
	const u64 cost[LAZYTSC_EXITS] = {
		[LAZYTSC_EXIT_WRITE] = c->exit_write, [LAZYTSC_EXIT_TIMER] = c->exit_timer,
		[LAZYTSC_EXIT_IRQ] = c->exit_irq,     [LAZYTSC_EXIT_HLT] = c->block,
		[LAZYTSC_EXIT_OTHER] = c->exit_other,
	};

	v->state = EXITED;
	v->stats.exits[why]++;
	record_paid(v);
	v->host_time += cost[why];
	record_step(v, LAZYTSC_STEP_EXIT, why);
	self(v, then, v->now + cost[why] / 2);
}
