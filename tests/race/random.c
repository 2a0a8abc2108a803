// SPDX-License-Identifier: BSD-2-Clause
/*
 * The reduced search against an unreduced one, on small random programs, in both models: the same
 * number of executions, of blocked executions, the same outcomes, each as often, the same answer to
 * whether an assertion can fail, and schedules that lead to what they are said to. The unreduced
 * search tries every interleaving, drains included, on the machine with store buffers (step.c); it
 * knows nothing of graphs or axioms. It tells two interleavings apart by what a trace is: which
 * store each load reads, and in which order the stores of a field reach memory; and it does not go
 * on twice from the same trace so far. Soundness and optimality of the search rest on this test as
 * much as on docs/soundness.md. The programs are those of seeds 0, 1, 2, ...: a failure names one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <lazytsc/sim/checker.h>
#include <lazytsc/sim/step.h>

enum { MAX_THREADS = 4, MAX_OPS = 6, FIELDS = 2, MAX_STEPS = 64 };

struct op {
	enum lazytsc_op op;
	unsigned field;
	u64 value, expect;
	bool computed; /* stores what was read last, plus value */
};

struct code {
	unsigned n;
	bool asserts; /* in place of assumptions */
	struct op op[MAX_OPS];
};

struct shared {
	lazytsc_shared_t field[FIELDS];
};

struct outcome {
	u64 reads[MAX_THREADS]; /* all that the thread has read, as digits */
	u64 memory[FIELDS];
};

static void run_code(const struct lazytsc_self *self)
{
	const struct code *code = self->arg;
	struct shared *shared = self->shared;
	u64 *reads = self->own;
	u64 last = 0;

	for (unsigned i = 0; i < code->n; i++) {
		const struct op *op = &code->op[i];
		lazytsc_shared_t *field = &shared->field[op->field];
		u64 value = op->value + (op->computed ? last : 0);

		switch (op->op) {
		case LAZYTSC_OP_LOAD:
			last = lazytsc_load(field);
			break;
		case LAZYTSC_OP_STORE:
			lazytsc_store(field, value);
			continue;
		case LAZYTSC_OP_XCHG:
			last = lazytsc_xchg(field, value);
			break;
		case LAZYTSC_OP_XADD:
			last = lazytsc_xadd(field, value);
			break;
		case LAZYTSC_OP_CMPXCHG:
			last = lazytsc_cmpxchg(field, op->expect, value);
			break;
		case LAZYTSC_OP_CHOOSE:
			last = lazytsc_choose("way", op->value + 1);
			break;
		case LAZYTSC_OP_ASSUME:
			if (code->asserts)
				lazytsc_assert(last != op->value);
			else
				lazytsc_assume(last != op->value);
			continue;
		case LAZYTSC_OP_EVENT:
			lazytsc_event("event");
			continue;
		case LAZYTSC_OP_EXIT:
			lazytsc_exit("exit");
			continue;
		default:
			lazytsc_mb();
			continue;
		}
		*reads = *reads * 11 + last + 1;
	}
}

