// SPDX-License-Identifier: BSD-2-Clause
/*
 * Programs at the edges of what the exhaustive search takes: no operations, one thread, as many
 * threads as there may be, long threads, choices, assumptions; and programs that break its rules,
 * which must not go unnoticed: a thread that does something else when it is run again, one that
 * waits for plain memory, one that reaches for a field that is not there.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <lazytsc/sim/checker.h>

struct fields {
	lazytsc_shared_t x, y;
};

static struct lazytsc_check_result check(void (*run)(const struct lazytsc_self *), unsigned threads,
					 struct lazytsc_check how)
{
	struct lazytsc_thread thread[LAZYTSC_MAX_THREADS];
	const struct lazytsc_program program = { .name = "edge",
						 .threads = threads,
						 .thread = thread,
						 .shared_size = sizeof(struct fields) };
	struct lazytsc_check_result result;

	for (unsigned i = 0; i < threads; i++)
		thread[i] = (struct lazytsc_thread){ .name = "thread", .run = run };
	how.program = &program;
	assert_true(lazytsc_check_run(&how, &result));
	return result;
}

static void expect(struct lazytsc_check_result result, u64 executions, u64 blocked, u64 cut)
{
	assert_int_equal(result.executions, executions);
	assert_int_equal(result.blocked, blocked);
	assert_int_equal(result.cut, cut);
	lazytsc_check_release(&result);
}

static void nothing(const struct lazytsc_self *self)
{
	(void)self;
}

static void only_fences(const struct lazytsc_self *self)
{
	(void)self;
	lazytsc_mb();
	lazytsc_exit("exit");
	lazytsc_event("event");
}

static void one_store(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;

	if (self->cpu < 3)
		lazytsc_store(&f->x, self->cpu);
}

static void count(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;

	for (unsigned i = 0; i < 5000; i++)
		lazytsc_store(&f->x, lazytsc_load(&f->x) + 1);
	lazytsc_assert(lazytsc_load(&f->x) == 5000);
}

static void choose(const struct lazytsc_self *self)
{
	u64 way = lazytsc_choose("way", 3);

	(void)self;
	lazytsc_assume(way != 1);
	if (way == 2)
		lazytsc_choose("none", 0);
}

static void small_and_large(void **state)
{
	(void)state;
	for (enum lazytsc_model m = LAZYTSC_SC; m <= LAZYTSC_TSO; m++) {
		const struct lazytsc_check how = { .model = m };

		expect(check(nothing, 1, how), 1, 0, 0);
		expect(check(nothing, LAZYTSC_MAX_THREADS, how), 1, 0, 0);
		expect(check(only_fences, 2, how), 1, 0, 0);
		expect(check(one_store, LAZYTSC_MAX_THREADS, how), 6, 0, 0);
		expect(check(choose, 1, how), 1, 2, 0);
		expect(check(choose, 2, how), 1, 8, 0);
	}
}

static void long_threads(void **state)
{
	(void)state;
	expect(check(count, 1, (struct lazytsc_check){ .model = LAZYTSC_TSO }), 0, 0, 1);
	expect(check(count, 1,
		     (struct lazytsc_check){ .model = LAZYTSC_TSO, .limits.depth = 10001 }),
	       1, 0, 0);
	expect(check(count, 1,
		     (struct lazytsc_check){ .model = LAZYTSC_SC, .limits.depth = 10000 }),
	       0, 0, 1);
}

/* Not of the program: it differs from run to run. */
static unsigned runs;

static void changes_its_mind(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;

	if (self->cpu) {
		lazytsc_store(&f->x, 1);
		return;
	}
	if (runs++ % 2)
		lazytsc_load(&f->y);
	lazytsc_load(&f->x);
	lazytsc_load(&f->x);
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void waits_for_plain_memory(const struct lazytsc_self *self)
{
	(void)self;
	lazytsc_event_if("wait", never, NULL);
}

static void exits_for_plain_memory(const struct lazytsc_self *self)
{
	(void)self;
	lazytsc_exit_if("wait", never, NULL);
}

static void beyond_the_fields(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;

	lazytsc_store(&f[1].x, 1);
}

static void round_the_port(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;

	*(volatile u64 *)&f->x = 1;
}

static void broken_rules(void **state)
{
	static void (*const broken[])(const struct lazytsc_self *) = {
		changes_its_mind,  waits_for_plain_memory, exits_for_plain_memory,
		beyond_the_fields, round_the_port,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		const struct rlimit no_core = { 0, 0 };
		int status = 0;
		pid_t child = fork();

		assert_true(child >= 0);
		if (!child) {
			signal(SIGSEGV, SIG_DFL);
			signal(SIGABRT, SIG_DFL);
			setrlimit(RLIMIT_CORE, &no_core);
			close(STDERR_FILENO);
			check(broken[i], 2, (struct lazytsc_check){ .model = LAZYTSC_TSO });
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			fail_msg("broken rule %zu went unnoticed", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_and_large),
		cmocka_unit_test(long_threads),
		cmocka_unit_test(broken_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
