/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One second of a guest under netperf TCP_RR: what the lazy TSC deadline saves. See simulator.md.
 */
#include <inttypes.h>
#include <stdio.h>
#include <lazytsc/sim/machine.h>

static struct lazytsc_machine_stats simulate(const struct lazytsc_variant *variant)
{
	struct lazytsc_machine_config config = lazytsc_machine_config_default();
	struct lazytsc_machine_stats sum = { 0 };
	struct lazytsc_machine *machine;

	config.vcpus = 2;
	config.variant = variant;
	config.workload = lazytsc_workload_find("nohz-rr");
	machine = lazytsc_machine_new(&config);
	if (!machine)
		return sum;
	if (lazytsc_machine_run(machine, 1000000000))
		lazytsc_machine_settle(machine);
	for (unsigned int i = 0; i < config.vcpus; i++) {
		const struct lazytsc_broken *broken = lazytsc_machine_broken(machine, i);
		struct lazytsc_machine_stats stats = lazytsc_machine_stats(machine, i);

		if (broken)
			printf("broken: %s\n", lazytsc_rule_requirement(broken->rule));
		lazytsc_machine_add(&sum, &stats);
	}
	lazytsc_machine_free(machine);
	return sum;
}

int main(void)
{
	const uint64_t stock = simulate(&lazytsc_variant_stock).exits[LAZYTSC_EXIT_WRITE];
	const uint64_t lazy = simulate(&lazytsc_variant_lazy).exits[LAZYTSC_EXIT_WRITE];

	printf("deadline write exits: stock %" PRIu64 ", lazy %" PRIu64 "\n", stock, lazy);
	return stock == 0 || lazy * 10 > stock;
}
