/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a replay says, in a few sentences that can be forwarded, and the figures in them. Rates are
 * a second of the trace's time; costs are in % of one CPU.
 */
#ifndef LAZYTSC_REPLAY_ANSWER_H
#define LAZYTSC_REPLAY_ANSWER_H

#include "replay.h"

/* Is it worth it? By what the busiest vCPU's host gets back, in % of one CPU. */
enum worth {
	WORTH_IT, /* at least WORTH_PERCENT */
	WORTH_LITTLE, /* at least LITTLE_PERCENT */
	WORTH_NOTHING,
	WORTH_LEVELS
};

#define WORTH_PERCENT  1.0
#define LITTLE_PERCENT 0.1

/* As in JSON. */
extern const char *const worth_names[WORTH_LEVELS];

/* What a policy takes away from the stock timer's. */
struct gain {
	double entries; /* host entries a second; negative: it adds some */
	double percent; /* of stock's */
	double cpu; /* by the cost model */
	double busiest_cpu; /* of the vCPU where that is most */
	bool measured; /* the trace has kvm_exit and kvm_entry, so `own_cpu` holds */
	double own_cpu; /* by how long the trace's own exits took, waits included */
	double waited_us; /* a second */
	double early; /* interrupts a second that come before the deadline that the guest held */
	enum worth worth;
};

struct answer {
	bool rates; /* false: the trace has no length, and nothing of the following holds */
	double writes; /* a second, for each vCPU */
	double busiest_writes; /* of the busiest vCPU */
	const char *busiest; /* its name */
	double stock_entries; /* a second */
	double stock_cpu, stock_busiest_cpu; /* by the cost model */
	double write_ns, timer_ns; /* one exit in the trace; 0: not measured */
	struct gain lazy, early;
	enum worth worth; /* the better of both */
	/*
	 * Where the guest is not equally busy all the time: the tenth of the trace in which stock
	 * has most host entries.
	 */
	bool has_peak;
	double peak_seconds; /* its length */
	double peak_from; /* when it begins, s, as --from takes it; negative: before that */
	double peak_stock, peak_lazy; /* host entries a second there */
	double peak_cpu; /* what lazy takes away there, at the cost of a write's exit each */
};

/** answer() - the figures; @r needs lazy and early among its policies */
struct answer answer(const struct replay *r);

/** answer_text() - the sentences, in one line; to be freed. @name: the trace's */
char *answer_text(const char *name, const struct replay *r);

/** answer_cpu() - what a policy's counts cost the host, % of one CPU, by the cost model */
double answer_cpu(const struct replay *r, const struct counts *k);

/** answer_rate() - @n a second of the trace; 0 where it has no length */
double answer_rate(const struct replay *r, uint64_t n);

/** rate_text() - three digits and more, as "0.12", "1.23", "12.3", "1234"; @to: 32 bytes */
const char *rate_text(double rate, char *to);

/** cpu_text() - a share of a CPU in %: "0.012", "0.12", "1.23"; @to: 32 bytes */
const char *cpu_text(double percent, char *to);

/** percent_text() - with so many decimals, but never 100 where that is not so; @to: 32 bytes */
const char *percent_text(double percent, int digits, char *to);

/** evidence_names - as in JSON, by enum trace_evidence */
extern const char *const evidence_names[];

#endif
