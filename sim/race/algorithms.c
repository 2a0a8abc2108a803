// SPDX-License-Identifier: BSD-2-Clause
#include <lazytsc/sim/algorithms.h>

typedef struct lazytsc_algorithm_options options_t;

struct fields {
	lazytsc_shared_t flag[2]; /* Dekker, Peterson, Szymanski; Lamport's b */
	lazytsc_shared_t turn; /* Dekker, Peterson */
	lazytsc_shared_t x, y; /* Lamport; what the sequence counter protects */
	lazytsc_shared_t version; /* of the sequence counter */
	lazytsc_shared_t inside; /* the critical section's */
};

static void fence(const options_t *o)
{
	if (o->fences)
		lazytsc_mb();
}

/* How often a loop without a limit looks: once, and then it assumes that it has seen enough. */
static unsigned tries(const options_t *o)
{
	return o->tries ? o->tries : 1;
}

static bool is_below(u64 value, u64 limit)
{
	return value < limit;
}

static bool is_equal(u64 value, u64 other)
{
	return value == other;
}

/* Waits until the field satisfies the condition. Returns false where the thread gives up. */
static bool await(const options_t *o, lazytsc_shared_t *field, bool (*is)(u64, u64), u64 to)
{
	for (unsigned i = 0; i < tries(o); i++)
		if (is(lazytsc_load(field), to))
			return true;
	lazytsc_assume(o->tries);
	return false;
}

static void critical_section(struct fields *f, unsigned me)
{
	lazytsc_store(&f->inside, me + 1);
	lazytsc_assert(lazytsc_load(&f->inside) == me + 1);
}

/* Wrong: looks at the other's flag before it sets its own. */
static bool dekker_enter(struct fields *f, unsigned me, const options_t *o)
{
	lazytsc_shared_t *mine = &f->flag[me], *other = &f->flag[1 - me];

	if (o->wrong) {
		if (!await(o, other, is_equal, 0))
			return false;
		lazytsc_store(mine, 1);
		return true;
	}
	lazytsc_store(mine, 1);
	fence(o);
	for (unsigned i = 0; i < tries(o); i++) {
		if (lazytsc_load(other) == 0)
			return true;
		if (lazytsc_load(&f->turn) == me)
			continue;
		lazytsc_store(mine, 0);
		if (!await(o, &f->turn, is_equal, me))
			return false;
		lazytsc_store(mine, 1);
		fence(o);
	}
	return await(o, other, is_equal, 0);
}

static void dekker(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;
	const options_t *o = self->arg;
	const unsigned me = self->cpu;

	for (unsigned round = 0; round < o->rounds; round++) {
		if (!dekker_enter(f, me, o))
			return;
		critical_section(f, me);
		lazytsc_store(&f->turn, 1 - me);
		lazytsc_store(&f->flag[me], 0);
	}
}

/* Wrong: gives the turn to itself. */
static void peterson(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;
	const options_t *o = self->arg;
	const u64 me = self->cpu, other = 1 - me;

	for (unsigned round = 0; round < o->rounds; round++) {
		bool in = false;

		lazytsc_store(&f->flag[me], 1);
		lazytsc_store(&f->turn, o->wrong ? me : other);
		fence(o);
		for (unsigned i = 0; i < tries(o) && !in; i++) {
			u64 flag = lazytsc_load(&f->flag[other]);
			u64 turn = lazytsc_load(&f->turn);

			in = !flag || turn != other;
		}
		lazytsc_assume(in || o->tries);
		if (!in)
			return;
		critical_section(f, self->cpu);
		lazytsc_store(&f->flag[me], 0);
	}
}

/* Wrong: does not look at x, so it does not notice that the other came in with it. */
static bool lamport_enter(struct fields *f, unsigned me, const options_t *o)
{
	const u64 my = me + 1;

	for (unsigned i = 0; i < tries(o) + !o->tries; i++) {
		lazytsc_store(&f->flag[me], 1);
		lazytsc_store(&f->x, my);
		fence(o);
		if (lazytsc_load(&f->y) != 0) {
			lazytsc_store(&f->flag[me], 0);
			if (!await(o, &f->y, is_equal, 0))
				return false;
			continue;
		}
		lazytsc_store(&f->y, my);
		fence(o);
		if (o->wrong || lazytsc_load(&f->x) == my)
			return true;
		lazytsc_store(&f->flag[me], 0);
		if (!await(o, &f->flag[1 - me], is_below, 1))
			return false;
		if (lazytsc_load(&f->y) == my)
			return true;
		if (!await(o, &f->y, is_equal, 0))
			return false;
	}
	lazytsc_assume(o->tries);
	return false;
}

