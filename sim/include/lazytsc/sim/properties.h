/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The properties: one monitor for each vCPU watches what guest and host do, and says which
 * requirement (A1.., B1.. of docs/protocol.md) was broken first.
 *
 * How to use it. Whoever runs the protocol (the simulator's machine, a race checker's scenario, a
 * unit test) calls the functions below in the order in which things happen, with the guest TSC of
 * each, and looks at m->broken.rule afterwards: LAZYTSC_RULE_NONE, or the first rule that failed.
 * The monitor decides nothing, and knows the protocol only from the outside: from the guest's
 * operations it derives which deadline is wanted, and holds what the host does against that.
 *
 * Races. Each operation that takes more than one step is reported as an interval: a guest's set
 * from _set_begin() to _set_skip() or _trap(), a host's decision from _host_begin() to _decision().
 * During a set both the former and the new deadline count as wanted. An injection is right if its
 * deadline was wanted, and due by the TSC that the host had read, at some moment of the decision's
 * interval. This accepts exactly what a real machine may do: a decision that read pending before
 * the guest moved it is right, and one that began after the set had ended must see the new
 * deadline. In a machine whose steps are atomic the intervals are empty.
 *
 * The structure is plain data without padding or pointers: copy it, hash it, compare it. Nothing
 * here allocates. All times are guest TSC; 0 stands for none.
 */
#ifndef LAZYTSC_SIM_PROPERTIES_H
#define LAZYTSC_SIM_PROPERTIES_H

#include <stddef.h>

#include <lazytsc/host.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Every rule: name, requirement, sentence. A sentence has two values, in the order of struct
 * lazytsc_broken's a and b.
 */
