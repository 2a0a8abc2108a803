// SPDX-License-Identifier: BSD-2-Clause
#include <lazytsc/sim/replay.h>

/* Any page will do: nothing here looks an address up. */
#define REPLAY_GPA 0x1000

static void enable(struct lazytsc_replay *r)
{
	r->guest = (struct lazytsc_guest){ 0 };
	r->host = (struct lazytsc_host){ 0 };
	if (r->variant->guest_enable(&r->guest, &r->area, REPLAY_GPA))
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
	enable(r);
}

void lazytsc_replay_restart(struct lazytsc_replay *r)
{
	enable(r);
	if (r->source && r->source->restart)
		r->source->restart(r->source_state);
}

static u64 guess(const struct lazytsc_replay *r, u64 now, u64 v)
{
	return r->source ? r->source->guess(r->source_state, r, now, v) : 0;
}

/* The area that the host works on: none while the guest has not enabled the feature. */
static struct lazytsc_area *host_area(struct lazytsc_replay *r)
{
	return r->guest.area;
}

static void act(struct lazytsc_replay *r, u64 now, const struct lazytsc_decision *d)
{
	if (d->inject) {
		r->counts.injections++;
		if (host_area(r) && lazytsc_load(&r->area.pending) > d->inject)
			r->counts.early_injections++;
		r->variant->host_delivered(&r->host);
	}
	if (r->source && r->source->decided)
		r->source->decided(r->source_state, r, now, d);
}

static void expire(struct lazytsc_replay *r)
{
	struct lazytsc_expiry e = {
		.context = LAZYTSC_VCPU,
		.now = r->host.timer,
		.guess = guess(r, r->host.timer, 0),
	};
	struct lazytsc_decision d = r->variant->host_expire(&r->host, host_area(r), &e);
	u64 excess;

	if (!d.inject)
		r->counts.silent_expiries++;
	excess = r->counts.silent_expiries - r->counts.skips;
	if (r->counts.silent_expiries > r->counts.skips && excess > r->excess)
		r->excess = excess;
	act(r, e.now, &d);
}

void lazytsc_replay_run_until(struct lazytsc_replay *r, u64 now)
{
	/* Ends: a timer that is armed again lies beyond the one that fired. */
	while (r->host.timer && r->host.timer <= now) {
		u64 fired = r->host.timer;

		expire(r);
		lazytsc_assert(r->host.timer == 0 || r->host.timer > fired);
	}
}

void lazytsc_replay_write(struct lazytsc_replay *r, u64 now, u64 v)
{
	struct lazytsc_decision d;
	bool exits;

	lazytsc_replay_run_until(r, now);

	exits = v ? r->variant->guest_set(&r->guest, v) : r->variant->guest_disarm(&r->guest);
	if (!exits) {
		r->counts.skips++;
		return;
	}
	r->counts.msr_write_exits++;
	d = r->variant->host_write(&r->host, host_area(r), v, now, guess(r, now, v));
	act(r, now, &d);
}
