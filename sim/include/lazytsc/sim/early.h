/* SPDX-License-Identifier: BSD-2-Clause */
/* The replay of a vCPU whose host arms early, by the core's predictor. */
#ifndef LAZYTSC_SIM_EARLY_H
#define LAZYTSC_SIM_EARLY_H

#include <lazytsc/predictor.h>
#include <lazytsc/sim/replay.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * lazytsc_early_init() - a vCPU that arms early
 * @r:     memory for the replay, as lazytsc_replay_init() asks
 * @p:     memory for the predictor
 * @slack: the longest wait, TSC cycles, for both
 */
void lazytsc_early_init(struct lazytsc_replay *r, struct lazytsc_predictor *p, u64 slack);

#ifdef __cplusplus
}
#endif

#endif
