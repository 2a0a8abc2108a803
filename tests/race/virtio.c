// SPDX-License-Identifier: BSD-2-Clause
/*
 * How to check a protocol of your own, on another guest/host pair: virtio's suppression of
 * notifications. The driver makes a buffer available and kicks the device, unless the device has
 * said that it is awake; the device says that it goes to sleep, and then looks once more. Right,
 * and with each of the three mistakes that lose a notification: the device does not look again; the
 * driver has no barrier between its store and its load; the device has none. The last two are lost
 * in x86-TSO only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/sim/checker.h>

/* What driver and device share. */
struct ring {
	lazytsc_shared_t available; /* buffers, written by the driver */
	lazytsc_shared_t awake; /* written by the device: no need to kick */
	lazytsc_shared_t kicked;
};

enum mistake { NONE, NO_SECOND_LOOK, NO_DRIVER_BARRIER, NO_DEVICE_BARRIER };

static void driver(const struct lazytsc_self *self)
{
	struct ring *ring = self->shared;
	const enum mistake *mistake = self->arg;

	lazytsc_store(&ring->available, 1);
	if (*mistake != NO_DRIVER_BARRIER)
		lazytsc_mb();
	if (!lazytsc_load(&ring->awake)) {
		lazytsc_exit("kick"); /* the exit drains the store buffer */
		lazytsc_store(&ring->kicked, 1);
	}
}

/* Its own block: has it seen the buffer? */
static void device(const struct lazytsc_self *self)
{
	struct ring *ring = self->shared;
	const enum mistake *mistake = self->arg;
	u64 *seen = self->own;

	*seen = lazytsc_load(&ring->available);
	if (*seen)
		return;
	lazytsc_store(&ring->awake, 0);
	if (*mistake != NO_DEVICE_BARRIER)
		lazytsc_mb();
	if (*mistake != NO_SECOND_LOOK)
		*seen = lazytsc_load(&ring->available);
}

static void start(void *shared, const void *arg)
{
	struct ring *ring = shared;

	(void)arg;
	lazytsc_store(&ring->awake, 1);
}

/* At the end the device has seen the buffer, or has been kicked. */
static bool nothing_is_lost(const struct lazytsc_final *f, void *outcome, const void *arg)
{
	const u64 *seen = lazytsc_final_own(f, 1);

	(void)outcome;
	(void)arg;
	return *seen || lazytsc_final_memory(f, offsetof(struct ring, kicked));
}

static u64 lost(enum mistake mistake, enum lazytsc_model model)
{
	const struct lazytsc_thread threads[] = { { "driver", driver, &mistake },
						  { "device", device, &mistake } };
	const struct lazytsc_program program = { .name = "virtio",
						 .threads = 2,
						 .thread = threads,
						 .shared_size = sizeof(struct ring),
						 .own_size = sizeof(u64),
						 .init = start };
	struct lazytsc_check_result result;
	u64 violations;

	assert_true(lazytsc_check_run(&(struct lazytsc_check){ .program = &program,
							       .model = model,
							       .final = nothing_is_lost },
				      &result));
	assert_int_equal(result.bound, LAZYTSC_COMPLETE);
	if (result.violations)
		assert_string_equal(result.violation, "the final condition does not hold");
	violations = result.violations;
	lazytsc_check_release(&result);
	return violations;
}

static void notifications(void **state)
{
	(void)state;
	assert_int_equal(lost(NONE, LAZYTSC_SC), 0);
	assert_int_equal(lost(NONE, LAZYTSC_TSO), 0);
	assert_true(lost(NO_SECOND_LOOK, LAZYTSC_SC) > 0);
	assert_true(lost(NO_SECOND_LOOK, LAZYTSC_TSO) > 0);
	assert_int_equal(lost(NO_DRIVER_BARRIER, LAZYTSC_SC), 0);
	assert_true(lost(NO_DRIVER_BARRIER, LAZYTSC_TSO) > 0);
	assert_int_equal(lost(NO_DEVICE_BARRIER, LAZYTSC_SC), 0);
	assert_true(lost(NO_DEVICE_BARRIER, LAZYTSC_TSO) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notifications),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
