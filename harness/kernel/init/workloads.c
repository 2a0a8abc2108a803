// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
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
/* What was skipped since the last report: the legs of a journey. */
static void report_leg(struct lazy_counts *before)
{
	struct lazy_counts now = guest_lazy_counts();

	guest_report("leg_skips %llu\n", (unsigned long long)(now.skips - before->skips));
	*before = now;
}

struct outcome workload_rewrite(const struct params *p)
{
	struct lazy_counts lazy = guest_lazy_counts();
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
		if (p->moves && i % (p->n / (p->moves + 1)) < 100) {
			report_leg(&lazy);
			if (i < p->n)
				guest_restore(0);
		}
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
 * A futex, because its wake-up holds no lock that the woken CPU needs: where both vCPUs share a CPU
 * of the host, an eventfd's would leave it spinning for a whole slice.
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

static void *rr_client(void *arg)
{
	struct rr *rr = arg;

	guest_pin(0);
	for (long i = 1; i <= rr->p->n; i++) {
		notify(&rr->request, i);
		wait_for(&rr->response, i);
		guest_spin(rr->p->gap * 1000);
	}
	return NULL;
}

#define MAX_PAIRS 16

static void report_switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	guest_report("switches %ld\n", usage.ru_nvcsw + usage.ru_nivcsw);
}

/*
 * Request/response: n rounds between a client on CPU 0 and a server on CPU 1, each idle while the
 * other one works for `gap`; `pairs` of them at once. No timer of their own: what is programmed is
 * the tick that idling stops and starts, and, with several, the end of a task's slice (HRTICK).
 */
struct outcome workload_rr(const struct params *p)
{
	long pairs = p->pairs ? p->pairs : 1;
	struct rr rr[MAX_PAIRS] = { 0 };
	pthread_t servers[MAX_PAIRS], clients[MAX_PAIRS];
	struct outcome o = { 0 };

	if (guest_cpus() < 2)
		guest_die("rr needs two CPUs");
	if (pairs < 1 || pairs > MAX_PAIRS)
		guest_die("rr: pairs can be from 1 to %d", MAX_PAIRS);
	guest_pin(0);
	for (long i = 0; i < pairs; i++) {
		rr[i].p = p;
		if (pthread_create(&servers[i], NULL, rr_server, &rr[i]) ||
		    (i && pthread_create(&clients[i], NULL, rr_client, &rr[i])))
			guest_die("no thread");
	}
	rr_client(&rr[0]);
	for (long i = 0; i < pairs; i++) {
		pthread_join(servers[i], NULL);
		if (i)
			pthread_join(clients[i], NULL);
	}
	report_switches();
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

struct tasks {
	const struct params *p;
	_Atomic long left; /* of the threads that pass messages */
};

struct end {
	struct tasks *t;
	pthread_t thread;
	_Atomic uint32_t *mine, *other;
	bool first;
};

static void *pair_thread(void *arg)
{
	struct end *e = arg;

	guest_pin(0);
	for (long i = 1; i <= e->t->p->n; i++) {
		if (!e->first)
			wait_for(e->mine, i);
		guest_spin(e->t->p->gap * 1000);
		notify(e->other, i);
		if (e->first)
			wait_for(e->mine, i);
	}
	atomic_fetch_sub(&e->t->left, 1);
	return NULL;
}

static void *hog_thread(void *arg)
{
	struct tasks *t = arg;

	guest_pin(0);
	while (atomic_load(&t->left))
		guest_spin(1000);
	return NULL;
}

/*
 * Several runnable tasks on a CPU: `pairs` of threads that pass n messages to and fro, with `gap`
 * of work for each, and beside them `hogs` threads that only compute. No timer of their own: what
 * is programmed is the end of a task's slice (HRTICK), and the tick.
 */
struct outcome workload_tasks(const struct params *p)
{
	_Alignas(64) _Atomic uint32_t word[2 * MAX_PAIRS] = { 0 };
	struct end ends[2 * MAX_PAIRS];
	pthread_t hogs[MAX_PAIRS];
	struct tasks t = { .p = p };
	struct outcome o = { 0 };
	long pairs = p->pairs ? p->pairs : 2;

	if (pairs < 1 || pairs > MAX_PAIRS || p->hogs < 0 || p->hogs > MAX_PAIRS)
		guest_die("tasks: pairs can be from 1 to %d, hogs from 0", MAX_PAIRS);
	atomic_store(&t.left, 2 * pairs);
	guest_pin(0);
	for (long i = 0; i < 2 * pairs; i++) {
		ends[i] = (struct end){
			.t = &t, .mine = &word[i], .other = &word[i ^ 1], .first = !(i & 1)
		};
		if (pthread_create(&ends[i].thread, NULL, pair_thread, &ends[i]))
			guest_die("no thread");
	}
	for (long i = 0; i < p->hogs; i++)
		if (pthread_create(&hogs[i], NULL, hog_thread, &t))
			guest_die("no thread");
	for (long i = 0; i < 2 * pairs; i++)
		pthread_join(ends[i].thread, NULL);
	for (long i = 0; i < p->hogs; i++)
		pthread_join(hogs[i], NULL);
	report_switches();
	return o;
}
