// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the 2023 series did, in the core's terms, defects included. docs/protocol.md lists them.
 *
 * State: h->lazy is the series' "cached_armed is not 0", h->timer its ktimer.tscdeadline, and every
 * timer that runs with the feature on is one that it kicks.
 *
 *   rfc-v1      guest: no barrier between pending and armed; host: every expiry injects, then kicks
 *   rfc-v3      on the hv timer, which is Intel's: a real barrier; an expiry kicks first, and
 *               injects when there was nothing to kick
 *   rfc-v3-sw   on the sw timer, all of AMD: weak_wrmsr_fence() is no barrier; injects first
 *
 * Not modelled: that the sw timer's kick is a request which a running vCPU serves at its next exit
 * only. Here it is served at once, in the series' favour.
 */
#include <lazytsc/sim/variant.h>

static bool count(struct lazytsc_guest *g, bool write)
{
	if (write)
		g->writes++;
	else
		g->skips++;
	return write;
}

static bool rfc_guest_set(struct lazytsc_guest *g, u64 t, bool barrier)
{
	u64 armed;

	if (!g->area)
		return count(g, true);
	lazytsc_store(&g->area->pending, t);
	if (barrier)
		lazytsc_mb();
	armed = lazytsc_load(&g->area->armed);
	return count(g, armed == 0 || t < armed);
}

static bool rfc_guest_set_weak(struct lazytsc_guest *g, u64 t)
{
	return rfc_guest_set(g, t, false);
}

static bool rfc_guest_set_fenced(struct lazytsc_guest *g, u64 t)
{
	return rfc_guest_set(g, t, true);
}

/* The series left shutdown as it was: pending keeps its value, and the MSR is always written. */
static bool rfc_guest_disarm(struct lazytsc_guest *g)
{
	return count(g, true);
}

/* No check of the address, its alignment or the reserved bits. */
static enum lazytsc_msr_verdict rfc_host_check_msr(u64 word, u64 gpa_end)
{
	(void)gpa_end;
	return word & LAZYTSC_MSR_ENABLE ? LAZYTSC_MSR_SWITCH_ON : LAZYTSC_MSR_SWITCH_OFF;
}

/* CLEAR: the timer stays as it is, without a look at what the guest has since put in pending. */
static void clear(struct lazytsc_host *h, struct lazytsc_area *area)
{
	if (h->lazy && area)
		lazytsc_store(&area->armed, 0);
	h->lazy = false;
}

static struct lazytsc_decision inject(struct lazytsc_host *h, u64 deadline)
{
	h->inflight = deadline;
	h->stats.injections++;
	return (struct lazytsc_decision){ .timer = h->timer, .inject = deadline };
}

/* UPDATE, then start the timer; a deadline that has passed is injected and cleared. */
static struct lazytsc_decision update(struct lazytsc_host *h, struct lazytsc_area *area, u64 v,
				      u64 now)
{
	if (area)
		lazytsc_store(&area->armed, v);
	h->lazy = area && v;
	h->timer = v;
	h->wanted = v;
	if (v && v <= now) {
		h->timer = 0;
		h->wanted = 0;
		clear(h, area);
		return inject(h, v);
	}
	return (struct lazytsc_decision){ .timer = h->timer };
}

/* KICK: is there a later deadline? Compares with the armed that the guest can write. */
static bool kick(struct lazytsc_host *h, struct lazytsc_area *area, u64 now,
		 struct lazytsc_decision *d)
{
	u64 next;

	if (!h->lazy)
		return false;
	next = lazytsc_load(&area->pending);
	if (next && next > lazytsc_load(&area->armed)) {
		*d = update(h, area, next, now);
		return true;
	}
	clear(h, area);
	return false;
}

static struct lazytsc_decision rfc_host_write(struct lazytsc_host *h, struct lazytsc_area *area,
					      u64 v, u64 now, u64 guess)
{
	(void)guess;
	h->stats.traps++;
	h->inflight = 0;
	return update(h, area, v, now);
}

/* A host timer has fired, early by no more than the caller can wait for. */
static bool fired(const struct lazytsc_host *h, const struct lazytsc_expiry *e)
{
	u64 wait = e->context == LAZYTSC_VCPU ? e->wait : 0;

	return h->timer && (h->timer <= e->now || h->timer - e->now <= wait);
}

