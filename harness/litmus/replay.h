/* SPDX-License-Identifier: BSD-2-Clause */
/* Showing what happens in a litmus test. */
#ifndef LAZYTSC_LITMUS_REPLAY_H
#define LAZYTSC_LITMUS_REPLAY_H

#include <lazytsc/sim/litmus.h>

/* Prints a final state, one line as herd's: "0:EAX=1; [x]=2;". */
void litmus_print_state(const struct lazytsc_litmus *t, const int64_t *state);

/*
 * Performs the steps of a schedule and prints each with what it does, then the state. Returns an
 * enum cli_status: bad input where the schedule cannot be read or a step is not enabled.
 */
int litmus_replay(const struct lazytsc_litmus *t, enum lazytsc_model model, const char *schedule);

#endif
