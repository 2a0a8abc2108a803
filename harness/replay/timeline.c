// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>

#include "cli.h"
#include "timeline.h"

/* A vCPU's counters, as they were written last. */
struct track {
	double armed_us, pending_us;
};

struct timeline {
	struct cli_file file;
	struct track *tracks;
	unsigned int ntracks;
};

struct timeline *timeline_open(const char *path)
{
	struct timeline *t = cli_alloc(1, sizeof(*t));

	if (!cli_create(&t->file, path)) {
		free(t);
		return NULL;
	}
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
	      "{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"guest\"}}",
	      t->file.to);
	return t;
}

static struct track *find_track(struct timeline *t, unsigned int vcpu)
{
	if (vcpu >= t->ntracks) {
		t->tracks = cli_grow(t->tracks, vcpu + 1, sizeof(*t->tracks));
		while (t->ntracks <= vcpu)
			t->tracks[t->ntracks++] = (struct track){ 0 };
	}
	return &t->tracks[vcpu];
}

static void counter(FILE *to, const struct replay_step *s, const char *name, double ns,
		    double *last_us)
{
	double us = ns > 0 ? ns / 1000 : 0;

	if (us == *last_us)
		return;
	*last_us = us;
	fprintf(to,
		",\n{\"ph\":\"C\",\"pid\":1,\"name\":\"%s (track %u)\",\"ts\":%.3f,"
		"\"args\":{\"us\":%.3f}}",
		name, s->vcpu + 1, s->ns / 1000, us);
}

void timeline_step(struct timeline *t, const struct replay_step *s)
{
	struct track *track = find_track(t, s->vcpu);

	fprintf(t->file.to,
		",\n{\"ph\":\"i\",\"s\":\"t\",\"pid\":1,\"tid\":%u,\"name\":\"%s\",\"ts\":%.3f}",
		s->vcpu + 1, replay_step_names[s->kind], s->ns / 1000);
	counter(t->file.to, s, "armed", s->armed_ns, &track->armed_us);
	counter(t->file.to, s, "pending", s->pending_ns, &track->pending_us);
}

bool timeline_close(struct timeline *t, const struct replay *r, const char *variant)
{
	bool good;

	for (size_t i = 0; i < r->nvcpus; i++)
		fprintf(t->file.to,
			",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%u,\"name\":\"thread_name\","
			"\"args\":{\"name\":\"vCPU %s, %s (track %u)\"}}",
			r->vcpus[i].step_vcpu + 1, r->vcpus[i].name, variant,
			r->vcpus[i].step_vcpu + 1);
	fputs("\n]}\n", t->file.to);
	good = cli_commit(&t->file);
	free(t->tracks);
	free(t);
	return good;
}

void timeline_discard(struct timeline *t)
{
	cli_discard(&t->file);
	free(t->tracks);
	free(t);
}
