/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of outcomes (blocks of bytes of one size), each with a count. */
#ifndef LAZYTSC_SIM_OUTCOMES_H
#define LAZYTSC_SIM_OUTCOMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outcomes {
	size_t size; /* of one */
	size_t n, slots; /* how many there are; how many there is room for: a power of two or 0 */
	unsigned char *data; /* of slot i: at i * size */
	uint64_t *count; /* of slot i; 0: it is empty */
};

/* Adds `count` to an outcome's. Returns false when there is no memory. */
bool outcomes_add(struct outcomes *o, const void *data, uint64_t count);

/* Adds all of another set's. */
bool outcomes_merge(struct outcomes *o, const struct outcomes *from);
void outcomes_fini(struct outcomes *o);

#endif
