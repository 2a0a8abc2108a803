// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "sim.h"
#include "trace/trace.h"

#define SECOND	    1000000000ULL
#define MAX_THREADS 64

enum {
	OPT_SEED = 256,
	OPT_VARIANTS,
	OPT_TIMER,
	OPT_SWARM,
	OPT_THREADS,
	OPT_JSON,
	OPT_HIST,
	OPT_PER_VCPU,
	OPT_PERFETTO,
	OPT_LIST,
	OPT_TRACE,
	OPT_TSC_KHZ,
	OPT_HOST_KHZ,
	OPT_ADVANCE,
	OPT_LATE,
	OPT_COST,
	OPT_TROUBLE,
	OPT_DOWNTIME,
	OPT_RESTORE,
	OPT_FREE_LOOKS,
	OPT_TICK,
	OPT_REQUEST,
	OPT_SERVICE,
	OPT_IDLE,
	OPT_TIMERS,
	OPT_GAP,
	OPT_MEAN
};

struct sim_arguments {
	struct sim_run run;
	u64 swarm;
	const char *perfetto, *trace;
	char *repeat;
	bool json, list, duration, vcpus, guest, guest_khz, khz;
	u64 given; /* options, bit 0 is OPT_SEED */
	struct lazytsc_workload_trace *traces;
	size_t ntraces;
	double span_ns, trace_khz; /* of the trace; khz 0: it does not tell */
};

static const struct argp_option options[] = {
	{ "guest", 'g', "NAME", 0, "Which guest (default: nohz-rr); see --list", 1 },
	{ "vcpus", 'n', "N", 0, "How many vCPUs (default: 1)", 1 },
	{ "duration", 'd', "TIME", 0, "Simulated time (default: 10s; with --swarm: 20ms)", 1 },
	{ "seed", OPT_SEED, "S", 0, "Decides everything that is left to chance (default: 1)", 1 },
	{ "variants", OPT_VARIANTS, "LIST", 0, "Which variants (default: stock,lazy)", 1 },
	{ "timer", OPT_TIMER, "hv|sw|remote|posted|mixed", 0, "The host timer (default: hv)", 1 },
	{ "trace", OPT_TRACE, "FILE", 0, "Run a recorded trace as the guest, as replay reads it",
	  1 },
	{ "swarm", OPT_SWARM, "N", 0,
	  "N runs, each configured at random by its seed: --seed and those after it", 2 },
	{ "threads", OPT_THREADS, "N", 0, "Threads (default: one for each CPU)", 2 },
	{ "json", OPT_JSON, NULL, 0, "Print JSON", 3 },
	{ "hist", OPT_HIST, NULL, 0, "A histogram of lateness, as cyclictest's", 3 },
	{ "per-vcpu", OPT_PER_VCPU, NULL, 0, "Rows for each vCPU too", 3 },
	{ "perfetto", OPT_PERFETTO, "FILE", 0,
	  "Write what the last variant does, for ui.perfetto.dev or chrome://tracing", 3 },
	{ "list", OPT_LIST, NULL, 0, "List guests, variants, trouble, and costs with sources", 3 },
	{ "tsc-khz", OPT_TSC_KHZ, "KHZ", 0, "The guest's TSC (default: 2600000)", 4 },
	{ "host-khz", OPT_HOST_KHZ, "KHZ[,KHZ]", 0,
	  "The TSC of the host, and of the one that is migrated to (default: the guest's)", 4 },
	{ "advance", OPT_ADVANCE, "TIME", 0, "Timer advance (default: 1us)", 4 },
	{ "late", OPT_LATE, "TIME", 0, "sw timers fire up to so late (default: 0ns)", 4 },
	{ "cost", OPT_COST, "NAME=TIME", 0, "A cost; see --list", 4 },
	{ "trouble", OPT_TROUBLE, "NAME=TIME", 0, "Disturb, so often on average; see --list", 4 },
	{ "downtime", OPT_DOWNTIME, "TIME", 0, "Of a migration (default: 10ms)", 4 },
	{ "free-looks", OPT_FREE_LOOKS, NULL, 0,
	  "A blocked vCPU's timer stands where its guest wants it", 4 },
	{ "restore", OPT_RESTORE, "deadline-first|feature-first|unaware|parts|any", 0,
	  "The order in which a migration restores (default: deadline-first)", 4 },
	{ "tick", OPT_TICK, "TIME", 0, "tick, nohz-rr, cyclic: the period (default: 1ms)", 5 },
	{ "request", OPT_REQUEST, "TIME", 0, "nohz-rr: idle until a request (default: 20us)", 5 },
	{ "service", OPT_SERVICE, "TIME", 0, "nohz-rr: to serve one (default: 10us)", 5 },
	{ "idle", OPT_IDLE, "TIME", 0, "nohz-rr: to the next timer when idle (default: 20ms)", 5 },
	{ "timers", OPT_TIMERS, "N", 0, "cyclic: how many timers, up to 8 (default: 4)", 5 },
	{ "gap", OPT_GAP, "TIME", 0, "other guests: between operations (default: 100us)", 5 },
	{ "mean", OPT_MEAN, "TIME", 0, "other guests: to a deadline (default: 200us)", 5 },
	{ 0 },
};

