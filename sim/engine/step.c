// SPDX-License-Identifier: BSD-2-Clause
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <lazytsc/sim/step.h>

#include "arena.h"
#include "fiber.h"

struct buffered {
	size_t index;
	u64 value;
	const char *name, *file, *func;
	int line;
};

struct cpu {
	struct fiber fiber;
	struct lazytsc_self self;
	struct lazytsc_access pending;
	u64 result; /* of the pending operation, once performed */
	struct lazytsc_state_hash past; /* of all that it has read since its last checkpoint */
	struct lazytsc_state_hash outer; /* in an interruption: the past of what it broke into */
	const struct lazytsc_interruption *interruption; /* that runs, or is about to; NULL: none */
	unsigned first, count;
	struct buffered buffer[LAZYTSC_BUFFER_SIZE]; /* a ring; last: see save */
};

struct lazytsc_stepper {
	struct lazytsc_engine engine; /* first: the port knows the stepper by it */
	struct lazytsc_stepper_config config;
	struct arena arena;
	struct cpu *running; /* NULL: set-up, whose accesses are immediate */
	struct lazytsc_step_info last;
	bool failed;
	char *own, *common;
	size_t own_stride;
	u64 *words; /* room to put together what is hashed */
	struct cpu cpu[];
};

static const struct buffered *newest(const struct cpu *c, size_t index)
{
	for (unsigned i = c->count; i > 0; i--) {
		const struct buffered *b = &c->buffer[(c->first + i - 1) % LAZYTSC_BUFFER_SIZE];

		if (b->index == index)
			return b;
	}
	return NULL;
}

static void push(struct cpu *c, size_t index)
{
	const struct lazytsc_access *a = &c->pending;

	assert(c->count < LAZYTSC_BUFFER_SIZE);
	c->buffer[(c->first + c->count++) % LAZYTSC_BUFFER_SIZE] = (struct buffered){
		.index = index,
		.value = a->value,
		.name = a->name,
		.file = a->file,
		.func = a->func,
		.line = a->line,
	};
}

/* What a locked operation leaves in the field. */
static u64 locked_value(const struct lazytsc_access *a, u64 old)
{
	switch (a->op) {
	case LAZYTSC_OP_XCHG:
		return a->value;
	case LAZYTSC_OP_XADD:
		return old + a->value;
	default:
		assert(a->op == LAZYTSC_OP_CMPXCHG);
		return old == a->expect ? a->value : old;
	}
}

static void remember(struct cpu *c, u64 result)
{
	const u64 words[] = { c->past.low, c->past.high, result };
	XXH128_hash_t hash = XXH3_128bits(words, sizeof(words));

	c->past = (struct lazytsc_state_hash){ .low = hash.low64, .high = hash.high64 };
}

/* Runs what breaks in before the operation. What that reads is not remembered beyond it. */
static void interrupt(const struct lazytsc_stepper *s, struct cpu *c)
{
	c->outer = c->past;
	c->past = (struct lazytsc_state_hash){ .low = (u64)(c->interruption -
							    s->config.interruption) };
	c->interruption->run(&c->self);
	c->interruption = NULL;
	c->past = c->outer;
	c->outer = (struct lazytsc_state_hash){ 0, 0 };
}

static u64 access_step(struct lazytsc_engine *engine, const struct lazytsc_access *a)
{
	struct lazytsc_stepper *s = (struct lazytsc_stepper *)engine;
	struct cpu *c = s->running;

	if (!c)
		return arena_setup(&s->arena, a);
	if (a->op == LAZYTSC_OP_ASSUME && a->value)
		return 1;
	if (a->op == LAZYTSC_OP_CHECKPOINT) {
		c->past = (struct lazytsc_state_hash){ .low = (u64)a->line };
		remember(c, XXH3_64bits(a->file, strlen(a->file)));
		remember(c, a->value);
		return 0;
	}
	if (a->op == LAZYTSC_OP_NOTE) {
		remember(c, a->value);
		return 0;
	}
	if (a->op == LAZYTSC_OP_FAIL)
		s->failed = true;
	for (;;) {
		const struct lazytsc_interruption *before = c->interruption;

		c->pending = *a;
		fiber_yield(&c->fiber);
		if (c->interruption == before)
			return c->result;
		interrupt(s, c);
	}
}

static void start(void *arg)
{
	struct cpu *c = arg;
	struct lazytsc_stepper *s = (struct lazytsc_stepper *)lazytsc_engine;

	s->config.program->thread[c->self.cpu].run(&c->self);
}

