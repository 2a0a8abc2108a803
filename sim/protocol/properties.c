// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <string.h>

#include <lazytsc/sim/properties.h>

/* More expiries than this at one TSC, without a guest operation between them, are a loop. */
#define REPEATS 4

static u64 add(u64 a, u64 b)
{
	return a > ~b ? ~(u64)0 : a + b;
}

static u64 later(u64 a, u64 b)
{
	return a > b ? a : b;
}

static void fail(struct lazytsc_monitor *m, u64 tsc, enum lazytsc_rule rule, u64 a, u64 b)
{
	if (m->broken.rule)
		return;
	m->broken.tsc = tsc;
	m->broken.rule = rule;
	m->broken.a = a;
	m->broken.b = b;
}

static bool live(const struct lazytsc_arm *a)
{
	return a->serial && a->end == LAZYTSC_END_NONE;
}

static u64 wanted(const struct lazytsc_monitor *m)
{
	return live(&m->arm[0]) ? m->arm[0].deadline : 0;
}

/* Sets m->late_at: when the wanted deadline, or an injection, will be late. */
static void expect(struct lazytsc_monitor *m)
{
	const struct lazytsc_arm *a = &m->arm[0];
	u64 at = ~(u64)0;

	if (!m->user && live(a) && !m->wild && !m->in_set && !m->forsaken)
		at = add(a->since, m->limits.late + (a->rearmed ? m->limits.rearm : 0));
	if (!m->user && m->inflights && add(m->inflight[0].since, m->limits.late) < at)
		at = add(m->inflight[0].since, m->limits.late);
	if (!m->user && m->blocked && m->irr && add(m->irr_since, m->limits.late) < at)
		at = add(m->irr_since, m->limits.late);
	m->late_at = at;
}

static void lost(struct lazytsc_monitor *m, u64 tsc)
{
	const struct lazytsc_arm *a = &m->arm[0];

	if (m->armed_written)
		fail(m, tsc, LAZYTSC_RULE_STEERED, a->deadline, a->deadline);
	else if (a->raw)
		fail(m, tsc, LAZYTSC_RULE_RAW_LOST, a->deadline, tsc);
	else if (a->rearmed && tsc <= add(a->since, 2 * (m->limits.late + m->limits.rearm)))
		fail(m, tsc, LAZYTSC_RULE_REARM_LATE, a->deadline, tsc);
	else
		fail(m, tsc, LAZYTSC_RULE_LOST, a->deadline, tsc);
}

static void late(struct lazytsc_monitor *m, u64 tsc)
{
	if (m->inflights && tsc > add(m->inflight[0].since, m->limits.late)) {
		fail(m, tsc,
		     m->inflight[0].early ? LAZYTSC_RULE_WAIT_LATE : LAZYTSC_RULE_UNDELIVERED,
		     m->inflight[0].deadline, tsc);
	} else if (m->blocked && m->irr && tsc > add(m->irr_since, m->limits.late)) {
		fail(m, tsc, LAZYTSC_RULE_NO_WAKE, m->ended.deadline, tsc);
	} else {
		lost(m, tsc);
	}
}

/* Every event passes here first. */
static inline void tick(struct lazytsc_monitor *m, u64 tsc)
{
	if (tsc > m->late_at)
		late(m, tsc);
}

/* Checks that the guest may run: for events that only a running guest can cause. */
static void guest_runs(struct lazytsc_monitor *m, u64 tsc)
{
	tick(m, tsc);
	for (unsigned int i = 0; i < m->inflights; i++)
		if (m->inflight[i].early && tsc < m->inflight[i].deadline)
			fail(m, tsc, LAZYTSC_RULE_RAN_EARLY, m->inflight[i].deadline, tsc);
	m->repeats = 0;
}

void lazytsc_mon_init(struct lazytsc_monitor *m, const struct lazytsc_mon_limits *limits)
{
	memset(m, 0, sizeof(*m));
	m->limits = *limits;
	m->late_at = ~(u64)0;
}

