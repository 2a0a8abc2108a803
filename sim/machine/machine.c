// SPDX-License-Identifier: BSD-2-Clause
/* The machine: configuration, vCPUs, phases, counts. */
#include <stdlib.h>
#include <string.h>

#include "count.h"
#include "guest.h"
#include "loop.h"
#include "trouble.h"
#include "wide.h"

/* The liveness phase: how far ahead a deadline may lie and still has to come. */
#define SETTLE_NS 1000000000000ULL

/* As in the kernel's guest: docs/protocol.md, "An overdue promise is void". */
#define GRACE_NS 1000000

/* As KVM's min_timer_period_us: for what arms itself without an exit (B25). */
#define SHORTEST_NS 200000

struct lazytsc_costs lazytsc_costs_default(void)
{
	return (struct lazytsc_costs){
#define X(name, ns, meaning, source) .name = ns,
		LAZYTSC_COSTS(X)
#undef X
	};
}

struct lazytsc_machine_config lazytsc_machine_config_default(void)
{
	return (struct lazytsc_machine_config){
		.seed = 1,
		.vcpus = 1,
		.variant = &lazytsc_variant_lazy,
		.workload = lazytsc_workload_at(0),
		.guest = lazytsc_workload_options_default(),
		.costs = lazytsc_costs_default(),
		.guest_khz = 2600000,
		.host_khz = { 2600000, 2600000 },
		.tsc = 1000000000,
		.host_tsc = 1000000000,
		.advance_ns = 1000,
		.late_ns = 0,
		.downtime_ns = 10000000,
	};
}

static const char *const timer_names[] = { "hv", "sw", "remote", "posted", "mixed" };
static const char *const exit_names[] = { "MSR_WRITE", "PREEMPTION_TIMER", "EXTERNAL_INTERRUPT",
					  "HLT", "OTHER" };

const char *lazytsc_timer_name(enum lazytsc_timer_kind kind)
{
	return timer_names[kind];
}

const char *lazytsc_exit_name(enum lazytsc_exit e)
{
	return exit_names[e];
}

const char *lazytsc_machine_step_who(enum lazytsc_step_kind kind)
{
	static const char *const who[] = {
#define X(name, who, what) who,
		LAZYTSC_STEPS(X)
#undef X
	};

	return who[kind];
}

const char *lazytsc_machine_step_what(enum lazytsc_step_kind kind)
{
	static const char *const what[] = {
#define X(name, who, what) what,
		LAZYTSC_STEPS(X)
#undef X
	};

	return what[kind];
}

static u64 time_units(const struct lazytsc_machine_config *c, u64 ns)
{
	return wide_mul_div_sat(ns, c->host_khz[0], 0, 1000000);
}

static u64 nanoseconds(const struct lazytsc_machine_config *c, u64 time)
{
	return wide_mul_div(time, 1000000, c->host_khz[0]);
}

static u64 guest_cycles(const struct lazytsc_machine_config *c, u64 ns)
{
	return wide_mul_div(ns, c->guest_khz, 1000000);
}

