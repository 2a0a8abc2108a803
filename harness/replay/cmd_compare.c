// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "cli.h"
#include "commands.h"
#include "many.h"
#include "table.h"

#define COMPARE_JSON_VERSION 1
/* As replay's. */
#define DEFAULT_SLACK 2000

enum { OPT_JSON = 256, OPT_TSC_KHZ };

/* What is compared: name, key in JSON; each is a count of a whole trace. */
#define FIGURES(X)                                                                 \
	X("deadline writes", "writes", r->deadlines.writes)                        \
	X("  that exited", "write_exits", r->deadlines.writes - r->stats.skipped)  \
	X("  that were skipped", "write_skips", r->stats.skipped)                  \
	X("timer interrupts", "interrupts", r->stats.interrupts)                   \
	X("stock, entries", "stock_host_entries", entries(r, r->stock))            \
	X("lazy, entries", "lazy_host_entries", entries(r, r->lazy))               \
	X("early, entries", "early_host_entries", entries(r, r->early))            \
	X("kvm_exit MSR_WRITE", "exits_msr_write", exits(r, TRACE_EXIT_MSR_WRITE)) \
	X("kvm_exit PREEMPTION_TIMER", "exits_preemption_timer",                   \
	  exits(r, TRACE_EXIT_PREEMPTION_TIMER))                                   \
	X("kvm_exit HLT", "exits_hlt", exits(r, TRACE_EXIT_HLT))                   \
	X("kvm_exit, all", "exits", all_exits(r))

/* One trace's. */
struct side {
	const char *name;
	enum trace_evidence evidence;
	bool khz_assumed;
	bool host; /* a host's trace, else a guest's */
	double seconds;
	uint64_t delivered; /* by the stock timer */
	bool exits; /* it has kvm_exit */
#define X(name, key, value) +1
	uint64_t value[FIGURES(X)];
#undef X
};

static const char *const names[] = {
#define X(name, key, value) name,
	FIGURES(X)
#undef X
};
static const char *const keys[] = {
#define X(name, key, value) key,
	FIGURES(X)
#undef X
};

#define N (sizeof(names) / sizeof(names[0]))

/* Places of figures that others are judged by. */
enum { WRITES, WRITE_EXITS, WRITE_SKIPS, INTERRUPTS };

struct arguments {
	struct many many;
	bool json;
	char **traces;
	int ntraces;
};

static const struct argp_option options[] = {
	{ "json", OPT_JSON, NULL, 0, "Print JSON", 0 },
	{ "tsc-khz", OPT_TSC_KHZ, "KHZ", 0, "The guests' TSC rate, as for replay", 0 },
	{ 0 },
};

static const char doc[] =
	"Two traces side by side, a second and for each timer interrupt: what the guest did in each (lazytsc:lazytsc_skip are skips), what each variant would have cost there, and the exits of the host where they are in the traces.\v"
	"A and B are traces as `lazytsc replay` takes them.\n\n"
	"Exit status: 0 done; 1 wrong usage; 2 a trace cannot be read or holds no deadline write; 4 a trace holds exits alone. Of both traces 2 counts more than 4.";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case OPT_JSON:
		a->json = true;
		break;
	case OPT_TSC_KHZ:
		a->many.trace.tsc_khz = cli_real(state, "--tsc-khz", arg, 1, 1e9, "kHz");
		break;
	case ARGP_KEY_ARGS:
		a->ntraces = cli_traces(state, &a->traces);
		if (a->ntraces != 2)
			argp_error(state, "expected two traces, found %d", a->ntraces);
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which traces, A and B?");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static uint64_t entries(const struct replay *r, size_t policy)
{
	return r->total[policy].value[COL_HOST_ENTRIES];
}

static uint64_t exits(const struct replay *r, enum trace_exit reason)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->nvcpus; i++)
		n += r->vcpus[i].at.exits.count[reason];
	return n;
}

static uint64_t all_exits(const struct replay *r)
{
	uint64_t n = 0;

	for (int reason = 0; reason < TRACE_EXIT_REASONS; reason++)
		n += exits(r, reason);
	return n;
}

