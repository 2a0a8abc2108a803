// SPDX-License-Identifier: BSD-2-Clause
/*
 * The search of the race checker visits everything, once, and its counterexamples are the smallest.
 * It is compared with a walk as simple as can be: every path performed again from the start, every
 * state looked up in a plain list. The protocol holds in a small scenario of each kind, and a
 * counterexample is found in one with a defect (A7, B6, B7, B17).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <lazytsc/sim/defect.h>
#include <lazytsc/sim/explore.h>

#define OP(name) (1u << LAZYTSC_GUEST_##name)

struct walk {
	struct lazytsc_cell cell;
	struct lazytsc_stepper *stepper;
	struct lazytsc_state_hash *seen;
	size_t states, room;
	u64 transitions, ends;
	struct lazytsc_step path[256];
};

static bool is_new(struct walk *w)
{
	struct lazytsc_state_hash h = lazytsc_stepper_hash(w->stepper);

	for (size_t i = 0; i < w->states; i++)
		if (w->seen[i].low == h.low && w->seen[i].high == h.high)
			return false;
	assert_true(w->states < w->room);
	w->seen[w->states++] = h;
	return true;
}

static void go_to(struct walk *w, unsigned int depth)
{
	lazytsc_stepper_reset(w->stepper);
	for (unsigned int i = 0; i < depth; i++)
		lazytsc_stepper_perform(w->stepper, w->path[i]);
}

static void visit(struct walk *w, unsigned int depth)
{
	struct lazytsc_step steps[LAZYTSC_ENABLED_MAX];
	size_t n;

	go_to(w, depth);
	n = lazytsc_stepper_enabled(w->stepper, steps, LAZYTSC_ENABLED_MAX);
	w->ends += n == 0;
	assert_true(depth < 255);
	for (size_t i = 0; i < n; i++) {
		go_to(w, depth);
		lazytsc_stepper_perform(w->stepper, steps[i]);
		w->transitions++;
		assert_int_equal(lazytsc_judge(&w->cell, w->stepper), LAZYTSC_SOUND);
		w->path[depth] = steps[i];
		if (is_new(w))
			visit(w, depth + 1);
	}
}

static const struct lazytsc_scenario small[] = {
	{ .name = "set",
	  .horizon = 2,
	  .where = LAZYTSC_WHERE_REMOTE,
	  .ops = 1,
	  .alphabet = OP(SET) },
	{ .name = "guess",
	  .horizon = 1,
	  .wait = 1,
	  .where = LAZYTSC_WHERE_VCPU,
	  .ops = 1,
	  .alphabet = OP(SET) | OP(RDMSR),
	  .guesses = true },
	{ .name = "trip",
	  .horizon = 1,
	  .where = LAZYTSC_WHERE_REMOTE,
	  .ops = 1,
	  .alphabet = OP(SET) | OP(FEATURE),
	  .trips = 1 },
};

static void visits_every_state_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		struct walk *w = calloc(1, sizeof(*w));
		struct lazytsc_explored e;

		assert_non_null(w);
		w->room = 20000;
		w->seen = calloc(w->room, sizeof(*w->seen));
		lazytsc_cell_init(&w->cell, &small[i], 0, &lazytsc_variant_lazy,
				  LAZYTSC_GLUE_SOUND);
		w->stepper = lazytsc_cell_stepper(&w->cell, LAZYTSC_TSO);
		assert_true(is_new(w));
		visit(w, 0);
		lazytsc_sweep(&w->cell, LAZYTSC_TSO, 0, &e);
		assert_int_equal(e.outcome, LAZYTSC_HOLDS);
		assert_int_equal(e.states, w->states);
		assert_int_equal(e.transitions, w->transitions);
		assert_int_equal(e.ends, w->ends);
		assert_true(e.ends > 0 && e.longest > 0);
		lazytsc_explored_fini(&e);

		lazytsc_sweep(&w->cell, LAZYTSC_TSO, w->states - 1, &e);
		assert_int_equal(e.outcome, LAZYTSC_BOUNDED);
		lazytsc_explored_fini(&e);
		lazytsc_shortest(&w->cell, LAZYTSC_TSO, 0, &e);
		assert_int_equal(e.outcome, LAZYTSC_HOLDS);
		lazytsc_explored_fini(&e);
		lazytsc_stepper_free(w->stepper);
		free(w->seen);
		free(w);
	}
}

/*
 * Whether any path of at most so many steps violates anything; the least switches of those that do.
 */
