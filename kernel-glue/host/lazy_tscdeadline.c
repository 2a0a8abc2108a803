// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * KVM host side of the lazy TSC deadline. It maps the guest's page, asks the core (host.c) what to
 * do, and tells lapic.c. docs/kernel.md says why each hook is where it is.
 *
 * The page is reached by a gfn_to_pfn_cache, as in xen.c. Only the vCPU's thread can refresh the
 * cache, and only where it may sleep.
 *
 * A lazy timer always has its page mapped. Whoever takes the mapping away, for whichever reason,
 * withdraws first, under @lock: the MMU notifier (kvm_lazy_invalidate), a memslot update
 * (kvm_lazy_flush_vcpu), and the vCPU's thread before it looks the page up anew
 * (kvm_lazy_enter_thread) or releases it (kvm_lazy_tscdeadline_disable). So an expiry, in whichever
 * context, needs @lock and nothing else, and never has to wait for the page. A new promise is
 * published only in a page that is the guest's by the current memslots (kvm_lazy_enter).
 *
 * kvm_timer.tscdeadline is when the hardware timer fires. It may be earlier than the core's timer,
 * because a withdrawal leaves it alone: then it expires silently and is armed again. It is later
 * only while the vCPU is blocked: it stands then where the guest wants it, and a withdrawal by
 * another thread finds the same deadline in the page, unless another vCPU has stored there.
 *
 * armed in the page is other than 0 only while lazytsc_host.lazy is set, and so only within
 * KVM_RUN.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kvm_host.h>
#include <linux/module.h>

#include "cpuid.h"
#include "lapic.h"
#include "lazy_tscdeadline.h"
#include "lazy_tscdeadline_compat.h"
#include "trace.h"
#include "x86.h"

/* The numbers of the core's ABI are those that the kernel's headers give to others. */
static_assert(LAZYTSC_CPUID_BIT == KVM_FEATURE_LAZY_TSCDEADLINE);
static_assert(LAZYTSC_MSR == MSR_KVM_LAZY_TSCDEADLINE);

static bool lazy_tscdeadline = true;
module_param(lazy_tscdeadline, bool, 0444);
MODULE_PARM_DESC(lazy_tscdeadline, "Offer the lazy TSC deadline to guests");

static bool lazy_tscdeadline_early;
module_param(lazy_tscdeadline_early, bool, 0444);
MODULE_PARM_DESC(lazy_tscdeadline_early, "Guess the guest's next deadline and arm that early");

/* A guess may lie this far before the deadline, and the guest is held so long to wait for it. */
#define EARLY_SLACK_NS 1000

/*
 * From kvm_lazy_enter() to kvm_lazy_leave(): no other context is in the core, and @area, if it is
 * not NULL, is mapped and the guest's.
 */
struct kvm_lazy_section {
	struct lazytsc_area *area;
	unsigned long flags;
	int srcu;
};

/* The area in which a promise is published; NULL if there is no promise. */
static struct lazytsc_area *kvm_lazy_area(const struct kvm_lazy_tscdeadline *lazy)
{
	return lazy->host.lazy ? lazy->area : NULL;
}

static void kvm_lazy_withdraw(struct kvm_lapic *apic, struct lazytsc_area *area,
			      enum lazytsc_withdraw_reason reason)
{
	struct lazytsc_host *host = &apic->lazy.host;
	bool was_lazy = host->lazy;

	lockdep_assert_held(&apic->lazy.lock);

	lazytsc_host_withdraw(host, area, reason);
	if (!was_lazy)
		return;

	++apic->vcpu->stat.lazy_tscdeadline_withdraw;
	trace_kvm_lazy_tscdeadline_withdraw(apic->vcpu->vcpu_id, host->timer, reason);
}

/*
 * Interrupts are disabled before gpc.lock is taken, and @lock nests in gpc.lock, as in the MMU
 * notifier. A memslot update waits for this SRCU section before it calls
 * kvm_lazy_tscdeadline_flush_memslot().
 */
