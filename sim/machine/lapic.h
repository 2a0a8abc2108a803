/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_LAPIC_H
#define LAZYTSC_SIM_LAPIC_H

#include "vcpu.h"

/* Writes of the deadline are ignored, and it reads 0: not in deadline mode, or disabled. */
static inline bool lapic_off(const struct vcpu *v)
{
	return v->mode_off || v->apic_off || v->no_bit;
}

/* An injection that was decided and is not in IRR is wanted no more. */
void lapic_drop(struct vcpu *v);

/* An injection reaches IRR. */
void lapic_deliver(struct vcpu *v);

/* The guest takes the interrupt. */
void lapic_take(struct vcpu *v);

#endif
