// SPDX-License-Identifier: BSD-2-Clause
/*
 * The machine: what it does is right, the same each time, and not right by accident.
 *
 * Right: swarms of random machines break no requirement with the stock timer, the lazy protocol and
 * the predictor; guests are served the same with each (B24). The same: everything is run twice, in
 * another order. Not by accident: for each requirement that the machine can express there is a
 * deliberately defective machine or protocol here that breaks it, and the machine without the
 * defect does not (docs/simulator.md lists the requirements that it cannot express, and why).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/sim/machine.h>

#define MS 1000000ULL

static struct lazytsc_machine_config config(const char *guest)
{
	struct lazytsc_machine_config c = lazytsc_machine_config_default();

	c.workload = lazytsc_workload_find(guest);
	assert_non_null(c.workload);
	return c;
}

/* The requirement that a run breaks, or "". */
static const char *run(const struct lazytsc_machine_config *c, u64 ms,
		       struct lazytsc_machine_stats *stats, char *text, size_t size)
{
	struct lazytsc_machine *m = lazytsc_machine_new(c);
	const char *broken = "";

	assert_non_null(m);
	if (lazytsc_machine_run(m, ms * MS))
		lazytsc_machine_settle(m);
	for (unsigned int i = 0; i < c->vcpus; i++) {
		const struct lazytsc_broken *b = lazytsc_machine_broken(m, i);
		struct lazytsc_machine_stats s = lazytsc_machine_stats(m, i);

		if (stats)
			lazytsc_machine_add(stats, &s);
		if (b && !*broken) {
			broken = lazytsc_rule_requirement(b->rule);
			if (text)
				lazytsc_broken_text(b, text, size);
		}
	}
	lazytsc_machine_free(m);
	return broken;
}

static void assert_good(const struct lazytsc_machine_config *c, u64 ms,
			struct lazytsc_machine_stats *stats)
{
	char text[256] = "";

	if (*run(c, ms, stats, text, sizeof(text)))
		fail_msg("seed %llu, guest %s, variant %s: %s", (unsigned long long)c->seed,
			 c->workload->name, c->variant->name, text);
}

/* A defect: a flag of the machine, or a protocol that overrides a function. */
struct defective {
	const char *requirement;
	const char *guest;
	u64 defects;
	struct lazytsc_variant variant; /* functions that are set override those of `base` */
	const struct lazytsc_variant *base; /* NULL: lazy */
	const struct lazytsc_guess_source *guess;
	enum lazytsc_timer_kind timer;
	enum lazytsc_offer offer;
	unsigned int troubles; /* bits of enum lazytsc_trouble */
	enum lazytsc_restore restore;
	u64 every; /* mean ns between two troubles; 0: one ms */
	u64 guest_khz; /* 0: as the host's */
	bool free_looks;
};

static struct lazytsc_decision write_ignored(struct lazytsc_host *h, struct lazytsc_area *area,
					     u64 v, u64 now, u64 guess)
{
	(void)area;
	(void)v;
	(void)now;
	(void)guess;
	return (struct lazytsc_decision){ .timer = h->timer };
}

static struct lazytsc_decision past_ignored(struct lazytsc_host *h, struct lazytsc_area *area,
					    u64 v, u64 now, u64 guess)
{
	return v && v <= now ? lazytsc_host_cancel(h, area)
			     : lazytsc_host_write(h, area, v, now, guess);
}

static struct lazytsc_decision zero_ignored(struct lazytsc_host *h, struct lazytsc_area *area,
					    u64 v, u64 now, u64 guess)
{
	return v ? lazytsc_host_write(h, area, v, now, guess)
		 : (struct lazytsc_decision){ .timer = h->timer };
}

static struct lazytsc_decision first_wins(struct lazytsc_host *h, struct lazytsc_area *area, u64 v,
					  u64 now, u64 guess)
{
	if (h->timer && v > h->timer && !h->lazy)
		return (struct lazytsc_decision){ .timer = h->timer };
	return lazytsc_host_write(h, area, v, now, guess);
}

