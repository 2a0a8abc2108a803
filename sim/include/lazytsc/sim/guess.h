/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where guesses come from, for a host that arms early: the core's predictor, or any other source.
 * The replay and the simulated machine ask the same way.
 */
#ifndef LAZYTSC_SIM_GUESS_H
#define LAZYTSC_SIM_GUESS_H

#include <stddef.h>

#include <lazytsc/host.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One state for each vCPU and host, of `size` bytes, zeroed and aligned to 8; then init() with the
 * longest wait, in guest cycles. write() and expire() are called just before lazytsc_host_write()
 * and lazytsc_host_expire(), and return the guess to pass, or 0.
 */
struct lazytsc_guess_source {
	const char *name;
	size_t size;
	u64 credit; /* silent expiries that may lead the skips, on one host (B12) */
	void (*init)(void *state, u64 wait); /* may be NULL */
	u64 (*write)(void *state, const struct lazytsc_host *h, const struct lazytsc_area *area,
		     u64 v, u64 now);
	u64 (*expire)(void *state, const struct lazytsc_host *h, const struct lazytsc_area *area,
		      const struct lazytsc_expiry *e);
	/* Events were lost: forget what belongs to the time before. May be NULL. */
	void (*restart)(void *state);
};

/* The core's predictor; its state is a struct lazytsc_predictor. */
extern const struct lazytsc_guess_source lazytsc_guess_early;

#ifdef __cplusplus
}
#endif

#endif
