// SPDX-License-Identifier: BSD-2-Clause
/*
 * The core's own files under the exhaustive search: a guest that moves or drops its deadline while
 * the host decides on another CPU, for an expiry or to withdraw. In every execution the deadline
 * that the guest wants is not lost (A7: the guest writes the MSR, or the host's timer stands for
 * it), and the host injects only what the guest wanted at some time (A6). B2, B4, B5, B6.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/guest.h>
#include <lazytsc/host.h>
#include <lazytsc/sim/checker.h>

enum { ARMED = 100, NOW = 100, LATER = 150, GUESS = 120 };

struct scene {
	u64 set[2]; /* what the guest sets, in turn; 0: it disarms */
	unsigned sets;
	bool withdraw; /* in place of an expiry */
	u64 guess;
};

struct guest_block {
	struct lazytsc_guest guest;
	bool writes; /* the last set or disarm asks for the MSR write */
};

struct host_block {
	struct lazytsc_host host;
	struct lazytsc_decision decision;
};

static void guest(const struct lazytsc_self *self)
{
	const struct scene *scene = self->arg;
	struct guest_block *own = self->own;

	own->guest.area = self->shared;
	for (unsigned i = 0; i < scene->sets; i++) {
		own->writes = scene->set[i] ? lazytsc_guest_set(&own->guest, scene->set[i])
					    : lazytsc_guest_disarm(&own->guest);
		/* The exit stops the guest; what the host does then is not part of the scene. */
		if (own->writes) {
			lazytsc_exit("WRMSR");
			return;
		}
	}
}

static void host(const struct lazytsc_self *self)
{
	const struct scene *scene = self->arg;
	struct host_block *own = self->own;
	const struct lazytsc_expiry expiry = { .context = LAZYTSC_REMOTE,
					       .now = NOW,
					       .guess = scene->guess };

	own->host.timer = own->host.wanted = ARMED;
	own->host.lazy = true;
	own->decision = scene->withdraw ? lazytsc_host_withdraw(&own->host, self->shared,
								LAZYTSC_WITHDRAW_MASK)
					: lazytsc_host_expire(&own->host, self->shared, &expiry);
}

static void init(void *shared, const void *arg)
{
	struct lazytsc_area *area = shared;

	(void)arg;
	lazytsc_store(&area->armed, ARMED);
	lazytsc_store(&area->pending, ARMED);
}

static bool nothing_is_lost(const struct lazytsc_final *f, void *outcome, const void *arg)
{
	const struct scene *scene = arg;
	const struct guest_block *g = lazytsc_final_own(f, 0);
	const struct host_block *h = lazytsc_final_own(f, 1);
	const u64 timer = h->decision.timer, inject = h->decision.inject;
	const u64 wanted = scene->set[scene->sets - 1];
	u64 *seen = outcome;

	seen[0] = g->writes;
	seen[1] = timer;
	seen[2] = inject;
	if (inject && inject != ARMED && inject != scene->set[0])
		return false;
	if (g->writes || !wanted)
		return true;
	/* A skip: the host looks no later than what is wanted. */
	return timer && timer <= wanted;
}

static void check(struct scene scene, u64 executions, size_t outcomes)
{
	const struct lazytsc_thread threads[] = { { "guest", guest, &scene },
						  { "host", host, &scene } };
	const struct lazytsc_program program = {
		.name = "core",
		.threads = 2,
		.thread = threads,
		.shared_size = sizeof(struct lazytsc_area),
		.own_size = sizeof(struct host_block),
		.init = init,
	};

	/* The barriers leave TSO nothing to add: both models have the same executions. */
	for (enum lazytsc_model m = LAZYTSC_SC; m <= LAZYTSC_TSO; m++) {
		struct lazytsc_check_result result;

		assert_true(lazytsc_check_run(&(struct lazytsc_check){ .program = &program,
								       .model = m,
								       .final = nothing_is_lost,
								       .outcome_size = 24,
								       .arg = &scene },
					      &result));
		if (result.violations)
			fail_msg("%s: %s", result.violation, result.schedule);
		assert_int_equal(result.bound, LAZYTSC_COMPLETE);
		assert_int_equal(result.executions, executions);
		assert_int_equal(result.outcomes, outcomes);
		lazytsc_check_release(&result);
	}
}

static void guest_against_another_cpu(void **state)
{
	(void)state;
	check((struct scene){ .set = { LATER }, .sets = 1 }, 4, 3);
	check((struct scene){ .set = { 0 }, .sets = 1 }, 3, 3);
	check((struct scene){ .set = { LATER }, .sets = 1, .guess = GUESS }, 3, 2);
	check((struct scene){ .set = { LATER }, .sets = 1, .withdraw = true }, 3, 3);
	check((struct scene){ .set = { LATER, LATER + 50 }, .sets = 2 }, 8, 5);
	check((struct scene){ .set = { 0, LATER }, .sets = 2, .guess = GUESS }, 6, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_against_another_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
