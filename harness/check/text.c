// SPDX-License-Identifier: BSD-2-Clause
/* Scenarios and times as text. */
#include <inttypes.h>
#include <stdio.h>

#include "check.h"

/* What a scenario's letters are, in words. */
static void alphabet(const struct lazytsc_scenario *s, char text[CHECK_TEXT])
{
#define X(name, words, valued) words,
	static const char *const ops[] = { LAZYTSC_GUEST_OPS(X) };
#undef X
	size_t at = 0;

	text[0] = 0;
	for (unsigned int op = 0; op < LAZYTSC_GUEST_OPS_COUNT; op++)
		if (s->alphabet & 1u << op)
			at += (size_t)snprintf(text + at, CHECK_TEXT - at, "%s%s", at ? ", " : "",
					       ops[op]);
}

/* The disturbances that few scenarios have. */
static void besides(const struct lazytsc_scenario *s, char text[CHECK_TEXT])
{
	const struct {
		u64 n;
		const char *what;
	} some[] = {
		{ s->jumps, "TSC changes" },
		{ s->forgets, "lost timers" },
		{ s->siblings, "stores by another vCPU" },
		{ s->unmaps, "MMU notifiers" },
		{ s->nearest, "cycles between re-arms" },
		{ s->grace, "cycles of grace" },
	};
	size_t at = 0;

	snprintf(text, CHECK_TEXT, "-");
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		if (some[i].n)
			at += (size_t)snprintf(text + at, CHECK_TEXT - at, "%s%llu %s",
					       at ? ", " : "", (unsigned long long)some[i].n,
					       some[i].what);
	if (s->free)
		at += (size_t)snprintf(text + at, CHECK_TEXT - at, "%sfree looks", at ? ", " : "");
	if (s->restores)
		at += (size_t)snprintf(text + at, CHECK_TEXT - at, "%sa restore part by part",
				       at ? ", " : "");
	if (s->impatient)
		snprintf(text + at, CHECK_TEXT - at, "%sno patience", at ? ", " : "");
}

const char *check_number(u64 v, char text[24])
{
	if (v == ~(u64)0)
		snprintf(text, 24, "~0");
	else if (v > ~(u64)0 - 1000)
		snprintf(text, 24, "~0-%" PRIu64, ~(u64)0 - v);
	else
		snprintf(text, 24, "%" PRIu64, v);
	return text;
}

const char *check_dimension(const struct lazytsc_scenario *s, unsigned int i, char text[CHECK_TEXT])
{
	static const char *const names[CHECK_DIMENSIONS] = {
		"clock", "deadlines", "ops",   "decided in", "advance", "guesses",
		"trips", "memslots",  "wakes", "stale",	     "besides", "each op is one of",
	};
	static const char *const where[] = { "none", "vCPU", "other", "either" };
	char from[24], to[24];

	check_number(s->start, from);
	check_number(s->horizon, to);
	switch (i) {
	case CHECK_CLOCK:
		snprintf(text, CHECK_TEXT, "%s..%s", from, to);
		break;
	case CHECK_DEADLINES:
		snprintf(text, CHECK_TEXT, "%s%s..%s%s", s->start ? "0 1 " : "", from, to,
			 s->horizon == ~(u64)0 ? "" : " ~0");
		break;
	case CHECK_OPS:
		snprintf(text, CHECK_TEXT, "%u", s->ops);
		break;
	case CHECK_DECIDED_IN:
		snprintf(text, CHECK_TEXT, "%s", where[s->where]);
		break;
	case CHECK_ADVANCE:
		snprintf(text, CHECK_TEXT, "%llu", (unsigned long long)s->wait);
		break;
	case CHECK_GUESSES:
		check_number(s->start + 1, from);
		check_number(s->horizon == ~(u64)0 ? s->horizon : s->horizon + 1, to);
		snprintf(text, CHECK_TEXT, "none");
		if (s->guesses)
			snprintf(text, CHECK_TEXT, "none %s..%s", from, to);
		break;
	case CHECK_TRIPS:
		snprintf(text, CHECK_TEXT, "%u", s->trips);
		break;
	case CHECK_MEMSLOTS:
		snprintf(text, CHECK_TEXT, "%u", s->slots);
		break;
	case CHECK_WAKES:
		snprintf(text, CHECK_TEXT, "%u", s->wakes);
		break;
	case CHECK_STALE:
		snprintf(text, CHECK_TEXT, "%u", s->stale);
		break;
	case CHECK_BESIDES:
		besides(s, text);
		break;
	default:
		alphabet(s, text);
		break;
	}
	return names[i];
}
