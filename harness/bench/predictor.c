// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the predictor costs the host: TSC cycles of a host entry with and without it, on a tick with
 * two cyclic timers, guest side included; and what the host does at a HLT whose timer stands right.
 * Best of several runs. Linked with the core as it is.
 */
#include <stdio.h>
#include <string.h>
#include <x86intrin.h>

#include <lazytsc/guest.h>
#include <lazytsc/predictor.h>

#define SLACK  2000
#define ROUNDS 200000
#define RUNS   9

static struct {
	struct lazytsc_area area;
	struct lazytsc_guest guest;
	struct lazytsc_host host;
	struct lazytsc_predictor p;
} m;

static u64 entries;

/* No promise is ever void here. */
u64 lazytsc_tsc(void)
{
	return 0;
}

static void set(u64 t, u64 now)
{
	u64 guess;

	if (!lazytsc_guest_set(&m.guest, t))
		return;
	guess = lazytsc_predictor_write(&m.p, &m.host, &m.area, t, now);
	lazytsc_host_write(&m.host, &m.area, t, now, guess);
	entries++;
}

static u64 run(u64 slack)
{
	const u64 period[] = { 10000000, 1300007, 2600003 };
	u64 next[] = { 1000000, 2000001, 3000002 }, start;

	memset(&m, 0, sizeof(m));
	lazytsc_predictor_init(&m.p, slack);
	lazytsc_guest_enable(&m.guest, &m.area, 0x1000, ~(u64)0);
	lazytsc_host_enable(&m.host, &m.area);
	entries = 0;
	start = __rdtsc();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		unsigned int k = next[1] < next[0] ? 1 : 0;
		u64 due;

		k = next[2] < next[k] ? 2 : k;
		set(next[k], next[k] - 500000);
		do {
			struct lazytsc_expiry e = { .now = m.host.timer, .wait = SLACK };

			e.guess = lazytsc_predictor_expire(&m.p, &m.host, &m.area, &e);
			due = lazytsc_host_expire(&m.host, &m.area, &e).inject;
			entries++;
		} while (!due);
		next[k] += period[k];
	}
	return (__rdtsc() - start) / entries;
}

static u64 best(u64 slack)
{
	u64 least = run(slack);

	for (unsigned int i = 1; i < RUNS; i++) {
		u64 cycles = run(slack);

		least = cycles < least ? cycles : least;
	}
	return least;
}

/* A vCPU blocks, and its timer is where its guest wants it. A locked operation is KVM's lock. */
static u64 look(void)
{
	u64 least = ~0ULL;

	memset(&m, 0, sizeof(m));
	lazytsc_guest_enable(&m.guest, &m.area, 0x1000, ~(u64)0);
	lazytsc_host_enable(&m.host, &m.area);
	set(ROUNDS, 0);
	for (unsigned int i = 0; i < RUNS; i++) {
		u64 start = __rdtsc(), cycles;
		int lock = 0;

		for (unsigned int n = 0; n < ROUNDS; n++) {
			__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE);
			if (lazytsc_host_blocked(&m.host, &m.area) != m.host.timer)
				return 0;
			__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
		}
		cycles = (__rdtsc() - start) / ROUNDS;
		least = cycles < least ? cycles : least;
	}
	return least;
}

int main(void)
{
	u64 without = best(0), with = best(SLACK);

	printf("a host entry: %llu cycles without the predictor, %llu with it\n",
	       (unsigned long long)without, (unsigned long long)with);
	printf("a HLT whose timer stands right: %llu cycles\n", (unsigned long long)look());
	printf("state: %zu bytes\n", sizeof(struct lazytsc_predictor));
	return 0;
}
