// SPDX-License-Identifier: BSD-2-Clause
/*
 * Contracts of core/guest.c: one call of any of its functions, in any state, against a host that
 * may have left anything in the area. Each promise of <lazytsc/guest.h> is a property here, named
 * by its requirement. The invariant is the bounds of the patience, and holds afterwards: so what is
 * proven holds after any number of calls, for all values.
 */
#include "shared.h"
#include "guest.c"

typedef unsigned __int128 u128;

static struct lazytsc_guest g, was;

/* By enable() and wrote(): the patience is a power of two within its bounds. */
static bool invariant(void)
{
	return g.patience >= LAZYTSC_GUEST_PATIENCE && g.patience <= LAZYTSC_GUEST_PATIENCE_MAX &&
	       (g.patience & (g.patience - 1)) == 0 && g.misses < g.patience;
}

/* The contract of count(): what a set or a disarm leaves behind beside its answer. */
static void counted(bool write, bool overdue_too)
{
	ensure("B12: an exit is counted as a write", g.writes == was.writes + write);
	ensure("B12: no exit is counted as a skip", g.skips == was.skips + !write);
	ensure("B28: overdue promises are counted", g.overdue == was.overdue + overdue_too);
	ensure("guest: a set or a disarm changes the counters only",
	       g.area == was.area && g.word == was.word && g.grace == was.grace &&
		       g.misses == was.misses && g.patience == was.patience);
}

static void stored_then_loaded(u64 wanted)
{
	ensure("B2: pending is what is wanted",
	       ghost.pending_stores == 1 && ghost.pending == wanted);
	ensure("B2, B3: pending is stored, then a full barrier, then armed is loaded, once",
	       ghost.armed_loads == 1 && ghost.store_load);
	ensure("B1: armed and done are the host's", !ghost.armed_stores && !ghost.done_stores);
}

static void untouched(void)
{
	ensure("guest: the area is not touched", !ghost.pending_stores && !ghost.armed_stores &&
							 !ghost.done_stores &&
							 !ghost.pending_loads && !ghost.done_loads);
}

static bool is_overdue(u64 armed, u64 t)
{
	return (u128)t > (u128)armed + g.grace && (u128)ghost.tsc > (u128)armed + g.grace;
}

static void check_set(void)
{
	u64 t = any_u64();
	bool write, late;

	assume(t != 0);
	write = lazytsc_guest_set(&g, t);
	if (!was.area) {
		ensure("B16: disabled, every set asks for the MSR write", write);
		untouched();
		counted(true, false);
		return;
	}
	stored_then_loaded(t);
	late = ghost.armed && t >= ghost.armed && is_overdue(ghost.armed, t);
	ensure("B28: with a grace of ~0 no promise is void",
	       ~g.grace || !write || !ghost.armed || t < ghost.armed);
	ensure("B2: with nothing armed a set asks for the MSR write", write || ghost.armed);
	ensure("B2: a set before armed asks for the MSR write", write || t >= ghost.armed);
	ensure("B28: a set on an overdue promise asks for the MSR write", write || !late);
	ensure("B2: any other set is a skip", !write || !ghost.armed || t < ghost.armed || late);
	ensure("B28: the TSC is read only beyond the promise by more than the grace",
	       !ghost.tsc_reads || (ghost.armed && (u128)t > (u128)ghost.armed + g.grace));
	counted(write, late);
}

static void check_disarm(void)
{
	bool write = lazytsc_guest_disarm(&g);

	if (!was.area) {
		ensure("B16: disabled, every disarm asks for the MSR write", write);
		untouched();
	} else {
		stored_then_loaded(0);
		ensure("A4, B2: a disarm exits exactly when nothing is armed",
		       write == !ghost.armed);
		ensure("B28: a disarm does not ask for the time", !ghost.tsc_reads);
	}
	counted(write, false);
}

