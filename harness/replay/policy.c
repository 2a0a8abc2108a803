// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include <lazytsc/sim/bound.h>
#include <lazytsc/sim/early.h>
#include <lazytsc/sim/replay.h>

#include "policy.h"

const char *const column_names[COLUMNS] = {
	[COL_MSR_WRITE_EXITS] = "msr_write_exits",
	[COL_SKIPS] = "skips",
	[COL_SILENT_EXPIRIES] = "silent_expiries",
	[COL_INJECTIONS] = "injections",
	[COL_EARLY_INJECTIONS] = "early_injections",
	[COL_HOST_ENTRIES] = "host_entries",
	[COL_WAITED] = "waited_cycles",
	[COL_HOST_CYCLES] = "host_cycles",
	[COL_LATE_CYCLES] = "late_cycles",
};

static void add(struct counts *sum, enum column c, uint64_t n)
{
	sum->value[c] += n;
	sum->known[c] = true;
}

static uint64_t slack(const struct policy *p, const struct policy_clock *clock)
{
	return clock->ns ? p->slack / 2 : p->slack;
}

static void variant_init(const struct policy *p, const struct policy_clock *clock, void *state)
{
	struct lazytsc_replay *r = state;

	lazytsc_replay_init(r, p->data, NULL, NULL);
	if (clock->khz > 0)
		lazytsc_replay_rate(r, clock->khz);
	r->wait = slack(p, clock);
}

static uint64_t variant_skips(const void *state)
{
	const struct lazytsc_replay *r = state;

	return r->counts.skips;
}

static void variant_write(void *state, uint64_t now, uint64_t v)
{
	lazytsc_replay_write(state, now, v);
}

static void variant_block(void *state, uint64_t now)
{
	lazytsc_replay_block(state, now);
}

static void variant_wake(void *state, uint64_t now)
{
	lazytsc_replay_wake(state, now);
}

static void variant_look(void *state, uint64_t now)
{
	lazytsc_replay_look(state, now);
}

static void variant_restart(void *state)
{
	lazytsc_replay_restart(state);
}

static void variant_finish(void *state, struct counts *sum)
{
	const struct lazytsc_replay *r = state;

	add(sum, COL_MSR_WRITE_EXITS, r->counts.msr_write_exits);
	add(sum, COL_SKIPS, r->counts.skips);
	add(sum, COL_SILENT_EXPIRIES, r->counts.silent_expiries);
	add(sum, COL_INJECTIONS, r->counts.injections);
	add(sum, COL_EARLY_INJECTIONS, r->counts.early_injections);
	add(sum, COL_HOST_ENTRIES, lazytsc_replay_host_entries(&r->counts));
	add(sum, COL_WAITED, r->waited);
	add(sum, COL_HOST_CYCLES, r->host_cycles);
	add(sum, COL_LATE_CYCLES, r->late_cycles);
	if (r->excess > sum->excess)
		sum->excess = r->excess;
}

/* The replay first, so that it is the state of a variant as well. */
struct early {
	struct lazytsc_replay replay;
	struct lazytsc_predictor predictor;
};

static void early_init(const struct policy *p, const struct policy_clock *clock, void *state)
{
	struct early *e = state;

	lazytsc_early_init(&e->replay, &e->predictor, slack(p, clock));
	if (clock->khz > 0)
		lazytsc_replay_rate(&e->replay, clock->khz);
}

static void bound_init(const struct policy *p, const struct policy_clock *clock, void *state)
{
	(void)p;
	(void)clock;
	lazytsc_bound_init(state);
}

static void bound_write(void *state, uint64_t now, uint64_t v)
{
	lazytsc_bound_write(state, now, v);
}

static void bound_look(void *state, uint64_t now)
{
	lazytsc_bound_look(state, now);
}

static void bound_restart(void *state)
{
	lazytsc_bound_restart(state);
}