/* Lets a thread go on to its next operation. */
static void advance(struct lazytsc_stepper *s, struct cpu *c)
{
	struct lazytsc_engine *outer = lazytsc_engine;

	lazytsc_engine = &s->engine;
	s->running = c;
	if (!fiber_resume(&c->fiber))
		c->pending = (struct lazytsc_access){ .op = LAZYTSC_OP_END, .name = "end" };
	s->running = NULL;
	lazytsc_engine = outer;
}

void lazytsc_stepper_reset(struct lazytsc_stepper *s)
{
	const struct lazytsc_program *p = s->config.program;
	struct lazytsc_engine *outer = lazytsc_engine;

	memset(s->arena.values, 0, s->arena.fields * sizeof(u64));
	memset(s->own, 0, s->own_stride * p->threads);
	memset(s->common, 0, s->config.common_size);
	memset(&s->last, 0, sizeof(s->last));
	s->failed = false;

	lazytsc_engine = &s->engine;
	if (p->init)
		p->init(s->arena.face, p->arg);
	if (s->config.setup)
		s->config.setup(s->common, s->arena.face, s->config.arg);
	lazytsc_engine = outer;

	for (unsigned i = 0; i < p->threads; i++) {
		s->cpu[i].first = s->cpu[i].count = 0;
		s->cpu[i].result = 0;
		s->cpu[i].past = (struct lazytsc_state_hash){ 0, 0 };
		s->cpu[i].outer = (struct lazytsc_state_hash){ 0, 0 };
		s->cpu[i].interruption = NULL;
		fiber_start(&s->cpu[i].fiber, start, &s->cpu[i]);
		advance(s, &s->cpu[i]);
	}
}

/* How many words the hash of a state may take. */
static size_t hashed_words(const struct lazytsc_stepper *s)
{
	const struct lazytsc_program *p = s->config.program;

	return s->arena.fields + p->threads * (6 + 2 * (size_t)LAZYTSC_BUFFER_SIZE) +
	       s->own_stride * p->threads / sizeof(u64) + s->config.common_size / sizeof(u64) + 2;
}

struct lazytsc_stepper *lazytsc_stepper_new(const struct lazytsc_stepper_config *config)
{
	const struct lazytsc_program *p = config->program;
	struct lazytsc_stepper *s;
	bool ok;

	assert(p->threads >= 1 && p->threads <= LAZYTSC_MAX_THREADS);
	s = calloc(1, sizeof(*s) + p->threads * sizeof(s->cpu[0]));
	if (!s)
		return NULL;
	s->engine.access = access_step;
	s->config = *config;
	s->own_stride = (p->own_size + 63) / 64 * 64;
	s->own = calloc(1, s->own_stride * p->threads + 1);
	s->common = calloc(1, config->common_size + 1);
	ok = arena_init(&s->arena, p->shared_size) && s->own && s->common;
	s->words = calloc(hashed_words(s), sizeof(u64));
	ok = ok && s->words;
	for (unsigned i = 0; ok && i < p->threads; i++) {
		ok = fiber_init(&s->cpu[i].fiber);
		s->cpu[i].self = (struct lazytsc_self){
			.shared = s->arena.face,
			.own = s->own + i * s->own_stride,
			.common = s->common,
			.arg = p->thread[i].arg,
			.cpu = i,
		};
	}
	if (!ok) {
		lazytsc_stepper_free(s);
		return NULL;
	}
	lazytsc_stepper_reset(s);
	return s;
}

void lazytsc_stepper_free(struct lazytsc_stepper *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->config.program->threads; i++)
		fiber_fini(&s->cpu[i].fiber);
	arena_fini(&s->arena);
	free(s->own);
	free(s->common);
	free(s->words);
	free(s);
}

/* In how many ways a CPU's thread can go on now. */
static unsigned ways(const struct cpu *c)
{
	const struct lazytsc_access *a = &c->pending;

	switch (a->op) {
	case LAZYTSC_OP_LOAD:
	case LAZYTSC_OP_TSC:
		return 1;
	case LAZYTSC_OP_STORE:
		return c->count < LAZYTSC_BUFFER_SIZE;
	case LAZYTSC_OP_MB:
	case LAZYTSC_OP_XCHG:
	case LAZYTSC_OP_XADD:
	case LAZYTSC_OP_CMPXCHG:
		return c->count == 0;
	case LAZYTSC_OP_EXIT:
		return c->count == 0 && (!a->ready || a->ready(a->arg));
	case LAZYTSC_OP_EVENT:
		return !a->ready || a->ready(a->arg);
	case LAZYTSC_OP_CHOOSE:
		return (unsigned short)a->value;
	case LAZYTSC_OP_ASSUME:
	case LAZYTSC_OP_CHECKPOINT:
	case LAZYTSC_OP_NOTE:
	case LAZYTSC_OP_FAIL:
	case LAZYTSC_OP_END:
		break;
	}
	return 0;
}

