// SPDX-License-Identifier: BSD-2-Clause
/*
 * The memory models step by step, and the fibers below them: which steps are enabled when, what a
 * load reads, that mfence, locked operations and VM exits wait for an empty buffer, that a state
 * can be reached again and told from others by its hash, and that an access which goes round the
 * port does not survive. Store buffering, walked by brute force, has exactly the outcomes of each
 * model.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <lazytsc/sim/step.h>

struct fields {
	lazytsc_shared_t x, y, z;
};

struct result {
	u64 r;
};

static void init(void *shared, const void *arg)
{
	struct fields *f = shared;

	lazytsc_store(&f->z, *(const u64 *)arg);
}

static const u64 seven = 7;

static struct lazytsc_stepper *make(enum lazytsc_model model, const struct lazytsc_thread *thread,
				    unsigned threads, struct lazytsc_program *program)
{
	struct lazytsc_stepper *s;

	*program = (struct lazytsc_program){
		.name = "test",
		.threads = threads,
		.thread = thread,
		.shared_size = sizeof(struct fields),
		.own_size = sizeof(struct result),
		.init = init,
		.arg = &seven,
	};
	s = lazytsc_stepper_new(&(struct lazytsc_stepper_config){
		.program = program, .model = model, .common_size = sizeof(u64) });
	assert_non_null(s);
	return s;
}

static struct lazytsc_step cpu(unsigned n)
{
	return (struct lazytsc_step){ .cpu = (unsigned char)n };
}

static struct lazytsc_step drain(unsigned n)
{
	return (struct lazytsc_step){ .cpu = (unsigned char)n, .drain = true };
}

static void sb0(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;
	struct result *own = self->own;

	lazytsc_store(&f->x, 1);
	if (self->arg)
		lazytsc_mb();
	own->r = lazytsc_load(&f->y);
}

static void sb1(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;
	struct result *own = self->own;

	lazytsc_store(&f->y, 1);
	if (self->arg)
		lazytsc_mb();
	own->r = lazytsc_load(&f->x);
}

/* Walks every path; returns the set of outcomes 2 * r0 + r1, as bits. */
static unsigned walk(struct lazytsc_stepper *s, struct lazytsc_step *path, unsigned depth)
{
	struct lazytsc_step steps[8];
	unsigned outcomes = 0;
	size_t n;

	lazytsc_stepper_reset(s);
	for (unsigned i = 0; i < depth; i++)
		lazytsc_stepper_perform(s, path[i]);
	n = lazytsc_stepper_enabled(s, steps, 8);
	assert_in_range(n, 0, 8);
	if (!n) {
		const struct result *r0 = lazytsc_stepper_own(s, 0);
		const struct result *r1 = lazytsc_stepper_own(s, 1);

		assert_int_equal(lazytsc_stepper_status(s), LAZYTSC_FINISHED);
		return 1u << (2 * r0->r + r1->r);
	}
	for (size_t i = 0; i < n; i++) {
		path[depth] = steps[i];
		outcomes |= walk(s, path, depth + 1);
	}
	return outcomes;
}

static void store_buffering(void **state)
{
	static const struct {
		enum lazytsc_model model;
		const char *mb;
		unsigned outcomes;
	} cases[] = {
		{ LAZYTSC_SC, NULL, 0xe },
		{ LAZYTSC_TSO, NULL, 0xf },
		{ LAZYTSC_SC, "mb", 0xe },
		{ LAZYTSC_TSO, "mb", 0xe },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct lazytsc_thread threads[] = { { "P0", sb0, cases[i].mb },
							  { "P1", sb1, cases[i].mb } };
		struct lazytsc_program program;
		struct lazytsc_stepper *s = make(cases[i].model, threads, 2, &program);
		struct lazytsc_step path[16];

		assert_int_equal(walk(s, path, 0), cases[i].outcomes);
		lazytsc_stepper_free(s);
	}
}

static void forwarder(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;

	lazytsc_store(&f->x, 1);
	lazytsc_store(&f->x, 2);
	lazytsc_store(&f->y, lazytsc_load(&f->x));
	lazytsc_exit("HLT");
	lazytsc_xadd(&f->y, lazytsc_load(&f->z));
	lazytsc_cmpxchg(&f->z, 6, 60);
	lazytsc_cmpxchg(&f->z, 7, 70);
	lazytsc_xchg(&f->x, 5);
}

