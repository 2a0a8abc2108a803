/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fibers: functions that stop in the middle and go on later, without a system call.
 *
 * A fiber belongs to the OS thread that first resumes it. It may be dropped or started anew at
 * any time: nothing is unwound, so its function must own nothing but its stack. On x86-64 a
 * switch is a few instructions; elsewhere it is swapcontext().
 */
#ifndef LAZYTSC_SIM_FIBER_H
#define LAZYTSC_SIM_FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct fiber {
	void *sp; /* where it stopped; NULL: it runs, or has ended */
	void *caller; /* where its resumer waits */
	char *stack, *top; /* its stack, lowest and highest address */
	void (*run)(void *arg);
	void *arg;
	/* For the sanitizers and Valgrind, which keep a stack's bounds and history of their own. */
	void *fake, *tsan, *tsan_caller;
	unsigned starts, valgrind;
	const void *caller_bottom;
	size_t caller_size;
};

/* Gives it a stack with a guard page below. Returns false when there is no memory. */
bool fiber_init(struct fiber *f);
void fiber_fini(struct fiber *f);

/* (Re)starts it: run(arg) begins at the next resume. */
void fiber_start(struct fiber *f, void (*run)(void *arg), void *arg);

/* Runs it until it yields or ends. Returns false once it has ended. */
bool fiber_resume(struct fiber *f);

/*
 * A stopped fiber's state is its sp and the bytes from there to its top: a copy of them can be put
 * back. Not under a sanitizer or Valgrind, which keep state of their own, and on x86-64 only.
 */
bool fiber_can_save(void);

/* Called on the fiber: goes back to whoever resumed it. */
void fiber_yield(struct fiber *f);

#endif
