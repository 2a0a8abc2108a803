// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guest's side on its own, with the host's part of the area written by the test: when a set or
 * a disarm asks for the MSR write and when it is a skip (B1, B2), and what enable and disable say
 * to write (B11, B16).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/guest.h>

static struct lazytsc_area area;
static struct lazytsc_guest guest;

static int setup(void **state)
{
	(void)state;
	memset(&guest, 0, sizeof(guest));
	memset(&area, 0xff, sizeof(area));
	assert_int_equal(lazytsc_guest_enable(&guest, &area, 0x1000), 0x1001);
	return 0;
}

static void enable_zeroes_the_area(void **state)
{
	(void)state;
	assert_int_equal(lazytsc_load(&area.armed), 0);
	assert_int_equal(lazytsc_load(&area.pending), 0);
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
		cmocka_unit_test_setup(disarm_against_armed, setup),
		cmocka_unit_test_setup(disabled_always_writes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