static void buffer_is_fifo_and_forwards(void **state)
{
	const struct lazytsc_thread thread = { "P0", forwarder, NULL };
	struct lazytsc_program program;
	struct lazytsc_stepper *s = make(LAZYTSC_TSO, &thread, 1, &program);
	struct fields *f = lazytsc_stepper_shared(s);
	const lazytsc_shared_t *field;
	u64 value;

	(void)state;
	assert_int_equal(lazytsc_stepper_memory(s, &f->z), 7);
	assert_true(lazytsc_stepper_describe(s, cpu(0)).local);
	lazytsc_stepper_perform(s, cpu(0));
	lazytsc_stepper_perform(s, cpu(0));
	assert_int_equal(lazytsc_stepper_memory(s, &f->x), 0);
	assert_int_equal(lazytsc_stepper_load(s, 0, &f->x), 2);
	lazytsc_stepper_perform(s, cpu(0));
	assert_true(lazytsc_stepper_last(s).forwarded);
	assert_int_equal(lazytsc_stepper_last(s).result, 2);
	lazytsc_stepper_perform(s, cpu(0));
	assert_int_equal(lazytsc_stepper_buffered(s, 0), 3);
	lazytsc_stepper_buffer(s, 0, 1, &field, &value);
	assert_ptr_equal(field, &f->x);
	assert_int_equal(value, 2);

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(lazytsc_stepper_pending(s, 0).op, LAZYTSC_OP_EXIT);
		assert_false(lazytsc_stepper_is_enabled(s, cpu(0)));
		assert_true(lazytsc_stepper_is_enabled(s, drain(0)));
		assert_string_equal(lazytsc_stepper_describe(s, drain(0)).name,
				    i < 2 ? "&f->x" : "&f->y");
		lazytsc_stepper_perform(s, drain(0));
		assert_int_equal(lazytsc_stepper_memory(s, &f->x), i ? 2 : 1);
	}
	assert_false(lazytsc_stepper_is_enabled(s, drain(0)));
	while (lazytsc_stepper_status(s) == LAZYTSC_RUNNING)
		lazytsc_stepper_perform(s, cpu(0));
	assert_int_equal(lazytsc_stepper_status(s), LAZYTSC_FINISHED);
	assert_int_equal(lazytsc_stepper_memory(s, &f->y), 9);
	assert_int_equal(lazytsc_stepper_memory(s, &f->z), 70);
	assert_int_equal(lazytsc_stepper_memory(s, &f->x), 5);
	assert_int_equal(lazytsc_stepper_last(s).result, 2);
	lazytsc_stepper_free(s);
}

static void storer(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;

	for (u64 i = 0; i < LAZYTSC_BUFFER_SIZE + 1; i++)
		lazytsc_store(&f->x, i);
}

static void full_buffer_waits(void **state)
{
	const struct lazytsc_thread thread = { "P0", storer, NULL };
	struct lazytsc_program program;
	struct lazytsc_stepper *s = make(LAZYTSC_TSO, &thread, 1, &program);

	(void)state;
	for (unsigned i = 0; i < LAZYTSC_BUFFER_SIZE; i++)
		lazytsc_stepper_perform(s, cpu(0));
	assert_false(lazytsc_stepper_is_enabled(s, cpu(0)));
	lazytsc_stepper_perform(s, drain(0));
	assert_true(lazytsc_stepper_is_enabled(s, cpu(0)));
	lazytsc_stepper_free(s);
}

static bool is_one(void *arg)
{
	return *(u64 *)arg == 1;
}

static void waiter(const struct lazytsc_self *self)
{
	lazytsc_event_if("callback", is_one, self->common);
	*(u64 *)self->common = 2;
	lazytsc_assume(true);
	lazytsc_assume(lazytsc_choose("which", 3) != 1);
	lazytsc_assert(*(u64 *)self->common == 2);
}

static void kicker(const struct lazytsc_self *self)
{
	lazytsc_event("kick");
	*(u64 *)self->common = 1;
	lazytsc_event("late");
	*(u64 *)self->common = 3;
}

