// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"
#include "dat.h"
#include "reading.h"

int trace_open(const char *path, const struct trace_options *options, struct trace **out)
{
	struct trace *t = calloc(1, sizeof(*t));

	*out = t;
	if (!t)
		return -1;
	t->options = *options;
	t->layout.no_idle = !(options->events & 1U << TRACE_EVENT_IDLE);
	t->layout.no_msr = !(options->events & 1U << TRACE_EVENT_MSR);
	t->items = calloc(WINDOW, sizeof(*t->items));
	t->labels = calloc(MAX_LABELS, sizeof(*t->labels));
	t->nlabels = 1;
	t->tasks = calloc(TRACE_MAX_TASKS, sizeof(*t->tasks));
	t->task_hash = calloc(2 * TRACE_MAX_TASKS, sizeof(*t->task_hash));
	t->ntasks = 1;
	if (!t->items || !t->labels || !t->tasks || !t->task_hash || !vcpus_init(&t->vcpus) ||
	    !vcpus_init(&t->threads))
		return trace_fail(t, "%s: out of memory", path);
	strcpy(t->tasks[0], "?");
	if (trace_input_open(path, &t->in))
		return trace_fail(t, "%s", t->in ? t->in->error : "out of memory");
	if (options->no_progress)
		t->in->progress_due_ns = 0;
	if (t->in->dat) {
		t->dat = trace_dat_open(t->in->fd);
		if (!t->dat)
			return trace_fail(t, "%s: %s", path, strerror(errno));
	}
	return 0;
}

void trace_close(struct trace *t)
{
	if (!t)
		return;
	trace_dat_close(t->dat);
	trace_input_close(t->in);
	vcpus_free(&t->vcpus);
	vcpus_free(&t->threads);
	free(t->items);
	free(t->labels);
	free(t->tasks);
	free(t->task_hash);
	free(t->window);
	free(t->writes);
	free(t->irqs);
	free(t->answers);
	free(t->irq_points);
	free(t);
}

const struct trace_stats *trace_stats(const struct trace *t)
{
	return &t->st;
}

const struct trace_vcpu *trace_vcpu(const struct trace *t, unsigned int i)
{
	return &t->vcpus.v[i].pub;
}

const struct trace_vm *trace_vm(const struct trace *t, unsigned int i)
{
	return &t->vcpus.vms[i];
}

const char *trace_task(const struct trace *t, unsigned int task)
{
	/* Not by ntasks, which may grow while another thread reads ahead. */
	return t->tasks[task < TRACE_MAX_TASKS && *t->tasks[task] ? task : 0];
}

const char *trace_error(const struct trace *t)
{
	return t ? t->error : "out of memory";
}

int trace_next(struct trace *t, struct trace_event *ev)
{
	struct vcpu *v;
	int got;

	if (!t->decided && trace_start(t))
		return -1;
	do {
		if (t->window_pos == t->window_len) {
			t->window_pos = t->window_len = 0;
			got = trace_next_raw(t, ev);
			if (got <= 0 || !t->fit)
				return got;
			if (trace_read_window(t, ev))
				return -1;
		}
		*ev = t->window[t->window_pos++];
	} while (ev->kind == TRACE_EVENT_IRQ && !asked(t, ev));
	if (ev->kind == TRACE_EVENT_GAP)
		return 1;
	v = &t->vcpus.v[ev->vcpu];
	/* A vCPU that has only disarmed has no deadline to be late for. */
	ev->now = v->fitted ? clock_tsc(&v->fit, ev->now) : 0;
	/* Where two fits meet, time may seem to step back. */
	if (ev->now < v->last_now)
		ev->now = v->last_now;
	if (ev->kind != TRACE_EVENT_IRQ)
		v->last_now = ev->now;
	return 1;
}