static bool interruptible(const struct lazytsc_stepper *s, const struct cpu *c, unsigned index)
{
	const struct lazytsc_interruption *i = &s->config.interruption[index];

	return i->cpu == c->self.cpu && !c->interruption && c->pending.op != LAZYTSC_OP_END &&
	       c->pending.op != LAZYTSC_OP_ASSUME && (!i->drains || c->count == 0) &&
	       i->ready(&c->self);
}

size_t lazytsc_stepper_enabled(struct lazytsc_stepper *s, struct lazytsc_step *steps, size_t max)
{
	size_t n = 0;

	if (s->failed)
		return 0;
	for (unsigned i = 0; i < s->config.program->threads; i++) {
		unsigned w = ways(&s->cpu[i]);

		for (unsigned choice = 0; choice < w; choice++, n++)
			if (n < max)
				steps[n] = (struct lazytsc_step){ .cpu = i, .choice = choice };
		for (unsigned j = 0; j < s->config.interruptions; j++) {
			if (!interruptible(s, &s->cpu[i], j))
				continue;
			if (n < max)
				steps[n] =
					(struct lazytsc_step){ .cpu = i,
							       .choice = LAZYTSC_INTERRUPTION + j };
			n++;
		}
		if (s->cpu[i].count) {
			if (n < max)
				steps[n] = (struct lazytsc_step){ .cpu = i, .drain = true };
			n++;
		}
	}
	return n;
}

bool lazytsc_stepper_is_enabled(struct lazytsc_stepper *s, struct lazytsc_step step)
{
	if (s->failed || step.cpu >= s->config.program->threads)
		return false;
	if (step.drain)
		return s->cpu[step.cpu].count != 0 && step.choice == 0;
	if (step.choice >= LAZYTSC_INTERRUPTION)
		return step.choice - LAZYTSC_INTERRUPTION < (int)s->config.interruptions &&
		       interruptible(s, &s->cpu[step.cpu], step.choice - LAZYTSC_INTERRUPTION);
	return step.choice < ways(&s->cpu[step.cpu]);
}

enum lazytsc_stepper_status lazytsc_stepper_status(struct lazytsc_stepper *s)
{
	if (s->failed)
		return LAZYTSC_FAILED;
	if (lazytsc_stepper_enabled(s, NULL, 0))
		return LAZYTSC_RUNNING;
	for (unsigned i = 0; i < s->config.program->threads; i++)
		if (s->cpu[i].pending.op != LAZYTSC_OP_END)
			return LAZYTSC_STUCK;
	return LAZYTSC_FINISHED;
}

struct lazytsc_step_info lazytsc_stepper_pending(const struct lazytsc_stepper *s, unsigned cpu)
{
	const struct lazytsc_access *a = &s->cpu[cpu].pending;

	return (struct lazytsc_step_info){
		.step = { .cpu = cpu },
		.op = a->op,
		.field = a->field,
		.name = a->name,
		.file = a->file,
		.func = a->func,
		.line = a->line,
		.local = a->op == LAZYTSC_OP_STORE && s->config.model == LAZYTSC_TSO,
		.value = a->value,
	};
}

struct lazytsc_step_info lazytsc_stepper_describe(const struct lazytsc_stepper *s,
						  struct lazytsc_step step)
{
	struct lazytsc_step_info info;

	assert(step.cpu < s->config.program->threads);
	if (step.drain) {
		const struct cpu *c = &s->cpu[step.cpu];
		const struct buffered *b = &c->buffer[c->first];

		assert(c->count);
		return (struct lazytsc_step_info){
			.step = step,
			.op = LAZYTSC_OP_STORE,
			.field = arena_field(&s->arena, b->index),
			.name = b->name,
			.file = b->file,
			.func = b->func,
			.line = b->line,
			.value = b->value,
		};
	}
	if (step.choice >= LAZYTSC_INTERRUPTION) {
		const struct lazytsc_interruption *i =
			&s->config.interruption[step.choice - LAZYTSC_INTERRUPTION];

		return (struct lazytsc_step_info){
			.step = step,
			.op = i->drains ? LAZYTSC_OP_EXIT : LAZYTSC_OP_EVENT,
			.name = i->name,
			.file = i->file,
			.func = i->func,
			.line = i->line,
		};
	}
	info = lazytsc_stepper_pending(s, step.cpu);
	info.step = step;
	return info;
}