/* A newer deadline, or none, comes before the others; they stay wanted until end_older(). */
static void push(struct lazytsc_monitor *m, u64 tsc, u64 t)
{
	m->serial++;
	if (m->arm[0].serial) {
		if (m->arms < LAZYTSC_ARMS - 1)
			m->arms++;
		for (unsigned int i = m->arms; i > 0; i--)
			m->arm[i] = m->arm[i - 1];
	}
	if (m->lapic_off || t == 0) {
		memset(&m->arm[0], 0, sizeof(m->arm[0]));
		return;
	}
	m->arm[0] = (struct lazytsc_arm){
		.deadline = t,
		.since = later(t, tsc),
		.serial = m->serial,
	};
	m->sets++;
}

/* Drops deadlines that no decision can see any more; keeps what a set in progress replaces. */
static void drop_older(struct lazytsc_monitor *m)
{
	unsigned int keep = m->in_set && live(&m->arm[1]);

	for (unsigned int i = 1 + keep; i <= m->arms; i++)
		memset(&m->arm[i], 0, sizeof(m->arm[i]));
	m->arms = keep;
}

static void end_older(struct lazytsc_monitor *m, enum lazytsc_end end)
{
	for (unsigned int i = m->arms; i > 0; i--) {
		if (live(&m->arm[i]))
			m->arm[i].end = end;
		m->ended = m->arm[i];
	}
	if (!m->in_host)
		drop_older(m);
}

void lazytsc_mon_set_begin(struct lazytsc_monitor *m, u64 tsc, u64 t)
{
	guest_runs(m, tsc);
	m->in_set = 1;
	m->set_tsc = m->limits.grace ? tsc : 0;
	m->op_armed = m->published != 0 || (m->in_host && m->host_armed);
	push(m, tsc, t);
	expect(m);
}

static bool overdue(const struct lazytsc_monitor *m, u64 tsc, u64 armed)
{
	return tsc > armed && tsc - armed > m->limits.grace;
}

void lazytsc_mon_set_skip(struct lazytsc_monitor *m, u64 tsc, u64 t, u64 armed)
{
	guest_runs(m, tsc);
	/* A skip on an armed that the guest wrote itself is the guest's own fault. */
	if (m->armed_written && armed != m->published)
		m->wild = 1;
	else if (armed && !m->op_armed && !m->orphaned)
		fail(m, tsc, m->moved ? LAZYTSC_RULE_STALE_ARMED : LAZYTSC_RULE_FOREIGN_ARMED, t,
		     armed);
	/* With nothing outstanding a disarm needs no write. */
	if (t ? armed == 0 || t < armed : armed == 0 && live(&m->arm[1]))
		fail(m, tsc, LAZYTSC_RULE_WRONG_SKIP, t, armed);
	if (m->limits.grace && armed && overdue(m, t, armed) && overdue(m, m->set_tsc, armed))
		fail(m, tsc, LAZYTSC_RULE_OVERDUE_SKIP, t, armed);
	m->in_set = 0;
	m->jumped = 0;
	m->skips++;
	m->silent += m->silent_open;
	m->silent_open = 0;
	end_older(m, t ? LAZYTSC_END_SKIP : LAZYTSC_END_DISARM);
	expect(m);
}

void lazytsc_mon_trap(struct lazytsc_monitor *m, u64 tsc, u64 v, u64 pending)
{
	tick(m, tsc);
	m->repeats = 0;
	/* An injection that is not due yet is replaced by this write, and must be dropped. */
	for (unsigned int i = 0; i < m->inflights; i++)
		m->inflight[i].replaced = m->inflight[i].early && tsc < m->inflight[i].deadline;
	/* A silent expiry during a set that exits costs nothing: stock delivers at that moment. */
	m->silent_open = 0;
	/* After a jump of the TSC a delivered deadline can lie ahead again. */
	if (!m->in_set || m->arm[0].deadline != v || m->jumped)
		push(m, tsc, v);
	m->in_set = 0;
	m->jumped = 0;
	m->wild = m->besieged;
	m->forsaken = 0;
	end_older(m, v ? LAZYTSC_END_TRAP : LAZYTSC_END_DISARM);
	if (live(&m->arm[0])) {
		m->arm[0].since = later(v, tsc);
		m->arm[0].raw = m->enabled && v != pending;
	}
	lazytsc_mon_host_begin(m, tsc, tsc, 0);
	m->host_trap = 1;
	m->trapped = v;
	m->trap_pending = pending;
}