static void events_choices_assumptions(void **state)
{
	const struct lazytsc_thread threads[] = { { "CPU0", waiter, NULL },
						  { "CPU1", kicker, NULL } };
	struct lazytsc_program program;
	struct lazytsc_stepper *s = make(LAZYTSC_TSO, threads, 2, &program);
	struct lazytsc_step steps[8], choice = { .cpu = 0, .choice = 1 };

	(void)state;
	assert_int_equal(lazytsc_stepper_enabled(s, steps, 8), 1);
	assert_int_equal(steps[0].cpu, 1);
	assert_string_equal(lazytsc_stepper_describe(s, cpu(1)).name, "kick");
	assert_string_equal(lazytsc_stepper_describe(s, cpu(1)).func, "kicker");
	lazytsc_stepper_perform(s, cpu(1));
	assert_int_equal(lazytsc_stepper_enabled(s, steps, 8), 2);
	lazytsc_stepper_perform(s, cpu(0));
	assert_int_equal(lazytsc_stepper_enabled(s, steps, 8), 4);
	lazytsc_stepper_perform(s, choice);
	lazytsc_stepper_perform(s, cpu(1));
	assert_int_equal(lazytsc_stepper_pending(s, 0).op, LAZYTSC_OP_ASSUME);
	assert_int_equal(lazytsc_stepper_status(s), LAZYTSC_STUCK);

	lazytsc_stepper_reset(s);
	lazytsc_stepper_perform(s, cpu(1));
	lazytsc_stepper_perform(s, cpu(0));
	lazytsc_stepper_perform(s, cpu(1));
	lazytsc_stepper_perform(s, cpu(0));
	assert_int_equal(lazytsc_stepper_status(s), LAZYTSC_FAILED);
	assert_int_equal(lazytsc_stepper_pending(s, 0).op, LAZYTSC_OP_FAIL);
	assert_string_equal(lazytsc_stepper_pending(s, 0).name, "*(u64 *)self->common == 2");
	assert_int_equal(lazytsc_stepper_enabled(s, steps, 8), 0);
	lazytsc_stepper_free(s);
}

static bool same(struct lazytsc_state_hash a, struct lazytsc_state_hash b)
{
	return a.low == b.low && a.high == b.high;
}

static void hash_tells_states_apart(void **state)
{
	const struct lazytsc_thread threads[] = { { "P0", sb0, NULL }, { "P1", sb1, NULL } };
	struct lazytsc_program program;
	struct lazytsc_stepper *s = make(LAZYTSC_TSO, threads, 2, &program);
	struct lazytsc_stepper *t = make(LAZYTSC_TSO, threads, 2, &program);
	struct lazytsc_state_hash start = lazytsc_stepper_hash(s);

	(void)state;
	lazytsc_stepper_perform(s, cpu(0));
	assert_false(same(lazytsc_stepper_hash(s), start));
	lazytsc_stepper_perform(s, cpu(1));
	lazytsc_stepper_perform(t, cpu(1));
	assert_false(same(lazytsc_stepper_hash(s), lazytsc_stepper_hash(t)));
	lazytsc_stepper_perform(t, cpu(0));
	assert_true(same(lazytsc_stepper_hash(s), lazytsc_stepper_hash(t)));
	lazytsc_stepper_perform(s, drain(0));
	assert_false(same(lazytsc_stepper_hash(s), lazytsc_stepper_hash(t)));
	lazytsc_stepper_reset(s);
	assert_true(same(lazytsc_stepper_hash(s), start));
	lazytsc_stepper_free(s);
	lazytsc_stepper_free(t);
}

static void rememberer(const struct lazytsc_self *self)
{
	lazytsc_event("look");
	lazytsc_note(0);
	lazytsc_choose("way", 2);
	lazytsc_event("after");
	*(u64 *)self->common = 0;
	lazytsc_checkpoint(1);
	lazytsc_event("end");
}

/* Performs the three operations after setting the common memory; says what the states hash to. */
static void remembered(struct lazytsc_stepper *s, u64 common, unsigned short way,
		       struct lazytsc_state_hash hash[2])
{
	lazytsc_stepper_reset(s);
	*(u64 *)lazytsc_stepper_common(s) = common;
	lazytsc_stepper_perform(s, cpu(0));
	lazytsc_stepper_perform(s, (struct lazytsc_step){ .choice = way });
	*(u64 *)lazytsc_stepper_common(s) = 0;
	hash[0] = lazytsc_stepper_hash(s);
	lazytsc_stepper_perform(s, cpu(0));
	hash[1] = lazytsc_stepper_hash(s);
}