static void kvm_lazy_enter(struct kvm_lapic *apic, struct kvm_lazy_section *s)
	__acquires(&apic->vcpu->kvm->srcu) __acquires(&apic->lazy.gpc.lock)
	__acquires(&apic->lazy.lock)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	struct gfn_to_pfn_cache *gpc = &lazy->gpc;

	s->srcu = srcu_read_lock(&apic->vcpu->kvm->srcu);
	read_lock_irqsave(&gpc->lock, s->flags);
	raw_spin_lock(&lazy->lock);
	s->area = kvm_gpc_check(gpc, sizeof(*s->area)) ? gpc->khva : NULL;
	if (s->area) {
		WARN_ON_ONCE(lazy->host.lazy && lazy->area != s->area);
		lazy->area = s->area;
	}
}

static void kvm_lazy_leave(struct kvm_lapic *apic, struct kvm_lazy_section *s)
	__releases(&apic->lazy.lock) __releases(&apic->lazy.gpc.lock)
	__releases(&apic->vcpu->kvm->srcu)
{
	raw_spin_unlock(&apic->lazy.lock);
	read_unlock_irqrestore(&apic->lazy.gpc.lock, s->flags);
	srcu_read_unlock(&apic->vcpu->kvm->srcu, s->srcu);
}

static int kvm_lazy_refresh(struct kvm_lapic *apic)
{
	struct kvm *kvm = apic->vcpu->kvm;
	int srcu = srcu_read_lock(&kvm->srcu);
	int r = kvm_gpc_refresh(&apic->lazy.gpc, sizeof(struct lazytsc_area));

	srcu_read_unlock(&kvm->srcu, srcu);
	return r;
}

/* How often a look-up of the page, or an expired timer, is tried again within one exit (B10). */
#define KVM_LAZY_TRIES 4

/*
 * The same as kvm_lazy_enter() in the vCPU's thread, which looks the page up if it has to. If that
 * fails, @s->area is NULL, and there is no lazy timer. May sleep.
 */
static void kvm_lazy_enter_thread(struct kvm_lapic *apic, struct kvm_lazy_section *s)
	__acquires(&apic->vcpu->kvm->srcu) __acquires(&apic->lazy.gpc.lock)
	__acquires(&apic->lazy.lock)
{
	bool gone = false;

	for (int tries = 0;; tries++) {
		kvm_lazy_enter(apic, s);
		if (s->area)
			return;
		/* The memslots have changed: the mapped page may not be the guest's any more. */
		kvm_lazy_withdraw(apic, kvm_lazy_area(&apic->lazy), LAZYTSC_WITHDRAW_MEMSLOT);
		if (gone || tries == KVM_LAZY_TRIES)
			return;
		kvm_lazy_leave(apic, s);
		gone = kvm_lazy_refresh(apic);
	}
}

/* Does the core manage this timer? Only in TSC-deadline mode. */
static bool kvm_lazy_managed(struct kvm_lapic *apic)
{
	return apic->lapic_timer.timer_mode == APIC_LVT_TIMER_TSCDEADLINE;
}

static void kvm_lazy_published(struct kvm_lapic *apic)
{
	const struct lazytsc_host *host = &apic->lazy.host;

	if (!host->lazy)
		return;

	++apic->vcpu->stat.lazy_tscdeadline_publish;
	trace_kvm_lazy_tscdeadline_publish(apic->vcpu->vcpu_id, host->timer);
}

/* Only in the vCPU's thread: the dirty ring belongs to the running vCPU. */
static void kvm_lazy_mark_dirty(struct kvm_lapic *apic)
{
	struct gfn_to_pfn_cache *gpc = &apic->lazy.gpc;

	mark_page_dirty_in_slot(apic->vcpu->kvm, gpc->memslot, gpa_to_gfn(gpc->gpa));
}

/*
 * No processor that this kernel knows has an APIC timer that KVM lets the guest program without an
 * exit. For one that has, this must return false (B21).
 */
