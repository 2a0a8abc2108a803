/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_DECIDE_H
#define LAZYTSC_SIM_DECIDE_H

#include "vcpu.h"

/* Does what was decided; @expiry: by an expiry of the timer. */
void decide_act(struct vcpu *v, const struct lazytsc_decision *d, bool expiry);

/* The timer has fired: ask the core. */
void decide_expire(struct vcpu *v, enum lazytsc_context context);

/* The timer fires: an exit, a callback here, or one on another CPU. */
void decide_timer_fires(struct vcpu *v);

void decide_withdraw(struct vcpu *v, enum lazytsc_withdraw_reason reason);
void decide_cancel(struct vcpu *v);

#endif
