// SPDX-License-Identifier: BSD-2-Clause
/*
 * The 2023 series' variants have the defects that docs/protocol.md lists, each shown in its
 * smallest form on one vCPU: A6, B7, B8, B11, B14, B17. What passes here passes because it is
 * wrong; the core's own tests show the same situations decided right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/sim/variant.h>

static struct lazytsc_area area;
static struct lazytsc_guest guest;
static struct lazytsc_host host;

/* The guest set 100, which trapped, and then 120, which was skipped. */
static void begin(const struct lazytsc_variant *v)
{
	struct lazytsc_decision d;

	guest = (struct lazytsc_guest){ 0 };
	host = (struct lazytsc_host){ 0 };
	assert_true(v->guest_set(&guest, 5)); /* before it is enabled every write exits */
	v->guest_enable(&guest, &area, 0x1000, ~(u64)0);
	v->host_enable(&host, &area);
	assert_true(v->guest_set(&guest, 100));
	d = v->host_write(&host, &area, 100, 10, 0);
	assert_int_equal(d.timer, 100);
	assert_int_equal(d.inject, 0);
	assert_false(v->guest_set(&guest, 120));
}

static struct lazytsc_decision expire_at(const struct lazytsc_variant *v, u64 now, bool blocked)
{
	struct lazytsc_expiry e = { .context = LAZYTSC_VCPU, .now = now, .blocked = blocked };

	return v->host_expire(&host, &area, &e);
}

static const struct lazytsc_variant *const all[] = {
	&lazytsc_variant_rfc_v1,
	&lazytsc_variant_rfc_v3,
	&lazytsc_variant_rfc_v3_sw,
};

#define FOR_EACH(v) for (size_t i_ = 0; i_ < sizeof(all) / sizeof(all[0]) && ((v) = all[i_]); i_++)

/* V1, and V3 on the sw timer, inject at t0 although pending moved on (A6). */
static void injects_first(void **state)
{
	const struct lazytsc_variant *v;

	(void)state;
	FOR_EACH(v)
	{
		struct lazytsc_decision d;

		begin(v);
		assert_int_equal(expire_at(v, 99, false).timer, 100); /* not yet */
		d = expire_at(v, 100, false);
		assert_int_equal(d.inject, v == &lazytsc_variant_rfc_v3 ? 0 : 100);
		assert_int_equal(d.timer, 120);
		assert_int_equal(lazytsc_load(&area.armed), 120);
	}
}

static void silent_expiries_are_counted(void **state)
{
	const struct lazytsc_variant *v = &lazytsc_variant_rfc_v3;

	(void)state;
	begin(v);
	expire_at(v, 100, true);
	assert_int_equal(host.stats.silent_blocked, 1);
	begin(v);
	expire_at(v, 100, false);
	assert_int_equal(host.stats.silent_running, 1);
}

/* So late that pending is due as well: one interrupt, and nothing stays armed. */
static void late_kick(void **state)
{
	const struct lazytsc_variant *v;

	(void)state;
	FOR_EACH(v)
	{
		struct lazytsc_decision d;

		begin(v);
		d = expire_at(v, 130, false);
		assert_true(d.inject != 0);
		assert_int_equal(d.timer, 0);
		assert_int_equal(host.stats.injections, 1);
		assert_int_equal(lazytsc_load(&area.armed), 0);
		assert_true(v->host_deadline(&host, &area) != 0);
		v->host_delivered(&host);
		assert_int_equal(v->host_deadline(&host, &area), 0);
	}
}

/* Compares with the armed that the guest can write (B11): here it steers an early interrupt. */
static void trusts_the_page(void **state)
{
	struct lazytsc_decision d;

	(void)state;
	begin(&lazytsc_variant_rfc_v3);
	lazytsc_store(&area.armed, 1000);
	d = expire_at(&lazytsc_variant_rfc_v3, 100, false);
	assert_int_equal(d.inject, 100);
	assert_int_equal(d.timer, 0);
}

