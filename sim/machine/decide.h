/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_DECIDE_H
#define LAZYTSC_SIM_DECIDE_H

#include "vcpu.h"

/* Carries a decision out; @expiry: it was made for an expiry of the timer. */
void decide_act(struct vcpu *v, const struct lazytsc_decision *d, bool expiry);

/* The timer has fired, and the thread asks the core, and carries its decision out. */
void decide_expire(struct vcpu *v);

/* A blocked vCPU's timer may stand later, until its thread goes on (B29). */
void decide_block(struct vcpu *v);

/* The thread goes on: a promise that has passed is looked at, else the timer stands at it. */
void decide_go_on(struct vcpu *v);

/* The timer fires: an exit, a callback here, or one on another CPU. */
void decide_timer_fires(struct vcpu *v);

/* Withdraws. */
void decide_withdraw(struct vcpu *v, enum lazytsc_withdraw_reason reason);

/* The vCPU's thread looks the page up, where the host is without it. */
void decide_look_up(struct vcpu *v);

/* Cancels: nothing is wanted any more. */
void decide_cancel(struct vcpu *v);

#endif
