/* SPDX-License-Identifier: BSD-2-Clause */
/* The way out of every other file. */
#ifndef LAZYTSC_KERNEL_DIE_H
#define LAZYTSC_KERNEL_DIE_H

/* Print one line and leave with status 2. */
void vmm_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
