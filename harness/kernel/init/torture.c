// SPDX-License-Identifier: BSD-2-Clause
/*
 * Torture: on each CPU a thread with many timers, half of them timerfds and half POSIX timers. At
 * random it sets, moves, cancels and waits; meanwhile the main thread takes CPUs offline and back,
 * switches the feature off and on, and has the VM saved and restored, in any order and with parts
 * left out, and its TSC moved forward and back.
 *
 * Every expiry is checked: it was asked for, it is not early, and it is not later than `bound`
 * (plus the longest stop of the whole VM). A timer that is still set `bound` after its deadline,
 * whenever it is looked at and at the end, is lost. One seed decides all that a thread does.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "guest.h"

#define MAX_TIMERS  256
#define MAX_THREADS 8
#define SIG_TIMER   SIGRTMIN
#define TOGGLE	    "/sys/kernel/debug/kvm_lazy_tscdeadline/enabled"

struct timer {
	bool posix;
	int fd;
	timer_t id;
	int64_t at; /* the deadline; 0: not set */
};

struct thread {
	const struct params *p;
	int index;
	pthread_t thread;
	uint64_t rng;
	struct timer timer[MAX_TIMERS];
	struct outcome o;
	uint64_t sets, moves, cancels;
	_Atomic uint64_t expiries; /* for the main thread */
};

/*
 * Shared with the main thread: the longest time that a save and restore stopped everything, and
 * when the one that goes on began, 0 if none does.
 */
static _Atomic int64_t longest_stop, stop_began;
static _Atomic bool finished;

static uint64_t next_random(uint64_t *state)
{
	/* splitmix64 */
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t *state, uint64_t n)
{
	return next_random(state) % n;
}

static void violation(struct thread *t, const char *what, const struct timer *tm, int64_t now)
{
	t->o.violations++;
	guest_report("violation %s thread=%d timer=%d posix=%d deadline=%lld now=%lld diff=%lld\n",
		     what, t->index, (int)(tm - t->timer), tm->posix, (long long)tm->at,
		     (long long)now, (long long)(now - tm->at));
}

static int64_t limit(const struct thread *t)
{
	int64_t stop = atomic_load(&longest_stop), began = atomic_load(&stop_began);

	if (began && guest_now() - began > stop)
		stop = guest_now() - began;
	return t->p->bound * 1000000 + stop;
}

static void expiry(struct thread *t, struct timer *tm)
{
	int64_t now = guest_now();

	if (!tm->at)
		violation(t, "unasked", tm, now);
	else if (now < tm->at)
		violation(t, "early", tm, now);
	else if (now - tm->at > limit(t))
		violation(t, "late", tm, now);
	lateness_add(&t->o.late, now - tm->at);
	tm->at = 0;
	atomic_fetch_add(&t->expiries, 1);
}

static void take_signals(struct thread *t, int64_t wait)
{
	struct timespec ts = { .tv_nsec = wait };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIG_TIMER);
	while (sigtimedwait(&set, &info, &ts) == SIG_TIMER) {
		expiry(t, &t->timer[info.si_value.sival_int]);
		ts.tv_nsec = 0;
	}
}

static void take_timerfd(struct thread *t, struct timer *tm)
{
	uint64_t ticks;

	if (!tm->posix && tm->at && read(tm->fd, &ticks, sizeof(ticks)) == sizeof(ticks)) {
		if (ticks != 1)
			violation(t, "repeated", tm, guest_now());
		expiry(t, tm);
	}
}

static void take_expiries(struct thread *t, int64_t wait)
{
	take_signals(t, wait);
	for (int i = 0; i < t->p->timers; i++)
		take_timerfd(t, &t->timer[i]);
}

static bool settime(struct timer *tm, int64_t at)
{
	struct itimerspec its = { .it_value = { .tv_sec = at / NSEC, .tv_nsec = at % NSEC } };
	struct itimerspec old = { 0 };
	int err;

	if (tm->posix)
		err = timer_settime(tm->id, TIMER_ABSTIME, &its, &old);
	else
		err = timerfd_settime(tm->fd, TFD_TIMER_ABSTIME, &its, &old);
	if (err)
		guest_die("settime: %s", strerror(errno));
	return old.it_value.tv_sec || old.it_value.tv_nsec;
}

