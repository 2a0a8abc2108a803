/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Do a trace's time stamps and its deadlines share a clock? The trace has to show it: timer
 * interrupts that follow their deadlines, writes that follow delivered deadlines, or deadlines that
 * lie just ahead of the time of their write.
 */
#ifndef LAZYTSC_TRACE_JUDGE_H
#define LAZYTSC_TRACE_JUDGE_H

#include "clock.h"

enum judgement {
	JUDGE_SHARED, /* one clock: time stamps can be used as they are */
	JUDGE_UNPROVEN, /* it may be one clock; nothing in the trace shows it */
	JUDGE_OFFSET, /* one unit, but counted from elsewhere */
	JUDGE_OTHER, /* another clock, with a plausible rate */
	JUDGE_NO_TIME, /* time stamps that are no time: trace_clock counter, or uptime */
};

struct judge_result {
	enum judgement judgement;
	double rate; /* of the deadlines against the time stamps; 0: not known */
	size_t irqs, irqs_agree; /* timer interrupts seen, and those just behind their deadline */
};

/**
 * judge() - look at the evidence
 * @points:  of the trace
 * @latency: how long a timer interrupt may at least take, in the deadlines' unit
 */
struct judge_result judge(const struct clock_points *points, double latency);

#endif
