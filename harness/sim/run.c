// SPDX-License-Identifier: BSD-2-Clause
/* A machine's vCPUs over several threads. What comes out does not depend on their number. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "sim.h"

/* A vCPU's run is done in so many slices, so that progress can be shown. */
#define SLICES 100

struct work {
	struct lazytsc_machine *m;
	const char *name;
	unsigned int vcpus;
	u64 ns;
	bool progress;
	double start;
	atomic_uint next;
	atomic_ullong slices; /* done */
};

static void show(struct work *w)
{
	u64 done = atomic_fetch_add(&w->slices, 1) + 1;

	if (w->progress && cli_seconds() > w->start + 2)
		fprintf(stderr, "\r%s: %3u %%", w->name,
			(unsigned int)(done * 100 / ((u64)w->vcpus * SLICES)));
}

static void *worker(void *arg)
{
	struct work *w = arg;
	unsigned int i;

	while ((i = atomic_fetch_add(&w->next, 1)) < w->vcpus) {
		bool good = true;

		for (unsigned int s = 1; s <= SLICES && good; s++) {
			u64 ns = s < SLICES ? w->ns / SLICES * s : w->ns;

			good = lazytsc_machine_run_vcpu(w->m, i, ns);
			show(w);
		}
		if (good)
			lazytsc_machine_settle_vcpu(w->m, i);
	}
	return NULL;
}

static void collect(struct lazytsc_machine *m, const struct lazytsc_machine_config *c,
		    struct sim_result *r)
{
	for (unsigned int i = 0; i < c->vcpus; i++) {
		const struct lazytsc_broken *b = lazytsc_machine_broken(m, i);

		r->vcpu[i] = lazytsc_machine_stats(m, i);
		lazytsc_machine_add(&r->total, &r->vcpu[i]);
		if (b && !r->failure) {
			r->failure = cli_alloc(1, sizeof(*r->failure));
			r->failure->vcpu = i;
			r->failure->seed = c->seed;
			r->failure->broken = *b;
			r->failure->nsteps = lazytsc_machine_last_steps(m, i, r->failure->step, 64);
		}
		r->failures += b != NULL;
	}
}

bool sim_run_one(const struct sim_run *run, const struct lazytsc_machine_config *config,
		 const struct sim_variant *variant, struct sim_result *result)
{
	struct lazytsc_machine_config c = *config;
	struct work w = { .name = variant->name,
			  .vcpus = c.vcpus,
			  .ns = run->duration_ns,
			  .progress = run->progress,
			  .start = cli_seconds() };
	pthread_t thread[64];
	unsigned int n = 0;

	memset(result, 0, sizeof(*result));
	result->variant = *variant;
	c.variant = variant->variant;
	c.guess = variant->guess;
	w.m = lazytsc_machine_new(&c);
	result->vcpu = calloc(c.vcpus, sizeof(*result->vcpu));
	if (!w.m || !result->vcpu) {
		lazytsc_machine_free(w.m);
		return false;
	}
	while (n + 1 < run->threads && n < 64 && n + 1 < c.vcpus &&
	       !pthread_create(&thread[n], NULL, worker, &w))
		n++;
	worker(&w);
	while (n)
		pthread_join(thread[--n], NULL);
	if (run->progress)
		fputs("\r\033[K", stderr);
	collect(w.m, &c, result);
	lazytsc_machine_free(w.m);
	return true;
}

void sim_result_free(struct sim_result *result)
{
	free(result->vcpu);
	free(result->failure);
}
