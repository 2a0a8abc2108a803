/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_GUEST_H
#define LAZYTSC_SIM_GUEST_H

#include "vcpu.h"

/* Asks the workload what comes next. */
void guest_ask(struct vcpu *v, enum lazytsc_asked why);

/* The vCPU starts, or starts again: the guest enables the feature, then runs its workload. */
void guest_start(struct vcpu *v);

/* In guest mode with interrupts on: takes the interrupt that waits, or goes on. */
void guest_go_on(struct vcpu *v);

/* In guest mode: the workload's operation is due. */
void guest_operate(struct vcpu *v);

/*
 * In guest mode, after a set that has exited: a guest that keeps finding nothing armed reads
 * LAZYTSC_MSR, which exits (B27). False: it does not.
 */
bool guest_looks(struct vcpu *v);

/* The exit for the operation has reached the host. */
void guest_trap(struct vcpu *v);

#endif