static struct lazytsc_decision past_armed(struct lazytsc_host *h, struct lazytsc_area *area, u64 v,
					  u64 now, u64 guess)
{
	struct lazytsc_decision d = lazytsc_host_write(h, area, v, now, guess);

	if (d.inject && area)
		lazytsc_store(&area->armed, v);
	return d;
}

static struct lazytsc_decision unbacked(struct lazytsc_host *h, struct lazytsc_area *area, u64 v,
					u64 now, u64 guess)
{
	struct lazytsc_decision d = lazytsc_host_write(h, area, v, now, guess);

	if (area && h->lazy)
		lazytsc_store(&area->armed, h->timer - 1);
	return d;
}

/* The kernel's old conversion: what is too far ahead overflows. */
static struct lazytsc_decision overflows(struct lazytsc_host *h, struct lazytsc_area *area, u64 v,
					 u64 now, u64 guess)
{
	struct lazytsc_decision d = lazytsc_host_write(h, area, v, now, guess);

	if (v > (u64)1 << 62) {
		d = lazytsc_host_cancel(h, area);
		d.inject = v;
	}
	return d;
}

static struct lazytsc_decision commits_early(struct lazytsc_host *h, struct lazytsc_area *area,
					     const struct lazytsc_expiry *e)
{
	struct lazytsc_expiry other = *e;

	other.context = LAZYTSC_VCPU;
	other.wait = e->wait + 100000;
	return lazytsc_host_expire(h, area, &other);
}

/* Forgets the later deadline instead of arming it. */
static struct lazytsc_decision forgets(struct lazytsc_host *h, struct lazytsc_area *area,
				       const struct lazytsc_expiry *e)
{
	struct lazytsc_decision d = lazytsc_host_expire(h, area, e);

	return d.inject || !d.timer ? d : lazytsc_host_cancel(h, area);
}

/* Compares with now and not with the armed that fired. */
static struct lazytsc_decision redelivers(struct lazytsc_host *h, struct lazytsc_area *area,
					  const struct lazytsc_expiry *e)
{
	u64 fired = h->timer;
	u64 pending = area ? lazytsc_load(&area->pending) : 0;
	struct lazytsc_decision d = lazytsc_host_expire(h, area, e);

	if (!d.inject && pending && pending < fired && pending <= e->now)
		d.inject = pending;
	return d;
}

/* Where the later deadline lies is not looked at: the same timer again. */
static struct lazytsc_decision spins(struct lazytsc_host *h, struct lazytsc_area *area,
				     const struct lazytsc_expiry *e)
{
	if (h->lazy && lazytsc_load(&area->pending) > e->now)
		return (struct lazytsc_decision){ .timer = h->timer };
	return lazytsc_host_expire(h, area, e);
}

/* Injects first and looks afterwards. */
static struct lazytsc_decision injects_first(struct lazytsc_host *h, struct lazytsc_area *area,
					     const struct lazytsc_expiry *e)
{
	u64 fired = h->timer;
	struct lazytsc_decision d = lazytsc_host_expire(h, area, e);

	if (!d.inject && fired <= e->now + e->wait)
		d.inject = fired;
	return d;
}

static u64 reads_pending(const struct lazytsc_host *h, const struct lazytsc_area *area)
{
	return area ? lazytsc_load(&area->pending) : lazytsc_host_deadline(h, area);
}

static u64 reads_nothing(const struct lazytsc_host *h, const struct lazytsc_area *area)
{
	(void)h;
	(void)area;
	return 0;
}

static u64 reads_timer(const struct lazytsc_host *h, const struct lazytsc_area *area)
{
	(void)area;
	return h->timer;
}

static bool skips_always(struct lazytsc_guest *g, u64 t)
{
	if (!g->area || lazytsc_load(&g->area->armed) == 0)
		return lazytsc_guest_set(g, t);
	lazytsc_store(&g->area->pending, t);
	return false;
}

