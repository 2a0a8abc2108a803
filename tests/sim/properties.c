// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor itself: every rule of <lazytsc/sim/properties.h> is made to fire by the shortest
 * history that breaks it, and named with its requirement; and histories that are right, the raced
 * ones above all, make none fire. That the machine breaks no rule, and that defective machines do,
 * is for the other tests of this directory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/sim/properties.h>

#define LATE  100
#define REARM 50

static const struct lazytsc_mon_limits limits = { .late = LATE, .rearm = REARM, .credit = 0 };
static const u64 end = 1ULL << 40;

static void decide(struct lazytsc_monitor *m, u64 tsc, u64 timer, u64 inject, bool expiry)
{
	struct lazytsc_decision d = { .timer = timer, .inject = inject };

	lazytsc_mon_decision(m, tsc, &d, expiry);
}

static void on(struct lazytsc_monitor *m)
{
	lazytsc_mon_feature(m, 0, 0x1001, end, LAZYTSC_OFFERED);
	lazytsc_mon_publish(m, 0, 0);
}

/* A lazy set that exits, and is armed at its deadline. */
static void arm(struct lazytsc_monitor *m, u64 tsc, u64 t)
{
	lazytsc_mon_set_begin(m, tsc, t);
	lazytsc_mon_trap(m, tsc, t, t);
	lazytsc_mon_publish(m, tsc, t);
	decide(m, tsc, t, 0, false);
}

static void lazy_skip(struct lazytsc_monitor *m, u64 tsc, u64 t, u64 armed)
{
	lazytsc_mon_set_begin(m, tsc, t);
	lazytsc_mon_set_skip(m, tsc, t, armed);
}

static void raw(struct lazytsc_monitor *m, u64 tsc, u64 v)
{
	lazytsc_mon_trap(m, tsc, v, 77);
	lazytsc_mon_publish(m, tsc, 0);
	decide(m, tsc, v, 0, false);
}

/* The timer fires, armed = @next is published, and the decision is made. */
static void fire(struct lazytsc_monitor *m, u64 tsc, u64 next, u64 timer, u64 inject)
{
	lazytsc_mon_host_begin(m, tsc, tsc, 0);
	lazytsc_mon_publish(m, tsc, next);
	decide(m, tsc, timer, inject, true);
}

static void inject(struct lazytsc_monitor *m, u64 tsc, u64 d)
{
	fire(m, tsc, 0, 0, d);
	lazytsc_mon_delivered(m, tsc);
}

static void withdraw(struct lazytsc_monitor *m, u64 tsc, u64 timer)
{
	lazytsc_mon_host_begin(m, tsc, tsc, 0);
	lazytsc_mon_publish(m, tsc, 0);
	decide(m, tsc, timer, 0, false);
}

/* One history for each rule: the shortest that breaks it. */

static void bad_NOT_ARMED(struct lazytsc_monitor *m)
{
	lazytsc_mon_trap(m, 0, 500, 0);
	decide(m, 0, 0, 0, false);
}

static void bad_PAST_NOT_FIRED(struct lazytsc_monitor *m)
{
	lazytsc_mon_trap(m, 500, 500, 0);
	decide(m, 500, 0, 0, false);
}

static void bad_READS_FIRED(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	inject(m, 500, 500);
	lazytsc_mon_rdmsr(m, 501, 500);
}

static void bad_FIRED_AFTER_DISARM(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazy_skip(m, 10, 0, 500);
	fire(m, 500, 0, 0, 500);
}

static void bad_FIRED_AFTER_REWRITE(struct lazytsc_monitor *m)
{
	raw(m, 0, 500);
	raw(m, 1, 900);
	fire(m, 500, 0, 0, 500);
}

static void bad_EARLY(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	fire(m, 499, 0, 0, 500);
}

static void bad_NOT_HELD(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	fire(m, 450, 0, 0, 440);
}

static void bad_RAN_EARLY(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazytsc_mon_host_begin(m, 490, 490, 20);
	lazytsc_mon_publish(m, 490, 0);
	decide(m, 490, 0, 500, true);
	lazytsc_mon_enter(m, 495);
}