static void check_enable(void)
{
	u64 gpa = any_u64(), grace = any_u64(), word;

	assume((gpa & 63) == 0);
	word = lazytsc_guest_enable(&g, &area, gpa, grace);
	ensure("B11: the word is the address and the enable bit",
	       word == (gpa | 1) && g.word == word);
	ensure("B1: the area starts at 0", ghost.armed_stores == 1 && ghost.pending_stores == 1 &&
						   ghost.done_stores == 1 && !ghost.armed &&
						   !ghost.pending && !ghost.done);
	ensure("B28: area and grace are kept", g.area == &area && g.grace == grace);
	ensure("B27: patience starts anew", !g.misses && g.patience == LAZYTSC_GUEST_PATIENCE);
	ensure("guest: enabling counts nothing",
	       g.writes == was.writes && g.skips == was.skips && g.overdue == was.overdue);
}

static void check_disable(void)
{
	ensure("B16: the word is 0", lazytsc_guest_disable(&g) == 0);
	ensure("B16: from now on every set asks for the MSR write", !g.area);
	untouched();
	ensure("B16: the area may be reused", !ghost.armed_loads);
	ensure("guest: disabling changes nothing else",
	       g.writes == was.writes && g.skips == was.skips && g.overdue == was.overdue &&
		       g.word == was.word && g.grace == was.grace && g.misses == was.misses &&
		       g.patience == was.patience);
}

static void check_wrote(void)
{
	u64 t = any_u64();
	bool look, promise;

	look = lazytsc_guest_wrote(&g, t);
	ensure("guest: wrote() changes the count of misses only",
	       g.area == was.area && g.word == was.word && g.grace == was.grace &&
		       g.writes == was.writes && g.skips == was.skips && g.overdue == was.overdue);
	untouched();
	if (!was.area) {
		ensure("B27: disabled, the guest never looks", !look && g.misses == was.misses &&
								       g.patience == was.patience &&
								       !ghost.armed_loads);
		return;
	}
	ensure("B27: whether there is a promise is looked at, once", ghost.armed_loads == 1);
	/* t is beyond armed here, but for a host that promises beyond what is wanted. */
	promise = ghost.armed && !((u64)(t - ghost.armed) > g.grace &&
				   (u128)ghost.tsc > (u128)ghost.armed + g.grace);
	if (promise) {
		ensure("B27: a promise ends the row of misses",
		       !look && !g.misses && g.patience == LAZYTSC_GUEST_PATIENCE);
	} else if (t <= ghost.tsc) {
		ensure("B27: a deadline past by now tells nothing",
		       !look && g.misses == was.misses && g.patience == was.patience);
	} else if ((u32)(was.misses + 1) < was.patience) {
		ensure("B27: a miss is counted, with patience",
		       !look && g.misses == was.misses + 1 && g.patience == was.patience);
	} else {
		ensure("B27: patience ends, the guest looks after the MSR", look && !g.misses);
		ensure("B27: each look doubles the patience, up to a bound",
		       g.patience == (was.patience < LAZYTSC_GUEST_PATIENCE_MAX ? was.patience * 2
										: was.patience));
	}
}

static void check_found(void)
{
	u64 word = any_u64(), new = lazytsc_guest_found(&g, word);

	ensure("B27: the host has the area: write nothing", word != was.word || new == 0);
	ensure("B27: the host does not have it: enable again", word == was.word || new == was.word);
	untouched();
	ensure("B27: asking changes nothing", !ghost.armed_loads && g.area == was.area &&
						      g.word == was.word && g.grace == was.grace &&
						      g.misses == was.misses &&
						      g.patience == was.patience);
}

/* CHECK is one of the checks above: contracts.py asks for each alone, which is sooner. */
int main(void)
{
	struct lazytsc_guest any;

	g = any;
	g.area = any_bool() ? &area : NULL;
	assume(g.writes < ~0ULL && g.skips < ~0ULL && g.overdue < ~0ULL);
	assume(invariant());
	was = g;
	ghost.tsc = any_u64();

	CHECK();
	ensure("B27: patience keeps its bounds, and ends", invariant());
	return 0;
}