static struct lazytsc_decision keeps_armed(struct lazytsc_host *h, struct lazytsc_area *area,
					   enum lazytsc_withdraw_reason reason)
{
	if (reason == LAZYTSC_WITHDRAW_USERSPACE)
		return (struct lazytsc_decision){ .timer = h->timer };
	return lazytsc_host_withdraw(h, area, reason);
}

/* A host that looks at the armed which the guest can write. */
static struct lazytsc_decision believes_armed(struct lazytsc_host *h, struct lazytsc_area *area,
					      const struct lazytsc_expiry *e)
{
	if (h->lazy && lazytsc_load(&area->armed) != h->timer)
		return lazytsc_host_cancel(h, area);
	return lazytsc_host_expire(h, area, e);
}

static void guesses_init(void *state, u64 wait)
{
	(void)state;
	(void)wait;
}

static u64 guesses_write(void *state, const struct lazytsc_host *h, const struct lazytsc_area *area,
			 u64 v, u64 now)
{
	(void)state;
	(void)h;
	(void)area;
	(void)v;
	return now + 30000;
}

static u64 guesses_expire(void *state, const struct lazytsc_host *h,
			  const struct lazytsc_area *area, const struct lazytsc_expiry *e)
{
	(void)state;
	(void)h;
	(void)area;
	return e->now + e->wait + 30000;
}

#define GUESSES(name_, credit_)                                                        \
	{                                                                              \
		.name = (name_), .size = 8, .credit = (credit_), .init = guesses_init, \
		.write = guesses_write, .expire = guesses_expire                       \
	}

/* Guesses without end, and a bound that excuses them or does not. */
static const struct lazytsc_guess_source excused = GUESSES("excused", (u64)1 << 40);
static const struct lazytsc_guess_source not_excused = GUESSES("not excused", 10);

#define BIT(name)     ((u64)1 << LAZYTSC_DEFECT_##name)
#define TROUBLE(name) (1u << LAZYTSC_TROUBLE_##name)

