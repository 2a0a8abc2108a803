// SPDX-License-Identifier: BSD-2-Clause
/*
 * B12 is really checked: a policy whose silent expiries lead its skips further than it promises is
 * named, with the trace; one that keeps its promise is not. On each vCPU alone: what another vCPU
 * skips does not count. lazy promises 0, and keeps it in its worst
 * case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "replay/replay.h"
#include "replay/report.h"

/* A policy that skips nothing, and for which every timer fires in vain. */
struct state {
	uint64_t writes, gaps, last;
};

static void init(const struct policy *p, const struct policy_clock *clock, void *state)
{
	(void)p;
	(void)clock;
	(void)state;
}

static void count(void *state, uint64_t now, uint64_t v)
{
	struct state *s = state;

	s->writes++;
	s->last = v;
	assert_true(now > 0);
}

static void restart(void *state)
{
	((struct state *)state)->gaps++;
}

static void finish(void *state, struct counts *sum)
{
	struct state *s = state;

	sum->value[COL_SILENT_EXPIRIES] += s->writes;
	sum->known[COL_SILENT_EXPIRIES] = true;
	sum->excess = s->writes;
}

static void broken_promise_is_named(void **state)
{
	struct policy policies[2] = {
		{ .name = "vain",
		  .state_size = sizeof(struct state),
		  .init = init,
		  .write = count,
		  .restart = restart,
		  .finish = finish },
	};
	struct policy_options options = { 0 };
	struct replay r = { .policies = policies, .npolicies = 2, .stock = 1 };
	struct trace_options trace = { 0 };
	char *text = NULL;
	size_t size;
	FILE *to;

	assert_true(policy_find("stock", &options, &policies[1]));
	assert_int_equal(replay_run(&r, *state, &trace), 0);
	assert_int_equal(r.nvcpus, 2);
	assert_int_equal(r.vcpus[0].counts[0].excess, 3);
	assert_int_equal(r.vcpus[1].counts[0].excess, 4);
	assert_int_equal(r.total[0].value[COL_SILENT_EXPIRIES], 7);
	/* The worst vCPU, not the sum. */
	assert_int_equal(r.total[0].excess, 4);

	to = open_memstream(&text, &size);
	policies[0].max_excess = 4;
	assert_false(report_broken_promises(to, "t", &r));
	fflush(to);
	assert_int_equal(size, 0);
	policies[0].max_excess = 3;
	assert_true(report_broken_promises(to, "t", &r));
	fclose(to);
	assert_string_equal(
		text, "t: vain: silent expiries led skips by 4, at most 3 is promised (B12)\n");
	free(text);
	replay_free(&r);
}

static void lazy_keeps_it(void **state)
{
	struct policy policies[2];
	struct policy_options options = { 0 };
	struct replay r = { .policies = policies, .npolicies = 2, .stock = 0 };
	struct trace_options trace = { 0 };

	assert_true(policy_find("stock", &options, &policies[0]));
	assert_true(policy_find("lazy", &options, &policies[1]));
	assert_int_equal(policies[1].max_excess, 0);
	assert_int_equal(replay_run(&r, *state, &trace), 0);
	/* On vCPU 0 one exit is saved and one silent expiry added; on vCPU 1 a gap comes first. */
	assert_int_equal(r.vcpus[0].counts[1].value[COL_SKIPS], 1);
	assert_int_equal(r.vcpus[0].counts[1].value[COL_SILENT_EXPIRIES], 1);
	assert_int_equal(r.vcpus[1].counts[1].value[COL_SKIPS], 1);
	assert_int_equal(r.vcpus[1].counts[1].value[COL_SILENT_EXPIRIES], 0);
	assert_false(report_broken_promises(stderr, "t", &r));
	replay_free(&r);
}

static int setup(void **state)
{
	static char name[] = "promise-XXXXXX";
	int fd = mkstemp(name);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		return -1;
	fputs(" a-1 [000] d.. 10: write_msr: 6e0, value 64\n"
	      " a-1 [000] d.. 20: write_msr: 6e0, value c8\n"
	      " a-1 [001] d.. 10: write_msr: 6e0, value 64\n"
	      " a-1 [001] d.. 20: write_msr: 6e0, value c8\n"
	      "CPU:1 [LOST 3 EVENTS]\n"
	      " a-1 [000] d.. 300: write_msr: 6e0, value 3e8\n"
	      " a-1 [001] d.. 1000: write_msr: 6e0, value 44c\n"
	      " a-1 [001] d.. 2000: write_msr: 6e0, value 898\n",
	      f);
	*state = name;
	return fclose(f);
}

static int teardown(void **state)
{
	return remove(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_promise_is_named),
		cmocka_unit_test(lazy_keeps_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
