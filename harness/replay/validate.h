/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does the replay predict what the trace shows? Each vCPU's writes are replayed as they were made
 * (under the stock timer; where the trace shows skips, under lazy), and the interrupts and exits
 * that come out are held against the guest's timer interrupts and the host's exits that are there.
 */
#ifndef LAZYTSC_REPLAY_VALIDATE_H
#define LAZYTSC_REPLAY_VALIDATE_H

#include "replay.h"
#include "trace/trace.h"

/* One kind of event: predicted and seen, one by one in order of time. */
struct agreement {
	uint64_t both; /* predicted, and there */
	uint64_t missing; /* predicted, and not there */
	uint64_t unexpected; /* there, and not predicted */
	uint64_t first_missing, first_unexpected; /* time stamps; 0: none */
};

/* Interrupts that were not predicted, by what the guest had written. */
struct unexpected {
	uint64_t replaced; /* a deadline that was overwritten less than NEAR_US before it was due */
	uint64_t none; /* no deadline stood, and none had just been overwritten */
	uint64_t early; /* the deadline that stood was due later */
};

struct validated_vcpu {
	struct trace_vcpu at;
	char name[REPLAY_VCPU_NAME];
	uint64_t writes, skipped;
	struct agreement interrupts; /* timer interrupts in the guest */
	struct unexpected why;
	struct agreement exits; /* MSR_WRITE of the host's kvm_exit, each with its write */
	uint64_t other_exits; /* MSR_WRITE before no deadline write: of other MSRs */
	uint64_t timer_exits, deliveries; /* PREEMPTION_TIMER; at most as many as deliveries */
};

struct validation {
	struct trace_stats stats;
	bool lazy; /* the trace shows skips */
	bool has_interrupts, has_exits; /* so that there is something to hold against */
	size_t nvcpus;
	struct validated_vcpu *vcpus;
	struct validated_vcpu total;
	char error[512];
};

/** validate() - 0, or -1 with v->error set; validate_free() is due in both cases */
int validate(struct validation *v, const char *path, const struct trace_options *options);
void validate_free(struct validation *v);

/** agreement_percent() - both, of all that was predicted or seen */
double agreement_percent(const struct agreement *a);

#endif
