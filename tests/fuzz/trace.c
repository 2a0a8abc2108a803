// SPDX-License-Identifier: BSD-2-Clause
/*
 * A trace of any form, text or compressed or trace-cmd's, replayed under every policy. It is taken,
 * or refused in one line; each of its lines is counted under one kind. The first byte chooses the
 * options. There is no perf: another program reads perf.data.
 *
 * A trace.dat is read in a child, because libtracecmd does not survive every file. There a signal
 * is the library's fault and no finding, and what a sanitizer reports of the reader is one.
 */
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <string.h>

#include "file.h"
#include "replay/policy.h"
#include "replay/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static volatile bool *reported; /* shared with the child */

static void child_reports(void)
{
	*reported = true;
}

static void in_child(void)
{
	const int faults[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		signal(faults[i], SIG_DFL);
	__sanitizer_set_death_callback(child_reports);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	reported = mmap(NULL, sizeof(*reported), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (reported == MAP_FAILED || pthread_atfork(NULL, NULL, in_child))
		abort();
	return setenv("PATH", "/dev/null", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct policy_options defaults = { .slack = 2000 };
	struct policy policies[32];
	const char *name, *summary;
	size_t n = 0;
	struct trace_options o = { .no_progress = true };
	struct replay r = { 0 };
	uint64_t lines = 0;
	char path[32];
	int fd, got;

	if (!size)
		return 0;
	for (unsigned int i = 0; n < 32 && (name = policy_at(i, &summary)); i++)
		if (policy_find(name, &defaults, &policies[n]))
			n++;
	o.tsc_khz = data[0] & 1 ? 2.1e6 : 0;
	o.tasks = data[0] & 2;
	o.events = data[0] & 4 ? ~0u : 0;
	fd = fuzz_file(data + 1, size - 1, path);
	r.policies = policies;
	r.npolicies = n;
	r.stock = 0;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(policies[i].name, "stock"))
			r.stock = i;
	r.lazy = r.early = SIZE_MAX;
	r.by_task = data[0] & 2;
	got = replay_run(&r, path, &o);
	if (*reported)
		abort();
	if (got && (!*r.error || strchr(r.error, '\n')))
		abort();
	if (!got) {
		for (int k = 0; k < TRACE_LINE_KINDS; k++)
			lines += r.stats.kinds[k];
		if (lines != r.stats.lines)
			abort();
	}
	replay_free(&r);
	close(fd);
	return 0;
}
