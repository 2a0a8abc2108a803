/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM lazytsc

#if !defined(_TRACE_LAZYTSC_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_LAZYTSC_H

#include <linux/tracepoint.h>

/*
 * lazytsc_skip: a deadline that was not written to the MSR. lazytsc_write: one that is about to be,
 * in kernels whose msr:write_msr does not show it. Both print as msr:write_msr does, so that a
 * trace of both shows the same deadlines as that of a guest without the feature.
 */
DECLARE_EVENT_CLASS(lazytsc_deadline,
	TP_PROTO(u64 deadline),
	TP_ARGS(deadline),

	TP_STRUCT__entry(
		__field(u64, deadline)
	),

	TP_fast_assign(
		__entry->deadline = deadline;
	),

	TP_printk("6e0, value %llx", __entry->deadline)
);

DEFINE_EVENT(lazytsc_deadline, lazytsc_skip,
	TP_PROTO(u64 deadline),
	TP_ARGS(deadline)
);

#ifdef KVM_LAZY_TRACE_WRITES
DEFINE_EVENT(lazytsc_deadline, lazytsc_write,
	TP_PROTO(u64 deadline),
	TP_ARGS(deadline)
);
#endif

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH asm/trace
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE lazytsc

/* This part must be outside protection */
#include <trace/define_trace.h>
