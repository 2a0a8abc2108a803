// SPDX-License-Identifier: BSD-2-Clause
/* Counterexamples, in words. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cli.h"
#include "table.h"

static void append(char text[CHECK_TEXT], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void append(char text[CHECK_TEXT], const char *fmt, ...)
{
	size_t at = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + at, CHECK_TEXT - at, fmt, ap);
	va_end(ap);
}

static const char *field_name(const struct lazytsc_area *area, const lazytsc_shared_t *field)
{
	return field == &area->armed ? "armed" : field == &area->pending ? "pending" : "done";
}

static void describe_choice(const struct lazytsc_cell *cell, const struct lazytsc_step_info *i,
			    const struct lazytsc_world *was, unsigned int op, char text[CHECK_TEXT])
{
#define X(name, words, valued) { words, valued },
	static const struct {
		const char *words;
		bool valued;
	} ops[] = { LAZYTSC_GUEST_OPS(X) };
#undef X
#define X(name, words) words,
	static const char *const trips[] = { LAZYTSC_TRIPS(X) };
	static const char *const parts[] = { LAZYTSC_RESTORED_PARTS(X) "nothing more" };
#undef X
	const struct lazytsc_guest_step *g;
	char n[24];

	switch (lazytsc_choice_of(i)) {
	case LAZYTSC_CHOICE_OPERATION:
		g = op < cell->scenario->prefix ? &cell->first[op] : &cell->alphabet[i->result];
		append(text, "guest: %s", ops[g->op].words);
		if (ops[g->op].valued)
			append(text, " %s", check_number(g->value, n));
		break;
	case LAZYTSC_CHOICE_GUESS:
		append(text, "%s %s", i->name,
		       i->result ? check_number(i->result + cell->scenario->start, n) : "nothing");
		break;
	case LAZYTSC_CHOICE_TRIP:
		append(text, "%s: %s", i->name, trips[i->result]);
		break;
	case LAZYTSC_CHOICE_RESTORE:
		append(text, "%s %s", i->name, parts[lazytsc_part_missing(was->parts, i->result)]);
		break;
	case LAZYTSC_CHOICE_WORD:
		append(text, "%s: %s", i->name, check_number(i->result, n));
		break;
	case LAZYTSC_CHOICE_VALUE:
		append(text, "%s %s", i->name, check_number(i->result + cell->scenario->start, n));
		break;
	}
}

static void describe(const struct lazytsc_cell *cell, const struct lazytsc_area *area,
		     const struct lazytsc_step_info *i, const struct lazytsc_world *was,
		     unsigned int op, char text[CHECK_TEXT])
{
	char n[24];

	switch (i->op) {
	case LAZYTSC_OP_LOAD:
		append(text, "load %s: %s", field_name(area, i->field), check_number(i->result, n));
		if (i->forwarded)
			append(text, ", from its own store buffer");
		break;
	case LAZYTSC_OP_STORE:
		append(text, i->step.drain ? "%s = %s reaches memory" : "store %s = %s",
		       field_name(area, i->field), check_number(i->value, n));
		break;
	case LAZYTSC_OP_MB:
		append(text, "full barrier");
		break;
	case LAZYTSC_OP_CHOOSE:
		describe_choice(cell, i, was, op, text);
		break;
	default:
		append(text, "%s", i->name);
		break;
	}
}

/* What has changed besides shared memory, in words. */
static void describe_change(const struct lazytsc_world *was, const struct lazytsc_world *is,
			    char text[CHECK_TEXT])
{
	char n[24];

	if (is->host.timer != was->host.timer || is->host.lazy != was->host.lazy) {
		if (!is->host.timer)
			append(text, "no host timer; ");
		else
			append(text, "%s timer at %s; ", is->host.lazy ? "lazy" : "plain",
			       check_number(is->host.timer, n));
	}
	if (is->mon.inflights > was->mon.inflights)
		append(text, "injects for %s; ",
		       check_number(is->mon.inflight[is->mon.inflights - 1].deadline, n));
	if (is->irr && !was->irr)
		append(text, "interrupt in IRR; ");
	if (!is->irr && was->irr)
		append(text, "interrupt taken; ");
	if (was->mon.in_set && !is->mon.in_set && is->deciding == was->deciding && !is->in_host)
		append(text, "a skip; ");
	if (is->blocked != was->blocked)
		append(text, is->blocked ? "blocked; " : "awake; ");
	if (strlen(text) >= 2)
		text[strlen(text) - 2] = 0;
}

