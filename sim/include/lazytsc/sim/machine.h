/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A simulated machine: vCPUs with LAPIC timers, their hosts' timers, and everything that KVM does
 * around a TSC deadline, with the real core (or any other protocol variant) on both sides.
 *
 *	struct lazytsc_machine_config c = lazytsc_machine_config_default();
 *
 *	c.seed = 42;
 *	struct lazytsc_machine *m = lazytsc_machine_new(&c);
 *	lazytsc_machine_run(m, 1000000000); // a simulated second
 *	lazytsc_machine_settle(m); // no more trouble: all must come
 *	puts(lazytsc_machine_broken(m, 0) ? "broken" : "nothing is broken");
 *	lazytsc_machine_free(m);
 *
 * Model. Time is that of discrete events; each step of guest and host is atomic (the race checker
 * is for the steps in between). vCPUs share the seed, the hosts and the migrations, and nothing
 * else: each has its own streams of random numbers, so that it does the same whatever runs beside
 * it, in whatever order or thread. The requirements (<lazytsc/sim/properties.h>) are checked at
 * every step; a vCPU stops at the first that is broken.
 *
 * No function here prints, reads files or keeps state outside the machine. One machine's vCPUs may
 * be run by several threads, each vCPU by one at a time (lazytsc_machine_run_vcpu()).
 */
#ifndef LAZYTSC_SIM_MACHINE_H
#define LAZYTSC_SIM_MACHINE_H

#include <lazytsc/sim/guess.h>
#include <lazytsc/sim/properties.h>
#include <lazytsc/sim/variant.h>
#include <lazytsc/sim/workload.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What things cost, in ns: field, default, meaning, source.
 *
 *   ce7a058a: KVM commit ce7a058a2117, "support using the vmx preemption timer for tsc deadline
 *   timer": kvm-unit-tests' tscdeadline_latency reads some 3,200 cycles from deadline to handler
 *   with a blocked vCPU and a fourth less with a busy one and the hv timer. Cycles are taken at
 *   2.6 GHz.
 */
#define LAZYTSC_COSTS(X)                                                                           \
	X(skip, 8, "a set or disarm without exit",                                                 \
	  "docs/protocol.md: a locked operation, 20 cycles")                                       \
	X(exit_write, 960, "exit and entry for a WRMSR of the deadline",                           \
	  "docs/protocol.md: 2,500 cycles and more")                                               \
	X(exit_timer, 920, "exit and entry for the hv timer", "ce7a058a: 2,400 cycles, busy")      \
	X(exit_irq, 1230, "exit and entry for a host interrupt: sw timer, kick",                   \
	  "ce7a058a: 3,200 cycles, before the hv timer")                                           \
	X(exit_other, 960, "exit and entry for another MSR or LAPIC write", "as exit_write")       \
	X(block, 960, "from HLT to the vCPU thread asleep", "as exit_write")                       \
	X(wake, 1230, "from the sw timer to a blocked vCPU entering the guest",                    \
	  "ce7a058a: 3,200 cycles, halted (the host CPU was not in a deep idle state)")            \
	X(callback, 300, "an hrtimer callback on another CPU", "assumed: no published figure")     \
	X(ipi, 500, "a kick or posted interrupt, from CPU to CPU", "assumed: no published figure") \
	X(look, 115, "a free look, or to move a blocked vCPU's timer",                             \
	  "docs/early.md: 300 cycles for a decision with its guess")                               \
	X(user, 20000, "the vCPU thread in user space", "assumed: a device model at work")         \
	X(irq, 1000, "the guest's timer interrupt handler", "assumed: no published figure")

struct lazytsc_costs {
#define X(name, ns, meaning, source) u64 name;
	LAZYTSC_COSTS(X)
#undef X
};

/** lazytsc_costs_default() - the table above */
struct lazytsc_costs lazytsc_costs_default(void);