static bool any_path(struct walk *w, unsigned int depth, unsigned int steps, unsigned int switches,
		     unsigned int *least)
{
	struct lazytsc_step next[LAZYTSC_ENABLED_MAX];
	bool any = false;
	size_t n;

	go_to(w, depth);
	n = lazytsc_stepper_enabled(w->stepper, next, LAZYTSC_ENABLED_MAX);
	for (size_t i = 0; i < n && depth < steps; i++) {
		unsigned int s = switches + (depth && w->path[depth - 1].cpu != next[i].cpu);

		go_to(w, depth);
		lazytsc_stepper_perform(w->stepper, next[i]);
		w->path[depth] = next[i];
		if (lazytsc_judge(&w->cell, w->stepper) == LAZYTSC_SOUND) {
			any |= any_path(w, depth + 1, steps, s, least);
			continue;
		}
		any = true;
		if (s < *least)
			*least = s;
	}
	return any;
}

static void counterexample_is_the_smallest(void **state)
{
	static const char *const names[] = { "write-ours", "armed-after-raw", "write-raw-armed",
					     "set-nothing-armed", "guest-barrier" };
	const struct lazytsc_scenario s = {
		.name = "small",
		.horizon = 1,
		.where = LAZYTSC_WHERE_REMOTE,
		.ops = 2,
		.alphabet = OP(SET) | OP(RAW),
	};
	unsigned int compared = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct lazytsc_defect *d = lazytsc_defect_find(names[i]);
		struct walk *w = calloc(1, sizeof(*w));
		unsigned int least = ~0u;
		struct lazytsc_explored e, bounded;

		assert_non_null(w);
		assert_non_null(d);
		lazytsc_cell_init(&w->cell, &s, 0, d->variant, d->glue);
		w->stepper = lazytsc_cell_stepper(&w->cell, LAZYTSC_TSO);
		lazytsc_shortest(&w->cell, LAZYTSC_TSO, 0, &e);
		if (e.outcome == LAZYTSC_VIOLATED && e.steps <= 8) {
			assert_false(any_path(w, 0, e.steps - 1, 0, &least));
			assert_true(any_path(w, 0, e.steps, 0, &least));
			assert_int_equal(e.switches, least);
			lazytsc_shortest(&w->cell, LAZYTSC_TSO, e.steps - 1, &bounded);
			assert_int_equal(bounded.outcome, LAZYTSC_BOUNDED);
			lazytsc_explored_fini(&bounded);
			compared++;
		}
		lazytsc_explored_fini(&e);
		lazytsc_stepper_free(w->stepper);
		free(w);
	}
	assert_true(compared >= 3);
}

static void only_one_requirement_counts(void **state)
{
	const struct lazytsc_defect *d = lazytsc_defect_find("weak-fence");
	struct lazytsc_cell *cell = calloc(1, sizeof(*cell));
	struct lazytsc_explored any, only;

	(void)state;
	assert_non_null(cell);
	lazytsc_cell_init(cell, lazytsc_scenario_find("remote"), 0, d->variant, d->glue);
	lazytsc_shortest(cell, LAZYTSC_TSO, 0, &any);
	cell->only = "A7";
	lazytsc_shortest(cell, LAZYTSC_TSO, 0, &only);
	assert_int_equal(any.outcome, LAZYTSC_VIOLATED);
	assert_int_equal(only.outcome, LAZYTSC_VIOLATED);
	assert_string_equal(lazytsc_rule_requirement((enum lazytsc_rule)only.broken.rule), "A7");
	assert_string_not_equal(lazytsc_rule_requirement((enum lazytsc_rule)any.broken.rule), "A7");
	assert_true(any.steps < only.steps);
	/* What is wrong is the store buffer: without one there is nothing. */
	lazytsc_explored_fini(&only);
	lazytsc_sweep(cell, LAZYTSC_SC, 0, &only);
	assert_int_equal(only.outcome, LAZYTSC_HOLDS);
	lazytsc_explored_fini(&any);
	lazytsc_explored_fini(&only);
	free(cell);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(visits_every_state_once),
		cmocka_unit_test(counterexample_is_the_smallest),
		cmocka_unit_test(only_one_requirement_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
