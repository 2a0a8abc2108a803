// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lazytsc/sim/replay.h>

#include "replay.h"

#define ALIGN 64

/* The vCPUs while the trace is read: for each the policies' states, one after another. */
struct run {
	struct replay *r;
	char *states[TRACE_MAX_VCPUS]; /* NULL: this vCPU has written nothing yet */
	size_t *offsets; /* of each policy's state */
	size_t size; /* of all of them */
};

static int layout(struct run *run)
{
	const struct replay *r = run->r;

	run->offsets = calloc(r->npolicies, sizeof(*run->offsets));
	if (!run->offsets)
		return -1;
	for (size_t i = 0; i < r->npolicies; i++) {
		run->offsets[i] = run->size;
		run->size += (r->policies[i].state_size + ALIGN - 1) / ALIGN * ALIGN;
	}
	return 0;
}

static char *begin_vcpu(struct run *run, unsigned int vcpu)
{
	const struct replay *r = run->r;
	char *s = aligned_alloc(ALIGN, run->size);

	if (!s)
		return NULL;
	memset(s, 0, run->size);
	for (size_t i = 0; i < r->npolicies; i++)
		r->policies[i].init(&r->policies[i], s + run->offsets[i]);
	run->states[vcpu] = s;
	return s;
}

static unsigned int bucket(uint64_t v)
{
	return v ? 64 - (unsigned int)__builtin_clzll(v) : 0;
}

/* What does this write do to the deadline that stands? */
static void classify(struct deadlines *d, struct lazytsc_replay *stock, uint64_t now, uint64_t v)
{
	uint64_t old;

	d->writes++;
	lazytsc_replay_run_until(stock, now);
	old = stock->host.timer;
	if (!old)
		return;
	if (!v) {
		d->disarmed++;
	} else if (v > old) {
		d->later++;
		d->moved_later[bucket(v - old)]++;
	} else if (v < old) {
		d->earlier++;
		d->moved_earlier[bucket(old - v)]++;
	} else {
		d->same++;
	}
	d->before_expiry[bucket(old - now)]++;
}

static int feed(struct run *run, struct trace *t)
{
	struct replay *r = run->r;
	struct trace_event ev;
	bool gap;
	int got;

	while ((got = trace_next(t, &ev)) > 0) {
		char *s = run->states[ev.vcpu];

		if (!s)
			s = begin_vcpu(run, ev.vcpu);
		if (!s) {
			snprintf(r->error, sizeof(r->error), "out of memory");
			return -1;
		}
		gap = ev.kind == TRACE_EVENT_GAP;
		if (!gap)
			classify(&r->deadlines, (void *)(s + run->offsets[r->stock]), ev.now,
				 ev.value);
		for (size_t i = 0; i < r->npolicies; i++) {
			if (gap)
				r->policies[i].restart(s + run->offsets[i]);
			else
				r->policies[i].write(s + run->offsets[i], ev.now, ev.value);
		}
	}
	r->stats = *trace_stats(t);
	if (got < 0)
		snprintf(r->error, sizeof(r->error), "%s", trace_error(t));
	return got;
}

static void add(struct counts *sum, const struct counts *c)
{
	for (int i = 0; i < COLUMNS; i++) {
		sum->value[i] += c->value[i];
		sum->known[i] |= c->known[i];
	}
	if (c->excess > sum->excess)
		sum->excess = c->excess;
}

static int by_vm(const void *a, const void *b)
{
	const struct replay_vcpu *x = a, *y = b;

	if (x->at.vm != y->at.vm)
		return x->at.vm < y->at.vm ? -1 : 1;
	return x->at.id < y->at.id ? -1 : x->at.id > y->at.id;
}

/* "0"; in a trace of several VMs "4090:0", by the VM's process or first thread. */
static void name_vcpu(const struct trace *t, struct replay_vcpu *v)
{
	const struct trace_vm *vm = trace_vm(t, v->at.vm);
	long long vm_id = vm->pid >= 0 ? vm->pid : vm->first_tid >= 0 ? vm->first_tid : v->at.vm;

	snprintf(v->vm, sizeof(v->vm), "%lld", vm_id);
	if (trace_stats(t)->nvms < 2)
		snprintf(v->name, sizeof(v->name), "%d", v->at.id);
	else
		snprintf(v->name, sizeof(v->name), "%s:%d", v->vm, v->at.id);
}

static int collect(struct run *run, const struct trace *t)
{
	struct replay *r = run->r;
	size_t n = 0;

	if (r->stats.evidence == TRACE_BOUNDS) {
		for (unsigned int i = 0; i < r->stats.nvcpus; i++) {
			if (!begin_vcpu(run, i))
				return -1;
		}
	}
	for (unsigned int i = 0; i < TRACE_MAX_VCPUS; i++)
		n += run->states[i] != NULL;
	r->vcpus = calloc(n ? n : 1, sizeof(*r->vcpus));
	r->total = calloc(r->npolicies, sizeof(*r->total));
	if (!r->vcpus || !r->total)
		return -1;
	for (unsigned int i = 0; i < TRACE_MAX_VCPUS; i++) {
		struct replay_vcpu *v = &r->vcpus[r->nvcpus];

		if (!run->states[i])
			continue;
		v->at = *trace_vcpu(t, i);
		name_vcpu(t, v);
		v->counts = calloc(r->npolicies, sizeof(*v->counts));
		if (!v->counts)
			return -1;
		r->nvcpus++;
		for (size_t p = 0; p < r->npolicies; p++) {
			r->policies[p].finish(run->states[i] + run->offsets[p], &v->counts[p]);
			add(&r->total[p], &v->counts[p]);
		}
	}
	qsort(r->vcpus, r->nvcpus, sizeof(*r->vcpus), by_vm);
	r->deadlines.delivered = r->total[r->stock].value[COL_INJECTIONS];
	return 0;
}

int replay_run(struct replay *r, const char *path, const struct trace_options *options)
{
	struct run *run = calloc(1, sizeof(*run));
	struct trace *t = NULL;
	int ret = -1;

	snprintf(r->error, sizeof(r->error), "%s: out of memory", path);
	if (!run)
		return -1;
	run->r = r;
	if (trace_open(path, options, &t))
		snprintf(r->error, sizeof(r->error), "%s", trace_error(t));
	else if (!layout(run) && !feed(run, t) && !collect(run, t))
		ret = 0;
	trace_close(t);
	for (unsigned int i = 0; i < TRACE_MAX_VCPUS; i++)
		free(run->states[i]);
	free(run->offsets);
	free(run);
	return ret;
}

void replay_free(struct replay *r)
{
	for (size_t i = 0; i < r->nvcpus; i++)
		free(r->vcpus[i].counts);
	free(r->vcpus);
	free(r->total);
	r->vcpus = NULL;
	r->total = NULL;
	r->nvcpus = 0;
}
