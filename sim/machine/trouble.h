/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_TROUBLE_H
#define LAZYTSC_SIM_TROUBLE_H

#include "vcpu.h"

/* When each kind of trouble strikes first. */
void trouble_plan(struct vcpu *v);

/* What is due strikes, or waits until the host is through with the vCPU. */
void trouble_strikes(struct vcpu *v);

/* The thread's time in user space is over. */
void trouble_user_back(struct vcpu *v);

#endif