/* Which host timer stands behind a deadline while the vCPU is not blocked. */
enum lazytsc_timer_kind {
	LAZYTSC_TIMER_HV, /* the VMX preemption timer; sw when blocked, in user space or too far */
	LAZYTSC_TIMER_SW, /* an hrtimer on the vCPU's CPU */
	LAZYTSC_TIMER_REMOTE, /* an hrtimer on another CPU; delivers by a kick */
	LAZYTSC_TIMER_POSTED, /* the same; delivers by a posted interrupt, without an exit */
	LAZYTSC_TIMER_MIXED, /* any of these, changing from entry to entry */
	LAZYTSC_TIMER_KINDS
};

/** lazytsc_timer_name() - "hv", "sw", "remote", "posted", "mixed" */
const char *lazytsc_timer_name(enum lazytsc_timer_kind kind);

/* What disturbs a vCPU: mean ns between two of each kind, 0: never. */
#define LAZYTSC_TROUBLES(X)                                                              \
	X(kick, "an exit that has nothing to do with the timer")                         \
	X(user, "a return of the vCPU thread to user space")                             \
	X(memslot, "the area's memslot is changed: the host loses the page for a while") \
	X(unmap, "the area's mapping goes (MMU notifier), until it is looked up again")  \
	X(sibling, "another vCPU stores a deadline that comes soon to pending")          \
	X(early, "the hv timer fires although it is not due (an erratum)")               \
	X(lose, "the host loses its timer, by a fault outside the protocol")             \
	X(tsc, "user space writes the guest's TSC")                                      \
	X(lapic, "user space reads the LAPIC and writes it back (KVM_SET_LAPIC)")        \
	X(reset, "RESET")                                                                \
	X(migrate, "migration of the whole machine")

enum lazytsc_trouble {
#define X(name, meaning) LAZYTSC_TROUBLE_##name,
	LAZYTSC_TROUBLES(X)
#undef X
		LAZYTSC_TROUBLE_COUNT
};

/* What the destination of a migration does with LAZYTSC_MSR. */
enum lazytsc_restore {
	LAZYTSC_RESTORE_DEADLINE_FIRST, /* MSR_IA32_TSC_DEADLINE, then LAZYTSC_MSR */
	LAZYTSC_RESTORE_FEATURE_FIRST,
	LAZYTSC_RESTORE_UNAWARE, /* a VMM that does not know LAZYTSC_MSR */
	/*
	 * CPUID, LAPIC, TSC, deadline, LAZYTSC_MSR and memory in any order, each of them some time
	 * after the one before; TSC, deadline or LAZYTSC_MSR is left out now and then
	 */
	LAZYTSC_RESTORE_PARTS,
	LAZYTSC_RESTORE_ANY, /* one of these each time */
	LAZYTSC_RESTORES
};

/*
 * Deliberate defects of the machine, for the tests that show that a property can fail; bits of
 * struct lazytsc_machine_config::defects. Defects of the protocol are variants.
 */