/* SplitMix64. */
static u64 next(u64 *seed)
{
	u64 z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

struct source {
	struct code code[MAX_THREADS];
	struct lazytsc_thread thread[MAX_THREADS];
	struct lazytsc_program program;
};

static void make_source(u64 seed, struct source *s)
{
	static const enum lazytsc_op ops[] = {
		LAZYTSC_OP_LOAD,    LAZYTSC_OP_LOAD,  LAZYTSC_OP_LOAD,	LAZYTSC_OP_LOAD,
		LAZYTSC_OP_STORE,   LAZYTSC_OP_STORE, LAZYTSC_OP_STORE, LAZYTSC_OP_STORE,
		LAZYTSC_OP_STORE,   LAZYTSC_OP_XCHG,  LAZYTSC_OP_XADD,	LAZYTSC_OP_CMPXCHG,
		LAZYTSC_OP_CMPXCHG, LAZYTSC_OP_MB,    LAZYTSC_OP_EXIT,	LAZYTSC_OP_CHOOSE,
		LAZYTSC_OP_ASSUME,  LAZYTSC_OP_EVENT,
	};
	/*
	 * The first half of ops is plain loads and stores; some programs are made of these alone.
	 */
	const unsigned kinds = next(&seed) % 3 ? sizeof(ops) / sizeof(ops[0]) : 9;
	const unsigned threads = 2 + (next(&seed) % 4 == 0) + (next(&seed) % 4 == 0);
	const unsigned longest = threads == 2 ? 5 : threads == 3 ? 3 : 2;

	memset(s, 0, sizeof(*s));
	for (unsigned t = 0; t < threads; t++) {
		s->code[t].n = 1 + next(&seed) % longest;
		for (unsigned i = 0; i < s->code[t].n; i++)
			s->code[t].op[i] = (struct op){
				.op = ops[next(&seed) % kinds],
				.field = next(&seed) % FIELDS,
				.value = next(&seed) % 3,
				.expect = next(&seed) % 2,
				.computed = next(&seed) % 4 == 0,
			};
		s->thread[t] = (struct lazytsc_thread){ "P", run_code, &s->code[t] };
	}
	s->program = (struct lazytsc_program){
		.name = "random",
		.threads = threads,
		.thread = s->thread,
		.shared_size = sizeof(struct shared),
		.own_size = sizeof(u64),
	};
}

/* A set of 128-bit hashes. */
struct set {
	struct lazytsc_state_hash *slot;
	size_t n, slots;
};

static bool insert(struct set *set, struct lazytsc_state_hash hash)
{
	size_t i;

	if (2 * set->n >= set->slots) {
		struct set bigger = { .slots = set->slots ? 2 * set->slots : 1024 };

		bigger.slot = calloc(bigger.slots, sizeof(*bigger.slot));
		assert_non_null(bigger.slot);
		for (i = 0; i < set->slots; i++)
			if (set->slot[i].low)
				insert(&bigger, set->slot[i]);
		free(set->slot);
		*set = bigger;
	}
	hash.low |= 1;
	for (i = hash.low & (set->slots - 1); set->slot[i].low; i = (i + 1) & (set->slots - 1))
		if (set->slot[i].low == hash.low && set->slot[i].high == hash.high)
			return false;
	set->slot[i] = hash;
	set->n++;
	return true;
}

enum { MAX_OUTCOMES = 4096 };

struct unreduced {
	const struct source *source;
	struct lazytsc_stepper *stepper;
	struct lazytsc_step path[MAX_STEPS];
	struct set seen;
	u64 executions, blocked;
	bool failed;
	size_t outcomes;
	struct outcome outcome[MAX_OUTCOMES];
	u64 count[MAX_OUTCOMES];
};

/* What of an interleaving makes its trace. A store is known by its thread and its number there. */
struct trace {
	uint16_t did[MAX_THREADS][MAX_OPS]; /* what each operation read */
	uint16_t order[FIELDS][MAX_THREADS * MAX_OPS]; /* the stores of a field, as they arrive */
	uint16_t ops[MAX_THREADS], stores[FIELDS];
};

/* The n-th operation of a thread that is a step. */
static const struct op *step_of(const struct code *code, unsigned n)
{
	const struct op *op = code->op;

	for (; op->op == LAZYTSC_OP_ASSUME || n > 0; op++)
		n -= op->op != LAZYTSC_OP_ASSUME;
	return op;
}

static struct lazytsc_state_hash follow(struct unreduced *u, unsigned depth)
{
	uint16_t buffer[MAX_THREADS][MAX_OPS], first[MAX_THREADS] = { 0 };
	uint16_t last[MAX_THREADS] = { 0 };
	unsigned char field_of[MAX_THREADS * MAX_OPS + MAX_OPS];
	struct trace trace;
	XXH128_hash_t hash;
	lazytsc_shared_t *fields;

	memset(&trace, 0, sizeof(trace));
	lazytsc_stepper_reset(u->stepper);
	fields = lazytsc_stepper_shared(u->stepper);
	for (unsigned i = 0; i < depth; i++) {
		struct lazytsc_step_info info;
		unsigned t = u->path[i].cpu, f;
		uint16_t *n = &trace.ops[t], id, memory;

		lazytsc_stepper_perform(u->stepper, u->path[i]);
		info = lazytsc_stepper_last(u->stepper);
		f = info.field ? (unsigned)(info.field - fields) : 0;
		memory = trace.stores[f] ? trace.order[f][trace.stores[f] - 1] : 0;
		if (u->path[i].drain) {
			trace.order[f][trace.stores[f]++] = buffer[t][first[t]++];
			continue;
		}
		id = (uint16_t)(1 + t * MAX_OPS + *n);
		field_of[id] = (unsigned char)f;
		switch (info.op) {
		case LAZYTSC_OP_LOAD:
			for (unsigned b = first[t]; info.forwarded && b < last[t]; b++)
				if (field_of[buffer[t][b]] == f)
					memory = buffer[t][b];
			trace.did[t][(*n)++] = (uint16_t)(1 + memory);
			break;
		case LAZYTSC_OP_STORE:
			trace.did[t][(*n)++] = 1;
			if (lazytsc_stepper_buffered(u->stepper, t))
				buffer[t][last[t]++] = id;
			else
				trace.order[f][trace.stores[f]++] = id;
			break;
		case LAZYTSC_OP_XCHG:
		case LAZYTSC_OP_XADD:
		case LAZYTSC_OP_CMPXCHG:
			trace.did[t][(*n)++] = (uint16_t)(1 + memory);
			if (info.op != LAZYTSC_OP_CMPXCHG ||
			    info.result == step_of(&u->source->code[t], *n - 1u)->expect)
				trace.order[f][trace.stores[f]++] = id;
			break;
		case LAZYTSC_OP_CHOOSE:
			trace.did[t][(*n)++] = (uint16_t)(1 + info.result);
			break;
		default:
			trace.did[t][(*n)++] = 1;
		}
	}
	hash = XXH3_128bits(&trace, sizeof(trace));
	return (struct lazytsc_state_hash){ hash.low64, hash.high64 };
}

static struct outcome outcome_of(struct unreduced *u)
{
	const lazytsc_shared_t *fields = lazytsc_stepper_shared(u->stepper);
	struct outcome o;

	memset(&o, 0, sizeof(o));
	for (unsigned t = 0; t < u->source->program.threads; t++)
		o.reads[t] = *(u64 *)lazytsc_stepper_own(u->stepper, t);
	for (unsigned f = 0; f < FIELDS; f++)
		o.memory[f] = lazytsc_stepper_memory(u->stepper, &fields[f]);
	return o;
}

static void count_outcome(struct unreduced *u)
{
	const struct outcome o = outcome_of(u);
	size_t i;

	for (i = 0; i < u->outcomes; i++)
		if (!memcmp(&u->outcome[i], &o, sizeof(o)))
			break;
	assert_true(i < MAX_OUTCOMES);
	if (i == u->outcomes)
		u->outcome[u->outcomes++] = o;
	u->count[i]++;
}

static void try_all(struct unreduced *u, unsigned depth)
{
	struct lazytsc_step steps[MAX_THREADS * 4];
	size_t n;

	assert_true(depth < MAX_STEPS);
	if (!insert(&u->seen, follow(u, depth)))
		return;
	n = lazytsc_stepper_enabled(u->stepper, steps, MAX_THREADS * 4);
	assert_true(n <= MAX_THREADS * 4);
	if (lazytsc_stepper_status(u->stepper) == LAZYTSC_FINISHED) {
		u->executions++;
		count_outcome(u);
	} else if (lazytsc_stepper_status(u->stepper) == LAZYTSC_FAILED) {
		u->failed = true;
	} else if (!n) {
		u->blocked++;
	}
	for (size_t i = 0; i < n; i++) {
		u->path[depth] = steps[i];
		try_all(u, depth + 1);
	}
}

/* Some outcomes count as wrong, so that schedules can be tried. */
static bool is_wrong(const struct outcome *o)
{
	return XXH3_64bits(o, sizeof(*o)) % 4 == 0;
}

static bool final(const struct lazytsc_final *f, void *outcome, const void *arg)
{
	const struct source *s = arg;
	struct outcome *o = outcome;

	for (unsigned t = 0; t < s->program.threads; t++)
		o->reads[t] = *(const u64 *)lazytsc_final_own(f, t);
	for (unsigned i = 0; i < FIELDS; i++)
		o->memory[i] = lazytsc_final_memory(f, offsetof(struct shared, field[i]));
	return !is_wrong(o);
}

static u64 count_of(const struct lazytsc_check_result *r, const struct outcome *o)
{
	for (size_t i = 0; i < r->outcomes; i++)
		if (!memcmp(r->outcome[i].data, o, sizeof(*o)))
			return r->outcome[i].executions;
	return 0;
}

static enum lazytsc_stepper_status perform(struct unreduced *u, const char *schedule)
{
	lazytsc_stepper_reset(u->stepper);
	while (*schedule) {
		struct lazytsc_step step;

		schedule = lazytsc_step_parse(schedule, &step);
		assert_non_null(schedule);
		assert_true(lazytsc_stepper_is_enabled(u->stepper, step));
		lazytsc_stepper_perform(u->stepper, step);
	}
	return lazytsc_stepper_status(u->stepper);
}

static struct unreduced *run_unreduced(struct source *source, enum lazytsc_model model)
{
	struct unreduced *u = calloc(1, sizeof(*u));

	assert_non_null(u);
	u->source = source;
	u->stepper = lazytsc_stepper_new(
		&(struct lazytsc_stepper_config){ .program = &source->program, .model = model });
	assert_non_null(u->stepper);
	try_all(u, 0);
	return u;
}

static void free_unreduced(struct unreduced *u)
{
	lazytsc_stepper_free(u->stepper);
	free(u->seen.slot);
	free(u);
}

/* Whether an assertion can fail, and a schedule that makes it fail. */
static void compare_failure(u64 seed, enum lazytsc_model model, unsigned *failures)
{
	struct lazytsc_check_result result;
	struct lazytsc_check check;
	struct source source;
	struct unreduced *u;

	make_source(seed, &source);
	for (unsigned t = 0; t < source.program.threads; t++)
		source.code[t].asserts = true;
	u = run_unreduced(&source, model);
	check = (struct lazytsc_check){ .program = &source.program, .model = model };
	assert_true(lazytsc_check_run(&check, &result));
	if (u->failed != (result.violations != 0))
		fail_msg("seed %llu: unreduced %s, reduced %llu violations",
			 (unsigned long long)seed, u->failed ? "fails" : "does not fail",
			 (unsigned long long)result.violations);
	if (result.violations)
		assert_int_equal(perform(u, result.schedule), LAZYTSC_FAILED);
	*failures += result.violations != 0;
	lazytsc_check_release(&result);
	free_unreduced(u);
}

static void compare(u64 seed, enum lazytsc_model model, u64 *executions)
{
	struct lazytsc_check_result result;
	struct lazytsc_check check;
	struct source source;
	struct unreduced *u;
	struct outcome wrong;

	make_source(seed, &source);
	u = run_unreduced(&source, model);
	check = (struct lazytsc_check){ .program = &source.program,
					.model = model,
					.final = final,
					.arg = &source,
					.outcome_size = sizeof(struct outcome) };
	assert_true(lazytsc_check_run(&check, &result));
	assert_int_equal(result.bound, LAZYTSC_COMPLETE);

	bool same = u->executions == result.executions && u->blocked == result.blocked &&
		    u->outcomes == result.outcomes;
	for (size_t i = 0; i < u->outcomes; i++)
		same = same && u->count[i] == count_of(&result, &u->outcome[i]);
	if (!same)
		fail_msg(
			"seed %llu, %s: unreduced %llu + %llu blocked, %zu outcomes; reduced %llu + %llu, %zu",
			(unsigned long long)seed, model == LAZYTSC_SC ? "SC" : "TSO",
			(unsigned long long)u->executions, (unsigned long long)u->blocked,
			u->outcomes, (unsigned long long)result.executions,
			(unsigned long long)result.blocked, result.outcomes);
	if (result.violations) {
		assert_int_equal(perform(u, result.schedule), LAZYTSC_FINISHED);
		wrong = outcome_of(u);
		assert_true(is_wrong(&wrong));
	}
	*executions += result.executions;
	lazytsc_check_release(&result);
	free_unreduced(u);
}

static unsigned programs = 600;

static void failures_are_found(void **state)
{
	unsigned failures = 0;

	(void)state;
	for (u64 seed = 0; seed < programs; seed++) {
		compare_failure(seed, LAZYTSC_SC, &failures);
		compare_failure(seed, LAZYTSC_TSO, &failures);
	}
	assert_in_range(failures, programs / 20, programs);
}

static void reduced_is_unreduced(void **state)
{
	u64 executions = 0;

	(void)state;
	for (u64 seed = 0; seed < programs; seed++) {
		compare(seed, LAZYTSC_SC, &executions);
		compare(seed, LAZYTSC_TSO, &executions);
	}
	print_message("%u programs, %llu executions in both models\n", programs,
		      (unsigned long long)executions);
}

/* More programs than usual: LAZYTSC_RANDOM_PROGRAMS in the environment. */
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reduced_is_unreduced),
		cmocka_unit_test(failures_are_found),
	};
	const char *more = getenv("LAZYTSC_RANDOM_PROGRAMS");

	if (more)
		programs = (unsigned)strtoul(more, NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
