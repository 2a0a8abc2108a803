/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest TSC from another clock's time stamps.
 *
 * Two kinds of lines bound the guest TSC at a time stamp: a deadline that is written lies ahead
 * (TSC <= value), and when the timer interrupt is taken its deadline has passed (TSC >= value).
 * A straight line is fitted to a window of them: its slope is that of the lower hull of the
 * writes (Moon, Skelly, Towsley, "Estimation and removal of clock skew from network delay
 * measurements", INFOCOM 1999), its height that of the interrupts where there are any, else that
 * of the writes.
 */
#ifndef LAZYTSC_TRACE_CLOCK_H
#define LAZYTSC_TRACE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock_point {
	uint64_t ts; /* the other clock */
	uint64_t value; /* guest TSC */
};

struct clock_fit {
	uint64_t ts0, value0; /* guest TSC at ts is value0 + rate * (ts - ts0) + offset */
	double rate; /* TSC cycles for one unit of the other clock */
	double rate_error;
	double offset;
	double offset_error; /* the guest TSC is at most this much later than the fit; < 0: unknown */
};

/**
 * clock_fit() - fit a window
 * @writes: deadline writes; sorted in place
 * @irqs:   time stamps of interrupts with the deadline that stood before; sorted in place
 * @rate:   TSC cycles for one unit, or 0: estimate
 * @fit:    the result
 *
 * Return: false when there is too little to estimate a rate from, or what comes out is no TSC.
 */
bool clock_fit(struct clock_point *writes, size_t nwrites, struct clock_point *irqs, size_t nirqs,
	       double rate, struct clock_fit *fit);

/** clock_tsc() - guest TSC at a time stamp */
uint64_t clock_tsc(const struct clock_fit *fit, uint64_t ts);

#endif
