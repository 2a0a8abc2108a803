// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who may enable the feature, how, and what switches it off; what is counted. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vm.h"

/*
 * Not offered, a CPUID bit that the VMM makes up is worth nothing: module parameter, stock (B18).
 */
static void case_absent(bool lazy)
{
	struct vm vm = create(true);
	u64 value;

	(void)lazy;
	start_guest(&vm, false);
	CHECK(guest_wrmsr(&vm, LAZYTSC_MSR, AREA_ADDR | 1) == 1, "accepted from the guest");
	CHECK(!try_set_msr(&vm, LAZYTSC_MSR, AREA_ADDR | 1), "accepted from user space");
	guest(&vm, CMD_RDMSR, LAZYTSC_MSR);
	CHECK(vm.shared->result[0] == 1, "can be read");
	if (find_stat(&vm, "lazy_tscdeadline_publish", &value))
		CHECK(value == 0, "%llu times published", (unsigned long long)value);
	destroy(&vm);
}

/* Only a guest that has been offered the feature may use it, and its VMM restore it (B18). */
static void case_cpuid(bool lazy)
{
	struct vm vm = start(lazy);
	struct vm without = start(false);

	CHECK(!guest_wrmsr(&vm, LAZYTSC_MSR, AREA_ADDR | 1), "refused");
	CHECK(guest_wrmsr(&without, LAZYTSC_MSR, AREA_ADDR | 1) == 1,
	      "accepted without CPUID (B18)");
	CHECK(!try_set_msr(&without, LAZYTSC_MSR, AREA_ADDR | 1), "accepted without CPUID (B18)");
	destroy(&without);
	destroy(&vm);
}

/*
 * A VMM that takes the CPUID bit away also switches the feature off: the host writes in the page no
 * more. Once the vCPU has run, CPUID is fixed, as on every kernel (B18).
 */
static void case_cpuid_removed(bool lazy)
{
	struct vm vm = create(lazy);

	set_msr(&vm, LAZYTSC_MSR, AREA_ADDR | 1);
	CHECK(get_msr(&vm, LAZYTSC_MSR) == (AREA_ADDR | 1), "reads otherwise");
	set_cpuid(&vm, false);
	set_cpuid(&vm, true);
	CHECK(get_msr(&vm, LAZYTSC_MSR) == 0, "still enabled");
	vm.area->armed.port_only = vm.at_rest = POISON;
	start_guest(&vm, false);
	wait_ms(&vm, 2);

	vm.area->armed.port_only = vm.at_rest = 0;
	enable(&vm);
	CHECK(!try_set_cpuid(&vm, false), "taken away after the vCPU has run");
	check_example(&vm, lazy);
	destroy(&vm);
}

/* A word with reserved bits, not aligned, across a page's end or without memory is #GP (B11). */
static void case_msr(bool lazy)
{
	static const u64 bad[] = {
		AREA_ADDR, /* an address without the enable bit */
		AREA_ADDR | 3, /* reserved bits */
		AREA_ADDR | 0x21, /* not aligned */
		(AREA_ADDR + AREA_SIZE - 32) | 1, /* not aligned, and across the page's end */
		NO_ADDR | 1, /* no memory */
		1ULL << 62 | 1, /* beyond the physical addresses */
	};
	struct vm vm = start(lazy);
	u64 last = (AREA_ADDR + AREA_SIZE - LAZYTSC_AREA_SIZE) | 1;

	guest_wrmsr(&vm, LAZYTSC_MSR, 0);
	for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(guest_wrmsr(&vm, LAZYTSC_MSR, bad[i]) == 1, "%#llx accepted",
		      (unsigned long long)bad[i]);
		CHECK(get_msr(&vm, LAZYTSC_MSR) == 0, "%#llx kept", (unsigned long long)bad[i]);
	}
	CHECK(!guest_wrmsr(&vm, LAZYTSC_MSR, last), "the page's last area refused");
	CHECK(guest_rdmsr(&vm, LAZYTSC_MSR) == last, "reads otherwise");
	CHECK(!guest_wrmsr(&vm, LAZYTSC_MSR, 0), "0 refused");
	CHECK(guest_rdmsr(&vm, LAZYTSC_MSR) == 0, "reads otherwise");
	destroy(&vm);
}