struct sides {
	struct side side[2];
	int n;
};

static int take(void *to, const char *name, struct replay *r)
{
	struct sides *s = to;
	const uint64_t values[N] = {
#define X(name, key, value) value,
		FIGURES(X)
#undef X
	};
	struct side *one;

	if (r->stats.counted) {
		warnx("%s: a table of counts does not say of how long: there are no rates to compare",
		      name);
		return CLI_BAD_INPUT;
	}
	one = &s->side[s->n++];
	*one = (struct side){ .name = name,
			      .evidence = r->stats.evidence,
			      .khz_assumed = r->khz_assumed,
			      .host = r->stats.host,
			      .seconds = r->seconds,
			      .delivered = r->deadlines.delivered,
			      .exits = all_exits(r) != 0 };
	memcpy(one->value, values, sizeof(values));
	return r->stats.evidence == TRACE_BOUNDS ? REPLAY_BOUNDS : CLI_OK;
}

static bool known(const struct sides *s, size_t i)
{
	const struct side *a = &s->side[0], *b = &s->side[1];

	/* Exits are compared where both traces have them, and deadlines as well. */
	if (!strncmp(keys[i], "exits", 5))
		return a->exits && b->exits;
	return a->evidence != TRACE_BOUNDS && b->evidence != TRACE_BOUNDS;
}

static double second(const struct side *s, size_t i)
{
	return s->seconds > 0 ? (double)s->value[i] / s->seconds : NAN;
}

static double each(const struct side *s, size_t i)
{
	double interrupts = (double)s->value[INTERRUPTS];

	return interrupts > 0 ? (double)s->value[i] / interrupts : NAN;
}

/* NAN: there is none. */
static double change(double a, double b)
{
	return a > 0 ? 100 * (b - a) / a : NAN;
}

static void cell(struct libscols_line *line, size_t column, double v)
{
	char text[32];

	table_cell(line, column, "%s", isnan(v) ? "-" : rate_text(v, text));
}

static void percent_cell(struct libscols_line *line, size_t column, double v)
{
	if (isnan(v))
		table_cell(line, column, "-");
	else
		table_cell(line, column, "%+.1f", v == 0 ? 0 : v);
}

/* What makes the two unlike before and after, if it is not the feature. */
static void print_unlike(FILE *to, const struct side *a, const struct side *b)
{
	if (a->host != b->host)
		fprintf(to,
			"%s is a host's trace, which does not show the writes that its guests skip.\n",
			a->host ? "A" : "B");
	else if (a->value[WRITE_SKIPS])
		fputs("A shows lazytsc_skip: the feature was on before, too.\n", to);
	else if (!b->host && !b->value[WRITE_SKIPS])
		fputs("B shows no lazytsc_skip: the feature was off, or the event was not recorded.\n",
		      to);
}

/* Those of the traces; where one has none, those that the stock timer delivers, in both. */
static void choose_interrupts(struct sides *s)
{
	struct side *a = &s->side[0], *b = &s->side[1];
	bool seen = a->value[INTERRUPTS] && b->value[INTERRUPTS];

	for (struct side *one = a; !seen && one <= b; one++)
		one->value[INTERRUPTS] = one->delivered;
}