static void past_counts_until_a_checkpoint(void **state)
{
	const struct lazytsc_thread thread = { "P0", rememberer, NULL };
	const struct lazytsc_program program = { .name = "past", .threads = 1, .thread = &thread };

	(void)state;
	for (unsigned notes = 0; notes < 2; notes++) {
		struct lazytsc_stepper *s = lazytsc_stepper_new(&(struct lazytsc_stepper_config){
			.program = &program, .common_size = 8, .notes = notes });
		struct lazytsc_state_hash a[2], b[2], c[2];

		remembered(s, 1, 0, a);
		remembered(s, 1, 1, b);
		remembered(s, 2, 0, c);
		assert_false(same(a[0], b[0]));
		assert_int_equal(same(a[0], c[0]), notes);
		assert_true(same(a[1], b[1]) && same(a[1], c[1]));
		lazytsc_stepper_free(s);
	}
}

struct broken_into {
	u64 exits, waited, seen, stored;
};

static bool once(const struct lazytsc_self *self)
{
	const struct broken_into *b = self->common;

	return b->exits == 0;
}

static void on_exit_(const struct lazytsc_self *self)
{
	struct broken_into *b = self->common;
	struct fields *f = self->shared;

	b->exits++;
	lazytsc_store(&f->y, 9);
}

static bool exited(void *common)
{
	const struct broken_into *b = common;

	return b->exits != 0;
}

static void broken_into(const struct lazytsc_self *self)
{
	struct broken_into *b = self->common;
	struct fields *f = self->shared;

	lazytsc_store(&f->x, 1);
	b->seen = lazytsc_load(&f->y);
	lazytsc_exit_if("exit", exited, b);
	b->waited++;
}

/* The hook sees each access before the thread goes on. */
static void observe(void *common, void *shared, const struct lazytsc_step_info *step)
{
	struct broken_into *b = common;

	assert_non_null(shared);
	if (step->op == LAZYTSC_OP_STORE && !step->step.drain)
		b->stored = step->value * 10 + b->exits;
}

static void interruptions_break_in(void **state)
{
	const struct lazytsc_thread thread = { "P0", broken_into, NULL };
	const struct lazytsc_program program = {
		.name = "broken into", .threads = 1, .thread = &thread, .shared_size = 24
	};
	const struct lazytsc_interruption i = {
		.name = "timer", .drains = true, .ready = once, .run = on_exit_
	};
	const struct lazytsc_step exit_ = { .choice = LAZYTSC_INTERRUPTION };
	struct lazytsc_stepper *s = lazytsc_stepper_new(&(struct lazytsc_stepper_config){
		.program = &program,
		.model = LAZYTSC_TSO,
		.common_size = sizeof(struct broken_into),
		.interruption = &i,
		.interruptions = 1,
		.performed = observe,
	});
	const struct broken_into *b = lazytsc_stepper_common(s);
	struct lazytsc_step steps[4];

	(void)state;
	assert_int_equal(lazytsc_stepper_enabled(s, steps, 4), 2);
	assert_int_equal(steps[1].choice, LAZYTSC_INTERRUPTION);
	lazytsc_stepper_perform(s, cpu(0));
	assert_int_equal(b->stored, 10);
	/* It drains: not before the buffer is empty. */
	assert_false(lazytsc_stepper_is_enabled(s, exit_));
	lazytsc_stepper_perform(s, drain(0));
	assert_string_equal(lazytsc_stepper_describe(s, exit_).name, "timer");
	lazytsc_stepper_perform(s, exit_);
	assert_int_equal(b->exits, 1);
	assert_int_equal(lazytsc_stepper_pending(s, 0).op, LAZYTSC_OP_STORE);
	assert_int_equal(lazytsc_stepper_pending(s, 0).value, 9);
	lazytsc_stepper_perform(s, cpu(0));
	assert_int_equal(b->stored, 91);
	/* The load that was broken into comes now, and reads the handler's store. */
	lazytsc_stepper_perform(s, cpu(0));
	assert_int_equal(b->seen, 9);
	assert_false(lazytsc_stepper_is_enabled(s, cpu(0)));
	lazytsc_stepper_perform(s, drain(0));
	lazytsc_stepper_perform(s, cpu(0));
	assert_int_equal(b->waited, 1);
	assert_int_equal(lazytsc_stepper_status(s), LAZYTSC_FINISHED);
	lazytsc_stepper_free(s);
}

