// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <stdlib.h>

#include "answer.h"
#include "cli.h"
#include "commands.h"
#include "many.h"
#include "table.h"
#include "validate.h"

#define VALIDATE_JSON_VERSION 1
#define DEFAULT_LEAST	      90

enum { OPT_JSON = 256, OPT_TSC_KHZ, OPT_LEAST };

struct arguments {
	struct trace_options trace;
	bool json;
	double least;
	char **traces;
	int ntraces;
};

static const struct argp_option options[] = {
	{ "json", OPT_JSON, NULL, 0, "Print JSON", 0 },
	{ "tsc-khz", OPT_TSC_KHZ, "KHZ", 0, "The guest's TSC rate, as for replay", 0 },
	{ "least", OPT_LEAST, "PERCENT", 0, "Agreement below this is status 1 (90)", 0 },
	{ 0 },
};

static const char doc[] =
	"Does the replay predict what a trace shows? Timer interrupts and exits that the replay of its deadline writes predicts are held against those that the trace has, one by one.\v"
	"TRACE is a guest's with timer interrupts (irq_vectors:local_timer_entry), a host's with kvm:kvm_exit, or both merged by trace-cmd.\n\n"
	"Exit status: 0 they agree; 1 wrong usage, or a trace's agreement is below --least; 2 a trace cannot be read, or shows nothing to compare with.";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case OPT_JSON:
		a->json = true;
		break;
	case OPT_TSC_KHZ:
		a->trace.tsc_khz = cli_real(state, "--tsc-khz", arg, 1, 1e9, "kHz");
		break;
	case OPT_LEAST:
		a->least = cli_real(state, "--least", arg, 0, 100, "%");
		break;
	case ARGP_KEY_ARGS:
		a->ntraces = cli_traces(state, &a->traces);
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which TRACE?");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* The least of what was compared, on a vCPU or in all. */
static double agreement_on(const struct validation *v, const struct validated_vcpu *one)
{
	double interrupts = v->has_interrupts ? agreement_percent(&one->interrupts) : 100;
	double exits = v->has_exits ? agreement_percent(&one->exits) : 100;

	return exits < interrupts ? exits : interrupts;
}

static double agreement(const struct validation *v)
{
	return agreement_on(v, &v->total);
}

/* The vCPU that agrees least, where that is less than all together do; else NULL. */
static const struct validated_vcpu *worst(const struct validation *v)
{
	const struct validated_vcpu *least = &v->total;

	for (size_t i = 0; i < v->nvcpus; i++) {
		if (agreement_on(v, &v->vcpus[i]) < agreement_on(v, least))
			least = &v->vcpus[i];
	}
	return least == &v->total ? NULL : least;
}

static void cells(struct libscols_line *line, size_t at, bool has, const struct agreement *a)
{
	if (!has) {
		for (size_t i = 0; i < 4; i++)
			table_cell(line, at + i, "-");
		return;
	}
	table_cell(line, at, "%" PRIu64, a->both);
	table_cell(line, at + 1, "%" PRIu64, a->missing);
	table_cell(line, at + 2, "%" PRIu64, a->unexpected);
	table_cell(line, at + 3, "%.1f", agreement_percent(a));
}

static void add_line(struct libscols_table *tb, const struct validation *v,
		     const struct validated_vcpu *one)
{
	struct libscols_line *line = table_line(tb);

	table_cell(line, 0, "%s", one->name);
	table_cell(line, 1, "%" PRIu64, one->writes);
	cells(line, 2, v->has_interrupts, &one->interrupts);
	cells(line, 6, v->has_exits, &one->exits);
}

static void print_first(FILE *to, const struct validation *v, const char *what, bool exits)
{
	for (size_t i = 0; i < v->nvcpus; i++) {
		const struct validated_vcpu *one = &v->vcpus[i];
		const struct agreement *a = exits ? &one->exits : &one->interrupts;

		if (a->first_missing)
			fprintf(to, "  vCPU %s: the first %s that is missing: at %" PRIu64 "\n",
				one->name, what, a->first_missing);
		if (a->first_unexpected)
			fprintf(to, "  vCPU %s: the first %s that is unexpected: at %" PRIu64 "\n",
				one->name, what, a->first_unexpected);
	}
}

