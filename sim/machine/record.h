/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_RECORD_H
#define LAZYTSC_SIM_RECORD_H

#include "vcpu.h"

/* A step of the guest or the host, for charts and the last steps before a violation. */
void record_step(struct vcpu *v, enum lazytsc_step_kind kind, u64 value);

/* Tells the monitor what the host has published; @before: what armed was. */
void record_publish(struct vcpu *v, u64 before);

/* The vCPU's thread runs, and pays for what callbacks have started (B25). */
void record_paid(struct vcpu *v);

/* Out of guest mode; the thread does @then after half of the exit's cost. */
void record_exit(struct vcpu *v, enum lazytsc_exit why, enum self then);

#endif
