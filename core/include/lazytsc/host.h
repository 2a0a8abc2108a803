/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host's side: it decides, the caller acts.
 *
 * A vCPU has one host timer. It is either
 *
 *   none    no timer runs, armed is 0
 *   plain   a stock TSC deadline: armed is published as 0, and pending does not count
 *   lazy    armed is published, and the host looks at pending when the timer fires
 *
 * Every function returns what the timer must be from now on and whether to inject (struct
 * lazytsc_decision); arming hrtimers and setting IRR bits is the caller's. The host trusts nothing
 * that it reads in guest memory: it compares with its own copy of what it published, reads pending
 * once for each decision, and never reads armed (B11).
 *
 * Synchronisation. The caller serialises the calls for one struct lazytsc_host (in KVM: by
 * kvm_lazy_tscdeadline.lock), and orders them as a lock does: the next call sees what this one
 * stored, also in the area, on whichever CPU it runs. Against the guest:
 *
 *                          guest running?   armed                   pending
 *   guest set, disarm      yes, it is it    load after barrier      store before barrier
 *   host_write             no (exit)        store                   load
 *   host_expire            maybe (remote)   store before barrier    load after barrier
 *   host_withdraw          maybe            store before barrier    load after barrier
 *   host_recover           no               -                       load
 *   host_resume            no               store                   load
 *   host_cancel, _enable   no               store                   -
 *   host_blocked           no               -                       load
 *   host_deadline          maybe            -                       load
 *
 * "remote" is a decision on another CPU while the vCPU may be in guest mode (an hrtimer on a
 * housekeeping CPU). "no" means that an exit has drained the vCPU's stores and that it stays out
 * of guest mode until the call returns; this is called vCPU context below.
 *
 * Where a function takes an area, NULL says that the feature is off for this vCPU or that its page
 * is out of reach. All times are guest TSC; 0 stands for none.
 */
#ifndef LAZYTSC_HOST_H
#define LAZYTSC_HOST_H

#include <lazytsc/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why a lazy timer was made a plain one. */
enum lazytsc_withdraw_reason {
	LAZYTSC_WITHDRAW_USERSPACE, /* the vCPU thread returns to user space (B17) */
	LAZYTSC_WITHDRAW_MASK, /* the timer's LVT entry was masked (B8) */
	LAZYTSC_WITHDRAW_DISABLE, /* the guest or user space switched the feature off */
	LAZYTSC_WITHDRAW_MEMSLOT, /* the page moves or goes away (B18) */
	LAZYTSC_WITHDRAW_TIME, /* the guest's TSC changes or has changed (B19) */
	LAZYTSC_WITHDRAW_REASONS
};

/* Where an expiry is decided. */
enum lazytsc_context {
	LAZYTSC_VCPU, /* after an exit, or in the blocked vCPU's thread: the guest is stopped */
	LAZYTSC_REMOTE /* on another CPU: the guest may be running */
};

struct lazytsc_host_stats {
	u64 traps; /* guest writes of the MSR that exited */
	u64 injections; /* interrupts decided */
	u64 silent_running; /* silent expiries while the vCPU was not blocked */
	u64 silent_blocked; /* silent expiries while it was blocked in HLT */
	u64 looks; /* free looks that injected nothing (B29) */
	u64 left; /* of the silent expiries: re-arms left to the vCPU's thread (B25) */
	u64 recovered; /* deadlines found in pending after a restore (B26) */
	u64 withdrawals[LAZYTSC_WITHDRAW_REASONS];
};

struct lazytsc_host {
	u64 timer; /* when the host timer must fire; 0: none. The caller may read it. */
	bool lazy; /* the timer is lazy, and `timer` is what armed was last published as */
	bool unpaid; /* silently re-armed on another CPU, and the vCPU's thread has not run since */
	u64 wanted; /* lazy: the deadline last seen in pending; 0: the timer stands for a guess */
	u64 inflight; /* the deadline of an injection decided but not delivered; 0: none */
	struct lazytsc_host_stats stats;
};

/* What the caller does now. */
struct lazytsc_decision {
	/*
	 * Arm the host timer here, in place of any other; 0: stop it. May lie in the past: then it
	 * fires at once, and the caller bounds how often that repeats.
	 */
	u64 timer;
	/*
	 * Not 0: the timer interrupt for this deadline is due. If the deadline is still ahead
	 * (never on another CPU), keep the guest stopped until then. Say lazytsc_host_delivered()
	 * when the interrupt is in the LAPIC.
	 */
	u64 inject;
	/*
	 * Only from lazytsc_host_expire() on another CPU: do not start the timer there, but kick
	 * the vCPU's thread, which starts it. A vCPU that was halted stays halted (B25).
	 */
	bool thread;
};

enum lazytsc_msr_verdict {
	LAZYTSC_MSR_SWITCH_ON, /* acceptable: enable */
	LAZYTSC_MSR_SWITCH_OFF, /* acceptable: 0, disable */
	LAZYTSC_MSR_BAD_RESERVED, /* reserved bits, or an address without the enable bit: #GP */
	LAZYTSC_MSR_BAD_ADDRESS /* beyond the guest's physical address space: #GP */
};

