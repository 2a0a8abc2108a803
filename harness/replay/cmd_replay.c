// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "replay.h"
#include "report.h"

#define MAX_POLICIES 16
/* A microsecond at 2 GHz: less than that on most machines. */
#define DEFAULT_SLACK 2000

enum {
	OPT_VARIANTS = 256,
	OPT_HIST,
	OPT_JSON,
	OPT_CSV,
	OPT_TIMER,
	OPT_SLACK,
	OPT_ADVANCE,
	OPT_TSC_KHZ
};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV };

struct arguments {
	const char *variants;
	enum format format;
	bool hist;
	struct policy_options policy;
	struct trace_options trace;
	char **traces;
	int ntraces;
};

static const struct argp_option options[] = {
	{ "variants", OPT_VARIANTS, "LIST", 0,
	  "Which variants, separated by commas (stock,lazy,rfc-v1,rfc-v3); others are "
	  "early and bound",
	  0 },
	{ "timer", OPT_TIMER, "hv|sw", 0,
	  "rfc-v3 on the VMX preemption timer (hv, the default) or on an hrtimer (sw)", 0 },
	{ "slack", OPT_SLACK, "CYCLES", 0,
	  "early: how long the host may hold the guest to wait for a deadline (2000; 0: never arm "
	  "early)",
	  0 },
	{ "advance", OPT_ADVANCE, "CYCLES", 0,
	  "lazy: a deadline at most so far beyond an expiry is waited for, as KVM with its timer "
	  "advance does (0)",
	  0 },
	{ "hist", OPT_HIST, NULL, 0,
	  "Histograms: how far a re-write moves the deadline, how long before expiry it comes", 0 },
	{ "json", OPT_JSON, NULL, 0, "Print JSON", 0 },
	{ "csv", OPT_CSV, NULL, 0, "Print comma-separated values", 0 },
	{ "tsc-khz", OPT_TSC_KHZ, "KHZ", 0,
	  "The guest's TSC rate, for traces with a nanosecond clock (estimated where not given), "
	  "and to show --hist in microseconds",
	  0 },
	{ 0 },
};

static const char doc[] =
	"Replay a trace of TSC-deadline writes under the stock timer and the lazy protocol, and "
	"count what each would have cost.\v"
	"TRACE is the text of ftrace, trace-cmd report or perf script with msr:write_msr events "
	"of a guest (or kvm:kvm_msr events of its host), or a trace.dat of "
	"trace-cmd, or a perf.data (where perf is installed), plain or compressed with gzip, xz, "
	"zstd or bzip2; - is standard input.\n\n"
	"Exit status: 0 done; 1 wrong usage; 2 a trace cannot be read or holds no deadline write "
	"(the others are still replayed); 3 a trace holds exits alone, so its figures are bounds; "
	"42 lazy broke its promise never to cost a host entry.";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case OPT_VARIANTS:
		a->variants = arg;
		break;
	case OPT_HIST:
		a->hist = true;
		break;
	case OPT_JSON:
		a->format = FORMAT_JSON;
		break;
	case OPT_CSV:
		a->format = FORMAT_CSV;
		break;
	case OPT_TIMER:
		if (strcmp(arg, "hv") && strcmp(arg, "sw"))
			argp_error(state, "--timer is hv or sw, not '%s'", arg);
		a->policy.sw_timer = !strcmp(arg, "sw");
		break;
	case OPT_SLACK:
		a->policy.slack = cli_number(state, "--slack", arg, 0, UINT32_MAX);
		break;
	case OPT_ADVANCE:
		a->policy.advance = cli_number(state, "--advance", arg, 0, UINT32_MAX);
		break;
	case OPT_TSC_KHZ:
		a->trace.tsc_khz = cli_real(state, "--tsc-khz", arg, 1, 1e9, "kHz");
		break;
	case ARGP_KEY_ARGS:
		a->traces = state->argv + state->next;
		a->ntraces = state->argc - state->next;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which TRACE?");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* The policies that were asked for, and the stock timer behind them unless it is one of them. */
static int find_policies(const struct arguments *a, struct policy *policies, struct replay *r,
			 size_t *shown)
{
	char *list = cli_text("%s", a->variants), *save = NULL;
	size_t n = 0;

	r->stock = SIZE_MAX;
	for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		if (n == MAX_POLICIES - 1 || !policy_find(name, &a->policy, &policies[n])) {
			warnx("no variant '%s'; there are:", name);
			for (unsigned int i = 0;; i++) {
				const char *summary, *known = policy_at(i, &summary);

				if (!known)
					break;
				fprintf(stderr, "  %-10s %s\n", known, summary);
			}
			free(list);
			return -1;
		}
		if (!strcmp(policies[n].name, "stock"))
			r->stock = n;
		n++;
	}
	free(list);
	if (!n) {
		warnx("--variants names none");
		return -1;
	}
	*shown = n;
	if (r->stock == SIZE_MAX) {
		r->stock = n;
		policy_find("stock", &a->policy, &policies[n++]);
	}
	r->policies = policies;
	r->npolicies = n;
	return 0;
}

static int replay_one(const struct arguments *a, const char *name, struct replay *r,
		      struct report_options *o, json_t *root, bool first)
{
	int ret = CLI_OK;

	if (replay_run(r, name, &a->trace)) {
		warnx("%s", r->error);
		replay_free(r);
		return CLI_BAD_INPUT;
	}
	o->tsc_khz = a->trace.tsc_khz;
	if (!r->stats.cycles && r->stats.approximate)
		o->tsc_khz = r->stats.tsc_khz;
	switch (a->format) {
	case FORMAT_TABLE:
		if (!first)
			putchar('\n');
		report_table(stdout, name, r, o);
		break;
	case FORMAT_JSON:
		report_json_add(root, name, r, o);
		break;
	case FORMAT_CSV:
		report_csv(stdout, name, r, o);
		report_warnings(stderr, name, r);
		break;
	}
	if (r->stats.evidence == TRACE_BOUNDS)
		ret = CLI_BOUNDED;
	if (report_broken_promises(stderr, name, r))
		ret = CLI_VIOLATION;
	replay_free(r);
	return ret;
}

int cmd_replay(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "TRACE...", doc, NULL, NULL, NULL };
	struct arguments a = { .variants = "stock,lazy,rfc-v1,rfc-v3",
			       .policy.slack = DEFAULT_SLACK };
	struct policy policies[MAX_POLICIES];
	struct replay plan = { 0 };
	struct report_options o = { 0 };
	json_t *root = NULL;
	int ret = CLI_OK;

	cli_parse(&argp, argc, argv, &a);
	if (find_policies(&a, policies, &plan, &o.shown))
		return CLI_MISMATCH;
	o.hist = a.hist;
	o.sw_timer = a.policy.sw_timer;
	if (a.format == FORMAT_JSON)
		root = report_json_new(&o);
	if (a.format == FORMAT_CSV)
		report_csv_header(stdout);
	for (int i = 0; i < a.ntraces; i++) {
		struct replay r = plan;
		int one = replay_one(&a, a.traces[i], &r, &o, root, i == 0);

		if (one > ret)
			ret = one;
	}
	if (root)
		report_json_print(stdout, root);
	return ret;
}
