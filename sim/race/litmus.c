// SPDX-License-Identifier: BSD-2-Clause
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <lazytsc/sim/litmus.h>

enum { RAX = 0 };

/* Far from the small numbers that tests compute with. */
#define ADDRESS_BASE ((int64_t)1 << 40)

int64_t lazytsc_litmus_address(unsigned location)
{
	return ADDRESS_BASE + (int64_t)location;
}

static int64_t extend(int64_t value, unsigned width)
{
	return width == 64 ? value : (int64_t)((u64)value << (64 - width)) >> (64 - width);
}

/* A 32-bit write clears the upper half of the register; narrower ones keep the rest. */
static int64_t insert(int64_t old, int64_t value, unsigned width)
{
	const u64 mask = width == 64 ? ~0ULL : (1ULL << width) - 1;

	return (int64_t)(((u64)value & mask) | (width < 32 ? (u64)old & ~mask : 0));
}

struct registers {
	int64_t r[LAZYTSC_LITMUS_REGISTERS];
};

/* What is in the way of a thread: its registers, memory, and the test. */
struct machine {
	const struct lazytsc_litmus *t;
	struct registers *regs;
	lazytsc_shared_t *memory;
};

static lazytsc_shared_t *memory_of(const struct machine *m, const struct lazytsc_litmus_operand *o)
{
	int64_t n = o->n;

	if (o->kind == LAZYTSC_LITMUS_LOCATION)
		return &m->memory[n];
	if (o->kind != LAZYTSC_LITMUS_INDIRECT)
		return NULL;
	n = m->regs->r[o->n] - ADDRESS_BASE;
	/* Not an address: the access would fault on hardware, and so the thread stops here. */
	lazytsc_assert(n >= 0 && n < m->t->locations);
	return &m->memory[n];
}

static int64_t read_operand(const struct machine *m, const struct lazytsc_litmus_operand *o)
{
	switch (o->kind) {
	case LAZYTSC_LITMUS_REGISTER:
		return extend(m->regs->r[o->n], o->width);
	case LAZYTSC_LITMUS_LOCATION:
	case LAZYTSC_LITMUS_INDIRECT:
		return (int64_t)lazytsc_load(memory_of(m, o));
	default:
		return o->value;
	}
}

static void write_register(const struct machine *m, const struct lazytsc_litmus_operand *o,
			   int64_t value)
{
	m->regs->r[o->n] = insert(m->regs->r[o->n], value, o->width);
}

static void write_operand(const struct machine *m, const struct lazytsc_litmus_operand *o,
			  int64_t value)
{
	if (o->kind == LAZYTSC_LITMUS_REGISTER)
		write_register(m, o, value);
	else
		lazytsc_store(memory_of(m, o), (u64)value);
}

static int64_t compute(enum lazytsc_litmus_op op, int64_t a, int64_t b)
{
	switch (op) {
	case LAZYTSC_LITMUS_XADD:
	case LAZYTSC_LITMUS_ADD:
		return (int64_t)((u64)a + (u64)b);
	case LAZYTSC_LITMUS_SUB:
		return (int64_t)((u64)a - (u64)b);
	case LAZYTSC_LITMUS_XOR:
		return a ^ b;
	case LAZYTSC_LITMUS_AND:
		return a & b;
	case LAZYTSC_LITMUS_OR:
		return a | b;
	default:
		return b;
	}
}

/* The accumulator, at the width of a register operand. */
static struct lazytsc_litmus_operand accumulator(const struct lazytsc_litmus_operand *like)
{
	return (struct lazytsc_litmus_operand){ .kind = LAZYTSC_LITMUS_REGISTER,
						.n = RAX,
						.width = like->width };
}

