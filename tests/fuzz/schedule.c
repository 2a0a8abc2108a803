// SPDX-License-Identifier: BSD-2-Clause
/*
 * A schedule, as --replay takes it: each step is read, and performed where it is enabled; what is
 * printed of it is read again as the same step. Nothing happens where a step is none.
 */
#include <stdlib.h>
#include <string.h>

#include <lazytsc/sim/step.h>

#include "litmus/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char sb[] = "X86 SB\n{ x=0; y=0; }\n P0 | P1 ;\n MOV [x],$1 | MOV [y],$1 ;\n"
			 " MOV EAX,[y] | MOV EAX,[x] ;\nexists (0:EAX=0 /\\ 1:EAX=0)\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lazytsc_litmus *t = litmus_parse("sb", sb, sizeof(sb) - 1, stderr);
	struct lazytsc_thread threads[LAZYTSC_MAX_THREADS];
	struct lazytsc_program program;
	struct lazytsc_stepper *s;
	char *text = calloc(1, size + 1);
	const char *p = text;
	struct lazytsc_step step, again;

	if (!t || !text)
		abort();
	program = lazytsc_litmus_program(t, threads);
	s = lazytsc_stepper_new(
		&(struct lazytsc_stepper_config){ .program = &program, .model = LAZYTSC_TSO });
	if (!s)
		abort();
	memcpy(text, data, size);
	while ((p = lazytsc_step_parse(p, &step))) {
		char printed[LAZYTSC_STEP_TEXT];

		lazytsc_step_print(step, printed);
		if (!lazytsc_step_parse(printed, &again) || again.cpu != step.cpu ||
		    again.drain != step.drain || again.choice != step.choice)
			abort();
		if (lazytsc_stepper_is_enabled(s, step))
			lazytsc_stepper_perform(s, step);
	}
	lazytsc_stepper_free(s);
	litmus_free(t);
	free(text);
	return 0;
}