static const struct defective defective[] = {
	{ "A1", "tick", .variant.host_write = write_ignored },
	{ "A2", "random", .variant.host_write = past_ignored },
	{ "A3", "random", .variant.host_deadline = reads_pending },
	{ "A4", "raw", .base = &lazytsc_variant_stock, .variant.host_write = zero_ignored },
	{ "A5", "raw", .base = &lazytsc_variant_stock, .variant.host_write = first_wins },
	{ "A6", "tick", .defects = BIT(NO_WAIT) },
	{ "A6", "storm", .variant.host_expire = commits_early, .timer = LAZYTSC_TIMER_REMOTE },
	{ "A6", "random", .variant.host_write = overflows },
	{ "A7", "tick", .defects = BIT(NO_KICK), .timer = LAZYTSC_TIMER_REMOTE },
	{ "A7", "storm", .variant.host_expire = forgets },
	{ "A6", "storm", .defects = BIT(BELIEVES_TIMER), .troubles = TROUBLE(early) },
	{ "A7", "nohz-rr", .defects = BIT(NO_RECOVERY), .troubles = TROUBLE(migrate),
	  .restore = LAZYTSC_RESTORE_PARTS },
	{ "A7", "nohz-rr", .defects = BIT(LAPIC_DROPS), .base = &lazytsc_variant_stock,
	  .timer = LAZYTSC_TIMER_REMOTE, .troubles = TROUBLE(lapic) },
	{ "A8", "random", .variant.host_deadline = reads_nothing },
	{ "A9", "raw", .defects = BIT(NO_WAKE), .timer = LAZYTSC_TIMER_REMOTE },
	{ "A10", "random", .defects = BIT(DELIVER_MASKED) },
	{ "A11", "random", .defects = BIT(MODE_KEEPS), .base = &lazytsc_variant_stock },
	{ "A11", "random", .defects = BIT(COUNT_KEEPS) },
	{ "A12", "random", .defects = BIT(TMCCT_COUNTS) },
	{ "A12", "random", .defects = BIT(TMICT_COUNTS) },
	{ "A13", "random", .defects = BIT(APIC_OFF_ARMS), .base = &lazytsc_variant_stock },
	{ "A15", "storm", .defects = BIT(NO_SCALING), .guest_khz = 2000000 },
	{ "A16", "raw", .defects = BIT(IRR_TAKEN_BACK), .timer = LAZYTSC_TIMER_POSTED },
	{ "A17", "random", .defects = BIT(RESET_KEEPS), .base = &lazytsc_variant_stock,
	  .troubles = TROUBLE(reset) },
	{ "B1", "tick", .variant.host_write = unbacked },
	{ "B2", "random", .variant.guest_set = skips_always },
	{ "B5", "storm", .variant.host_expire = injects_first },
	{ "B6", "random", .variant.host_expire = redelivers, .guess = &excused },
	{ "B6", "random", .defects = BIT(TRUSTS_STALE),
	  .troubles = TROUBLE(memslot) | TROUBLE(migrate), .restore = LAZYTSC_RESTORE_PARTS },
	{ "B7", "raw", .base = &lazytsc_variant_rfc_v3 },
	{ "B8", "random", .defects = BIT(MASK_KEEPS) },
	{ "B8", "random", .defects = BIT(RESET_SAYS_ENABLED), .troubles = TROUBLE(reset) },
	{ "B9", "random", .variant.host_write = past_armed },
	{ "B10", "nohz-rr", .variant.host_expire = spins, .timer = LAZYTSC_TIMER_SW },
	{ "B10", "random", .defects = BIT(COUNT_CATCHES_UP), .troubles = TROUBLE(migrate) },
	{ "B11", "hostile", .variant.host_expire = believes_armed },
	{ "B11", "hostile", .defects = BIT(ACCEPTS_ANY_WORD) },
	{ "B12", "storm", .guess = &not_excused },
	{ "B13", "nohz-rr", .defects = BIT(SILENT_WAKES) },
	{ "B14", "random", .variant.host_deadline = reads_timer, .guess = &excused },
	{ "B15", "tick", .defects = BIT(WAIT_LONG) },
	{ "B16", "random", .defects = BIT(OFFLINE_KEEPS) },
	{ "B17", "nohz-rr", .defects = BIT(NOT_DIRTY), .troubles = TROUBLE(migrate) },
	{ "B17", "nohz-rr", .defects = BIT(REST_ARMED), .troubles = TROUBLE(user) },
	{ "B17", "nohz-rr", .variant.host_withdraw = keeps_armed, .troubles = TROUBLE(user) },
	{ "B18", "hostile", .defects = BIT(UNKNOWN_ACCEPTED), .offer = LAZYTSC_UNKNOWN },
	{ "B18", "storm", .defects = BIT(UNMAP_KEEPS), .troubles = TROUBLE(unmap) },
	{ "B18", "nohz-rr", .defects = BIT(SLOT_KEEPS), .troubles = TROUBLE(memslot) },
	{ "B19", "storm", .defects = BIT(STALE_TIMER), .timer = LAZYTSC_TIMER_SW,
	  .troubles = TROUBLE(tsc) },
	{ "B21", "hostile", .defects = BIT(APICV_ACCEPTED), .offer = LAZYTSC_APIC_TIMER_VIRTUAL },
	{ "B25", "storm", .defects = BIT(STARTS_ALL), .timer = LAZYTSC_TIMER_REMOTE,
	  .troubles = TROUBLE(sibling), .every = 20000 },
	{ "B27", "storm", .defects = BIT(NEVER_LOOKS), .troubles = TROUBLE(migrate),
	  .restore = LAZYTSC_RESTORE_UNAWARE },
	{ "B28", "storm", .defects = BIT(NO_GRACE), .troubles = TROUBLE(lose) },
	{ "B29", "nohz-rr", .defects = BIT(NO_LOOK), .free_looks = true },
	{ "B29", "nohz-rr", .defects = BIT(STAYS_LATE), .free_looks = true },
};

/* The base's functions, with those that the defect overrides. */
static struct lazytsc_variant merged(const struct defective *d)
{
	struct lazytsc_variant v = d->base ? *d->base : lazytsc_variant_lazy;

