/* SPDX-License-Identifier: BSD-2-Clause */
/* From an execution graph to steps that lead a stepper through the same execution. */
#ifndef LAZYTSC_SIM_SCHEDULE_H
#define LAZYTSC_SIM_SCHEDULE_H

#include <lazytsc/sim/checker.h>

#include "graph.h"

/*
 * The steps as text, to be freed; NULL when there is no memory. With a thread, only what leads to
 * where it stops is in there; with -1, all.
 */
char *schedule_of(const struct lazytsc_check *check, const struct graph *g, int thread);

#endif
