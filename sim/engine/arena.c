// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "access.h"
#include "arena.h"

bool arena_init(struct arena *a, size_t size)
{
	const size_t page = 4096;

	memset(a, 0, sizeof(*a));
	a->fields = (size + sizeof(u64) - 1) / sizeof(u64);
	a->mapped = (size / page + 1) * page;
	a->values = calloc(a->fields + 1, sizeof(u64));
	a->face = mmap(NULL, a->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		       0);
	if (a->face == MAP_FAILED)
		a->face = NULL;
	if (a->face && a->values)
		return true;
	arena_fini(a);
	return false;
}

void arena_fini(struct arena *a)
{
	if (a->face)
		munmap(a->face, a->mapped);
	free(a->values);
	memset(a, 0, sizeof(*a));
}

size_t arena_index(const struct arena *a, const struct lazytsc_access *access)
{
	size_t offset = (size_t)((char *)access->field - a->face);

	if (offset % sizeof(u64) == 0 && offset / sizeof(u64) < a->fields)
		return offset / sizeof(u64);
	access_die(access, "is not among the program's shared fields");
}

u64 arena_setup(struct arena *a, const struct lazytsc_access *access)
{
	u64 *value;

	if (access->op == LAZYTSC_OP_MB)
		return 0;
	if (access->op != LAZYTSC_OP_LOAD && access->op != LAZYTSC_OP_STORE)
		access_die(access, "in the set-up of a program");
	value = &a->values[arena_index(a, access)];
	if (access->op == LAZYTSC_OP_STORE)
		*value = access->value;
	return *value;
}
