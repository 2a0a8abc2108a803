/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_HOSTTIMER_H
#define LAZYTSC_SIM_HOSTTIMER_H

#include "vcpu.h"

/* Sets the host timer, anew or only where something about it has changed. */
void timer_set(struct vcpu *v, u64 deadline, bool anew);

/* The vCPU enters the guest, blocks or goes to user space: the timer may have to be another. */
void timer_follow(struct vcpu *v);

#endif