static void bound_finish(void *state, struct counts *sum)
{
	const struct lazytsc_bound *b = state;

	add(sum, COL_HOST_ENTRIES, b->host_entries);
}

/* What the policies have in common that run a variant, or count the bound. */
#define REPLAYED                                                                      \
	.write = variant_write, .restart = variant_restart, .finish = variant_finish, \
	.skips = variant_skips, .is_replay = true
#define LAZY                                                                         \
	.state_size = sizeof(struct lazytsc_replay), .init = variant_init, REPLAYED, \
	.max_excess = 0, .data = &lazytsc_variant_lazy
#define EARLY                                                             \
	.state_size = sizeof(struct early), .init = early_init, REPLAYED, \
	.max_excess = LAZYTSC_PREDICTOR_CREDIT
#define BOUND                                                                                 \
	.state_size = sizeof(struct lazytsc_bound), .init = bound_init, .write = bound_write, \
	.restart = bound_restart, .finish = bound_finish, .max_excess = UINT64_MAX
#define AT_HALTS       .block = variant_block, .wake = variant_wake
#define BOUND_AT_HALTS .block = bound_look, .wake = bound_look

/* What is not one of the protocol's variants. */
static const struct policy analyses[] = {
	{
		.name = "early",
		.summary = "the project's protocol, arming early where the predictor says so",
		EARLY,
	},
	{
		.name = "bound",
		.summary =
			"the fewest host entries of any host without slack that knows all to come",
		BOUND,
	},
	{
		.name = "lazy-free",
		.summary = "lazy with free looks where the guest halts",
		LAZY,
		AT_HALTS,
	},
	{
		.name = "early-free",
		.summary = "early with free looks where the guest halts",
		EARLY,
		AT_HALTS,
	},
	{
		.name = "bound-free",
		.summary = "bound for a host that has free looks where the guest halts",
		BOUND,
		BOUND_AT_HALTS,
	},
	{
		.name = "lazy-look",
		.summary = "lazy-free with looks at all other exits, too",
		LAZY,
		AT_HALTS,
		.look = variant_look,
	},
	{
		.name = "early-look",
		.summary = "early-free with looks at all other exits, too",
		EARLY,
		AT_HALTS,
		.look = variant_look,
	},
	{
		.name = "bound-look",
		.summary = "bound-free for a host that has control at all other exits, too",
		BOUND,
		BOUND_AT_HALTS,
		.look = bound_look,
	},
};

#define ANALYSES (sizeof(analyses) / sizeof(analyses[0]))

bool policy_find(const char *name, const struct policy_options *options, struct policy *p)
{
	const struct lazytsc_variant *v = lazytsc_variant_find(name);

	for (size_t i = 0; i < ANALYSES; i++) {
		if (strcmp(name, analyses[i].name))
			continue;
		*p = analyses[i];
		p->slack = p->data ? options->advance : options->slack;
		return true;
	}
	if (!v)
		return false;
	if (v == &lazytsc_variant_rfc_v3 && options->sw_timer)
		v = &lazytsc_variant_rfc_v3_sw;
	*p = (struct policy){
		.name = lazytsc_variant_find(name)->name,
		.summary = v->summary,
		.state_size = sizeof(struct lazytsc_replay),
		.init = variant_init,
		REPLAYED,
		/* The plain rule never costs a host entry; the other variants make no promise. */
		.max_excess = v == &lazytsc_variant_lazy ? 0 : UINT64_MAX,
		.data = v,
		.slack = v == &lazytsc_variant_lazy ? options->advance : 0,
	};
	return true;
}

const char *policy_at(unsigned int i, const char **summary)
{
	const struct lazytsc_variant *v;

	if (i < ANALYSES) {
		*summary = analyses[i].summary;
		return analyses[i].name;
	}
	v = lazytsc_variant_at(i - ANALYSES);
	if (!v)
		return NULL;
	*summary = v->summary;
	return v->name;
}
