// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "guest.h"

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / NSEC, .tv_nsec = ns % NSEC };
}

static void arm(int fd, int64_t at)
{
	struct itimerspec its = { .it_value = timespec_of(at) };

	if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL))
		guest_die("timerfd_settime: %s", strerror(errno));
}

/* An expiry at @now for a deadline @at: its lateness, and whether it came early. */
static void expired(struct outcome *o, int64_t at, int64_t now)
{
	if (now < at) {
		guest_report("violation early by %lld ns\n", (long long)(at - now));
		o->violations++;
	}
	lateness_add(&o->late, now - at);
}

/*
 * Rewrite storm: one timer, moved n times to `us` from now before it expires, `gap` of work in
 * between; each hundredth setting is waited for.
 */
struct outcome workload_rewrite(const struct params *p)
{
	struct outcome o = { 0 };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);

	if (fd < 0)
		guest_die("timerfd_create: %s", strerror(errno));
	guest_pin(0);
	for (long i = 1; i <= p->n; i++) {
		int64_t at = guest_now() + p->us * 1000;
		uint64_t ticks;

		arm(fd, at);
		guest_spin(p->gap * 1000);
		if (i % 100)
			continue;
		if (read(fd, &ticks, sizeof(ticks)) != sizeof(ticks))
			guest_die("timerfd: %s", strerror(errno));
		expired(&o, at, guest_now());
	}
	close(fd);
	return o;
}

struct rr {
	const struct params *p;
	_Alignas(64) _Atomic uint32_t request;
	_Alignas(64) _Atomic uint32_t response;
};

/*
 * A futex, because its wake-up holds no lock that the woken CPU needs: where both vCPUs share a CPU of
 * the host, an eventfd's would leave it spinning for a whole slice.
 */
static void wait_for(_Atomic uint32_t *f, uint32_t value)
{
	uint32_t seen;

	while ((seen = atomic_load(f)) != value)
		syscall(SYS_futex, f, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void notify(_Atomic uint32_t *f, uint32_t value)
{
	atomic_store(f, value);
	syscall(SYS_futex, f, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *rr_server(void *arg)
{
	struct rr *rr = arg;

	guest_pin(1);
	for (long i = 1; i <= rr->p->n; i++) {
		wait_for(&rr->request, i);
		guest_spin(rr->p->gap * 1000);
		notify(&rr->response, i);
	}
	return NULL;
}

/*
 * Request/response: n rounds between CPU 0 and CPU 1, each idle while the other one works for
 * `gap`. No timer of its own: what is programmed is the tick that idling stops and starts.
 */
struct outcome workload_rr(const struct params *p)
{
	struct rr rr = { .p = p };
	struct outcome o = { 0 };
	pthread_t server;

	if (guest_cpus() < 2)
		guest_die("rr needs two CPUs");
	guest_pin(0);
	if (pthread_create(&server, NULL, rr_server, &rr))
		guest_die("no thread");
	for (long i = 1; i <= p->n; i++) {
		notify(&rr.request, i);
		wait_for(&rr.response, i);
		guest_spin(p->gap * 1000);
	}
	pthread_join(server, NULL);
	return o;
}

#define MAX_CPUS 8

struct cyclic {
	const struct params *p;
	int cpu;
	pthread_t thread;
	struct outcome o;
};

static void *cyclic_thread(void *arg)
{
	struct cyclic *c = arg;
	int64_t at;

	guest_pin(c->cpu);
	at = guest_now();
	for (long i = 0; i < c->p->n; i++) {
		struct timespec ts;

		at += c->p->us * 1000;
		ts = timespec_of(at);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		expired(&c->o, at, guest_now());
	}
	return NULL;
}

/* Cyclic timers: on each CPU a thread that wakes every `us`, n times, as cyclictest does. */
struct outcome workload_cyclic(const struct params *p)
{
	int cpus = guest_cpus();
	struct cyclic c[MAX_CPUS];
	struct outcome o = { 0 };

	for (int i = 0; i < cpus; i++) {
		c[i] = (struct cyclic){ .p = p, .cpu = i };
		if (pthread_create(&c[i].thread, NULL, cyclic_thread, &c[i]))
			guest_die("no thread");
	}
	for (int i = 0; i < cpus; i++) {
		pthread_join(c[i].thread, NULL);
		lateness_merge(&o.late, &c[i].o.late);
		o.violations += c[i].o.violations;
	}
	return o;
}

/* Idle: nothing for n times `us`. */
struct outcome workload_idle(const struct params *p)
{
	int64_t at = guest_now() + p->n * p->us * 1000;
	struct timespec ts = timespec_of(at);
	struct outcome o = { 0 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	expired(&o, at, guest_now());
	return o;
}
