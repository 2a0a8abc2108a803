/* SPDX-License-Identifier: BSD-2-Clause */
/* From an execution graph to steps that lead a stepper through the same execution. */
#ifndef LAZYTSC_SIM_SCHEDULE_H
#define LAZYTSC_SIM_SCHEDULE_H

#include <lazytsc/sim/checker.h>

#include "graph.h"

/*
 * The steps as text, to be freed; NULL when there is no memory. With *failed >= 0, only what leads
 * to where that thread's assertion fails is in there, or another's that fails on the way, which
 * *failed names then; with -1, all is.
 */
char *schedule_of(const struct lazytsc_check *check, const struct graph *g, int *failed);

#endif
