/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * KVM host side of the lazy TSC deadline: what lapic.c and x86.c call.
 *
 * While the guest has the feature enabled and its APIC timer is in TSC-deadline mode, struct
 * lazytsc_host holds the wanted deadline. kvm_timer.tscdeadline is then only the time at which the
 * hardware timer (hv timer or hrtimer) shall fire. While the vCPU is blocked it may be later than
 * lazytsc_host.timer, and never at any other time.
 */
#ifndef __KVM_X86_LAZY_TSCDEADLINE_H
#define __KVM_X86_LAZY_TSCDEADLINE_H

#include <linux/kvm_host.h>

struct kvm_lapic;

#ifdef CONFIG_KVM_LAZY_TSCDEADLINE

#include <lazytsc/host.h>
#include <lazytsc/predictor.h>

struct kvm_lazy_tscdeadline {
	/*
	 * Serialises the calls into the core: vCPU thread, preempt notifier (which can interrupt
	 * the thread anywhere), hrtimer callback, MMU notifier, memslot update. Nests inside
	 * gpc.lock.
	 */
	raw_spinlock_t lock;
	struct lazytsc_host host;
	struct lazytsc_predictor predictor;
	struct gfn_to_pfn_cache gpc;
	/* While host.lazy is set: the area in which armed is published. It is mapped then. */
	struct lazytsc_area *area;
	/* What the guest, or user space, wrote to LAZYTSC_MSR; 0: not enabled. */
	u64 msr_val;
	/* An expiry is still to be decided, by kvm_lapic_settle_timer(). */
	bool undecided;
	/* An expiry on another CPU was silent: kvm_lapic_settle_timer() starts the timer. */
	bool left;
	/* An expiry in the vCPU's thread was silent: the timer must be started again. */
	bool again;
	/* The TSC was changed since the hardware timer was computed. */
	bool retime;
	/* User space has written timer state since the vCPU last ran. */
	bool restored;
	/* done in the page is stale: the page was out of reach when the vCPU came to rest (B26). */
	bool stale;
	/* The vCPU is blocked, and the hardware timer stands where its guest wants it (B29). */
	bool blocked;
	/* The vCPU's thread goes on: an expiry that it decides is a free look. */
	bool look;
	/* The deadline injected last is the one that the hardware timer was armed for. */
	bool punctual;
};

static inline bool kvm_lazy_tscdeadline_enabled(const struct kvm_lazy_tscdeadline *lazy)
{
	return READ_ONCE(lazy->msr_val);
}

/* May the wait for this expiry adjust the timer advance? Only if the timer was armed for it. */
static inline bool kvm_lazy_tscdeadline_punctual(const struct kvm_lazy_tscdeadline *lazy)
{
	return !kvm_lazy_tscdeadline_enabled(lazy) || lazy->punctual;
}

/* Does this host offer the feature to guests? */
bool kvm_lazy_tscdeadline_offered(void);

/* Set up, and release, what each LAPIC needs. With the LAPIC itself. */
void kvm_lazy_tscdeadline_create(struct kvm_lapic *apic);
void kvm_lazy_tscdeadline_destroy(struct kvm_lapic *apic);

#else

struct kvm_lazy_tscdeadline {
};

static inline bool kvm_lazy_tscdeadline_enabled(const struct kvm_lazy_tscdeadline *lazy)
{
	return false;
}

static inline bool kvm_lazy_tscdeadline_punctual(const struct kvm_lazy_tscdeadline *lazy)
{
	return true;
}

static inline bool kvm_lazy_tscdeadline_offered(void)
{
	return false;
}

static inline void kvm_lazy_tscdeadline_create(struct kvm_lapic *apic) { }
static inline void kvm_lazy_tscdeadline_destroy(struct kvm_lapic *apic) { }

#endif

/*
 * All callers of the functions below test kvm_lazy_tscdeadline_offered() or _enabled() first, so
 * the compiler drops the calls without CONFIG_KVM_LAZY_TSCDEADLINE.
 */

enum kvm_lazy_action {
	KVM_LAZY_NOTHING,	/* no interrupt; the timer stays stopped, or `again` is set */
	KVM_LAZY_REARM,		/* no interrupt; the hrtimer callback restarts its timer */
	KVM_LAZY_INJECT,	/* the interrupt for kvm_timer.expired_tscdeadline is due */
};

