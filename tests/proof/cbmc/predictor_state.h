/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's predictor, with its host side, for the contracts that are about them. */
#ifndef LAZYTSC_PROOF_PREDICTOR_STATE_H
#define LAZYTSC_PROOF_PREDICTOR_STATE_H

#include <lazytsc/predictor.h>

static struct lazytsc_predictor p;
static struct lazytsc_host h;

/* contracts.py has what the core indexes these arrays with go through here. */
#define ENTRIES(array)	   ENTRIES_OF_##array
#define ENTRIES_OF_strays  LAZYTSC_STRAYS
#define ENTRIES_OF_streams LAZYTSC_STREAMS
#define ENTRIES_OF_chance  sizeof(((struct lazytsc_stream *)0)->chance)

static u64 within(u64 i, u64 n)
{
	ensure("B11: an index is one of its array", i < n);
	return i;
}

/* Any state at all. A _Bool of no given value may hold any byte. */
static void any_predictor(void)
{
	struct lazytsc_predictor any;

	p = any;
	p.proven = any_u8() & 1;
	p.certain = any_u8() & 1;
	for (int i = 0; i < LAZYTSC_STREAMS; i++)
		p.streams[i].seen = any_u8() & 1;
}

static void any_host(void)
{
	struct lazytsc_host any;

	h = any;
	h.lazy = any_u8() & 1;
	h.unpaid = any_u8() & 1;
}

#endif
