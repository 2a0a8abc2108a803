/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * KVM host side of the lazy TSC deadline: what lapic.c and x86.c call.
 *
 * While the guest has the feature enabled and its APIC timer is in TSC-deadline mode, struct
 * lazytsc_host knows what is wanted, and kvm_timer.tscdeadline is only when the hardware timer (hv
 * timer or hrtimer) shall fire: never later than lazytsc_host.timer.
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
	/* Where armed stands published, while host.lazy. Mapped as long as that. */
	struct lazytsc_area *area;
	/* What the guest, or user space, wrote to LAZYTSC_MSR; 0: not enabled. */
	u64 msr_val;
	/* The timer fired where nothing could be decided: kvm_lapic_settle_timer() will. */
	bool undecided;
	/* An expiry on another CPU was silent: kvm_lapic_settle_timer() starts the timer. */
	bool left;
	/* An expiry in the vCPU's thread was silent: the timer must be started again. */
	bool again;
	/* The TSC was changed since the timer was computed. */
	bool retime;
	/* User space has written timer state since the vCPU last ran. */
	bool restored;
	/* The deadline injected last is the one that the hardware timer was armed for. */
	bool punctual;
};

static inline bool kvm_lazy_tscdeadline_enabled(const struct kvm_lazy_tscdeadline *lazy)
{
	return READ_ONCE(lazy->msr_val);
}

/* May the expiry that is waited for feed the timer advance? */
static inline bool kvm_lazy_tscdeadline_punctual(const struct kvm_lazy_tscdeadline *lazy)
{
	return !kvm_lazy_tscdeadline_enabled(lazy) || lazy->punctual;
}

bool kvm_lazy_tscdeadline_offered(void);
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
 * Everything below is called only where kvm_lazy_tscdeadline_offered() or _enabled() is true, so
 * that no call is left without CONFIG_KVM_LAZY_TSCDEADLINE.
 */

enum kvm_lazy_action {
	KVM_LAZY_NOTHING,	/* no interrupt; the timer stays stopped, or `again` is set */
	KVM_LAZY_REARM,		/* no interrupt; the hrtimer callback restarts its timer */
	KVM_LAZY_INJECT,	/* the interrupt for kvm_timer.expired_tscdeadline is due */
};

/* The guest's MSR, and what switches it off. vCPU thread. */
int kvm_lazy_tscdeadline_set_msr(struct kvm_vcpu *vcpu, u64 data, bool host_initiated);
void kvm_lazy_tscdeadline_disable(struct kvm_lapic *apic);

/*
 * The vCPU thread enters KVM_RUN, and returns to user space. The first returns whether the timer
 * must be started.
 */
bool kvm_lazy_tscdeadline_restored(const struct kvm_lapic *apic);
bool kvm_lazy_tscdeadline_run(struct kvm_lapic *apic);
void kvm_lazy_tscdeadline_put(struct kvm_lapic *apic);

/* The guest's TSC is another one from now on: any context, the vCPU is not in the guest. */
void kvm_lazy_tscdeadline_time_changed(struct kvm_lapic *apic);
u64 kvm_l1_tsc_at_entry(struct kvm_vcpu *vcpu); /* x86.c */
bool kvm_lazy_tscdeadline_start(struct kvm_lapic *apic);

/* A memslot goes away: any thread, no vCPU can look its gfns up any more. */
void kvm_lazy_tscdeadline_flush_memslot(struct kvm *kvm, struct kvm_memory_slot *slot);

/*
 * MSR_IA32_TSC_DEADLINE. A write fails, without effect, where the page is out of reach and
 * @atomic forbids to look for it; else kvm_timer.tscdeadline is what to run, @inject what is due.
 */
bool kvm_lazy_tscdeadline_write(struct kvm_lapic *apic, u64 data, bool host_initiated, bool atomic,
				u64 *inject);
u64 kvm_lazy_tscdeadline_read(struct kvm_lapic *apic);

/* The hardware timer fired. Any context with preemption off. */
enum kvm_lazy_action kvm_lazy_tscdeadline_expire(struct kvm_lapic *apic, bool from_timer_fn);
ktime_t kvm_lazy_tscdeadline_expires(struct kvm_lapic *apic);
void kvm_lazy_tscdeadline_set_again(struct kvm_lapic *apic);
bool kvm_lazy_tscdeadline_again(struct kvm_lapic *apic, int *tries);
bool kvm_lazy_tscdeadline_settle(const struct kvm_lapic *apic);

/* The interrupt is in the LAPIC. Returns what kvm_timer.tscdeadline is from now on. */
u64 kvm_lazy_tscdeadline_delivered(struct kvm_lapic *apic);

/* The rest of the LAPIC. vCPU thread. */
void kvm_lazy_tscdeadline_mask(struct kvm_lapic *apic);
void kvm_lazy_tscdeadline_cancel(struct kvm_lapic *apic);
void kvm_lazy_tscdeadline_requeue(struct kvm_lapic *apic);

#endif