/* Switched off by the guest while a deadline is in the page: it is kept (B8). */
static void case_disable(bool lazy)
{
	struct vm vm = start(lazy);
	u64 t;

	CHECK(!guest(&vm, CMD_SET_WRMSR, 4 * vm.ms, 20 * vm.ms, 0, LAZYTSC_MSR, 0),
	      "armed while disabled (B8)");
	t = vm.shared->result[1];
	CHECK(vm.shared->result[2] == t, "deadline lost (B8)");
	wait_ms(&vm, 30);
	check_fired(&vm, t);
	destroy(&vm);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

static void trace_events(const char *on)
{
	write_file(TRACING "events/kvm/kvm_lazy_tscdeadline_publish/enable", on);
	write_file(TRACING "events/kvm/kvm_lazy_tscdeadline_silent/enable", on);
	write_file(TRACING "events/kvm/kvm_lazy_tscdeadline_withdraw/enable", on);
}

/* What the host publishes, expires silently and withdraws is counted and traced as it is. */
static void case_stats(bool lazy)
{
	static const char *const names[] = {
		"lazy_tscdeadline_publish",	   "lazy_tscdeadline_silent",
		"lazy_tscdeadline_silent_blocked", "lazy_tscdeadline_left",
		"lazy_tscdeadline_withdraw",	   "lazy_tscdeadline_look",
	};
	/* Published by the write, in the second KVM_RUN, at the silent expiry. */
	static const u64 expected[] = { 3, 1, 0, 0, 1, 0 };
	unsigned long long x, y, armed = 0, next = 0, withdrawn = 0;
	u64 traced[6] = { 0 }, value, first, last;
	struct vm vm = start(lazy);
	char line[512], *event;
	FILE *trace;

	write_file(TRACING "trace", "");
	trace_events("1");
	guest(&vm, CMD_SET, 40 * vm.ms, 60 * vm.ms, 80 * vm.ms);
	last = vm.shared->result[1];
	first = vm.shared->result[2];
	wait_ms(&vm, 100);
	trace_events("0");
	check_fired(&vm, last);

	trace = fopen(TRACING "trace", "r");
	if (!trace)
		die(TRACING "trace: %s", strerror(errno));
	while (fgets(line, sizeof(line), trace)) {
		event = strstr(line, "kvm_lazy_tscdeadline_");
		if (!event)
			continue;
		event += strlen("kvm_lazy_tscdeadline_");
		if (sscanf(event, "publish: vcpu 0 armed %llu", &x) == 1) {
			if (!traced[0]++)
				armed = x;
		} else if (sscanf(event, "silent: vcpu 0 fired %llu next %llu", &x, &y) == 2) {
			traced[strstr(event, " blocked") ? 2 : 1]++;
			next = y;
		} else if (sscanf(event, "withdraw: vcpu 0 deadline %llu reason userspace", &x) ==
			   1) {
			traced[4]++;
			withdrawn = x;
		} else {
			CHECK(false, "%s", line);
		}
	}
	fclose(trace);
	CHECK(armed == first, "published %llu", armed);
	CHECK(next == last, "silent expiry, next %llu", next);
	CHECK(withdrawn == last, "withdrawn %llu", withdrawn);
	for (u32 i = 0; i < 6; i++) {
		value = 0;
		CHECK(find_stat(&vm, names[i], &value), "no statistic %s", names[i]);
		CHECK(value == expected[i], "%s is %llu", names[i], (unsigned long long)value);
		CHECK(traced[i] == expected[i], "%s traced %llu times", names[i],
		      (unsigned long long)traced[i]);
	}
	destroy(&vm);
}

const struct test_case enable_cases[] = {
	{ "absent", case_absent, ABSENT },
	{ "cpuid", case_cpuid, OFFERED },
	{ "cpuid_removed", case_cpuid_removed, OFFERED },
	{ "msr", case_msr, OFFERED },
	{ "disable", case_disable, OFFERED },
	{ "stats", case_stats, OFFERED },
	{ 0 },
};
