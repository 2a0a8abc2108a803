// SPDX-License-Identifier: BSD-2-Clause
#include "guest.h"

#include <lazytsc/abi.h> /* LAZYTSC_MSR */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

#define TRACING	   "/sys/kernel/tracing/"
#define LAZY_STATS "/sys/kernel/debug/kvm_lazy_tscdeadline/stats"
#define WORK_CPUS  "/sys/devices/virtual/workqueue/cpumask"
#define PAGE	   4096

/* Mapped or opened once, before anything else. */
static volatile uint32_t *doorbell;

/* A VMM without the register has a serial line in its place, and answers each command there. */
static int serial = -1;
static pthread_mutex_t serial_lock = PTHREAD_MUTEX_INITIALIZER;

static void open_serial(const char *path)
{
	struct termios raw;

	serial = open(path, O_RDWR | O_NOCTTY);
	if (serial < 0 || tcgetattr(serial, &raw)) {
		perror(path);
		reboot(RB_AUTOBOOT);
	}
	cfmakeraw(&raw);
	cfsetspeed(&raw, B115200);
	tcsetattr(serial, TCSAFLUSH, &raw);
}

/*
 * Writer, interrupts and the work that these queue, all on CPU 0. On two CPUs one spins, interrupts
 * off, for a lock of the other, the port's or the work's: where both vCPUs share a CPU of the host,
 * for a whole slice, for each byte. (With maxcpus=1 the line's interrupts are CPU 0's.)
 */
static void stay_with_line(void)
{
	guest_pin(0);
	if (!guest_write(WORK_CPUS, "1"))
		guest_die("%s: %s", WORK_CPUS, strerror(errno));
}

static void ring_serial(uint32_t word)
{
	char answer;

	pthread_mutex_lock(&serial_lock);
	if (write(serial, &word, sizeof(word)) != sizeof(word) || read(serial, &answer, 1) != 1) {
		perror("guest: doorbell");
		reboot(RB_AUTOBOOT);
	}
	pthread_mutex_unlock(&serial_lock);
}

static void map_doorbell(void)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC);

	doorbell = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, VMM_DOORBELL);
	if (doorbell == MAP_FAILED) {
		perror("guest: /dev/mem");
		reboot(RB_AUTOBOOT);
	}
}

void guest_ring(enum vmm_command command, uint32_t arg)
{
	uint32_t word = arg << 8 | command;

	if (doorbell)
		*doorbell = word;
	else
		ring_serial(word);
}

/* CPU 0's; 0 where it is not there. */
static uint64_t lazy_msr(void)
{
	int fd = open("/dev/cpu/0/msr", O_RDONLY);
	uint64_t value = 0;

	if (fd >= 0 && pread(fd, &value, sizeof(value), LAZYTSC_MSR) != sizeof(value))
		value = 0;
	if (fd >= 0)
		close(fd);
	return value;
}

/* Of restores with the feature enabled. */
static unsigned int msr_kept, msr_changed;

void guest_restore(uint32_t how)
{
	uint64_t before = lazy_msr();

	guest_ring(VMM_RESTORE, how);
	/* The VMM with a register restores some time later. */
	if (serial < 0 || !before)
		return;
	if (lazy_msr() == before)
		msr_kept++;
	else
		msr_changed++;
}

static void leave(int status)
{
	fflush(NULL);
	guest_ring(VMM_EXIT, status);
	reboot(RB_AUTOBOOT);
	pause();
}

void guest_die(const char *fmt, ...)
{
	va_list ap;

	printf("guest: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	leave(2);
	abort();
}

static uint64_t pfn_of(const void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry;

	if (fd < 0 ||
	    pread(fd, &entry, sizeof(entry), (uintptr_t)p / PAGE * sizeof(entry)) !=
		    sizeof(entry) ||
	    !(entry >> 63))
		guest_die("/proc/self/pagemap: no frame for %p", p);
	close(fd);
	return entry & ((1ULL << 55) - 1);
}

/* One page that stays where it is, to hand text out in. */
static char *port_page(uint32_t *pfn)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (page == MAP_FAILED)
		guest_die("no page for the report: %s", strerror(errno));
	page[0] = 0;
	mlock(page, PAGE);
	*pfn = pfn_of(page);
	return page;
}

void guest_report(const char *fmt, ...)
{
	uint32_t pfn;
	char *page = port_page(&pfn);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(page, PAGE, fmt, ap);
	va_end(ap);
	guest_ring(VMM_REPORT, pfn);
	munmap(page, PAGE);
}

