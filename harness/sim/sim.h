/* SPDX-License-Identifier: BSD-2-Clause */
/* `lazytsc sim`: what its parts share. */
#ifndef LAZYTSC_HARNESS_SIM_H
#define LAZYTSC_HARNESS_SIM_H

#include <stdio.h>

#include <lazytsc/sim/machine.h>

#define SIM_JSON_VERSION 1
#define SIM_MAX_VARIANTS 8

/* What runs on both sides: a variant of the protocol, and perhaps a source of guesses. */
struct sim_variant {
	const char *name;
	const struct lazytsc_variant *variant;
	const struct lazytsc_guess_source *guess;
};

/* A vCPU that broke a rule. */
struct sim_failure {
	unsigned int vcpu;
	u64 seed;
	struct lazytsc_broken broken;
	size_t nsteps;
	struct lazytsc_machine_step step[64];
};

/* One variant's run. */
struct sim_result {
	struct sim_variant variant;
	struct lazytsc_machine_stats *vcpu; /* one for each */
	struct lazytsc_machine_stats total;
	struct sim_failure *failure; /* NULL: nothing was broken */
	unsigned int failures; /* vCPUs that broke a rule; `failure` is the first of them */
};

struct sim_run {
	struct lazytsc_machine_config config; /* but for the variant */
	u64 duration_ns;
	unsigned int threads;
	struct sim_variant variants[SIM_MAX_VARIANTS];
	unsigned int nvariants;
	int argc; /* the arguments, for --json */
	char **argv;
	const char *repeat; /* the arguments that repeat the run, without seed and swarm */
	bool per_vcpu, hist;
	bool progress; /* to standard error, when a run takes more than two seconds */
};

/** sim_run_one() - one machine, vCPUs spread over threads; false: no memory or unusable */
bool sim_run_one(const struct sim_run *run, const struct lazytsc_machine_config *config,
		 const struct sim_variant *variant, struct sim_result *result);
void sim_result_free(struct sim_result *result);

void sim_print(FILE *to, const struct sim_run *run, const struct sim_result *results);
void sim_print_json(FILE *to, const struct sim_run *run, const struct sim_result *results);
/* @swarm: the failure was found by --swarm. */
void sim_print_failure(FILE *to, const struct sim_run *run, const struct sim_variant *variant,
		       const struct lazytsc_machine_config *config, const struct sim_failure *f,
		       bool swarm);
void sim_print_list(FILE *to);

/* A trace in the JSON that Perfetto and chrome://tracing read. */
struct perfetto;
/** perfetto_open() - NULL, with a message: the file cannot be written */
struct perfetto *perfetto_open(const char *path, unsigned int vcpus, u64 guest_khz);
void perfetto_step(void *perfetto, const struct lazytsc_machine_step *step);
/** perfetto_close() - false, with a message: not all of it was written, and nothing is there */
bool perfetto_close(struct perfetto *p);

#endif
