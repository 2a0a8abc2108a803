// SPDX-License-Identifier: BSD-2-Clause
#include <lazytsc/sim/early.h>

static void start(struct lazytsc_predictor *p, u64 slack)
{
	*p = (struct lazytsc_predictor){ 0 };
	lazytsc_predictor_init(p, slack);
}

static u64 early_write(void *state, const struct lazytsc_replay *r, u64 v, u64 now)
{
	return lazytsc_predictor_write(state, &r->host, &r->area, v, now);
}

static u64 early_expire(void *state, const struct lazytsc_replay *r, const struct lazytsc_expiry *e)
{
	return lazytsc_predictor_expire(state, &r->host, &r->area, e);
}

static void early_restart(void *state)
{
	struct lazytsc_predictor *p = state;
	u32 credit = p->credit;

	start(p, p->slack);
	/* What was spent is spent, and the last expiry was not accounted for. */
	p->credit = credit ? credit - 1 : 0;
}

const struct lazytsc_guess_source lazytsc_early_source = {
	.write = early_write,
	.expire = early_expire,
	.restart = early_restart,
};

void lazytsc_early_init(struct lazytsc_replay *r, struct lazytsc_predictor *p, u64 slack)
{
	lazytsc_replay_init(r, &lazytsc_variant_lazy, &lazytsc_early_source, p);
	r->wait = slack;
	start(p, slack);
}