/* From each state on: what the rest of the run leads to is the same after a restore. */
static void a_saved_state_comes_back(void **state)
{
	const struct lazytsc_thread threads[] = { { "P0", sb0, "mb" },
						  { "P1", broken_into, NULL } };
	const struct lazytsc_program program = { .name = "saved",
						 .threads = 2,
						 .thread = threads,
						 .shared_size = sizeof(struct fields),
						 .own_size = sizeof(struct result) };
	const struct lazytsc_interruption i = {
		.name = "timer", .cpu = 1, .drains = true, .ready = once, .run = on_exit_
	};
	struct lazytsc_stepper *s = lazytsc_stepper_new(&(struct lazytsc_stepper_config){
		.program = &program,
		.model = LAZYTSC_TSO,
		.common_size = sizeof(struct broken_into),
		.interruption = &i,
		.interruptions = 1,
	});
	char saved[16384];

	(void)state;
	while (lazytsc_stepper_status(s) == LAZYTSC_RUNNING) {
		struct lazytsc_state_hash here = lazytsc_stepper_hash(s), first;
		struct lazytsc_step steps[8];
		size_t n, size = lazytsc_stepper_save(s, saved, sizeof(saved));

		if (!size)
			break; /* a sanitizer: said by the function's contract */
		assert_in_range(size, 1, sizeof(saved));
		assert_int_equal(lazytsc_stepper_save(s, NULL, 0), size);
		for (unsigned pass = 0; pass < 2; pass++) {
			while ((n = lazytsc_stepper_enabled(s, steps, 8)))
				lazytsc_stepper_perform(s, steps[n - 1]);
			if (pass)
				assert_true(same(lazytsc_stepper_hash(s), first));
			first = lazytsc_stepper_hash(s);
			lazytsc_stepper_restore(s, saved);
			assert_true(same(lazytsc_stepper_hash(s), here));
		}
		n = lazytsc_stepper_enabled(s, steps, 8);
		lazytsc_stepper_perform(s, steps[n - 1]);
	}
	lazytsc_stepper_free(s);
}

static void steps_as_text(void **state)
{
	static const struct {
		const char *text;
		struct lazytsc_step step;
	} cases[] = { { "0", { 0, false, 0 } },
		      { "15", { 15, false, 0 } },
		      { "3d", { 3, true, 0 } },
		      { "1=32767", { 1, false, 32767 } },
		      { "1!0", { 1, false, LAZYTSC_INTERRUPTION } } };
	static const char *const bad[] = { "", "x", "16", "1=", "1=32768", "-1", "d" };
	struct lazytsc_step step;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[LAZYTSC_STEP_TEXT];

		lazytsc_step_print(cases[i].step, text);
		assert_string_equal(text, cases[i].text);
		assert_string_equal(lazytsc_step_parse(text, &step), "");
		assert_int_equal(step.cpu, cases[i].step.cpu);
		assert_int_equal(step.drain, cases[i].step.drain);
		assert_int_equal(step.choice, cases[i].step.choice);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(lazytsc_step_parse(bad[i], &step));
	assert_string_equal(lazytsc_step_parse(" 2d 7", &step), " 7");
}

static void bypass(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;

	*(volatile u64 *)&f->x = 1;
}

static void foreign(const struct lazytsc_self *self)
{
	lazytsc_shared_t elsewhere;

	(void)self;
	lazytsc_store(&elsewhere, 1);
}

static void round_the_port_dies(void **state)
{
	static void (*const runs[])(const struct lazytsc_self *) = { bypass, foreign };

	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		const struct lazytsc_thread thread = { "P0", runs[i], NULL };
		const struct rlimit no_core = { 0, 0 };
		struct lazytsc_program program;
		int status = 0;
		pid_t child = fork();

		assert_true(child >= 0);
		if (!child) {
			struct lazytsc_stepper *s;

			/* Without CMocka's handlers, which would end the test program's copy. */
			signal(SIGSEGV, SIG_DFL);
			signal(SIGABRT, SIG_DFL);
			setrlimit(RLIMIT_CORE, &no_core);
			close(STDERR_FILENO);
			s = make(LAZYTSC_SC, &thread, 1, &program);
			lazytsc_stepper_perform(s, cpu(0));
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(store_buffering),
		cmocka_unit_test(buffer_is_fifo_and_forwards),
		cmocka_unit_test(full_buffer_waits),
		cmocka_unit_test(events_choices_assumptions),
		cmocka_unit_test(hash_tells_states_apart),
		cmocka_unit_test(past_counts_until_a_checkpoint),
		cmocka_unit_test(interruptions_break_in),
		cmocka_unit_test(a_saved_state_comes_back),
		cmocka_unit_test(steps_as_text),
		cmocka_unit_test(round_the_port_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
