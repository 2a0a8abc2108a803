// SPDX-License-Identifier: BSD-2-Clause
/*
 * A breadth-first search, which comes back to a state by performing its path again. The first pass
 * finds the fewest steps to a violation. In the second pass two states are different also if
 * different CPUs made the last step. Each state is kept with the path to it that has the fewest
 * context switches; that path is known once the level before has been visited.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <lazytsc/sim/explore.h>

#include "stateset.h"

#define NOBODY UINT32_MAX

/* How a state was reached: by a step from an earlier one. */
struct node {
	u32 parent;
	u32 switches;
	struct lazytsc_step step;
};

struct search {
	const struct lazytsc_cell *cell;
	struct lazytsc_stepper *stepper;
	bool by_cpu; /* the second pass */
	unsigned int max_depth; /* of a violation; 0: no bound */
	bool bounded; /* there was more, beyond that */

	struct stateset set; /* a state's number: its node + 1 */
	struct node *node;
	u32 nodes, room;
	u32 next_level; /* its first node */
	unsigned int depth; /* of the node that is visited */
	struct lazytsc_step *path; /* to that node */
	unsigned int path_room;

	/* The best violation so far: at a node, or by a step from there. */
	bool found, at_end;
	u32 found_node, found_switches;
	struct lazytsc_step found_step;
	struct lazytsc_broken broken;
};

static u32 switches_after(const struct search *s, u32 from, struct lazytsc_step step)
{
	if (!s->by_cpu || from == NOBODY || from == 0)
		return 0;
	return s->node[from].switches + (s->node[from].step.cpu != step.cpu);
}

/* Adds the stepper's present state, which was reached from a node by a step. */
static bool add(struct search *s, u32 from, struct lazytsc_step step)
{
	struct lazytsc_state_hash hash = lazytsc_stepper_hash(s->stepper);
	const struct node n = { from, switches_after(s, from, step), step };
	struct stateset_slot *slot;

	if (s->by_cpu) {
		const u64 words[] = { hash.low, hash.high, step.cpu };
		XXH128_hash_t h = XXH3_128bits(words, sizeof(words));

		hash = (struct lazytsc_state_hash){ .low = h.low64, .high = h.high64 };
	}
	slot = stateset_get(&s->set, hash);
	if (!slot)
		return false;
	if (slot->number) {
		u32 old = slot->number - 1;

		if (old >= s->next_level && n.switches < s->node[old].switches)
			s->node[old] = n;
		return true;
	}
	if (s->nodes == s->room) {
		u32 room = s->room ? s->room * 2 : 1024;
		struct node *node = realloc(s->node, room * sizeof(*node));

		if (!node)
			return false;
		s->node = node;
		s->room = room;
	}
	slot->number = s->nodes + 1;
	s->node[s->nodes++] = n;
	return true;
}

static void trace(const struct search *s, u32 node, struct lazytsc_step *path, unsigned int n)
{
	for (u32 i = node; s->node[i].parent != NOBODY; i = s->node[i].parent)
		path[--n] = s->node[i].step;
	assert(n == 0);
}

static void go_to_node(struct search *s)
{
	lazytsc_stepper_reset(s->stepper);
	for (unsigned int i = 0; i < s->depth; i++)
		lazytsc_stepper_perform(s->stepper, s->path[i]);
}

static void found(struct search *s, u32 node, bool at_end, struct lazytsc_step step)
{
	const struct lazytsc_world *w = lazytsc_stepper_common(s->stepper);
	u32 switches = at_end ? s->node[node].switches : switches_after(s, node, step);

	if (s->found && switches >= s->found_switches)
		return;
	s->found = true;
	s->found_node = node;
	s->at_end = at_end;
	s->found_step = step;
	s->found_switches = switches;
	s->broken = w->mon.broken;
	s->max_depth = s->depth + !at_end;
}

