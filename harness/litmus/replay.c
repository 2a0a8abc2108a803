// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <string.h>

#include <lazytsc/sim/step.h>

#include "cli.h"
#include "replay.h"

enum { VALUE_TEXT = LAZYTSC_LITMUS_NAME + 32 };

/* A number, or the location whose address it is. */
static const char *print_value(const struct lazytsc_litmus *t, int64_t value, char text[VALUE_TEXT])
{
	int64_t n = value - lazytsc_litmus_address(0);

	if (n >= 0 && n < t->locations)
		snprintf(text, VALUE_TEXT, "%s", t->location[n]);
	else
		snprintf(text, VALUE_TEXT, "%lld", (long long)value);
	return text;
}

void litmus_print_state(const struct lazytsc_litmus *t, const int64_t *state)
{
	char text[VALUE_TEXT];

	for (unsigned i = 0; i < t->observed_n; i++)
		printf("%s%s=%s;", i ? " " : "", t->observed[i].name,
		       print_value(t, state[i], text));
	putchar('\n');
}

static void print_step(const struct lazytsc_litmus *t, const struct lazytsc_stepper *s,
		       unsigned number)
{
	const struct lazytsc_step_info info = lazytsc_stepper_last(s);
	const lazytsc_shared_t *memory = lazytsc_stepper_shared(s);
	const char *what = info.step.drain ? "drain" : lazytsc_op_name(info.op);
	const char *field = info.field ? t->location[info.field - memory] : "";
	char step[LAZYTSC_STEP_TEXT], value[VALUE_TEXT], result[VALUE_TEXT];

	lazytsc_step_print(info.step, step);
	print_value(t, (int64_t)info.value, value);
	print_value(t, (int64_t)info.result, result);
	printf("%4u  %-4s  P%-2u  %-8s", number, step, info.step.cpu, what);
	if (info.op == LAZYTSC_OP_STORE)
		printf("[%s] = %s", field, value);
	else if (info.op == LAZYTSC_OP_LOAD)
		printf("[%s] is %s%s", field, result, info.forwarded ? ", from its buffer" : "");
	else if (info.op == LAZYTSC_OP_XADD)
		printf("[%s] += %s, was %s", field, value, result);
	else if (info.op == LAZYTSC_OP_XCHG || info.op == LAZYTSC_OP_CMPXCHG)
		printf("[%s] = %s, was %s", field, value, result);
	putchar('\n');
}

/* What the machine has come to. */
static int print_end(const struct lazytsc_litmus *t, struct lazytsc_stepper *s)
{
	const lazytsc_shared_t *field = lazytsc_stepper_shared(s);
	const void *own[LAZYTSC_MAX_THREADS];
	u64 memory[LAZYTSC_LITMUS_MAX_LOCATIONS];
	int64_t state[LAZYTSC_LITMUS_MAX_OBSERVED];
	struct lazytsc_step steps[2 * LAZYTSC_MAX_THREADS];
	bool holds;

	if (lazytsc_stepper_status(s) == LAZYTSC_FAILED) {
		puts("A thread uses a number as an address");
		return CLI_BAD_INPUT;
	}
	if (lazytsc_stepper_status(s) == LAZYTSC_RUNNING) {
		size_t n = lazytsc_stepper_enabled(s, steps, 2 * LAZYTSC_MAX_THREADS);

		printf("Not at the end; enabled:");
		for (size_t i = 0; i < n; i++) {
			char text[LAZYTSC_STEP_TEXT];

			lazytsc_step_print(steps[i], text);
			printf(" %s", text);
		}
		putchar('\n');
		return CLI_OK;
	}
	for (unsigned i = 0; i < t->threads; i++)
		own[i] = lazytsc_stepper_own(s, i);
	for (unsigned i = 0; i < t->locations; i++)
		memory[i] = lazytsc_stepper_memory(s, &field[i]);
	lazytsc_litmus_state(t, own, memory, state);
	litmus_print_state(t, state);
	holds = lazytsc_litmus_holds(t, state);
	printf("The condition %s\n", holds ? "holds" : "does not hold");
	if (t->quantifier == LAZYTSC_LITMUS_EXISTS)
		return CLI_OK;
	return holds == (t->quantifier == LAZYTSC_LITMUS_FORALL) ? CLI_OK : CLI_VIOLATION;
}

static int perform(const struct lazytsc_litmus *t, struct lazytsc_stepper *s, const char *schedule)
{
	for (unsigned number = 1;; number++) {
		struct lazytsc_step step;
		const char *after;

		schedule += strspn(schedule, " \t\n");
		if (!*schedule)
			return print_end(t, s);
		after = lazytsc_step_parse(schedule, &step);
		if (!after || !lazytsc_stepper_is_enabled(s, step)) {
			fflush(stdout);
			warnx("%s: step %u, '%.*s', %s", t->name, number,
			      (int)strcspn(schedule, " \t\n"), schedule,
			      after ? "is not enabled" : "is no step");
			return CLI_BAD_INPUT;
		}
		schedule = after;
		lazytsc_stepper_perform(s, step);
		print_step(t, s, number);
	}
}

int litmus_replay(const struct lazytsc_litmus *t, enum lazytsc_model model, const char *schedule)
{
	struct lazytsc_thread threads[LAZYTSC_MAX_THREADS];
	const struct lazytsc_program program = lazytsc_litmus_program(t, threads);
	struct lazytsc_stepper *s = lazytsc_stepper_new(
		&(struct lazytsc_stepper_config){ .program = &program, .model = model });
	int status;

	if (!s)
		cli_no_memory();
	printf("   #  step  CPU  what\n");
	status = perform(t, s, schedule);
	lazytsc_stepper_free(s);
	return status;
}