#define LAZYTSC_RULES(X)                                                                           \
	X(NOT_ARMED, "A1", "WRMSR(%llu), and the host timer stands at %llu (0: none)")             \
	X(PAST_NOT_FIRED, "A2", "WRMSR(%llu) in the past, and %llu was injected (0: none)")        \
	X(READS_FIRED, "A3", "RDMSR reads %llu after its interrupt; expected %llu")                \
	X(FIRED_AFTER_DISARM, "A4",                                                                \
	  "interrupt for %llu, disarmed before it was due; wanted: %llu")                          \
	X(FIRED_AFTER_REWRITE, "A5", "interrupt for %llu, which WRMSR(%llu) had replaced")         \
	X(EARLY, "A6", "interrupt for %llu at %llu, before it is due")                             \
	X(NOT_HELD, "A6", "interrupt for %llu while the guest holds %llu")                         \
	X(RAN_EARLY, "A6", "interrupt for %llu decided early, and the guest runs at %llu")         \
	X(LOST, "A7", "deadline %llu not injected at %llu: lost or too late")                      \
	X(UNDELIVERED, "A7", "injection for %llu decided and not in the LAPIC at %llu")            \
	X(DROPPED, "A7", "injection for %llu dropped at %llu without cause")                       \
	X(READS_WRONG, "A8", "RDMSR reads %llu; expected %llu")                                    \
	X(NO_WAKE, "A9", "blocked in HLT with the interrupt of %llu in IRR at %llu")               \
	X(MASKED, "A10", "interrupt for %llu, which expired while LVTT was masked; at %llu")       \
	X(MODE, "A11", "interrupt for %llu after a change of the timer mode; wanted: %llu")        \
	X(MODE_READ, "A11", "RDMSR reads %llu outside deadline mode; expected %llu")               \
	X(TMCCT, "A12", "TMCCT reads %llu in deadline mode; expected %llu")                        \
	X(APIC_OFF, "A13", "interrupt for %llu, written with the APIC disabled; wanted: %llu")     \
	X(CONVERSION, "A15", "timer for %llu would fire at %llu: TSC conversion")                  \
	X(IRR_TAKEN_BACK, "A16", "interrupt of %llu gone from IRR at %llu without being taken")    \
	X(RESET, "A17", "interrupt for %llu, armed before the reset; wanted: %llu")                \
	X(NOT_BACKED, "B1", "armed is published as %llu, and the host timer stands at %llu")       \
	X(FOREIGN_ARMED, "B1", "set %llu skipped on armed %llu, which no host published")          \
	X(WRONG_SKIP, "B2", "set %llu skipped although armed is %llu")                             \
	X(SILENT_REARM, "B5", "interrupt for %llu at its former time; the guest moved it to %llu") \
	X(TWICE, "B6", "second interrupt for %llu; wanted: %llu")                                  \
	X(RAW_LOST, "B7", "raw WRMSR(%llu) not injected at %llu")                                  \
	X(RAW_LAZY, "B7", "raw WRMSR(%llu), and armed is published as %llu")                       \
	X(NOT_WITHDRAWN, "B8",                                                                     \
	  "armed is published as %llu while masked, off or cancelled at %llu")                     \
	X(SAYS_ENABLED, "B8", "the MSR reads %llu; expected enabled: %llu")                        \
	X(PAST_ARMED, "B9", "deadline %llu is past, and armed is published as %llu")               \
	X(REPEATS, "B10", "%llu expiries at TSC %llu without a guest operation")                   \
	X(STEERED, "B11", "interrupt for %llu: a write to armed steered the host; wanted: %llu")   \
	X(BAD_WORD, "B11", "MSR word %llu accepted; the address space ends at %llu")               \
	X(TOO_MANY, "B12", "%llu silent expiries for %llu skips")                                  \
	X(SPURIOUS_WAKE, "B13", "woken from HLT at %llu without an interrupt; last silent %llu")   \
	X(READS_GUESS, "B14", "RDMSR reads %llu, which no guest wrote; expected %llu")             \
	X(REARM_LATE, "B15", "deadline %llu, re-armed silently, not injected at %llu")             \
	X(WAIT_LATE, "B15", "waited for deadline %llu beyond it, until %llu")                      \
	X(PAGE_IN_USE, "B16", "page reused at %llu while the host has it, armed %llu")             \
	X(PAGE_AT_REST, "B17", "armed is published as %llu in user space at %llu")                 \
	X(PAGE_CLEAN, "B17", "armed written (%llu) and the page not dirty in user space at %llu")  \
	X(STALE_ARMED, "B17", "set %llu skipped on armed %llu of another host")                    \
	X(NOT_OFFERED, "B18", "MSR word %llu accepted by a host without the feature (%llu)")       \
	X(SLOT_GONE, "B18", "armed is published as %llu while its memslot changes at %llu")        \
	X(STALE_TIMER, "B19", "TSC changed, and the timer for %llu was not set anew; now %llu")    \
	X(APICV_TIMER, "B21", "MSR word %llu accepted where hardware runs the timer (%llu)")       \
	X(STORM, "B25",                                                                            \
	  "at %llu another silent expiry that nobody pays for, the last one at %llu")              \
	X(NOT_ENABLED, "B27",                                                                      \
	  "set %llu trapped, no host has the area, and the guest has not looked: %llu")            \
	X(STAYS_LATE, "B29", "the vCPU goes on with armed %llu, and the host's timer at %llu")     \
	X(OVERDUE_SKIP, "B28", "set %llu skipped on armed %llu, which is overdue")

enum lazytsc_rule {
	LAZYTSC_RULE_NONE,
#define X(name, requirement, sentence) LAZYTSC_RULE_##name,
	LAZYTSC_RULES(X)
#undef X
		LAZYTSC_RULE_COUNT
};

/* The first rule that failed, with its two values. */
struct lazytsc_broken {
	u64 tsc; /* when */
	u64 a, b;
	u64 rule; /* enum lazytsc_rule */
};

/* Why a deadline stopped to be wanted. */
enum lazytsc_end {
	LAZYTSC_END_NONE, /* there was none yet */
	LAZYTSC_END_FIRED, /* injected */
	LAZYTSC_END_SKIP, /* replaced without an exit */
	LAZYTSC_END_TRAP, /* replaced by a write that exited */
	LAZYTSC_END_DISARM, /* set to 0 */
	LAZYTSC_END_MODE, /* the LVT timer left deadline mode, or entered it */
	LAZYTSC_END_APIC, /* the APIC is hardware-disabled */
	LAZYTSC_END_RESET /* INIT, RESET, or the vCPU was created again */
};