/* Performs every step that is enabled after a node. Returns false without memory. */
static bool visit(struct search *s, u32 node)
{
	struct lazytsc_step steps[LAZYTSC_ENABLED_MAX];
	size_t n;

	trace(s, node, s->path, s->depth);
	go_to_node(s);
	n = lazytsc_stepper_enabled(s->stepper, steps, LAZYTSC_ENABLED_MAX);
	assert(n <= LAZYTSC_ENABLED_MAX);
	if (n == 0) {
		lazytsc_world_end(lazytsc_stepper_common(s->stepper), s->cell->scenario);
		if (lazytsc_judge(s->cell, s->stepper) == LAZYTSC_BROKEN)
			found(s, node, true, (struct lazytsc_step){ 0 });
		return true;
	}
	if (s->max_depth && s->depth >= s->max_depth) {
		s->bounded = true;
		return true;
	}
	for (size_t i = 0; i < n; i++) {
		if (i)
			go_to_node(s);
		lazytsc_stepper_perform(s->stepper, steps[i]);
		switch (lazytsc_judge(s->cell, s->stepper)) {
		case LAZYTSC_BROKEN:
			found(s, node, false, steps[i]);
			break;
		case LAZYTSC_SOUND:
			if (!add(s, node, steps[i]))
				return false;
			break;
		case LAZYTSC_BROKEN_OTHER:
			break;
		}
	}
	return true;
}

static bool deeper(struct search *s)
{
	s->depth++;
	s->next_level = s->nodes;
	if (s->depth >= s->path_room) {
		unsigned int room = s->path_room ? s->path_room * 2 : 64;
		struct lazytsc_step *path = realloc(s->path, room * sizeof(*path));

		if (!path)
			return false;
		s->path = path;
		s->path_room = room;
	}
	return true;
}

static enum lazytsc_explore_outcome run(struct search *s)
{
	s->depth = (unsigned int)-1;
	lazytsc_stepper_reset(s->stepper);
	if (!add(s, NOBODY, (struct lazytsc_step){ 0 }))
		return LAZYTSC_NO_MEMORY;
	for (u32 node = 0; node < s->nodes; node++) {
		if (node == s->next_level) {
			if (s->found && s->depth + 1 > s->max_depth)
				break;
			if (!deeper(s))
				return LAZYTSC_NO_MEMORY;
		}
		if (!visit(s, node))
			return LAZYTSC_NO_MEMORY;
	}
	if (s->found)
		return LAZYTSC_VIOLATED;
	return s->bounded ? LAZYTSC_BOUNDED : LAZYTSC_HOLDS;
}

static void fini(struct search *s)
{
	stateset_fini(&s->set);
	free(s->node);
	free(s->path);
}

static bool keep(const struct search *s, struct lazytsc_explored *result)
{
	result->broken = s->broken;
	result->steps = s->max_depth;
	result->switches = s->found_switches;
	result->path = calloc(s->max_depth + 1, sizeof(*result->path));
	if (!result->path)
		return false;
	trace(s, s->found_node, result->path, s->max_depth - !s->at_end);
	if (!s->at_end)
		result->path[s->max_depth - 1] = s->found_step;
	return true;
}

void lazytsc_shortest(const struct lazytsc_cell *cell, enum lazytsc_model model,
		      unsigned int max_steps, struct lazytsc_explored *result)
{
	struct search s = {
		.cell = cell,
		.stepper = lazytsc_cell_stepper(cell, model),
		.max_depth = max_steps,
	};

	memset(result, 0, sizeof(*result));
	result->outcome = s.stepper ? run(&s) : LAZYTSC_NO_MEMORY;
	fini(&s);
	if (result->outcome == LAZYTSC_VIOLATED) {
		s = (struct search){
			.cell = cell,
			.stepper = s.stepper,
			.by_cpu = true,
			.max_depth = s.max_depth,
		};
		result->outcome = run(&s);
		if (result->outcome == LAZYTSC_VIOLATED && !keep(&s, result))
			result->outcome = LAZYTSC_NO_MEMORY;
		fini(&s);
	}
	lazytsc_stepper_free(s.stepper);
}
