/* SPDX-License-Identifier: BSD-2-Clause */
/* KVM's statistics and the histograms of its tracepoints. */
#ifndef LAZYTSC_KERNEL_COUNT_H
#define LAZYTSC_KERNEL_COUNT_H

#include "vmm.h"

struct counts *counts_new(void);
void counts_attach(struct counts *c, struct vmm *m); /* after the VM was created */
void counts_detach(struct counts *c); /* before it is destroyed: keeps the sums */
void counts_start(struct counts *c);
void counts_stop(struct counts *c);
void counts_print(struct counts *c, FILE *out);

#endif