void lazytsc_mon_wrote(struct lazytsc_monitor *m, u64 tsc, u64 t)
{
	guest_runs(m, tsc);
	if (m->enabled || t <= tsc)
		m->misses = 0;
	else if (m->limits.patience && ++m->misses >= m->limits.patience)
		fail(m, tsc, LAZYTSC_RULE_NOT_ENABLED, t, m->misses);
}

void lazytsc_mon_scribble(struct lazytsc_monitor *m, u64 tsc, bool armed)
{
	guest_runs(m, tsc);
	if (armed) {
		m->armed_written = 1;
	} else {
		m->wild = 1;
		m->skips++;
	}
	expect(m);
}

void lazytsc_mon_besieged(struct lazytsc_monitor *m, u64 tsc)
{
	tick(m, tsc);
	m->besieged = m->wild = 1;
	m->skips++;
	expect(m);
}

void lazytsc_mon_rdmsr(struct lazytsc_monitor *m, u64 tsc, u64 value)
{
	u64 expected = wanted(m);
	bool either = m->in_host;

	tick(m, tsc);
	if (m->wild)
		return;
	for (unsigned int i = 0; m->in_set && i <= m->arms; i++)
		either |= value == 0 || value == m->arm[i].deadline;
	for (unsigned int i = 0; m->in_set && i < m->inflights; i++)
		either |= value == m->inflight[i].deadline;
	if (!expected && m->inflights) {
		/* The deadline reads as set until its interrupt is in the LAPIC. */
		const struct lazytsc_inflight *f = &m->inflight[m->inflights - 1];

		expected = f->deadline;
		either |= value == 0 && f->serial != m->serial;
	}
	if (value == expected || either)
		return;
	if (m->lapic_off)
		fail(m, tsc, LAZYTSC_RULE_MODE_READ, value, expected);
	else if (value && value == m->arm[0].deadline)
		fail(m, tsc, LAZYTSC_RULE_READS_FIRED, value, expected);
	else if (value && value == m->timer && m->enabled)
		fail(m, tsc, LAZYTSC_RULE_READS_GUESS, value, expected);
	else
		fail(m, tsc, LAZYTSC_RULE_READS_WRONG, value, expected);
}

void lazytsc_mon_take(struct lazytsc_monitor *m, u64 tsc)
{
	guest_runs(m, tsc);
	if (!m->irr)
		fail(m, tsc, LAZYTSC_RULE_TWICE, m->ended.deadline, wanted(m));
	m->irr = 0;
	m->taken = m->irr_serial;
	m->taken_count++;
	expect(m);
}

void lazytsc_mon_page_reused(struct lazytsc_monitor *m, u64 tsc)
{
	tick(m, tsc);
	if (m->enabled)
		fail(m, tsc, LAZYTSC_RULE_PAGE_IN_USE, tsc, m->published);
}

void lazytsc_mon_host_begin(struct lazytsc_monitor *m, u64 tsc, u64 now, u64 wait)
{
	tick(m, tsc);
	m->in_host = 1;
	m->host_armed = m->published != 0;
	m->host_trap = 0;
	m->now = now;
	m->limit = add(now, wait);
}

void lazytsc_mon_publish(struct lazytsc_monitor *m, u64 tsc, u64 armed)
{
	tick(m, tsc);
	m->published = armed;
	m->undirtied = 1;
	if (armed) {
		m->op_armed = 1;
		m->moved = 0;
	}
}