static const char doc[] =
	"Simulate a machine with the lazy TSC deadline on both sides, and check every requirement at every step.\v"
	"A TIME is a number with a unit: ns, us, ms, s, m or h. Where an option says mean, times are uniform from 0 to twice that.\n\n"
	"Exit status: 0 nothing is broken; 1 wrong usage; 2 a trace or an output file cannot be used; 42 a requirement is broken.";

/* NAME=TIME into the field of that name. */
static void named_time(const char *arg, const char *what, const char *const *names, u64 *values,
		       size_t n, struct argp_state *state)
{
	const char *eq = strchr(arg, '=');

	for (size_t i = 0; eq && i < n; i++) {
		if (strlen(names[i]) == (size_t)(eq - arg) && !strncmp(names[i], arg, eq - arg)) {
			values[i] = cli_time(state, what, eq + 1, 0);
			return;
		}
	}
	argp_error(state, "%s: expected NAME=TIME with a name of --list, found '%s'", what, arg);
}

static void set_cost(struct sim_arguments *a, const char *arg, struct argp_state *state)
{
	static const char *const names[] = {
#define X(name, ns, meaning, source) #name,
		LAZYTSC_COSTS(X)
#undef X
	};
	u64 values[] = {
#define X(name, ns, meaning, source) a->run.config.costs.name,
		LAZYTSC_COSTS(X)
#undef X
	};
	unsigned int i = 0;

	named_time(arg, "--cost", names, values, sizeof(names) / sizeof(names[0]), state);
#define X(name, ns, meaning, source) a->run.config.costs.name = values[i++];
	LAZYTSC_COSTS(X)
#undef X
}

static void set_trouble(struct sim_arguments *a, const char *arg, struct argp_state *state)
{
	static const char *const names[] = {
#define X(name, meaning) #name,
		LAZYTSC_TROUBLES(X)
#undef X
	};

	named_time(arg, "--trouble", names, a->run.config.trouble_ns, LAZYTSC_TROUBLE_COUNT, state);
}

static void set_variants(struct sim_arguments *a, const char *arg, struct argp_state *state)
{
	char *list = cli_text("%s", arg), *save = NULL;

	a->run.nvariants = 0;
	for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		struct sim_variant *v = &a->run.variants[a->run.nvariants];

		if (a->run.nvariants == SIM_MAX_VARIANTS)
			argp_error(state, "--variants: more than %d", SIM_MAX_VARIANTS);
		v->guess = NULL;
		v->variant = lazytsc_variant_find(name);
		if (!strcmp(name, lazytsc_guess_early.name)) {
			v->variant = &lazytsc_variant_lazy;
			v->guess = &lazytsc_guess_early;
		}
		if (!v->variant)
			argp_error(state, "--variants: '%s' is none; see --list", name);
		v->name = v->guess ? v->guess->name : v->variant->name;
		a->run.nvariants++;
	}
	if (!a->run.nvariants)
		argp_error(state, "--variants: none given");
	free(list);
}

