/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trace as the stream of deadline writes that a replay needs: checked for order, with gaps where
 * events were lost, in guest TSC. What is left out is counted by kind.
 *
 *	struct trace *t;
 *
 *	if (trace_open(path, &options, &t))
 *		complain(trace_error(t));
 *	while ((got = trace_next(t, &event)) > 0)
 *		...
 *	if (got < 0)
 *		complain(trace_error(t));
 *	trace_close(t);
 *
 * Memory does not grow with the trace.
 */
#ifndef LAZYTSC_TRACE_H
#define LAZYTSC_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "line.h"

struct trace_options {
	double tsc_khz; /* 0: not given; estimate where it is needed */
};

struct trace_event {
	bool gap; /* events of this vCPU were lost here; now and value do not count */
	unsigned int vcpu;
	uint64_t now; /* guest TSC of the write; never below that of the same vCPU's write before */
	uint64_t value; /* the deadline; 0 disarms */
};

struct trace_stats {
	uint64_t lines;
	uint64_t kinds[TRACE_LINE_KINDS]; /* lines by kind; their sum is lines */
	uint64_t writes; /* handed out */
	uint64_t out_of_order; /* dropped: below their predecessor on the same vCPU */
	uint64_t other_source; /* dropped: deadline writes of the other side, or of another clock */
	uint64_t no_vcpu; /* dropped: a host's line that does not tell its vCPU */
	uint64_t gaps; /* handed out */
	uint64_t lost_events; /* as far as the gaps say */
	uint64_t first_damaged, first_out_of_order; /* line numbers; 0: none */
	bool host; /* kvm:kvm_msr, not msr:write_msr */
	bool cycles; /* raw time stamps */

	/* How time stamps were turned into guest TSC. */
	bool approximate; /* they were; else they are guest TSC */
	bool irqs_seen; /* timer interrupts gave the offset, and offset_error holds */
	double tsc_khz; /* given or estimated; 0: not needed. Host with x86-tsc: cycles for 1000 */
	double tsc_khz_error; /* estimated: by how much it may be wrong; 0: given */
	double offset_error; /* TSC cycles: how far the interrupts scatter */
};

struct trace;

/**
 * trace_open() - start to read a trace
 * @path:    a file, or "-" for standard input
 * @options: copied
 * @t:       set to the trace; trace_close() frees it, after an error as well
 *
 * Return: 0, or -1 on an error.
 */
int trace_open(const char *path, const struct trace_options *options, struct trace **t);

/** trace_next() - Return: 1 and the next event, 0 at the end, -1 on an error */
int trace_next(struct trace *t, struct trace_event *ev);

/** trace_stats() - what was read so far; complete when trace_next() has returned 0 */
const struct trace_stats *trace_stats(const struct trace *t);

/** trace_error() - one line that says what is wrong, beginning with the file's name */
const char *trace_error(const struct trace *t);

void trace_close(struct trace *t);

#endif