static void bad_LOST(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazytsc_mon_enter(m, 500 + LATE + 1);
}

static void bad_UNDELIVERED(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	fire(m, 510, 0, 0, 500);
	lazytsc_mon_enter(m, 510 + LATE + 1);
}

static void bad_DROPPED(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	fire(m, 510, 0, 0, 500);
	lazytsc_mon_dropped(m, 510);
}

static void bad_READS_WRONG(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazy_skip(m, 10, 600, 500);
	lazytsc_mon_rdmsr(m, 20, 0);
}

static void bad_NO_WAKE(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazytsc_mon_halt(m, 10);
	inject(m, 500, 500);
	lazytsc_mon_end(m, 501, end);
}

static void bad_MASKED(struct lazytsc_monitor *m)
{
	raw(m, 0, 500);
	lazytsc_mon_mask(m, 1, true);
	fire(m, 500, 0, 0, 500);
	lazytsc_mon_mask(m, 510, false);
	lazytsc_mon_delivered(m, 520);
}

static void bad_MODE(struct lazytsc_monitor *m)
{
	raw(m, 0, 500);
	lazytsc_mon_lapic(m, 1, LAZYTSC_END_MODE, true);
	fire(m, 500, 0, 0, 500);
}

static void bad_MODE_READ(struct lazytsc_monitor *m)
{
	lazytsc_mon_lapic(m, 1, LAZYTSC_END_MODE, false);
	lazytsc_mon_rdmsr(m, 2, 500);
}

static void bad_TMCCT(struct lazytsc_monitor *m)
{
	lazytsc_mon_tmcct(m, 1, 5);
}

static void bad_APIC_OFF(struct lazytsc_monitor *m)
{
	lazytsc_mon_lapic(m, 1, LAZYTSC_END_APIC, false);
	lazytsc_mon_trap(m, 2, 1, 0);
	decide(m, 2, 0, 1, false);
}

static void bad_CONVERSION(struct lazytsc_monitor *m)
{
	lazytsc_mon_timer(m, 0, 500, 503, 2);
}

static void bad_IRR_TAKEN_BACK(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	inject(m, 500, 500);
	lazytsc_mon_irr(m, 501, false);
}

static void bad_RESET(struct lazytsc_monitor *m)
{
	raw(m, 0, 500);
	fire(m, 510, 0, 0, 500);
	lazytsc_mon_lapic(m, 511, LAZYTSC_END_RESET, true);
	lazytsc_mon_delivered(m, 512);
}

static void bad_NOT_BACKED(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	fire(m, 500, 900, 901, 500);
}

static void bad_FOREIGN_ARMED(struct lazytsc_monitor *m)
{
	lazy_skip(m, 0, 500, 400);
}

static void bad_WRONG_SKIP(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazy_skip(m, 1, 499, 500);
}

static void bad_SILENT_REARM(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazy_skip(m, 1, 600, 500);
	lazy_skip(m, 2, 700, 500);
	fire(m, 500, 0, 0, 500);
}

static void bad_TWICE(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	fire(m, 500, 900, 900, 500);
	lazytsc_mon_delivered(m, 500);
	lazytsc_mon_take(m, 501);
	fire(m, 900, 0, 0, 500);
}

static void bad_RAW_LOST(struct lazytsc_monitor *m)
{
	raw(m, 0, 500);
	lazytsc_mon_end(m, 501, end);
}

static void bad_RAW_LAZY(struct lazytsc_monitor *m)
{
	lazytsc_mon_trap(m, 0, 500, 400);
	lazytsc_mon_publish(m, 0, 500);
	decide(m, 0, 500, 0, false);
}

static void bad_NOT_WITHDRAWN(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazytsc_mon_mask(m, 1, true);
}

static void bad_SAYS_ENABLED(struct lazytsc_monitor *m)
{
	lazytsc_mon_feature(m, 0, 0, end, LAZYTSC_OFFERED);
	lazytsc_mon_feature_read(m, 1, 0x1001);
}

static void bad_PAST_ARMED(struct lazytsc_monitor *m)
{
	lazytsc_mon_trap(m, 500, 400, 400);
	lazytsc_mon_publish(m, 500, 400);
	decide(m, 500, 400, 400, false);
}