/* A deadline that the guest asked for. */
struct lazytsc_arm {
	u64 deadline;
	u64 since; /* when lateness starts to count: not before the deadline nor before the set */
	u32 serial; /* the guest's sets, counted; 0: this slot is empty */
	uint8_t raw; /* by a WRMSR that pending did not match */
	uint8_t rearmed; /* the host re-armed silently for it */
	uint8_t end; /* enum lazytsc_end: how it ended; NONE: wanted */
	uint8_t zero; /* padding, always 0 */
};

/* An injection that was decided and has not reached the LAPIC. */
struct lazytsc_inflight {
	u64 deadline;
	u64 since; /* decided, or due where that is later */
	u32 serial;
	uint8_t masked; /* decided while LVTT was masked: must not be delivered */
	uint8_t early; /* decided ahead of its deadline: the guest must stay stopped */
	uint8_t replaced; /* by a WRMSR ahead of its deadline: must be dropped */
	uint8_t zero; /* padding, always 0 */
};

/* The bounds that the host must keep. */
struct lazytsc_mon_limits {
	u64 late; /* a deadline is injected, and an injection delivered, within this; cycles */
	u64 rearm; /* added to `late` if the deadline was re-armed silently (B15); cycles */
	u64 credit; /* silent expiries beyond the skips (B12): 0 for the plain rule */
	u64 grace; /* the guest's, for a promise that is overdue (B28); 0: endless */
	/* the least time between silent expiries that are charged to nobody (B25); 0: no bound */
	u64 nearest;
	/* trapped sets after which a host without the area must have it (B27); 0: any number */
	u64 patience;
};

/*
 * The most deadlines that one decision can see: those of the sets that end during it, and the
 * newest. And the most injections that are decided and not delivered.
 */
#define LAZYTSC_ARMS	 6
#define LAZYTSC_INFLIGHT 2

struct lazytsc_monitor {
	struct lazytsc_broken broken;
	struct lazytsc_mon_limits limits;

	/* What the guest wants. arm[0] is the newest; others ended within an open interval. */
	struct lazytsc_arm arm[LAZYTSC_ARMS];
	struct lazytsc_arm ended; /* the last that ended, for the sentence */
	struct lazytsc_inflight inflight[LAZYTSC_INFLIGHT];
	u64 late_at; /* beyond this TSC something is late */

	/* The page, as the host published it. */
	u64 published;

	/* The decision in progress. */
	u64 now; /* the TSC that it is made with */
	u64 limit; /* a deadline up to here is due in it */
	u64 trapped; /* the value of the WRMSR that it answers */
	u64 trap_pending; /* pending as it stood then */

	u64 timer; /* the host timer after the last decision */
	u64 expiry_tsc; /* of the last expiry */
	u64 irr_since; /* when the IRR bit was set */
	u64 set_tsc; /* when the set in progress began */
	u64 unpaid_tsc; /* the last silent expiry that was charged to nobody (B25) */

	/* What is counted. */
	u64 skips; /* sets and disarms that did not exit, and writes outside the protocol */
	u64 silent; /* silent expiries, without those during a set that then exited */
	u64 sets; /* sets that armed a deadline */
	u64 injections; /* decided */
	u64 deliveries; /* times that IRR went from 0 to 1 */
	u64 taken_count; /* interrupts that the guest took */

	u32 serial;
	u32 irr_serial; /* the newest deadline that the IRR bit stands for */
	u32 taken; /* the newest deadline whose interrupt the guest has taken */
	u32 repeats; /* expiries at expiry_tsc since the guest's last operation */

	uint8_t arms; /* slots of arm[] in use beyond arm[0] */
	uint8_t inflights;
	uint8_t in_set; /* a set or disarm is in progress */
	uint8_t op_armed; /* armed was other than 0 at some moment of the set */
	uint8_t in_host; /* a decision is in progress */
	uint8_t host_armed; /* armed was other than 0 at some moment of the decision */
	uint8_t host_trap; /* the decision answers a WRMSR */
	uint8_t silent_open; /* silent expiries during the set in progress */

