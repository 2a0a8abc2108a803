/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's /init: one workload, measured, reported through the VMM's doorbell.
 *
 *   guest.c      start, parameters, the doorbell, counting interrupts, the trace
 *   workloads.c  rewrite storm, request/response, cyclic timers, idle, tasks that share a CPU
 *   torture.c    random timers under CPU hotplug, toggling, save and restore; every expiry checked
 */
#ifndef LAZYTSC_KERNEL_GUEST_H
#define LAZYTSC_KERNEL_GUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "../vmm/doorbell.h"

#define NSEC 1000000000LL

/* Lateness of expiries, ns. */
struct lateness {
	uint64_t count;
	int64_t min, max, sum;
};

/* The workload's parameters, from the kernel's command line; every one is reported. */
struct params {
	const char *workload;
	long n; /* how many: rewrites, rounds, expiries */
	long us; /* a period or distance, microseconds */
	long gap; /* work between two operations, microseconds */
	long timers; /* for each thread */
	long seed;
	long pairs; /* of threads that pass messages; 0: as the workload has it */
	long hogs; /* tasks: that only compute */
	long hrtick; /* the scheduler's HRTICK off (0) or on (1); -1: as the kernel has it */
	long moves; /* rewrite: how often the VM is restored; torture: at least so often */
	long trace; /* 1: record the timer's programming, and hand it out */
	long restore; /* torture: save and restore each so many milliseconds; 0: never */
	long hotplug; /* torture: the same for taking a CPU offline and back */
	long toggle; /* torture: the same for switching the feature off and on */
	long jump; /* torture: the same for moving the TSC, see may_jump() */
	long bound; /* torture: an expiry later than this is a lost one, milliseconds */
};

/* Reports why, and ends the guest. */
void guest_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Adds lines "name value" to the report. */
void guest_report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Stores a command to the doorbell. */
void guest_ring(enum vmm_command command, uint32_t arg);

/* Has the VM saved and restored; counts what becomes of LAZYTSC_MSR where the VMM waits. */
void guest_restore(uint32_t how);

/* What this guest's side of the lazy deadline has counted so far; zeroes where it is not in use. */
struct lazy_counts {
	uint64_t writes, skips;
};
struct lazy_counts guest_lazy_counts(void);

int64_t guest_now(void); /* CLOCK_MONOTONIC, ns */
void guest_spin(int64_t ns); /* computes for so long */
void guest_pin(int cpu); /* the calling thread stays on this CPU */
int guest_cpus(void); /* how many CPUs are online */
/* Write text into a file of proc or sysfs; false when that is refused or it is not there. */
bool guest_write(const char *path, const char *text);

void lateness_add(struct lateness *l, int64_t late);
void lateness_merge(struct lateness *l, const struct lateness *other);

/* Each returns what it measured; a violation is reported and counted in the return. */
struct outcome {
	struct lateness late;
	uint64_t violations;
};
struct outcome workload_rewrite(const struct params *p);
struct outcome workload_rr(const struct params *p);
struct outcome workload_cyclic(const struct params *p);
struct outcome workload_idle(const struct params *p);
struct outcome workload_tasks(const struct params *p);
struct outcome workload_torture(const struct params *p);

#endif