static void bad_REPEATS(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	for (u64 t = 501; t < 510; t++)
		lazy_skip(m, 1, t, 500);
	for (int i = 0; i < 9; i++)
		fire(m, 500, 500, 500, 0);
}

static void bad_STEERED(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazytsc_mon_scribble(m, 1, true);
	lazytsc_mon_enter(m, 500 + LATE + 1);
}

static void bad_BAD_WORD(struct lazytsc_monitor *m)
{
	lazytsc_mon_feature(m, 0, 0x1021, end, LAZYTSC_OFFERED);
}

static void bad_TOO_MANY(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazy_skip(m, 1, 600, 500);
	fire(m, 500, 550, 550, 0);
	fire(m, 550, 600, 600, 0);
}

static void bad_SPURIOUS_WAKE(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazy_skip(m, 1, 600, 500);
	lazytsc_mon_halt(m, 2);
	fire(m, 500, 600, 600, 0);
	lazytsc_mon_wake(m, 500, false);
}

static void bad_STAYS_LATE(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazy_skip(m, 1, 600, 500);
	lazytsc_mon_halt(m, 2);
	lazytsc_mon_wake(m, 3, true);
	lazytsc_mon_goes_on(m, 3, 500);
	assert_int_equal(m->broken.rule, 0);
	lazytsc_mon_goes_on(m, 3, 600);
}

static void bad_READS_GUESS(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	fire(m, 500, 900, 900, 500);
	lazytsc_mon_delivered(m, 500);
	lazytsc_mon_rdmsr(m, 501, 900);
}

static void bad_REARM_LATE(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazy_skip(m, 1, 600, 500);
	fire(m, 500, 600, 600, 0);
	lazytsc_mon_enter(m, 600 + LATE + REARM);
	assert_int_equal(m->broken.rule, LAZYTSC_RULE_NONE);
	lazytsc_mon_enter(m, 600 + LATE + REARM + 1);
}

static void bad_WAIT_LATE(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazytsc_mon_host_begin(m, 490, 490, 20);
	lazytsc_mon_publish(m, 490, 0);
	decide(m, 490, 0, 500, true);
	lazytsc_mon_delivered(m, 500 + LATE + 1);
}

static void bad_PAGE_IN_USE(struct lazytsc_monitor *m)
{
	lazytsc_mon_page_reused(m, 1);
}

static void bad_PAGE_AT_REST(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazytsc_mon_dirty(m, 1);
	lazytsc_mon_user(m, 1);
}

static void bad_PAGE_CLEAN(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	withdraw(m, 1, 500);
	lazytsc_mon_user(m, 1);
}

static void bad_STALE_ARMED(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazytsc_mon_moved(m, 1);
	lazytsc_mon_enter(m, 2);
	lazy_skip(m, 3, 600, 500);
}

static void bad_NOT_OFFERED(struct lazytsc_monitor *m)
{
	lazytsc_mon_feature(m, 0, 0x1001, end, LAZYTSC_UNKNOWN);
}

static void bad_SLOT_GONE(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazytsc_mon_memslot(m, 1);
}

static void bad_STALE_TIMER(struct lazytsc_monitor *m)
{
	arm(m, 0, 500);
	lazytsc_mon_jump(m, 100);
	lazytsc_mon_enter(m, 101);
}

static void bad_APICV_TIMER(struct lazytsc_monitor *m)
{
	lazytsc_mon_feature(m, 0, 0x1001, end, LAZYTSC_APIC_TIMER_VIRTUAL);
}

/* Two that nobody paid for, and the vCPU's thread in between; then two near each other. */
static void bad_STORM(struct lazytsc_monitor *m)
{
	m->limits.nearest = 100;
	lazytsc_mon_elsewhere(m, 500);
	lazytsc_mon_paid(m);
	lazytsc_mon_elsewhere(m, 501);
	lazytsc_mon_elsewhere(m, 601);
	assert_int_equal(m->broken.rule, LAZYTSC_RULE_NONE);
	lazytsc_mon_elsewhere(m, 700);
}

