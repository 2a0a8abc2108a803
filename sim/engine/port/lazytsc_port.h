/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core's port to the simulator. See <lazytsc/port.h> for what each operation promises.
 *
 * The replayer and the simulator run the core on one thread and want it fast: with no engine set,
 * an access is a plain access to memory, and the barrier only holds the compiler back. The race
 * checker sets an engine for the OS thread that it runs on: then every operation becomes a step,
 * with its place in the source and the name of the field, and the engine decides when it happens
 * and what it reads. The engine keeps the values elsewhere, and what programs are given are
 * addresses alone: an access that goes round the port faults.
 *
 * Beyond what the core needs, the port offers what programs under the checker need: locked
 * operations, VM exits, events, choices, assumptions. They need an engine.
 */
#ifndef LAZYTSC_PORT_SIM_H
#define LAZYTSC_PORT_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;
typedef int64_t s64;

typedef struct {
	u64 port_only;
} lazytsc_shared_t;

enum lazytsc_op {
	LAZYTSC_OP_LOAD,
	LAZYTSC_OP_STORE,
	LAZYTSC_OP_MB, /* mfence: waits for an empty store buffer */
	LAZYTSC_OP_XCHG, /* this and the next two are locked: they wait for an empty buffer */
	LAZYTSC_OP_XADD,
	LAZYTSC_OP_CMPXCHG,
	LAZYTSC_OP_EXIT, /* VM exit or entry: waits for an empty store buffer */
	LAZYTSC_OP_EVENT, /* a named step, once its condition holds */
	LAZYTSC_OP_CHOOSE, /* one of n ways to go on */
	LAZYTSC_OP_ASSUME, /* goes on where true, else the thread stops for good */
	LAZYTSC_OP_CHECKPOINT, /* what the thread remembers is stated: see lazytsc_checkpoint() */
	LAZYTSC_OP_TSC, /* RDTSC */
	LAZYTSC_OP_NOTE, /* the thread remembers a value of plain memory: see lazytsc_note() */
	LAZYTSC_OP_FAIL, /* an assertion failed here */
	LAZYTSC_OP_END /* the thread's function has returned */
};

/* One operation of a thread, as the engine sees it. */
struct lazytsc_access {
	enum lazytsc_op op;
	int line;
	lazytsc_shared_t *field; /* LOAD to CMPXCHG except MB */
	/*
	 * stored, exchanged, added; CHOOSE: n; ASSUME: the condition; CHECKPOINT, NOTE: what is
	 * said
	 */
	u64 value;
	u64 expect; /* CMPXCHG: stores value where the field holds this */
	/* EVENT, EXIT: its condition, NULL: none; must not use the port */
	bool (*ready)(void *arg);
	void *arg; /* of ready */
	const char *name; /* the field's, condition's or event's text in the source */
	const char *file, *func;
};

struct lazytsc_engine {
	/* Performs one operation and returns what it reads; 0 where it reads nothing. */
	u64 (*access)(struct lazytsc_engine *engine, const struct lazytsc_access *access);
};

/* The engine of this OS thread; NULL: none. With the clock below the simulator's only globals. */
extern __thread struct lazytsc_engine *lazytsc_engine __attribute__((tls_model("initial-exec")));

/* What RDTSC reads on this OS thread where no engine is set; kept by whoever runs a guest. */
extern __thread u64 lazytsc_clock __attribute__((tls_model("initial-exec")));

/* For operations that nothing but an engine can perform. Without one: says so and aborts. */
u64 lazytsc_engine_access(const struct lazytsc_access *access);

#define LAZYTSC_ACCESS(op_, name_, ...)                    \
	(&(const struct lazytsc_access){ .op = (op_),      \
					 .name = (name_),  \
					 .file = __FILE__, \
					 .line = __LINE__, \
					 .func = __func__, \
					 __VA_ARGS__ })