struct lazytsc_step_info lazytsc_stepper_last(const struct lazytsc_stepper *s)
{
	return s->last;
}

static void drain(struct lazytsc_stepper *s, struct cpu *c)
{
	s->arena.values[c->buffer[c->first].index] = c->buffer[c->first].value;
	c->first = (c->first + 1) % LAZYTSC_BUFFER_SIZE;
	c->count--;
}

/* Performs the pending operation on memory or buffer; returns what it reads. */
static u64 execute(struct lazytsc_stepper *s, struct cpu *c, unsigned choice)
{
	const struct lazytsc_access *a = &c->pending;
	const struct buffered *b;
	size_t index;
	u64 old;

	switch (a->op) {
	case LAZYTSC_OP_LOAD:
		index = arena_index(&s->arena, a);
		b = newest(c, index);
		s->last.forwarded = b != NULL;
		return b ? b->value : s->arena.values[index];
	case LAZYTSC_OP_STORE:
		index = arena_index(&s->arena, a);
		push(c, index);
		if (s->config.model == LAZYTSC_SC)
			drain(s, c);
		return 0;
	case LAZYTSC_OP_XCHG:
	case LAZYTSC_OP_XADD:
	case LAZYTSC_OP_CMPXCHG:
		index = arena_index(&s->arena, a);
		old = s->arena.values[index];
		s->arena.values[index] = locked_value(a, old);
		return old;
	case LAZYTSC_OP_CHOOSE:
		return choice;
	case LAZYTSC_OP_TSC:
		return s->config.tsc ? s->config.tsc(s->common) : 0;
	default:
		return 0;
	}
}

/*
 * A word that points into memory of the stepper counts as an offset from a constant, one for each
 * region: odd, large and arbitrary, so that no number of a program comes near.
 */
static u64 without_base(const struct lazytsc_stepper *s, u64 word)
{
	const struct {
		const void *base;
		size_t size;
		u64 stands_for;
	} regions[] = {
		{ s->arena.face, s->arena.mapped, 0x2af7398005aaa5c7 },
		{ s->own, s->own_stride * s->config.program->threads + 1, 0x44db015024623547 },
		{ s->common, s->config.common_size + 1, 0x9c15f73e62a76ae2 },
	};

	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		u64 offset = word - (u64)(uintptr_t)regions[i].base;

		if (offset < regions[i].size)
			return regions[i].stands_for + offset;
	}
	return word;
}

/* Appends bytes as words to what will be hashed; the last word is filled up with 0. */
static u64 *append_bytes(const struct lazytsc_stepper *s, u64 *to, const void *bytes, size_t size)
{
	size_t words = size / sizeof(u64) + !!(size % sizeof(u64));

	if (!words)
		return to;
	to[words - 1] = 0;
	memcpy(to, bytes, size);
	for (size_t i = 0; i < words; i++)
		if (to[i] >> 32)
			to[i] = without_base(s, to[i]);
	return to + words;
}

static struct lazytsc_state_hash hash_words(const u64 *from, const u64 *to)
{
	XXH128_hash_t hash = XXH3_128bits(from, (size_t)(to - from) * sizeof(u64));

	return (struct lazytsc_state_hash){ .low = hash.low64, .high = hash.high64 };
}

static struct lazytsc_state_hash hash_common(const struct lazytsc_stepper *s)
{
	return hash_words(s->words, append_bytes(s, s->words, s->common, s->config.common_size));
}