#define LAZYTSC_DEFECTS(X)                                                              \
	X(NO_WAIT, "A6", "enters the guest before an injection decided early is due")   \
	X(BELIEVES_TIMER, "A6", "takes a timer that has fired for one that is due")     \
	X(NO_RECOVERY, "A7", "arms nothing after a restore that has lost the deadline") \
	X(LAPIC_DROPS, "A7", "KVM_SET_LAPIC drops an injection that is not in IRR")     \
	X(NO_KICK, "A7", "decides on another CPU and does not kick the vCPU")           \
	X(NO_WAKE, "A9", "does not wake a blocked vCPU for its interrupt")              \
	X(DELIVER_MASKED, "A10", "delivers although LVTT is masked")                    \
	X(MODE_KEEPS, "A11", "a mode change leaves the timer running")                  \
	X(COUNT_KEEPS, "A11", "a mode change leaves a count running")                   \
	X(TMICT_COUNTS, "A12", "TMICT starts a count in deadline mode")                 \
	X(TMCCT_COUNTS, "A12", "TMCCT counts in deadline mode")                         \
	X(APIC_OFF_ARMS, "A13", "a write with the APIC disabled is obeyed")             \
	X(NO_SCALING, "A15", "forgets the scaling ratio when it sets the timer")        \
	X(IRR_TAKEN_BACK, "A16", "a write clears the IRR bit")                          \
	X(RESET_KEEPS, "A17", "an injection survives RESET")                            \
	X(TRUSTS_STALE, "B6", "recovers from a page in which done was not stored")      \
	X(MASK_KEEPS, "B8", "masking does not withdraw")                                \
	X(RESET_SAYS_ENABLED, "B8", "RESET drops the page and keeps the MSR's value")   \
	X(COUNT_CATCHES_UP, "B10", "a periodic count makes up for periods missed")      \
	X(ACCEPTS_ANY_WORD, "B11", "accepts any word in LAZYTSC_MSR")                   \
	X(SILENT_WAKES, "B13", "a silent expiry wakes a blocked vCPU")                  \
	X(WAIT_LONG, "B15", "waits on for a deadline that has come")                    \
	X(OFFLINE_KEEPS, "B16", "the guest gives its page away and leaves the MSR set") \
	X(NOT_DIRTY, "B17", "does not mark the page dirty")                             \
	X(REST_ARMED, "B17", "does not withdraw on the return to user space")           \
	X(UNKNOWN_ACCEPTED, "B18", "a host without the feature accepts LAZYTSC_MSR")    \
	X(UNMAP_KEEPS, "B18", "the mapping is gone when the host withdraws")            \
	X(SLOT_KEEPS, "B18", "a memslot change does not withdraw")                      \
	X(STALE_TIMER, "B19", "a TSC write does not set the timer anew")                \
	X(STARTS_ALL, "B25", "a callback starts the timer, however near it is")         \
	X(NO_GRACE, "B28", "the guest skips on a promise, however long it is overdue")  \
	X(NEVER_LOOKS, "B27", "the guest does not ask why nothing is armed")            \
	X(APICV_ACCEPTED, "B21", "offers the feature where hardware runs the timer")    \
	X(NO_LOOK, "B29", "goes on after HLT and looks at no promise that has passed")  \
	X(STAYS_LATE, "B29", "goes on after HLT and leaves the timer where it stands")

enum lazytsc_machine_defect {
#define X(name, requirement, what) LAZYTSC_DEFECT_##name,
	LAZYTSC_DEFECTS(X)
#undef X
		LAZYTSC_DEFECT_COUNT
};

/* What happened: one step of a vCPU, for charts and traces. */
#define LAZYTSC_STEPS(X)                              \
	X(SET_SKIP, "guest", "set: skip")             \
	X(SET_WRITE, "guest", "set: WRMSR")           \
	X(DISARM_SKIP, "guest", "disarm: skip")       \
	X(DISARM_WRITE, "guest", "disarm: WRMSR")     \
	X(RAW, "guest", "raw WRMSR")                  \
	X(TAKE, "guest", "takes the interrupt of")    \
	X(RDMSR, "guest", "RDMSR reads")              \
	X(HALT, "guest", "HLT")                       \
	X(LAPIC, "guest", "LVTT, mode or APIC write") \
	X(WORD, "guest", "LAZYTSC_MSR word")          \
	X(SCRIBBLE, "guest", "writes into its page")  \
	X(ENTER, "host", "enters the guest")          \
	X(EXIT, "host", "exit")                       \
	X(BLOCKED, "host", "blocks")                  \
	X(WAKE, "host", "wakes")                      \
	X(TRAP, "host", "WRMSR exited")               \
	X(INJECT, "host", "injects")                  \
	X(SILENT, "host", "silent expiry of")         \
	X(TIMER, "host", "timer set to")              \
	X(DELIVER, "lapic", "IRR set for")            \
	X(DROP, "lapic", "dropped")                   \
	X(WITHDRAW, "host", "withdraws")              \
	X(USER, "host", "returns to user space")      \
	X(RESET, "host", "RESET")                     \
	X(TSC, "host", "TSC written")                 \
	X(COUNT, "lapic", "the count ends")           \
	X(UNMAP, "host", "the mapping goes")          \
	X(LOSE, "host", "the timer is lost")          \
	X(SIBLING, "guest", "another vCPU stores")    \
	X(RESTORE, "host", "restores part")           \
	X(MIGRATE, "host", "goes on on another host; saved deadline")

