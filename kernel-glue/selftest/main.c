// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Self-test of the KVM host glue, in the style of tools/testing/selftests/kvm: one program that
 * needs /dev/kvm and nothing else, and that brings its guest (guest.c) along.
 *
 * It proves that a guest and a VMM which do as the documentation says get what it says, and that
 * those which do not harm nobody. Each case says which requirement of docs/protocol.md it is for.
 *
 * Every case has a VM of its own. Without the feature (a stock kernel, or lazy_tscdeadline=0) the
 * cases that need it are skipped, and the others are the control. A nested guest needs AMD. Prints
 * one line for each case: its name and ok, FAIL or skipped. A case that takes too long is a lost
 * deadline. Arguments are the names of the cases to run, or, each with a minus before it, of those
 * that are left out; none: all.
 *
 * Exit status: 0 all cases that ran are ok, 1 at least one is not, 2 no /dev/kvm.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm.h"

static const struct test_case *const topics[] = {
	enable_cases, timer_cases, tsc_cases, restore_cases, page_cases, vcpus_cases,
};

static void get_supported(void)
{
	const u32 max = 256;

	supported = calloc(1, sizeof(*supported) + max * sizeof(supported->entries[0]));
	if (!supported)
		die("no memory");
	supported->nent = max;
	IOCTL(kvm, KVM_GET_SUPPORTED_CPUID, supported);
	for (u32 i = 0; i < supported->nent; i++) {
		if (supported->entries[i].function == KVM_FEATURES)
			offered = supported->entries[i].eax & 1U << LAZYTSC_CPUID_BIT;
		if (supported->entries[i].function == 0x80000001)
			svm = supported->entries[i].ecx & 1U << 2;
	}
}

/* User space finds the MSR in the list of those that it has to save. */
static bool listed(void)
{
	const u32 max = 1024;
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + max * sizeof(list->indices[0]));
	bool found = false;

	if (!list)
		die("no memory");
	list->nmsrs = max;
	IOCTL(kvm, KVM_GET_MSR_INDEX_LIST, list);
	for (u32 i = 0; i < list->nmsrs; i++)
		found |= list->indices[i] == LAZYTSC_MSR;
	free(list);
	return found;
}

static void on_kick(int signal)
{
	(void)signal;
}

/* A wait for a deadline that was lost has no end. */
static void on_alarm(int signal)
{
	(void)signal;
	dprintf(STDOUT_FILENO, "%s FAIL (takes more than %d s)\n", case_name, CASE_SECONDS);
	_exit(1);
}

static bool wanted(const char *name, char **names)
{
	bool without = !*names || **names == '-';

	while (*names && strcmp(*names + without, name))
		names++;
	return !*names == without;
}

/* Returns whether it has failed. */
static bool run_case(const struct test_case *c)
{
	bool skip = c->when == (offered ? ABSENT : OFFERED) || (c->when == NESTED && !svm);

	case_name = c->name;
	case_failed = false;
	alarm(CASE_SECONDS);
	if (!skip)
		c->run(offered);
	printf("%s %s\n", case_name, skip ? "skipped" : case_failed ? "FAIL" : "ok");
	return case_failed;
}

int main(int argc, char **argv)
{
	struct sigaction kick = { .sa_handler = on_kick };
	bool failed = false;

	(void)argc;
	sigaction(SIGUSR1, &kick, NULL);
	signal(SIGALRM, on_alarm);

	setvbuf(stdout, NULL, _IOLBF, 0);
	kvm = open("/dev/kvm", O_RDWR);
	if (kvm < 0)
		die("/dev/kvm: %s", strerror(errno));
	get_supported();
	printf("feature %s\n", offered ? "offered" : "absent");
	case_name = "list";
	CHECK(!offered || listed(), "not in KVM_GET_MSR_INDEX_LIST");
	failed |= case_failed;
	for (u32 i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		for (const struct test_case *c = topics[i]; c->name; c++) {
			if (wanted(c->name, argv + 1))
				failed |= run_case(c);
		}
	}
	return failed ? 1 : 0;
}
