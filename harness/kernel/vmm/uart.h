/* SPDX-License-Identifier: BSD-2-Clause */
/* An 8250 for the console. */
#ifndef LAZYTSC_KERNEL_UART_H
#define LAZYTSC_KERNEL_UART_H

#include "vmm.h"

/* Called with the lock held. */
void uart_io(struct vmm *m, struct kvm_run *run);

#endif
