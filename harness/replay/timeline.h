/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps of a replay in the Trace Event Format (JSON) that ui.perfetto.dev and chrome://tracing
 * read, as `lazytsc sim --perfetto` writes it: for each vCPU a track with what happens, and two
 * counters, armed and pending, as the time left until them, in us (0 where there is none).
 */
#ifndef LAZYTSC_REPLAY_TIMELINE_H
#define LAZYTSC_REPLAY_TIMELINE_H

#include "replay.h"

struct timeline;

/** timeline_open() - NULL, with a message: the file cannot be written */
struct timeline *timeline_open(const char *path);
void timeline_step(struct timeline *t, const struct replay_step *step);
/** timeline_close() - @r: names the tracks; false, with a message: nothing is there */
bool timeline_close(struct timeline *t, const struct replay *r, const char *variant);
/** timeline_discard() - nothing is there */
void timeline_discard(struct timeline *t);

#endif