static void set_restore(struct sim_arguments *a, const char *arg, struct argp_state *state)
{
	static const char *const names[] = { "deadline-first", "feature-first", "unaware", "parts",
					     "any" };

	for (unsigned int i = 0; i < LAZYTSC_RESTORES; i++) {
		if (!strcmp(arg, names[i])) {
			a->run.config.restore = i;
			return;
		}
	}
	argp_error(state,
		   "--restore: '%s' is none of deadline-first, feature-first, unaware, parts, any",
		   arg);
}

static void set_timer(struct sim_arguments *a, const char *arg, struct argp_state *state)
{
	for (unsigned int i = 0; i < LAZYTSC_TIMER_KINDS; i++) {
		if (!strcmp(arg, lazytsc_timer_name(i))) {
			a->run.config.timer = i;
			return;
		}
	}
	argp_error(state, "--timer: '%s' is none of hv, sw, remote, posted, mixed", arg);
}

static void set_host_khz(struct sim_arguments *a, const char *arg, struct argp_state *state)
{
	char *first = cli_text("%s", arg), *second;

	second = strchr(first, ',');
	if (second)
		*second++ = 0;
	a->run.config.host_khz[0] = cli_number(state, "--host-khz", first, 100000, 10000000);
	a->run.config.host_khz[1] = a->run.config.host_khz[0];
	if (second)
		a->run.config.host_khz[1] =
			cli_number(state, "--host-khz", second, 100000, 10000000);
	a->khz = true;
	free(first);
}

/* The argument as it would be given again; in what is repeated the seed comes last. */
static void remember(struct sim_arguments *a, int key, const char *arg)
{
	const char *name = NULL;
	char *longer;

	for (size_t i = 0; options[i].name; i++) {
		if (options[i].key == key)
			name = options[i].name;
	}
	if (!name || key == OPT_SEED || key == OPT_SWARM || key == OPT_VARIANTS ||
	    key == OPT_THREADS || key == OPT_PERFETTO || key == OPT_JSON || key == OPT_LIST)
		return;
	longer = cli_text("%s --%s%s%s", a->repeat, name, arg ? "=" : "", arg ? arg : "");
	free(a->repeat);
	a->repeat = longer;
}

static bool set_guest_option(struct lazytsc_workload_options *g, int key, const char *arg,
			     struct argp_state *state)
{
	switch (key) {
	case OPT_TICK:
		g->tick_ns = cli_time(state, "--tick", arg, 10000);
		return true;
	case OPT_REQUEST:
		g->request_ns = cli_time(state, "--request", arg, 0);
		return true;
	case OPT_SERVICE:
		g->service_ns = cli_time(state, "--service", arg, 0);
		return true;
	case OPT_IDLE:
		g->idle_ns = cli_time(state, "--idle", arg, 0);
		return true;
	case OPT_TIMERS:
		g->timers = cli_number(state, "--timers", arg, 1, 8);
		return true;
	case OPT_GAP:
		g->gap_ns = cli_time(state, "--gap", arg, 0);
		return true;
	case OPT_MEAN:
		g->mean_ns = cli_time(state, "--mean", arg, 0);
		return true;
	default:
		return false;
	}
}

static bool set_machine_option(struct sim_arguments *a, int key, const char *arg,
			       struct argp_state *state)
{
	struct lazytsc_machine_config *c = &a->run.config;

