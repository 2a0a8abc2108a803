/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_LOOP_H
#define LAZYTSC_SIM_LOOP_H

#include "vcpu.h"

/* Events in order of time, up to @until or until a rule is broken. */
void loop_run(struct vcpu *v, u64 until);

#endif
