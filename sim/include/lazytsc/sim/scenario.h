/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios for `lazytsc check`: the protocol's real code in a small machine.
 *
 * The machine has four CPUs of a stepper (<lazytsc/sim/step.h>): the vCPU's (guest, and the host
 * code after its exits), another one that runs hrtimer callbacks, the clock, and the LAPIC, at
 * which a decided interrupt arrives later. A scenario says what may happen, and how often. The
 * search tries every order, every deadline and every guess. The monitor of
 * <lazytsc/sim/properties.h> watches.
 *
 * Time is a counter up to a horizon. Deadlines are any of its values, one long past, and ~0;
 * guesses are any of its values, and one beyond. docs/checking.md argues why that is enough.
 *
 * A scenario is searched in cells: one for each way to fix the guest's first operations. Cells are
 * independent of each other.
 */
#ifndef LAZYTSC_SIM_SCENARIO_H
#define LAZYTSC_SIM_SCENARIO_H

#include <lazytsc/sim/properties.h>
#include <lazytsc/sim/step.h>
#include <lazytsc/sim/variant.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a guest does. Those marked V take each of the values that the scenario allows. */
#define LAZYTSC_GUEST_OPS(X)                                                                  \
	X(SET, "set", true) /* V */                                                           \
	X(DISARM, "disarm", false)                                                            \
	X(RAW, "raw WRMSR", true) /* V and 0: outside the protocol, pending is not touched */ \
	X(RDMSR, "RDMSR", false)                                                              \
	X(HLT, "HLT", false)                                                                  \
	X(MASK, "mask or unmask LVTT", false)                                                 \
	X(MODE, "leave deadline mode and come back", false)                                   \
	X(FEATURE, "switch the feature off or on", false)                                     \
	X(RESET, "INIT", false)                                                               \
	X(PENDING, "scribble over pending", true) /* V */                                     \
	X(ARMED, "scribble over armed", true) /* V */                                         \
	X(WORD, "write a bad word to the MSR", false)

enum lazytsc_guest_op {
#define X(name, text, valued) LAZYTSC_GUEST_##name,
	LAZYTSC_GUEST_OPS(X)
#undef X
		LAZYTSC_GUEST_OPS_COUNT
};

/* What a scenario leaves open, and how the step that decides it is named. */
#define LAZYTSC_CHOICES(X)                \
	X(OPERATION, "guest")             \
	X(GUESS, "the predictor guesses") \
	X(TRIP, "in user space")          \
	X(RESTORE, "user space restores") \
	X(WORD, "which word")

enum lazytsc_choice {
#define X(name, words) LAZYTSC_CHOICE_##name,
	LAZYTSC_CHOICES(X)
#undef X
		LAZYTSC_CHOICE_VALUE /* a time or a deadline; the step's name says of what */
};

/* Where expiries are decided. */
enum {
	LAZYTSC_WHERE_VCPU = 1 << 0, /* in vCPU context, after an exit at any instruction */
	LAZYTSC_WHERE_REMOTE = 1 << 1 /* in a callback on another CPU */
};

/* The CPUs of the machine. */
enum lazytsc_scenario_cpu {
	LAZYTSC_CPU_VCPU, /* the guest, and the host's code after its exits */
	LAZYTSC_CPU_OTHER, /* hrtimer callbacks, memslot changes, the MMU notifier */
	LAZYTSC_CPU_CLOCK,
	LAZYTSC_CPU_LAPIC /* interrupts decided on another CPU arrive; stores of another vCPU */
};

/* What a trip to user space does: the values of the choice "in user space", with their words. */
#define LAZYTSC_TRIPS(X)                                              \
	X(NOTHING, "goes straight back")                              \
	X(DEADLINE_FIRST, "migrates; the deadline is restored first") \
	X(AREA_FIRST, "migrates; the area is restored first")         \
	X(UNAWARE, "migrates under a VMM that knows no area")         \
	X(REVERT, "has 0 written to TSC_DEADLINE")

