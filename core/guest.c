// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <lazytsc/guest.h>

u64 lazytsc_guest_enable(struct lazytsc_guest *g, struct lazytsc_area *area, u64 gpa)
{
	lazytsc_assert(area);
	lazytsc_assert((gpa & ~LAZYTSC_MSR_GPA) == 0);

	/* The host reads nothing here before the MSR write, which drains these stores. */
	lazytsc_store(&area->armed, 0);
	lazytsc_store(&area->pending, 0);
	g->area = area;
	return gpa | LAZYTSC_MSR_ENABLE;
}

u64 lazytsc_guest_disable(struct lazytsc_guest *g)
{
	g->area = (struct lazytsc_area *)0;
	return 0;
}

/*
 * Store what is wanted, then load what the host has promised.
 *
 * The barrier pairs with the one in publish_then_read() of host.c: store buffering (SB). Here
 * pending is stored and armed loaded; there armed is stored and pending loaded. With both barriers
 * at least one side sees the other. Without this one the guest can skip on an `armed` that the host has just taken
 * back, while the host has missed the new `pending`: the deadline is lost (A7). It must be a real
 * StoreLoad barrier: weak_wrmsr_fence() is none (B3).
 */
static u64 store_then_load(struct lazytsc_area *area, u64 pending)
{
	lazytsc_store(&area->pending, pending);
	lazytsc_mb();
	return lazytsc_load(&area->armed);
}

static bool count(struct lazytsc_guest *g, bool write)
{
	if (write)
		g->writes++;
	else
		g->skips++;
	return write;
}

bool lazytsc_guest_set(struct lazytsc_guest *g, u64 t)
{
	u64 armed;

	lazytsc_assert(t != 0);

	if (!g->area)
		return count(g, true);
	armed = store_then_load(g->area, t);
	return count(g, armed == 0 || t < armed);
}

bool lazytsc_guest_disarm(struct lazytsc_guest *g)
{
	if (!g->area)
		return count(g, true);
	/* With nothing armed the host may still run a plain timer, which pending cannot stop. */
	return count(g, store_then_load(g->area, 0) == 0);
}