void lazytsc_stepper_perform(struct lazytsc_stepper *s, struct lazytsc_step step)
{
	struct cpu *c = &s->cpu[step.cpu];

	assert(lazytsc_stepper_is_enabled(s, step));
	s->last = lazytsc_stepper_describe(s, step);
	if (step.drain)
		drain(s, c);
	else if (step.choice >= LAZYTSC_INTERRUPTION)
		c->interruption = &s->config.interruption[step.choice - LAZYTSC_INTERRUPTION];
	else
		c->result = execute(s, c, step.choice);
	if (!step.drain && step.choice < LAZYTSC_INTERRUPTION)
		s->last.result = c->result;
	if (s->config.performed)
		s->config.performed(s->common, s->arena.face, &s->last);
	if (step.drain)
		return;
	if (step.choice < LAZYTSC_INTERRUPTION)
		remember(c, c->result);
	if (s->config.common_size && !s->config.notes)
		remember(c, hash_common(s).low);
	advance(s, c);
}

u64 lazytsc_stepper_memory(const struct lazytsc_stepper *s, const lazytsc_shared_t *field)
{
	const struct lazytsc_access a = { .field = (lazytsc_shared_t *)field,
					  .name = "field",
					  .file = __FILE__,
					  .line = __LINE__,
					  .func = __func__ };

	return s->arena.values[arena_index(&s->arena, &a)];
}

u64 lazytsc_stepper_load(const struct lazytsc_stepper *s, unsigned cpu,
			 const lazytsc_shared_t *field)
{
	u64 memory = lazytsc_stepper_memory(s, field);
	size_t index = (size_t)(field - arena_field(&s->arena, 0));
	const struct buffered *b = newest(&s->cpu[cpu], index);

	return b ? b->value : memory;
}

unsigned lazytsc_stepper_buffered(const struct lazytsc_stepper *s, unsigned cpu)
{
	return s->cpu[cpu].count;
}

void lazytsc_stepper_buffer(const struct lazytsc_stepper *s, unsigned cpu, unsigned i,
			    const lazytsc_shared_t **field, u64 *value)
{
	const struct cpu *c = &s->cpu[cpu];
	const struct buffered *b = &c->buffer[(c->first + i) % LAZYTSC_BUFFER_SIZE];

	assert(i < c->count);
	*field = arena_field(&s->arena, b->index);
	*value = b->value;
}

void *lazytsc_stepper_shared(const struct lazytsc_stepper *s)
{
	return s->arena.face;
}

void *lazytsc_stepper_own(const struct lazytsc_stepper *s, unsigned cpu)
{
	return s->cpu[cpu].self.own;
}

void *lazytsc_stepper_common(const struct lazytsc_stepper *s)
{
	return s->common;
}

static u64 *append_cpu(u64 *to, const struct cpu *c)
{
	*to++ = c->count;
	*to++ = c->past.low;
	*to++ = c->past.high;
	*to++ = c->outer.low;
	*to++ = c->outer.high;
	*to++ = c->interruption != NULL;
	for (unsigned i = 0; i < c->count; i++) {
		const struct buffered *b = &c->buffer[(c->first + i) % LAZYTSC_BUFFER_SIZE];

		*to++ = b->index;
		*to++ = b->value;
	}
	return to;
}

struct lazytsc_state_hash lazytsc_stepper_hash(const struct lazytsc_stepper *s)
{
	u64 *to = s->words;

	memcpy(to, s->arena.values, s->arena.fields * sizeof(u64));
	to += s->arena.fields;
	for (unsigned i = 0; i < s->config.program->threads; i++)
		to = append_cpu(to, &s->cpu[i]);
	to = append_bytes(s, to, s->own, s->own_stride * s->config.program->threads);
	to = append_bytes(s, to, s->common, s->config.common_size);
	return hash_words(s->words, to);
}

/*
 * A saved state: the arena's values, the own blocks, the common memory; then each CPU up to its
 * buffer, what its buffer holds, and its stack from sp to top. All sizes are multiples of 8 but
 * those of own and common, which nobody reads as words.
 */
static size_t stack_size(const struct cpu *c)
{
	return c->fiber.sp ? (size_t)(c->fiber.top - (char *)c->fiber.sp) : 0;
}

static void put(char **to, const void *from, size_t size)
{
	memcpy(*to, from, size);
	*to += size;
}

static void get(void *to, const char **from, size_t size)
{
	memcpy(to, *from, size);
	*from += size;
}

