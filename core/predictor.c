// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <lazytsc/predictor.h>

#define FRACTION 8 /* bits, of a period and of an error */

/* Times, as multiples of the slack (a microsecond). */
#define SHORTEST_PERIOD 32
#define CLOSE		64 /* a timer so soon after a delivery may have been merged into it */

/* TSC cycles, about an hour: with its fraction, and a sum of two, it stays within 64 bits. */
#define LONGEST_PERIOD (1ULL << 43)

/* Worth, halves, ages, chances: see docs/early.md for what each was measured to earn. */
#define WORTH_NEW   2
#define WORTH_MAX   8
#define HALVES_HIT  3
#define HALVES_MAX  12
#define AGE_MAX	    256
#define CHANCE_NEW  64
#define CHANCE_RATE 3
#define ERROR_RATE  4
#define AGAIN_RATE  6

/* Context of a beat: what the host knew when it was weighed, and whether it is close. */
enum {
	CONTEXT_CLOSE = 1,
	CONTEXT_AT_REST = 2, /* what the guest wants is known; else it has just been delivered */
	CONTEXT_NONE = 4, /* not to be judged */
};

void lazytsc_predictor_init(struct lazytsc_predictor *p, u64 slack)
{
	/* Errors with their fraction, and all multiples of the slack, stay within their types. */
	p->slack = slack < 1 << 22 ? slack : 1 << 22;
	p->credit = LAZYTSC_PREDICTOR_CREDIT;
	p->chosen = -1;
}

/* The distance from b to a, with its sign; times wrap. */
static s64 distance(u64 a, u64 b)
{
	return (s64)(a - b);
}

static u64 magnitude(s64 d)
{
	return d < 0 ? -(u64)d : (u64)d;
}

