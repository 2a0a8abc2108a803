/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's predictor, with its host side, for the contracts that are about them. */
#ifndef LAZYTSC_PROOF_PREDICTOR_STATE_H
#define LAZYTSC_PROOF_PREDICTOR_STATE_H

#include <lazytsc/predictor.h>

static struct lazytsc_predictor p;
static struct lazytsc_host h;

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