	uint8_t irr;
	uint8_t masked;
	uint8_t lapic_off; /* enum lazytsc_end: MODE or APIC while writes are ignored */
	uint8_t blocked;
	uint8_t user; /* the vCPU thread is in user space */
	uint8_t enabled; /* the host has the guest's area */
	uint8_t undirtied; /* armed was written since the page was last marked dirty */
	uint8_t moved; /* the vCPU came to another host, which has published nothing yet */

	uint8_t wild; /* the guest wrote nonsense to its page: the wanted deadline is unknown */
	uint8_t armed_written; /* the guest has written to armed, at some time */
	uint8_t stale_timer; /* the TSC changed since the host timer was set */
	uint8_t unpaid; /* since unpaid_tsc the vCPU's thread has not run */
	uint8_t forsaken; /* the host timer was lost: earlier promises are not checked */
	uint8_t misses; /* sets trapped in a row on a host without the area */
	uint8_t jumped; /* the TSC changed during the set in progress */
	uint8_t orphaned; /* armed was left in a page that the host takes for gone */
	uint8_t zero[7]; /* padding, always 0 */
	uint8_t besieged; /* another vCPU writes to the page: the wanted deadline stays unknown */
};

#ifndef __cplusplus
_Static_assert(sizeof(struct lazytsc_arm) == 24, "no padding");
_Static_assert(sizeof(struct lazytsc_inflight) == 24, "no padding");
#endif

/** lazytsc_mon_init() - a vCPU that was just created: nothing armed, deadline mode, guest mode */
void lazytsc_mon_init(struct lazytsc_monitor *m, const struct lazytsc_mon_limits *limits);

/*
 * The guest's operations.
 */

/**
 * lazytsc_mon_set_begin() - a lazy set or disarm starts: pending is about to be stored
 * @t: the new deadline, 0 to disarm
 * Ends in lazytsc_mon_set_skip(), or in lazytsc_mon_trap() for its WRMSR.
 */
void lazytsc_mon_set_begin(struct lazytsc_monitor *m, u64 tsc, u64 t);

/**
 * lazytsc_mon_set_skip() - the set or disarm ended without an exit
 * @t:     as at its begin
 * @armed: the armed that the guest loaded
 * Checks B1, B2, B17.
 */
void lazytsc_mon_set_skip(struct lazytsc_monitor *m, u64 tsc, u64 t, u64 armed);

/**
 * lazytsc_mon_trap() - a WRMSR(0x6e0) exited; the host's decision on it begins
 * @v:       the value written: from here on it alone is wanted
 * @pending: what pending holds; anything when the feature is off. Differs from @v: a raw write.
 * Ends in lazytsc_mon_decision(). An injection that was decided and not delivered is replaced by it
 * and may be dropped; one that is not due yet must be dropped.
 */
void lazytsc_mon_trap(struct lazytsc_monitor *m, u64 tsc, u64 v, u64 pending);

/**
 * lazytsc_mon_scribble() - the guest wrote to its page outside the protocol (B11)
 * @armed: it wrote armed; else it wrote pending, and what it wants is unknown until the next trap
 */
void lazytsc_mon_scribble(struct lazytsc_monitor *m, u64 tsc, bool armed);

/**
 * lazytsc_mon_wrote() - a set that has exited is over, and the guest has read LAZYTSC_MSR if it
 * wanted to
 * @t: the deadline set
 * Checks B27.
 */
void lazytsc_mon_wrote(struct lazytsc_monitor *m, u64 tsc, u64 t);

/**
 * lazytsc_mon_besieged() - another vCPU wrote pending
 * As lazytsc_mon_scribble(), but what the guest wants stays unknown for the rest of the run.
 */
void lazytsc_mon_besieged(struct lazytsc_monitor *m, u64 tsc);

/** lazytsc_mon_rdmsr() - RDMSR(0x6e0), or user space saves it: @value. Checks A3, A8, A11, B14. */
void lazytsc_mon_rdmsr(struct lazytsc_monitor *m, u64 tsc, u64 value);

/** lazytsc_mon_take() - the guest takes the timer interrupt: IRR to ISR */
void lazytsc_mon_take(struct lazytsc_monitor *m, u64 tsc);

