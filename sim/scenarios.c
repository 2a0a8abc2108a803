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
