// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guest's side on its own, with the host's part of the area written by the test: when a set or
 * a disarm asks for the MSR write and when it is a skip (B1, B2), that a promise which is overdue
 * is void (B28), what enable and disable say to write (B11, B16), and when the guest looks whether
 * the host still has its area (B27).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/guest.h>

#define GRACE	   1000
#define NEVER_VOID (~0ULL)

static struct lazytsc_area area;
static struct lazytsc_guest guest;
static u64 tsc;
static unsigned int tsc_reads;

u64 lazytsc_tsc(void)
{
	tsc_reads++;
	return tsc;
}

static int setup(void **state)
{
	(void)state;
	memset(&guest, 0, sizeof(guest));
	memset(&area, 0xff, sizeof(area));
	tsc = 0;
	tsc_reads = 0;
	assert_int_equal(lazytsc_guest_enable(&guest, &area, 0x1000, GRACE), 0x1001);
	return 0;
}

static void enable_zeroes_the_area(void **state)
{
	(void)state;
	assert_int_equal(lazytsc_load(&area.armed), 0);
	assert_int_equal(lazytsc_load(&area.pending), 0);
	assert_int_equal(lazytsc_load(&area.done), 0);
}

static void set_against_armed(void **state)
{
	static const struct {
		u64 armed, t;
		bool write;
	} cases[] = {
		{ 0, 1, true },	     { 0, ~0ULL, true },    { 100, 99, true },	{ 100, 100, false },
		{ 100, 101, false }, { 100, ~0ULL, false }, { ~0ULL, 5, true }, { 1, 1, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		lazytsc_store(&area.armed, cases[i].armed);
		assert_int_equal(lazytsc_guest_set(&guest, cases[i].t), cases[i].write);
		assert_int_equal(lazytsc_load(&area.pending), cases[i].t);
		assert_int_equal(lazytsc_load(&area.armed), cases[i].armed);
	}
	assert_int_equal(guest.writes, 4);
	assert_int_equal(guest.skips, 4);
}

/*
 * B28: a promise is void when the TSC is beyond it by more than the grace, and only then. The TSC
 * is read only where the deadline is beyond it by more than the grace.
 */
static void overdue_promise_is_void(void **state)
{
	static const struct {
		u64 armed, t, tsc, grace;
		bool write, reads;
	} cases[] = {
		{ 5000, 6000, 9000, GRACE, false, false },
		{ 5000, 6001, 6000, GRACE, false, true },
		{ 5000, 6001, 6001, GRACE, true, true },
		{ 5000, ~0ULL, 6001, GRACE, true, true },
		{ 5000, 8000, 4000, GRACE, false, true },
		{ 5000, 8000, 5000, GRACE, false, true },
		{ 5000, 8000, 5001, GRACE, false, true },
		{ 5000, 4999, 9000, GRACE, true, false },
		{ 1, ~0ULL, ~0ULL, NEVER_VOID, false, false },
		{ 5000, 5000, 9000, 0, false, false },
		{ 5000, 5001, 5000, 0, false, true },
		{ 5000, 5001, 5001, 0, true, true },
	};
	u64 overdue = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		lazytsc_guest_enable(&guest, &area, 0x1000, cases[i].grace);
		lazytsc_store(&area.armed, cases[i].armed);
		tsc = cases[i].tsc;
		tsc_reads = 0;
		assert_int_equal(lazytsc_guest_set(&guest, cases[i].t), cases[i].write);
		assert_int_equal(tsc_reads, cases[i].reads);
		assert_int_equal(lazytsc_load(&area.pending), cases[i].t);
		overdue += cases[i].write && cases[i].t >= cases[i].armed;
		assert_int_equal(guest.overdue, overdue);
	}
	assert_int_equal(guest.writes, 4);
	assert_int_equal(guest.skips, 8);
}

/* One trapped set of @t that leaves @armed behind. */
static bool wrote(u64 t, u64 armed)
{
	lazytsc_store(&area.armed, armed);
	return lazytsc_guest_wrote(&guest, t);
}

