/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where an engine keeps shared fields. Programs get addresses in a mapping that nobody may read or
 * write: the addresses only name the fields, and an access that does not use the port faults. The
 * values are in other memory, which only the engine knows.
 */
#ifndef LAZYTSC_SIM_ARENA_H
#define LAZYTSC_SIM_ARENA_H

#include <lazytsc_port.h>

struct arena {
	char *face;
	u64 *values;
	size_t fields, mapped;
};

/* Makes an arena for `size` bytes of fields, all 0. Returns false when there is no memory. */
bool arena_init(struct arena *a, size_t size);
void arena_fini(struct arena *a);

/* The number of the field that an access names; prints the place and aborts where it is none. */
size_t arena_index(const struct arena *a, const struct lazytsc_access *access);

/* Performs a load or store of a program's set-up, at once. */
u64 arena_setup(struct arena *a, const struct lazytsc_access *access);

/* The address by which programs know field `index`. */
static inline lazytsc_shared_t *arena_field(const struct arena *a, size_t index)
{
	return (lazytsc_shared_t *)a->face + index;
}

#endif