	v.guest_set = d->variant.guest_set ?: v.guest_set;
	v.host_write = d->variant.host_write ?: v.host_write;
	v.host_expire = d->variant.host_expire ?: v.host_expire;
	v.host_withdraw = d->variant.host_withdraw ?: v.host_withdraw;
	v.host_deadline = d->variant.host_deadline ?: v.host_deadline;
	return v;
}

static struct lazytsc_machine_config around(const struct defective *d)
{
	struct lazytsc_machine_config c = config(d->guest);

	c.timer = d->timer;
	c.offer = d->offer;
	c.free_looks = d->free_looks;
	c.restore = d->restore;
	c.costs.ipi = 50;
	if (d->guest_khz)
		c.guest_khz = d->guest_khz;
	for (unsigned int t = 0; t < LAZYTSC_TROUBLE_COUNT; t++)
		c.trouble_ns[t] = d->troubles >> t & 1 ? (d->every ?: MS) : 0;
	return c;
}

static void each_defect_breaks_its_requirement(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(defective) / sizeof(defective[0]); i++) {
		const struct defective *d = &defective[i];
		struct lazytsc_machine_config c = around(d);
		struct lazytsc_variant v = merged(d);
		const char *broken = "";
		char text[256] = "nothing";

		c.variant = &v;
		c.defects = d->defects;
		c.guess = d->guess;
		/* Another requirement may break first on some seeds: the named one must on one. */
		for (c.seed = 1; c.seed <= 40 && strcmp(broken, d->requirement); c.seed++)
			broken = run(&c, 50, NULL, text, sizeof(text));
		if (strcmp(broken, d->requirement))
			fail_msg("defect %zu: expected %s, found %s", i, d->requirement, text);
	}
}

static void the_same_machines_without_the_defects_are_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(defective) / sizeof(defective[0]); i++) {
		const struct defective *d = &defective[i];
		struct lazytsc_machine_config c = around(d);

		c.variant = d->base == &lazytsc_variant_stock ? d->base : &lazytsc_variant_lazy;
		c.guess = d->guess == &excused ? d->guess : NULL;
		for (c.seed = 1; c.seed <= 4; c.seed++)
			assert_good(&c, 50, NULL);
	}
}

/* Every flag of the machine is in the table, and is documented with the requirement it breaks. */
static void every_flag_is_tested(void **state)
{
	static const char *const requirement[] = {
#define X(name, req, what) req,
		LAZYTSC_DEFECTS(X)
#undef X
	};

	(void)state;
	for (unsigned int flag = 0; flag < LAZYTSC_DEFECT_COUNT; flag++) {
		bool found = false;

		for (size_t i = 0; i < sizeof(defective) / sizeof(defective[0]); i++)
			found |= defective[i].defects == (u64)1 << flag &&
				 !strcmp(defective[i].requirement, requirement[flag]);
		assert_true(found);
	}
}

static void swarm(const struct lazytsc_variant *variant, const struct lazytsc_guess_source *guess)
{
	struct lazytsc_machine_config base = config("tick");
	struct lazytsc_machine_stats sum = { 0 };

	base.vcpus = 2;
	base.variant = variant;
	base.guess = guess;
	for (u64 seed = 1; seed <= 1000; seed++) {
		struct lazytsc_machine_config c = lazytsc_machine_config_swarm(&base, seed);

		assert_good(&c, 10, &sum);
	}
	/* It went everywhere. */
	assert_true(sum.migrations > 50);
	assert_true(sum.counts > 200);
	assert_true(sum.remote_expiries > 1000);
	assert_true(sum.wakes > 1000);
	assert_true(sum.deliveries > 10000);
	for (unsigned int e = 0; e < LAZYTSC_EXITS; e++)
		assert_true(sum.exits[e] > 1000);
	if (variant == &lazytsc_variant_stock)
		return;
	assert_true(sum.host.silent_running > 1000 && sum.host.silent_blocked > 100);
	assert_true(sum.host.recovered > 20 && sum.host.left > 20 && sum.lost > 5);
	for (unsigned int r = 0; r < LAZYTSC_WITHDRAW_REASONS; r++)
		assert_true(sum.host.withdrawals[r] > 20);
}

