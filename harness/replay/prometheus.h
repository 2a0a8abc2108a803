/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The figures of many traces as Prometheus' text exposition format, for each VM and vCPU: what
 * node_exporter's textfile collector reads.
 */
#ifndef LAZYTSC_REPLAY_PROMETHEUS_H
#define LAZYTSC_REPLAY_PROMETHEUS_H

#include <stdio.h>

#include "replay.h"

struct prometheus;

struct prometheus *prometheus_new(void);
/** prometheus_add() - a trace's figures; of the first @shown policies */
void prometheus_add(struct prometheus *p, const char *name, const struct replay *r, size_t shown);
/** prometheus_print() - and frees it */
void prometheus_print(FILE *to, struct prometheus *p);

#endif
