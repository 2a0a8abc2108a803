// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "outcomes.h"

static size_t find(const struct outcomes *o, const void *data)
{
	size_t slot = XXH3_64bits(data, o->size) & (o->slots - 1);

	while (o->count[slot] && memcmp(o->data + slot * o->size, data, o->size))
		slot = (slot + 1) & (o->slots - 1);
	return slot;
}

static void put(struct outcomes *o, const void *data, uint64_t count)
{
	size_t slot = find(o, data);

	if (!o->count[slot]) {
		memcpy(o->data + slot * o->size, data, o->size);
		o->n++;
	}
	o->count[slot] += count;
}

static bool grow(struct outcomes *o)
{
	struct outcomes bigger = { .size = o->size, .slots = o->slots ? 2 * o->slots : 64 };

	bigger.data = malloc(bigger.slots * bigger.size);
	bigger.count = calloc(bigger.slots, sizeof(*bigger.count));
	if (!bigger.data || !bigger.count) {
		outcomes_fini(&bigger);
		return false;
	}
	for (size_t i = 0; i < o->slots; i++)
		if (o->count[i])
			put(&bigger, o->data + i * o->size, o->count[i]);
	outcomes_fini(o);
	*o = bigger;
	return true;
}

bool outcomes_add(struct outcomes *o, const void *data, uint64_t count)
{
	if (2 * o->n >= o->slots && !grow(o))
		return false;
	put(o, data, count);
	return true;
}

bool outcomes_merge(struct outcomes *o, const struct outcomes *from)
{
	o->size = from->size;
	for (size_t i = 0; i < from->slots; i++)
		if (from->count[i] && !outcomes_add(o, from->data + i * from->size, from->count[i]))
			return false;
	return true;
}

void outcomes_fini(struct outcomes *o)
{
	free(o->data);
	free(o->count);
	*o = (struct outcomes){ .size = o->size };
}