/** lazytsc_mon_page_reused() - the guest uses the page for something else, or is gone (B16) */
void lazytsc_mon_page_reused(struct lazytsc_monitor *m, u64 tsc);

/*
 * The host's decisions.
 */

/**
 * lazytsc_mon_host_begin() - an expiry, a withdrawal or a cancel begins
 * @now:  the TSC that the host decides with
 * @wait: how long it can keep the guest stopped; 0 on another CPU
 * Ends in lazytsc_mon_decision().
 */
void lazytsc_mon_host_begin(struct lazytsc_monitor *m, u64 tsc, u64 now, u64 wait);

/**
 * lazytsc_mon_publish() - the host stores armed
 * To be called when the store is executed, not when it becomes visible.
 */
void lazytsc_mon_publish(struct lazytsc_monitor *m, u64 tsc, u64 armed);

/**
 * lazytsc_mon_decision() - the decision in progress has been made
 * @d:      what it says
 * @expiry: it was about a timer that fired (not a trap, withdrawal or cancel)
 * Checks A1, A2, A4 to A6, A11, A13, A17, B1, B5 to B12.
 */
void lazytsc_mon_decision(struct lazytsc_monitor *m, u64 tsc, const struct lazytsc_decision *d,
			  bool expiry);

/**
 * lazytsc_mon_timer() - the hardware timer was set
 * @wanted: the guest TSC at which it is to fire, 0: stopped
 * @fires:  the guest TSC at which it will fire
 * @error:  by how much the two may differ
 * Checks A15.
 */
void lazytsc_mon_timer(struct lazytsc_monitor *m, u64 tsc, u64 wanted, u64 fires, u64 error);

/** lazytsc_mon_elsewhere() - a timer that a callback started has fired on another CPU (B25) */
void lazytsc_mon_elsewhere(struct lazytsc_monitor *m, u64 tsc);

/** lazytsc_mon_paid() - the vCPU's thread has run: the next silent expiry may come at once (B25) */
void lazytsc_mon_paid(struct lazytsc_monitor *m);

/**
 * lazytsc_mon_forsaken() - the host timer is lost, by a fault outside the protocol
 * Deadlines that rely on a promise made so far may be lost with it; one whose set exits later may
 * not.
 */
void lazytsc_mon_forsaken(struct lazytsc_monitor *m);

/**
 * lazytsc_mon_orphaned() - the host takes the page for gone, and leaves in it what it has published
 * For hosts that are known to do that: B1 is then not checked, so that the search goes on to the
 * consequences.
 */
void lazytsc_mon_orphaned(struct lazytsc_monitor *m);

/*
 * The LAPIC.
 */

/**
 * lazytsc_mon_delivered() - the oldest injection decided is in IRR. Checks A6, A10, A17, B6, B15.
 */
void lazytsc_mon_delivered(struct lazytsc_monitor *m, u64 tsc);

/**
 * lazytsc_mon_dropped() - the oldest injection decided was dropped
 * This is right if LVTT is masked, if writes are ignored, or if a newer set has replaced it.
 */
void lazytsc_mon_dropped(struct lazytsc_monitor *m, u64 tsc);

/** lazytsc_mon_irr() - the timer vector's IRR bit was seen as @set (A16) */
void lazytsc_mon_irr(struct lazytsc_monitor *m, u64 tsc, bool set);

/** lazytsc_mon_mask() - LVTT was masked or unmasked, and the host has done what follows (B8) */
void lazytsc_mon_mask(struct lazytsc_monitor *m, u64 tsc, bool masked);

/**
 * lazytsc_mon_lapic() - the timer mode, the APIC or the whole vCPU changed, and the host has
 * cancelled
 * @end: LAZYTSC_END_MODE, _APIC or _RESET
 * @on:  the APIC is enabled and in deadline mode from now on
 */
void lazytsc_mon_lapic(struct lazytsc_monitor *m, u64 tsc, enum lazytsc_end end, bool on);

/**
 * lazytsc_mon_count() - the count of the one-shot or the periodic mode has come to 0
 * @missed: the next period is over as well
 * Checks A11; and B10: the periods that were missed are not made up for one by one before the guest
 * runs.
 */