/* A locked operation on memory. */
static void run_locked(const struct machine *m, const struct lazytsc_litmus_insn *i)
{
	lazytsc_shared_t *field = memory_of(m, &i->to);
	const struct lazytsc_litmus_operand acc = accumulator(&i->from);
	int64_t value = read_operand(m, &i->from);
	int64_t old;

	switch (i->op) {
	case LAZYTSC_LITMUS_XCHG:
		write_register(m, &i->from, (int64_t)lazytsc_xchg(field, (u64)value));
		break;
	case LAZYTSC_LITMUS_XADD:
		write_register(m, &i->from, (int64_t)lazytsc_xadd(field, (u64)value));
		break;
	case LAZYTSC_LITMUS_CMPXCHG:
		old = (int64_t)lazytsc_cmpxchg(field, (u64)read_operand(m, &acc), (u64)value);
		if (old != read_operand(m, &acc))
			write_register(m, &acc, old);
		break;
	case LAZYTSC_LITMUS_SUB:
		value = (int64_t)(0 - (u64)value);
		/* fallthrough */
	default:
		assert(i->op == LAZYTSC_LITMUS_ADD || i->op == LAZYTSC_LITMUS_SUB);
		lazytsc_xadd(field, (u64)value);
	}
}

static void run_insn(const struct machine *m, const struct lazytsc_litmus_insn *i)
{
	const struct lazytsc_litmus_operand acc = accumulator(&i->from);
	int64_t a, b;

	switch (i->op) {
	case LAZYTSC_LITMUS_NOP:
		return;
	case LAZYTSC_LITMUS_MFENCE:
		lazytsc_mb();
		return;
	case LAZYTSC_LITMUS_MOV:
		write_operand(m, &i->to, read_operand(m, &i->from));
		return;
	default:
		break;
	}
	if (i->locked) {
		run_locked(m, i);
		return;
	}
	a = read_operand(m, &i->to);
	b = read_operand(m, &i->from);
	if (i->op == LAZYTSC_LITMUS_CMPXCHG && a != read_operand(m, &acc)) {
		write_register(m, &acc, a);
		return;
	}
	write_operand(m, &i->to, compute(i->op, a, b));
	if (i->op == LAZYTSC_LITMUS_XCHG || i->op == LAZYTSC_LITMUS_XADD)
		write_register(m, &i->from, a);
}

static void run(const struct lazytsc_self *self)
{
	const struct lazytsc_litmus *t = self->arg;
	const struct lazytsc_litmus_code *code = &t->code[self->cpu];
	const struct machine m = { .t = t, .regs = self->own, .memory = self->shared };

	memcpy(m.regs->r, code->init, sizeof(m.regs->r));
	for (unsigned i = 0; i < code->n; i++)
		run_insn(&m, &code->insn[i]);
}

static void init(void *shared, const void *arg)
{
	const struct lazytsc_litmus *t = arg;
	lazytsc_shared_t *memory = shared;

	for (unsigned i = 0; i < t->locations; i++)
		lazytsc_store(&memory[i], (u64)t->init[i]);
}

struct lazytsc_program lazytsc_litmus_program(const struct lazytsc_litmus *t,
					      struct lazytsc_thread threads[LAZYTSC_MAX_THREADS])
{
	for (unsigned i = 0; i < t->threads; i++)
		threads[i] = (struct lazytsc_thread){ .name = "P", .run = run, .arg = t };
	return (struct lazytsc_program){
		.name = t->name,
		.threads = t->threads,
		.thread = threads,
		.shared_size = t->locations * sizeof(lazytsc_shared_t),
		.own_size = sizeof(struct registers),
		.init = init,
		.arg = t,
	};
}

void lazytsc_litmus_state(const struct lazytsc_litmus *t, const void *const *own, const u64 *memory,
			  int64_t *state)
{
	for (unsigned i = 0; i < t->observed_n; i++) {
		const struct lazytsc_litmus_observed *o = &t->observed[i];

		if (o->thread < 0) {
			state[i] = (int64_t)memory[o->n];
		} else {
			const struct registers *regs = own[o->thread];

			state[i] = extend(regs->r[o->n], o->width);
		}
	}
}