/*
 * Stop a timer, whatever it does. What had expired before is taken as an expiry. A timer that was
 * still running long after its deadline was forgotten by its CPU.
 */
static void stop(struct thread *t, struct timer *tm)
{
	int64_t now = guest_now();
	bool running;

	if (!tm->posix)
		take_timerfd(t, tm);
	running = settime(tm, 0);
	if (tm->posix)
		take_signals(t, 0);
	if (running && tm->at && now - tm->at > limit(t))
		violation(t, "lost", tm, now);
	tm->at = 0;
}

static void set(struct thread *t, struct timer *tm)
{
	static const int64_t span[] = { 50000, 500000, 4000000, 20000000 };
	int64_t at = guest_now() + (int64_t)below(&t->rng, span[below(&t->rng, 4)]);

	/* The deadline is noted first: a POSIX timer may expire within the call. */
	tm->at = at;
	settime(tm, at);
}

static void step(struct thread *t)
{
	struct timer *tm = &t->timer[below(&t->rng, t->p->timers)];

	switch (below(&t->rng, 8)) {
	case 0: /* cancel */
		stop(t, tm);
		t->cancels++;
		break;
	case 1: /* wait for what comes first: the CPU may go idle */
		take_expiries(t, 1 + below(&t->rng, 4000000));
		break;
	case 2:
		guest_spin(below(&t->rng, 200000));
		break;
	default: /* set, or move: earlier or later */
		if (tm->at) {
			stop(t, tm);
			t->moves++;
		} else {
			t->sets++;
		}
		set(t, tm);
		break;
	}
	take_expiries(t, 0);
}

static bool any_set(const struct thread *t)
{
	for (int i = 0; i < t->p->timers; i++)
		if (t->timer[i].at)
			return true;
	return false;
}

/* Let everything expire. What has not by the limit is lost. */
static void drain(struct thread *t)
{
	int64_t end = guest_now() + 20000000;

	while (any_set(t) && guest_now() < end + limit(t))
		take_expiries(t, 1000000);
	for (int i = 0; i < t->p->timers; i++)
		if (t->timer[i].at)
			violation(t, "lost", &t->timer[i], guest_now());
}

static void create_timers(struct thread *t)
{
	for (int i = 0; i < t->p->timers; i++) {
		struct timer *tm = &t->timer[i];
		struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID,
				       .sigev_signo = SIG_TIMER,
				       .sigev_value.sival_int = i };

		ev._sigev_un._tid = syscall(SYS_gettid);
		tm->posix = i % 2;
		if (tm->posix ? timer_create(CLOCK_MONOTONIC, &ev, &tm->id)
			      : (tm->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) < 0)
			guest_die("timer %d: %s", i, strerror(errno));
	}
}

static void *torture_thread(void *arg)
{
	struct thread *t = arg;

	guest_pin(t->index);
	create_timers(t);
	while (!atomic_load(&finished))
		step(t);
	drain(t);
	return NULL;
}

struct event {
	long period; /* ms; 0: never */
	int64_t next;
	uint64_t count;
};

/*
 * A period on average. Where a restore stops the guest for longer than all periods, events at fixed
 * distances keep step with it: the feature was switched off at each restore.
 */
static void put_off(struct event *e, uint64_t *rng)
{
	e->next = guest_now() + e->period * (int64_t)(500000 + below(rng, 1000000));
}

static bool due(struct event *e, uint64_t *rng)
{
	if (!e->period)
		return false;
	if (!e->next)
		put_off(e, rng);
	if (guest_now() < e->next)
		return false;
	put_off(e, rng);
	e->count++;
	return true;
}

static void save_and_restore(uint64_t *rng)
{
	int64_t start = guest_now(), gap;

	atomic_store(&stop_began, start);
	guest_restore(below(rng, VMM_RESTORES));
	gap = guest_now() - start;
	if (gap > atomic_load(&longest_stop))
		atomic_store(&longest_stop, gap);
	atomic_store(&stop_began, 0);
}

/* By little of what an expiry may be late: back by so much, what is set is as late. */
static void jump(const struct params *p, uint64_t *rng)
{
	int64_t reach = p->bound * 1000000 / 200 / VMM_JUMP_UNIT;

	guest_ring(VMM_JUMP, VMM_JUMP_ZERO - reach + below(rng, 2 * reach));
}