static void lamport(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;
	const options_t *o = self->arg;

	for (unsigned round = 0; round < o->rounds; round++) {
		if (!lamport_enter(f, self->cpu, o))
			return;
		critical_section(f, self->cpu);
		lazytsc_store(&f->y, 0);
		lazytsc_store(&f->flag[self->cpu], 0);
	}
}

/* The flag of the other is 0 or 1, or is 4: as it was left and not yet taken up again, or done. */
static bool szymanski_leave(const options_t *o, lazytsc_shared_t *other)
{
	for (unsigned i = 0; i < tries(o); i++)
		if (lazytsc_load(other) < 2 || lazytsc_load(other) > 3)
			return true;
	lazytsc_assume(o->tries);
	return false;
}

/* Wrong: goes in from the waiting room without waiting for those before it. */
static bool szymanski_enter(struct fields *f, unsigned me, const options_t *o)
{
	lazytsc_shared_t *mine = &f->flag[me], *other = &f->flag[1 - me];

	lazytsc_store(mine, 1);
	fence(o);
	if (!await(o, other, is_below, 3))
		return false;
	lazytsc_store(mine, 3);
	fence(o);
	if (lazytsc_load(other) == 1) {
		lazytsc_store(mine, 2);
		fence(o);
		if (!await(o, other, is_equal, 4))
			return false;
	}
	lazytsc_store(mine, 4);
	fence(o);
	/* The first thread goes first. */
	return o->wrong || await(o, other, is_below, 2);
}

static void szymanski(const struct lazytsc_self *self)
{
	struct fields *f = self->shared;
	const options_t *o = self->arg;
	const unsigned me = self->cpu;

	for (unsigned round = 0; round < o->rounds; round++) {
		if (!szymanski_enter(f, me, o))
			return;
		critical_section(f, me);
		if (!szymanski_leave(o, &f->flag[1 - me]))
			return;
		lazytsc_store(&f->flag[me], 0);
	}
}

/* Wrong: says that it is done, but not that it has begun. */
static void seqcount_write(struct fields *f, const options_t *o)
{
	for (u64 round = 1; round <= o->rounds; round++) {
		if (!o->wrong) {
			lazytsc_store(&f->version, 2 * round - 1);
			fence(o);
		}
		lazytsc_store(&f->x, round);
		lazytsc_store(&f->y, round);
		fence(o);
		lazytsc_store(&f->version, 2 * round);
	}
}

static void seqcount_read(struct fields *f, const options_t *o)
{
	for (unsigned i = 0; i < tries(o); i++) {
		u64 version = lazytsc_load(&f->version);
		u64 x, y;

		fence(o);
		x = lazytsc_load(&f->x);
		y = lazytsc_load(&f->y);
		fence(o);
		if (version % 2 == 0 && lazytsc_load(&f->version) == version) {
			lazytsc_assert(x == y);
			return;
		}
	}
	lazytsc_assume(o->tries);
}

static void seqcount(const struct lazytsc_self *self)
{
	if (self->cpu == 0)
		seqcount_write(self->shared, self->arg);
	else
		seqcount_read(self->shared, self->arg);
}

static const struct {
	const char *name;
	void (*run)(const struct lazytsc_self *self);
} algorithms[LAZYTSC_ALGORITHMS] = {
	[LAZYTSC_DEKKER] = { "Dekker", dekker },
	[LAZYTSC_PETERSON] = { "Peterson", peterson },
	[LAZYTSC_LAMPORT_FAST] = { "Lamport's fast mutex", lamport },
	[LAZYTSC_SZYMANSKI] = { "Szymanski", szymanski },
	[LAZYTSC_SEQCOUNT] = { "sequence counter", seqcount },
};

const char *lazytsc_algorithm_name(enum lazytsc_algorithm which)
{
	return algorithms[which].name;
}

struct lazytsc_program lazytsc_algorithm(enum lazytsc_algorithm which,
					 const struct lazytsc_algorithm_options *options,
					 struct lazytsc_thread threads[2])
{
	for (unsigned i = 0; i < 2; i++)
		threads[i] = (struct lazytsc_thread){ .name = i ? "CPU1" : "CPU0",
						      .run = algorithms[which].run,
						      .arg = options };
	return (struct lazytsc_program){
		.name = algorithms[which].name,
		.threads = 2,
		.thread = threads,
		.shared_size = sizeof(struct fields),
	};
}