/* An injection for a deadline that is not wanted: which requirement says so? */
static void unwanted(struct lazytsc_monitor *m, u64 tsc, u64 d)
{
	static const uint8_t by_end[] = {
		[LAZYTSC_END_NONE] = LAZYTSC_RULE_NOT_HELD,
		[LAZYTSC_END_FIRED] = LAZYTSC_RULE_TWICE,
		[LAZYTSC_END_SKIP] = LAZYTSC_RULE_SILENT_REARM,
		[LAZYTSC_END_TRAP] = LAZYTSC_RULE_FIRED_AFTER_REWRITE,
		[LAZYTSC_END_DISARM] = LAZYTSC_RULE_FIRED_AFTER_DISARM,
		[LAZYTSC_END_MODE] = LAZYTSC_RULE_MODE,
		[LAZYTSC_END_APIC] = LAZYTSC_RULE_APIC_OFF,
		[LAZYTSC_END_RESET] = LAZYTSC_RULE_RESET,
	};
	enum lazytsc_rule rule = LAZYTSC_RULE_NOT_HELD;

	if (m->armed_written)
		rule = LAZYTSC_RULE_STEERED;
	else if (m->lapic_off)
		rule = by_end[m->lapic_off];
	else if (m->arm[0].serial && m->arm[0].deadline == d)
		rule = by_end[m->arm[0].end];
	else if (m->ended.serial && m->ended.deadline == d)
		rule = by_end[m->ended.end];
	else if (m->ended.end == LAZYTSC_END_SKIP && m->timer == d && wanted(m) > m->limit)
		rule = LAZYTSC_RULE_SILENT_REARM;
	fail(m, tsc, rule, d, wanted(m));
}

/* The deadline that an injection is for: wanted at some moment of the decision, and due. */
static struct lazytsc_arm *find(struct lazytsc_monitor *m, u64 d)
{
	for (unsigned int i = 0; i <= m->arms; i++) {
		struct lazytsc_arm *a = &m->arm[i];

		if (!a->serial || a->deadline != d)
			continue;
		/* Injected twice but taken once: both meet in the one IRR bit. */
		if (a->end != LAZYTSC_END_FIRED || a->serial > m->taken)
			return a;
	}
	return NULL;
}

static void injected(struct lazytsc_monitor *m, u64 tsc, u64 d)
{
	struct lazytsc_arm *a = find(m, d);
	u32 serial = 0; /* for a deadline that is not known to be anybody's */

	m->injections++;
	if (d > m->limit)
		fail(m, tsc, m->armed_written ? LAZYTSC_RULE_STEERED : LAZYTSC_RULE_EARLY, d, tsc);
	if (a && !m->lapic_off) {
		a->end = LAZYTSC_END_FIRED;
		serial = a->serial;
	} else if (!m->wild) {
		unwanted(m, tsc, d);
	}

	if (m->inflights < LAZYTSC_INFLIGHT)
		m->inflights++;
	m->inflight[m->inflights - 1] = (struct lazytsc_inflight){
		.deadline = d,
		.since = later(d, tsc),
		.serial = serial,
		.masked = m->masked,
		.early = d > m->now,
	};
}

static void check_trap(struct lazytsc_monitor *m, u64 tsc, const struct lazytsc_decision *d)
{
	u64 v = m->trapped;

	if (m->lapic_off || !v)
		return;
	if (v <= m->now) {
		if (d->inject != v)
			fail(m, tsc, LAZYTSC_RULE_PAST_NOT_FIRED, v, d->inject);
		if (m->published && m->published <= v)
			fail(m, tsc, LAZYTSC_RULE_PAST_ARMED, v, m->published);
	} else if (!d->timer || d->timer > v) {
		fail(m, tsc, LAZYTSC_RULE_NOT_ARMED, v, d->timer);
	}
	if (m->enabled && v != m->trap_pending && m->published && !m->besieged)
		fail(m, tsc, LAZYTSC_RULE_RAW_LAZY, v, m->published);
}