/**
 * lazytsc_host_check_msr() - is this word acceptable in LAZYTSC_MSR?
 * @word:    what the guest, or user space, writes
 * @gpa_end: the first address beyond the guest's physical address space (1 << MAXPHYADDR)
 *
 * An acceptable address is aligned to LAZYTSC_AREA_SIZE, so the area lies in one page. The caller
 * must find out whether there is memory. Any context.
 *
 * Return: what the word asks for, or why it is refused.
 * Source: requirement B11.
 */
enum lazytsc_msr_verdict lazytsc_host_check_msr(u64 word, u64 gpa_end);

/**
 * lazytsc_host_enable() - the guest has given its area
 * @h:    the vCPU's host side; zeroed when the vCPU was created
 * @area: the guest's area
 *
 * Publishes armed = 0. A plain timer that runs stays as it is. The caller must have withdrawn a
 * lazy timer on a former area. Context: vCPU context.
 */
void lazytsc_host_enable(struct lazytsc_host *h, struct lazytsc_area *area);

/**
 * lazytsc_host_write() - a guest write of MSR_IA32_TSC_DEADLINE exited
 * @h:     the vCPU's host side
 * @area:  its area, or NULL
 * @v:     the value written; it is the wanted deadline, whatever pending holds (B7)
 * @now:   guest TSC, read after the exit
 * @guess: when to look next although no deadline needs it, or 0; used if it lies ahead of @now and,
 *         where @v is ahead, before @v
 *
 * If an injection was decided and is not delivered yet, this write replaces its deadline, and the
 * caller drops the injection. The same holds for lazytsc_host_cancel() and _restore().
 *
 * Context: vCPU context.
 * Return: the timer to arm, and the deadline to inject now, if any.
 * Source: requirements A1, A2, A4, A5, B7, B9.
 */
struct lazytsc_decision lazytsc_host_write(struct lazytsc_host *h, struct lazytsc_area *area, u64 v,
					   u64 now, u64 guess);

/* When and how a host timer fired. */
struct lazytsc_expiry {
	enum lazytsc_context context;
	u64 now; /* guest TSC, read before the call */
	u64 wait; /* how long the caller can keep the guest stopped; LAZYTSC_REMOTE ignores it */
	u64 guess; /* when to look next although no deadline needs it, or 0 */
	bool blocked; /* the vCPU is blocked in HLT; only counted */
	/*
	 * Only for LAZYTSC_VCPU: a free look. No timer fired, the vCPU was stopped for another
	 * reason. What is not injected is counted as a look and not as a silent expiry.
	 */
	bool look;
	/*
	 * Only for LAZYTSC_REMOTE: the least distance, in guest TSC cycles, at which the timer may
	 * be re-armed silently when it was so before and the vCPU's thread has not run since; 0: no
	 * bound. A nearer re-arm is left to that thread (lazytsc_decision.thread). KVM passes what
	 * it allows a periodic timer, min_timer_period_us = 200.
	 */
	u64 nearest;
};

/**
 * lazytsc_host_expire() - the host timer fired
 * @h:    the vCPU's host side
 * @area: its area; NULL only when the timer is not lazy. A caller that cannot reach the page now
 *        does not call: it decides later, in vCPU context.
 * @e:    when and how
 *
 * A free look (@e->look) is the same decision at another moment: the caller may make it whenever
 * the vCPU is stopped, and must make it before the vCPU is entered if a blocked vCPU's timer was
 * left to lazytsc_host_blocked() and h->timer has passed since (B29).
 *
 * The timer may fire in advance of h->timer by up to @e->wait in vCPU context. On another CPU it
 * must not fire in advance: nothing could be decided, and the same timer would be armed again. A
 * guess at or before the fired timer, or at or before now + wait, is dropped: when an injection is
 * decided, every published armed must lie beyond its deadline. A call after the timer was stopped
 * decides nothing.
 *
 * Return: the deadline to inject, if any, the timer to arm, and who starts it.
 * Source: requirements A3, A6, A7, B4, B5, B6, B10, B12, B25.
 */
struct lazytsc_decision lazytsc_host_expire(struct lazytsc_host *h, struct lazytsc_area *area,
					    const struct lazytsc_expiry *e);

/**
 * lazytsc_host_delivered() - the interrupt that was decided is in the LAPIC now
 * @h: the vCPU's host side
 *
 * Until then the deadline reads as set. Context: as for every call.
 * Source: requirements A3, A16.
 */
void lazytsc_host_delivered(struct lazytsc_host *h);

