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

struct lazytsc_variant {
	const char *name; /* as on the command line: "lazy", "rfc-v3" */
	const char *summary; /* one line for --help and reports */

	u64 (*guest_enable)(struct lazytsc_guest *g, struct lazytsc_area *area, u64 gpa);
	u64 (*guest_disable)(struct lazytsc_guest *g);
	bool (*guest_set)(struct lazytsc_guest *g, u64 t);
	bool (*guest_disarm)(struct lazytsc_guest *g);

	enum lazytsc_msr_verdict (*host_check_msr)(u64 word, u64 gpa_end);
	void (*host_enable)(struct lazytsc_host *h, struct lazytsc_area *area);
	struct lazytsc_decision (*host_write)(struct lazytsc_host *h, struct lazytsc_area *area,
					      u64 v, u64 now, u64 guess);
	struct lazytsc_decision (*host_expire)(struct lazytsc_host *h, struct lazytsc_area *area,
					       const struct lazytsc_expiry *e);
	void (*host_delivered)(struct lazytsc_host *h);
	struct lazytsc_decision (*host_withdraw)(struct lazytsc_host *h, struct lazytsc_area *area,
						 enum lazytsc_withdraw_reason reason);
	void (*host_resume)(struct lazytsc_host *h, struct lazytsc_area *area, u64 now);
	struct lazytsc_decision (*host_cancel)(struct lazytsc_host *h, struct lazytsc_area *area);
	struct lazytsc_decision (*host_restore)(struct lazytsc_host *h, u64 v);
	u64 (*host_deadline)(const struct lazytsc_host *h, const struct lazytsc_area *area);
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

#endif