size_t lazytsc_stepper_save(const struct lazytsc_stepper *s, void *to, size_t room)
{
	unsigned threads = s->config.program->threads;
	size_t values = s->arena.fields * sizeof(u64), own = s->own_stride * threads;
	size_t size = sizeof(s->failed) + values + own + s->config.common_size;
	char *p = to;

	if (!fiber_can_save())
		return 0;
	for (unsigned i = 0; i < threads; i++)
		size += offsetof(struct cpu, buffer) + s->cpu[i].count * sizeof(struct buffered) +
			stack_size(&s->cpu[i]);
	if (size > room)
		return size;
	put(&p, &s->failed, sizeof(s->failed));
	put(&p, s->arena.values, values);
	put(&p, s->own, own);
	put(&p, s->common, s->config.common_size);
	for (unsigned i = 0; i < threads; i++) {
		const struct cpu *c = &s->cpu[i];

		put(&p, c, offsetof(struct cpu, buffer));
		for (unsigned j = 0; j < c->count; j++)
			put(&p, &c->buffer[(c->first + j) % LAZYTSC_BUFFER_SIZE],
			    sizeof(struct buffered));
		put(&p, c->fiber.sp ? c->fiber.sp : c->fiber.top, stack_size(c));
	}
	return size;
}

void lazytsc_stepper_restore(struct lazytsc_stepper *s, const void *from)
{
	unsigned threads = s->config.program->threads;
	const char *p = from;

	get(&s->failed, &p, sizeof(s->failed));
	get(s->arena.values, &p, s->arena.fields * sizeof(u64));
	get(s->own, &p, s->own_stride * threads);
	get(s->common, &p, s->config.common_size);
	for (unsigned i = 0; i < threads; i++) {
		struct cpu *c = &s->cpu[i];

		get(c, &p, offsetof(struct cpu, buffer));
		c->first = 0;
		get(c->buffer, &p, c->count * sizeof(struct buffered));
		get(c->fiber.sp ? c->fiber.sp : c->fiber.top, &p, stack_size(c));
	}
}

void lazytsc_step_print(struct lazytsc_step step, char text[LAZYTSC_STEP_TEXT])
{
	if (step.drain)
		snprintf(text, LAZYTSC_STEP_TEXT, "%ud", step.cpu);
	else if (step.choice >= LAZYTSC_INTERRUPTION)
		snprintf(text, LAZYTSC_STEP_TEXT, "%u!%u", step.cpu,
			 step.choice - (unsigned int)LAZYTSC_INTERRUPTION);
	else if (step.choice)
		snprintf(text, LAZYTSC_STEP_TEXT, "%u=%u", step.cpu, step.choice);
	else
		snprintf(text, LAZYTSC_STEP_TEXT, "%u", step.cpu);
}

/* Reads a number up to max. Returns what follows it, or NULL. */
static const char *parse_number(const char *text, unsigned max, unsigned *number)
{
	*number = 0;
	if (*text < '0' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++) {
		*number = *number * 10 + (unsigned)(*text - '0');
		if (*number > max)
			return NULL;
	}
	return text;
}

const char *lazytsc_step_parse(const char *text, struct lazytsc_step *step)
{
	unsigned number;

	while (*text == ' ' || *text == '\t' || *text == '\n')
		text++;
	text = parse_number(text, LAZYTSC_MAX_THREADS - 1, &number);
	if (!text)
		return NULL;
	*step = (struct lazytsc_step){ .cpu = (unsigned char)number };
	if (*text == 'd') {
		step->drain = true;
		return text + 1;
	}
	if (*text == '=' || *text == '!') {
		unsigned base = *text == '!' ? LAZYTSC_INTERRUPTION : 0;

		text = parse_number(text + 1, LAZYTSC_INTERRUPTION - 1, &number);
		step->choice = (unsigned short)(base + number);
	}
	return text;
}

const char *lazytsc_op_name(enum lazytsc_op op)
{
	static const char *const names[] = {
		[LAZYTSC_OP_LOAD] = "load",
		[LAZYTSC_OP_STORE] = "store",
		[LAZYTSC_OP_MB] = "mb",
		[LAZYTSC_OP_XCHG] = "xchg",
		[LAZYTSC_OP_XADD] = "xadd",
		[LAZYTSC_OP_CMPXCHG] = "cmpxchg",
		[LAZYTSC_OP_EXIT] = "exit",
		[LAZYTSC_OP_EVENT] = "event",
		[LAZYTSC_OP_CHOOSE] = "choose",
		[LAZYTSC_OP_ASSUME] = "assume",
		[LAZYTSC_OP_CHECKPOINT] = "checkpoint",
		[LAZYTSC_OP_TSC] = "tsc",
		[LAZYTSC_OP_NOTE] = "note",
		[LAZYTSC_OP_FAIL] = "fail",
		[LAZYTSC_OP_END] = "end",
	};

	return names[op];
}