/* Mistakes of the code around the core (in KVM the glue). */
enum lazytsc_glue_defect {
	LAZYTSC_GLUE_SOUND,
	LAZYTSC_GLUE_NO_KICK, /* a posted request waits for an unrelated exit */
	LAZYTSC_GLUE_NOT_DIRTY, /* the page is not marked dirty */
	LAZYTSC_GLUE_PINNED, /* nothing is withdrawn on the way to user space */
	LAZYTSC_GLUE_KEEPS_MSR, /* a reset drops the area, and the MSR still reads enabled */
	LAZYTSC_GLUE_UNCHECKED, /* any word is accepted in the MSR */
	LAZYTSC_GLUE_STALE_TIME, /* a change of the TSC leaves everything as it is */
	LAZYTSC_GLUE_INVALIDATES, /* the mapping goes without a withdrawal */
	LAZYTSC_GLUE_NO_CANCEL, /* a trapped write does not wait for the callback */
	LAZYTSC_GLUE_STARTS_ALL, /* a callback starts a timer that it must leave to the thread */
	LAZYTSC_GLUE_NO_RECOVERY, /* nothing is recovered after a restore */
	LAZYTSC_GLUE_TRUSTS_STALE, /* recovers by a page in which done could not be stored */
	LAZYTSC_GLUE_NO_LOOK, /* the thread goes on after HLT, and looks at no passed promise */
	LAZYTSC_GLUE_STAYS_LATE /* the thread goes on after HLT, and leaves the timer later */
};

struct lazytsc_scenario {
	const char *name;
	const char *summary; /* one line */
	u64 start, horizon; /* the clock goes from here to there */
	u64 wait; /* in vCPU context: how early a timer may fire; the host then waits so long */
	unsigned int where;
	unsigned int ops; /* how many the guest performs, one after the other */
	unsigned int alphabet; /* bits of enum lazytsc_guest_op */
	bool guesses; /* any guess, or none, at each opportunity */
	unsigned int trips; /* to user space and back, migration included, at any instruction */
	unsigned int slots; /* memslot changes, by another CPU */
	unsigned int wakes; /* from HLT, not by the timer */
	bool free; /* a blocked vCPU's timer stands where its guest wants it; free looks (B29) */
	unsigned int jumps; /* changes of the guest's TSC, to any value, at any instruction */
	unsigned int forgets; /* host timers that are lost, and never fire */
	unsigned int siblings; /* stores of any value to pending, by another vCPU */
	bool restores; /* trips restore a new vCPU part by part, in any order, parts left out */
	bool impatient; /* the guest reads LAZYTSC_MSR after the first miss, not the eighth (B27) */
	/*
	 * Model the kernel's glue: the page is mapped, or not, or through a memslot that has
	 * changed; a withdrawal leaves the hardware timer alone; a callback acts after it has
	 * unlocked.
	 */
	bool glue;
	unsigned int unmaps; /* how often the MMU notifier takes the mapping; with @glue */
	u64 nearest; /* lazytsc_expiry.nearest, and the monitor's bound of that name (B25) */
	u64 grace; /* the guest's, for a promise that is overdue; 0: endless */
	unsigned int stale; /* calls of expire() for a timer that was moved meanwhile */
	unsigned int prefix; /* cells fix so many of the guest's first operations */
	bool full; /* for --full only */
};

/** lazytsc_scenario_at() - the @i-th scenario, counted from 0; NULL: no more */
const struct lazytsc_scenario *lazytsc_scenario_at(unsigned int i);

/** lazytsc_scenario_find() - the scenario of that name, or NULL */
const struct lazytsc_scenario *lazytsc_scenario_find(const char *name);

/** lazytsc_scenario_cells() - the number of cells into which @s is divided */
unsigned int lazytsc_scenario_cells(const struct lazytsc_scenario *s);

/* One guest operation with its value. */
struct lazytsc_guest_step {
	enum lazytsc_guest_op op;
	u64 value;
};

/* What user space restores after a migration, each part by a call of its own. */
#define LAZYTSC_RESTORED_PARTS(X)   \
	X(CPUID, "CPUID")           \
	X(LAPIC, "the LAPIC")       \
	X(TSC, "the TSC")           \
	X(DEADLINE, "TSC_DEADLINE") \
	X(FEATURE, "LAZYTSC_MSR")   \
	X(MEMORY, "memory")

enum lazytsc_restored_part {
#define X(name, text) LAZYTSC_PART_##name,
	LAZYTSC_RESTORED_PARTS(X)
#undef X
		LAZYTSC_PARTS
};