/* B27: so many sets in a row that leave nothing armed, and the guest looks; each time later. */
static void looks_after_the_msr(void **state)
{
	u64 patience = LAZYTSC_GUEST_PATIENCE, looks = 0;

	(void)state;
	tsc = 50000;
	while (patience < 4ULL * LAZYTSC_GUEST_PATIENCE_MAX) {
		for (u64 i = 1; i < patience && i < LAZYTSC_GUEST_PATIENCE_MAX; i++)
			assert_false(wrote(60000, 0));
		assert_true(wrote(60000, 0));
		looks++;
		patience *= 2;
	}
	assert_int_equal(looks, 15);

	/* One promise, and the guest is as patient as in the beginning. */
	assert_false(wrote(60000, 60000));
	for (int i = 1; i < LAZYTSC_GUEST_PATIENCE; i++)
		assert_false(wrote(60000, 0));
	assert_true(wrote(60000, 0));
}

/* B27: what does not count, or starts the count again. */
static void looks_for_a_reason(void **state)
{
	(void)state;
	tsc = 50000;
	for (int i = 0; i < 100; i++) {
		/* past by now: delivered, perhaps */
		assert_false(wrote(50000, 0));
		assert_false(wrote(1, 0));
		assert_false(wrote(0, 0));
	}
	for (int i = 0; i < 100; i++) {
		for (int j = 1; j < LAZYTSC_GUEST_PATIENCE; j++)
			assert_false(wrote(60000, 0));
		/* a promise: at the deadline, a guess before it, one that is late but not void */
		assert_false(wrote(60000, i % 3 == 0 ? 60000 : i % 3 == 1 ? 55000 : 49500));
	}
	/* A promise that is void was left by nobody who is there now. */
	for (int i = 1; i < LAZYTSC_GUEST_PATIENCE; i++)
		assert_false(wrote(60000, 100));
	assert_true(wrote(60000, 100));
	assert_int_equal(lazytsc_load(&area.armed), 100);

	lazytsc_guest_disable(&guest);
	for (int i = 0; i < 100; i++)
		assert_false(wrote(60000, 0));
}

/* B27: no promise is none, also for a guest to which none is ever overdue; a row begins anew. */
static void a_row_of_misses(void **state)
{
	(void)state;
	lazytsc_guest_enable(&guest, &area, 0x1000, NEVER_VOID);
	tsc = 1000;
	for (u64 i = 1; i < LAZYTSC_GUEST_PATIENCE; i++)
		assert_false(wrote(60000, 0));
	lazytsc_guest_enable(&guest, &area, 0x1000, NEVER_VOID);
	for (u64 i = 1; i < LAZYTSC_GUEST_PATIENCE; i++)
		assert_false(wrote(60000, 0));
	assert_true(wrote(60000, 0));
}

/* B27: the word is written again where the host has another one; the area stays as it is. */
static void found_in_the_msr(void **state)
{
	(void)state;
	lazytsc_store(&area.pending, 77);
	assert_int_equal(lazytsc_guest_found(&guest, 0x1001), 0);
	assert_int_equal(lazytsc_guest_found(&guest, 0), 0x1001);
	assert_int_equal(lazytsc_guest_found(&guest, 0x2001), 0x1001);
	assert_int_equal(lazytsc_load(&area.pending), 77);
}

static void disarm_against_armed(void **state)
{
	(void)state;
	lazytsc_store(&area.pending, 7);
	assert_true(lazytsc_guest_disarm(&guest));
	assert_int_equal(lazytsc_load(&area.pending), 0);

	lazytsc_store(&area.armed, 9);
	lazytsc_store(&area.pending, 9);
	assert_false(lazytsc_guest_disarm(&guest));
	assert_int_equal(lazytsc_load(&area.pending), 0);
	assert_int_equal(guest.writes, 1);
	assert_int_equal(guest.skips, 1);
}

static void disabled_always_writes(void **state)
{
	(void)state;
	lazytsc_store(&area.armed, 1);
	assert_int_equal(lazytsc_guest_disable(&guest), 0);
	assert_true(lazytsc_guest_set(&guest, 50));
	assert_true(lazytsc_guest_disarm(&guest));
	assert_int_equal(lazytsc_load(&area.pending), 0);
	assert_int_equal(guest.writes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(enable_zeroes_the_area, setup),
		cmocka_unit_test_setup(set_against_armed, setup),
		cmocka_unit_test_setup(overdue_promise_is_void, setup),
		cmocka_unit_test_setup(looks_after_the_msr, setup),
		cmocka_unit_test_setup(looks_for_a_reason, setup),
		cmocka_unit_test_setup(a_row_of_misses, setup),
		cmocka_unit_test_setup(found_in_the_msr, setup),
		cmocka_unit_test_setup(disarm_against_armed, setup),
		cmocka_unit_test_setup(disabled_always_writes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
