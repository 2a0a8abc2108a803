// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The predictor, in two parts. The first follows streams: where their beats are, and how likely
 * each is to be wanted. The second chooses a beat of some stream to look at, and keeps the credit.
 * How it works, and what each constant was measured to earn, is in docs/early.md and
 * docs/early-ablation.md.
 */
#include <lazytsc/predictor.h>

/* Periods and errors are kept with this many bits of fraction. */
#define FRACTION 8

/*
 * TSC cycles. A longer slack counts as this, about a millisecond: what is a multiple of the slack,
 * and an error with its fraction, stays within its type.
 */
#define LONGEST_SLACK (1 << 22)

/* TSC cycles, about an hour: with its fraction, and a sum of two, it stays within 64 bits. */
#define LONGEST_PERIOD (1ULL << 43)

/* Multiples of the slack. Shorter periods are bursts, not streams. */
#define SHORTEST_PERIOD 32
/* Multiples of the slack. A guest may have merged a timer so close after a delivery into it. */
#define CLOSE 64

/* How well a stream is known when it has just been found. */
#define AGE_NEW	  2 /* beats: it was found by two distances */
#define ERROR_NEW 32 /* TSC cycles */
/* A period is corrected by the error over this many beats at most: it may change. */
#define AGE_MAX 256
/* Beats. After a pause as long as this, half of an error is drift; the phase is corrected by it. */
#define PHASE_BEATS 16
/* The mean error moves by 1/2^4 of the difference with each deadline. */
#define ERROR_RATE 4

/* A stream's place is free for a new one when that many new ones have come without a beat seen. */
#define WORTH_NEW 2
#define WORTH_MAX 8

/* A deadline between two beats counts as three on a beat; at twelve the period is halved. */
#define HALVES_HIT 3
#define HALVES_MAX 12

/* A chance is of 256, begins at a quarter, and moves by 1/2^3 of what is left with each beat. */
#define CHANCE_ONE  256
#define CHANCE_NEW  64
#define CHANCE_RATE 3

/* A guess lies before its beat by three mean errors and 1/64 of the slack; by no more than it. */
#define MARGIN_ERRORS 3
#define MARGIN_LEAST  64

/* What `again` grows by beyond what it fell short of: 1/128 of the slack. It stays below half. */
#define AGAIN_MORE 128
#define AGAIN_MOST 2
/* Each delivery at a deadline that was known takes 1/2^6 from `again`. */
#define AGAIN_RATE 6

/* Silent expiries that a guess needs in credit: its own, and the one before, not yet accounted. */
#define CREDIT_LEAST 2

/* The context in which a beat was weighed: an index of lazytsc_stream.chance, of two bits. */
enum {
	CONTEXT_DELIVERED = 0, /* a deadline has just been delivered */
	CONTEXT_CLOSE = 1, /* the beat is close to the last delivery */
	CONTEXT_AT_REST = 2, /* the host knows what the guest wants, or that it wants nothing */
	CONTEXT_NONE = 4, /* not weighed, or not to be judged: no index */
};

#define NOTHING_AHEAD (~(u64)0)

/* --- Streams --- */

/* The distance from b to a, with its sign; times wrap. */
static s64 distance(u64 a, u64 b)
{
	return (s64)(a - b);
}

