/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a simulated vCPU: a straight stack of files, each of which calls only what stands
 * below it.
 *
 *	machine     configuration, phases, counts
 *	loop        the vCPU's thread, what happens next
 *	trouble     what disturbs it from outside
 *	restore     user space saves and restores it
 *	guest       what its workload does
 *	registers   what the guest reaches by exits
 *	decide      what the core decides, and what is done then
 *	lapic, count, hosttimer
 *	record      a step, a publication, an exit, counts
 */
#ifndef LAZYTSC_SIM_VCPU_H
#define LAZYTSC_SIM_VCPU_H

#include <lazytsc/sim/machine.h>

#include "wide.h"

#define NEVER	(~(u64)0)
#define RATIO_1 ((u64)1 << 48)

/*
 * The clocks. Time, the unit of everything below, is that of the first host's TSC, counted from the
 * start. The vCPU's host has a TSC of its own, and the guest's is derived from it as VMX does:
 * offset + host TSC * ratio.
 */
struct clock {
	u64 t0; /* time at which host_base was read */
	u64 host_base;
	u64 host_mul; /* host cycles for each unit of time, 48 fractional bits */
	u64 offset;
	u64 ratio; /* guest cycles for each host cycle, 48 fractional bits */
};

static inline u64 mul48(u64 a, u64 ratio)
{
	if (ratio == RATIO_1)
		return a;
	return wide_mul_shift(a, ratio, 48);
}

/* Rounds up, so that a timer is never early by rounding; saturates. */
static inline u64 div48(u64 a, u64 ratio)
{
	if (ratio == RATIO_1)
		return a;
	return wide_mul_div_sat(a, RATIO_1, ratio - 1, ratio);
}

static inline u64 add_sat(u64 a, u64 b)
{
	return a > ~b ? NEVER : a + b;
}

static inline u64 clock_guest(const struct clock *c, u64 time)
{
	return c->offset + mul48(c->host_base + mul48(time - c->t0, c->host_mul), c->ratio);
}

/* What the vCPU's thread does next. */
enum self {
	SELF_OP, /* in guest mode: the workload's operation */
	SELF_HANDLER, /* in guest mode: the timer's interrupt handler ends */
	SELF_TRAP, /* an exit has reached the host: carry the operation out */
	SELF_EXPIRE, /* an exit for the host timer */
	SELF_ENTER, /* about to enter guest mode */
	SELF_BLOCK, /* HLT has exited: block */
	SELF_WOKEN, /* blocked no longer */
	SELF_USER_BACK, /* the thread comes back from user space */
	SELF_NONE
};

enum state {
	GUEST, /* in guest mode */
	EXITED, /* the host is at work for it */
	BLOCKED,
	USER /* its thread is in user space */
};

/* What can happen next; the index is no order: of events at the same time one is drawn. */
enum source {
	AT_SELF,
	AT_TIMER, /* the host timer fires */
	AT_ARRIVAL, /* a kick or a posted interrupt arrives */
	AT_DEVICE, /* another device wakes the guest from HLT */
	AT_COUNT, /* the count of another timer mode comes to 0 */
	AT_TROUBLE,
	AT_SOURCES
};

#define STEPS 64

struct vcpu {
	u64 at[AT_SOURCES];
	u64 now; /* time */
	u64 tsc; /* the guest's TSC at that time */
	const struct lazytsc_machine *m;
	struct clock clock;

	/* The thread. */
	uint8_t self; /* enum self */
	uint8_t state; /* enum state */
	uint8_t halted; /* the guest is in HLT, whatever its thread does */
	uint8_t in_wrmsr; /* a hooked set wants its WRMSR, which has not exited yet */
	uint8_t was_user; /* the promise is to be published again */
	uint8_t host; /* on which host: 0, 1 */
	uint8_t settling; /* the guest does nothing any more */
	uint8_t done; /* the workload has ended */
	uint8_t device; /* another device ended the HLT that the thread is not in */
	uint8_t moving; /* saved, and not restored yet */
	uint8_t moved; /* saved, and has not run since */
	uint8_t mixed; /* LAZYTSC_TIMER_MIXED: the kind of the moment */
	uint8_t retime; /* the TSC has changed: before the next entry the timer is computed anew */
	uint8_t hw_false; /* the hv timer has fired although it was not due */
	uint8_t elsewhere; /* the host timer was started by a callback on another CPU */
	uint8_t left; /* a callback has left it to the thread to start the timer */
	uint8_t counted; /* a count has come to 0, and its interrupt is not in IRR yet */

	/* The guest. */
	const struct lazytsc_workload *workload;
	struct lazytsc_workload_op op;
	struct lazytsc_workload_state ps;
	struct lazytsc_guest guest;
	u64 wrote; /* the deadline of a set that has exited; 0: none, or seen to already */
	uint8_t looks; /* the guest reads LAZYTSC_MSR after it: that exits */
	uint8_t looked; /* it has read it */
	uint8_t reserved[6];