/**
 * lazytsc_part_missing() - the @n-th part of a restore that is not done yet; LAZYTSC_PARTS: no more
 */
enum lazytsc_restored_part lazytsc_part_missing(uint8_t parts, u64 n);

enum { LAZYTSC_ALPHABET_MAX = 64, LAZYTSC_PREFIX_MAX = 4 };

/* A scenario with everything fixed that the search does not vary. */
struct lazytsc_cell {
	const struct lazytsc_scenario *scenario;
	const struct lazytsc_variant *variant;
	enum lazytsc_glue_defect glue;
	/* violations of other requirements end a path, and do not count; or NULL */
	const char *only;
	unsigned int letters;
	struct lazytsc_guest_step alphabet[LAZYTSC_ALPHABET_MAX];
	struct lazytsc_guest_step first[LAZYTSC_PREFIX_MAX];
	struct lazytsc_thread thread[4];
	struct lazytsc_program program;
};

/** lazytsc_cell_init() - the @i-th cell of a scenario; @cell must not move while in use */
void lazytsc_cell_init(struct lazytsc_cell *cell, const struct lazytsc_scenario *s, unsigned int i,
		       const struct lazytsc_variant *variant, enum lazytsc_glue_defect glue);

/** lazytsc_cell_stepper() - a stepper of the cell; NULL: no memory */
struct lazytsc_stepper *lazytsc_cell_stepper(const struct lazytsc_cell *cell,
					     enum lazytsc_model model);

/* What the threads share besides the area. Plain data. */
struct lazytsc_world {
	u64 clock; /* guest TSC */
	u64 timer; /* where the host timer is armed; 0: nowhere */
	u64 pending; /* as it reached memory */
	u64 loaded; /* what the guest last read from armed */
	/* What a restore brings back. */
	u64 saved_clock, saved_deadline, saved_pending, saved_done;
	struct lazytsc_host host;
	struct lazytsc_guest guest;
	struct lazytsc_monitor mon;
	uint8_t deciding; /* a host function runs: others wait */
	uint8_t in_host; /* the vCPU's CPU runs host code, or the thread is in user space */
	uint8_t posted; /* an injection was decided and is on its way to the LAPIC */
	uint8_t irr;
	uint8_t interrupts_on;
	uint8_t blocked;
	uint8_t masked;
	uint8_t other_mode; /* LVTT is not in deadline mode */
	uint8_t enabled; /* the host has the area */
	uint8_t slot_gone; /* the area's memslot is being changed */
	uint8_t user; /* the vCPU thread is in user space */
	uint8_t trips, slots, wakes, stale; /* used up */
	uint8_t scribbles; /* the guest's next store is outside the protocol */
	uint8_t jumps, forgets, siblings, unmaps; /* used up */
	uint8_t mapped, outdated; /* the page's mapping: there, made before a memslot change */
	uint8_t acting; /* a callback has decided and unlocked, and not acted yet */
	uint8_t undecided; /* the vCPU's thread must decide an expiry */
	uint8_t again; /* the vCPU's thread must start the timer */
	uint8_t elsewhere; /* the host timer was started by a callback on another CPU */
	uint8_t parts; /* the parts of a restore that are done: bits of lazytsc_restored_part */
	uint8_t was_enabled; /* the feature was enabled when the vCPU was saved */
	uint8_t stale_done; /* done could not be stored on the last way to user space */
	/* in this restore CPUID came before the LAPIC, so KVM kept the LAPIC's deadline mode */
	uint8_t cpuid_first;
};

/**
 * lazytsc_world_end() - nothing can happen any more: tell the monitor
 *
 * Every path comes to such a state, since each step uses up something that is bounded. There the
 * clock is at the horizon, and a deadline up to it that is still wanted is lost (A7).
 */
void lazytsc_world_end(struct lazytsc_world *w, const struct lazytsc_scenario *s);

/**
 * lazytsc_choice_of() - what a step has decided
 * @step: a step of a cell's stepper; its op is LAZYTSC_OP_CHOOSE
 *
 * Any thread; no errors.
 */
enum lazytsc_choice lazytsc_choice_of(const struct lazytsc_step_info *step);

#ifdef __cplusplus
}
#endif

#endif