static void swarm_stock(void **state)
{
	(void)state;
	swarm(&lazytsc_variant_stock, NULL);
}

static void swarm_lazy(void **state)
{
	(void)state;
	swarm(&lazytsc_variant_lazy, NULL);
}

static void swarm_early(void **state)
{
	(void)state;
	swarm(&lazytsc_variant_lazy, &lazytsc_guess_early);
}

/* Guesses at random places, as many as there are host entries, break nothing but B12's bound. */
static void swarm_of_guesses(void **state)
{
	(void)state;
	swarm(&lazytsc_variant_lazy, &excused);
}

/* Twice, the second time with the vCPUs run in slices, backwards: the same counts and steps. */
static void everything_twice(void **state)
{
	struct lazytsc_machine_config base = config("tick");

	(void)state;
	base.vcpus = 3;
	for (u64 seed = 1; seed <= 40; seed++) {
		struct lazytsc_machine_config c = lazytsc_machine_config_swarm(&base, seed);
		struct lazytsc_machine *a = lazytsc_machine_new(&c), *b = lazytsc_machine_new(&c);

		lazytsc_machine_run(a, 10 * MS);
		for (u64 ms = 1; ms <= 10; ms++) {
			for (unsigned int i = c.vcpus; i-- > 0;)
				lazytsc_machine_run_vcpu(b, i, ms * MS);
		}
		for (unsigned int i = 0; i < c.vcpus; i++) {
			struct lazytsc_machine_stats sa = lazytsc_machine_stats(a, i);
			struct lazytsc_machine_stats sb = lazytsc_machine_stats(b, i);
			struct lazytsc_machine_step ta[64], tb[64];
			size_t n = lazytsc_machine_last_steps(a, i, ta, 64);

			assert_true(n > 0);
			assert_int_equal(n, lazytsc_machine_last_steps(b, i, tb, 64));
			assert_memory_equal(&sa, &sb, sizeof(sa));
			assert_memory_equal(ta, tb, n * sizeof(ta[0]));
		}
		lazytsc_machine_free(a);
		lazytsc_machine_free(b);
	}
}

/* B24: what the guest gets does not depend on the protocol. */
static void as_many_interrupts_as_with_the_stock_timer(void **state)
{
	static const char *const guests[] = { "tick", "cyclic" };

	(void)state;
	for (unsigned int g = 0; g < 2; g++) {
		struct lazytsc_machine_config c = config(guests[g]);
		struct lazytsc_machine_stats stock = { 0 }, lazy = { 0 }, early = { 0 };

		c.vcpus = 4;
		c.variant = &lazytsc_variant_stock;
		assert_good(&c, 500, &stock);
		c.variant = &lazytsc_variant_lazy;
		assert_good(&c, 500, &lazy);
		c.guess = &lazytsc_guess_early;
		assert_good(&c, 500, &early);
		assert_true(stock.interrupts >= 4 * 499);
		assert_int_equal(lazy.interrupts, stock.interrupts);
		assert_int_equal(early.interrupts, stock.interrupts);
		assert_true(early.exits[LAZYTSC_EXIT_WRITE] < stock.exits[LAZYTSC_EXIT_WRITE] / 2);
	}
}

/* The RFC's result: with some 30 requests a tick nearly all exits for writes are gone. */
static void request_response_saves_what_the_rfc_reported(void **state)
{
	struct lazytsc_machine_config c = config("nohz-rr");
	struct lazytsc_machine_stats stock = { 0 }, lazy = { 0 };

	(void)state;
	c.variant = &lazytsc_variant_stock;
	assert_good(&c, 2000, &stock);
	c.variant = &lazytsc_variant_lazy;
	assert_good(&c, 2000, &lazy);
	assert_true(100 * lazy.exits[LAZYTSC_EXIT_WRITE] < 3 * stock.exits[LAZYTSC_EXIT_WRITE]);
	assert_true(lazy.host.silent_running + lazy.host.silent_blocked <= lazy.skips);
	assert_int_equal(stock.skips, 0);
}