/* Serve a write of LAZYTSC_MSR; returns 1 if it is refused. vCPU thread. */
int kvm_lazy_tscdeadline_set_msr(struct kvm_vcpu *vcpu, u64 data, bool host_initiated);

/* What LAZYTSC_MSR reads, by the guest or by user space. vCPU thread. */
u64 kvm_lazy_tscdeadline_get_msr(struct kvm_vcpu *vcpu, bool host_initiated);

/* Switch the feature off; the wanted deadline becomes a stock one. vCPU thread. */
void kvm_lazy_tscdeadline_disable(struct kvm_lapic *apic);

/* Has user space restored timer state since the vCPU last ran? */
bool kvm_lazy_tscdeadline_restored(const struct kvm_lapic *apic);

/* The vCPU thread enters KVM_RUN: publish. Returns whether the timer must be started. */
bool kvm_lazy_tscdeadline_run(struct kvm_lapic *apic);

/* The vCPU thread returns to user space: withdraw, and mark the page dirty. */
void kvm_lazy_tscdeadline_put(struct kvm_lapic *apic);

/* The guest's TSC was changed. Any context; the vCPU is not in the guest. */
void kvm_lazy_tscdeadline_time_changed(struct kvm_lapic *apic);

/* The guest's (L1's) TSC as the vCPU will find it at its next entry. In x86.c. */
u64 kvm_l1_tsc_at_entry(struct kvm_vcpu *vcpu);

/* Returns whether the vCPU's thread, which calls, must start the timer. */
bool kvm_lazy_tscdeadline_start(struct kvm_lapic *apic);

/* A memslot goes away: withdraw. Any thread; no vCPU can look the slot's gfns up any more. */
void kvm_lazy_tscdeadline_flush_memslot(struct kvm *kvm, struct kvm_memory_slot *slot);

/*
 * Serve a write of MSR_IA32_TSC_DEADLINE. Returns false, without effect, if the page must be looked
 * up and @atomic forbids it. Else kvm_timer.tscdeadline is the timer to start, and @inject the
 * deadline whose interrupt is due (0: none).
 */
bool kvm_lazy_tscdeadline_write(struct kvm_lapic *apic, u64 data, bool host_initiated, bool atomic,
				u64 *inject);

/* What MSR_IA32_TSC_DEADLINE reads: the effective deadline. */
u64 kvm_lazy_tscdeadline_read(struct kvm_lapic *apic);

/* The hardware timer fired: decide. Any context with preemption off. */
enum kvm_lazy_action kvm_lazy_tscdeadline_expire(struct kvm_lapic *apic, bool from_timer_fn);

/* For KVM_LAZY_REARM: when the hrtimer must fire. */
ktime_t kvm_lazy_tscdeadline_expires(struct kvm_lapic *apic);

/* Note that the timer must be started again; ask whether it must, in the vCPU's thread. */
void kvm_lazy_tscdeadline_set_again(struct kvm_lapic *apic);
bool kvm_lazy_tscdeadline_again(struct kvm_lapic *apic, int *tries);

/*
 * The vCPU's thread is about to block. Returns whether it must start the hrtimer anew, for the
 * deadline that the guest wants; the hrtimer is stopped then.
 */
bool kvm_lazy_tscdeadline_block(struct kvm_lapic *apic);

/*
 * It goes on. Returns whether it must start the timer anew, where it stood before; then it calls
 * kvm_lazy_tscdeadline_unblocked().
 */
bool kvm_lazy_tscdeadline_unblock(struct kvm_lapic *apic);
void kvm_lazy_tscdeadline_unblocked(struct kvm_lapic *apic);

/* Must the vCPU's thread decide an expiry that was left undecided? */
bool kvm_lazy_tscdeadline_settle(const struct kvm_lapic *apic);

/* The interrupt is in the LAPIC. Returns the new kvm_timer.tscdeadline. */
u64 kvm_lazy_tscdeadline_delivered(struct kvm_lapic *apic);

/* The timer was masked: withdraw. vCPU thread. */
void kvm_lazy_tscdeadline_mask(struct kvm_lapic *apic);

/* The timer left deadline mode, or the LAPIC was reset: nothing is wanted. vCPU thread. */
void kvm_lazy_tscdeadline_cancel(struct kvm_lapic *apic);

/* KVM_SET_LAPIC: an interrupt that was decided becomes a timer again. vCPU thread. */
void kvm_lazy_tscdeadline_requeue(struct kvm_lapic *apic);

#endif
