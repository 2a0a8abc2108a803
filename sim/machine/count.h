/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_COUNT_H
#define LAZYTSC_SIM_COUNT_H

#include "vcpu.h"

/* TMICT is written: in the one-shot and the periodic mode so many guest cycles are counted. */
void count_start(struct vcpu *v, u64 cycles);

/* Nothing counts any more. */
void count_stop(struct vcpu *v);

/* What TMCCT reads: the rest, in units of time. */
u64 count_rest(const struct vcpu *v);

/* The count comes to 0: a callback, or the hv timer, which waits for the next entry. */
void count_ends(struct vcpu *v);

/* The vCPU enters the guest: does the hv timer make it exit before its first instruction? */
bool count_exits(struct vcpu *v);

#endif
