/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAZYTSC_SIM_VERSION_H
#define LAZYTSC_SIM_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * lazytsc_version() - the version of the library that the program runs with, as in "0.2.0"
 *
 * The shared library's name changes with the first two numbers until 1.0. Any thread may call it.
 */
const char *lazytsc_version(void);

#ifdef __cplusplus
}
#endif

#endif
