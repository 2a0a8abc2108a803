// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>

#include "stateset.h"

static struct stateset_slot *find(const struct stateset *set, u64 low, u32 high)
{
	size_t i = low & (set->slots - 1);

	while (set->slot[i].number && (set->slot[i].low != low || set->slot[i].high != high))
		i = (i + 1) & (set->slots - 1);
	return &set->slot[i];
}

static bool grow(struct stateset *set)
{
	struct stateset wider = { .slots = set->slots ? set->slots * 2 : 4096 };

	wider.slot = calloc(wider.slots, sizeof(*wider.slot));
	if (!wider.slot)
		return false;
	for (size_t i = 0; i < set->slots; i++) {
		const struct stateset_slot *s = &set->slot[i];

		if (s->number) {
			*find(&wider, s->low, s->high) = *s;
			wider.used++;
		}
	}
	free(set->slot);
	*set = wider;
	return true;
}

struct stateset_slot *stateset_get(struct stateset *set, struct lazytsc_state_hash hash)
{
	struct stateset_slot *slot;

	if (set->used * 3 >= set->slots * 2 && !grow(set))
		return NULL;
	slot = find(set, hash.low, (u32)hash.high);
	if (!slot->number) {
		slot->low = hash.low;
		slot->high = (u32)hash.high;
		set->used++;
	}
	return slot;
}

void stateset_fini(struct stateset *set)
{
	free(set->slot);
	memset(set, 0, sizeof(*set));
}
