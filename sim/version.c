// SPDX-License-Identifier: BSD-2-Clause
#include <lazytsc/sim/version.h>

const char *lazytsc_version(void)
{
	return LAZYTSC_VERSION;
}