	switch (key) {
	case OPT_TIMER:
		set_timer(a, arg, state);
		return true;
	case OPT_TSC_KHZ:
		c->guest_khz = cli_number(state, "--tsc-khz", arg, 100000, 10000000);
		a->guest_khz = true;
		return true;
	case OPT_HOST_KHZ:
		set_host_khz(a, arg, state);
		return true;
	case OPT_ADVANCE:
		c->advance_ns = cli_time(state, "--advance", arg, 0);
		return true;
	case OPT_LATE:
		c->late_ns = cli_time(state, "--late", arg, 0);
		return true;
	case OPT_COST:
		set_cost(a, arg, state);
		return true;
	case OPT_TROUBLE:
		set_trouble(a, arg, state);
		return true;
	case OPT_DOWNTIME:
		c->downtime_ns = cli_time(state, "--downtime", arg, 0);
		return true;
	case OPT_RESTORE:
		set_restore(a, arg, state);
		return true;
	case OPT_FREE_LOOKS:
		c->free_looks = true;
		return true;
	default:
		return false;
	}
}

static bool given(const struct sim_arguments *a, int key)
{
	return a->given >> (key - OPT_SEED) & 1;
}

static const char *option_name(int key)
{
	size_t i = 0;

	while (options[i].key != key)
		i++;
	return options[i].name;
}