static void check_silent(struct lazytsc_monitor *m, u64 tsc)
{
	if (live(&m->arm[0]))
		m->arm[0].rearmed = 1;
	if (!m->timer || m->stale_timer)
		/* a stale call, about no timer, or about one that a jump of the TSC made early */
		return;
	if (m->in_set)
		m->silent_open++;
	else
		m->silent++;
	if (m->silent > add(m->skips, m->limits.credit))
		fail(m, tsc, LAZYTSC_RULE_TOO_MANY, m->silent, m->skips);
}

void lazytsc_mon_decision(struct lazytsc_monitor *m, u64 tsc, const struct lazytsc_decision *d,
			  bool expiry)
{
	tick(m, tsc);
	if (d->inject)
		injected(m, tsc, d->inject);
	else if (expiry)
		check_silent(m, tsc);
	if (expiry) {
		m->repeats = tsc == m->expiry_tsc ? m->repeats + 1 : 1;
		m->expiry_tsc = tsc;
		if (m->repeats > REPEATS)
			fail(m, tsc, LAZYTSC_RULE_REPEATS, m->repeats, tsc);
	}
	if (m->host_trap)
		check_trap(m, tsc, d);
	if (m->published && (!d->timer || d->timer > m->published))
		fail(m, tsc, LAZYTSC_RULE_NOT_BACKED, m->published, d->timer);

	m->timer = d->timer;
	m->in_host = 0;
	m->host_trap = 0;
	m->host_armed = 0;
	drop_older(m);
	expect(m);
}

void lazytsc_mon_timer(struct lazytsc_monitor *m, u64 tsc, u64 to_fire, u64 fires, u64 error)
{
	u64 apart = fires > to_fire ? fires - to_fire : to_fire - fires;

	tick(m, tsc);
	m->stale_timer = 0;
	if (to_fire && apart > error)
		fail(m, tsc, LAZYTSC_RULE_CONVERSION, to_fire, fires);
}

void lazytsc_mon_elsewhere(struct lazytsc_monitor *m, u64 tsc)
{
	tick(m, tsc);
	if (!m->limits.nearest)
		return;
	if (m->unpaid && tsc - m->unpaid_tsc < m->limits.nearest)
		fail(m, tsc, LAZYTSC_RULE_STORM, tsc, m->unpaid_tsc);
	m->unpaid = 1;
	m->unpaid_tsc = tsc;
}

void lazytsc_mon_paid(struct lazytsc_monitor *m)
{
	m->unpaid = 0;
	m->unpaid_tsc = 0;
}

void lazytsc_mon_forsaken(struct lazytsc_monitor *m)
{
	m->forsaken = 1;
	expect(m);
}

void lazytsc_mon_orphaned(struct lazytsc_monitor *m)
{
	m->orphaned = 1;
	m->published = 0;
}

static struct lazytsc_inflight pop(struct lazytsc_monitor *m)
{
	struct lazytsc_inflight f = m->inflight[0];

	for (unsigned int i = 1; i < LAZYTSC_INFLIGHT; i++)
		m->inflight[i - 1] = m->inflight[i];
	memset(&m->inflight[LAZYTSC_INFLIGHT - 1], 0, sizeof(f));
	m->inflights--;
	return f;
}

void lazytsc_mon_delivered(struct lazytsc_monitor *m, u64 tsc)
{
	struct lazytsc_inflight f;

	tick(m, tsc);
	if (!m->inflights) {
		unwanted(m, tsc, m->ended.deadline);
		return;
	}
	f = pop(m);
	if (f.early && tsc < f.deadline)
		fail(m, tsc, LAZYTSC_RULE_EARLY, f.deadline, tsc);
	if (f.masked || m->masked)
		fail(m, tsc, LAZYTSC_RULE_MASKED, f.deadline, tsc);
	if (m->lapic_off)
		unwanted(m, tsc, f.deadline);
	if (f.replaced)
		fail(m, tsc, LAZYTSC_RULE_FIRED_AFTER_REWRITE, f.deadline, wanted(m));
	if (f.serial && f.serial <= m->taken && !m->wild)
		fail(m, tsc, LAZYTSC_RULE_TWICE, f.deadline, wanted(m));
	if (!m->irr) {
		m->deliveries++;
		m->irr_since = tsc;
	}
	m->irr = 1;
	if (f.serial > m->irr_serial)
		m->irr_serial = f.serial;
	expect(m);
}

