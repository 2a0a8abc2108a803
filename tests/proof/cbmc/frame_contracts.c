// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the predictor learns and chooses leaves the credit alone, and what belongs to it: whole
 * calls of pass_all(), choose() and observe() of core/predictor.c, with all streams, from any
 * state. credit_contracts.c takes that for granted.
 */
#include "shared.h"
#include "predictor.c"

static struct lazytsc_predictor p, was;

static void any_state(void)
{
	struct lazytsc_predictor any;

	p = any;
	p.proven = any_u8() & 1;
	assume(p.chosen >= -1 && p.chosen < LAZYTSC_STREAMS);
	was = p;
}

static void keeps_credit(void)
{
	ensure("B12: learning and choosing leave the credit alone",
	       p.credit == was.credit && p.silent == was.silent && p.known == was.known &&
		       p.proven == was.proven && p.slack == was.slack);
}

static void check_pass_all(void)
{
	any_state();
	pass_all(&p, any_u64());
	keeps_credit();
}

static void check_choose(void)
{
	any_state();
	choose(&p, any_u64(), any_u64(), any_bool() ? CONTEXT_DELIVERED : CONTEXT_AT_REST);
	keeps_credit();
	ensure("B11: the stream chosen is one of them",
	       p.chosen >= -1 && p.chosen < LAZYTSC_STREAMS);
}

/* The one that takes longest comes last. */
static void check_observe(void)
{
	any_state();
	observe(&p, any_u64(), any_bool());
	keeps_credit();
}
