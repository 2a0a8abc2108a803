// SPDX-License-Identifier: BSD-2-Clause
/* A machine's vCPUs over several threads. What comes out does not depend on their number. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct work {
	struct lazytsc_machine *m;
	unsigned int vcpus;
	u64 ns;
	atomic_uint next;
};

static void *worker(void *arg)
{
	struct work *w = arg;
	unsigned int i;

	while ((i = atomic_fetch_add(&w->next, 1)) < w->vcpus) {
		if (lazytsc_machine_run_vcpu(w->m, i, w->ns))
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
			r->failure = calloc(1, sizeof(*r->failure));
			if (!r->failure)
				abort();
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
	struct work w = { .vcpus = c.vcpus, .ns = run->duration_ns };
	pthread_t thread[64];
	unsigned int n = 0;

	memset(result, 0, sizeof(*result));
	result->variant = *variant;
	c.variant = variant->variant;
	c.policy = variant->policy;
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
	collect(w.m, &c, result);
	lazytsc_machine_free(w.m);
	return true;
}

void sim_result_free(struct sim_result *result)
{
	free(result->vcpu);
	free(result->failure);
}