/* How far two times lie apart. */
static u64 apart(u64 a, u64 b)
{
	return a - b < b - a ? a - b : b - a;
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

/* How many periods, to the nearest, t lies after `from`; 0 where it lies before. */
static u64 beats_after(const struct lazytsc_stream *s, u64 t, u64 from)
{
	s64 d = distance(t, from);

	if (d < 0)
		return 0;
	return (smaller((u64)d, LONGEST_PERIOD) * (1 << FRACTION) + s->period / 2) / s->period;
}

static void raise_chance(struct lazytsc_stream *s)
{
	u8 *c;

	if (s->seen || s->context >= CONTEXT_NONE)
		return;
	c = &s->chance[s->context];
	*c += (CHANCE_ONE - 1 - *c + (1 << CHANCE_RATE) - 1) >> CHANCE_RATE;
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
static void pass(struct lazytsc_stream *s, u64 slack, u64 t)
{
	u64 late, n;

	if (!s->period || distance(t, s->next) <= (s64)slack)
		return;

	late = t - s->next - slack;
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
static void learn(struct lazytsc_stream *s, u64 slack, u64 deadline)
{
	s64 error = distance(deadline, s->next); /* at most the slack */
	s64 unseen = (s64)beats_after(s, deadline, s->last);

	if (unseen < 1)
		unseen = 1;

	/* After a long time most of the error is drift, after a short time most of it is noise. */
	s->period += (u64)(error * (1 << FRACTION) / (unseen + (s64)s->age));
	if (s->period >> FRACTION < SHORTEST_PERIOD * slack)
		s->period = (SHORTEST_PERIOD * slack) << FRACTION;
	s->error -= s->error >> ERROR_RATE;
	s->error += (u32)(apart(deadline, s->next) << FRACTION) >> ERROR_RATE;
	s->next += (u64)(error * (unseen + 1) / (unseen + PHASE_BEATS));
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
	s->error = ERROR_NEW << FRACTION;
	s->age = AGE_NEW;
	s->worth = WORTH_NEW;
	s->halves = 0;
	s->context = CONTEXT_NONE;
	s->seen = true;
	s->chance[CONTEXT_DELIVERED] = CHANCE_NEW;
	s->chance[CONTEXT_DELIVERED | CONTEXT_CLOSE] = 0;
	s->chance[CONTEXT_AT_REST] = CHANCE_NEW;
	s->chance[CONTEXT_AT_REST | CONTEXT_CLOSE] = 0;
}

/* A deadline in the middle between two beats: once that is frequent, the period is the half. */
static bool halve(struct lazytsc_stream *s, u64 slack, u64 deadline)
{
	u64 half = s->period / 2;
	u64 middle = s->next - (half >> FRACTION);

	if (half >> FRACTION < SHORTEST_PERIOD * slack || apart(deadline, middle) > slack)
		return false;
	s->halves += HALVES_HIT;
	if (s->halves >= HALVES_MAX)
		restart_stream(s, half, deadline);
	return true;
}

/* The least worthy stream gives way, once it is worth nothing; until then all become worth less. */
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

/*
 * The period, with its fraction, of a stream that this deadline makes with two strays: three at
 * equal distances. Of several such periods the shortest: the latest strays come first. 0: none.
 */
static u64 period_with_strays(const struct lazytsc_predictor *p, u64 deadline)
{
	for (u32 i = 1; i <= LAZYTSC_STRAYS; i++) {
		u64 middle = p->strays[(p->stray - i) % LAZYTSC_STRAYS];
		u64 period = deadline - middle;

		if (!middle || period < SHORTEST_PERIOD * p->slack || period > LONGEST_PERIOD / 2)
			continue;
		for (int j = 0; j < LAZYTSC_STRAYS; j++) {
			u64 first = p->strays[j];
			u64 earlier = middle - first;

			if (first && apart(earlier, period) <= p->slack)
				return ((earlier + period) << FRACTION) / 2;
		}
	}
	return 0;
}

/* A stray is a delivery that fits no stream. The last few are kept, to find new streams by. */
static void keep_stray(struct lazytsc_predictor *p, u64 deadline)
{
	u64 period = period_with_strays(p, deadline);

	if (period)
		new_stream(p, period, deadline);
	p->strays[p->stray++ % LAZYTSC_STRAYS] = deadline;
}

/* How far a deadline is from the beat of a stream that is nearest to it; *is_next: from `next`. */
static u64 off_beat(const struct lazytsc_stream *s, u64 deadline, bool *is_next)
{
	u64 n = beats_after(s, deadline, s->next);

	*is_next = !n;
	return apart(deadline, s->next + beats(s, n));
}

/* The stream that has a beat nearest to this deadline, within the slack; NULL: none has. */
static struct lazytsc_stream *stream_of(struct lazytsc_predictor *p, u64 deadline, bool *is_next)
{
	struct lazytsc_stream *found = (struct lazytsc_stream *)0;
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
		*is_next = at_next;
	}
	return found;
}

/* The guest wants this deadline, or (due) has been given it. */
static void observe(struct lazytsc_predictor *p, u64 deadline, bool due)
{
	bool is_next = false;
	struct lazytsc_stream *s = stream_of(p, deadline, &is_next);

	if (s) {
		if (is_next)
			learn(s, p->slack, deadline);
		if (is_next && due)
			advance(s, 1);
		return;
	}
	for (int i = 0; i < LAZYTSC_STREAMS; i++) {
		if (p->streams[i].period && halve(&p->streams[i], p->slack, deadline))
			return;
	}
	if (due)
		keep_stray(p, deadline);
}

/* All streams go on to the first beat that is not over at t. */
static void pass_all(struct lazytsc_predictor *p, u64 t)
{
	for (int i = 0; i < LAZYTSC_STREAMS; i++)
		pass(&p->streams[i], p->slack, t);
}

/* --- The choice --- */

void lazytsc_predictor_init(struct lazytsc_predictor *p, u64 slack)
{
	p->slack = slack < LONGEST_SLACK ? slack : LONGEST_SLACK;
	p->credit = LAZYTSC_PREDICTOR_CREDIT;
	p->chosen = -1;
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

/* The guess, if the credit is there for it, and else 0. */
static u64 afford(struct lazytsc_predictor *p, u64 guess)
{
	if (p->credit >= CREDIT_LEAST)
		return guess;
	p->chosen = -1;
	return 0;
}

/* A little before a beat, so that its deadline is found ahead, and near enough to wait for. */
static u64 before(const struct lazytsc_predictor *p, int stream, u64 beat)
{
	u64 error = p->streams[stream].error;

	return beat -
	       smaller(MARGIN_ERRORS * (error >> FRACTION) + p->slack / MARGIN_LEAST, p->slack);
}

/* The first beat of each stream that is ahead and has not been seen; notes its context. */
static void look_ahead(struct lazytsc_predictor *p, u64 now, u64 *ahead, u8 kind)
{
	for (int i = 0; i < LAZYTSC_STREAMS; i++) {
		struct lazytsc_stream *s = &p->streams[i];

		ahead[i] = NOTHING_AHEAD;
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
	u32 none = CHANCE_ONE * CHANCE_ONE; /* how likely no beat so far is wanted */
	u32 score = 0; /* how likely `best` is the first that is wanted, on the same scale */

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
		if (none * chance / CHANCE_ONE > score) {
			score = none * chance / CHANCE_ONE;
			best = ahead[i];
			p->chosen = i;
		}
		none = none * (CHANCE_ONE - chance) / CHANCE_ONE;
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
	pass_all(p, deadline);
	observe(p, deadline, true);
	p->delivered = deadline;
	p->certain = false;
	return choose(p, now, NOTHING_AHEAD, CONTEXT_DELIVERED);
}

/* The guest wants this deadline, which is ahead; 0: nothing, as far as the host can tell. */
static u64 guess_at_rest(struct lazytsc_predictor *p, u64 wanted, u64 now)
{
	u64 guess;

	if (wanted)
		observe(p, wanted, false);
	p->certain = wanted != 0;
	guess = choose(p, now, wanted ? wanted - p->slack : NOTHING_AHEAD, CONTEXT_AT_REST);
	if (guess)
		p->certain = false;
	else if (wanted && p->again)
		guess = wanted - smaller(p->again, wanted);
	return guess;
}

/*
 * The timer fired, and what the guest wants is not due and cannot be waited for: nothing (pending
 * is before where the host looked), or a deadline further on.
 */
static u64 guess_after_silence(struct lazytsc_predictor *p, u64 fired, u64 pending, u64 now,
			       bool changed)
{
	bool wants = pending >= fired;

	/*
	 * The guest has written since the host looked, and what it wants now is further off than
	 * a period of the stream that was guessed. It may have restarted its tick and stopped it
	 * again in between, and then the guess saved an exit. The host cannot tell: the beat's
	 * chance stays as it is.
	 */
	if (p->chosen >= 0 && changed &&
	    (!wants || pending - fired > beats(&p->streams[p->chosen], 1)))
		p->streams[p->chosen].context = CONTEXT_NONE;
	if (wants && pending - fired <= p->slack) {
		/*
		 * The guess was right, but the caller cannot wait so long (on another CPU: not at
		 * all). The beat is not over, and looking before the deadline gains nothing here.
		 */
		p->again = 0;
	} else {
		pass_all(p, fired + 2 * p->slack + 1);
	}
	if (!wants && changed)
		return choose(p, now, NOTHING_AHEAD, CONTEXT_DELIVERED);
	return guess_at_rest(p, wants ? pending : 0, now);
}

u64 lazytsc_predictor_write(struct lazytsc_predictor *p, const struct lazytsc_host *h,
			    const struct lazytsc_area *area, u64 v, u64 now)
{
	u64 pending;

	if (!p->slack)
		return 0;
	/* Where the page is out of reach: the guest stored there what it writes now. */
	pending = area ? lazytsc_load(&area->pending) : v;
	account(p, h, false);
	/*
	 * The guest stores a deadline before its write traps. The host looked in between, found a
	 * new value, and counted a skip. It was none: it was the beginning of this write.
	 */
	if (p->proven && pending == p->known)
		p->credit -= (u32)smaller(1, p->credit);
	p->known = pending;
	p->proven = false;
	if (!area || !v || pending != v)
		return 0;

	/* The guest wants the deadline once more that the host looks for, but a little earlier. */
	if (p->certain && v < h->timer && h->timer - v < p->slack)
		p->again = smaller(p->again + (h->timer - v) + p->slack / AGAIN_MORE,
				   p->slack / AGAIN_MOST);
	pass_all(p, now);
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
		guess = guess_after_silence(p, fired, pending, e->now, changed);
	}
	return afford(p, guess);
}
