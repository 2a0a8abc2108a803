/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol variants as data: the same functions as the core's, one table for each variant.
 *
 * The replayer counts with them, the simulator runs machines on them, the race checker refutes the
 * wrong ones. A variant overrides what it does differently and takes the rest from the core, so
 * that its difference is what its file shows. Every variant keeps its state in the core's
 * structures. The contract of each function is that of its namesake in <lazytsc/guest.h> and
 * <lazytsc/host.h>.
 */
#ifndef LAZYTSC_SIM_VARIANT_H
#define LAZYTSC_SIM_VARIANT_H

#include <lazytsc/guest.h>
#include <lazytsc/host.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The functions of the core that a variant consists of, without their prefix. */
#define LAZYTSC_VARIANT_FUNCTIONS(X) \
	X(guest_enable)              \
	X(guest_disable)             \
	X(guest_set)                 \
	X(guest_disarm)              \
	X(guest_wrote)               \
	X(guest_found)               \
	X(host_check_msr)            \
	X(host_enable)               \
	X(host_write)                \
	X(host_expire)               \
	X(host_delivered)            \
	X(host_withdraw)             \
	X(host_recover)              \
	X(host_resume)               \
	X(host_cancel)               \
	X(host_restore)              \
	X(host_blocked)              \
	X(host_deadline)

/* As initialisers: each the core's own. What a variant does differently follows them. */
#define LAZYTSC_VARIANT_CORE_FUNCTION(name) .name = lazytsc_##name,
#define LAZYTSC_VARIANT_CORE		    LAZYTSC_VARIANT_FUNCTIONS(LAZYTSC_VARIANT_CORE_FUNCTION)

struct lazytsc_variant {
	const char *name; /* as on the command line: "lazy", "rfc-v3" */
	const char *summary; /* one line for --help and reports */

#define X(name) __typeof__(lazytsc_##name) *name;
	LAZYTSC_VARIANT_FUNCTIONS(X)
#undef X
};

/* The project's own protocol: nothing but the core. */
extern const struct lazytsc_variant lazytsc_variant_lazy;
/* The stock timer. */
extern const struct lazytsc_variant lazytsc_variant_stock;
/* The 2023 series; see rfc.c for what each of them does wrong. */
extern const struct lazytsc_variant lazytsc_variant_rfc_v1;
extern const struct lazytsc_variant lazytsc_variant_rfc_v3;
extern const struct lazytsc_variant lazytsc_variant_rfc_v3_sw;

/** lazytsc_variant_at() - the @i-th variant, counted from 0, in a stable order; NULL: no more */
const struct lazytsc_variant *lazytsc_variant_at(unsigned int i);

/** lazytsc_variant_find() - the variant of that name, or NULL */
const struct lazytsc_variant *lazytsc_variant_find(const char *name);

#ifdef __cplusplus
}
#endif

#endif