bool kvm_lazy_tscdeadline_offered(void)
{
	return lazy_tscdeadline;
}

/*
 * The mapping goes away (mprotect(), fork(), compaction, ...) and may stay away for a long time:
 * take the promise back while the page can be reached (B18). The hardware timer is left alone: it
 * is early, not late; of a blocked vCPU it is neither. Called in the MMU notifier, under gpc->lock
 * for writing.
 */
static void kvm_lazy_invalidate(struct gfn_to_pfn_cache *gpc)
{
	struct kvm_lapic *apic = container_of(gpc, struct kvm_lapic, lazy.gpc);

	raw_spin_lock(&apic->lazy.lock);
	kvm_lazy_withdraw(apic, kvm_lazy_area(&apic->lazy), LAZYTSC_WITHDRAW_MEMSLOT);
	raw_spin_unlock(&apic->lazy.lock);
}

void kvm_lazy_tscdeadline_create(struct kvm_lapic *apic)
{
	raw_spin_lock_init(&apic->lazy.lock);
	kvm_gpc_init(&apic->lazy.gpc, apic->vcpu->kvm);
	apic->lazy.gpc.invalidate = kvm_lazy_invalidate;
}

void kvm_lazy_tscdeadline_destroy(struct kvm_lapic *apic)
{
	kvm_gpc_deactivate(&apic->lazy.gpc);
}

/* After this the vCPU's thread must start the hardware timer for @deadline. */
static void kvm_lazy_set_timer(struct kvm_lapic *apic, u64 deadline)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;

	lazy->undecided = false;
	lazy->again = false;
	lazy->left = false;
	apic->lapic_timer.tscdeadline = deadline;
}

/* The core takes over the timer, and an undelivered interrupt, from the stock code. */
static void kvm_lazy_import(struct kvm_lapic *apic)
{
	struct kvm_timer *ktimer = &apic->lapic_timer;
	const struct lazytsc_expiry fired = { .context = LAZYTSC_VCPU, .now = ~0ULL };

	lazytsc_host_restore(&apic->lazy.host, kvm_lazy_managed(apic) ? ktimer->tscdeadline : 0);
	if (atomic_read(&ktimer->pending))
		lazytsc_host_expire(&apic->lazy.host, NULL, &fired);
}

static int kvm_lazy_enable(struct kvm_lapic *apic, u64 data, bool host_initiated)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	struct kvm_lazy_section s;
	int r;

	/* User space may restore in any order: then the page is looked up again in KVM_RUN. */
	r = kvm_gpc_activate(&lazy->gpc, data & LAZYTSC_MSR_GPA, sizeof(struct lazytsc_area));
	if (r && !host_initiated) {
		kvm_gpc_deactivate(&lazy->gpc);
		return 1;
	}

	if (kvm_lazy_managed(apic))
		hrtimer_cancel(&apic->lapic_timer.timer);
	kvm_lazy_enter(apic, &s);
	kvm_lazy_import(apic);
	/* Only once: enabling the feature again must not renew the predictor's credit (B12). */
	if (lazy_tscdeadline_early && !lazy->predictor.slack)
		lazytsc_predictor_init(&lazy->predictor,
				       nsec_to_cycles(apic->vcpu, EARLY_SLACK_NS));
	if (s.area)
		lazytsc_host_enable(&lazy->host, s.area);
	kvm_lazy_set_timer(apic, apic->lapic_timer.tscdeadline);
	lazy->punctual = true;
	lazy->restored = host_initiated;
	WRITE_ONCE(lazy->msr_val, data);
	kvm_lazy_leave(apic, &s);
	if (kvm_lazy_managed(apic))
		kvm_lapic_restart_timer(apic);
	return 0;
}