/*
 * The guest's clock must be another than the TSC. And there must be one CPU: the vDSO reads CPU 0's
 * kvmclock on each, and KVM computes that one anew when vCPU 0 is entered. Another vCPU that is
 * entered sooner after a jump reads a clock that is wrong by the jump.
 */
static bool may_jump(int cpus)
{
	char name[32] = "";
	FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");

	if (!f || !fgets(name, sizeof(name), f))
		guest_die("the clock source cannot be read");
	fclose(f);
	return cpus == 1 && strcmp(name, "tsc\n");
}

static void hotplug(int cpus, uint64_t *rng, bool online)
{
	static int cpu;
	char path[64];

	if (!online)
		cpu = 1 + below(rng, cpus - 1);
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	if (!guest_write(path, online ? "1" : "0"))
		guest_die("%s: %s", path, strerror(errno));
}

static uint64_t expiries_so_far(const struct thread *threads, int n)
{
	uint64_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += atomic_load(&threads[i].expiries);
	return sum;
}

static void disturb(const struct params *p, const struct thread *threads, int n)
{
	uint64_t rng = p->seed;
	struct event restore = { .period = p->restore }, plug = { .period = p->hotplug },
		     toggle = { .period = p->toggle },
		     jumps = { .period = may_jump(n) ? p->jump : 0 };
	bool online = true, enabled = true;

	if (toggle.period && access(TOGGLE, W_OK)) {
		guest_report("toggle_absent 1\n");
		toggle.period = 0;
	}
	while (expiries_so_far(threads, n) < (uint64_t)p->n ||
	       (restore.period && restore.count < (uint64_t)p->moves)) {
		struct timespec ms = { .tv_nsec = 1000000 };

		if (due(&restore, &rng)) {
			save_and_restore(&rng);
			/* However long that took, the guest runs for a period. */
			put_off(&restore, &rng);
		}
		if (due(&jumps, &rng))
			jump(p, &rng);
		if (n > 1 && due(&plug, &rng)) {
			online = !online;
			hotplug(n, &rng, online);
		}
		if (due(&toggle, &rng)) {
			enabled = !enabled;
			if (!guest_write(TOGGLE, enabled ? "1" : "0"))
				guest_die(TOGGLE ": %s", strerror(errno));
		}
		nanosleep(&ms, NULL);
	}
	if (!online)
		hotplug(n, &rng, true);
	guest_report("torture_restores %llu\n"
		     "torture_hotplugs %llu\n"
		     "torture_toggles %llu\n"
		     "torture_jumps %llu\n",
		     (unsigned long long)restore.count, (unsigned long long)plug.count,
		     (unsigned long long)toggle.count, (unsigned long long)jumps.count);
}

struct outcome workload_torture(const struct params *p)
{
	static struct thread threads[MAX_THREADS];
	uint64_t sets = 0, moves = 0, cancels = 0;
	struct outcome o = { 0 };
	int n = guest_cpus();
	sigset_t block;

	if (p->timers < 2 || p->timers > MAX_TIMERS || n > MAX_THREADS)
		guest_die("torture takes 2 to %d timers", MAX_TIMERS);
	sigemptyset(&block);
	sigaddset(&block, SIG_TIMER);
	pthread_sigmask(SIG_BLOCK, &block, NULL);
	for (int i = 0; i < n; i++) {
		threads[i].p = p;
		threads[i].index = i;
		threads[i].rng = p->seed * MAX_THREADS + i;
		if (pthread_create(&threads[i].thread, NULL, torture_thread, &threads[i]))
			guest_die("no thread");
	}
	disturb(p, threads, n);
	atomic_store(&finished, true);
	for (int i = 0; i < n; i++) {
		pthread_join(threads[i].thread, NULL);
		lateness_merge(&o.late, &threads[i].o.late);
		o.violations += threads[i].o.violations;
		sets += threads[i].sets;
		moves += threads[i].moves;
		cancels += threads[i].cancels;
	}
	guest_report("torture_sets %llu\n"
		     "torture_moves %llu\n"
		     "torture_cancels %llu\n"
		     "torture_longest_stop_ns %lld\n",
		     (unsigned long long)sets, (unsigned long long)moves,
		     (unsigned long long)cancels, (long long)atomic_load(&longest_stop));
	return o;
}
