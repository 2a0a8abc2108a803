// SPDX-License-Identifier: BSD-2-Clause
#include <lazytsc/sim/machine.h>
#include <lazytsc/sim/replay.h>

/* Any page will do: nothing here looks an address up. */
#define REPLAY_GPA 0x1000

/* The rate at which the costs were measured. */
#define COST_KHZ 2.6e6

/* Of a host that is always in time no promise is overdue, even for a guest without any patience. */
#define GRACE 0

static void enable(struct lazytsc_replay *r)
{
	r->guest = (struct lazytsc_guest){ 0 };
	r->host = (struct lazytsc_host){ 0 };
	if (r->variant->guest_enable(&r->guest, &r->area, REPLAY_GPA, GRACE))
		r->variant->host_enable(&r->host, &r->area);
}

void lazytsc_replay_init(struct lazytsc_replay *r, const struct lazytsc_variant *variant,
			 const struct lazytsc_guess_source *source, void *state)
{
	*r = (struct lazytsc_replay){
		.variant = variant,
		.source = source,
		.source_state = state,
	};
	lazytsc_replay_rate(r, COST_KHZ);
	enable(r);
}

void lazytsc_replay_rate(struct lazytsc_replay *r, double khz)
{
	struct lazytsc_costs costs = lazytsc_costs_default();

	r->write_cost = (u64)((double)costs.exit_write * khz / 1e6);
	r->timer_cost = (u64)((double)costs.exit_timer * khz / 1e6);
	r->host_cycles = r->counts.msr_write_exits * r->write_cost;
}

void lazytsc_replay_restart(struct lazytsc_replay *r)
{
	enable(r);
	r->held = 0;
	r->blocked = false;
	if (r->source && r->source->restart)
		r->source->restart(r->source_state);
}

/* The area that the host works on: none while the guest has not enabled the feature. */
static struct lazytsc_area *host_area(struct lazytsc_replay *r)
{
	return r->guest.area;
}

static void act(struct lazytsc_replay *r, u64 now, const struct lazytsc_decision *d)
{
	if (!d->inject)
		return;
	r->counts.injections++;
	if (host_area(r) && lazytsc_load(&r->area.pending) > d->inject)
		r->counts.early_injections++;
	if (d->inject > now) {
		r->waited += d->inject - now;
		r->held = d->inject;
	}
	r->variant->host_delivered(&r->host);
}

static void charge_expiry(struct lazytsc_replay *r, u64 fired, u64 inject)
{
	u64 cost = r->timer_cost, decided = fired + cost / 2;

	r->host_cycles += cost;
	if (inject > decided)
		r->host_cycles += inject - decided;
	if (inject)
		r->late_cycles += cost / 2 + (inject < decided ? decided - inject : 0);
}

static void charge_write(struct lazytsc_replay *r, u64 inject)
{
	r->host_cycles += r->write_cost;
	if (inject)
		r->late_cycles += r->write_cost;
}

u64 lazytsc_replay_timer(struct lazytsc_replay *r)
{
	return r->blocked ? r->variant->host_blocked(&r->host, host_area(r)) : r->host.timer;
}

static struct lazytsc_decision decide(struct lazytsc_replay *r, struct lazytsc_expiry *e)
{
	if (r->source)
		e->guess = r->source->expire(r->source_state, &r->host, host_area(r), e);
	return r->variant->host_expire(&r->host, host_area(r), e);
}

static void expire(struct lazytsc_replay *r)
{
	struct lazytsc_expiry e = {
		.context = LAZYTSC_VCPU,
		.now = lazytsc_replay_timer(r),
		.wait = r->wait,
		.blocked = r->blocked,
	};
	struct lazytsc_decision d = decide(r, &e);
	u64 excess;

	r->blocked &= !d.inject;
	if (!d.inject)
		r->counts.silent_expiries++;
	excess = r->counts.silent_expiries - r->counts.skips;
	if (r->counts.silent_expiries > r->counts.skips && excess > r->excess)
		r->excess = excess;
	charge_expiry(r, e.now, d.inject);
	act(r, e.now, &d);
}

void lazytsc_replay_fire(struct lazytsc_replay *r, u64 now)
{
	/* Ends: a timer that is armed again lies beyond the one that fired. */
	while (lazytsc_replay_timer(r) && lazytsc_replay_timer(r) <= now) {
		u64 fired = r->host.timer;

		expire(r);
		lazytsc_assert(r->host.timer == 0 || r->host.timer > fired);
	}
}

void lazytsc_replay_block(struct lazytsc_replay *r, u64 now)
{
	lazytsc_replay_run_until(r, now);
	r->blocked = true;
}

static void look(struct lazytsc_replay *r, u64 now)
{
	struct lazytsc_expiry e = {
		.context = LAZYTSC_VCPU,
		.now = now,
		.look = true,
	};
	struct lazytsc_decision d = decide(r, &e);

	r->looks++;
	act(r, now, &d);
}

void lazytsc_replay_wake(struct lazytsc_replay *r, u64 now)
{
	lazytsc_replay_run_until(r, now);
	if (!r->blocked)
		return;
	r->blocked = false;
	if (r->host.timer && r->host.timer <= now)
		look(r, now);
}

void lazytsc_replay_look(struct lazytsc_replay *r, u64 now)
{
	lazytsc_replay_run_until(r, now);
	lazytsc_assert(!r->blocked);
	/* A guest that is held until its deadline has not left. */
	if (now >= r->held && r->host.timer && r->host.lazy &&
	    lazytsc_load(&r->area.pending) > r->host.timer)
		look(r, now);
}

void lazytsc_replay_write(struct lazytsc_replay *r, u64 now, u64 v)
{
	struct lazytsc_decision d;
	u64 guess;
	bool exits;

	lazytsc_replay_run_until(r, now);
	if (now < r->held)
		now = r->held;

	lazytsc_clock = now;
	exits = v ? r->variant->guest_set(&r->guest, v) : r->variant->guest_disarm(&r->guest);
	if (!exits) {
		r->counts.skips++;
		return;
	}
	r->counts.msr_write_exits++;
	guess = r->source ? r->source->write(r->source_state, &r->host, host_area(r), v, now) : 0;
	d = r->variant->host_write(&r->host, host_area(r), v, now, guess);
	charge_write(r, d.inject);
	act(r, now, &d);
}