void kvm_lazy_tscdeadline_disable(struct kvm_lapic *apic)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	struct kvm_lazy_section s;

	if (kvm_lazy_managed(apic))
		hrtimer_cancel(&apic->lapic_timer.timer);
	kvm_lazy_enter_thread(apic, &s);
	kvm_lazy_withdraw(apic, s.area, LAZYTSC_WITHDRAW_DISABLE);
	if (s.area)
		kvm_lazy_mark_dirty(apic);
	if (kvm_lazy_managed(apic))
		apic->lapic_timer.tscdeadline = lazytsc_host_deadline(&lazy->host, s.area);
	WRITE_ONCE(lazy->msr_val, 0);
	kvm_lazy_leave(apic, &s);
	kvm_gpc_deactivate(&lazy->gpc);
	if (kvm_lazy_managed(apic))
		kvm_lapic_restart_timer(apic);
}

int kvm_lazy_tscdeadline_set_msr(struct kvm_vcpu *vcpu, u64 data, bool host_initiated)
{
	struct kvm_lapic *apic = vcpu->arch.apic;
	enum lazytsc_msr_verdict verdict;
	bool stale = host_initiated && (data & LAZYTSC_MSR_ENABLE) && (data & LAZYTSC_MSR_STALE);

	if (stale)
		data &= ~LAZYTSC_MSR_STALE;
	verdict = lazytsc_host_check_msr(data, 1ULL << cpuid_maxphyaddr(vcpu));
	if (verdict != LAZYTSC_MSR_SWITCH_ON && verdict != LAZYTSC_MSR_SWITCH_OFF)
		return 1;
	/* KVM does not emulate a protected APIC (TDX), so it cannot put its timer off. */
	if (!lapic_in_kernel(vcpu) || kvm_lazy_apic_protected(apic))
		return verdict != LAZYTSC_MSR_SWITCH_OFF;

	if (kvm_lazy_tscdeadline_enabled(&apic->lazy))
		kvm_lazy_tscdeadline_disable(apic);
	if (verdict == LAZYTSC_MSR_SWITCH_OFF)
		return 0;
	apic->lazy.stale = stale;
	return kvm_lazy_enable(apic, data, host_initiated);
}

u64 kvm_lazy_tscdeadline_get_msr(struct kvm_vcpu *vcpu, bool host_initiated)
{
	const struct kvm_lazy_tscdeadline *lazy;

	if (!lapic_in_kernel(vcpu))
		return 0;

	lazy = &vcpu->arch.apic->lazy;
	if (host_initiated && lazy->msr_val && lazy->stale)
		return lazy->msr_val | LAZYTSC_MSR_STALE;
	return lazy->msr_val;
}

static void kvm_lazy_resume(struct kvm_lapic *apic, struct lazytsc_area *area)
{
	/* While the APIC is disabled writes are ignored, so the guest must not skip them (A13). */
	if (kvm_apic_present(apic->vcpu))
		lazytsc_host_resume(&apic->lazy.host, area, kvm_l1_tsc_at_entry(apic->vcpu));
	else if (area)
		lazytsc_host_enable(&apic->lazy.host, area);
	kvm_lazy_published(apic);
}

/*
 * The guest's TSC was changed, by the guest, by user space or by KVM. Any context in which the vCPU
 * does not run: the request keeps it out of the guest until kvm_lazy_retime(). Until then an expiry
 * is decided by the new time: if the hardware timer is early by the new time, it is armed again.
 */
void kvm_lazy_tscdeadline_time_changed(struct kvm_lapic *apic)
{
	WRITE_ONCE(apic->lazy.retime, true);
	kvm_make_request(KVM_REQ_UNBLOCK, apic->vcpu);
}

/*
 * Compute the timer anew after the TSC has changed (B19). A promise made in the former time means
 * nothing in the new one: if armed is past by the new time and stays published, the guest skips its
 * later deadlines on it, and they are lost (A7, B9).
 */