static void show_buffer(const struct lazytsc_stepper *s, unsigned int cpu, char text[CHECK_TEXT])
{
	const struct lazytsc_area *area = lazytsc_stepper_shared(s);

	text[0] = 0;
	for (unsigned int i = 0; i < lazytsc_stepper_buffered(s, cpu); i++) {
		const lazytsc_shared_t *field;
		char n[24];
		u64 value;

		lazytsc_stepper_buffer(s, cpu, i, &field, &value);
		append(text, "%s%s=%s", i ? " " : "", field_name(area, field),
		       check_number(value, n));
	}
}

static enum check_lane lane(const struct lazytsc_step_info *i, const struct lazytsc_world *was)
{
	switch ((enum lazytsc_scenario_cpu)i->step.cpu) {
	case LAZYTSC_CPU_VCPU:
		return was->in_host ? CHECK_HOST : CHECK_GUEST;
	case LAZYTSC_CPU_OTHER:
		return CHECK_OTHER;
	case LAZYTSC_CPU_CLOCK:
	case LAZYTSC_CPU_LAPIC:
		break;
	}
	return CHECK_TIME;
}

/* Performs one step, and tells it. */
static void tell(struct check_step *to, const struct lazytsc_cell *cell, struct lazytsc_stepper *s,
		 struct lazytsc_step step, unsigned int *op)
{
	const struct lazytsc_world was = *(struct lazytsc_world *)lazytsc_stepper_common(s);
	const struct lazytsc_area *area = lazytsc_stepper_shared(s);
	const struct lazytsc_world *is = lazytsc_stepper_common(s);

	lazytsc_stepper_perform(s, step);
	to->info = lazytsc_stepper_last(s);
	to->lane = lane(&to->info, &was);
	describe(cell, area, &to->info, &was, *op, to->what);
	if (to->info.op == LAZYTSC_OP_CHOOSE &&
	    lazytsc_choice_of(&to->info) == LAZYTSC_CHOICE_OPERATION)
		++*op;
	describe_change(&was, is, to->then);
	to->clock = is->clock;
	check_number(lazytsc_stepper_memory(s, &area->armed), to->armed);
	check_number(lazytsc_stepper_memory(s, &area->pending), to->pending);
	for (unsigned int cpu = LAZYTSC_CPU_VCPU; cpu <= LAZYTSC_CPU_OTHER; cpu++)
		show_buffer(s, cpu, to->buffer[cpu]);
}

static void command(struct check_trace *t, const struct lazytsc_step *path, unsigned int steps)
{
	size_t at = (size_t)snprintf(
		t->command, sizeof(t->command),
		"lazytsc check --variant %s%s --scenario %s --cell %u --replay \"", t->subject.name,
		t->subject.model == LAZYTSC_SC ? " --model sc" : "", t->scenario->name, t->cell);

	for (unsigned int i = 0; i < steps && at < sizeof(t->command); i++) {
		char text[LAZYTSC_STEP_TEXT];

		lazytsc_step_print(path[i], text);
		at += (size_t)snprintf(t->command + at, sizeof(t->command) - at, "%s%s",
				       i ? " " : "", text);
	}
	if (at < sizeof(t->command))
		snprintf(t->command + at, sizeof(t->command) - at, "\"");
}

static bool perform_all(struct check_trace *t, const struct lazytsc_cell *cell,
			struct lazytsc_stepper *s, const struct lazytsc_step *path,
			unsigned int steps)
{
	struct lazytsc_world *w = lazytsc_stepper_common(s);
	unsigned int op = 0;

	for (unsigned int i = 0; i < steps; i++) {
		if (!lazytsc_stepper_is_enabled(s, path[i])) {
			char text[LAZYTSC_STEP_TEXT];

			lazytsc_step_print(path[i], text);
			warnx("step %u, '%s', is not possible there", i + 1, text);
			return false;
		}
		tell(&t->step[i], cell, s, path[i], &op);
		t->steps = i + 1;
	}
	if (lazytsc_stepper_enabled(s, NULL, 0) == 0)
		lazytsc_world_end(w, t->scenario);
	t->violated = lazytsc_judge(cell, s) == LAZYTSC_BROKEN;
	t->broken = w->mon.broken;
	for (unsigned int cpu = LAZYTSC_CPU_VCPU; cpu <= LAZYTSC_CPU_OTHER; cpu++) {
		struct lazytsc_step_info info = lazytsc_stepper_pending(s, cpu);

		if (info.op == LAZYTSC_OP_FAIL)
			append(t->failed, "%s:%d: assertion failed: %s", info.file, info.line,
			       info.name);
	}
	return true;
}