/**
 * lazytsc_host_withdraw() - take the promise back, keep the deadline
 * @h:      the vCPU's host side
 * @area:   its area; NULL if the page is gone already: the host then keeps the deadline that it
 *          last saw in pending, and what the guest has stored since is lost with the page
 * @reason: for the counters
 *
 * A lazy timer becomes a plain one at the deadline that the guest wants, or ends. The caller arms
 * the returned timer, and marks the page dirty. Any context, on any timer.
 *
 * LAZYTSC_WITHDRAW_USERSPACE is for vCPU context, and is due on every return to user space,
 * whatever the timer is: it also stores `done` in the area, for lazytsc_host_recover().
 *
 * After LAZYTSC_WITHDRAW_TIME the caller computes its hardware timer anew, and calls
 * lazytsc_host_resume() with the new time. A deadline that is past by then fires at once (A2). The
 * call may come after the change, as long as the guest has not run in between. In between, other
 * CPUs may decide by either time.
 *
 * Return: the plain timer to arm, if any.
 * Source: requirements B8, B17, B18, B19, B26.
 */
struct lazytsc_decision lazytsc_host_withdraw(struct lazytsc_host *h, struct lazytsc_area *area,
					      enum lazytsc_withdraw_reason reason);

/**
 * lazytsc_host_recover() - before the first entry after a restore: arm a deadline that was lost
 * @h:    the vCPU's host side
 * @area: its area, or NULL
 *
 * Call this before lazytsc_host_resume() if user space has written LAPIC, TSC,
 * MSR_IA32_TSC_DEADLINE or LAZYTSC_MSR since the vCPU last ran, and at no other time. A VMM that
 * restores them in an order in which KVM drops some, or leaves one out, loses the deadline in the
 * MSR; the guest's memory still holds it. If no timer runs, no injection is under way, and pending
 * is neither 0 nor `done`, the deadline in pending becomes a plain timer. The caller arms the
 * returned timer; in the past it fires at once. Where the page was out of reach when the vCPU came
 * to rest, `done` is stale: then do not call this (LAZYTSC_MSR_STALE). Context: vCPU context.
 *
 * Return: the timer to arm, if any.
 * Source: requirement B26.
 */
struct lazytsc_decision lazytsc_host_recover(struct lazytsc_host *h,
					     const struct lazytsc_area *area);

/**
 * lazytsc_host_resume() - publish again, before the vCPU enters guest mode
 * @h:    the vCPU's host side
 * @area: its area, or NULL
 * @now:  guest TSC
 *
 * A plain timer for a deadline that pending holds becomes a lazy one, and stays armed as it is. In
 * every other case armed is published as 0, which also repairs an area that a restore brought back.
 * Context: vCPU context.
 *
 * Source: requirement B17.
 */
void lazytsc_host_resume(struct lazytsc_host *h, struct lazytsc_area *area, u64 now);

/**
 * lazytsc_host_cancel() - nothing is wanted any more: mode change, INIT, RESET
 * @h:    the vCPU's host side
 * @area: its area, or NULL (also when the page is gone)
 *
 * Stops the timer, and drops an injection that is not delivered. Context: vCPU context.
 *
 * Return: no timer, and nothing to inject.
 * Source: requirements A4, A11, A17, B8.
 */
struct lazytsc_decision lazytsc_host_cancel(struct lazytsc_host *h, struct lazytsc_area *area);

/**
 * lazytsc_host_restore() - user space writes MSR_IA32_TSC_DEADLINE
 * @h: the vCPU's host side; its timer is not lazy, as always while the vCPU is in user space
 * @v: the value
 *
 * The value is authoritative, whatever pending holds (B17), and may be restored before or after
 * LAZYTSC_MSR. A deadline in the past fires at once, by the timer. If a timer expired in user space
 * and its injection is not delivered yet, the injection is forgotten: a vCPU that is reverted to a
 * snapshot has the deadline of the snapshot and no other (B14).
 *
 * Context: vCPU context, in user space.
 * Return: the timer to arm, if any.
 */
struct lazytsc_decision lazytsc_host_restore(struct lazytsc_host *h, u64 v);

/**
 * lazytsc_host_blocked() - where the host timer may stand while the vCPU is blocked in HLT
 * @h:    the vCPU's host side
 * @area: its area; NULL only when the timer is not lazy
 *
 * A blocked guest stores nothing, so nobody needs a look before the deadline that it has left in
 * pending. What is published stays as it is. The caller may start its timer here in place of
 * h->timer from the moment on at which the vCPU's thread has decided to block. When that thread
 * goes on, and before the guest is entered, the caller looks (lazytsc_expiry.look) if h->timer has
 * passed, and else starts its timer at h->timer again. A decision that is made in between returns
 * the timer to arm as ever. Another vCPU that stores into this area delays its own guest's
 * interrupt until then; no other harm comes of it.
 *
 * Context: vCPU context.
 * Return: never before h->timer; 0: no timer is needed.
 * Source: requirement B29.
 */
u64 lazytsc_host_blocked(const struct lazytsc_host *h, const struct lazytsc_area *area);

/**
 * lazytsc_host_deadline() - what RDMSR(0x6e0) reads, and what user space saves
 * @h:    the vCPU's host side
 * @area: its area; NULL only when the timer is not lazy
 *
 * Return: the deadline that the guest wants and that is not delivered; never a guess. 0: none.
 * Context: as for every call.
 * Source: requirements A3, A8, B14.
 */
u64 lazytsc_host_deadline(const struct lazytsc_host *h, const struct lazytsc_area *area);

#ifdef __cplusplus
}
#endif

#endif