static void kvm_lazy_retime(struct kvm_lapic *apic)
{
	struct kvm_lazy_section s;

	hrtimer_cancel(&apic->lapic_timer.timer);
	kvm_lazy_enter_thread(apic, &s);
	kvm_lazy_withdraw(apic, s.area, LAZYTSC_WITHDRAW_TIME);
	kvm_lazy_set_timer(apic, apic->lazy.host.timer);
	kvm_lazy_resume(apic, s.area);
	kvm_lazy_leave(apic, &s);
}

/*
 * Must the vCPU's thread start the timer, because the TSC has changed, or because an expiry on
 * another CPU has left that to it (B25)?
 */
bool kvm_lazy_tscdeadline_start(struct kvm_lapic *apic)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	/* Set by an expiry on another CPU, at any moment. */
	bool left = xchg(&lazy->left, false);

	if (!READ_ONCE(lazy->retime))
		return left;

	WRITE_ONCE(lazy->retime, false);
	if (!kvm_lazy_managed(apic))
		return false;

	kvm_lazy_retime(apic);
	return true;
}

bool kvm_lazy_tscdeadline_restored(const struct kvm_lapic *apic)
{
	return apic->lazy.restored;
}

/* Returns whether a deadline that the restore has lost was found in the page (B26). */
static bool kvm_lazy_recover(struct kvm_lapic *apic, struct lazytsc_area *area)
{
	struct lazytsc_host *host = &apic->lazy.host;
	bool restored = apic->lazy.restored;
	u64 timer = host->timer;

	apic->lazy.restored = false;
	if (!restored || apic->lazy.stale || !kvm_lazy_managed(apic) ||
	    !kvm_apic_present(apic->vcpu))
		return false;

	lazytsc_host_recover(host, area);
	if (host->timer == timer)
		return false;

	kvm_lazy_set_timer(apic, host->timer);
	return true;
}

/*
 * armed is 0 while the vCPU is in user space, where it may be saved and its page copied (B17); here
 * it is published again. That also repairs a page from an image that was taken without stopping the
 * vCPU.
 */
bool kvm_lazy_tscdeadline_run(struct kvm_lapic *apic)
{
	bool start = kvm_lazy_tscdeadline_start(apic);
	struct kvm_lazy_section s;

	kvm_lazy_enter_thread(apic, &s);
	start |= kvm_lazy_recover(apic, s.area);
	kvm_lazy_resume(apic, s.area);
	kvm_lazy_leave(apic, &s);
	return start;
}

/*
 * Returns true if the timer has fired and its expiry was left to the vCPU's thread: then it must be
 * started again, for the wanted deadline.
 */
static bool kvm_lazy_withdraw_fired(struct kvm_lapic *apic, struct lazytsc_area *area,
				    enum lazytsc_withdraw_reason reason)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	bool fired = lazy->undecided || lazy->left;

	kvm_lazy_withdraw(apic, area, reason);
	if (fired)
		kvm_lazy_set_timer(apic, lazy->host.timer);
	return fired;
}

void kvm_lazy_tscdeadline_put(struct kvm_lapic *apic)
{
	struct kvm_lazy_section s;
	bool fired;

	kvm_lazy_enter_thread(apic, &s);
	fired = kvm_lazy_withdraw_fired(apic, s.area, LAZYTSC_WITHDRAW_USERSPACE);
	apic->lazy.stale = !s.area;
	if (s.area)
		kvm_lazy_mark_dirty(apic);
	kvm_lazy_leave(apic, &s);
	if (fired)
		kvm_lapic_restart_timer(apic);
}

void kvm_lazy_tscdeadline_mask(struct kvm_lapic *apic)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	unsigned long flags;
	bool fired;

	raw_spin_lock_irqsave(&lazy->lock, flags);
	fired = kvm_lazy_withdraw_fired(apic, kvm_lazy_area(lazy), LAZYTSC_WITHDRAW_MASK);
	raw_spin_unlock_irqrestore(&lazy->lock, flags);
	if (fired)
		kvm_lapic_restart_timer(apic);
}

