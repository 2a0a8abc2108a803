/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One trace's replay as one self-contained page: page.html with the JSON of the report in it, and
 * what only a picture can show: exits over time, the deadlines' moves, lateness, and the first
 * steps of one variant.
 */
#ifndef LAZYTSC_REPLAY_PAGE_H
#define LAZYTSC_REPLAY_PAGE_H

#include "replay.h"
#include "report.h"

struct page;

/** page_open() - NULL, with a message: the file cannot be written */
struct page *page_open(const char *path);
/** page_step() - the first PAGE_STEPS of them are kept */
void page_step(struct page *p, const struct replay_step *step);
/** page_close() - false, with a message: nothing is there */
bool page_close(struct page *p, const char *name, const struct replay *r,
		const struct report_options *o);
/** page_discard() - nothing is there */
void page_discard(struct page *p);

#define PAGE_STEPS 20000

#endif
