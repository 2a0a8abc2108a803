/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_ACCESS_H
#define LAZYTSC_SIM_ACCESS_H

#include <lazytsc_port.h>

/* A fault in the program that is run: says where and what, and aborts. */
_Noreturn void access_die(const struct lazytsc_access *a, const char *what);

#endif