static void derive(struct lazytsc_machine *m)
{
	const struct lazytsc_machine_config *c = &m->config;
	struct derived *d = &m->d;
	u64 sum = c->advance_ns + c->late_ns;

#define X(name, ns, meaning, source) d->cost.name = time_units(c, c->costs.name);
	LAZYTSC_COSTS(X)
#undef X
#define X(name, meaning) \
	d->trouble[LAZYTSC_TROUBLE_##name] = time_units(c, c->trouble_ns[LAZYTSC_TROUBLE_##name]);
	LAZYTSC_TROUBLES(X)
#undef X
	d->advance = time_units(c, c->advance_ns);
	d->late = time_units(c, c->late_ns);
	d->downtime = time_units(c, c->downtime_ns);
	d->wait = guest_cycles(c, c->advance_ns);
	d->grace = guest_cycles(c, GRACE_NS);
	d->nearest = guest_cycles(c, SHORTEST_NS);
	d->shortest = time_units(c, SHORTEST_NS);
	d->ns_per_cycle = wide_mul_div(1000000, RATIO_1, c->guest_khz);

	/* Late is what no queue of exits explains: each kind of cost, four times over. */
	sum += c->costs.exit_write + c->costs.exit_timer + c->costs.exit_irq + c->costs.exit_other +
	       c->costs.block + c->costs.wake + c->costs.callback + c->costs.ipi;
	d->limits.late = guest_cycles(c, 4 * sum);
	d->limits.rearm = guest_cycles(c, 2 * sum);
	d->limits.credit = c->guess ? c->guess->credit : 0;
	d->limits.nearest = d->nearest;
	d->limits.grace = d->grace;
}

static void init_vcpu(struct lazytsc_machine *m, unsigned int i)
{
	const struct lazytsc_machine_config *c = &m->config;
	struct vcpu *v = &m->vcpu[i];

	v->m = m;
	v->workload = c->workload;
	if (c->guess) {
		v->guess_state = m->guess_states + i * c->guess->size;
		c->guess->init(v->guess_state, m->d.wait);
	}
	v->clock.host_base = c->host_tsc;
	v->clock.host_mul = RATIO_1;
	v->clock.ratio = wide_mul_div(c->guest_khz, RATIO_1, c->host_khz[0]);
	v->clock.offset = c->tsc - mul48(c->host_tsc, v->clock.ratio);
	v->tsc = clock_guest(&v->clock, 0);
	v->random = lazytsc_random_stream(c->seed, 2 * (u64)i + 1);
	v->migrations = lazytsc_random_stream(c->seed, 0);
	v->ps.options = &m->config.guest;
	v->ps.random = lazytsc_random_stream(c->seed, 2 * (u64)i + 2);
	v->ps.khz = c->guest_khz;
	v->ps.start = v->tsc;
	v->ps.vcpu = i;
	for (unsigned int s = 0; s < AT_SOURCES; s++)
		v->at[s] = NEVER;
	lazytsc_mon_init(&v->mon, &m->d.limits);
	trouble_plan(v);
	guest_start(v);
}

static bool usable(const struct lazytsc_machine_config *c)
{
	u64 low = c->host_khz[0], high = c->host_khz[1];

	if (low > high) {
		low = c->host_khz[1];
		high = c->host_khz[0];
	}
	return c->vcpus && c->variant && c->workload && low && high / low < 16 && c->guest_khz &&
	       c->guest_khz / low < 16 && high / c->guest_khz < 16 && high < (u64)1 << 40;
}

struct lazytsc_machine *lazytsc_machine_new(const struct lazytsc_machine_config *config)
{
	struct lazytsc_machine *m;
	size_t size = sizeof(*m) + config->vcpus * sizeof(m->vcpu[0]);

	if (!usable(config))
		return NULL;
	m = aligned_alloc(LAZYTSC_AREA_SIZE,
			  (size + LAZYTSC_AREA_SIZE - 1) / LAZYTSC_AREA_SIZE * LAZYTSC_AREA_SIZE);
	if (!m)
		return NULL;
	memset(m, 0, size);
	m->config = *config;
	derive(m);
	if (config->guess) {
		m->guess_states = calloc(config->vcpus, config->guess->size);
		if (!m->guess_states) {
			free(m);
			return NULL;
		}
	}
	for (unsigned int i = 0; i < config->vcpus; i++)
		init_vcpu(m, i);
	return m;
}

void lazytsc_machine_free(struct lazytsc_machine *m)
{
	if (m)
		free(m->guess_states);
	free(m);
}

bool lazytsc_machine_run_vcpu(struct lazytsc_machine *m, unsigned int i, u64 ns)
{
	loop_run(&m->vcpu[i], time_units(&m->config, ns));
	return !m->vcpu[i].mon.broken.rule;
}

bool lazytsc_machine_run(struct lazytsc_machine *m, u64 ns)
{
	bool good = true;

	for (unsigned int i = 0; i < m->config.vcpus; i++)
		good &= lazytsc_machine_run_vcpu(m, i, ns);
	return good;
}

bool lazytsc_machine_settle_vcpu(struct lazytsc_machine *m, unsigned int i)
{
	struct vcpu *v = &m->vcpu[i];
	u64 end = v->now + time_units(&m->config, SETTLE_NS);

	v->settling = 1;
	v->at[AT_TROUBLE] = NEVER;
	count_stop(v);
	/* What the guest has begun it ends: an operation that has exited, a WRMSR after its set. */
	if (v->self != SELF_TRAP && v->self != SELF_BLOCK && !v->in_wrmsr)
		v->op.kind = LAZYTSC_WORKLOAD_NOTHING;
	if (v->self == SELF_OP)
		v->at[AT_SELF] = NEVER;
	loop_run(v, end);
	v->now = end;
	v->tsc = clock_guest(&v->clock, end);
	lazytsc_mon_end(&v->mon, v->tsc, v->tsc - m->d.limits.late);
	return !v->mon.broken.rule;
}

bool lazytsc_machine_settle(struct lazytsc_machine *m)
{
	bool good = true;

	for (unsigned int i = 0; i < m->config.vcpus; i++)
		good &= lazytsc_machine_settle_vcpu(m, i);
	return good;
}

const struct lazytsc_broken *lazytsc_machine_broken(const struct lazytsc_machine *m, unsigned int i)
{
	return m->vcpu[i].mon.broken.rule ? &m->vcpu[i].mon.broken : NULL;
}

struct lazytsc_machine_stats lazytsc_machine_stats(const struct lazytsc_machine *m, unsigned int i)
{
	const struct vcpu *v = &m->vcpu[i];
	struct lazytsc_machine_stats s = v->stats;
	struct lazytsc_machine_stats live = { .host = v->hostside.stats };

	s.host_ns = nanoseconds(&m->config, v->host_time);
	s.other_ns = nanoseconds(&m->config, v->other_time);
	lazytsc_machine_add(&s, &live);
	return s;
}

size_t lazytsc_machine_last_steps(const struct lazytsc_machine *m, unsigned int i,
				  struct lazytsc_machine_step *steps, size_t room)
{
	const struct vcpu *v = &m->vcpu[i];
	u64 n = v->steps < STEPS ? v->steps : STEPS;

	if (n > room)
		n = room;
	for (u64 s = 0; s < n; s++) {
		steps[s] = v->step[(v->steps - n + s) % STEPS];
		steps[s].ns = nanoseconds(&m->config, steps[s].ns);
		steps[s].vcpu = i;
	}
	return n;
}
