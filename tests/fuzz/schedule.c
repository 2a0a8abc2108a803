// SPDX-License-Identifier: BSD-2-Clause
/*
 * A schedule, as --replay takes it, on a litmus test or on a cell of a scenario; the first bytes
 * say which. Each step is read, and what is printed of it is read again as the same step.
 *
 *   - A step that is not enabled is none of the litmus test's: nothing happens. In a scenario it
 *     stands for one that is enabled, so that an input goes as far as the scenario does.
 *   - What was performed in a scenario can be repeated from its text, and leads to the same state.
 *   - The project's protocol breaks no requirement in it (docs/checking.md), whatever the schedule.
 *     Other variants may.
 */
#include <stdlib.h>
#include <string.h>

#include <lazytsc/sim/explore.h>
#include <lazytsc/sim/scenario.h>
#include <lazytsc/sim/step.h>

#include "litmus/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char sb[] = "X86 SB\n{ x=0; y=0; }\n P0 | P1 ;\n MOV [x],$1 | MOV [y],$1 ;\n"
			 " MOV EAX,[y] | MOV EAX,[x] ;\nexists (0:EAX=0 /\\ 1:EAX=0)\n";

/* What an input begins with: one byte each. */
enum { SCENARIO, CELL, VARIANT, MODEL, HEADER };

enum { MAX_STEPS = 4096 };

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Reads a step from *p; false: there is none. */
static bool next_step(const char **p, struct lazytsc_step *step)
{
	char printed[LAZYTSC_STEP_TEXT];
	struct lazytsc_step again;

	*p = lazytsc_step_parse(*p, step);
	if (!*p)
		return false;
	lazytsc_step_print(*step, printed);
	check(lazytsc_step_parse(printed, &again) && again.cpu == step->cpu &&
	      again.drain == step->drain && again.choice == step->choice);
	return true;
}

static void litmus(const char *text)
{
	struct lazytsc_litmus *t = litmus_parse("sb", sb, sizeof(sb) - 1, stderr);
	struct lazytsc_thread threads[LAZYTSC_MAX_THREADS];
	struct lazytsc_program program;
	struct lazytsc_stepper *s;
	struct lazytsc_step step;

	check(t);
	program = lazytsc_litmus_program(t, threads);
	s = lazytsc_stepper_new(
		&(struct lazytsc_stepper_config){ .program = &program, .model = LAZYTSC_TSO });
	check(s);
	while (next_step(&text, &step))
		if (lazytsc_stepper_is_enabled(s, step))
			lazytsc_stepper_perform(s, step);
	lazytsc_stepper_free(s);
	litmus_free(t);
}

/* The step, or if it is not enabled one that is. */
static struct lazytsc_step some_step(struct lazytsc_stepper *s, struct lazytsc_step step)
{
	static struct lazytsc_step enabled[LAZYTSC_ENABLED_MAX];
	size_t n;

	if (lazytsc_stepper_is_enabled(s, step))
		return step;
	n = lazytsc_stepper_enabled(s, enabled, LAZYTSC_ENABLED_MAX);
	check(n && n <= LAZYTSC_ENABLED_MAX);
	return enabled[(step.choice * 8u + step.cpu * 2u + step.drain) % n];
}

/* From the text of what was performed: the same state? */
static void repeat(const struct lazytsc_cell *cell, enum lazytsc_model model,
		   const struct lazytsc_step *path, unsigned int steps,
		   struct lazytsc_state_hash is)
{
	struct lazytsc_stepper *s = lazytsc_cell_stepper(cell, model);
	struct lazytsc_state_hash again;

	check(s);
	for (unsigned int i = 0; i < steps; i++) {
		char printed[LAZYTSC_STEP_TEXT];
		struct lazytsc_step step;

		lazytsc_step_print(path[i], printed);
		check(lazytsc_step_parse(printed, &step) && lazytsc_stepper_is_enabled(s, step));
		lazytsc_stepper_perform(s, step);
	}
	again = lazytsc_stepper_hash(s);
	check(again.low == is.low && again.high == is.high);
	lazytsc_stepper_free(s);
}

static void scenario(const uint8_t header[HEADER], const char *text)
{
	static struct lazytsc_step path[MAX_STEPS];
	static struct lazytsc_cell cell;
	enum lazytsc_model model = header[MODEL] & 1 ? LAZYTSC_SC : LAZYTSC_TSO;
	const struct lazytsc_variant *variant = lazytsc_variant_at(header[VARIANT] % 8);
	const struct lazytsc_scenario *scenario;
	unsigned int scenarios = 0, steps = 0;
	struct lazytsc_stepper *s;
	struct lazytsc_step step;
	struct lazytsc_world *w;
	enum lazytsc_verdict verdict;

	while (lazytsc_scenario_at(scenarios))
		scenarios++;
	scenario = lazytsc_scenario_at((header[SCENARIO] - 1u) % scenarios);
	if (!variant)
		variant = &lazytsc_variant_lazy;
	lazytsc_cell_init(&cell, scenario, header[CELL] % lazytsc_scenario_cells(scenario), variant,
			  LAZYTSC_GLUE_SOUND);
	s = lazytsc_cell_stepper(&cell, model);
	check(s);
	w = lazytsc_stepper_common(s);
	while (steps < MAX_STEPS && lazytsc_judge(&cell, s) == LAZYTSC_SOUND &&
	       lazytsc_stepper_enabled(s, NULL, 0) && next_step(&text, &step)) {
		path[steps] = some_step(s, step);
		lazytsc_stepper_perform(s, path[steps++]);
	}
	repeat(&cell, model, path, steps, lazytsc_stepper_hash(s));
	if (!lazytsc_stepper_enabled(s, NULL, 0))
		lazytsc_world_end(w, scenario);
	verdict = lazytsc_judge(&cell, s);
	check(verdict != LAZYTSC_BROKEN || variant != &lazytsc_variant_lazy);
	lazytsc_stepper_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size < HEADER)
		return 0;
	text = calloc(1, size - HEADER + 1);
	check(text);
	memcpy(text, data + HEADER, size - HEADER);
	if (data[SCENARIO])
		scenario(data, text);
	else
		litmus(text);
	free(text);
	return 0;
}
