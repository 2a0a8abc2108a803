/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine of CPUs with store buffers, run step by step: the layer below a search.
 *
 * How to use it. Make a stepper of a program. After lazytsc_stepper_reset() each thread has run up
 * to its first operation. Ask which steps are enabled, perform one, ask again. A path through the
 * program is the list of steps that were performed. To come back to a state, reset the stepper and
 * perform its path again (some 10 ns a step).
 *
 * A step is an operation of a thread together with all that its function does up to the next one;
 * or a drain: the oldest store of a CPU's buffer goes to memory. In TSO, mfence, locked operations
 * and VM exits are enabled only while their CPU's buffer is empty. In SC there are no drains. An
 * assumption that holds is no step; one that does not stops its thread for good.
 *
 * A stepper, and the functions that it runs, belong to the OS thread that made it. Steppers on
 * different OS threads are independent. While a step runs, lazytsc_engine is the stepper.
 */
#ifndef LAZYTSC_SIM_STEP_H
#define LAZYTSC_SIM_STEP_H

#include <lazytsc/sim/program.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How many stores a CPU's buffer holds; with more, a store waits for a drain. */
enum { LAZYTSC_BUFFER_SIZE = 32 };

struct lazytsc_step {
	unsigned char cpu;
	bool drain;
	unsigned short choice; /* for LAZYTSC_OP_CHOOSE and interruptions, else 0 */
};

/* What a step is, or was. */
struct lazytsc_step_info {
	struct lazytsc_step step;
	enum lazytsc_op op; /* for a drain: LAZYTSC_OP_STORE */
	const lazytsc_shared_t *field; /* NULL: it touches none */
	const char *name, *file, *func; /* in the source; for a drain, of the store */
	int line;
	bool local; /* no other CPU can tell when it happens, as with a store into a buffer */
	bool forwarded; /* last(): a load that took its value from the CPU's own buffer */
	u64 value; /* stored, drained, exchanged, added */
	u64 result; /* last(): what it read, or the choice */
};

enum lazytsc_stepper_status {
	LAZYTSC_RUNNING, /* steps are enabled */
	LAZYTSC_FINISHED, /* every thread has returned, and the buffers are empty */
	LAZYTSC_STUCK, /* no step is enabled, and some thread has not returned */
	LAZYTSC_FAILED /* an assertion failed: no step is enabled any more */
};

/*
 * An interruption, such as a VM exit or an interrupt, may come before any operation of a CPU's
 * thread. It is a step of that CPU with choice LAZYTSC_INTERRUPTION + its index, enabled while
 * ready() holds and, if it drains, while the CPU's buffer is empty. The step calls run() on the
 * thread; run() may use the port, and the interrupted operation comes after it. No interruption
 * comes within run(), or after the thread has returned. Of the interrupted function's data, ready()
 * and run() may use only what is in memory that they share.
 */
enum { LAZYTSC_INTERRUPTION = 0x8000 };

struct lazytsc_interruption {
	const char *name, *file, *func;
	int line;
	unsigned char cpu;
	bool drains;
	bool (*ready)(const struct lazytsc_self *self); /* must not use the port */
	void (*run)(const struct lazytsc_self *self);
};

struct lazytsc_stepper_config {
	const struct lazytsc_program *program;
	const struct lazytsc_interruption *interruption;
	unsigned interruptions;
	enum lazytsc_model model;
	size_t common_size; /* bytes of plain memory for all threads, zeroed by reset */
	/* Called by reset, before the threads and after the program's init. May be NULL. */
	void (*setup)(void *common, void *shared, const void *arg);
	const void *arg; /* of setup */
	u64 (*tsc)(const void *common); /* what lazytsc_tsc() reads; NULL: always 0 */
	/*
	 * Called when a step has been performed, before its thread goes on: for an observer that
	 * must see an access before what the thread does next. May be NULL; must not use the port.
	 */
	void (*performed)(void *common, void *shared, const struct lazytsc_step_info *step);
	/*
	 * For lazytsc_stepper_hash(): the threads promise to keep nothing of the common memory in
	 * their variables across an operation, except what they pass to lazytsc_note(). Without
	 * this promise the hash assumes that each thread remembers the whole common memory at each
	 * of its operations.
	 */
	bool notes;
};

struct lazytsc_stepper;

/**
 * lazytsc_stepper_new() - make a stepper, reset
 * @config: read now; the program it names must outlive the stepper
 *
 * Return: NULL when there is no memory.
 */
struct lazytsc_stepper *lazytsc_stepper_new(const struct lazytsc_stepper_config *config);

/** lazytsc_stepper_free() - free it, and the memory that its programs were given; @s may be NULL */
void lazytsc_stepper_free(struct lazytsc_stepper *s);

/*
 * Puts all CPUs back to their start, and memory to what the program's init and then the
 * configuration's setup make of it.
 */
void lazytsc_stepper_reset(struct lazytsc_stepper *s);

/* Says how far the program is. Can be called at any time. */
enum lazytsc_stepper_status lazytsc_stepper_status(struct lazytsc_stepper *s);