static void kvm_lazy_flush_vcpu(struct kvm_lapic *apic, struct kvm_memory_slot *slot)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	unsigned long flags;
	gfn_t gfn;

	gfn = gpa_to_gfn(READ_ONCE(lazy->msr_val));
	if (gfn < slot->base_gfn || gfn - slot->base_gfn >= slot->npages)
		return;

	raw_spin_lock_irqsave(&lazy->lock, flags);
	kvm_lazy_withdraw(apic, kvm_lazy_area(lazy), LAZYTSC_WITHDRAW_MEMSLOT);
	raw_spin_unlock_irqrestore(&lazy->lock, flags);
}

/*
 * From here on kvm_lazy_enter() finds no page, so no new promise is published; every section that
 * was entered before has ended with its SRCU section. The hardware timer is left alone, as in
 * kvm_lazy_invalidate().
 */
void kvm_lazy_tscdeadline_flush_memslot(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	if (slot->as_id)
		return;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		if (lapic_in_kernel(vcpu) && kvm_lazy_tscdeadline_enabled(&vcpu->arch.apic->lazy))
			kvm_lazy_flush_vcpu(vcpu->arch.apic, slot);
	}
}

bool kvm_lazy_tscdeadline_write(struct kvm_lapic *apic, u64 data, bool host_initiated, bool atomic,
				u64 *inject)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	struct lazytsc_decision d;
	u64 now, guess = 0;
	struct kvm_lazy_section s;

	if (atomic) {
		kvm_lazy_enter(apic, &s);
		if (!s.area) {
			kvm_lazy_leave(apic, &s);
			return false;
		}
	} else {
		kvm_lazy_enter_thread(apic, &s);
	}

	now = kvm_l1_tsc_at_entry(apic->vcpu);
	if (host_initiated) {
		d = lazytsc_host_restore(&lazy->host, data);
	} else {
		if (lazy_tscdeadline_early)
			guess = lazytsc_predictor_write(&lazy->predictor, &lazy->host, s.area, data,
							now);
		d = lazytsc_host_write(&lazy->host, s.area, data, now, guess);
	}
	kvm_lazy_published(apic);
	kvm_lazy_set_timer(apic, d.timer);
	lazy->punctual = true;
	lazy->restored = host_initiated;
	kvm_lazy_leave(apic, &s);

	*inject = d.inject;
	return true;
}

u64 kvm_lazy_tscdeadline_read(struct kvm_lapic *apic)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	unsigned long flags;
	u64 deadline;

	raw_spin_lock_irqsave(&lazy->lock, flags);
	deadline = lazytsc_host_deadline(&lazy->host, kvm_lazy_area(lazy));
	raw_spin_unlock_irqrestore(&lazy->lock, flags);
	return deadline;
}

static void kvm_lazy_count_silent(struct kvm_lapic *apic, u64 fired, bool blocked, bool look)
{
	if (look)
		++apic->vcpu->stat.lazy_tscdeadline_look;
	else if (blocked)
		++apic->vcpu->stat.lazy_tscdeadline_silent_blocked;
	else
		++apic->vcpu->stat.lazy_tscdeadline_silent;
	if (!look)
		trace_kvm_lazy_tscdeadline_silent(apic->vcpu->vcpu_id, fired,
						  apic->lazy.host.timer, blocked);
	kvm_lazy_published(apic);
}

