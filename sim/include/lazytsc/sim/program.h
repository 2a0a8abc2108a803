/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs for the race checker: threads as functions over the port.
 *
 * A thread is a C function. It touches shared memory through the port alone (lazytsc_load(),
 * lazytsc_store(), lazytsc_mb(), and what else <lazytsc_port.h> offers); between two operations it
 * may compute what it likes with its own variables. It runs many times, from the start, and must do
 * the same whenever the port gives it the same values: no clock, no random numbers, no heap, no
 * static variables.
 *
 * One thread is one CPU: with x86-TSO it has one store buffer. A vCPU and the host code that runs
 * after its exits are one thread (call lazytsc_exit(), then the host's functions); a callback on
 * another CPU is another thread.
 *
 * Two ways to run a program: step by step (<lazytsc/sim/step.h>), and all its executions
 * (<lazytsc/sim/checker.h>).
 */
#ifndef LAZYTSC_SIM_PROGRAM_H
#define LAZYTSC_SIM_PROGRAM_H

#include <lazytsc_port.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lazytsc_model {
	LAZYTSC_SC, /* one memory, each access at once */
	LAZYTSC_TSO /* x86-TSO: a FIFO store buffer for each CPU, with forwarding */
};

enum { LAZYTSC_MAX_THREADS = 16 };

/* What a thread's function is given. */
struct lazytsc_self {
	void *shared; /* the shared fields; addresses only, see the port */
	void *own; /* the thread's own block, zeroed when the thread starts */
	void *common; /* plain memory common to all threads; NULL except in a stepper */
	const void *arg; /* the thread's, from the program */
	unsigned cpu; /* its number, from 0 */
};

struct lazytsc_thread {
	const char *name;
	void (*run)(const struct lazytsc_self *self);
	const void *arg; /* constant while the program is in use */
};

struct lazytsc_program {
	const char *name;
	unsigned threads; /* 1 to LAZYTSC_MAX_THREADS */
	const struct lazytsc_thread *thread;
	size_t shared_size; /* bytes of shared fields; they start as 0 */
	size_t own_size; /* bytes of each thread's own block; may be 0 */
	/* Sets what does not start as 0, through the port, before any thread runs. May be NULL. */
	void (*init)(void *shared, const void *arg);
	const void *arg; /* of init */
};

#ifdef __cplusplus
}
#endif

#endif
