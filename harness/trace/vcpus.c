// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>

#include "vcpus.h"

bool vcpus_init(struct vcpus *s)
{
	s->v = calloc(TRACE_MAX_VCPUS, sizeof(*s->v));
	s->hash = calloc(2 * TRACE_MAX_VCPUS, sizeof(*s->hash));
	s->vms = calloc(TRACE_MAX_VCPUS, sizeof(*s->vms));
	return s->v && s->hash && s->vms;
}

void vcpus_free(struct vcpus *s)
{
	free(s->v);
	free(s->hash);
	free(s->vms);
}

/* Where the index + 1 of this key is, or will be. */
static uint32_t *find_slot(const struct vcpus *s, uint64_t key)
{
	size_t i = (key * 0x9e3779b97f4a7c15ULL) >> 32;

	for (;; i++) {
		uint32_t *slot = &s->hash[i % (2 * TRACE_MAX_VCPUS)];

		if (!*slot || s->v[*slot - 1].key == key)
			return slot;
	}
}

struct vcpu *vcpus_find(const struct vcpus *s, uint64_t key)
{
	const uint32_t *slot = find_slot(s, key);

	return *slot ? &s->v[*slot - 1] : NULL;
}

struct vcpu *vcpus_get(struct vcpus *s, uint64_t key)
{
	uint32_t *slot = find_slot(s, key);
	struct vcpu *v;

	if (*slot)
		return &s->v[*slot - 1];
	if (s->n == TRACE_MAX_VCPUS)
		return NULL;
	*slot = s->n + 1;
	v = &s->v[s->n++];
	*v = (struct vcpu){
		.key = key, .pid = -1, .kvm_id = -1, .name_id = -1, .pub = { .id = -1, .tid = -1 }
	};
	return v;
}

static int by_thread(const void *a, const void *b)
{
	const struct vcpu *x = *(struct vcpu *const *)a, *y = *(struct vcpu *const *)b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->label != y->label)
		return x->label < y->label ? -1 : 1;
	if (x->pub.tid != y->pub.tid)
		return x->pub.tid < y->pub.tid ? -1 : 1;
	return x->pub.id < y->pub.id ? -1 : x->pub.id > y->pub.id;
}

/* Does the vCPU @v, next in order, begin another VM than @last's? */
static bool another_vm(const struct vcpu *last, const struct vcpu *v)
{
	if (last->pid != v->pid || last->label != v->label)
		return true;
	/* A VM starts its vCPUs' threads in order: numbers that do not go up are the next VM's. */
	return v->pid < 0 && v->pub.tid >= 0 && last->named && v->named &&
	       v->pub.id <= last->pub.id;
}

void vcpus_settle(struct vcpus *s)
{
	struct vcpu **order = calloc(s->n ? s->n : 1, sizeof(struct vcpu *));
	int next_id = 0;

	if (!order)
		return;
	for (unsigned int i = 0; i < s->n; i++)
		order[i] = &s->v[i];
	qsort(order, s->n, sizeof(struct vcpu *), by_thread);
	s->nvms = 0;
	for (unsigned int i = 0; i < s->n; i++) {
		struct vcpu *v = order[i];
		struct trace_vm *vm;

		if (i == 0 || another_vm(order[i - 1], v)) {
			s->vms[s->nvms++] =
				(struct trace_vm){ .pid = v->pid, .first_tid = v->pub.tid };
			next_id = 0;
		}
		vm = &s->vms[s->nvms - 1];
		v->pub.vm = s->nvms - 1;
		vm->nvcpus++;
		if (!v->named)
			v->pub.id = next_id;
		next_id = v->pub.id + 1;
	}
	free(order);
}
