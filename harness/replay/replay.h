/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole trace under several policies side by side. A replay shares nothing with another one, so
 * that each may run in a thread of its own.
 */
#ifndef LAZYTSC_HARNESS_REPLAY_H
#define LAZYTSC_HARNESS_REPLAY_H

#include <stdint.h>

#include "policy.h"
#include "trace/trace.h"

/* A histogram: bucket 0 holds 0, bucket b > 0 holds 2^(b-1) up to 2^b - 1 TSC cycles. */
#define HIST_BUCKETS 65

/* The rate that a TSC is taken to have where nothing tells it: that of the cost model's sources. */
#define ASSUMED_KHZ 2.6e6

/* What became of a vCPU's deadlines under the stock timer. */
struct deadlines {
	uint64_t writes; /* disarms included */
	uint64_t delivered;
	uint64_t later, earlier, same; /* overwritten before they expired, and by what */
	uint64_t disarmed; /* written 0 over them */
	uint64_t moved_later[HIST_BUCKETS], moved_earlier[HIST_BUCKETS]; /* by how much */
	uint64_t before_expiry[HIST_BUCKETS]; /* how long before it the overwriting came */
};

/* A task's writes on one vCPU, or on all. */
struct task {
	const char *name;
	uint64_t writes, later, earlier, same, disarmed; /* as struct deadlines has them */
	uint64_t *skips; /* by policy */
};

/* Bytes for the names of a VM and of a vCPU. */
#define REPLAY_VM_NAME	 24
#define REPLAY_VCPU_NAME 48

struct replay_vcpu {
	struct trace_vcpu at; /* which vCPU it is */
	size_t vm; /* its VM in replay.vms */
	char name[REPLAY_VCPU_NAME];
	struct counts *counts; /* by policy, and what was measured behind them */
	struct deadlines deadlines;
	unsigned int step_vcpu; /* as struct replay_step has it */
	bool halts; /* the trace shows that it halts; with trace_options.events */
};

struct replay_vm {
	char name[REPLAY_VM_NAME];
	size_t first, n; /* its vCPUs in replay.vcpus */
	struct counts *total; /* as in struct replay_vcpu */
	uint64_t writes;
};

/* What happens on a vCPU under the policy that is observed. */
enum replay_step_kind {
	REPLAY_SKIP, /* a write that does not exit */
	REPLAY_EXIT, /* one that does */
	REPLAY_SILENT, /* a host timer that fires and injects nothing */
	REPLAY_INJECT, /* an interrupt */
	REPLAY_GAP, /* events were lost, or the vCPU begins */
	REPLAY_STEPS
};

struct replay_step {
	enum replay_step_kind kind;
	unsigned int vcpu; /* in the order in which they first write */
	double ns; /* since the trace's first write that is replayed */
	double armed_ns, pending_ns; /* until the host timer, and the deadline; negative: none */
};

/* "skip", "exit", "silent expiry", "inject", "gap" */
extern const char *const replay_step_names[REPLAY_STEPS];

/* Each policy's host entries over time, in so many slices of equal length. */
#define SLICES 400

struct slices {
	double slice_ns; /* doubled whenever the trace turns out to be longer */
	uint64_t (*entries)[SLICES]; /* by policy */
};

/* Which part of a trace is replayed. Zeroed: all of it. */
struct selection {
	const char *vm; /* name of the one VM; NULL: all */
	const bool *vcpus; /* by number, TRACE_MAX_CPUS; NULL: all */
	uint64_t from_ns, to_ns; /* from the trace's first write; to_ns 0: to its end */
	const char *comm; /* writes of tasks (on a host: of threads) of this name; NULL: of all */
};

/* Deadline writes that were not selected, by the first reason that applies. */
struct left_out {
	uint64_t time, comm, vcpu, vm;
};

struct replay {
	const struct policy *policies;
	size_t npolicies;
	size_t stock; /* which of them is the stock timer */
	size_t lazy, early; /* and these; SIZE_MAX: none */
	struct selection selection;
	bool by_task;
	bool ahead; /* a thread of its own reads the trace */
	/* NULL, or called at each step of the policy `observed`, which is a variant or early. */
	void (*observe)(void *ctx, const struct replay_step *step);
	void *observe_ctx;
	size_t observed;

	/* Set by replay_run(). */
	struct trace_stats stats;
	struct policy_clock clock;
	bool khz_assumed; /* clock.khz is ASSUMED_KHZ */
	double first_ns; /* the first write that is replayed, as --from counts */
	double seconds; /* of what was selected, from the first event to the last; 0: none */
	uint64_t halts; /* of the guest, as the trace tells; with trace_options.events */
	uint64_t other_exits; /* that are neither halts nor a timer's; in the same way */
	double unit_ns; /* a time stamp's unit, for the exits' times; 0: not known */
	struct left_out left_out;
	struct deadlines deadlines;
	struct slices slices;
	/*
	 * The guest's timer interrupts behind the deadlines that stock fires; where
	 * trace_options.events asks for them.
	 */
	uint64_t late[HIST_BUCKETS];
	size_t nvcpus;
	struct replay_vcpu *vcpus; /* in order of VM and id */
	size_t nvms;
	struct replay_vm *vms;
	struct counts *total; /* as in struct replay_vcpu */
	size_t ntasks;
	struct task *tasks; /* the busiest first */
	char error[512];
};

/**
 * replay_run() - replay a trace
 * @r:    zeroed but for what stands above "Set by replay_run()"; the result
 * @path: the trace
 * @options: for reading it
 *
 * Return: 0, or -1 with r->error set. replay_free() is due in both cases.
 */
int replay_run(struct replay *r, const char *path, const struct trace_options *options);
void replay_free(struct replay *r);

/** replay_name_vm() - its process, or its first thread, or its place in the trace */
void replay_name_vm(const struct trace *t, unsigned int i, char *name, size_t size);
/** replay_name_vcpu() - its number; where the trace has several VMs, "VM:number" */
void replay_name_vcpu(const struct trace *t, const struct trace_vcpu *at, char *name, size_t size);

/** replay_has_figures() - the trace tells what @p needs: halts, or other exits */
static inline bool replay_has_figures(const struct replay *r, const struct policy *p)
{
	return !p->block || r->halts || (p->look && r->other_exits);
}

/* The name of what stands behind the policies: what the trace itself shows. */
#define REPLAY_MEASURED "measured"

/** replay_measured() - the trace shows skips, so what was measured stands behind the policies */
static inline bool replay_measured(const struct replay *r)
{
	return r->stats.skipped != 0;
}

#endif