bool check_trace(struct check_trace *t, const struct check_subject *subject,
		 const struct lazytsc_scenario *s, unsigned int cell_number,
		 const struct lazytsc_step *path, unsigned int steps)
{
	struct lazytsc_cell *cell = cli_alloc(1, sizeof(*cell));
	struct lazytsc_stepper *stepper;
	bool ok;

	memset(t, 0, sizeof(*t));
	t->scenario = s;
	t->subject = *subject;
	t->cell = cell_number;
	t->step = cli_alloc(steps + 1, sizeof(*t->step));
	lazytsc_cell_init(cell, s, cell_number, subject->variant, subject->glue);
	stepper = lazytsc_cell_stepper(cell, subject->model);
	if (!stepper)
		cli_no_memory();
	command(t, path, steps);
	ok = perform_all(t, cell, stepper, path, steps);
	lazytsc_stepper_free(stepper);
	free(cell);
	if (!ok)
		check_trace_fini(t);
	return ok;
}

void check_trace_fini(struct check_trace *t)
{
	free(t->step);
	memset(t, 0, sizeof(*t));
}

void check_trace_says(const struct check_trace *t, char text[CHECK_TEXT])
{
	text[0] = 0;
	if (t->broken.rule)
		lazytsc_broken_text(&t->broken, text, CHECK_TEXT);
	else
		append(text, "%s", t->violated ? t->failed : "nothing is violated");
}

enum column {
	COL_STEP,
	COL_TSC,
	COL_VCPU,
	COL_OTHER,
	COL_MEMORY,
	COL_BUFFERS,
	COL_SO,
	COL_AT,
	COLUMNS
};

static void add_line(struct libscols_table *tb, const struct check_step *s, unsigned int i)
{
	struct libscols_line *line = table_line(tb);
	bool left = s->lane == CHECK_GUEST || s->lane == CHECK_HOST;
	char n[24];

	table_cell(line, COL_STEP, "%u", i + 1);
	table_cell(line, COL_TSC, "%s", check_number(s->clock, n));
	table_cell(line, left ? COL_VCPU : COL_OTHER, "%s%s",
		   s->lane == CHECK_HOST   ? "  host: "
		   : s->lane == CHECK_TIME ? "    -- "
					   : "",
		   s->what);
	table_cell(line, COL_MEMORY, "%s %s", s->armed, s->pending);
	table_cell(line, COL_BUFFERS, "%s%s%s", s->buffer[0], s->buffer[1][0] ? " | " : "",
		   s->buffer[1]);
	table_cell(line, COL_SO, "%s", s->then);
	table_cell(line, COL_AT, "%s:%d", s->info.file, s->info.line);
}

void check_trace_print(FILE *to, const struct check_trace *t)
{
	static const char *const names[COLUMNS] = {
		[COL_STEP] = "step",
		[COL_TSC] = "TSC",
		[COL_VCPU] = "vCPU's CPU",
		[COL_OTHER] = "other CPU",
		[COL_MEMORY] = "armed pending",
		[COL_BUFFERS] = "store buffers: vCPU's | other's",
		[COL_SO] = "so",
		[COL_AT] = "at",
	};
	const unsigned int numbers = TABLE_COLUMN(COL_STEP) | TABLE_COLUMN(COL_TSC);
	struct libscols_table *tb = table_new(names, COLUMNS, ~numbers);
	char text[CHECK_TEXT];

	check_trace_says(t, text);
	fprintf(to, "%s: %s\n\n", t->scenario->name, text);
	for (unsigned int i = 0; i < t->steps; i++)
		add_line(tb, &t->step[i], i);
	table_print(to, tb);
	fprintf(to, "\n%s\n", text);
	fprintf(to, "Again: %s\n", t->command);
}

void check_trace_json(json_t *o, const struct check_trace *t)
{
	static const char *const lanes[] = { "guest", "host", "other", "time" };
	json_t *steps = json_array();
	char text[CHECK_TEXT];

	check_trace_says(t, text);
	json_object_set_new(o, "scenario", json_string(t->scenario->name));
	json_object_set_new(o, "cell", json_integer(t->cell));
	json_object_set_new(o, "requirement",
			    t->broken.rule ? json_string(lazytsc_rule_requirement(
						     (enum lazytsc_rule)t->broken.rule))
					   : json_null());
	json_object_set_new(o, "says", json_string(text));
	json_object_set_new(o, "replay", json_string(t->command));
	for (unsigned int i = 0; i < t->steps; i++) {
		const struct check_step *s = &t->step[i];

		json_array_append_new(
			steps, json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:i}",
					 "lane", lanes[s->lane], "what", s->what, "then", s->then,
					 "tsc", (json_int_t)s->clock, "armed", s->armed, "pending",
					 s->pending, "vcpu_buffer", s->buffer[0], "other_buffer",
					 s->buffer[1], "file", s->info.file, "line", s->info.line));
	}
	json_object_set_new(o, "steps", steps);
}