enum lazytsc_step_kind {
#define X(name, who, what) LAZYTSC_STEP_##name,
	LAZYTSC_STEPS(X)
#undef X
		LAZYTSC_STEP_KINDS
};

struct lazytsc_machine_step {
	u64 ns; /* since the machine started */
	u64 tsc; /* guest TSC */
	u64 value;
	u64 armed, pending; /* as they stand in the page afterwards */
	u64 timer; /* the host's timer */
	u32 vcpu;
	u32 kind; /* enum lazytsc_step_kind */
};

/** lazytsc_machine_step_who() - "guest" or "host", as the table above has it; a constant */
const char *lazytsc_machine_step_who(enum lazytsc_step_kind kind);

/** lazytsc_machine_step_what() - what the step does, as the table above has it; a constant */
const char *lazytsc_machine_step_what(enum lazytsc_step_kind kind);

struct lazytsc_machine_config {
	u64 seed; /* decides everything that is left to chance */
	unsigned int vcpus;
	const struct lazytsc_variant *variant;
	const struct lazytsc_workload *workload;
	struct lazytsc_workload_options guest;
	struct lazytsc_costs costs;
	enum lazytsc_timer_kind timer;
	u64 guest_khz; /* of the guest's TSC */
	u64 host_khz[2]; /* of the hosts' TSCs: the first host, and the one that it migrates to */
	u64 tsc; /* what the guest's TSC reads at the start */
	u64 host_tsc; /* what the first host's reads */
	u64 advance_ns; /* timer advance: hv and sw timers fire so much early, and are waited for */
	u64 late_ns; /* sw timers fire up to so much late */
	u64 trouble_ns[LAZYTSC_TROUBLE_COUNT];
	u64 downtime_ns; /* of a migration */
	enum lazytsc_restore restore;
	enum lazytsc_offer offer; /* what the hosts' CPUID says */
	const struct lazytsc_guess_source *guess; /* NULL: no guesses */
	bool free_looks; /* a blocked vCPU's timer stands where its guest wants it (B29) */
	u64 defects; /* bits of enum lazytsc_machine_defect */
	/* Called for each step when not NULL; from the thread that runs the vCPU. */
	void (*observe)(void *arg, const struct lazytsc_machine_step *step);
	void *observe_arg;
};

/**
 * lazytsc_machine_config_default() - one vCPU, the lazy variant, the tick, the hv timer, 2.6 GHz
 */
struct lazytsc_machine_config lazytsc_machine_config_default(void);

/**
 * lazytsc_machine_config_swarm() - everything that can be chosen, chosen by @seed
 *
 * Guest, timer, clocks, costs, lateness, disturbances, migration. The variant, the vCPUs, the
 * source of guesses, the defects and the observer stay those of @base.
 */
struct lazytsc_machine_config
lazytsc_machine_config_swarm(const struct lazytsc_machine_config *base, u64 seed);

/* Why the vCPU left guest mode. */
enum lazytsc_exit {
	LAZYTSC_EXIT_WRITE, /* WRMSR of the deadline */
	LAZYTSC_EXIT_TIMER, /* the hv timer */
	LAZYTSC_EXIT_IRQ, /* a host interrupt: sw timer, kick */
	LAZYTSC_EXIT_HLT,
	LAZYTSC_EXIT_OTHER, /* other MSRs, the LAPIC, trouble */
	LAZYTSC_EXITS
};

