// SPDX-License-Identifier: BSD-2-Clause
#include <lazytsc/sim/bound.h>

void lazytsc_bound_init(struct lazytsc_bound *b)
{
	*b = (struct lazytsc_bound){ 0 };
}

void lazytsc_bound_restart(struct lazytsc_bound *b)
{
	*b = (struct lazytsc_bound){ .host_entries = b->host_entries };
}

/*
 * The host enters at b->look: the lowest deadline written since the entry before. It is a delivery
 * when that deadline still stands. The next entry is due by what stands now.
 */
static void enter(struct lazytsc_bound *b)
{
	if (b->pending != b->look)
		b->host_entries++;
	b->look = b->pending > b->look ? b->pending : 0;
}

/*
 * Ends: pending does not change, so this enters once for an old deadline and once for it.
 */
static void enter_until(struct lazytsc_bound *b, u64 now)
{
	while (b->look && b->look <= now)
		enter(b);
}

void lazytsc_bound_look(struct lazytsc_bound *b, u64 now)
{
	enter_until(b, now);
	b->look = b->pending > now ? b->pending : 0;
	b->entered = true;
}

void lazytsc_bound_write(struct lazytsc_bound *b, u64 now, u64 v)
{
	enter_until(b, now);
	b->pending = v;
	if (v && v <= now) {
		b->host_entries++;
		b->look = 0;
		b->entered = true;
		return;
	}
	if (!b->entered) {
		b->host_entries++;
		b->entered = true;
	}
	if (v && (!b->look || v < b->look))
		b->look = v;
}