static enum kvm_lazy_action kvm_lazy_decide(struct kvm_lapic *apic, struct lazytsc_expiry *e,
					    bool from_timer_fn)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	struct lazytsc_area *area = kvm_lazy_area(lazy);
	struct kvm_timer *ktimer = &apic->lapic_timer;
	u64 fired = lazy->blocked ? ktimer->tscdeadline : lazy->host.timer;
	struct lazytsc_decision d;

	if (lazy_tscdeadline_early)
		e->guess = lazytsc_predictor_expire(&lazy->predictor, &lazy->host, area, e);
	d = lazytsc_host_expire(&lazy->host, area, e);
	lazy->punctual = d.inject == fired && !lazy->undecided;
	lazy->undecided = false;
	WRITE_ONCE(ktimer->tscdeadline, d.timer);
	if (d.inject) {
		ktimer->expired_tscdeadline = d.inject;
		/* The timer for a guess is armed when the interrupt is delivered. */
		kvm_lazy_published(apic);
		return KVM_LAZY_INJECT;
	}

	kvm_lazy_count_silent(apic, fired, e->blocked, e->look);
	if (d.timer && !d.thread && from_timer_fn)
		return KVM_LAZY_REARM;
	if (d.thread)
		lazy->left = true;
	else if (d.timer)
		lazy->again = true;
	return KVM_LAZY_NOTHING;
}

/*
 * The CPU on which an expiry is decided matters only because of the timer advance: the timer fires
 * that early, and the guest must not run until the deadline. On the vCPU's own CPU the expiry was
 * an exit, and kvm_wait_lapic_expire() keeps the guest out, as for an expiry in the vCPU's thread.
 * On another CPU a lazy timer that is due within the advance is left to the vCPU's thread, which
 * must be woken for the interrupt anyway. A plain timer is decided there, because the guest cannot
 * move it without an exit.
 */
enum kvm_lazy_action kvm_lazy_tscdeadline_expire(struct kvm_lapic *apic, bool from_timer_fn)
{
	struct kvm_vcpu *vcpu = apic->vcpu;
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	bool remote = from_timer_fn && kvm_get_running_vcpu() != vcpu;
	struct lazytsc_expiry e = {
		.context = LAZYTSC_VCPU,
		.wait = nsec_to_cycles(vcpu, apic->lapic_timer.timer_advance_ns),
		.blocked = READ_ONCE(vcpu->arch.mp_state) == KVM_MP_STATE_HALTED,
		.nearest = nsec_to_cycles(vcpu, min_timer_period_us * NSEC_PER_USEC),
	};
	enum kvm_lazy_action action = KVM_LAZY_NOTHING;
	bool undecided = false, thread;
	unsigned long flags;

	raw_spin_lock_irqsave(&lazy->lock, flags);
	e.now = kvm_l1_tsc_at_entry(vcpu);
	e.look = lazy->look && !from_timer_fn;
	if (lazy->host.lazy && remote) {
		u64 wanted = lazytsc_host_deadline(&lazy->host, lazy->area);

		e.context = LAZYTSC_REMOTE;
		undecided = wanted > e.now && wanted - e.now <= e.wait;
	}
	if (undecided)
		lazy->undecided = true;
	else
		action = kvm_lazy_decide(apic, &e, from_timer_fn);
	thread = undecided || lazy->left;
	raw_spin_unlock_irqrestore(&lazy->lock, flags);

	if (thread) {
		++vcpu->stat.lazy_tscdeadline_left;
		kvm_make_request(KVM_REQ_UNBLOCK, vcpu);
		if (from_timer_fn)
			kvm_vcpu_kick(vcpu);
	}
	return action;
}

/* Called in the hrtimer callback, with interrupts off. */
ktime_t kvm_lazy_tscdeadline_expires(struct kvm_lapic *apic)
{
	u64 deadline = READ_ONCE(apic->lapic_timer.tscdeadline);
	u64 now = kvm_l1_tsc_at_entry(apic->vcpu);
	u64 ns = deadline > now ? deadline - now : 0;

	/* The conversion must not overflow: a timer for a far deadline fires early (A8). */
	ns = min(ns, U64_MAX / USEC_PER_SEC) * USEC_PER_SEC;
	do_div(ns, apic->vcpu->arch.virtual_tsc_khz);
	return ktime_sub_ns(ktime_add_ns(ktime_get(), ns), apic->lapic_timer.timer_advance_ns);
}

void kvm_lazy_tscdeadline_set_again(struct kvm_lapic *apic)
{
	apic->lazy.again = true;
}