static void print_table(FILE *to, const char *name, const struct validation *v)
{
	static const char *const names[] = { "vcpu",	   "writes", "irqs",  "missing",
					     "unexpected", "%",	     "exits", "missing",
					     "unexpected", "%" };
	const struct validated_vcpu *t = &v->total;
	struct libscols_table *tb = table_new(names, 10, 1);
	const struct validated_vcpu *least = worst(v);

	fprintf(to, "%s: %.1f %% of what %s predicts and of what the trace shows agree (%s)\n",
		name, agreement(v), v->lazy ? "lazy" : "stock", evidence_names[v->stats.evidence]);
	if (least)
		fprintf(to, "They agree least on vCPU %s: %.1f %%.\n", least->name,
			agreement_on(v, least));
	fputc('\n', to);
	for (size_t i = 0; i < v->nvcpus; i++)
		add_line(tb, v, &v->vcpus[i]);
	add_line(tb, v, t);
	table_print(to, tb);
	fputc('\n', to);
	if (!v->has_interrupts)
		fputs("No timer interrupts of a guest are in the trace.\n", to);
	else if (t->interrupts.unexpected)
		fprintf(to,
			"Interrupts not predicted: %" PRIu64
			" follow a deadline overwritten just before it was due;\n%" PRIu64
			" come before the deadline that stood, %" PRIu64
			" while none stood: writes that the\ntrace does not have, or another source of interrupts.\n",
			t->why.replaced, t->why.early, t->why.none);
	if (v->has_interrupts)
		print_first(to, v, "interrupt", false);
	if (!v->has_exits) {
		fputs("No exits of a host are in the trace.\n", to);
		return;
	}
	print_first(to, v, "write's exit", true);
	fprintf(to, "Exits MSR_WRITE before no deadline write: %" PRIu64 " (other MSRs).\n",
		t->other_exits);
	fprintf(to, "Exits PREEMPTION_TIMER: %" PRIu64 ", of %" PRIu64 " deliveries predicted.\n",
		t->timer_exits, t->deliveries);
}

static void set(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static json_t *json_agreement(bool has, const struct agreement *a)
{
	json_t *o = json_object();

	if (!has) {
		json_decref(o);
		return json_null();
	}
	set(o, "both", a->both);
	set(o, "missing", a->missing);
	set(o, "unexpected", a->unexpected);
	json_object_set_new(o, "agreement_pct", json_real(agreement_percent(a)));
	return o;
}

static json_t *json_vcpu(const struct validation *v, const struct validated_vcpu *one)
{
	json_t *o = json_object();

	json_object_set_new(o, "vcpu", json_string(one->name));
	set(o, "writes", one->writes);
	set(o, "skipped", one->skipped);
	json_object_set_new(o, "interrupts", json_agreement(v->has_interrupts, &one->interrupts));
	set(o, "unexpected_overwritten", one->why.replaced);
	set(o, "unexpected_early", one->why.early);
	set(o, "unexpected_no_deadline", one->why.none);
	json_object_set_new(o, "exits", json_agreement(v->has_exits, &one->exits));
	set(o, "other_msr_exits", one->other_exits);
	set(o, "timer_exits", one->timer_exits);
	set(o, "deliveries", one->deliveries);
	return o;
}

static json_t *json_trace(const char *name, const struct validation *v)
{
	json_t *o = json_object(), *vcpus = json_array();

	json_object_set_new(o, "trace", cli_json_text(name));
	json_object_set_new(o, "evidence", json_string(evidence_names[v->stats.evidence]));
	json_object_set_new(o, "variant", json_string(v->lazy ? "lazy" : "stock"));
	json_object_set_new(o, "agreement_pct", json_real(agreement(v)));
	for (size_t i = 0; i < v->nvcpus; i++)
		json_array_append_new(vcpus, json_vcpu(v, &v->vcpus[i]));
	json_array_append_new(vcpus, json_vcpu(v, &v->total));
	json_object_set_new(o, "vcpus", vcpus);
	return o;
}

int cmd_validate(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "TRACE...", doc, NULL, NULL, NULL };
	struct arguments a = { .least = DEFAULT_LEAST };
	json_t *traces = json_array();
	int ret = CLI_OK;

	cli_parse(&argp, argc, argv, &a);
	for (int i = 0; i < a.ntraces; i++) {
		struct validation v = { 0 };
		int one = CLI_OK;

		if (validate(&v, a.traces[i], &a.trace)) {
			warnx("%s", v.error);
			one = CLI_BAD_INPUT;
		} else {
			if (a.json)
				json_array_append_new(traces, json_trace(a.traces[i], &v));
			else
				print_table(stdout, a.traces[i], &v);
			one = agreement(&v) < a.least ? CLI_MISMATCH : CLI_OK;
		}
		validate_free(&v);
		ret = one > ret ? one : ret;
	}
	if (a.json) {
		json_t *root = cli_json(VALIDATE_JSON_VERSION, argc, argv);

		json_object_set_new(root, "traces", traces);
		cli_json_print(stdout, root);
	} else {
		json_decref(traces);
	}
	return ret;
}
