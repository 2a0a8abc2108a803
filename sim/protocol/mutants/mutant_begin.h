/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens a generated copy of the core: its functions get names of their own, by the #defines that
 * mutate.awk writes before this is included. No include guard.
 */
#define MUTANT_PASTE_(name, id) lazytsc_##name##_##id
#define MUTANT_PASTE(name, id)	MUTANT_PASTE_(name, id)
#define MUTANT(name)		MUTANT_PASTE(name, MUTANT_ID)

#include <lazytsc/sim/variant.h>