int64_t guest_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

void guest_spin(int64_t ns)
{
	int64_t end = guest_now() + ns;

	while (guest_now() < end)
		;
}

void guest_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		guest_die("CPU %d: %s", cpu, strerror(errno));
}

int guest_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

bool guest_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

void lateness_add(struct lateness *l, int64_t late)
{
	if (!l->count || late < l->min)
		l->min = late;
	if (!l->count || late > l->max)
		l->max = late;
	l->sum += late;
	l->count++;
}

void lateness_merge(struct lateness *l, const struct lateness *other)
{
	if (!other->count)
		return;
	if (!l->count || other->min < l->min)
		l->min = other->min;
	if (!l->count || other->max > l->max)
		l->max = other->max;
	l->sum += other->sum;
	l->count += other->count;
}

/* Local timer interrupts of all CPUs so far. */
static uint64_t timer_interrupts(void)
{
	FILE *f = fopen("/proc/interrupts", "r");
	char line[1024];
	uint64_t sum = 0;

	if (!f)
		guest_die("/proc/interrupts: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		char *p = strstr(line, "LOC:"), *end;

		if (!p)
			continue;
		for (p += 4;; p = end) {
			uint64_t n = strtoull(p, &end, 10);

			if (end == p)
				break;
			sum += n;
		}
	}
	fclose(f);
	return sum;
}

struct lazy_counts guest_lazy_counts(void)
{
	FILE *f = fopen(LAZY_STATS, "r");
	struct lazy_counts c = { 0 };
	unsigned long long writes, skips;
	char line[128];

	if (!f)
		return c;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%*d %llu %llu", &writes, &skips) == 2) {
			c.writes += writes;
			c.skips += skips;
		}
	fclose(f);
	return c;
}

static void trace_setting(const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), TRACING "%s", file);
	if (!guest_write(path, text))
		guest_die("%s: cannot write \"%s\": %s", path, text, strerror(errno));
}

/*
 * What a replay cannot know is what was armed, and what a host had learned, when the trace began:
 * so the kernel's command line (plan.sh) begins it, with all MSRs, and a marker says where the
 * count starts. Only now is there something to filter with. A CPU that has just come up takes some
 * ticks first: a host that guesses has something to learn from then.
 */
static void trace_warm_up(void)
{
	trace_setting("events/msr/write_msr/filter", "msr == 0x6e0");
	for (int cpu = guest_cpus() - 1; cpu >= 0; cpu--) {
		guest_pin(cpu);
		guest_spin(NSEC / 50);
	}
}

static bool trace_wanted(const char *line)
{
	static const char *const wanted[] = { " 6e0, ", ": local_timer_entry: ", ": cpu_idle: ",
					      ": tracing_mark_write: " };

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (strstr(line, wanted[i]))
			return true;
	return false;
}

static void trace_hand_out(void)
{
	uint32_t pfn;
	char line[256], *page = port_page(&pfn);
	FILE *f = fopen(TRACING "trace", "r");
	size_t n = 0;

	if (!f)
		guest_die(TRACING "trace: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		size_t len = strlen(line);

		if (!trace_wanted(line))
			continue;
		if (n + len >= PAGE) {
			guest_ring(VMM_TRACE, pfn);
			n = 0;
		}
		memcpy(page + n, line, len + 1);
		n += len;
	}
	if (n)
		guest_ring(VMM_TRACE, pfn);
	fclose(f);
	munmap(page, PAGE);
}

static void read_params(struct params *p, int argc, char **argv)
{
	const struct {
		const char *name;
		long *value;
	} known[] = {
		{ "n", &p->n },		  { "us", &p->us },	      { "gap", &p->gap },
		{ "timers", &p->timers }, { "seed", &p->seed },	      { "trace", &p->trace },
		{ "bound", &p->bound },	  { "restore", &p->restore }, { "hotplug", &p->hotplug },
		{ "toggle", &p->toggle }, { "pairs", &p->pairs },     { "hogs", &p->hogs },
		{ "hrtick", &p->hrtick }, { "jump", &p->jump },	      { "moves", &p->moves },
	};
	const size_t count = sizeof(known) / sizeof(known[0]);

	if (argc < 2)
		guest_die("no workload on the command line");
	p->workload = argv[1];
	for (int i = 2; i < argc; i++) {
		char *eq = strchr(argv[i], '=');
		size_t k = 0;

		while (k < count && (!eq || strlen(known[k].name) != (size_t)(eq - argv[i]) ||
				     strncmp(known[k].name, argv[i], eq - argv[i])))
			k++;
		if (k == count)
			guest_die("unknown parameter '%s'", argv[i]);
		*known[k].value = strtol(eq + 1, NULL, 10);
	}
	guest_report("workload %s\ncpus %d\n", p->workload, guest_cpus());
	for (size_t k = 0; k < count; k++)
		guest_report("param_%s %ld\n", known[k].name, *known[k].value);
}