void lazytsc_mon_count(struct lazytsc_monitor *m, u64 tsc, bool missed);

/** lazytsc_mon_tmcct() - TMCCT read as @value in deadline mode (A12) */
void lazytsc_mon_tmcct(struct lazytsc_monitor *m, u64 tsc, u64 value);

/*
 * The vCPU, its thread and its host.
 */

/**
 * lazytsc_mon_enter() - the vCPU enters guest mode. Checks B17, B19, and the end of a wait (A6).
 */
void lazytsc_mon_enter(struct lazytsc_monitor *m, u64 tsc);

/** lazytsc_mon_halt() - the vCPU blocks in HLT */
void lazytsc_mon_halt(struct lazytsc_monitor *m, u64 tsc);

/** lazytsc_mon_wake() - the vCPU leaves HLT; @other: not because of the timer (B13) */
void lazytsc_mon_wake(struct lazytsc_monitor *m, u64 tsc, bool other);

/**
 * lazytsc_mon_goes_on() - the thread of a blocked vCPU goes on, and has seen to its timer (B29)
 * @timer: where the hardware's timer stands, guest TSC; 0: nowhere
 */
void lazytsc_mon_goes_on(struct lazytsc_monitor *m, u64 tsc, u64 timer);

/** lazytsc_mon_dirty() - the host marked the area's page dirty */
void lazytsc_mon_dirty(struct lazytsc_monitor *m, u64 tsc);

/** lazytsc_mon_user() - the thread is in user space now; withdrawn. Checks B17. */
void lazytsc_mon_user(struct lazytsc_monitor *m, u64 tsc);

/** lazytsc_mon_memslot() - the area's memslot is about to change; withdrawn. Checks B18. */
void lazytsc_mon_memslot(struct lazytsc_monitor *m, u64 tsc);

/** lazytsc_mon_moved() - the guest is on another host now; its TSC reads @tsc there */
void lazytsc_mon_moved(struct lazytsc_monitor *m, u64 tsc);

/** lazytsc_mon_restore() - user space wrote MSR_IA32_TSC_DEADLINE: @v is wanted (B17) */
void lazytsc_mon_restore(struct lazytsc_monitor *m, u64 tsc, u64 v);

/** lazytsc_mon_jump() - the guest's TSC changed under it and reads @tsc now (B19) */
void lazytsc_mon_jump(struct lazytsc_monitor *m, u64 tsc);

/* What a host can say of the feature. */
enum lazytsc_offer {
	LAZYTSC_OFFERED,
	LAZYTSC_UNKNOWN, /* a host without the feature (B18) */
	LAZYTSC_APIC_TIMER_VIRTUAL /* hardware virtualises the timer (B21) */
};

/**
 * lazytsc_mon_feature() - the host accepted a word in LAZYTSC_MSR
 * @word:    the word
 * @gpa_end: the end of the guest's physical address space
 * @offer:   what the host's CPUID says
 * Checks B11, B18, B21; and B8 when it is 0.
 */
void lazytsc_mon_feature(struct lazytsc_monitor *m, u64 tsc, u64 word, u64 gpa_end,
			 enum lazytsc_offer offer);

/** lazytsc_mon_feature_read() - LAZYTSC_MSR reads @word (B8) */
void lazytsc_mon_feature_read(struct lazytsc_monitor *m, u64 tsc, u64 word);

/**
 * lazytsc_mon_end() - no host will do anything more
 * @horizon: a deadline up to here should have been injected
 * For a state after which nothing can happen: a deadline that is still wanted is lost. Checks A7,
 * A9, B7.
 */
void lazytsc_mon_end(struct lazytsc_monitor *m, u64 tsc, u64 horizon);

/** lazytsc_rule_requirement() - the requirement that a rule checks: "A6" */
const char *lazytsc_rule_requirement(enum lazytsc_rule rule);

/**
 * lazytsc_broken_text() - one line: requirement, TSC and sentence
 * @text: filled as by snprintf()
 */
void lazytsc_broken_text(const struct lazytsc_broken *b, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
