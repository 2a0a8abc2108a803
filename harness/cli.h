/* SPDX-License-Identifier: BSD-2-Clause */
/* What the sub-commands of `lazytsc` share. */
#ifndef LAZYTSC_CLI_H
#define LAZYTSC_CLI_H

/* Exit statuses, the same for every sub-command; each --help names those that it uses. */
enum cli_status {
	CLI_OK = 0, /* done, nothing found */
	CLI_MISMATCH = 1, /* wrong usage, or what was compared differs */
	CLI_BAD_INPUT = 2, /* a file that cannot be read or understood */
	CLI_BOUNDED = 3, /* a search stopped at a bound */
	CLI_VIOLATION = 42 /* a violation was found */
};

#endif