/* Those that the command line (maxcpus=1) has left out. */
static void online_all(void)
{
	char path[64];

	for (int cpu = 1; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
		if (!guest_write(path, "1"))
			guest_die("%s: %s", path, strerror(errno));
	}
}

static void set_hrtick(bool on)
{
	if (!guest_write("/sys/kernel/debug/sched/features", on ? "HRTICK" : "NO_HRTICK"))
		guest_die("/sys/kernel/debug/sched/features: %s", strerror(errno));
}

static void report_clocks(void)
{
	char text[64] = "";
	FILE *f = fopen("/sys/devices/system/clockevents/clockevent0/current_device", "r");

	if (f && fgets(text, sizeof(text), f))
		guest_report("clockevent %s", text);
	if (f)
		fclose(f);
	f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");
	if (f && fgets(text, sizeof(text), f))
		guest_report("clocksource %s", text);
	if (f)
		fclose(f);
}

static const struct {
	const char *name;
	struct outcome (*run)(const struct params *p);
} workloads[] = {
	{ "rewrite", workload_rewrite }, { "rr", workload_rr },
	{ "cyclic", workload_cyclic },	 { "idle", workload_idle },
	{ "tasks", workload_tasks },	 { "torture", workload_torture },
};

int main(int argc, char **argv)
{
	struct params p = {
		.n = 1000, .us = 1000, .timers = 16, .bound = 1000, .hogs = 1, .hrtick = -1
	};
	struct outcome o = { 0 };
	struct lazy_counts lazy, lazy_after;
	int64_t start, duration;
	uint64_t interrupts;
	size_t w = 0;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	/* The kernel hands "doorbell=FILE" on in the environment. */
	if (getenv("doorbell")) {
		/* First, so that it can be told of what fails. */
		open_serial(getenv("doorbell"));
		stay_with_line();
	} else {
		map_doorbell();
	}
	online_all();
	read_params(&p, argc, argv);
	report_clocks();
	while (w < sizeof(workloads) / sizeof(workloads[0]) &&
	       strcmp(workloads[w].name, p.workload))
		w++;
	if (w == sizeof(workloads) / sizeof(workloads[0]))
		guest_die("unknown workload '%s'", p.workload);

	if (p.hrtick >= 0)
		set_hrtick(p.hrtick);
	if (p.trace)
		trace_warm_up();
	interrupts = timer_interrupts();
	lazy = guest_lazy_counts();
	start = guest_now();
	/*
	 * Marked within the count: ringing takes the VMM a while, and other CPUs go on meanwhile.
	 */
	guest_ring(VMM_START, 0);
	if (p.trace)
		trace_setting("trace_marker", "start");
	o = workloads[w].run(&p);
	if (p.trace)
		trace_setting("tracing_on", "0");
	guest_ring(VMM_STOP, 0);
	duration = guest_now() - start;
	interrupts = timer_interrupts() - interrupts;
	lazy_after = guest_lazy_counts();
	if (p.trace)
		trace_hand_out();
	if (msr_kept || msr_changed)
		guest_report("msr_kept %u\nmsr_changed %u\n", msr_kept, msr_changed);
	guest_report("duration_ns %lld\n"
		     "timer_interrupts %llu\n"
		     "guest_writes %llu\n"
		     "guest_skips %llu\n"
		     "expiries %llu\n"
		     "late_min_ns %lld\n"
		     "late_avg_ns %lld\n"
		     "late_max_ns %lld\n"
		     "violations %llu\n",
		     (long long)duration, (unsigned long long)interrupts,
		     (unsigned long long)(lazy_after.writes - lazy.writes),
		     (unsigned long long)(lazy_after.skips - lazy.skips),
		     (unsigned long long)o.late.count, (long long)o.late.min,
		     (long long)(o.late.count ? o.late.sum / (int64_t)o.late.count : 0),
		     (long long)o.late.max, (unsigned long long)o.violations);
	leave(o.violations ? 42 : 0);
}
