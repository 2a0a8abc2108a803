// SPDX-License-Identifier: BSD-2-Clause
/*
 * Swarm testing: each run has its own random configuration, with whole features left out, which
 * reaches states that one run with everything switched on does not (Groce and others, 2012).
 */
#include <lazytsc/sim/machine.h>

static u64 pick(struct lazytsc_random *r, u64 low, u64 high)
{
	return low + lazytsc_random_below(r, high - low + 1);
}

/* Spread evenly over the orders of magnitude from 2^low to 2^high. */
static u64 magnitude(struct lazytsc_random *r, u64 low, u64 high)
{
	u64 base = (u64)1 << pick(r, low, high);

	return base + lazytsc_random_below(r, base);
}

static void choose_guest(struct lazytsc_machine_config *c, struct lazytsc_random *r)
{
	static const char *const names[] = {
		"random", "random",  "random", "nohz-rr", "storm",
		"raw",	  "hostile", "cyclic", "tick",
	};

	c->workload = lazytsc_workload_find(
		names[lazytsc_random_below(r, sizeof(names) / sizeof(names[0]))]);
	c->guest.tick_ns = magnitude(r, 16, 22);
	c->guest.request_ns = magnitude(r, 10, 18);
	c->guest.service_ns = magnitude(r, 10, 18);
	c->guest.idle_ns = magnitude(r, 17, 25);
	c->guest.timers = pick(r, 1, 8);
	c->guest.gap_ns = magnitude(r, 9, 18);
	c->guest.mean_ns = magnitude(r, 10, 20);
}

static void choose_clocks(struct lazytsc_machine_config *c, struct lazytsc_random *r)
{
	for (unsigned int i = 0; i < 2; i++)
		c->host_khz[i] = pick(r, 1000000, 4500000);
	c->guest_khz = lazytsc_random_below(r, 2) ? c->host_khz[0] : pick(r, 1000000, 4500000);
	c->tsc = lazytsc_random_below(r, 2) ? magnitude(r, 30, 60) : pick(r, 1, 1000000);
	c->host_tsc = magnitude(r, 20, 60);
}

struct lazytsc_machine_config
lazytsc_machine_config_swarm(const struct lazytsc_machine_config *base, u64 seed)
{
	struct lazytsc_random r = lazytsc_random_stream(seed, ~(u64)0);
	struct lazytsc_machine_config c = *base;

	c.seed = seed;
	choose_guest(&c, &r);
	choose_clocks(&c, &r);
	c.timer = lazytsc_random_below(&r, LAZYTSC_TIMER_KINDS);
	c.advance_ns = lazytsc_random_below(&r, 3) ? magnitude(&r, 7, 12) : 0;
	c.late_ns = lazytsc_random_below(&r, 2) ? magnitude(&r, 7, 15) : 0;
	c.costs.skip = pick(&r, 0, 20);
	c.costs.exit_write = magnitude(&r, 8, 12);
	c.costs.exit_timer = magnitude(&r, 8, 12);
	c.costs.exit_irq = magnitude(&r, 8, 12);
	c.costs.exit_other = magnitude(&r, 8, 12);
	c.costs.block = magnitude(&r, 8, 12);
	c.costs.wake = magnitude(&r, 8, 16);
	c.costs.callback = magnitude(&r, 6, 10);
	c.costs.ipi = magnitude(&r, 6, 12);
	c.costs.user = magnitude(&r, 10, 18);
	c.costs.irq = magnitude(&r, 7, 13);
	for (unsigned int t = 0; t < LAZYTSC_TROUBLE_COUNT; t++)
		c.trouble_ns[t] = lazytsc_random_below(&r, 2) ? magnitude(&r, 17, 24) : 0;
	/* It stores often, and from then on nobody knows what the guest wants. */
	c.trouble_ns[LAZYTSC_TROUBLE_sibling] = lazytsc_random_below(&r, 4) ? 0
									    : magnitude(&r, 10, 17);
	c.downtime_ns = magnitude(&r, 14, 26);
	c.restore = lazytsc_random_below(&r, LAZYTSC_RESTORES);
	c.costs.look = magnitude(&r, 5, 9);
	c.free_looks = lazytsc_random_below(&r, 2);
	return c;
}