void lazytsc_mon_dropped(struct lazytsc_monitor *m, u64 tsc)
{
	struct lazytsc_inflight f;

	tick(m, tsc);
	if (!m->inflights)
		return;
	f = pop(m);
	if (!f.masked && !m->masked && !m->lapic_off && !m->host_trap && f.serial == m->serial)
		fail(m, tsc, LAZYTSC_RULE_DROPPED, f.deadline, tsc);
	expect(m);
}

void lazytsc_mon_irr(struct lazytsc_monitor *m, u64 tsc, bool set)
{
	tick(m, tsc);
	if (m->irr && !set)
		fail(m, tsc, LAZYTSC_RULE_IRR_TAKEN_BACK, m->ended.deadline, tsc);
}

void lazytsc_mon_mask(struct lazytsc_monitor *m, u64 tsc, bool masked)
{
	tick(m, tsc);
	m->masked = masked;
	if (masked && m->published)
		fail(m, tsc, LAZYTSC_RULE_NOT_WITHDRAWN, m->published, tsc);
}

void lazytsc_mon_lapic(struct lazytsc_monitor *m, u64 tsc, enum lazytsc_end end, bool on)
{
	tick(m, tsc);
	push(m, tsc, 0);
	m->in_set = 0;
	m->jumped = 0;
	end_older(m, end);
	if (m->inflights) {
		m->ended.deadline = m->inflight[0].deadline;
		m->ended.serial = m->inflight[0].serial;
		m->ended.end = end;
	}
	m->lapic_off = on ? 0 : end;
	m->silent_open = 0;
	memset(m->inflight, 0, sizeof(m->inflight));
	m->inflights = 0;
	if (end == LAZYTSC_END_RESET) {
		m->irr = 0;
		m->blocked = 0;
		m->masked = 0;
	}
	if (m->published)
		fail(m, tsc, LAZYTSC_RULE_NOT_WITHDRAWN, m->published, tsc);
	expect(m);
}

void lazytsc_mon_count(struct lazytsc_monitor *m, u64 tsc, bool missed)
{
	tick(m, tsc);
	if (!m->lapic_off)
		fail(m, tsc, LAZYTSC_RULE_MODE, tsc, wanted(m));
	m->repeats += missed;
	if (m->repeats > REPEATS)
		fail(m, tsc, LAZYTSC_RULE_REPEATS, m->repeats, tsc);
}

void lazytsc_mon_tmcct(struct lazytsc_monitor *m, u64 tsc, u64 value)
{
	tick(m, tsc);
	if (value && !m->lapic_off)
		fail(m, tsc, LAZYTSC_RULE_TMCCT, value, 0);
}

/* Lateness counts from @tsc at the earliest. */
static void count_from(struct lazytsc_monitor *m, u64 tsc)
{
	if (live(&m->arm[0]))
		m->arm[0].since = later(m->arm[0].deadline, tsc);
	for (unsigned int i = 0; i < m->inflights; i++)
		m->inflight[i].since = later(m->inflight[i].since, tsc);
	if (m->irr)
		m->irr_since = tsc;
	expect(m);
}

/* The thread has come back from user space. */
static void back(struct lazytsc_monitor *m, u64 tsc)
{
	if (!m->user)
		return;
	m->user = 0;
	count_from(m, tsc);
}

