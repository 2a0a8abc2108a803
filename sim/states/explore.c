// SPDX-License-Identifier: BSD-2-Clause
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <lazytsc/sim/explore.h>

#include "stateset.h"

/* What the set holds of a state: ON_PATH while it is visited; then DONE + its longest path. */
enum { ON_PATH = 1, DONE = 2 };

/* A state on the path that is being visited. */
struct level {
	struct lazytsc_state_hash hash;
	struct lazytsc_step step[LAZYTSC_ENABLED_MAX];
	unsigned int steps, next; /* enabled here; the next to be performed */
	unsigned int longest; /* from here, so far */
	char *saved;
	size_t room;
};

struct sweep {
	const struct lazytsc_cell *cell;
	struct lazytsc_stepper *stepper;
	struct lazytsc_explored *result;
	struct stateset set;
	struct level *level;
	unsigned int depth, levels;
};

enum lazytsc_verdict lazytsc_judge(const struct lazytsc_cell *cell, struct lazytsc_stepper *stepper)
{
	const struct lazytsc_world *w = lazytsc_stepper_common(stepper);
	enum lazytsc_rule rule = (enum lazytsc_rule)w->mon.broken.rule;

	if (rule == LAZYTSC_RULE_NONE)
		return lazytsc_stepper_status(stepper) == LAZYTSC_FAILED ? LAZYTSC_BROKEN
									 : LAZYTSC_SOUND;
	return cell->only && strcmp(cell->only, lazytsc_rule_requirement(rule))
		       ? LAZYTSC_BROKEN_OTHER
		       : LAZYTSC_BROKEN;
}

static bool save(struct sweep *s, struct level *l)
{
	size_t size = lazytsc_stepper_save(s->stepper, l->saved, l->room);

	if (size <= l->room)
		return true;
	free(l->saved);
	l->room = 2 * size;
	l->saved = malloc(l->room);
	if (!l->saved)
		return false;
	lazytsc_stepper_save(s->stepper, l->saved, l->room);
	return true;
}

/* Brings the stepper back to the state of the deepest level. */
static void come_back(struct sweep *s)
{
	struct level *l = &s->level[s->depth - 1];

	if (l->room) {
		lazytsc_stepper_restore(s->stepper, l->saved);
		return;
	}
	lazytsc_stepper_reset(s->stepper);
	for (unsigned int i = 0; i + 1 < s->depth; i++)
		lazytsc_stepper_perform(s->stepper, s->level[i].step[s->level[i].next - 1]);
}

/* The state that the stepper is in is new: its visit begins. Returns false without memory. */
static bool enter(struct sweep *s, struct lazytsc_state_hash hash)
{
	struct level *l;

	if (s->depth == s->levels) {
		unsigned int levels = s->levels ? 2 * s->levels : 64;

		l = realloc(s->level, levels * sizeof(*l));
		if (!l)
			return false;
		memset(l + s->levels, 0, (levels - s->levels) * sizeof(*l));
		s->level = l;
		s->levels = levels;
	}
	l = &s->level[s->depth++];
	l->hash = hash;
	l->next = l->longest = 0;
	l->steps = lazytsc_stepper_enabled(s->stepper, l->step, LAZYTSC_ENABLED_MAX);
	assert(l->steps <= LAZYTSC_ENABLED_MAX);
	s->result->states++;
	return l->steps < 2 || save(s, l);
}

/* The visit of the deepest level's state is over. */
static void leave(struct sweep *s)
{
	const struct level *l = &s->level[--s->depth];

	stateset_get(&s->set, l->hash)->number = DONE + l->longest;
	if (s->depth && s->level[s->depth - 1].longest < l->longest + 1)
		s->level[s->depth - 1].longest = l->longest + 1;
	if (!s->depth)
		s->result->longest = l->longest;
}

/* Performs the next step of the deepest level's state. */
static enum lazytsc_explore_outcome step(struct sweep *s)
{
	struct level *l = &s->level[s->depth - 1];
	struct lazytsc_state_hash hash;
	struct stateset_slot *slot;
	enum lazytsc_verdict verdict;

	if (l->next)
		come_back(s);
	lazytsc_stepper_perform(s->stepper, l->step[l->next++]);
	s->result->transitions++;
	verdict = lazytsc_judge(s->cell, s->stepper);
	if (verdict != LAZYTSC_SOUND)
		return verdict == LAZYTSC_BROKEN ? LAZYTSC_VIOLATED : LAZYTSC_HOLDS;
	hash = lazytsc_stepper_hash(s->stepper);
	slot = stateset_get(&s->set, hash);
	if (!slot)
		return LAZYTSC_NO_MEMORY;
	if (slot->number == ON_PATH)
		return LAZYTSC_CYCLE;
	if (slot->number) {
		if (l->longest < slot->number - DONE + 1)
			l->longest = slot->number - DONE + 1;
		return LAZYTSC_HOLDS;
	}
	slot->number = ON_PATH;
	return enter(s, hash) ? LAZYTSC_HOLDS : LAZYTSC_NO_MEMORY;
}

static bool ends_well(struct sweep *s)
{
	s->result->ends++;
	lazytsc_world_end(lazytsc_stepper_common(s->stepper), s->cell->scenario);
	return lazytsc_judge(s->cell, s->stepper) != LAZYTSC_BROKEN;
}

static enum lazytsc_explore_outcome run(struct sweep *s, u64 states)
{
	struct lazytsc_state_hash hash = lazytsc_stepper_hash(s->stepper);
	struct stateset_slot *slot = stateset_get(&s->set, hash);

	if (!slot)
		return LAZYTSC_NO_MEMORY;
	slot->number = ON_PATH;
	if (!enter(s, hash))
		return LAZYTSC_NO_MEMORY;
	while (s->depth) {
		struct level *l = &s->level[s->depth - 1];
		enum lazytsc_explore_outcome outcome = LAZYTSC_HOLDS;

		if (!l->steps && !ends_well(s))
			return LAZYTSC_VIOLATED;
		if (l->next == l->steps)
			leave(s);
		else
			outcome = step(s);
		if (outcome != LAZYTSC_HOLDS)
			return outcome;
		if (states && s->result->states > states)
			return LAZYTSC_BOUNDED;
	}
	return LAZYTSC_HOLDS;
}

void lazytsc_sweep(const struct lazytsc_cell *cell, enum lazytsc_model model, u64 states,
		   struct lazytsc_explored *result)
{
	struct sweep s = {
		.cell = cell,
		.stepper = lazytsc_cell_stepper(cell, model),
		.result = result,
	};

	memset(result, 0, sizeof(*result));
	result->outcome = s.stepper ? run(&s, states) : LAZYTSC_NO_MEMORY;
	stateset_fini(&s.set);
	for (unsigned int i = 0; i < s.levels; i++)
		free(s.level[i].saved);
	free(s.level);
	lazytsc_stepper_free(s.stepper);
}

void lazytsc_explored_fini(struct lazytsc_explored *result)
{
	free(result->path);
	memset(result, 0, sizeof(*result));
}