static void bad_NOT_ENABLED(struct lazytsc_monitor *m)
{
	m->limits.patience = 2;
	arm(m, 0, 500);
	lazytsc_mon_wrote(m, 1, 500);
	m->enabled = 0;
	raw(m, 2, 490);
	lazytsc_mon_wrote(m, 3, 490);
	lazytsc_mon_wrote(m, 4, 4); /* past: the host need not have promised anything */
	raw(m, 5, 480);
	lazytsc_mon_wrote(m, 5, 480);
	assert_int_equal(m->broken.rule, LAZYTSC_RULE_NONE);
	raw(m, 6, 470);
	lazytsc_mon_wrote(m, 6, 470);
}

/* Only when both the TSC and the deadline are beyond what was promised by more than the grace. */
static void bad_OVERDUE_SKIP(struct lazytsc_monitor *m)
{
	m->limits.grace = 50;
	arm(m, 0, 500);
	lazytsc_mon_forsaken(m);
	lazy_skip(m, 550, 9000, 500);
	lazy_skip(m, 551, 550, 500);
	lazytsc_mon_set_begin(m, 551, 9000);
	lazytsc_mon_jump(m, 540);
	lazytsc_mon_set_skip(m, 552, 9000, 500);
	m->stale_timer = 0;
	assert_int_equal(m->broken.rule, LAZYTSC_RULE_NONE);
	lazy_skip(m, 552, 9001, 500);
}

static const struct {
	const char *name;
	const char *requirement;
	void (*history)(struct lazytsc_monitor *m);
} bad[LAZYTSC_RULE_COUNT] = {
#define X(name, requirement, sentence) [LAZYTSC_RULE_##name] = { #name, requirement, bad_##name },
	LAZYTSC_RULES(X)
#undef X
};

static void every_rule_fires(void **state)
{
	(void)state;
	for (unsigned int rule = 1; rule < LAZYTSC_RULE_COUNT; rule++) {
		struct lazytsc_monitor m;
		char text[200];

		lazytsc_mon_init(&m, &limits);
		on(&m);
		bad[rule].history(&m);
		lazytsc_broken_text(&m.broken, text, sizeof(text));
		if (m.broken.rule != rule)
			fail_msg("%s: got \"%s\"", bad[rule].name, text);
		assert_int_equal(
			strncmp(text, bad[rule].requirement, strlen(bad[rule].requirement)), 0);
		assert_null(strchr(text, '%'));
	}
}

static struct lazytsc_monitor fine;

static int start(void **state)
{
	(void)state;
	lazytsc_mon_init(&fine, &limits);
	on(&fine);
	return 0;
}

static int none_broken(void **state)
{
	char text[200];

	(void)state;
	lazytsc_broken_text(&fine.broken, text, sizeof(text));
	if (fine.broken.rule)
		print_error("%s\n", text);
	return fine.broken.rule != LAZYTSC_RULE_NONE;
}

/* The worked example of docs/protocol.md. */
static void worked_example(void **state)
{
	struct lazytsc_monitor *m = &fine;

	(void)state;
	arm(m, 0, 500);
	lazy_skip(m, 1, 510, 500);
	lazy_skip(m, 2, 520, 500);
	lazy_skip(m, 3, 600, 500);
	fire(m, 500, 600, 600, 0);
	lazytsc_mon_rdmsr(m, 501, 600);
	fire(m, 600, 0, 0, 600);
	lazytsc_mon_rdmsr(m, 601, 600);
	lazytsc_mon_delivered(m, 601);
	lazytsc_mon_rdmsr(m, 602, 0);
	lazytsc_mon_take(m, 603);
	lazytsc_mon_end(m, 700, ~0ULL);
	assert_int_equal(m->skips, 3);
	assert_int_equal(m->silent, 1);
	assert_int_equal(m->deliveries, 1);
}

