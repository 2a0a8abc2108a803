// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include <lazytsc/sim/scenario.h>

#define OP(name) (1u << LAZYTSC_GUEST_##name)
#define BOTH	 (LAZYTSC_WHERE_VCPU | LAZYTSC_WHERE_REMOTE)

static const struct lazytsc_scenario scenarios[] = {
	{
		.name = "remote",
		.summary = "sets and disarms against a callback on another CPU",
		.horizon = 4,
		.where = LAZYTSC_WHERE_REMOTE,
		.ops = 3,
		.alphabet = OP(SET) | OP(DISARM),
		.prefix = 1,
	},
	{
		.name = "vcpu",
		.summary = "sets and disarms against exits, with the timer firing early or late",
		.horizon = 4,
		.wait = 1,
		.where = LAZYTSC_WHERE_VCPU,
		.ops = 3,
		.alphabet = OP(SET) | OP(DISARM),
		.prefix = 1,
	},
	{
		.name = "both",
		.summary = "the same, where each expiry may be decided here or there",
		.horizon = 3,
		.wait = 1,
		.where = BOTH,
		.ops = 3,
		.alphabet = OP(SET) | OP(DISARM),
		.prefix = 1,
	},
	{
		.name = "guess",
		.summary = "a predictor that guesses anything, decided on either CPU",
		.horizon = 3,
		.wait = 1,
		.where = BOTH,
		.ops = 2,
		.alphabet = OP(SET) | OP(DISARM),
		.guesses = true,
		.prefix = 1,
	},
	{
		.name = "raw",
		.summary = "raw WRMSR and RDMSR among them",
		.horizon = 3,
		.where = BOTH,
		.ops = 3,
		.alphabet = OP(SET) | OP(DISARM) | OP(RAW) | OP(RDMSR),
		.prefix = 1,
	},
	{
		.name = "halt",
		.summary = "HLT and wake-ups",
		.horizon = 3,
		.wait = 1,
		.where = BOTH,
		.ops = 3,
		.alphabet = OP(SET) | OP(HLT),
		.wakes = 1,
		.prefix = 1,
	},
	{
		.name = "lvt",
		.summary = "mask, mode switch, reset, the feature switched off and on",
		.horizon = 3,
		.where = BOTH,
		.ops = 3,
		.alphabet = OP(SET) | OP(RDMSR) | OP(MASK) | OP(MODE) | OP(RESET) | OP(FEATURE),
		.prefix = 1,
	},
	{
		.name = "user",
		.summary = "return to user space, migration in any order, a VMM that knows nothing",
		.horizon = 3,
		.where = BOTH,
		.ops = 2,
		.alphabet = OP(SET) | OP(DISARM),
		.trips = 1,
		.prefix = 1,
	},
	{
		.name = "memslot",
		.summary = "the area's memslot changes while the guest runs",
		.horizon = 3,
		.where = BOTH,
		.ops = 2,
		.alphabet = OP(SET) | OP(DISARM),
		.slots = 1,
		.prefix = 1,
	},
	{
		.name = "hostile",
		.summary = "a guest that scribbles over both fields",
		.horizon = 2,
		.where = BOTH,
		.ops = 3,
		.alphabet = OP(SET) | OP(RAW) | OP(PENDING) | OP(ARMED) | OP(WORD),
		.prefix = 1,
	},
};

const struct lazytsc_scenario *lazytsc_scenario_at(unsigned int i)
{
	return i < sizeof(scenarios) / sizeof(scenarios[0]) ? &scenarios[i] : NULL;
}

const struct lazytsc_scenario *lazytsc_scenario_find(const char *name)
{
	const struct lazytsc_scenario *s;

	for (unsigned int i = 0; (s = lazytsc_scenario_at(i)); i++) {
		if (!strcmp(s->name, name))
			return s;
	}
	return NULL;
}
