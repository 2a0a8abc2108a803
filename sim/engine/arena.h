/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where an engine keeps shared fields. Programs get the address of a face that nobody may read or
 * write: it only names the fields, and an access that goes round the port faults there. The values
 * are elsewhere, known to the engine alone.
 */
#ifndef LAZYTSC_SIM_ARENA_H
#define LAZYTSC_SIM_ARENA_H

#include <lazytsc_port.h>

struct arena {
	char *face;
	u64 *values;
	size_t fields, mapped;
};

/* For `size` bytes of fields, all 0. Returns false when there is no memory. */
bool arena_init(struct arena *a, size_t size);
void arena_fini(struct arena *a);

/* The number of the field that an access names; prints the place and aborts where it is none. */
size_t arena_index(const struct arena *a, const struct lazytsc_access *access);

/* An access during the set-up of a program: loads and stores, at once. */
u64 arena_setup(struct arena *a, const struct lazytsc_access *access);

/* The address by which programs know field `index`. */
static inline lazytsc_shared_t *arena_field(const struct arena *a, size_t index)
{
	return (lazytsc_shared_t *)a->face + index;
}

#endif
