// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>

#include <lazytsc_port.h>

__thread struct lazytsc_engine *lazytsc_engine;

static void die(const struct lazytsc_access *access)
{
	if (access->op == LAZYTSC_OP_FAIL)
		fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", access->file, access->line,
			access->func, access->name);
	else
		fprintf(stderr, "%s:%d: %s: '%s' needs the race checker, and none runs here\n",
			access->file, access->line, access->func, access->name);
	abort();
}

u64 lazytsc_engine_access(const struct lazytsc_access *access)
{
	if (!lazytsc_engine)
		die(access);
	return lazytsc_engine->access(lazytsc_engine, access);
}
