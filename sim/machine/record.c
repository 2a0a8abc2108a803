// SPDX-License-Identifier: BSD-2-Clause
/* What has happened, written down: a step, a publication, an exit; and counts, added up. */
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

void lazytsc_machine_add(struct lazytsc_machine_stats *sum, const struct lazytsc_machine_stats *s)
{
	if (s->interrupts && (!sum->interrupts || s->late_min < sum->late_min))
		sum->late_min = s->late_min;
	if (s->late_max > sum->late_max)
		sum->late_max = s->late_max;
	sum->sets += s->sets;
	sum->writes += s->writes;
	sum->skips += s->skips;
	sum->host.traps += s->host.traps;
	sum->host.injections += s->host.injections;
	sum->host.silent_running += s->host.silent_running;
	sum->host.silent_blocked += s->host.silent_blocked;
	sum->host.looks += s->host.looks;
	sum->host.left += s->host.left;
	sum->host.recovered += s->host.recovered;
	for (unsigned int i = 0; i < LAZYTSC_WITHDRAW_REASONS; i++)
		sum->host.withdrawals[i] += s->host.withdrawals[i];
	sum->remote_expiries += s->remote_expiries;
	sum->deliveries += s->deliveries;
	sum->interrupts += s->interrupts;
	for (unsigned int i = 0; i < LAZYTSC_EXITS; i++)
		sum->exits[i] += s->exits[i];
	sum->wakes += s->wakes;
	sum->migrations += s->migrations;
	sum->lost += s->lost;
	sum->counts += s->counts;
	sum->host_ns += s->host_ns;
	sum->other_ns += s->other_ns;
	sum->guest_ns += s->guest_ns;
	sum->late_sum += s->late_sum;
	for (unsigned int i = 0; i <= LAZYTSC_LATENESS_US; i++)
		sum->late_us[i] += s->late_us[i];
	sum->events += s->events;
}
