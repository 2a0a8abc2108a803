// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "many.h"
#include "page.h"
#include "prometheus.h"
#include "replay.h"
#include "report.h"
#include "timeline.h"

/* A microsecond at 2 GHz: less than that on most machines. */
#define DEFAULT_SLACK 2000
/* Tasks in the table of --by task, unless --wide. */
#define TASKS_SHOWN 12

enum {
	OPT_VARIANTS = 256,
	OPT_HIST,
	OPT_WIDE,
	OPT_BY,
	OPT_JSON,
	OPT_CSV,
	OPT_TIMER,
	OPT_SLACK,
	OPT_ADVANCE,
	OPT_TSC_KHZ,
	OPT_VM,
	OPT_VCPU,
	OPT_FROM,
	OPT_TO,
	OPT_COMM,
	OPT_PROMETHEUS,
	OPT_PERFETTO,
	OPT_HTML,
};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV, FORMAT_PROMETHEUS };

struct arguments {
	const char *variants;
	enum format format;
	struct report_options report;
	struct policy_options policy;
	struct many many;
	bool vcpus[TRACE_MAX_CPUS];
	const char *perfetto, *html;
	char **traces;
	int ntraces;
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What is replayed:", 1 },
	{ "variants", OPT_VARIANTS, "LIST", 0,
	  "Which variants, separated by commas (stock,lazy,early); others are rfc-v1, rfc-v3 and bound, and with free looks lazy-free, early-free and bound-free, at all exits lazy-look, early-look and bound-look",
	  1 },
	{ "timer", OPT_TIMER, "hv|sw", 0,
	  "rfc-v3 on the VMX preemption timer (hv, the default) or on an hrtimer (sw)", 1 },
	{ "slack", OPT_SLACK, "CYCLES", 0,
	  "early: how long the host may hold the guest to wait for a deadline (2000; 0: never arm early)",
	  1 },
	{ "advance", OPT_ADVANCE, "CYCLES", 0,
	  "lazy: a deadline at most so far beyond an expiry is waited for, as KVM with its timer advance does (0)",
	  1 },
	{ "tsc-khz", OPT_TSC_KHZ, "KHZ", 0,
	  "The guest's TSC rate, for traces that do not tell it: with a nanosecond clock it is estimated where not given (and refused where the trace contradicts it), with x86-tsc 2.6 GHz is assumed for what is a second",
	  1 },
	{ NULL, 0, NULL, 0, "Which part of a trace (the rest is counted):", 2 },
	{ "vm", OPT_VM, "NAME", 0, "This VM, by the name that the tables have", 2 },
	{ "vcpu", OPT_VCPU, "LIST", 0, "These vCPUs: 0,2-3", 2 },
	{ "from", OPT_FROM, "TIME", 0, "From this time on (ns, us, ms, s) behind the first write",
	  2 },
	{ "to", OPT_TO, "TIME", 0, "Up to this time", 2 },
	{ "comm", OPT_COMM, "NAME", 0,
	  "Writes of tasks of this name; on a host's trace, of threads", 2 },
	{ NULL, 0, NULL, 0, "Output:", 3 },
	{ "wide", OPT_WIDE, NULL, 0, "All columns; the table without it fits 80 characters", 3 },
	{ "by", OPT_BY, "task", 0, "Also tell which tasks write", 3 },
	{ "hist", OPT_HIST, NULL, 0,
	  "Histograms: how far a re-write moves the deadline, how long before expiry it comes", 3 },
	{ "json", OPT_JSON, NULL, 0, "Print JSON", 3 },
	{ "csv", OPT_CSV, NULL, 0, "Print comma-separated values", 3 },
	{ "prometheus", OPT_PROMETHEUS, NULL, 0,
	  "Print Prometheus' text format, for each VM and vCPU", 3 },
	{ "perfetto", OPT_PERFETTO, "FILE", 0,
	  "Write what the last variant does, for ui.perfetto.dev or chrome://tracing", 3 },
	{ "html", OPT_HTML, "FILE", 0, "Write a page with the answer, tables and pictures", 3 },
	{ "jobs", 'j', "N", 0,
	  "Replay with so many threads: several traces at once, one read ahead (as many as there are CPUs)",
	  3 },
	{ 0 },
};

static const char doc[] =
	"Replay a trace of TSC-deadline writes under the stock timer and the lazy protocol, and say what each would have cost.\v"
	"TRACE is the text of ftrace, trace-cmd report or perf script with msr:write_msr events of a guest (or kvm:kvm_msr events of its host), or a trace.dat of trace-cmd, or a perf.data (where perf is installed), plain or compressed with gzip, xz, zstd or bzip2; - is standard input.\n\n"
	"Exit status: 0 done; 1 wrong usage; 2 a trace cannot be read, holds no deadline write, or none that is selected (the others are still replayed); 4 a trace holds exits alone, so its figures are bounds; 42 lazy broke its promise never to cost a host entry. Of several traces the worst counts: 42, then 2, then 4.";