/* Both orders work; after a VMM that does not know the MSR the guest enables the feature again. */
static void migration(void **state)
{
	(void)state;
	for (unsigned int how = 0; how < LAZYTSC_RESTORE_PARTS; how++) {
		struct lazytsc_machine_config c = config("nohz-rr");
		struct lazytsc_machine_stats s = { 0 };

		c.restore = how;
		c.vcpus = 2;
		c.host_khz[1] = 3100000;
		c.trouble_ns[LAZYTSC_TROUBLE_migrate] = 50 * MS;
		assert_good(&c, 1000, &s);
		assert_true(s.migrations >= 10);
		assert_true(s.skips > s.exits[LAZYTSC_EXIT_WRITE]);
		assert_int_equal(s.lost, 0);
	}
}

/*
 * B26: part by part, in any order and with parts left out, stock loses deadlines. With the area
 * none is lost but where LAZYTSC_MSR is left out: then the host has no area to look at.
 */
static void restores_in_parts(void **state)
{
	struct lazytsc_machine_config c = config("nohz-rr");
	struct lazytsc_machine_stats stock = { 0 }, lazy = { 0 };

	(void)state;
	c.restore = LAZYTSC_RESTORE_PARTS;
	c.vcpus = 8;
	c.host_khz[1] = 3100000;
	c.trouble_ns[LAZYTSC_TROUBLE_migrate] = 20 * MS;
	c.variant = &lazytsc_variant_stock;
	assert_good(&c, 1000, &stock);
	c.variant = &lazytsc_variant_lazy;
	assert_good(&c, 1000, &lazy);
	assert_int_equal(stock.migrations, lazy.migrations);
	assert_true(lazy.migrations > 100);
	assert_true(stock.lost > stock.migrations / 2);
	assert_true(lazy.lost > 0);
	assert_true(lazy.lost < stock.lost / 4);
	assert_true(lazy.host.recovered > stock.lost / 2);
}

/* Deadlines beyond the hv timer's 32 bits fall back to the sw timer, and come. */
static void beyond_the_range_of_the_hv_timer(void **state)
{
	struct lazytsc_machine_config c = config("storm");
	struct lazytsc_machine_stats s = { 0 };

	(void)state;
	c.guest.mean_ns = 200000 * MS;
	c.guest.gap_ns = 50000 * MS;
	assert_good(&c, 4000000, &s);
	assert_true(s.exits[LAZYTSC_EXIT_IRQ] > 5);
	assert_true(s.exits[LAZYTSC_EXIT_TIMER] > 5);
}

static void unusable_configurations_are_refused(void **state)
{
	struct lazytsc_machine_config c = config("tick");

	(void)state;
	c.vcpus = 0;
	assert_null(lazytsc_machine_new(&c));
	c.vcpus = 1;
	c.host_khz[1] = 1;
	assert_null(lazytsc_machine_new(&c));
	c.host_khz[1] = 0;
	assert_null(lazytsc_machine_new(&c));
	lazytsc_machine_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_defect_breaks_its_requirement),
		cmocka_unit_test(the_same_machines_without_the_defects_are_good),
		cmocka_unit_test(every_flag_is_tested),
		cmocka_unit_test(swarm_stock),
		cmocka_unit_test(swarm_lazy),
		cmocka_unit_test(swarm_early),
		cmocka_unit_test(swarm_of_guesses),
		cmocka_unit_test(everything_twice),
		cmocka_unit_test(as_many_interrupts_as_with_the_stock_timer),
		cmocka_unit_test(request_response_saves_what_the_rfc_reported),
		cmocka_unit_test(migration),
		cmocka_unit_test(restores_in_parts),
		cmocka_unit_test(beyond_the_range_of_the_hv_timer),
		cmocka_unit_test(unusable_configurations_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