/* P was read when due; the guest disarms before the decision, and before the delivery. */
static void disarm_races_with_injection(void **state)
{
	struct lazytsc_monitor *m = &fine;

	(void)state;
	arm(m, 0, 500);
	lazytsc_mon_host_begin(m, 500, 500, 0);
	lazytsc_mon_publish(m, 500, 0);
	lazytsc_mon_set_begin(m, 500, 0);
	lazytsc_mon_set_skip(m, 501, 0, 500);
	decide(m, 502, 0, 500, true);
	lazytsc_mon_delivered(m, 503);
	lazytsc_mon_take(m, 504);
	lazytsc_mon_end(m, 505, ~0ULL);
}

/* The guest moves a due deadline: to the remote host either one is wanted. */
static void move_races_with_injection(void **state)
{
	struct lazytsc_monitor *m = &fine;

	(void)state;
	arm(m, 0, 500);
	lazytsc_mon_set_begin(m, 500, 800);
	fire(m, 501, 0, 0, 500);
	lazytsc_mon_trap(m, 502, 800, 800);
	lazytsc_mon_publish(m, 502, 800);
	decide(m, 502, 800, 0, false);
	lazytsc_mon_delivered(m, 503);
	lazytsc_mon_take(m, 504);
	inject(m, 800, 800);
	lazytsc_mon_take(m, 801);
	assert_int_equal(m->taken_count, 2);
}

/* A set in the past, injected by a remote decision and by its own WRMSR: one interrupt. */
static void both_injections_meet_in_irr(void **state)
{
	struct lazytsc_monitor *m = &fine;

	(void)state;
	arm(m, 0, 500);
	lazytsc_mon_set_begin(m, 510, 505);
	fire(m, 511, 0, 0, 505);
	lazytsc_mon_delivered(m, 511);
	lazytsc_mon_trap(m, 512, 505, 505);
	decide(m, 512, 0, 505, false);
	lazytsc_mon_delivered(m, 512);
	lazytsc_mon_take(m, 513);
	lazytsc_mon_end(m, 514, ~0ULL);
	assert_int_equal(m->deliveries, 1);
}

/* The set's WRMSR is on its way when the former timer fires: silent, and charged to nobody. */
static void silent_during_a_write(void **state)
{
	struct lazytsc_monitor *m = &fine;

	(void)state;
	arm(m, 0, 500);
	lazytsc_mon_set_begin(m, 499, 450);
	fire(m, 500, 0, 0, 0);
	lazytsc_mon_trap(m, 501, 450, 450);
	decide(m, 501, 0, 450, false);
	lazytsc_mon_delivered(m, 501);
	lazytsc_mon_take(m, 502);
	assert_int_equal(m->silent, 0);
}

/* Save between two steps of a migration, restore on another host, and go on. */
static void migration(void **state)
{
	struct lazytsc_monitor *m = &fine;

	(void)state;
	arm(m, 0, 500);
	lazy_skip(m, 1, 600, 500);
	withdraw(m, 2, 600);
	lazytsc_mon_dirty(m, 2);
	lazytsc_mon_user(m, 2);
	lazytsc_mon_rdmsr(m, 2, 600);
	lazytsc_mon_moved(m, 900);
	lazytsc_mon_restore(m, 901, 600);
	lazytsc_mon_feature(m, 902, 0x1001, end, LAZYTSC_OFFERED);
	lazytsc_mon_enter(m, 950);
	inject(m, 951, 600);
	lazytsc_mon_take(m, 952);
	lazytsc_mon_end(m, 953, ~0ULL);
}

/* An injection that was decided but not delivered is saved as a deadline, and fires again. */
static void migration_with_an_injection_on_its_way(void **state)
{
	struct lazytsc_monitor *m = &fine;

	(void)state;
	arm(m, 0, 500);
	fire(m, 500, 0, 0, 500);
	lazytsc_mon_dirty(m, 501);
	lazytsc_mon_user(m, 501);
	lazytsc_mon_rdmsr(m, 501, 500);
	lazytsc_mon_moved(m, 9000);
	lazytsc_mon_restore(m, 9000, 500);
	lazytsc_mon_enter(m, 9010);
	inject(m, 9020, 500);
	lazytsc_mon_take(m, 9021);
	lazytsc_mon_end(m, 9022, ~0ULL);
}

