/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Litmus tests as data: small assembly programs with a condition on their final states. What is
 * here is the meaning of the X86 part of herd's format; files are read elsewhere.
 */
#ifndef LAZYTSC_SIM_LITMUS_H
#define LAZYTSC_SIM_LITMUS_H

#include <lazytsc/sim/checker.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	LAZYTSC_LITMUS_REGISTERS = 16, /* in each thread: RAX to R15, under any name of any width */
	LAZYTSC_LITMUS_MAX_INSNS = 256, /* of a thread */
	LAZYTSC_LITMUS_MAX_LOCATIONS = 256,
	LAZYTSC_LITMUS_MAX_OBSERVED = 256,
	LAZYTSC_LITMUS_MAX_NODES = 4096, /* of a condition */
	LAZYTSC_LITMUS_NAME = 128 /* bytes of a name, with its end */
};

enum lazytsc_litmus_op {
	LAZYTSC_LITMUS_MOV,
	LAZYTSC_LITMUS_MFENCE,
	LAZYTSC_LITMUS_NOP, /* SFENCE and LFENCE too: they add nothing to x86-TSO */
	LAZYTSC_LITMUS_XCHG, /* locked with or without the prefix */
	LAZYTSC_LITMUS_XADD,
	LAZYTSC_LITMUS_CMPXCHG, /* with RAX, at the width of the source; flags are not modelled */
	LAZYTSC_LITMUS_ADD, /* INC is ADD 1 */
	LAZYTSC_LITMUS_SUB, /* DEC is SUB 1 */
	LAZYTSC_LITMUS_XOR,
	LAZYTSC_LITMUS_AND,
	LAZYTSC_LITMUS_OR
};

enum lazytsc_litmus_kind {
	LAZYTSC_LITMUS_NONE,
	LAZYTSC_LITMUS_REGISTER,
	LAZYTSC_LITMUS_IMMEDIATE,
	LAZYTSC_LITMUS_LOCATION, /* the memory at a location */
	LAZYTSC_LITMUS_INDIRECT /* the memory at the address that a register holds */
};

struct lazytsc_litmus_operand {
	enum lazytsc_litmus_kind kind;
	unsigned n; /* register or location */
	unsigned width; /* of a register: 8, 16, 32 or 64 */
	int64_t value; /* IMMEDIATE */
};

struct lazytsc_litmus_insn {
	enum lazytsc_litmus_op op;
	bool locked;
	struct lazytsc_litmus_operand to, from;
	int line; /* in the file */
};

struct lazytsc_litmus_code {
	unsigned n;
	struct lazytsc_litmus_insn insn[LAZYTSC_LITMUS_MAX_INSNS];
	int64_t init[LAZYTSC_LITMUS_REGISTERS];
};

/* What a final state is made of: a register of a thread (thread >= 0), or a location. */
struct lazytsc_litmus_observed {
	int thread;
	unsigned n;
	unsigned width; /* of a register */
	bool in_condition; /* else only asked for by `locations` */
	char name[LAZYTSC_LITMUS_NAME]; /* as printed: "0:EAX", "[x]" */
};

enum lazytsc_litmus_node_op {
	LAZYTSC_LITMUS_TRUE,
	LAZYTSC_LITMUS_FALSE,
	LAZYTSC_LITMUS_EQUAL, /* observed[a] == value */
	LAZYTSC_LITMUS_DIFFERS,
	LAZYTSC_LITMUS_NOT, /* of node a */
	LAZYTSC_LITMUS_CONJUNCTION, /* of nodes a and b */
	LAZYTSC_LITMUS_DISJUNCTION,
	LAZYTSC_LITMUS_IMPLIES
};

/* A condition's nodes come after those that they are made of; the last is the whole. */
struct lazytsc_litmus_node {
	enum lazytsc_litmus_node_op op;
	unsigned a, b;
	int64_t value;
};

enum lazytsc_litmus_quantifier {
	LAZYTSC_LITMUS_EXISTS,
	LAZYTSC_LITMUS_NOT_EXISTS,
	LAZYTSC_LITMUS_FORALL
};

struct lazytsc_litmus {
	char name[LAZYTSC_LITMUS_NAME];
	unsigned threads;
	struct lazytsc_litmus_code code[LAZYTSC_MAX_THREADS];
	unsigned locations;
	char location[LAZYTSC_LITMUS_MAX_LOCATIONS][LAZYTSC_LITMUS_NAME];
	int64_t init[LAZYTSC_LITMUS_MAX_LOCATIONS];
	unsigned observed_n;
	struct lazytsc_litmus_observed observed[LAZYTSC_LITMUS_MAX_OBSERVED];
	enum lazytsc_litmus_quantifier quantifier;
	unsigned nodes;
	struct lazytsc_litmus_node node[LAZYTSC_LITMUS_MAX_NODES];
	char *condition; /* its text in the file, or NULL */
};

/* The address of a location, as registers and memory hold it. */
int64_t lazytsc_litmus_address(unsigned location);

/* Does a final state, one value for each of `observed`, satisfy the condition? */
bool lazytsc_litmus_holds(const struct lazytsc_litmus *t, const int64_t *state);

/* The test as a program, for the checker and the stepper. It refers to t and to threads. */
struct lazytsc_program lazytsc_litmus_program(const struct lazytsc_litmus *t,
					      struct lazytsc_thread threads[LAZYTSC_MAX_THREADS]);

/*
 * The final state of an execution: `own` are the threads' own blocks, `memory` the locations'
 * values.
 */
void lazytsc_litmus_state(const struct lazytsc_litmus *t, const void *const *own, const u64 *memory,
			  int64_t *state);

struct lazytsc_litmus_result {
	struct lazytsc_check_result check; /* its outcomes are states; sorted numerically */
	u64 positive, negative; /* executions whose state satisfies the condition, or does not */
	size_t condition_states; /* different states as far as the condition names them */
};

/**
 * lazytsc_litmus_run() - all executions of a litmus test
 * @t:      the test
 * @check:  model, limits, jobs and progress are used, the rest is set here
 * @seek:   keep a schedule: of an execution that satisfies the condition (EXISTS, NOT_EXISTS), or
 *          does not (FORALL); check.schedule and check.violations then speak of that
 * @result: to be released with lazytsc_check_release(&result->check)
 *
 * Return: false when there was no memory to start with.
 */
bool lazytsc_litmus_run(const struct lazytsc_litmus *t, const struct lazytsc_check *check,
			bool seek, struct lazytsc_litmus_result *result);

#ifdef __cplusplus
}
#endif

#endif