/**
 * lazytsc_stepper_enabled() - the steps that can be performed now
 * @s:     the stepper
 * @steps: room for the answer: by CPU; its operation first (each choice), then its interruptions,
 *         then its drain
 * @max:   how many fit there
 *
 * Return: how many there are, which may be more than @max.
 */
size_t lazytsc_stepper_enabled(struct lazytsc_stepper *s, struct lazytsc_step *steps, size_t max);

/* Is this step enabled? Any values are fine. */
bool lazytsc_stepper_is_enabled(struct lazytsc_stepper *s, struct lazytsc_step step);

/* Performs a step that is enabled. */
void lazytsc_stepper_perform(struct lazytsc_stepper *s, struct lazytsc_step step);

/* Describes a step that is enabled, before it is performed. */
struct lazytsc_step_info lazytsc_stepper_describe(const struct lazytsc_stepper *s,
						  struct lazytsc_step step);

/* Describes the step that was performed last, with what it read. */
struct lazytsc_step_info lazytsc_stepper_last(const struct lazytsc_stepper *s);

/*
 * What a CPU's thread waits to do next, enabled or not; LAZYTSC_OP_END when it has returned,
 * LAZYTSC_OP_FAIL where an assertion failed, LAZYTSC_OP_ASSUME where it stopped for good.
 */
struct lazytsc_step_info lazytsc_stepper_pending(const struct lazytsc_stepper *s, unsigned cpu);

/* A field's value in memory, which a CPU's buffer may overlay. */
u64 lazytsc_stepper_memory(const struct lazytsc_stepper *s, const lazytsc_shared_t *field);

/* A field's value as this CPU would load it now. */
u64 lazytsc_stepper_load(const struct lazytsc_stepper *s, unsigned cpu,
			 const lazytsc_shared_t *field);

/** lazytsc_stepper_buffered() - how many stores wait in a CPU's buffer */
unsigned lazytsc_stepper_buffered(const struct lazytsc_stepper *s, unsigned cpu);

/**
 * lazytsc_stepper_buffer() - a store that waits in a CPU's buffer
 * @i:     which, the oldest first; below lazytsc_stepper_buffered()
 * @field: set to where it goes
 * @value: set to what it stores
 */
void lazytsc_stepper_buffer(const struct lazytsc_stepper *s, unsigned cpu, unsigned i,
			    const lazytsc_shared_t **field, u64 *value);

/*
 * The memory that programs are given; it stays where it is until the stepper is freed.
 */

/** lazytsc_stepper_shared() - the shared fields: their addresses, which nobody may read through */
void *lazytsc_stepper_shared(const struct lazytsc_stepper *s);

/** lazytsc_stepper_own() - the block of a CPU's thread, plain memory */
void *lazytsc_stepper_own(const struct lazytsc_stepper *s, unsigned cpu);

/** lazytsc_stepper_common() - the block of all threads, plain memory */
void *lazytsc_stepper_common(const struct lazytsc_stepper *s);

/* A hash of a state: 128 bits, so two different states practically never share one. */
struct lazytsc_state_hash {
	u64 low, high;
};

/**
 * lazytsc_stepper_hash() - the whole state: equal states have equal hashes
 * @s: the stepper
 *
 * The hash covers memory, buffers, the own blocks, the common memory (a program must zero there
 * what must not count), and for each thread everything that it has read since its start or its last
 * lazytsc_checkpoint(): the rest of the thread depends on nothing else (for common memory see
 * `notes` above). Two states with different pasts may so have different hashes although the threads
 * would go on in the same way; checkpoints avoid that. Two steppers of one program agree on the
 * hash, because an address of a shared field, an own block or the common memory counts as an
 * offset.
 */
struct lazytsc_state_hash lazytsc_stepper_hash(const struct lazytsc_stepper *s);

/**
 * lazytsc_stepper_save() - a copy of the whole state, to come back to
 * @s:    the stepper
 * @to:   room for the copy; good for this stepper alone, until it is freed
 * @room: bytes there
 *
 * Return: the size of the copy in bytes; it is written only if it fits. 0: this build (with
 * sanitizers) cannot save states, and the caller performs the steps again instead.
 */
size_t lazytsc_stepper_save(const struct lazytsc_stepper *s, void *to, size_t room);

/* Back to the state that was saved; lazytsc_stepper_last() is not part of it. */
void lazytsc_stepper_restore(struct lazytsc_stepper *s, const void *from);

enum { LAZYTSC_STEP_TEXT = 16 };

/* A step as text: "1" an operation of CPU 1, "1d" a drain, "1=2" choice 2, "1!0" interruption 0. */
void lazytsc_step_print(struct lazytsc_step step, char text[LAZYTSC_STEP_TEXT]);

/*
 * Reads what print wrote, after any blanks. Returns what follows it, or NULL where there is none.
 */
const char *lazytsc_step_parse(const char *text, struct lazytsc_step *step);

/* The word for an operation: "load", "store", "mb", ... */
const char *lazytsc_op_name(enum lazytsc_op op);

#ifdef __cplusplus
}
#endif

#endif