/* An option that would change nothing is refused. */
static void refuse_ignored(const struct sim_arguments *a, struct argp_state *state)
{
	static const struct {
		int key;
		const char *guests;
	} of_guests[] = {
		{ OPT_TICK, " tick nohz-rr cyclic " },
		{ OPT_REQUEST, " nohz-rr " },
		{ OPT_SERVICE, " nohz-rr " },
		{ OPT_IDLE, " nohz-rr " },
		{ OPT_TIMERS, " cyclic " },
		{ OPT_GAP, " storm random raw hostile " },
		{ OPT_MEAN, " storm random raw hostile " },
	};
	static const int with_swarm[] = { OPT_SEED, OPT_VARIANTS, OPT_SWARM, OPT_THREADS };
	const struct lazytsc_machine_config *c = &a->run.config;
	u64 swarm = 0;

	for (size_t i = 0; i < sizeof(with_swarm) / sizeof(with_swarm[0]); i++)
		swarm |= (u64)1 << (with_swarm[i] - OPT_SEED);
	if (a->swarm && (a->guest || a->given & ~swarm))
		argp_error(state, "--swarm: each seed decides, so --%s would change nothing",
			   a->guest ? "guest"
				    : option_name(OPT_SEED + __builtin_ctzll(a->given & ~swarm)));
	for (size_t i = 0; i < sizeof(of_guests) / sizeof(of_guests[0]); i++) {
		char *guest = cli_text(" %s ", a->trace ? "trace" : c->workload->name);

		if (given(a, of_guests[i].key) && !strstr(of_guests[i].guests, guest))
			argp_error(state, "--%s would change nothing for%sbut only for:%s",
				   option_name(of_guests[i].key), guest, of_guests[i].guests);
		free(guest);
	}
	for (int key = OPT_DOWNTIME; key <= OPT_RESTORE; key++) {
		if (given(a, key) && !c->trouble_ns[LAZYTSC_TROUBLE_migrate])
			argp_error(state, "--%s needs --trouble=migrate=TIME", option_name(key));
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct sim_arguments *a = state->input;

	if (key >= OPT_SEED && key <= OPT_MEAN)
		a->given |= (u64)1 << (key - OPT_SEED);
	remember(a, key, arg);
	if (set_guest_option(&a->run.config.guest, key, arg, state) ||
	    set_machine_option(a, key, arg, state))
		return 0;
	switch (key) {
	case 'g':
		a->run.config.workload = lazytsc_workload_find(arg);
		if (!a->run.config.workload)
			argp_error(state, "--guest: '%s' is none; see --list", arg);
		a->guest = true;
		break;
	case 'n':
		a->run.config.vcpus = cli_number(state, "--vcpus", arg, 1, 100000);
		a->vcpus = true;
		break;
	case 'd':
		a->run.duration_ns = cli_time(state, "--duration", arg, 0);
		a->duration = true;
		break;
	case OPT_SEED:
		a->run.config.seed = cli_number(state, "--seed", arg, 0, UINT64_MAX);
		break;
	case OPT_VARIANTS:
		set_variants(a, arg, state);
		break;
	case OPT_SWARM:
		a->swarm = cli_number(state, "--swarm", arg, 1, 1000000000);
		break;
	case OPT_THREADS:
		a->run.threads = cli_number(state, "--threads", arg, 1, MAX_THREADS);
		break;
	case OPT_JSON:
		a->json = true;
		break;
	case OPT_HIST:
		a->run.hist = true;
		break;
	case OPT_PER_VCPU:
		a->run.per_vcpu = true;
		break;
	case OPT_PERFETTO:
		a->perfetto = arg;
		break;
	case OPT_LIST:
		a->list = true;
		break;
	case OPT_TRACE:
		a->trace = arg;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "no argument is expected, found '%s'", arg);
		break;
	case ARGP_KEY_END:
		if (a->guest && a->run.config.workload == lazytsc_workload_find("trace") &&
		    !a->trace)
			argp_error(state, "--guest=trace needs --trace=FILE");
		if (a->perfetto && a->trace && cli_same_file(a->trace, a->perfetto))
			argp_error(state, "--perfetto: %s is the trace itself, and would be lost",
				   a->perfetto);
		if (a->guest && a->run.config.workload != lazytsc_workload_find("trace") &&
		    a->trace)
			argp_error(state,
				   "--trace is a guest of its own: it goes with no other --guest");
		refuse_ignored(a, state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* The writes of each of the trace's vCPUs. */
static bool read_trace(struct sim_arguments *a)
{
	const struct trace_options o = {
		.tsc_khz = a->guest_khz ? (double)a->run.config.guest_khz : 0,
	};
	const struct trace_stats *st;
	unsigned int ids[1024];
	struct trace_event e;
	struct trace *t;
	int got = trace_open(a->trace, &o, &t);

	a->ntraces = 0;
	while (!got && (got = trace_next(t, &e)) > 0) {
		struct lazytsc_workload_write *w;
		size_t i = 0;

		got = 0;
		if (e.kind == TRACE_EVENT_GAP)
			continue;
		while (i < a->ntraces && ids[i] != e.vcpu)
			i++;
		if (i == 1024) {
			warnx("%s: more than 1024 vCPUs", a->trace);
			trace_close(t);
			return false;
		}
		if (i == a->ntraces) {
			a->traces = cli_grow(a->traces, ++a->ntraces, sizeof(*a->traces));
			a->traces[i] = (struct lazytsc_workload_trace){ 0 };
			ids[i] = e.vcpu;
		}
		w = (void *)a->traces[i].write;
		if ((a->traces[i].count & (a->traces[i].count - 1)) == 0)
			w = cli_grow(w, a->traces[i].count ? 2 * a->traces[i].count : 1,
				     sizeof(*w));
		w[a->traces[i].count++] =
			(struct lazytsc_workload_write){ .tsc = e.now, .value = e.value };
		a->traces[i].write = w;
	}
	if (got < 0) {
		warnx("%s", trace_error(t));
	} else if (!a->ntraces) {
		warnx("%s: no deadline write", a->trace);
	} else {
		st = trace_stats(t);
		a->trace_khz = st->tsc_khz;
		a->span_ns = st->span * 1e6;
	}
	trace_close(t);
	return got == 0 && a->ntraces;
}

/* A trace as the guest: its vCPUs, its rate and its length, as replay has them. */
static bool use_trace(struct sim_arguments *a)
{
	struct lazytsc_machine_config *c = &a->run.config;

	if (!read_trace(a))
		return false;
	c->workload = lazytsc_workload_find("trace");
	c->guest.traces = a->traces;
	c->guest.trace_count = a->ntraces;
	if (!a->vcpus)
		c->vcpus = a->ntraces;
	if (a->trace_khz > 0)
		c->guest_khz = (u64)(a->trace_khz + 0.5);
	else
		warnx("%s: the trace does not tell the TSC's rate: taken as %" PRIu64
		      " kHz (--tsc-khz)",
		      a->trace, c->guest_khz);
	if (!a->duration)
		a->run.duration_ns = (u64)(a->span_ns / (double)c->guest_khz) + 1;
	return true;
}

static void free_traces(struct sim_arguments *a)
{
	for (size_t i = 0; i < a->ntraces; i++)
		free((void *)a->traces[i].write);
	free(a->traces);
}

static int run_once(struct sim_arguments *a)
{
	struct sim_run *run = &a->run;
	struct sim_result results[SIM_MAX_VARIANTS];
	struct perfetto *p = NULL;
	unsigned int n = 0;
	int status = CLI_OK;

	for (; n < run->nvariants; n++) {
		struct lazytsc_machine_config c = run->config;

		if (a->perfetto && n + 1 == run->nvariants) {
			p = perfetto_open(a->perfetto, c.vcpus, c.guest_khz);
			if (!p) {
				status = CLI_BAD_INPUT;
				break;
			}
			c.observe = perfetto_step;
			c.observe_arg = p;
			run->threads = 1;
		}
		if (!sim_run_one(run, &c, &run->variants[n], &results[n])) {
			warnx("out of memory, or clocks more than 16 times apart");
			sim_result_free(&results[n]);
			status = CLI_MISMATCH;
			break;
		}
	}
	if (p && !perfetto_close(p))
		status = CLI_BAD_INPUT;
	if (status == CLI_OK && a->json)
		sim_print_json(stdout, run, results);
	else if (status == CLI_OK)
		sim_print(stdout, run, results);
	for (unsigned int i = 0; i < n; i++) {
		if (status != CLI_BAD_INPUT && results[i].failure) {
			if (!a->json)
				sim_print_failure(stdout, run, &run->variants[i], &run->config,
						  results[i].failure, false);
			status = CLI_VIOLATION;
		}
		sim_result_free(&results[i]);
	}
	return status;
}

/* What a seed of the swarm came to, for one variant. */
struct outcome {
	struct lazytsc_broken broken;
	u64 events;
};

struct swarm {
	const struct sim_run *run;
	u64 n;
	struct outcome *outcomes; /* [seed][variant] */
	atomic_ullong next;
	bool progress;
};

static void *swarm_worker(void *arg)
{
	struct swarm *s = arg;
	unsigned long long i;

	while ((i = atomic_fetch_add(&s->next, 1)) < s->n) {
		struct lazytsc_machine_config c =
			lazytsc_machine_config_swarm(&s->run->config, s->run->config.seed + i);

		for (unsigned int v = 0; v < s->run->nvariants; v++) {
			struct outcome *o = &s->outcomes[i * s->run->nvariants + v];
			struct sim_result r;

			if (!sim_run_one(s->run, &c, &s->run->variants[v], &r))
				cli_no_memory();
			o->events = r.total.events;
			if (r.failure)
				o->broken = r.failure->broken;
			sim_result_free(&r);
		}
		if (s->progress && i % 64 == 0)
			fprintf(stderr, "\r%llu of %" PRIu64 " seeds", i, s->n);
	}
	return NULL;
}

/* The first seed that breaks a requirement, in full; the others of that requirement by a line. */
static void report_swarm(const struct sim_arguments *a, const struct swarm *s, unsigned int v)
{
	const struct sim_run *run = s->run;
	bool seen[LAZYTSC_RULE_COUNT] = { false };

	for (u64 i = 0; i < s->n; i++) {
		const struct outcome *o = &s->outcomes[i * run->nvariants + v];
		struct lazytsc_machine_config c;
		struct sim_result r;
		char text[256];

		if (!o->broken.rule)
			continue;
		if (seen[o->broken.rule]) {
			lazytsc_broken_text(&o->broken, text, sizeof(text));
			printf("%s, seed %" PRIu64 ": %s\n", run->variants[v].name,
			       run->config.seed + i, text);
			continue;
		}
		seen[o->broken.rule] = true;
		c = lazytsc_machine_config_swarm(&run->config, run->config.seed + i);
		if (sim_run_one(run, &c, &run->variants[v], &r) && r.failure)
			sim_print_failure(stdout, &a->run, &run->variants[v], &c, r.failure, true);
		sim_result_free(&r);
	}
}

static int run_swarm(struct sim_arguments *a)
{
	struct sim_run one = a->run;
	struct swarm s = { .run = &one, .n = a->swarm, .progress = isatty(STDERR_FILENO) };
	pthread_t thread[MAX_THREADS];
	unsigned int n = 0;
	int status = CLI_OK;

	one.threads = 1;
	s.outcomes = cli_alloc(s.n, one.nvariants * sizeof(*s.outcomes));
	while (n + 1 < a->run.threads && n + 1 < MAX_THREADS &&
	       !pthread_create(&thread[n], NULL, swarm_worker, &s))
		n++;
	swarm_worker(&s);
	while (n)
		pthread_join(thread[--n], NULL);
	if (s.progress)
		fputs("\r\033[K", stderr);
	for (unsigned int v = 0; v < one.nvariants; v++) {
		u64 broken = 0, events = 0;

		for (u64 i = 0; i < s.n; i++) {
			broken += s.outcomes[i * one.nvariants + v].broken.rule != 0;
			events += s.outcomes[i * one.nvariants + v].events;
		}
		printf("%s: %" PRIu64 " seeds from %" PRIu64 ", %" PRIu64 " timer events: %" PRIu64
		       " broke a requirement\n",
		       one.variants[v].name, s.n, one.config.seed, events, broken);
		report_swarm(a, &s, v);
		status = broken ? CLI_VIOLATION : status;
	}
	free(s.outcomes);
	return status;
}

int cmd_sim(int argc, char **argv)
{
	static const struct argp argp = { options, parse, NULL, doc, NULL, NULL, NULL };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct sim_arguments a = {
		.run = { .config = lazytsc_machine_config_default(),
			 .threads = cpus < 1		 ? 1
				    : cpus > MAX_THREADS ? MAX_THREADS
							 : cpus,
			 .variants = { { "stock", &lazytsc_variant_stock, NULL },
				       { "lazy", &lazytsc_variant_lazy, NULL } },
			 .nvariants = 2 },
		.repeat = cli_text("%s", ""),
	};
	int status;

	a.run.config.workload = lazytsc_workload_find("nohz-rr");
	cli_parse(&argp, argc, argv, &a);
	a.run.argc = argc;
	a.run.argv = argv;
	a.run.repeat = a.repeat;
	if (!a.duration)
		a.run.duration_ns = a.swarm ? SECOND / 50 : 10 * SECOND;
	a.run.progress = !a.swarm && isatty(STDERR_FILENO);
	if (a.list) {
		sim_print_list(stdout);
		status = CLI_OK;
	} else if (a.trace && !use_trace(&a)) {
		status = CLI_BAD_INPUT;
	} else {
		if (!a.khz)
			a.run.config.host_khz[0] = a.run.config.host_khz[1] =
				a.run.config.guest_khz;
		status = a.swarm ? run_swarm(&a) : run_once(&a);
	}
	free_traces(&a);
	free(a.repeat);
	return status;
}
