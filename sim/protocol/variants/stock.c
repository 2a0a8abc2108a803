// SPDX-License-Identifier: BSD-2-Clause
#include <stddef.h>

#include <lazytsc/sim/variant.h>

/*
 * The stock timer: a guest that has never enabled the feature. Every write exits, and the host has
 * no area, so that the core runs plain timers only.
 */
static u64 stock_guest_enable(struct lazytsc_guest *g, struct lazytsc_area *area, u64 gpa,
			      u64 grace)
{
	(void)area;
	(void)gpa;
	(void)grace;
	return lazytsc_guest_disable(g);
}

static void stock_host_enable(struct lazytsc_host *h, struct lazytsc_area *area)
{
	(void)h;
	(void)area;
}

static enum lazytsc_msr_verdict stock_host_check_msr(u64 word, u64 gpa_end)
{
	(void)gpa_end;
	return word ? LAZYTSC_MSR_BAD_RESERVED : LAZYTSC_MSR_SWITCH_OFF;
}

static struct lazytsc_decision stock_host_write(struct lazytsc_host *h, struct lazytsc_area *area,
						u64 v, u64 now, u64 guess)
{
	(void)area;
	(void)guess;
	return lazytsc_host_write(h, NULL, v, now, 0);
}

static struct lazytsc_decision stock_host_withdraw(struct lazytsc_host *h,
						   struct lazytsc_area *area,
						   enum lazytsc_withdraw_reason reason)
{
	(void)area;
	return lazytsc_host_withdraw(h, NULL, reason);
}

static struct lazytsc_decision stock_host_recover(struct lazytsc_host *h,
						  const struct lazytsc_area *area)
{
	(void)area;
	return lazytsc_host_recover(h, NULL);
}

static void stock_host_resume(struct lazytsc_host *h, struct lazytsc_area *area, u64 now)
{
	(void)area;
	lazytsc_host_resume(h, NULL, now);
}

static struct lazytsc_decision stock_host_cancel(struct lazytsc_host *h, struct lazytsc_area *area)
{
	(void)area;
	return lazytsc_host_cancel(h, NULL);
}

/* What differs overrides the core's. */
#pragma GCC diagnostic ignored "-Woverride-init"

const struct lazytsc_variant lazytsc_variant_stock = {
	.name = "stock",
	.summary = "the TSC deadline as it is: every write exits",
	LAZYTSC_VARIANT_CORE.guest_enable = stock_guest_enable,
	.host_check_msr = stock_host_check_msr,
	.host_enable = stock_host_enable,
	.host_write = stock_host_write,
	.host_withdraw = stock_host_withdraw,
	.host_recover = stock_host_recover,
	.host_resume = stock_host_resume,
	.host_cancel = stock_host_cancel,
};
