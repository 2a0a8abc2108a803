/* SPDX-License-Identifier: BSD-2-Clause */
/* A whole trace under several policies side by side. */
#ifndef LAZYTSC_HARNESS_REPLAY_H
#define LAZYTSC_HARNESS_REPLAY_H

#include <stdint.h>

#include "policy.h"
#include "trace/trace.h"

/* A histogram: bucket 0 holds 0, bucket b > 0 holds 2^(b-1) up to 2^b - 1 TSC cycles. */
#define HIST_BUCKETS 65

/* What became of the trace's deadlines under the stock timer. */
struct deadlines {
	uint64_t writes; /* disarms included */
	uint64_t delivered;
	uint64_t later, earlier, same; /* overwritten before they expired, and by what */
	uint64_t disarmed; /* written 0 over them */
	uint64_t moved_later[HIST_BUCKETS], moved_earlier[HIST_BUCKETS]; /* by how much */
	uint64_t before_expiry[HIST_BUCKETS]; /* how long before it the overwriting came */
};

struct replay_vcpu {
	struct trace_vcpu at; /* which vCPU it is */
	char vm[24]; /* the VM's process, or its first thread, or its place in the trace */
	char name[48]; /* its number; where the trace has several VMs, "VM:number" */
	struct counts *counts; /* by policy */
};

struct replay {
	const struct policy *policies;
	size_t npolicies;
	size_t stock; /* which of them is the stock timer */

	/* Set by replay_run(). */
	struct trace_stats stats;
	struct deadlines deadlines;
	size_t nvcpus;
	struct replay_vcpu *vcpus; /* in order of VM and id */
	struct counts *total; /* by policy */
	char error[256];
};

/**
 * replay_run() - replay a trace
 * @r:    zeroed but for the policies; the result
 * @path: the trace
 * @options: for reading it
 *
 * Return: 0, or -1 with r->error set. replay_free() is due in both cases.
 */
int replay_run(struct replay *r, const char *path, const struct trace_options *options);
void replay_free(struct replay *r);

#endif