/** lazytsc_exit_name() - as perf kvm stat prints it: "MSR_WRITE", "PREEMPTION_TIMER", ... */
const char *lazytsc_exit_name(enum lazytsc_exit e);

/* Lateness is counted in whole us up to here, as cyclictest does; what is beyond overflows. */
#define LAZYTSC_LATENESS_US 400

struct lazytsc_machine_stats {
	u64 sets; /* deadlines set, without disarms */
	u64 writes; /* sets and disarms that exited, raw ones included */
	u64 skips; /* sets and disarms that did not */
	struct lazytsc_host_stats host;
	u64 remote_expiries; /* expiries decided on another CPU: no exit */
	u64 deliveries; /* times that the vector's IRR bit was set */
	u64 interrupts; /* timer interrupts that the guest took */
	u64 exits[LAZYTSC_EXITS];
	u64 wakes; /* of blocked vCPUs */
	u64 migrations;
	u64 lost; /* deadlines that a restore has lost, and that the host could not find again */
	u64 counts; /* counts of the one-shot and the periodic mode that came to 0 */
	u64 host_ns; /* vCPU time spent on exits, waits and wake-ups */
	u64 other_ns; /* time of callbacks on other CPUs */
	u64 guest_ns; /* guest time spent on skips */
	/* From the deadline to the guest's handler, ns. */
	u64 late_min, late_max, late_sum;
	u64 late_us[LAZYTSC_LATENESS_US + 1];
	u64 events; /* timer events: sets, disarms, expiries, deliveries */
};

struct lazytsc_machine;

/**
 * lazytsc_machine_new() - a machine at time 0, its guests not yet started
 * @config: copied; what it points to must outlive the machine
 * Return: NULL without memory, or when @config is not usable: no vCPU, a frequency of 0 or a
 * destination that is more than 16 times as fast or slow.
 */
struct lazytsc_machine *lazytsc_machine_new(const struct lazytsc_machine_config *config);

/** lazytsc_machine_free() - NULL is allowed */
void lazytsc_machine_free(struct lazytsc_machine *m);

/** lazytsc_machine_run() - until time @ns, counted from the start; true: nothing is broken */
bool lazytsc_machine_run(struct lazytsc_machine *m, u64 ns);

/** lazytsc_machine_run_vcpu() - the same for vCPU @i alone, from any thread */
bool lazytsc_machine_run_vcpu(struct lazytsc_machine *m, unsigned int i, u64 ns);

/**
 * lazytsc_machine_settle() - the liveness phase
 *
 * Guests set nothing more and nothing disturbs them; every deadline of the next 1000 s must come.
 * No more than 1000 guesses are followed for each vCPU.
 * True: it did, and nothing is broken. To be called once, at the end.
 */
bool lazytsc_machine_settle(struct lazytsc_machine *m);

/** lazytsc_machine_settle_vcpu() - the same for vCPU @i alone, from any thread */
bool lazytsc_machine_settle_vcpu(struct lazytsc_machine *m, unsigned int i);

/** lazytsc_machine_broken() - the first rule that vCPU @i broke, or NULL */
const struct lazytsc_broken *lazytsc_machine_broken(const struct lazytsc_machine *m,
						    unsigned int i);

/** lazytsc_machine_stats() - the counts of vCPU @i */
struct lazytsc_machine_stats lazytsc_machine_stats(const struct lazytsc_machine *m, unsigned int i);

/** lazytsc_machine_add() - add @more to @sum, which starts as zeroes */
void lazytsc_machine_add(struct lazytsc_machine_stats *sum,
			 const struct lazytsc_machine_stats *more);

/**
 * lazytsc_machine_last_steps() - the newest steps of vCPU @i, oldest first
 * @steps: room for @room of them; the machine keeps 64
 * Return: how many there are
 */
size_t lazytsc_machine_last_steps(const struct lazytsc_machine *m, unsigned int i,
				  struct lazytsc_machine_step *steps, size_t room);

#ifdef __cplusplus
}
#endif

#endif
