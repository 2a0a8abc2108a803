// SPDX-License-Identifier: BSD-2-Clause
/*
 * The core's host side and its predictor, called by any valid caller on a vCPU whose shared memory
 * holds anything, and changes at each barrier of the host's. Whatever the guest does:
 *
 *   - no assertion of the core fails
 *   - no injection is decided for a deadline that is ahead by more than the caller can wait, on
 *     another CPU for none that is ahead (A6)
 *   - the host never reads armed, reads pending once for a decision (B11), and touches the area a
 *     bounded number of times in a call
 *   - after a write of the MSR armed is what the timer is, and 0 where the timer is not lazy
 *   - silent expiries lead the skips by no more than the predictor's credit (B12)
 *
 * A store to pending is a skip unless the write that it belongs to exits. One silent expiry between
 * such a store and its exit costs nothing: stock delivers at that moment. The input says with how
 * much credit the predictor begins: with little of it, few silent expiries are too many.
 */
#include <stdlib.h>
#include <string.h>

#include <lazytsc/host.h>
#include <lazytsc/predictor.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p;
	size_t left;
};

static struct input in;
static struct lazytsc_area area;
static unsigned int loads_of_pending, accesses;
static u64 now, skips;
static bool open_set; /* the guest has stored, and has not written the MSR since */
static bool open_silent; /* and the timer has fired silently */

static u64 take(unsigned int bytes)
{
	u64 v = 0;

	while (bytes--) {
		v = v << 8 | (in.left ? *in.p : 0);
		if (in.left) {
			in.p++;
			in.left--;
		}
	}
	return v;
}

/* A time: near now, near what stands in memory, or anything. */
static u64 some_time(void)
{
	u64 how = take(1);

	switch (how & 7) {
	case 0:
		return 0;
	case 1:
		return take(8);
	case 2:
		return area.pending.port_only + take(1) - 128;
	case 3:
		return area.armed.port_only + take(1) - 128;
	case 4:
		return now - take(2);
	case 5:
		return now + take(3);
	default:
		return now + take(2);
	}
}

static void guest_sets(u64 v)
{
	area.pending.port_only = v;
	skips++;
	open_set = true;
	open_silent = false;
}

u64 lazytsc_load(const lazytsc_shared_t *p)
{
	accesses++;
	if (p == &area.armed)
		__builtin_trap();
	if (p == &area.pending)
		loads_of_pending++;
	return p->port_only;
}

void lazytsc_store(lazytsc_shared_t *p, u64 v)
{
	accesses++;
	if (p == &area.pending)
		__builtin_trap();
	p->port_only = v;
}

/* Another CPU's guest runs while the host decides. */
void lazytsc_mb(void)
{
	accesses++;
	if (take(1) & 1)
		guest_sets(some_time());
}

u64 lazytsc_tsc(void)
{
	return now;
}

struct machine {
	struct lazytsc_host h;
	struct lazytsc_predictor p;
	struct lazytsc_area *area; /* NULL: not given */
	bool user_space; /* the vCPU thread is there, or has just come back */
	bool restored;
};

