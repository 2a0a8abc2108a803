/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_RESTORE_H
#define LAZYTSC_SIM_RESTORE_H

#include "vcpu.h"

/* The vCPU is in user space: what it consists of is saved, and it is now on the other host. */
void restore_save(struct vcpu *v);

/* In user space: the next thing is restored. False: there is nothing more. */
bool restore_goes_on(struct vcpu *v);

/* The first entry after something was restored: what the restore has lost is recovered (B26). */
void restore_recover(struct vcpu *v);

#endif