static struct lazytsc_decision silent(struct lazytsc_host *h, const struct lazytsc_expiry *e)
{
	if (e->blocked)
		h->stats.silent_blocked++;
	else
		h->stats.silent_running++;
	return (struct lazytsc_decision){ .timer = h->timer };
}

/* V1, V2, and V3 on the sw timer. Both injections of one expiry meet in one IRR bit. */
static struct lazytsc_decision rfc_host_expire_sw(struct lazytsc_host *h, struct lazytsc_area *area,
						  const struct lazytsc_expiry *e)
{
	struct lazytsc_decision d, next = { 0 };
	u64 deadline = h->timer;

	if (!fired(h, e))
		return (struct lazytsc_decision){ .timer = h->timer };
	d = inject(h, deadline);
	h->timer = 0;
	h->wanted = 0;
	if (kick(h, area, e->now, &next) && next.inject)
		h->stats.injections--;
	d.timer = h->timer;
	return d;
}

/* V3 on the hv timer. */
static struct lazytsc_decision rfc_host_expire_hv(struct lazytsc_host *h, struct lazytsc_area *area,
						  const struct lazytsc_expiry *e)
{
	struct lazytsc_decision d;
	u64 deadline = h->timer;

	if (!fired(h, e))
		return (struct lazytsc_decision){ .timer = h->timer };
	if (kick(h, area, e->now, &d))
		return d.inject ? d : silent(h, e);
	h->timer = 0;
	h->wanted = 0;
	return inject(h, deadline);
}

/* Return to user space and memslot changes are not noticed: armed stays in the page. */
static struct lazytsc_decision rfc_host_withdraw(struct lazytsc_host *h, struct lazytsc_area *area,
						 enum lazytsc_withdraw_reason reason)
{
	if (h->lazy && (reason == LAZYTSC_WITHDRAW_MASK || reason == LAZYTSC_WITHDRAW_DISABLE)) {
		clear(h, area);
		h->stats.withdrawals[reason]++;
	}
	return (struct lazytsc_decision){ .timer = h->timer };
}

static void rfc_host_resume(struct lazytsc_host *h, struct lazytsc_area *area, u64 now)
{
	(void)h;
	(void)area;
	(void)now;
}

static struct lazytsc_decision rfc_host_recover(struct lazytsc_host *h,
						const struct lazytsc_area *area)
{
	(void)area;
	return (struct lazytsc_decision){ .timer = h->timer };
}

/* The series' guest never enables the feature again. */
static bool rfc_guest_wrote(struct lazytsc_guest *g, u64 t)
{
	(void)g;
	(void)t;
	return false;
}

static struct lazytsc_decision rfc_host_restore(struct lazytsc_host *h, u64 v)
{
	h->timer = v;
	h->wanted = v;
	h->inflight = 0;
	return (struct lazytsc_decision){ .timer = v };
}

static u64 rfc_host_deadline(const struct lazytsc_host *h, const struct lazytsc_area *area)
{
	(void)area;
	return h->timer ? h->timer : h->inflight;
}

/* What differs overrides the core's. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define RFC_COMMON                                                                            \
	LAZYTSC_VARIANT_CORE.guest_disarm = rfc_guest_disarm, .guest_wrote = rfc_guest_wrote, \
	.host_recover = rfc_host_recover, .host_check_msr = rfc_host_check_msr,               \
	.host_write = rfc_host_write, .host_withdraw = rfc_host_withdraw,                     \
	.host_resume = rfc_host_resume, .host_restore = rfc_host_restore,                     \
	.host_deadline = rfc_host_deadline

const struct lazytsc_variant lazytsc_variant_rfc_v1 = {
	.name = "rfc-v1",
	.summary = "the 2023 series, V1 and V2: injects, then arms what is pending",
	RFC_COMMON,
	.guest_set = rfc_guest_set_weak,
	.host_expire = rfc_host_expire_sw,
};

const struct lazytsc_variant lazytsc_variant_rfc_v3 = {
	.name = "rfc-v3",
	.summary = "the 2023 series, V3, on the hv timer",
	RFC_COMMON,
	.guest_set = rfc_guest_set_fenced,
	.host_expire = rfc_host_expire_hv,
};

const struct lazytsc_variant lazytsc_variant_rfc_v3_sw = {
	.name = "rfc-v3-sw",
	.summary = "the 2023 series, V3, on the sw timer: injects first, as V1",
	RFC_COMMON,
	.guest_set = rfc_guest_set_weak,
	.host_expire = rfc_host_expire_sw,
};