/* The same in the middle of a set, which the host does not know of: the former one fires again. */
static void migration_during_a_set(void **state)
{
	struct lazytsc_monitor *m = &fine;

	(void)state;
	raw(m, 0, 500);
	lazytsc_mon_set_begin(m, 499, 700);
	lazytsc_mon_dirty(m, 499);
	lazytsc_mon_user(m, 499);
	fire(m, 500, 0, 0, 500);
	lazytsc_mon_rdmsr(m, 501, 500);
	lazytsc_mon_moved(m, 600);
	lazytsc_mon_enter(m, 610);
	inject(m, 611, 500);
	lazytsc_mon_take(m, 612);
	lazytsc_mon_trap(m, 613, 700, 700);
	decide(m, 613, 700, 0, false);
	inject(m, 700, 700);
	lazytsc_mon_take(m, 701);
	lazytsc_mon_end(m, 702, ~0ULL);
}

/* Decided, and the TSC jumps back: the deadline reads as set until its interrupt is delivered. */
static void jump_back_under_an_injection(void **state)
{
	struct lazytsc_monitor *m = &fine;

	(void)state;
	arm(m, 0, 500);
	fire(m, 500, 0, 0, 500);
	lazytsc_mon_jump(m, 100);
	lazytsc_mon_timer(m, 100, 0, 0, 0);
	lazytsc_mon_enter(m, 101);
	lazytsc_mon_rdmsr(m, 102, 500);
	lazytsc_mon_delivered(m, 103);
	lazytsc_mon_rdmsr(m, 104, 0);
	lazytsc_mon_take(m, 105);
	lazytsc_mon_end(m, 106, ~0ULL);
}

static void hostile_page_excuses_only_itself(void **state)
{
	struct lazytsc_monitor *m = &fine;

	(void)state;
	arm(m, 0, 500);
	lazytsc_mon_scribble(m, 1, false);
	fire(m, 500, 777, 777, 0);
	fire(m, 777, 0, 0, 777);
	lazytsc_mon_delivered(m, 777);
	lazytsc_mon_take(m, 778);
	raw(m, 779, 800);
	inject(m, 800, 800);
	lazytsc_mon_end(m, 801, ~0ULL);
}

static void huge_deadline_is_never_late(void **state)
{
	struct lazytsc_monitor *m = &fine;

	(void)state;
	arm(m, 0, ~0ULL);
	lazytsc_mon_enter(m, ~0ULL - 1);
	lazytsc_mon_rdmsr(m, ~0ULL - 1, ~0ULL);
	lazytsc_mon_end(m, ~0ULL - 1, ~0ULL - 1);
}

/* Periods that were missed are not made up for before the guest runs. */
static void many_counts(struct lazytsc_monitor *m, bool missed)
{
	lazytsc_mon_lapic(m, 1, LAZYTSC_END_MODE, false);
	for (u64 t = 2; t < 12; t++)
		lazytsc_mon_count(m, t, missed);
}

static void counts_in_other_modes(void **state)
{
	(void)state;
	many_counts(&fine, false);
}

static void counts_in_deadline_mode(void **state)
{
	struct lazytsc_monitor m = fine;

	(void)state;
	lazytsc_mon_count(&m, 1, false);
	assert_int_equal(m.broken.rule, LAZYTSC_RULE_MODE);
}

static void counts_that_catch_up(void **state)
{
	struct lazytsc_monitor m = fine;

	(void)state;
	many_counts(&m, true);
	assert_int_equal(m.broken.rule, LAZYTSC_RULE_REPEATS);
}

#define fine_test(f) cmocka_unit_test_setup_teardown(f, start, none_broken)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_fires),
		fine_test(worked_example),
		fine_test(disarm_races_with_injection),
		fine_test(move_races_with_injection),
		fine_test(both_injections_meet_in_irr),
		fine_test(silent_during_a_write),
		fine_test(migration),
		fine_test(migration_with_an_injection_on_its_way),
		fine_test(migration_during_a_set),
		fine_test(jump_back_under_an_injection),
		fine_test(hostile_page_excuses_only_itself),
		fine_test(huge_deadline_is_never_late),
		fine_test(counts_in_other_modes),
		fine_test(counts_in_deadline_mode),
		fine_test(counts_that_catch_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