static void check(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void begin(void)
{
	loads_of_pending = 0;
	accesses = 0;
}

static void end(const struct machine *m, unsigned int predictors)
{
	check(loads_of_pending <= 1 + predictors && accesses <= 6 + predictors);
	if (m->area && !m->user_space)
		check(m->h.lazy ? m->h.timer != 0 : true);
}

static u64 silent(const struct machine *m)
{
	return m->h.stats.silent_running + m->h.stats.silent_blocked;
}

static void write_msr(struct machine *m)
{
	struct lazytsc_decision d;
	u64 v = some_time(), guess;

	if (take(1) & 3)
		guest_sets(v); /* as a guest of the protocol does */
	/* The last store was no skip, but this write's. What was silent meanwhile costs nothing. */
	if (open_set && area.pending.port_only == v && !open_silent)
		skips--;
	open_set = false;
	begin();
	guess = lazytsc_predictor_write(&m->p, &m->h, m->area, v, now);
	d = lazytsc_host_write(&m->h, m->area, v, now, guess);
	end(m, 1);
	check(!d.inject || d.inject <= now);
	check(d.timer == m->h.timer && !d.thread);
	if (m->area)
		check(area.armed.port_only == (m->h.lazy ? m->h.timer : 0));
}

static void expire(struct machine *m)
{
	struct lazytsc_expiry e = { .context = take(1) & 1 ? LAZYTSC_VCPU : LAZYTSC_REMOTE };
	struct lazytsc_decision d;
	u64 limit, before = silent(m);

	if (!m->h.timer)
		return;
	e.wait = take(2);
	e.blocked = take(1) & 1;
	e.nearest = take(1) & 1 ? 600000 : 0;
	limit = e.context == LAZYTSC_VCPU ? e.wait : 0;
	/* It does not fire more in advance than can be waited for. */
	if (m->h.timer > limit && now < m->h.timer - limit)
		now = m->h.timer - limit;
	e.now = now;
	begin();
	e.guess = lazytsc_predictor_expire(&m->p, &m->h, m->area, &e);
	d = lazytsc_host_expire(&m->h, m->area, &e);
	end(m, 1);
	if (silent(m) != before)
		open_silent = true;
	check(!d.inject || d.inject <= now || d.inject - now <= limit);
	check(!d.thread || e.context == LAZYTSC_REMOTE);
	if (d.inject && d.inject > now)
		now = d.inject;
}

static void to_user_space(struct machine *m)
{
	begin();
	lazytsc_host_withdraw(&m->h, m->area, LAZYTSC_WITHDRAW_USERSPACE);
	end(m, 1);
	check(!m->h.lazy);
	m->user_space = true;
}

static void to_guest(struct machine *m)
{
	begin();
	if (m->restored)
		lazytsc_host_recover(&m->h, m->area);
	lazytsc_host_resume(&m->h, m->area, now);
	end(m, 1);
	m->user_space = m->restored = false;
}

static void in_guest_mode(struct machine *m, u64 op)
{
	begin();
	switch (op) {
	case 0:
		write_msr(m);
		break;
	case 1:
	case 2:
	case 3:
		expire(m);
		break;
	case 4:
		lazytsc_host_delivered(&m->h);
		break;
	case 5:
		to_user_space(m);
		break;
	case 6:
		lazytsc_host_withdraw(&m->h, m->area,
				      (enum lazytsc_withdraw_reason)(1 + take(1) % 4));
		end(m, 0);
		break;
	case 7:
		lazytsc_host_cancel(&m->h, m->area);
		end(m, 0);
		break;
	case 8: /* the guest gives its area, or takes it back */
		lazytsc_host_withdraw(&m->h, m->area, LAZYTSC_WITHDRAW_DISABLE);
		m->area = m->area ? NULL : &area;
		if (m->area)
			lazytsc_host_enable(&m->h, m->area);
		break;
	default:
		check(lazytsc_host_deadline(&m->h, m->area) || !m->h.timer || m->h.lazy);
		end(m, 0);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine m = { 0 };
	u64 credit;

	in = (struct input){ data, size };
	memset(&area, 0, sizeof(area));
	now = 1000000;
	skips = 0;
	open_set = open_silent = false;
	lazytsc_predictor_init(&m.p, take(2));
	credit = take(1);
	m.p.credit = (u32)credit;
	m.area = &area;
	lazytsc_host_enable(&m.h, m.area);
	while (in.left) {
		u64 op = take(1);

		now += op >> 4 == 15 ? take(4) : 1;
		if (op & 1) {
			guest_sets(some_time());
		} else if ((op & 15) == 14) {
			area.armed.port_only = take(8); /* the guest owns the page */
			area.done.port_only = some_time();
		} else if (!m.user_space) {
			in_guest_mode(&m, take(1) % 10);
		} else if (take(1) & 1) {
			to_guest(&m);
		} else {
			u64 v = some_time();

			lazytsc_host_restore(&m.h, v);
			m.restored = true;
		}
		check(silent(&m) <= skips + credit);
	}
	return 0;
}