static void print(FILE *to, const struct sides *s)
{
	static const char *const heads[] = { "", "A /s", "B /s", "%", "A /irq", "B /irq", "%" };
	const struct side *a = &s->side[0], *b = &s->side[1];
	double pct = change(second(a, WRITE_EXITS), second(b, WRITE_EXITS));
	struct libscols_table *tb = table_new(heads, 7, 1);
	char ra[32], rb[32];

	for (int k = 0; k < 2; k++) {
		const struct side *one = &s->side[k];

		fprintf(to, "%c: %s: %s, %.3f s%s\n", 'A' + k, one->name,
			evidence_names[one->evidence], one->seconds,
			one->khz_assumed ? " if its TSC runs at 2.6 GHz (give --tsc-khz)" : "");
	}
	if (!known(s, WRITE_EXITS))
		fputs("Exits alone, in one of them at least: how often deadlines were written is not known",
		      to);
	else if (isnan(second(a, WRITE_EXITS)) || isnan(second(b, WRITE_EXITS)))
		fprintf(to, "Too few deadline writes for rates: %" PRIu64 " in A, %" PRIu64 " in B",
			a->value[WRITES], b->value[WRITES]);
	else
		fprintf(to, "B's deadline writes exit %s times a second, A's %s",
			rate_text(second(b, WRITE_EXITS), rb),
			rate_text(second(a, WRITE_EXITS), ra));
	if (known(s, WRITE_EXITS) && !isnan(pct))
		fprintf(to, ": %+.1f %%", pct);
	fputs(".\n", to);
	if (known(s, WRITE_EXITS))
		print_unlike(to, a, b);
	fputc('\n', to);
	for (size_t i = 0; i < N; i++) {
		struct libscols_line *line;

		if (!known(s, i))
			continue;
		line = table_line(tb);
		table_cell(line, 0, "%s", names[i]);
		cell(line, 1, second(a, i));
		cell(line, 2, second(b, i));
		percent_cell(line, 3, change(second(a, i), second(b, i)));
		cell(line, 4, each(a, i));
		cell(line, 5, each(b, i));
		percent_cell(line, 6, change(each(a, i), each(b, i)));
	}
	table_print(to, tb);
}

static void set(json_t *o, const char *key, double v)
{
	json_object_set_new(o, key, isnan(v) ? json_null() : json_real(v));
}

static void set_count(json_t *o, const char *key, bool is_known, uint64_t n)
{
	json_object_set_new(o, key, is_known ? json_integer((json_int_t)n) : json_null());
}

static void print_json(FILE *to, const struct sides *s, int argc, char **argv)
{
	static const char *const side_keys[] = { "a", "b" };
	json_t *root = cli_json(COMPARE_JSON_VERSION, argc, argv), *rows = json_array();

	for (int k = 0; k < 2; k++) {
		const struct side *one = &s->side[k];
		json_t *o = json_object();

		json_object_set_new(o, "trace", cli_json_text(one->name));
		json_object_set_new(o, "evidence", json_string(evidence_names[one->evidence]));
		json_object_set_new(o, "seconds", json_real(one->seconds));
		json_object_set_new(o, "tsc_khz_assumed", json_boolean(one->khz_assumed));
		json_object_set_new(root, side_keys[k], o);
	}
	for (size_t i = 0; i < N; i++) {
		const struct side *a = &s->side[0], *b = &s->side[1];
		json_t *o = json_object();

		json_object_set_new(o, "figure", json_string(keys[i]));
		set_count(o, "a", known(s, i), a->value[i]);
		set_count(o, "b", known(s, i), b->value[i]);
		set(o, "a_per_second", known(s, i) ? second(a, i) : NAN);
		set(o, "b_per_second", known(s, i) ? second(b, i) : NAN);
		set(o, "per_second_change_pct",
		    known(s, i) ? change(second(a, i), second(b, i)) : NAN);
		set(o, "a_per_interrupt", known(s, i) ? each(a, i) : NAN);
		set(o, "b_per_interrupt", known(s, i) ? each(b, i) : NAN);
		set(o, "per_interrupt_change_pct",
		    known(s, i) ? change(each(a, i), each(b, i)) : NAN);
		json_array_append_new(rows, o);
	}
	json_object_set_new(root, "figures", rows);
	cli_json_print(to, root);
}

int cmd_compare(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "A B", doc, NULL, NULL, NULL };
	const struct policy_options policy = { .slack = DEFAULT_SLACK };
	struct arguments a = { 0 };
	struct sides s = { 0 };
	int ret;

	cli_parse(&argp, argc, argv, &a);
	a.many.trace.events |= 1U << TRACE_EVENT_IRQ;
	if (many_policies(&a.many, "stock", &policy))
		return CLI_MISMATCH;
	ret = many_run(&a.many, a.traces, a.ntraces, take, &s);
	if (s.n < 2)
		return ret;
	choose_interrupts(&s);
	if (a.json)
		print_json(stdout, &s, argc, argv);
	else
		print(stdout, &s);
	return ret;
}
