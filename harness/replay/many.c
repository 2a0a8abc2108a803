// SPDX-License-Identifier: BSD-2-Clause
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "many.h"

int many_policies(struct many *m, const char *list_of_names, const struct policy_options *options)
{
	/* In their order in struct many. */
	static const char *const needed[] = { "stock", "lazy", "early" };
	size_t *const where[] = { &m->stock, &m->lazy, &m->early };
	const size_t n_needed = sizeof(needed) / sizeof(needed[0]);
	char *list = cli_text("%s", list_of_names), *save = NULL;
	size_t n = 0;

	for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		if (n == MAX_POLICIES - n_needed || !policy_find(name, options, &m->policies[n])) {
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
		n++;
	}
	free(list);
	if (!n) {
		warnx("--variants names none");
		return -1;
	}
	m->shown = n;
	for (size_t k = 0; k < n_needed; k++) {
		size_t i = 0;

		while (i < n && strcmp(m->policies[i].name, needed[k]))
			i++;
		if (i == n)
			policy_find(needed[k], options, &m->policies[n++]);
		*where[k] = i;
	}
	m->npolicies = n;
	for (size_t i = 0; i < n; i++) {
		if (m->policies[i].block)
			m->trace.events |= 1U << TRACE_EVENT_IDLE | 1U << TRACE_EVENT_EXIT |
					   1U << TRACE_EVENT_ENTRY;
		if (m->policies[i].look)
			m->trace.events |= 1U << TRACE_EVENT_MSR;
	}
	return 0;
}

struct job {
	struct replay r;
	int failed;
	bool done;
};

struct pool {
	const struct many *m;
	char **traces;
	struct job *jobs;
	int n, threads;
	struct trace_options trace;
	pthread_mutex_t lock; /* of all below, and of jobs[].done */
	pthread_cond_t changed;
	int next; /* the first that nobody has begun */
	int handed; /* so many have been handed out */
	int ahead; /* at most so many lie between */
};

static void run_job(struct pool *p, int i)
{
	const struct many *m = p->m;

	p->jobs[i].r = (struct replay){ .policies = m->policies,
					.npolicies = m->npolicies,
					.stock = m->stock,
					.lazy = m->lazy,
					.early = m->early,
					.selection = m->selection,
					.by_task = m->by_task,
					.ahead = p->threads > p->n,
					.observe = m->observe,
					.observe_ctx = m->observe_ctx,
					.observed = m->observed };
	p->jobs[i].failed = replay_run(&p->jobs[i].r, p->traces[i], &p->trace);
}

static void *work(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	while (p->next < p->n) {
		int i = p->next;

		if (i - p->handed >= p->ahead) {
			pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		p->next++;
		pthread_mutex_unlock(&p->lock);
		run_job(p, i);
		pthread_mutex_lock(&p->lock);
		p->jobs[i].done = true;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
}

/* Hand out a result. */
static int hand_out(struct pool *p, int i,
		    int (*done)(void *ctx, const char *name, struct replay *r), void *ctx)
{
	struct replay *r = &p->jobs[i].r;
	int ret = CLI_BAD_INPUT;

	if (p->jobs[i].failed)
		warnx("%s", r->error);
	else
		ret = done(ctx, p->traces[i], r);
	replay_free(r);
	return ret;
}

static void progress(const struct pool *p, bool end)
{
	if (!p->trace.no_progress || !isatty(STDERR_FILENO))
		return;
	if (end)
		fputs("\r\033[K", stderr);
	else
		fprintf(stderr, "\r%d of %d traces", p->handed, p->n);
}

/* Bounds are figures, of a kind: all that went wrong is worse. */
static int badness(int status)
{
	return status == REPLAY_BOUNDS ? 1 : 2 * status;
}

int many_worse(int a, int b)
{
	return badness(b) > badness(a) ? b : a;
}

int many_run(const struct many *m, char **traces, int n,
	     int (*done)(void *ctx, const char *name, struct replay *r), void *ctx)
{
	struct pool p = { .m = m, .traces = traces, .n = n, .trace = m->trace };
	int threads, ret = CLI_OK;
	pthread_t *ids;
	int started = 0;

	p.threads = m->jobs ? (int)m->jobs : cpus();
	/* A thread for each trace; with one more, traces are read by threads of their own. */
	threads = p.threads < n ? p.threads : n;
	/* One trace shows its own progress; of several, how many are done is shown. */
	p.trace.no_progress = n > 1;
	p.ahead = 4 * threads;
	p.jobs = cli_alloc((size_t)n, sizeof(*p.jobs));
	ids = cli_alloc((size_t)threads, sizeof(*ids));
	pthread_mutex_init(&p.lock, NULL);
	pthread_cond_init(&p.changed, NULL);
	while (threads > 1 && started < threads && !pthread_create(&ids[started], NULL, work, &p))
		started++;
	for (int i = 0; i < n; i++) {
		int one;

		if (!started) {
			run_job(&p, i);
		} else {
			pthread_mutex_lock(&p.lock);
			while (!p.jobs[i].done)
				pthread_cond_wait(&p.changed, &p.lock);
			pthread_mutex_unlock(&p.lock);
		}
		progress(&p, true);
		one = hand_out(&p, i, done, ctx);
		ret = many_worse(ret, one);
		pthread_mutex_lock(&p.lock);
		p.handed++;
		pthread_cond_broadcast(&p.changed);
		pthread_mutex_unlock(&p.lock);
		progress(&p, p.handed == n);
	}
	for (int i = 0; i < started; i++)
		pthread_join(ids[i], NULL);
	pthread_mutex_destroy(&p.lock);
	pthread_cond_destroy(&p.changed);
	free(p.jobs);
	free(ids);
	return ret;
}