#define lazytsc_load(p)                                                                           \
	({                                                                                        \
		const lazytsc_shared_t *const lazytsc_p_ = (p);                                   \
		__builtin_expect(!lazytsc_engine, 1)                                              \
			? __atomic_load_n(&lazytsc_p_->port_only, __ATOMIC_RELAXED)               \
			: lazytsc_engine_access(LAZYTSC_ACCESS(                                   \
				  LAZYTSC_OP_LOAD, #p, .field = (lazytsc_shared_t *)lazytsc_p_)); \
	})

#define lazytsc_store(p, v)                                                                     \
	({                                                                                      \
		lazytsc_shared_t *const lazytsc_store_p_ = (p);                                 \
		const u64 lazytsc_store_v_ = (v);                                               \
		if (__builtin_expect(!lazytsc_engine, 1))                                       \
			__atomic_store_n(&lazytsc_store_p_->port_only, lazytsc_store_v_,        \
					 __ATOMIC_RELAXED);                                     \
		else                                                                            \
			(void)lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_STORE, #p,        \
								   .field = lazytsc_store_p_,   \
								   .value = lazytsc_store_v_)); \
	})

#define lazytsc_mb()                                                                      \
	({                                                                                \
		if (__builtin_expect(!lazytsc_engine, 1))                                 \
			__asm__ __volatile__("" ::: "memory");                            \
		else                                                                      \
			(void)lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_MB, "mb")); \
	})

#define lazytsc_tsc()                         \
	(__builtin_expect(!lazytsc_engine, 1) \
		 ? lazytsc_clock              \
		 : lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_TSC, "RDTSC")))

#define lazytsc_assert(cond) \
	((cond) ? (void)0 : (void)lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_FAIL, #cond)))

/* Locked operations; each returns what the field held before. */
#define lazytsc_xchg(p, v) \
	lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_XCHG, #p, .field = (p), .value = (v)))
#define lazytsc_xadd(p, v) \
	lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_XADD, #p, .field = (p), .value = (v)))
#define lazytsc_cmpxchg(p, old, new)                                               \
	lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_CMPXCHG, #p, .field = (p), \
					     .expect = (old), .value = (new)))

/*
 * A VM exit or entry: the CPU stops until its stores are in memory; lazytsc_exit_if() until
 * ready(arg) holds as well.
 */
#define lazytsc_exit(what) ((void)lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_EXIT, (what))))
#define lazytsc_exit_if(what, ready_, arg_) \
	((void)lazytsc_engine_access(       \
		LAZYTSC_ACCESS(LAZYTSC_OP_EXIT, (what), .ready = (ready_), .arg = (arg_))))

/*
 * A named step: an MSR write, a kick, a delivery, a tick of time. What follows, up to the next
 * operation, happens with it, at once. lazytsc_event_if() waits until ready(arg) holds.
 */
#define lazytsc_event(what) ((void)lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_EVENT, (what))))
#define lazytsc_event_if(what, ready_, arg_) \
	((void)lazytsc_engine_access(        \
		LAZYTSC_ACCESS(LAZYTSC_OP_EVENT, (what), .ready = (ready_), .arg = (arg_))))

/* Goes on in each of n ways: returns 0 to n - 1. */
#define lazytsc_choose(what, n) \
	lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_CHOOSE, (what), .value = (n)))

/*
 * From here on the thread does the same whatever it has read so far, as long as its own block, the
 * common memory and key are the same. Lets a search by states merge what differs in the past only
 * (see lazytsc_stepper_hash()); other searches ignore it. Is no step.
 */
#define lazytsc_checkpoint(key) \
	((void)lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_CHECKPOINT, #key, .value = (key))))

/* Tells a search by states that the thread remembers this, which it has not read by the port. */
#define lazytsc_note(v) \
	((void)lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_NOTE, #v, .value = (v))))

/* The execution counts only where cond holds: a spin loop is a load and an assumption. */
#define lazytsc_assume(cond) \
	((void)lazytsc_engine_access(LAZYTSC_ACCESS(LAZYTSC_OP_ASSUME, #cond, .value = !!(cond))))

#ifdef __cplusplus
}
#endif

#endif
