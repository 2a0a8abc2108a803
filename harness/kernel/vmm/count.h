/* SPDX-License-Identifier: BSD-2-Clause */
/* KVM's statistics and the histograms of its tracepoints. */
#ifndef LAZYTSC_KERNEL_COUNT_H
#define LAZYTSC_KERNEL_COUNT_H

#include "vmm.h"

/* Finds out whether tracepoints can be counted, and removes triggers that a hang left behind. */
struct counts *counts_new(void);

void counts_attach(struct counts *c, struct vmm *m); /* after the VM was created */
void counts_detach(struct counts *c); /* before it is destroyed: keeps the sums */

/* The measured part begins, and ends. */
void counts_start(struct counts *c);
void counts_stop(struct counts *c);

/* Prints the counts of the measured part, one "name value" on a line. */
void counts_print(struct counts *c, FILE *out);

#endif