void lazytsc_mon_enter(struct lazytsc_monitor *m, u64 tsc)
{
	back(m, tsc);
	guest_runs(m, tsc);
	if (m->stale_timer && m->timer)
		fail(m, tsc, LAZYTSC_RULE_STALE_TIMER, m->timer, tsc);
}

void lazytsc_mon_halt(struct lazytsc_monitor *m, u64 tsc)
{
	back(m, tsc);
	guest_runs(m, tsc);
	m->blocked = 1;
	expect(m);
}

void lazytsc_mon_wake(struct lazytsc_monitor *m, u64 tsc, bool other)
{
	tick(m, tsc);
	if (m->blocked && !m->irr && !other)
		fail(m, tsc, LAZYTSC_RULE_SPURIOUS_WAKE, tsc, m->expiry_tsc);
	m->blocked = 0;
	expect(m);
}

void lazytsc_mon_goes_on(struct lazytsc_monitor *m, u64 tsc, u64 timer)
{
	tick(m, tsc);
	if (m->published && (!timer || timer > m->published))
		fail(m, tsc, LAZYTSC_RULE_STAYS_LATE, m->published, timer);
}

void lazytsc_mon_dirty(struct lazytsc_monitor *m, u64 tsc)
{
	tick(m, tsc);
	m->undirtied = 0;
}

void lazytsc_mon_user(struct lazytsc_monitor *m, u64 tsc)
{
	tick(m, tsc);
	if (m->published)
		fail(m, tsc, LAZYTSC_RULE_PAGE_AT_REST, m->published, tsc);
	if (m->undirtied)
		fail(m, tsc, LAZYTSC_RULE_PAGE_CLEAN, m->published, tsc);
	m->user = 1;
	expect(m);
}

void lazytsc_mon_memslot(struct lazytsc_monitor *m, u64 tsc)
{
	tick(m, tsc);
	if (m->published)
		fail(m, tsc, LAZYTSC_RULE_SLOT_GONE, m->published, tsc);
}

/* An injection that never reached the LAPIC is saved as its deadline, and fires again. */
static void saved(struct lazytsc_monitor *m, const struct lazytsc_inflight *f)
{
	struct lazytsc_arm *a = &m->arm[0];

	if (!f->serial || f->serial == m->irr_serial)
		return;
	if (f->serial == a->serial) {
		a->end = LAZYTSC_END_NONE;
	} else if (m->in_set && !live(&m->arm[1])) {
		/* The set in progress has not reached the host: the former deadline stands. */
		m->arm[1] = (struct lazytsc_arm){
			.deadline = f->deadline,
			.since = f->since,
			.serial = f->serial,
		};
		m->arms = 1;
	}
}

void lazytsc_mon_moved(struct lazytsc_monitor *m, u64 tsc)
{
	for (unsigned int i = 0; i < m->inflights; i++)
		saved(m, &m->inflight[i]);
	memset(m->inflight, 0, sizeof(m->inflight));
	m->inflights = 0;
	m->published = 0;
	m->undirtied = 0;
	m->timer = 0;
	m->stale_timer = 0;
	m->enabled = 0;
	/* The new host has its own credit; without any this changes nothing. */
	if (m->silent > m->skips)
		m->silent = m->skips;
	m->moved = 1;
	m->user = 1;
	count_from(m, tsc);
}

void lazytsc_mon_restore(struct lazytsc_monitor *m, u64 tsc, u64 v)
{
	tick(m, tsc);
	if (m->in_set && v != m->arm[0].deadline) {
		/* The set in progress goes on, and replaces what was restored. */
		drop_older(m);
		memset(&m->arm[1], 0, sizeof(m->arm[1]));
		m->arms = v != 0;
		if (v)
			m->arm[1] = (struct lazytsc_arm){ .deadline = v,
							  .since = later(v, tsc),
							  .serial = m->serial - 1 };
	} else if (v != wanted(m)) {
		push(m, tsc, v);
		end_older(m, v ? LAZYTSC_END_TRAP : LAZYTSC_END_DISARM);
	}
	/* The restored value also replaces injections that are not delivered. */
	memset(m->inflight, 0, sizeof(m->inflight));
	m->inflights = 0;
	m->wild = m->besieged;
	m->timer = v;
	expect(m);
}