	/* The LAPIC. */
	uint8_t irr, isr;
	uint8_t masked;
	uint8_t mode_off, apic_off; /* not in deadline mode; hardware-disabled */
	uint8_t no_bit; /* CPUID has no deadline bit: LVTT has no such mode */
	uint8_t periodic; /* not in deadline mode: the count starts again at 0 */
	uint8_t count_irr; /* its interrupt waits; LVTT has another vector in these modes */
	u64 count; /* what TMICT says, units of time; 0: nothing counts */
	u64 count_due; /* when it has come to 0, guest TSC */
	u64 irr_deadline;
	u64 set_tsc; /* of the last set: before it nothing is late */

	/* The host. */
	struct lazytsc_host hostside;
	struct lazytsc_area *host_area; /* NULL: off, or out of reach */
	u64 word; /* LAZYTSC_MSR as the host keeps it */
	u64 inject; /* an injection decided, not delivered; 0: none */
	u64 hw_deadline; /* guest TSC for which the host timer is set; 0: stopped */
	uint8_t hw_kind; /* enum lazytsc_timer_kind, never MIXED */
	uint8_t hw_expired; /* the hv timer ran out outside guest mode: exits at once on entry */
	uint8_t slot_gone; /* the memslot is being changed */
	uint8_t dirty; /* the page, since the last pass of a migration */
	uint8_t precopied; /* a migration's first pass is over */
	uint8_t restored; /* user space has restored something, and the vCPU has not run since */
	uint8_t stale; /* `done` could not be stored in the page (LAZYTSC_MSR_STALE) */
	uint8_t sets_lapic; /* in user space: KVM_SET_LAPIC is on its way */
	u64 settling_guesses;
	/* What a migration carries. */
	struct {
		u64 deadline;
		u64 word;
		u64 offset; /* of the TSC */
		struct lazytsc_area memory;
		uint8_t irr, count_irr;
		uint8_t stale;
		uint8_t parts; /* what is not restored yet; 0: all is */
		uint8_t how; /* enum lazytsc_restore */
		uint8_t no_bit; /* CPUID comes without the deadline bit */
		uint8_t had_no_bit; /* the guest had none before */
	} saved;
	u64 trouble_at[LAZYTSC_TROUBLE_COUNT];
	struct lazytsc_random random; /* the machine's own; the workload has another */
	struct lazytsc_random migrations; /* the same numbers for every vCPU */
	void *guess_state; /* of the source of guesses */

	struct lazytsc_area area;
	struct lazytsc_area precopy; /* what the first pass of a migration copied */
	struct lazytsc_monitor mon;
	struct lazytsc_machine_stats stats;
	u64 host_time, other_time; /* as host_ns and other_ns, in units of time */
	u64 steps;
	struct lazytsc_machine_step step[STEPS];
};

/* Costs and configuration in units of time. */
struct derived {
	struct lazytsc_costs cost;
	u64 advance, late;
	u64 trouble[LAZYTSC_TROUBLE_COUNT];
	u64 downtime;
	u64 wait; /* the advance, in guest cycles */
	u64 grace; /* the guest's, for a promise that is overdue; guest cycles */
	u64 nearest; /* of silent re-arms on another CPU (B25); guest cycles */
	u64 shortest; /* period of a count */
	u64 ns_per_cycle; /* of the guest's TSC, 48 fractional bits */
	struct lazytsc_mon_limits limits;
};

struct lazytsc_machine {
	struct lazytsc_machine_config config;
	struct derived d;
	char *guess_states;
	struct vcpu vcpu[];
};

/* The guest's physical address of every area here, and the end of its address space. */
#define AREA_GPA 0x1000
#define GPA_END	 ((u64)1 << 46)

static inline bool defect(const struct vcpu *v, enum lazytsc_machine_defect d)
{
	return __builtin_expect(v->m->config.defects >> d & 1, 0);
}

static inline const struct lazytsc_variant *variant(const struct vcpu *v)
{
	return v->m->config.variant;
}

/* A delay of @guest guest cycles, as time. */
static inline u64 delay(const struct vcpu *v, u64 guest)
{
	return div48(div48(guest, v->clock.ratio), v->clock.host_mul);
}

/* When the guest's TSC reads @tsc, or now where it has passed. */
static inline u64 time_of(const struct vcpu *v, u64 tsc)
{
	return tsc <= v->tsc ? v->now : add_sat(v->now, delay(v, tsc - v->tsc));
}

static inline u64 roll(struct vcpu *v, u64 n)
{
	return lazytsc_random_below(&v->random, n);
}

static inline void self(struct vcpu *v, enum self what, u64 at)
{
	v->self = what;
	v->at[AT_SELF] = at;
}

#endif
