// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guest and host on two real threads: the compiled core with its C11 port on this machine's memory
 * model, where the host decides on another CPU while the guest sets and disarms. At the end of
 * every burst the deadline that was wanted last must be injected (A7), never before its time (A6),
 * and silent expiries never outnumber skips (B12). What holds does not depend on the schedule; how
 * often the two really collide does, so this complements the race checker and replaces nothing of
 * it. Under ThreadSanitizer it also shows that nothing but the two shared fields is shared.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/guest.h>
#include <lazytsc/host.h>

/* ThreadSanitizer looks for races in the code, not for reordering, and is slow. */
#ifdef __SANITIZE_THREAD__
#define BURSTS 500
#else
#define BURSTS 5000
#endif

struct machine {
	struct lazytsc_area area;
	struct lazytsc_guest guest; /* the guest thread's */
	pthread_mutex_t lock; /* serialises the host's decisions */
	struct lazytsc_host host; /* under lock */
	_Atomic(u64) injected; /* written under lock: the deadline injected last */
	u64 early; /* under lock: injections before their deadline */
	_Atomic(u64) clock; /* guest TSC: 16 units a step, so that deadlines can be told apart */
	_Atomic(bool) stop;
};

static u64 now(struct machine *m)
{
	return atomic_load(&m->clock) * 16;
}

/* Whose time the guest reads. */
static struct machine *current;

u64 lazytsc_tsc(void)
{
	return now(current);
}

static void act(struct machine *m, struct lazytsc_decision d)
{
	if (!d.inject)
		return;
	m->injected = d.inject;
	m->early += d.inject > now(m);
	lazytsc_host_delivered(&m->host);
}

static void *host_thread(void *arg)
{
	struct machine *m = arg;

	while (!atomic_load(&m->stop)) {
		struct lazytsc_expiry e = { .context = LAZYTSC_REMOTE, .now = now(m) };

		pthread_mutex_lock(&m->lock);
		if (m->host.timer && m->host.timer <= e.now)
			act(m, lazytsc_host_expire(&m->host, &m->area, &e));
		pthread_mutex_unlock(&m->lock);
		atomic_fetch_add(&m->clock, 1);
	}
	return NULL;
}

static void write_msr(struct machine *m, u64 v)
{
	pthread_mutex_lock(&m->lock);
	act(m, lazytsc_host_write(&m->host, &m->area, v, now(m), 0));
	pthread_mutex_unlock(&m->lock);
}

static u64 xorshift(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Some sets, earlier and later than each other, some disarms; returns what is wanted at the end. */
static u64 burst(struct machine *m, u64 *random)
{
	u64 t = 0;

	for (int i = 0, n = 1 + xorshift(random) % 6; i < n; i++) {
		u64 r = xorshift(random);

		if (r % 8 == 0 && i < n - 1) {
			if (lazytsc_guest_disarm(&m->guest))
				write_msr(m, 0);
			continue;
		}
		t = now(m) + (r >> 8) % 32 * 16 + i + 1;
		if (lazytsc_guest_set(&m->guest, t))
			write_msr(m, t);
	}
	return t;
}

/* Wait until @t is injected; false when no timer runs that could do it. */
static bool delivered(struct machine *m, u64 t)
{
	bool lost = false;

	while (!lost && atomic_load(&m->injected) != t) {
		/* Now and then is enough: a lost deadline stays lost. */
		if (!pthread_mutex_trylock(&m->lock)) {
			lost = m->injected != t && !m->host.timer;
			pthread_mutex_unlock(&m->lock);
		}
		sched_yield();
	}
	return !lost;
}

static void nothing_is_lost(void **state)
{
	struct machine m = { .lock = PTHREAD_MUTEX_INITIALIZER };
	u64 random = 88172645463325252ULL, lost = 0;
	pthread_t thread;

	(void)state;
	current = &m;
	lazytsc_guest_enable(&m.guest, &m.area, 0, 0);
	lazytsc_host_enable(&m.host, &m.area);
	atomic_store(&m.clock, 1);
	assert_int_equal(pthread_create(&thread, NULL, host_thread, &m), 0);
	for (int i = 0; i < BURSTS && !lost; i++)
		lost += !delivered(&m, burst(&m, &random));
	atomic_store(&m.stop, true);
	pthread_join(thread, NULL);

	assert_int_equal(lost, 0);
	assert_int_equal(m.early, 0);
	assert_true(m.host.stats.silent_running <= m.guest.skips);
	assert_int_equal(m.host.stats.traps, m.guest.writes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
