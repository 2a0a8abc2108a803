/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocols with one thing wrong: what the race checker must find.
 *
 * Most are copies of the core in which lines are replaced, made by the build from a list
 * (sim/protocol/mutants/core.list, sim/protocol/mutants/defects.list). So what is wrong is exactly
 * what the list shows, and without it the protocol is the core itself.
 */
#ifndef LAZYTSC_SIM_DEFECT_H
#define LAZYTSC_SIM_DEFECT_H

#include <lazytsc/sim/scenario.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lazytsc_defect {
	const char *name;
	const char *from; /* who had it */
	const char *what; /* what is wrong */
	const char *because; /* what happens; or why nothing does */
	const char *requirement; /* the one that it breaks; "-": none */
	const char *scenario; /* where that shows; NULL: search all of the default run */
	const struct lazytsc_variant *variant;
	enum lazytsc_glue_defect glue;
	/* The line that is replaced, if any; the first of several. */
	const char *file, *function, *was, *is;
	int line;
};

/* What the 2023 series did wrong, and mistakes as easy to make. Ends with a NULL name. */
extern const struct lazytsc_defect lazytsc_defects[];
/* The core with one barrier, order or comparison weakened. Ends with a NULL name. */
extern const struct lazytsc_defect lazytsc_mutants[];

/** lazytsc_defect_find() - a defect or mutant by its name, or NULL */
const struct lazytsc_defect *lazytsc_defect_find(const char *name);

#ifdef __cplusplus
}
#endif

#endif
