// SPDX-License-Identifier: BSD-2-Clause
/*
 * A hypervisor of one's own, against the installed core: one vCPU, a clock that jumps, and a guest
 * that wants a deadline every 100 cycles but moves it to a later time before it comes.
 *
 *   cc hypervisor.c $(pkg-config --cflags --libs lazytsc-core)
 */
#include <stdio.h>

#include <lazytsc/guest.h>
#include <lazytsc/host.h>

static u64 clock_now = 1000;

/* The port's clock: the guest's side asks it whether a promise is overdue. */
u64 lazytsc_tsc(void)
{
	return clock_now;
}

static struct lazytsc_area area; /* in guest memory; both sides see it */
static struct lazytsc_guest guest; /* what the guest's kernel keeps for this vCPU */
static struct lazytsc_host host; /* what the hypervisor keeps for it */
static u64 timer; /* the hypervisor's timer; 0: stopped */
static unsigned int exits, silent, interrupts;

/* The core has decided; the hypervisor does it. */
static void act(struct lazytsc_decision d)
{
	timer = d.timer;
	if (!d.inject)
		return;
	interrupts++;
	lazytsc_host_delivered(&host);
}

static void run_until(u64 end)
{
	while (timer && timer <= end) {
		struct lazytsc_decision d;

		clock_now = timer > clock_now ? timer : clock_now;
		d = lazytsc_host_expire(&host, &area,
					&(struct lazytsc_expiry){ .context = LAZYTSC_VCPU,
								  .now = clock_now });
		silent += !d.inject;
		act(d);
	}
	clock_now = end;
}

int main(void)
{
	u64 word = lazytsc_guest_enable(&guest, &area, 0x1000, 1000);

	if (lazytsc_host_check_msr(word, 1ULL << 36) != LAZYTSC_MSR_SWITCH_ON)
		return 1;
	lazytsc_host_enable(&host, &area);
	for (int i = 0; i < 1000; i++) {
		u64 deadline = clock_now + 10000;

		if (lazytsc_guest_set(&guest, deadline)) {
			exits++;
			act(lazytsc_host_write(&host, &area, deadline, clock_now, 0));
		}
		run_until(clock_now + 100);
	}
	run_until(clock_now + 20000);
	printf("1000 deadlines: %u exits, %u silent expiries, %u interrupt\n", exits, silent,
	       interrupts);
	return 0;
}
