// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>

#include "access.h"

__thread struct lazytsc_engine *lazytsc_engine;
__thread u64 lazytsc_clock;

void access_die(const struct lazytsc_access *a, const char *what)
{
	fprintf(stderr, "%s:%d: %s: '%s' %s\n", a->file, a->line, a->func, a->name, what);
	abort();
}

u64 lazytsc_engine_access(const struct lazytsc_access *access)
{
	if (!lazytsc_engine)
		access_die(access, access->op == LAZYTSC_OP_FAIL
					   ? "does not hold: assertion failed"
					   : "needs the race checker, and none runs here");
	return lazytsc_engine->access(lazytsc_engine, access);
}
