/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vCPUs of a trace: a guest's by CPU number, a host's by thread, told apart by a key; and which
 * VM each belongs to.
 */
#ifndef LAZYTSC_TRACE_VCPUS_H
#define LAZYTSC_TRACE_VCPUS_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "trace.h"

/* How many of a vCPU's last writes, or interrupts, are looked at for one of another buffer. */
#define TRACE_RECENT 8

/* An event, and which buffers have it. */
struct trace_recent {
	uint64_t what; /* a write's value; an interrupt's time stamp */
	uint64_t labels; /* a bit for each buffer */
};

struct vcpu {
	struct trace_vcpu pub;
	uint64_t key;
	int64_t pid; /* the process; -1: not known */
	unsigned int label; /* guest: the buffer or file, where that tells VMs apart */
	bool named; /* pub.id was printed, else it is a guess */
	int kvm_id, name_id; /* what kvm_exit and the thread's name said last; -1: nothing */
	bool seen; /* has an event that counted */
	bool gap; /* one was handed out, and nothing after it */
	uint64_t last_ts; /* of the last event, as printed */
	uint64_t dropped_ts; /* of the last event that was below it; 0: none since */
	uint64_t last_now; /* of the last event handed out, guest TSC */
	uint64_t outstanding; /* the deadline that the next timer interrupt is for; 0: none */
	uint64_t unanswered; /* fitting: the last write's deadline; 0: none */
	uint64_t set, before; /* fitting: when it was written, and the deadline that it replaced */
	bool stopped; /* the last write was 0 */
	unsigned int digits; /* of the last value */
	struct trace_recent recent[TRACE_RECENT], irqs[TRACE_RECENT];
	unsigned int nrecent, nirqs;
	uint64_t exit_ts; /* of the exit that has no entry yet; 0: none */
	enum trace_exit exit; /* its reason */
	bool exit_deadline; /* and it wrote a deadline */
	bool alone; /* its clock is not that of the VM's other vCPUs: is it another VM's? */
	bool fitted;
	struct clock_fit fit;
};

struct vcpus {
	struct vcpu *v; /* TRACE_MAX_VCPUS */
	unsigned int n;
	uint32_t *hash; /* 2 * TRACE_MAX_VCPUS: index + 1; 0: free */
	struct trace_vm *vms;
	unsigned int nvms;
};

bool vcpus_init(struct vcpus *s);
void vcpus_free(struct vcpus *s);

/** vcpus_find() - the vCPU of that key; NULL: there is none */
struct vcpu *vcpus_find(const struct vcpus *s, uint64_t key);

/** vcpus_get() - the vCPU of that key, new where there was none; NULL: too many */
struct vcpu *vcpus_get(struct vcpus *s, uint64_t key);

/** vcpus_settle() - tell VMs apart: sets pub.vm, pub.id where it is not known, and the VMs */
void vcpus_settle(struct vcpus *s);

#endif