void lazytsc_mon_jump(struct lazytsc_monitor *m, u64 tsc)
{
	for (unsigned int i = 0; i < m->inflights; i++) {
		/* Decided in the former time, and so delivered. It reads as set until then. */
		m->inflight[i].early = 0;
		m->inflight[i].since = tsc;
	}
	m->irr_since = tsc;
	m->stale_timer = m->timer != 0;
	m->expiry_tsc = m->repeats = 0;
	if (m->set_tsc > tsc)
		m->set_tsc = tsc;
	m->jumped = m->in_set;
	lazytsc_mon_paid(m);
	count_from(m, tsc);
}

void lazytsc_mon_feature(struct lazytsc_monitor *m, u64 tsc, u64 word, u64 gpa_end,
			 enum lazytsc_offer offer)
{
	tick(m, tsc);
	m->misses = 0;
	if (word == 0) {
		if (m->published)
			fail(m, tsc, LAZYTSC_RULE_NOT_WITHDRAWN, m->published, tsc);
		m->enabled = 0;
		return;
	}
	if (!(word & LAZYTSC_MSR_ENABLE) || (word & LAZYTSC_MSR_RESERVED) ||
	    (word & LAZYTSC_MSR_GPA) >= gpa_end)
		fail(m, tsc, LAZYTSC_RULE_BAD_WORD, word, gpa_end);
	if (offer == LAZYTSC_UNKNOWN)
		fail(m, tsc, LAZYTSC_RULE_NOT_OFFERED, word, offer);
	if (offer == LAZYTSC_APIC_TIMER_VIRTUAL)
		fail(m, tsc, LAZYTSC_RULE_APICV_TIMER, word, offer);
	m->enabled = 1;
}

void lazytsc_mon_feature_read(struct lazytsc_monitor *m, u64 tsc, u64 word)
{
	tick(m, tsc);
	if (m->enabled != (word & LAZYTSC_MSR_ENABLE))
		fail(m, tsc, LAZYTSC_RULE_SAYS_ENABLED, word, m->enabled);
}

void lazytsc_mon_end(struct lazytsc_monitor *m, u64 tsc, u64 horizon)
{
	if (m->inflights)
		fail(m, tsc, LAZYTSC_RULE_UNDELIVERED, m->inflight[0].deadline, tsc);
	if (m->blocked && m->irr)
		fail(m, tsc, LAZYTSC_RULE_NO_WAKE, m->ended.deadline, tsc);
	if (wanted(m) && wanted(m) <= horizon && !m->wild && !m->in_set && !m->forsaken)
		fail(m, tsc,
		     m->armed_written ? LAZYTSC_RULE_STEERED
		     : m->arm[0].raw  ? LAZYTSC_RULE_RAW_LOST
				      : LAZYTSC_RULE_LOST,
		     wanted(m), tsc);
}

static const struct {
	const char *requirement;
	const char *sentence;
} rules[LAZYTSC_RULE_COUNT] = { [LAZYTSC_RULE_NONE] = { "", "no rule is broken (%llu, %llu)" },
#define X(name, requirement, sentence) [LAZYTSC_RULE_##name] = { requirement, sentence },
				LAZYTSC_RULES(X)
#undef X
};

const char *lazytsc_rule_requirement(enum lazytsc_rule rule)
{
	return rules[rule].requirement;
}

void lazytsc_broken_text(const struct lazytsc_broken *b, char *text, size_t size)
{
	unsigned long long a_ = b->a, b_ = b->b;
	int n = snprintf(text, size, "%s at %llu: ", rules[b->rule].requirement,
			 (unsigned long long)b->tsc);

	if (n >= 0 && (size_t)n < size)
		snprintf(text + n, size - n, rules[b->rule].sentence, a_, b_);
}