/* A stale pending beyond a raw write's value: the interrupt at that value is swallowed (B7). */
static void swallows_a_raw_write(void **state)
{
	const struct lazytsc_variant *v = &lazytsc_variant_rfc_v3;

	(void)state;
	begin(v);
	v->host_write(&host, &area, 110, 20, 0);
	assert_int_equal(expire_at(v, 110, false).inject, 0);
	assert_int_equal(host.timer, 120);
}

/* CLEAR on mask loses what is pending (B8); return to user space leaves armed in the page (B17). */
static void withdrawals(void **state)
{
	const struct lazytsc_variant *v;

	(void)state;
	FOR_EACH(v)
	{
		struct lazytsc_decision d;

		begin(v);
		d = v->host_withdraw(&host, &area, LAZYTSC_WITHDRAW_MASK);
		assert_int_equal(d.timer, 100);
		assert_int_equal(lazytsc_load(&area.armed), 0);
		assert_int_equal(host.stats.withdrawals[LAZYTSC_WITHDRAW_MASK], 1);
		d = expire_at(v, 100, false);
		assert_int_equal(d.inject, 100);
		assert_int_equal(d.timer, 0);

		begin(v);
		d = v->host_withdraw(&host, &area, LAZYTSC_WITHDRAW_USERSPACE);
		assert_int_equal(d.timer, 100);
		v->host_resume(&host, &area, 50);
		assert_int_equal(lazytsc_load(&area.armed), 100);
	}
}

/* RDMSR reads the timer, not what the guest wants (B14); restore does not look at the page. */
static void reads_and_restores_the_timer(void **state)
{
	const struct lazytsc_variant *v;

	(void)state;
	FOR_EACH(v)
	{
		begin(v);
		assert_int_equal(v->host_deadline(&host, &area), 100);
		assert_int_equal(v->host_restore(&host, 300).timer, 300);
		assert_int_equal(v->host_deadline(&host, &area), 300);
	}
}

/* Any address goes, aligned or not, in memory or not (B11). */
static void checks_nothing(void **state)
{
	const struct lazytsc_variant *v;

	(void)state;
	FOR_EACH(v)
	{
		assert_int_equal(v->host_check_msr(0xfff | LAZYTSC_MSR_ENABLE, 0x100),
				 LAZYTSC_MSR_SWITCH_ON);
		assert_int_equal(v->host_check_msr(0x40, 0x100), LAZYTSC_MSR_SWITCH_OFF);
	}
}

/* The stock timer knows no such MSR, and every call without an area is the core's plain timer. */
static void stock(void **state)
{
	const struct lazytsc_variant *v = &lazytsc_variant_stock;

	(void)state;
	memset(&area, 0, sizeof(area));
	assert_int_equal(v->host_check_msr(0x40 | LAZYTSC_MSR_ENABLE, ~0ULL),
			 LAZYTSC_MSR_BAD_RESERVED);
	assert_int_equal(v->host_check_msr(0, ~0ULL), LAZYTSC_MSR_SWITCH_OFF);
	host = (struct lazytsc_host){ 0 };
	lazytsc_store(&area.pending, 100);
	v->host_enable(&host, &area);
	v->host_write(&host, &area, 100, 10, 50);
	v->host_resume(&host, &area, 20);
	assert_int_equal(host.timer, 100);
	assert_false(host.lazy);
	assert_int_equal(lazytsc_load(&area.armed), 0);
	assert_int_equal(v->host_cancel(&host, &area).timer, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(injects_first),
		cmocka_unit_test(silent_expiries_are_counted),
		cmocka_unit_test(late_kick),
		cmocka_unit_test(trusts_the_page),
		cmocka_unit_test(swallows_a_raw_write),
		cmocka_unit_test(withdrawals),
		cmocka_unit_test(reads_and_restores_the_timer),
		cmocka_unit_test(checks_nothing),
		cmocka_unit_test(stock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