/* "0,2-3" */
static void parse_vcpus(struct argp_state *state, struct arguments *a, const char *arg)
{
	char *list = cli_text("%s", arg), *save = NULL;

	for (char *s = strtok_r(list, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
		char *dash = strchr(s, '-');
		uint64_t from, to;

		if (dash)
			*dash = 0;
		from = cli_number(state, "--vcpu", s, 0, TRACE_MAX_CPUS - 1);
		to = dash ? cli_number(state, "--vcpu", dash + 1, from, TRACE_MAX_CPUS - 1) : from;
		for (uint64_t i = from; i <= to; i++)
			a->vcpus[i] = true;
	}
	free(list);
	a->many.selection.vcpus = a->vcpus;
}

static void set_format(struct arguments *a, enum format format, struct argp_state *state)
{
	if (a->format != FORMAT_TABLE && a->format != format)
		argp_error(state, "--json, --csv and --prometheus exclude each other");
	a->format = format;
}

/* An option that the output has no place for is no option. */
static void check_format(const struct arguments *a, struct argp_state *state)
{
	if (a->report.wide && a->format != FORMAT_TABLE)
		argp_error(state, "--wide goes with the table alone");
	if ((a->report.hist || a->many.by_task) && a->format != FORMAT_TABLE &&
	    a->format != FORMAT_JSON)
		argp_error(state, "--hist and --by go with the table and with --json");
}

/* No output is a trace that is read, nor another output. */
static void check_outputs(const struct arguments *a, struct argp_state *state)
{
	const struct {
		const char *option, *name;
	} outputs[] = { { "--perfetto", a->perfetto }, { "--html", a->html } };

	for (size_t k = 0; k < sizeof(outputs) / sizeof(outputs[0]); k++) {
		const char *name = outputs[k].name;

		for (int i = 0; name && i < a->ntraces; i++) {
			if (cli_same_file(a->traces[i], name))
				argp_error(state, "%s: %s is the trace itself, and would be lost",
					   outputs[k].option, name);
		}
	}
	if (a->perfetto && a->html &&
	    (!strcmp(a->perfetto, a->html) || cli_same_file(a->perfetto, a->html)))
		argp_error(state, "--perfetto and --html: expected two files, found %s twice",
			   a->html);
}

/* Samples are told apart by their trace's name alone. */
static void check_series(const struct arguments *a, struct argp_state *state)
{
	char **names = cli_alloc((size_t)a->ntraces, sizeof(*names));

	for (int i = 0; i < a->ntraces; i++) {
		names[i] = cli_utf8(a->traces[i]);
		for (int k = 0; k < i; k++) {
			if (!strcmp(names[i], names[k]))
				argp_error(
					state,
					"--prometheus: expected a name of its own for each trace, found %s twice",
					names[i]);
		}
	}
	for (int i = 0; i < a->ntraces; i++)
		free(names[i]);
	free(names);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	struct selection *s = &a->many.selection;

	switch (key) {
	case OPT_VARIANTS:
		a->variants = arg;
		break;
	case OPT_HIST:
		a->report.hist = true;
		break;
	case OPT_WIDE:
		a->report.wide = true;
		a->report.tasks_shown = SIZE_MAX;
		break;
	case OPT_BY:
		if (strcmp(arg, "task"))
			argp_error(state, "--by: expected task, found '%s'", arg);
		a->many.by_task = true;
		break;
	case OPT_JSON:
		set_format(a, FORMAT_JSON, state);
		break;
	case OPT_CSV:
		set_format(a, FORMAT_CSV, state);
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
		a->many.trace.tsc_khz = cli_real(state, "--tsc-khz", arg, 1, 1e9, "kHz");
		break;
	case OPT_VM:
		s->vm = arg;
		break;
	case OPT_VCPU:
		parse_vcpus(state, a, arg);
		break;
	case OPT_FROM:
		s->from_ns = cli_time(state, "--from", arg, 0);
		break;
	case OPT_TO:
		s->to_ns = cli_time(state, "--to", arg, 1);
		break;
	case OPT_COMM:
		s->comm = arg;
		a->many.trace.tasks = true;
		break;
	case OPT_PROMETHEUS:
		set_format(a, FORMAT_PROMETHEUS, state);
		break;
	case OPT_PERFETTO:
		a->perfetto = arg;
		break;
	case OPT_HTML:
		a->html = arg;
		break;
	case 'j':
		a->many.jobs = (unsigned int)cli_number(state, "--jobs", arg, 1, 1024);
		break;
	case ARGP_KEY_ARGS:
		a->ntraces = cli_traces(state, &a->traces);
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which TRACE?");
		break;
	case ARGP_KEY_END:
		if (s->to_ns && s->to_ns <= s->from_ns)
			argp_error(state, "--to: expected a time behind --from");
		if ((a->perfetto || a->html) && a->ntraces > 1)
			argp_error(state, "--perfetto and --html take one trace, found %d",
				   a->ntraces);
		check_format(a, state);
		check_outputs(a, state);
		if (a->format == FORMAT_PROMETHEUS)
			check_series(a, state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

struct output {
	const struct arguments *a;
	json_t *root; /* NULL: no JSON */
	struct prometheus *prometheus; /* NULL: another format */
	struct timeline *timeline; /* NULL: none is written */
	struct page *page; /* NULL: none is written */
	bool any;
};

static void observe(void *to, const struct replay_step *step)
{
	struct output *out = to;

	if (out->timeline)
		timeline_step(out->timeline, step);
	if (out->page)
		page_step(out->page, step);
}

/* The variant that is observed: the last that is shown and is one. */
static int find_observed(struct many *m)
{
	size_t i = m->shown;

	while (i > 0 && !m->policies[i - 1].is_replay)
		i--;
	if (i == 0) {
		warnx("--perfetto and --html need a variant, or early, among --variants");
		return -1;
	}
	m->observed = i - 1;
	return 0;
}

static int open_files(struct arguments *a, struct output *out)
{
	if (!a->perfetto && !a->html)
		return CLI_OK;
	if (find_observed(&a->many))
		return CLI_MISMATCH;
	a->many.observe = observe;
	a->many.observe_ctx = out;
	if (a->html) {
		a->many.trace.events |= 1U << TRACE_EVENT_IRQ;
		out->page = page_open(a->html);
		if (!out->page)
			return CLI_BAD_INPUT;
	}
	if (a->perfetto) {
		out->timeline = timeline_open(a->perfetto);
		if (!out->timeline)
			return CLI_BAD_INPUT;
	}
	return CLI_OK;
}

/* The files of a trace that was replayed. */
static int write_files(struct output *out, const char *name, const struct replay *r,
		       const struct report_options *o)
{
	const char *variant = r->policies[r->observed].name;
	bool good = true;

	if (out->timeline)
		good &= timeline_close(out->timeline, r, variant);
	if (out->page)
		good &= page_close(out->page, name, r, o);
	out->timeline = NULL;
	out->page = NULL;
	return good ? CLI_OK : CLI_BAD_INPUT;
}

/* Those of one that was not. */
static void discard_files(struct output *out)
{
	if (out->timeline)
		timeline_discard(out->timeline);
	if (out->page)
		page_discard(out->page);
}

/* Does this trace lack what every variant that was asked for needs? */
static bool all_need_halts(const struct replay *r, size_t shown)
{
	for (size_t i = 0; i < shown; i++) {
		if (!r->policies[i].block)
			return false;
	}
	return r->stats.evidence != TRACE_BOUNDS && !r->halts;
}

/* One trace has been replayed: its report. */
static int print_one(void *to, const char *name, struct replay *r)
{
	struct output *out = to;
	struct report_options o = out->a->report;
	int ret = CLI_OK;

	if (all_need_halts(r, o.shown)) {
		report_no_halts(stderr, name, r);
		return CLI_BAD_INPUT;
	}
	o.tsc_khz = r->stats.tsc_khz;
	switch (out->a->format) {
	case FORMAT_TABLE:
		if (out->any)
			putchar('\n');
		report_table(stdout, name, r, &o);
		break;
	case FORMAT_JSON:
		report_json_add(out->root, name, r, &o);
		report_no_halts(stderr, name, r);
		break;
	case FORMAT_CSV:
		report_csv(stdout, name, r, &o);
		report_warnings(stderr, name, r);
		break;
	case FORMAT_PROMETHEUS:
		prometheus_add(out->prometheus, name, r, o.shown);
		report_warnings(stderr, name, r);
		break;
	}
	out->any = true;
	ret = write_files(out, name, r, &o);
	if (r->stats.evidence == TRACE_BOUNDS)
		ret = many_worse(ret, REPLAY_BOUNDS);
	if (report_broken_promises(stderr, name, r))
		ret = CLI_VIOLATION;
	return ret;
}

static int replay_all(struct arguments *a, int argc, char **argv)
{
	struct output out = { .a = a };
	int ret;

	if (many_policies(&a->many, a->variants, &a->policy))
		return CLI_MISMATCH;
	a->many.trace.tasks |= a->many.by_task;
	a->report.shown = a->many.shown;
	a->report.sw_timer = a->policy.sw_timer;
	ret = open_files(a, &out);
	if (ret != CLI_OK) {
		discard_files(&out);
		return ret;
	}
	if (a->format == FORMAT_PROMETHEUS)
		out.prometheus = prometheus_new();
	if (a->format == FORMAT_JSON)
		out.root = report_json_new(&a->report, argc, argv);
	if (a->format == FORMAT_CSV)
		report_csv_header(stdout);
	ret = many_run(&a->many, a->traces, a->ntraces, print_one, &out);
	discard_files(&out);
	if (out.root)
		cli_json_print(stdout, out.root);
	if (out.prometheus)
		prometheus_print(stdout, out.prometheus);
	return ret;
}

int cmd_replay(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "TRACE...", doc, NULL, NULL, NULL };
	struct arguments *a = cli_alloc(1, sizeof(*a));
	int ret;

	a->variants = "stock,lazy,early";
	a->policy.slack = DEFAULT_SLACK;
	a->report.tasks_shown = TASKS_SHOWN;
	cli_parse(&argp, argc, argv, a);
	ret = replay_all(a, argc, argv);
	free(a);
	return ret;
}
