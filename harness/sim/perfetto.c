// SPDX-License-Identifier: BSD-2-Clause
/*
 * The Trace Event Format (JSON) that Perfetto's UI and chrome://tracing read: for each vCPU a track
 * with what its thread does and, as instants, what happens; and two counters, armed and pending,
 * as the time left until them, in us (0 where there is none).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "sim.h"

struct track {
	const char *doing;
	u64 since;
	u64 armed, pending;
};

struct perfetto {
	struct cli_file file;
	FILE *to; /* file.to */
	u64 khz;
	unsigned int vcpus;
	struct track track[];
};

static void print_time(FILE *to, const char *key, u64 ns)
{
	fprintf(to, ",\"%s\":%" PRIu64 ".%03" PRIu64, key, ns / 1000, ns % 1000);
}

struct perfetto *perfetto_open(const char *path, unsigned int vcpus, u64 guest_khz)
{
	struct perfetto *p = cli_alloc(1, sizeof(*p) + vcpus * sizeof(p->track[0]));

	if (!cli_create(&p->file, path)) {
		free(p);
		return NULL;
	}
	p->to = p->file.to;
	p->khz = guest_khz;
	p->vcpus = vcpus;
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
	      "{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"guest\"}}",
	      p->to);
	for (unsigned int i = 0; i < vcpus; i++) {
		fprintf(p->to,
			",\n"
			"{\"ph\":\"M\",\"pid\":1,\"tid\":%u,\"name\":\"thread_name\",\"args\":{\"name\":\"vCPU %u\"}}",
			i + 1, i);
		p->track[i].doing = "start";
	}
	return p;
}

/* What the thread did until now ends, and something else begins. */
static void doing(struct perfetto *p, const struct lazytsc_machine_step *s, const char *next)
{
	struct track *t = &p->track[s->vcpu];

	fprintf(p->to, ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":%u,\"name\":\"%s\"", s->vcpu + 1,
		t->doing);
	print_time(p->to, "ts", t->since);
	print_time(p->to, "dur", s->ns - t->since);
	fputc('}', p->to);
	t->doing = next;
	t->since = s->ns;
}

static void counter(struct perfetto *p, const struct lazytsc_machine_step *s, const char *name,
		    u64 value, u64 *last)
{
	double us = 0;

	if (value == *last)
		return;
	*last = value;
	if (value > s->tsc)
		us = (double)(value - s->tsc) * 1e3 / (double)p->khz;
	fprintf(p->to, ",\n{\"ph\":\"C\",\"pid\":1,\"name\":\"vCPU %u %s\"", s->vcpu, name);
	print_time(p->to, "ts", s->ns);
	fprintf(p->to, ",\"args\":{\"us\":%.3f}}", us);
}

void perfetto_step(void *perfetto, const struct lazytsc_machine_step *s)
{
	struct perfetto *p = perfetto;
	struct track *t = &p->track[s->vcpu];

	counter(p, s, "armed", s->armed, &t->armed);
	counter(p, s, "pending", s->pending, &t->pending);
	switch (s->kind) {
	case LAZYTSC_STEP_ENTER:
		doing(p, s, "guest");
		break;
	case LAZYTSC_STEP_EXIT:
		doing(p, s, lazytsc_exit_name(s->value));
		break;
	case LAZYTSC_STEP_BLOCKED:
		doing(p, s, "blocked");
		break;
	case LAZYTSC_STEP_WAKE:
		doing(p, s, "wake-up");
		break;
	case LAZYTSC_STEP_USER:
		doing(p, s, "user space");
		break;
	default:
		fprintf(p->to, ",\n{\"ph\":\"i\",\"s\":\"t\",\"pid\":1,\"tid\":%u,\"name\":\"%s\"",
			s->vcpu + 1, lazytsc_machine_step_what(s->kind));
		print_time(p->to, "ts", s->ns);
		fprintf(p->to, ",\"args\":{\"tsc\":\"%" PRIu64 "\",\"value\":\"%" PRIu64 "\"}}",
			s->tsc, s->value);
		break;
	}
}

bool perfetto_close(struct perfetto *p)
{
	bool good;

	fputs("\n]}\n", p->to);
	good = cli_commit(&p->file);
	free(p);
	return good;
}
