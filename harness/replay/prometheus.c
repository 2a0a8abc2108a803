// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <stdlib.h>

#include "answer.h"
#include "cli.h"
#include "prometheus.h"

/* Metrics besides the columns. */
enum { EVIDENCE = COLUMNS, SECONDS, WRITES, CPU, METRICS };

static const char *const names[METRICS] = {
	[EVIDENCE] = "trace_info",
	[SECONDS] = "trace_seconds",
	[WRITES] = "deadline_writes",
	[CPU] = "host_cpu_ratio",
};

static const char *const help[METRICS] = {
	[COL_MSR_WRITE_EXITS] = "Writes of the TSC deadline that exit",
	[COL_SKIPS] = "Writes that do not exit",
	[COL_SILENT_EXPIRIES] = "Host timers that fire and inject nothing",
	[COL_INJECTIONS] = "Interrupts injected",
	[COL_EARLY_INJECTIONS] = "Interrupts injected before the deadline that the guest held",
	[COL_HOST_ENTRIES] = "MSR-write exits and silent expiries",
	[COL_WAITED] = "Units of the trace's clock for which the guest was held",
	[COL_HOST_CYCLES] = "What the host spends by the cost model, units of the trace's clock",
	[COL_LATE_CYCLES] = "Lateness of all interrupts by the cost model, the same units",
	[EVIDENCE] = "What the figures of a trace are worth; always 1",
	[SECONDS] = "Length of what was replayed",
	[WRITES] = "Writes of the TSC deadline in the trace",
	[CPU] = "Share of one host CPU that the deadline costs, by the cost model",
};

/* Samples of one metric stand together, so each has a text of its own until the end. */
struct prometheus {
	FILE *to[METRICS];
	char *text[METRICS];
	size_t size[METRICS];
};

struct prometheus *prometheus_new(void)
{
	struct prometheus *p = cli_alloc(1, sizeof(*p));

	for (int m = 0; m < METRICS; m++) {
		const char *name = m < COLUMNS ? column_names[m] : names[m];

		p->to[m] = open_memstream(&p->text[m], &p->size[m]);
		if (!p->to[m])
			cli_no_memory();
		fprintf(p->to[m], "# HELP lazytsc_%s %s.\n# TYPE lazytsc_%s gauge\n", name, help[m],
			name);
	}
	return p;
}

static void label(FILE *to, const char *key, const char *value)
{
	char *text = cli_utf8(value);

	fprintf(to, "%s=\"", key);
	for (const char *c = text; *c; c++) {
		if (*c == '\n')
			fputs("\\n", to);
		else if (*c == '"' || *c == '\\')
			fprintf(to, "\\%c", *c);
		else
			fputc(*c, to);
	}
	fputc('"', to);
	free(text);
}

/* Name and labels, up to the value. @v: NULL: of the trace; @variant: NULL: of all. */
static FILE *sample(struct prometheus *p, int metric, const char *trace, const struct replay *r,
		    const struct replay_vcpu *v, const char *variant)
{
	FILE *to = p->to[metric];

	fprintf(to, "lazytsc_%s{", metric < COLUMNS ? column_names[metric] : names[metric]);
	label(to, "trace", trace);
	if (v)
		fprintf(to, ",vm=\"%s\",vcpu=\"%d\"", r->vms[v->vm].name, v->at.id);
	if (variant)
		fprintf(to, ",variant=\"%s\"", variant);
	return to;
}

static void add_vcpu(struct prometheus *p, const char *name, const struct replay *r,
		     const struct replay_vcpu *v, size_t shown)
{
	fprintf(sample(p, WRITES, name, r, v, NULL), "} %" PRIu64 "\n", v->deadlines.writes);
	for (size_t i = 0; i < shown + replay_measured(r); i++) {
		const size_t k = i < shown ? i : r->npolicies;
		const char *variant = i < shown ? r->policies[k].name : REPLAY_MEASURED;
		const struct counts *c = &v->counts[k];

		for (int m = 0; m < COLUMNS; m++) {
			if (c->known[m])
				fprintf(sample(p, m, name, r, v, variant), "} %" PRIu64 "\n",
					c->value[m]);
		}
		if (c->known[COL_HOST_CYCLES])
			fprintf(sample(p, CPU, name, r, v, variant), "} %.6g\n",
				answer_cpu(r, c) / 100);
	}
}

void prometheus_add(struct prometheus *p, const char *name, const struct replay *r, size_t shown)
{
	FILE *to = sample(p, EVIDENCE, name, r, NULL, NULL);

	fprintf(to, ",evidence=\"%s\",source=\"%s\"} 1\n", evidence_names[r->stats.evidence],
		r->stats.host ? "host" : "guest");
	fprintf(sample(p, SECONDS, name, r, NULL, NULL), "} %.6f\n", r->seconds);
	for (size_t i = 0; i < r->nvcpus && r->stats.evidence != TRACE_BOUNDS; i++)
		add_vcpu(p, name, r, &r->vcpus[i], shown);
}

void prometheus_print(FILE *to, struct prometheus *p)
{
	for (int m = 0; m < METRICS; m++) {
		if (fclose(p->to[m]))
			cli_no_memory();
		fwrite(p->text[m], 1, p->size[m], to);
		free(p->text[m]);
	}
	free(p);
}