bool lazytsc_litmus_holds(const struct lazytsc_litmus *t, const int64_t *state)
{
	bool value[LAZYTSC_LITMUS_MAX_NODES] = { false };

	assert(t->nodes);
	for (unsigned i = 0; i < t->nodes; i++) {
		const struct lazytsc_litmus_node *n = &t->node[i];

		switch (n->op) {
		case LAZYTSC_LITMUS_TRUE:
		case LAZYTSC_LITMUS_FALSE:
			value[i] = n->op == LAZYTSC_LITMUS_TRUE;
			break;
		case LAZYTSC_LITMUS_EQUAL:
		case LAZYTSC_LITMUS_DIFFERS:
			value[i] = (state[n->a] == n->value) == (n->op == LAZYTSC_LITMUS_EQUAL);
			break;
		case LAZYTSC_LITMUS_NOT:
			value[i] = !value[n->a];
			break;
		case LAZYTSC_LITMUS_CONJUNCTION:
			value[i] = value[n->a] && value[n->b];
			break;
		case LAZYTSC_LITMUS_DISJUNCTION:
			value[i] = value[n->a] || value[n->b];
			break;
		case LAZYTSC_LITMUS_IMPLIES:
			value[i] = !value[n->a] || value[n->b];
			break;
		}
	}
	return value[t->nodes - 1];
}

struct seeker {
	const struct lazytsc_litmus *t;
	bool seek;
};

static bool at_end(const struct lazytsc_final *f, void *outcome, const void *arg)
{
	const struct seeker *s = arg;
	const struct lazytsc_litmus *t = s->t;
	const void *own[LAZYTSC_MAX_THREADS];
	u64 memory[LAZYTSC_LITMUS_MAX_LOCATIONS];

	for (unsigned i = 0; i < t->threads; i++)
		own[i] = lazytsc_final_own(f, i);
	for (unsigned i = 0; i < t->locations; i++)
		memory[i] = lazytsc_final_memory(f, i * sizeof(lazytsc_shared_t));
	lazytsc_litmus_state(t, own, memory, outcome);
	if (!s->seek)
		return true;
	return lazytsc_litmus_holds(t, outcome) == (t->quantifier == LAZYTSC_LITMUS_FORALL);
}

struct order {
	const struct lazytsc_litmus *t;
	struct lazytsc_check_outcome outcome;
};

static int compare(const struct lazytsc_litmus *t, const int64_t *a, const int64_t *b,
		   bool condition_only)
{
	for (unsigned i = 0; i < t->observed_n; i++) {
		if (condition_only && !t->observed[i].in_condition)
			continue;
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	}
	return 0;
}

static int compare_states(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	return compare(x->t, x->outcome.data, y->outcome.data, false);
}

static int compare_named(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	return compare(x->t, x->outcome.data, y->outcome.data, true);
}

/* Sorts the states by value, and counts them and what the condition says of them. */
static bool digest(const struct lazytsc_litmus *t, struct lazytsc_litmus_result *r)
{
	const size_t n = r->check.outcomes;
	struct order *order = malloc((n + 1) * sizeof(*order));

	if (!order)
		return false;
	for (size_t i = 0; i < n; i++) {
		order[i] = (struct order){ .t = t, .outcome = r->check.outcome[i] };
		if (lazytsc_litmus_holds(t, order[i].outcome.data))
			r->positive += order[i].outcome.executions;
		else
			r->negative += order[i].outcome.executions;
	}
	qsort(order, n, sizeof(*order), compare_named);
	for (size_t i = 0; i < n; i++)
		r->condition_states += !i || compare_named(&order[i - 1], &order[i]) != 0;
	qsort(order, n, sizeof(*order), compare_states);
	for (size_t i = 0; i < n; i++)
		r->check.outcome[i] = order[i].outcome;
	free(order);
	return true;
}

bool lazytsc_litmus_run(const struct lazytsc_litmus *t, const struct lazytsc_check *check,
			bool seek, struct lazytsc_litmus_result *result)
{
	struct lazytsc_thread threads[LAZYTSC_MAX_THREADS];
	const struct lazytsc_program program = lazytsc_litmus_program(t, threads);
	const struct seeker seeker = { .t = t, .seek = seek };
	struct lazytsc_check c = *check;

	c.program = &program;
	c.final = at_end;
	c.arg = &seeker;
	/* Nothing observed is one state. */
	c.outcome_size = (t->observed_n + !t->observed_n) * sizeof(int64_t);
	memset(result, 0, sizeof(*result));
	if (!lazytsc_check_run(&c, &result->check))
		return false;
	if (digest(t, result))
		return true;
	lazytsc_check_release(&result->check);
	return false;
}
