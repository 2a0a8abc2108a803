/* SPDX-License-Identifier: BSD-2-Clause */
/* The core's predictor as a source of guesses for the replay. */
#ifndef LAZYTSC_SIM_EARLY_H
#define LAZYTSC_SIM_EARLY_H

#include <lazytsc/predictor.h>
#include <lazytsc/sim/replay.h>

/* Its state is a struct lazytsc_predictor; on a restart it forgets all but its slack. */
extern const struct lazytsc_guess_source lazytsc_early_source;

/**
 * lazytsc_early_init() - a vCPU that arms early
 * @r:     memory for the replay, as lazytsc_replay_init() asks
 * @p:     memory for the predictor
 * @slack: the longest wait, TSC cycles, for both
 */
void lazytsc_early_init(struct lazytsc_replay *r, struct lazytsc_predictor *p, u64 slack);

#endif