static u64 smaller(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* Cycles in n periods. */
static u64 beats(const struct lazytsc_stream *s, u64 n)
{
	return (s->period * n) >> FRACTION;
}

/* How many periods d cycles are, to the nearest. */
static u64 in_beats(const struct lazytsc_stream *s, u64 d)
{
	return (smaller(d, LONGEST_PERIOD) * (1 << FRACTION) + s->period / 2) / s->period;
}

static void raise_chance(struct lazytsc_stream *s)
{
	u8 *c;

	if (s->seen || s->context >= CONTEXT_NONE)
		return;
	c = &s->chance[s->context];
	*c += (255 - *c + (1 << CHANCE_RATE) - 1) >> CHANCE_RATE;
}

static void lower_chance(struct lazytsc_stream *s)
{
	u8 *c;

	if (s->seen || s->context >= CONTEXT_NONE)
		return;
	c = &s->chance[s->context];
	*c -= (*c + (1 << CHANCE_RATE) - 1) >> CHANCE_RATE;
}

static void advance(struct lazytsc_stream *s, u64 n)
{
	s->next += beats(s, n);
	s->context = CONTEXT_NONE;
	s->seen = false;
}

/* Go on to the first beat that is not over at t. One that has come and gone unseen was unwanted. */
static void pass(const struct lazytsc_predictor *p, struct lazytsc_stream *s, u64 t)
{
	u64 late, n;

	if (!s->period || distance(t, s->next) <= (s64)p->slack)
		return;

	late = t - s->next - p->slack;
	if (late >= LONGEST_PERIOD) {
		s->period = 0;
		s->worth = 0;
		return;
	}
	n = (late << FRACTION) / s->period + 1;
	lower_chance(s);
	advance(s, n);
}

/* A deadline on the current beat: correct phase, period and error by it. */
static void learn(const struct lazytsc_predictor *p, struct lazytsc_stream *s, u64 deadline)
{
	s64 error = distance(deadline, s->next); /* at most the slack */
	s64 unseen = (s64)in_beats(s, deadline - s->last);

	if (unseen < 1)
		unseen = 1;

	/* After a long time most of the error is drift, after a short time most of it is noise. */
	s->period += (u64)(error * (1 << FRACTION) / (unseen + (s64)s->age));
	if (s->period >> FRACTION < SHORTEST_PERIOD * p->slack)
		s->period = (SHORTEST_PERIOD * p->slack) << FRACTION;
	s->next += (u64)(error * (unseen + 1) / (unseen + 16));
	s->error -= s->error >> ERROR_RATE;
	s->error += (u32)(magnitude(error) << FRACTION) >> ERROR_RATE;
	s->age = (u32)smaller(s->age + (u64)unseen, AGE_MAX);
	s->last = deadline;
	raise_chance(s);
	s->seen = true;
	if (s->worth < WORTH_MAX)
		s->worth++;
	if (s->halves)
		s->halves--;
}

static void restart_stream(struct lazytsc_stream *s, u64 period, u64 beat)
{
	/* One by one: a compiler may make a call of a larger copy. */
	s->period = period;
	s->next = beat;
	s->last = beat;
	s->error = 32 << FRACTION;
	s->age = 2;
	s->worth = WORTH_NEW;
	s->halves = 0;
	s->context = CONTEXT_NONE;
	s->seen = true;
	s->chance[0] = CHANCE_NEW;
	s->chance[CONTEXT_CLOSE] = 0;
	s->chance[CONTEXT_AT_REST] = CHANCE_NEW;
	s->chance[CONTEXT_AT_REST | CONTEXT_CLOSE] = 0;
}

/* A deadline in the middle between two beats: once that is frequent, the period is the half. */
static bool halve(const struct lazytsc_predictor *p, struct lazytsc_stream *s, u64 deadline)
{
	u64 half = s->period / 2;
	u64 middle = s->next - (half >> FRACTION);

	if (half >> FRACTION < SHORTEST_PERIOD * p->slack ||
	    magnitude(distance(deadline, middle)) > p->slack)
		return false;
	s->halves += HALVES_HIT;
	if (s->halves >= HALVES_MAX)
		restart_stream(s, half, deadline);
	return true;
}

static void new_stream(struct lazytsc_predictor *p, u64 period, u64 beat)
{
	struct lazytsc_stream *least = &p->streams[0];

	for (int i = 1; i < LAZYTSC_STREAMS; i++) {
		if (p->streams[i].worth < least->worth)
			least = &p->streams[i];
	}
	if (!least->worth) {
		restart_stream(least, period, beat);
		return;
	}
	for (int i = 0; i < LAZYTSC_STREAMS; i++)
		p->streams[i].worth--;
}

/* A delivery that fits no stream. With two former ones at equal distances it is a new stream. */
static void stray(struct lazytsc_predictor *p, u64 deadline)
{
	/* The latest first: of several periods the shortest is taken. */
	for (u32 i = 1; i <= LAZYTSC_STRAYS; i++) {
		u64 middle = p->strays[(p->stray - i) % LAZYTSC_STRAYS];
		u64 period = deadline - middle;

		if (!middle || middle >= deadline || period < SHORTEST_PERIOD * p->slack ||
		    period > LONGEST_PERIOD / 2)
			continue;
		for (int j = 0; j < LAZYTSC_STRAYS; j++) {
			u64 first = p->strays[j];

			if (!first || first >= middle ||
			    magnitude(distance(middle - first, period)) > p->slack)
				continue;
			new_stream(p, ((deadline - first) << FRACTION) / 2, deadline);
			goto keep;
		}
	}
keep:
	p->strays[p->stray++ % LAZYTSC_STRAYS] = deadline;
}

/* How far a deadline is from the beat of a stream that is nearest to it; *is_next: from `next`. */
static u64 off_beat(const struct lazytsc_stream *s, u64 deadline, bool *is_next)
{
	s64 d = distance(deadline, s->next);

	*is_next = d <= (s64)beats(s, 1) / 2;
	if (!*is_next)
		d = distance(deadline, s->next + beats(s, in_beats(s, (u64)d)));
	return magnitude(d);
}

/* The guest wants, or has been given, this deadline. */
static void observe(struct lazytsc_predictor *p, u64 deadline, bool due)
{
	struct lazytsc_stream *found = (struct lazytsc_stream *)0;
	bool is_next = false;
	u64 least = ~(u64)0;

	for (int i = 0; i < LAZYTSC_STREAMS; i++) {
		struct lazytsc_stream *s = &p->streams[i];
		bool at_next;
		u64 off;

		if (!s->period)
			continue;
		off = off_beat(s, deadline, &at_next);
		if (off > p->slack || off >= least)
			continue;
		least = off;
		found = s;
		is_next = at_next;
	}
	if (found) {
		if (is_next)
			learn(p, found, deadline);
		if (is_next && due)
			advance(found, 1);
		return;
	}
	for (int i = 0; i < LAZYTSC_STREAMS; i++) {
		if (p->streams[i].period && halve(p, &p->streams[i], deadline))
			return;
	}
	if (due)
		stray(p, deadline);
}

/* What host and guest have done since the last call, as far as it bears on B12. */
static void account(struct lazytsc_predictor *p, const struct lazytsc_host *h, bool skip)
{
	u64 silent = h->stats.silent_running + h->stats.silent_blocked;
	u64 cost = silent - p->silent;

	p->silent = silent;
	if (skip && p->credit < LAZYTSC_PREDICTOR_CREDIT)
		p->credit++;
	p->credit -= (u32)smaller(cost, p->credit);
}

/* A guess may cost one silent expiry, and the one before it may not be accounted for yet. */
static u64 afford(struct lazytsc_predictor *p, u64 guess)
{
	if (p->credit >= 2)
		return guess;
	p->chosen = -1;
	return 0;
}

/* A little before a beat, so that its deadline is found ahead, and near enough to wait for. */
static u64 before(const struct lazytsc_predictor *p, int stream, u64 beat)
{
	u64 error = p->streams[stream].error;

	return beat - smaller(3 * (error >> FRACTION) + p->slack / 64, p->slack);
}

/* Where the beats that are ahead stand, and in which context. */
static void look_ahead(struct lazytsc_predictor *p, u64 now, u64 *ahead, u8 kind)
{
	for (int i = 0; i < LAZYTSC_STREAMS; i++) {
		struct lazytsc_stream *s = &p->streams[i];

		ahead[i] = ~(u64)0;
		if (!s->period)
			continue;
		ahead[i] = s->next;
		if (s->seen)
			ahead[i] += beats(s, 1);
		if (distance(now, ahead[i]) > 0)
			ahead[i] += beats(s, ((now - ahead[i]) << FRACTION) / s->period + 1);
		if (ahead[i] == s->next)
			s->context = kind | (s->next - p->delivered < CLOSE * p->slack);
	}
}

/*
 * Which beat will be the first that the guest wants? Each has a chance, by its stream and context,
 * and the first comes first. At rest, with a deadline known (limit) or none, a beat must be
 * likelier than that nothing comes before; after a delivery the next write exits anyway unless
 * something is armed, so the likeliest beat is as good as any.
 */
static u64 choose(struct lazytsc_predictor *p, u64 now, u64 limit, u8 kind)
{
	u64 ahead[LAZYTSC_STREAMS], best = 0;
	u32 none = 1 << 16, score = 0; /* of 65536: that no beat so far is wanted; that best is */

	look_ahead(p, now, ahead, kind);
	p->chosen = -1;
	for (int n = 0; n < LAZYTSC_STREAM_STEPS; n++) {
		const struct lazytsc_stream *s;
		u32 chance;
		int i = 0;

		for (int k = 1; k < LAZYTSC_STREAMS; k++) {
			if (ahead[k] < ahead[i])
				i = k;
		}
		if (ahead[i] >= limit)
			break;
		s = &p->streams[i];
		chance = s->chance[kind | (ahead[i] - p->delivered < CLOSE * p->slack)];
		if ((none * chance) >> 8 > score) {
			score = (none * chance) >> 8;
			best = ahead[i];
			p->chosen = i;
		}
		none = (none * (256 - chance)) >> 8;
		if (none < score)
			break; /* nothing further on can be likelier */
		ahead[i] += beats(s, 1);
	}
	if (p->chosen < 0 || (kind == CONTEXT_AT_REST && score <= none)) {
		p->chosen = -1;
		return 0;
	}
	return before(p, p->chosen, best);
}

/* The deadline was, or is about to be, delivered: guess the next one. */
static u64 guess_after(struct lazytsc_predictor *p, u64 deadline, u64 now)
{
	for (int i = 0; i < LAZYTSC_STREAMS; i++)
		pass(p, &p->streams[i], deadline);
	observe(p, deadline, true);
	p->delivered = deadline;
	p->certain = false;
	return choose(p, now, ~(u64)0, 0);
}

/* The guest wants this deadline, which is ahead; 0: nothing, as far as the host can tell. */
static u64 guess_at_rest(struct lazytsc_predictor *p, u64 wanted, u64 now)
{
	u64 guess;

	if (wanted)
		observe(p, wanted, false);
	p->certain = wanted != 0;
	guess = choose(p, now, wanted ? wanted - p->slack : ~(u64)0, CONTEXT_AT_REST);
	if (guess)
		p->certain = false;
	else if (wanted && p->again)
		guess = wanted - smaller(p->again, wanted);
	return guess;
}

u64 lazytsc_predictor_write(struct lazytsc_predictor *p, const struct lazytsc_host *h,
			    const struct lazytsc_area *area, u64 v, u64 now)
{
	u64 pending;

	if (!p->slack || !area)
		return 0;
	pending = lazytsc_load(&area->pending);
	account(p, h, false);
	/* A store that was taken for a skip, and was the beginning of this write. */
	if (p->proven && pending == p->known)
		p->credit -= (u32)smaller(1, p->credit);
	p->known = pending;
	p->proven = false;
	if (!v || pending != v)
		return 0;

	/* Wanted once more, but a little earlier than the host looks for it. */
	if (p->certain && v < h->timer && h->timer - v < p->slack)
		p->again = smaller(p->again + (h->timer - v) + p->slack / 128, p->slack / 2);
	for (int i = 0; i < LAZYTSC_STREAMS; i++)
		pass(p, &p->streams[i], now);
	return afford(p, v <= now ? guess_after(p, v, now) : guess_at_rest(p, v, now));
}

u64 lazytsc_predictor_expire(struct lazytsc_predictor *p, const struct lazytsc_host *h,
			     const struct lazytsc_area *area, const struct lazytsc_expiry *e)
{
	u64 wait = e->context == LAZYTSC_VCPU ? e->wait : 0;
	u64 fired = h->timer, pending, guess;
	bool changed;

	if (!p->slack || !h->lazy)
		return 0;
	lazytsc_assert(area);
	pending = lazytsc_load(&area->pending);
	changed = pending != p->known;
	account(p, h, changed);
	p->known = pending;
	p->proven = changed || p->proven;

	if (pending >= fired && (pending <= e->now || pending - e->now <= wait)) {
		if (p->certain)
			p->again -= (p->again + (1 << AGAIN_RATE) - 1) >> AGAIN_RATE;
		guess = guess_after(p, pending, pending > e->now ? pending : e->now);
	} else {
		/*
		 * If the guest has written since, and wants something far off now, who knows
		 * whether it wanted the guess meanwhile (a tick, restarted and stopped).
		 */
		if (p->chosen >= 0 && changed &&
		    (pending < fired || pending - fired > beats(&p->streams[p->chosen], 1)))
			p->streams[p->chosen].context = CONTEXT_NONE;
		if (pending >= fired && pending - fired <= p->slack) {
			/* Nobody can wait here: its beat is not over; looking early is no use. */
			p->again = 0;
		} else {
			for (int i = 0; i < LAZYTSC_STREAMS; i++)
				pass(p, &p->streams[i], fired + 2 * p->slack + 1);
		}
		if (pending < fired && changed)
			guess = choose(p, e->now, ~(u64)0, 0);
		else
			guess = guess_at_rest(p, pending >= fired ? pending : 0, e->now);
	}
	return afford(p, guess);
}
