// SPDX-License-Identifier: BSD-2-Clause
#include <lazytsc/predictor.h>
#include <lazytsc/sim/guess.h>

static void early_init(void *state, u64 wait)
{
	lazytsc_predictor_init(state, wait);
}

static u64 early_write(void *state, const struct lazytsc_host *h, const struct lazytsc_area *area,
		       u64 v, u64 now)
{
	return lazytsc_predictor_write(state, h, area, v, now);
}

static u64 early_expire(void *state, const struct lazytsc_host *h, const struct lazytsc_area *area,
			const struct lazytsc_expiry *e)
{
	return lazytsc_predictor_expire(state, h, area, e);
}

static void early_restart(void *state)
{
	struct lazytsc_predictor *p = state;
	u64 slack = p->slack;
	u32 credit = p->credit;

	*p = (struct lazytsc_predictor){ 0 };
	lazytsc_predictor_init(p, slack);
	/* The credit that was spent stays spent; 1 is for the last expiry, not yet counted. */
	p->credit = credit ? credit - 1 : 0;
}

const struct lazytsc_guess_source lazytsc_guess_early = {
	.name = "early",
	.size = (sizeof(struct lazytsc_predictor) + 7) / 8 * 8,
	/* One more silent expiry can be seen while a write of the guest is on its way. */
	.credit = LAZYTSC_PREDICTOR_CREDIT + 1,
	.init = early_init,
	.write = early_write,
	.expire = early_expire,
	.restart = early_restart,
};
