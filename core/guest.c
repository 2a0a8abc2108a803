// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <lazytsc/guest.h>

u64 lazytsc_guest_enable(struct lazytsc_guest *g, struct lazytsc_area *area, u64 gpa, u64 grace)
{
	lazytsc_assert(area);
	lazytsc_assert((gpa & ~LAZYTSC_MSR_GPA) == 0);

	/* The host reads nothing here before the MSR write, which drains these stores. */
	lazytsc_store(&area->armed, 0);
	lazytsc_store(&area->pending, 0);
	lazytsc_store(&area->done, 0);
	g->area = area;
	g->word = gpa | LAZYTSC_MSR_ENABLE;
	g->grace = grace;
	g->misses = 0;
	g->patience = LAZYTSC_GUEST_PATIENCE;
	return g->word;
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
 * at least one side sees the other. Without this one the guest can skip on an `armed` that the host
 * has just taken back, while the host has missed the new `pending`: the deadline is lost (A7). It
 * must be a real StoreLoad barrier: weak_wrmsr_fence() is none (B3).
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

/*
 * Does nobody keep this promise? The host should have looked at `armed`, and armed a timer for t
 * then or delivered; a grace later it has not. First without the time: what the guest wants lies
 * ahead, so a promise that is overdue lies further than the grace below t.
 */
static bool overdue(const struct lazytsc_guest *g, u64 armed, u64 t)
{
	u64 now;

	if (t - armed <= g->grace)
		return false;
	now = lazytsc_tsc();
	return now > armed && now - armed > g->grace;
}

bool lazytsc_guest_set(struct lazytsc_guest *g, u64 t)
{
	u64 armed;

	lazytsc_assert(t != 0);

	if (!g->area)
		return count(g, true);
	armed = store_then_load(g->area, t);
	if (armed == 0 || t < armed)
		return count(g, true);
	if (!overdue(g, armed, t))
		return count(g, false);
	g->overdue++;
	return count(g, true);
}

bool lazytsc_guest_wrote(struct lazytsc_guest *g, u64 t)
{
	u64 armed;

	if (!g->area)
		return false;
	armed = lazytsc_load(&g->area->armed);
	if (armed != 0 && !overdue(g, armed, t)) {
		g->misses = 0;
		g->patience = LAZYTSC_GUEST_PATIENCE;
		return false;
	}
	/* Past by now: the host may have delivered it and promised nothing since. */
	if (t <= lazytsc_tsc())
		return false;
	if (++g->misses < g->patience)
		return false;
	g->misses = 0;
	if (g->patience < LAZYTSC_GUEST_PATIENCE_MAX)
		g->patience *= 2;
	return true;
}

u64 lazytsc_guest_found(const struct lazytsc_guest *g, u64 word)
{
	return word == g->word ? 0 : g->word;
}

bool lazytsc_guest_disarm(struct lazytsc_guest *g)
{
	if (!g->area)
		return count(g, true);
	/* With nothing armed the host may still run a plain timer, which pending cannot stop. */
	return count(g, store_then_load(g->area, 0) == 0);
}
