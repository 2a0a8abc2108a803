// SPDX-License-Identifier: BSD-2-Clause
#include <lazytsc/sim/early.h>

void lazytsc_early_init(struct lazytsc_replay *r, struct lazytsc_predictor *p, u64 slack)
{
	*p = (struct lazytsc_predictor){ 0 };
	lazytsc_replay_init(r, &lazytsc_variant_lazy, &lazytsc_guess_early, p);
	lazytsc_predictor_init(p, slack);
	r->wait = slack;
}