/*
 * In the vCPU's thread or its preempt notifier: must the timer be started again? After
 * KVM_LAZY_TRIES deadlines in a row that had passed when they were armed, the answer is no, and
 * vcpu_run() goes on with the expiry.
 */
bool kvm_lazy_tscdeadline_again(struct kvm_lapic *apic, int *tries)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;

	if (!lazy->again)
		return false;

	lazy->again = false;
	if (++*tries < KVM_LAZY_TRIES)
		return true;

	lazy->undecided = true;
	kvm_make_request(KVM_REQ_UNBLOCK, apic->vcpu);
	return false;
}

/*
 * Before the hrtimer is stopped it may fire still, and decide: then the timer that this starts is
 * the one of that decision.
 */
bool kvm_lazy_tscdeadline_block(struct kvm_lapic *apic)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	unsigned long flags;
	u64 timer;

	raw_spin_lock_irqsave(&lazy->lock, flags);
	timer = lazytsc_host_blocked(&lazy->host, kvm_lazy_area(lazy));
	/* A withdrawal may have left the hardware timer earlier than the core's. */
	lazy->blocked = kvm_lazy_managed(apic) && timer != apic->lapic_timer.tscdeadline;
	if (lazy->blocked)
		WRITE_ONCE(apic->lapic_timer.tscdeadline, timer);
	raw_spin_unlock_irqrestore(&lazy->lock, flags);

	if (lazy->blocked)
		hrtimer_cancel(&apic->lapic_timer.timer);
	return lazy->blocked;
}

bool kvm_lazy_tscdeadline_unblock(struct kvm_lapic *apic)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	unsigned long flags;

	if (!lazy->blocked)
		return false;

	hrtimer_cancel(&apic->lapic_timer.timer);
	raw_spin_lock_irqsave(&lazy->lock, flags);
	lazy->blocked = false;
	lazy->look = true;
	WRITE_ONCE(apic->lapic_timer.tscdeadline, lazy->host.timer);
	raw_spin_unlock_irqrestore(&lazy->lock, flags);
	return true;
}

void kvm_lazy_tscdeadline_unblocked(struct kvm_lapic *apic)
{
	apic->lazy.look = false;
}

bool kvm_lazy_tscdeadline_settle(const struct kvm_lapic *apic)
{
	return READ_ONCE(apic->lazy.undecided);
}

u64 kvm_lazy_tscdeadline_delivered(struct kvm_lapic *apic)
{
	unsigned long flags;
	u64 timer;

	raw_spin_lock_irqsave(&apic->lazy.lock, flags);
	lazytsc_host_delivered(&apic->lazy.host);
	timer = apic->lazy.host.timer;
	raw_spin_unlock_irqrestore(&apic->lazy.lock, flags);
	return timer;
}

void kvm_lazy_tscdeadline_cancel(struct kvm_lapic *apic)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	unsigned long flags;

	raw_spin_lock_irqsave(&lazy->lock, flags);
	lazytsc_host_cancel(&lazy->host, kvm_lazy_area(lazy));
	kvm_lazy_set_timer(apic, 0);
	raw_spin_unlock_irqrestore(&lazy->lock, flags);
}

/* KVM_SET_LAPIC drops lapic_timer.pending: the interrupt that was decided becomes a timer again. */
void kvm_lazy_tscdeadline_requeue(struct kvm_lapic *apic)
{
	struct kvm_lazy_tscdeadline *lazy = &apic->lazy;
	unsigned long flags;
	u64 deadline;

	raw_spin_lock_irqsave(&lazy->lock, flags);
	lazy->restored = true;
	if (kvm_lazy_managed(apic)) {
		deadline = lazytsc_host_deadline(&lazy->host, kvm_lazy_area(lazy));
		kvm_lazy_set_timer(apic, lazytsc_host_restore(&lazy->host, deadline).timer);
	}
	raw_spin_unlock_irqrestore(&lazy->lock, flags);
}
