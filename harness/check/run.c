// SPDX-License-Identifier: BSD-2-Clause
/*
 * Cells of scenarios, on several threads. Cells are independent, and results are put together in
 * the cells' order, so the answer does not depend on which thread took what.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "checkpoint.h"
#include "cli.h"

/* One cell to be searched. */
struct job {
	size_t scenario; /* which of those given */
	unsigned int cell;
	bool done; /* the checkpoint had it */
	struct lazytsc_explored result;
};

struct pool {
	const struct check_run *run;
	const struct lazytsc_scenario *const *scenarios;
	struct job *job;
	size_t jobs;
	struct check_point *point;
	atomic_size_t next, finished;
	/* For each scenario, the steps of the shortest counterexample so far; 0: none. */
	atomic_uint *steps;
	pthread_mutex_t lock; /* progress and checkpoint */
};

static void shorter(atomic_uint *best, unsigned int steps)
{
	unsigned int old = atomic_load(best);

	while ((!old || steps < old) && !atomic_compare_exchange_weak(best, &old, steps))
		;
}

/*
 * Where a counterexample is known already, a cell matters only for one that is as short. With a
 * bound on states that would make a difference to what is found, so there it is swept all the same.
 */
static void search(struct pool *p, struct job *j)
{
	const struct check_subject *u = &p->run->subject;
	const struct lazytsc_scenario *s = p->scenarios[j->scenario];
	atomic_uint *best = &p->steps[j->scenario];
	struct lazytsc_cell *cell = cli_alloc(1, sizeof(*cell));

	lazytsc_cell_init(cell, s, j->cell, u->variant, u->glue);
	cell->only = p->run->only;
	if (!atomic_load(best) || p->run->max_states)
		lazytsc_sweep(cell, u->model, p->run->max_states, &j->result);
	else
		j->result.outcome = LAZYTSC_VIOLATED;
	if (j->result.outcome == LAZYTSC_VIOLATED) {
		lazytsc_shortest(cell, u->model, atomic_load(best), &j->result);
		if (j->result.outcome == LAZYTSC_VIOLATED)
			shorter(best, j->result.steps);
	}
	free(cell);
}

static void progress(struct pool *p, const char *end)
{
	if (p->run->progress)
		fprintf(stderr, "\r%zu of %zu cells%s", atomic_load(&p->finished), p->jobs, end);
}

static void *work(void *arg)
{
	struct pool *p = arg;
	size_t i;

	while ((i = atomic_fetch_add(&p->next, 1)) < p->jobs) {
		struct job *j = &p->job[i];

		if (!j->done)
			search(p, j);
		atomic_fetch_add(&p->finished, 1);
		pthread_mutex_lock(&p->lock);
		if (!j->done && p->point)
			check_point_note(p->point, p->scenarios[j->scenario], j->cell, &j->result);
		progress(p, " ");
		pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

static void run_threads(struct pool *p)
{
	size_t want = p->run->threads < p->jobs ? p->run->threads : p->jobs, n = 0;
	pthread_t *thread = cli_alloc(want, sizeof(*thread));

	while (n < want && !pthread_create(&thread[n], NULL, work, p))
		n++;
	if (!n)
		work(p);
	for (size_t i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	free(thread);
	progress(p, "   \n");
}

static bool smaller(const struct lazytsc_explored *a, const struct lazytsc_explored *b)
{
	return a->steps != b->steps ? a->steps < b->steps : a->switches < b->switches;
}

static void put_together(struct check_result *r, struct job *j)
{
	struct lazytsc_explored *e = &j->result;

	r->cells++;
	if (e->outcome == LAZYTSC_VIOLATED) {
		if (r->outcome == LAZYTSC_VIOLATED && !smaller(e, &r->violation)) {
			lazytsc_explored_fini(e);
			return;
		}
		lazytsc_explored_fini(&r->violation);
		r->outcome = e->outcome;
		r->violation = *e;
		r->cell = j->cell;
		return;
	}
	r->states += e->states;
	r->transitions += e->transitions;
	r->ends += e->ends;
	if (r->longest < e->longest)
		r->longest = e->longest;
	if (r->outcome != LAZYTSC_VIOLATED && e->outcome > r->outcome)
		r->outcome = e->outcome;
}

/* The jobs of all scenarios, shard by shard; returns how many. */
static size_t list_jobs(const struct check_run *run,
			const struct lazytsc_scenario *const *scenarios, size_t n,
			struct job **jobs)
{
	size_t total = 0, at = 0, number = 0;

	for (size_t i = 0; i < n; i++)
		total += lazytsc_scenario_cells(scenarios[i]);
	*jobs = cli_alloc(total / run->shards + 1, sizeof(**jobs));
	for (size_t i = 0; i < n; i++) {
		unsigned int cells = lazytsc_scenario_cells(scenarios[i]);

		for (unsigned int cell = 0; cell < cells; cell++)
			if (number++ % run->shards == run->shard)
				(*jobs)[at++] = (struct job){ .scenario = i, .cell = cell };
	}
	return at;
}

int check_scenarios(const struct check_run *run, struct check_point *point,
		    const struct lazytsc_scenario *const *scenarios, size_t n,
		    struct check_result *results)
{
	struct pool p = { .run = run, .scenarios = scenarios };
	int status = CLI_OK;

	memset(results, 0, n * sizeof(*results));
	for (size_t i = 0; i < n; i++)
		results[i].scenario = scenarios[i];
	p.jobs = list_jobs(run, scenarios, n, &p.job);
	p.steps = cli_alloc(n, sizeof(*p.steps));
	p.point = point;
	for (size_t i = 0; i < p.jobs; i++)
		p.job[i].done = point && check_point_find(point, scenarios[p.job[i].scenario],
							  p.job[i].cell, &p.job[i].result);
	pthread_mutex_init(&p.lock, NULL);
	run_threads(&p);
	pthread_mutex_destroy(&p.lock);
	for (size_t i = 0; i < p.jobs; i++)
		put_together(&results[p.job[i].scenario], &p.job[i]);
	if (point && !check_point_written(point) && status == CLI_OK)
		status = CLI_BAD_INPUT;
	free(p.job);
	free(p.steps);
	return status;
}

void check_results_fini(struct check_result *results, size_t n)
{
	for (size_t i = 0; i < n; i++)
		lazytsc_explored_fini(&results[i].violation);
}
