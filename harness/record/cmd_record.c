// SPDX-License-Identifier: BSD-2-Clause
/*
 * `lazytsc record`: deadline writes of this guest, or of this host's guests, as text for `lazytsc
 * replay`, by ftrace in an instance of its own.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tracefs.h>

#include "cli.h"
#include "commands.h"

/* For each CPU: about half a million events. */
#define DEFAULT_BUFFER_MB 32

enum { OPT_GUEST = 256, OPT_HOST, OPT_BUFFER };

struct arguments {
	const char *output;
	bool host, forced;
	uint64_t seconds; /* 0: as long as the command runs */
	uint64_t buffer_mb;
	char **command; /* NULL: none */
};

static const struct argp_option options[] = {
	{ "guest", OPT_GUEST, NULL, 0, "This machine's own deadline writes (the default)", 0 },
	{ "host", OPT_HOST, NULL, 0, "The deadline writes of this host's guests", 0 },
	{ "output", 'o', "FILE", 0, "Where the trace goes, as text; required", 0 },
	{ "time", 't', "SECONDS", 0, "At most so long; without COMMAND exactly so long (10)", 0 },
	{ "buffer", OPT_BUFFER, "MB", 0, "Buffer for each CPU (32)", 0 },
	{ 0 },
};

static const char doc[] =
	"Record TSC-deadline writes with ftrace while COMMAND runs, for lazytsc replay.\v"
	"Events, filter and clock are those of this kernel: msr:write_msr with x86-tsc; from Linux 7.1 on timer:hrtimer_rearm with mono; lazytsc:lazytsc_skip where the guest has it; on a host kvm:kvm_msr, kvm_exit, kvm_entry and kvm_apic_accept_irq. Works in a trace instance of its own, which is removed however the command ends. Root only.\n\n"
	"Exit status: 0 recorded; 1 wrong usage, or not possible here; 2 FILE cannot be written, or nothing was recorded; 3 events were lost (FILE is kept, with marks where).";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case OPT_GUEST:
	case OPT_HOST:
		if (a->forced && a->host != (key == OPT_HOST))
			argp_error(state, "--guest and --host exclude each other");
		a->host = key == OPT_HOST;
		a->forced = true;
		break;
	case 'o':
		a->output = arg;
		break;
	case 't':
		a->seconds = cli_number(state, "--time", arg, 1, 86400);
		break;
	case OPT_BUFFER:
		a->buffer_mb = cli_number(state, "--buffer", arg, 1, 4096);
		break;
	case ARGP_KEY_ARGS:
		a->command = state->argv + state->next;
		break;
	case ARGP_KEY_END:
		if (!a->output)
			argp_error(state, "-o FILE is missing");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

struct event {
	const char *system, *name, *filter;
	bool needed;
};

/* What to record; the first event tells what the trace is. */
struct plan {
	const char *clock;
	const struct event *events; /* ends with an event without a name */
};

static const struct event guest_events[] = {
	/* 0x830: x2APIC ICR, which tells who woke whom */
	{ "msr", "write_msr", "msr == 0x6e0 || msr == 0x830", true },
	{ "irq_vectors", "local_timer_entry", NULL, true },
	{ "power", "cpu_idle", NULL, false },
	{ "lazytsc", "lazytsc_skip", NULL, false },
	{ NULL, NULL, NULL, false },
};

static const struct event rearm_events[] = {
	{ "timer", "hrtimer_rearm", NULL, true },
	{ "irq_vectors", "local_timer_entry", NULL, true },
	{ "power", "cpu_idle", NULL, false },
	{ "lazytsc", "lazytsc_skip", NULL, false },
	{ NULL, NULL, NULL, false },
};

static const struct event host_events[] = {
	{ "kvm", "kvm_msr", "write == 1 && ecx == 0x6e0", true },
	{ "kvm", "kvm_exit", NULL, true },
	{ "kvm", "kvm_entry", NULL, true },
	/* The vector of Linux's timer interrupt, and that before 4.15 */
	{ "kvm", "kvm_apic_accept_irq", "vec == 0xec || vec == 0xef", false },
	{ NULL, NULL, NULL, false },
};

/* What ends a recording, and the end of the command. They are blocked, and waited for. */
static void ending_signals(sigset_t *set)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD };

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(set, signals[i]);
}

/* The machine's clock event device; "" where it cannot be read. */
static void clock_event_device(char *name, size_t size)
{
	FILE *f = fopen("/sys/devices/system/clockevents/clockevent0/current_device", "re");

	name[0] = '\0';
	if (!f)
		return;
	if (fgets(name, (int)size, f))
		name[strcspn(name, "\n")] = '\0';
	fclose(f);
}

/* Choose by what this kernel has. Return: false, after a message, where it cannot be recorded. */
static bool make_plan(const struct arguments *a, struct plan *p)
{
	const char *dir = tracefs_tracing_dir();
	char device[64];

	if (geteuid() != 0) {
		warnx("must be root to use ftrace");
		return false;
	}
	if (!dir || !tracefs_file_exists(NULL, "trace_clock")) {
		warnx("no tracefs at %s, and it cannot be mounted",
		      dir ? dir : "/sys/kernel/tracing");
		return false;
	}
	if (a->host) {
		*p = (struct plan){ "mono", host_events };
		if (tracefs_event_file_exists(NULL, "kvm", "kvm_msr", "enable"))
			return true;
		warnx("this kernel has no event kvm:kvm_msr: is KVM loaded?");
		return false;
	}
	clock_event_device(device, sizeof(device));
	if (strcmp(device, "lapic-deadline")) {
		warnx("this machine's clock event device is '%s', not lapic-deadline: it writes no TSC deadlines",
		      *device ? device : "unknown");
		return false;
	}
	/* From 7.1 on the write itself is not traced, and this event is there. */
	if (tracefs_event_file_exists(NULL, "timer", "hrtimer_rearm", "enable"))
		*p = (struct plan){ "mono", rearm_events };
	else
		*p = (struct plan){ "x86-tsc", guest_events };
	if (!tracefs_event_file_exists(NULL, p->events[0].system, p->events[0].name, "enable")) {
		warnx("this kernel has no event %s:%s", p->events[0].system, p->events[0].name);
		return false;
	}
	return true;
}

static bool set_up(struct tracefs_instance *t, const struct plan *p, const struct arguments *a)
{
	if (tracefs_trace_off(t) || tracefs_instance_file_write(t, "trace_clock", p->clock) < 0) {
		warnx("this kernel has no trace clock %s", p->clock);
		return false;
	}
	if (tracefs_instance_set_buffer_size(t, a->buffer_mb * 1024, -1)) {
		warnx("no room for buffers of %" PRIu64 " MB for each CPU: give --buffer",
		      a->buffer_mb);
		return false;
	}
	for (const struct event *e = p->events; e->name; e++) {
		if (!e->needed && !tracefs_event_file_exists(t, e->system, e->name, "enable"))
			continue;
		if (e->filter &&
		    tracefs_event_file_write(t, e->system, e->name, "filter", e->filter) < 0) {
			warnx("the filter of %s:%s cannot be set", e->system, e->name);
			return false;
		}
		if (tracefs_event_enable(t, e->system, e->name)) {
			warnx("the event %s:%s cannot be enabled", e->system, e->name);
			return false;
		}
	}
	return true;
}

static pid_t start(char **command)
{
	pid_t child = fork();
	sigset_t set;

	if (child < 0)
		warn("%s", command[0]);
	if (child)
		return child;
	ending_signals(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	execvp(command[0], command);
	warn("%s", command[0]);
	_exit(127);
}

/* Run the command, or wait. Return: false where the command could not be started. */
static bool run(const struct arguments *a)
{
	double end = a->seconds ? cli_seconds() + (double)a->seconds : 1e18;
	pid_t child = a->command ? start(a->command) : 0;
	int sig = 0, status = 0;
	sigset_t set;

	if (child < 0)
		return false;
	ending_signals(&set);
	while (cli_seconds() < end) {
		const struct timespec pause = { .tv_nsec = 10000000 };

		if (child && waitpid(child, &status, WNOHANG) == child) {
			child = 0;
			break;
		}
		sig = sigtimedwait(&set, NULL, &pause);
		if (sig > 0 && sig != SIGCHLD)
			break;
	}
	if (child) {
		kill(child, SIGTERM);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
		return true;
	}
	if (!a->command || !WIFEXITED(status) || !WEXITSTATUS(status))
		return true;
	if (WEXITSTATUS(status) == 127)
		return false;
	warnx("the command failed with status %d: %s", WEXITSTATUS(status), a->command[0]);
	return true;
}

/* Events that the buffers of all CPUs lost. */
static uint64_t lost_events(struct tracefs_instance *t)
{
	uint64_t lost = 0;

	for (long cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		char *name = cli_text("per_cpu/cpu%ld/stats", cpu);
		char *stats = tracefs_instance_file_read(t, name, NULL), *save = NULL;

		for (char *l = stats ? strtok_r(stats, "\n", &save) : NULL; l;
		     l = strtok_r(NULL, "\n", &save)) {
			unsigned long long n;

			if (sscanf(l, "overrun: %llu", &n) == 1 ||
			    sscanf(l, "commit overrun: %llu", &n) == 1 ||
			    sscanf(l, "dropped events: %llu", &n) == 1)
				lost += n;
		}
		free(stats);
		free(name);
	}
	return lost;
}

/* This machine's TSC; 0 on one that has none, which cmd_record() refuses. */
static uint64_t read_tsc(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

/* TSC cycles for a millisecond, over the time from @tsc0 and @s0 on. */
static double tsc_khz(uint64_t tsc0, double s0)
{
	double s = cli_seconds() - s0;

	return s > 0.05 ? (double)(read_tsc() - tsc0) / s / 1e3 : 0;
}

/* Copy the trace to the file, complete or not at all. Return: deadline writes in it, or -1. */
static int64_t save(struct tracefs_instance *t, const struct plan *p, const char *path, double khz)
{
	char *temporary = cli_text("%s.tmp.%d", path, (int)getpid()), *line = NULL;
	int fd = tracefs_instance_file_open(t, "trace", O_RDONLY);
	FILE *from = fd < 0 ? NULL : fdopen(fd, "r"), *to = fopen(temporary, "we");
	char *mark = cli_text(" %s: ", p->events[0].name);
	int64_t writes = 0;
	size_t room = 0;
	bool ok;

	if (!from)
		warn("the trace cannot be read");
	if (!to)
		warn("%s", path);
	if (to && khz > 0 && !strcmp(p->clock, "x86-tsc"))
		fprintf(to, "# lazytsc record: tsc_khz=%.3f\n", khz);
	while (from && to && getline(&line, &room, from) > 0) {
		const char *event = strstr(line, mark);

		writes += event && (p->events[0].filter == NULL || strstr(event, "6e0"));
		fputs(line, to);
	}
	ok = from && to && !ferror(from) && !ferror(to);
	if (to && fclose(to)) {
		warn("%s", path);
		ok = false;
	}
	if (from)
		fclose(from);
	if (ok && writes && rename(temporary, path)) {
		warn("%s", path);
		ok = false;
	}
	if (!ok || !writes)
		unlink(temporary);
	free(line);
	free(mark);
	free(temporary);
	return ok ? writes : -1;
}

static int record(struct tracefs_instance *t, const struct plan *p, const struct arguments *a)
{
	uint64_t lost, tsc0 = read_tsc();
	double s0 = cli_seconds(), khz;
	int64_t writes;
	bool ran;

	if (!set_up(t, p, a) || tracefs_trace_on(t))
		return CLI_MISMATCH;
	ran = run(a);
	tracefs_trace_off(t);
	khz = tsc_khz(tsc0, s0);
	if (!ran)
		return CLI_MISMATCH;
	writes = save(t, p, a->output, khz);
	if (writes < 0)
		return CLI_BAD_INPUT;
	if (!writes) {
		warnx("no deadline write was seen in %.1f s; nothing is written",
		      cli_seconds() - s0);
		return CLI_BAD_INPUT;
	}
	lost = lost_events(t);
	printf("%s: %" PRId64 " deadline writes, %" PRIu64 " events lost\n", a->output, writes,
	       lost);
	if (!lost)
		return CLI_OK;
	warnx("events were lost: give a larger --buffer, or a shorter --time");
	return CLI_BOUNDED;
}

int cmd_record(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, "[--] [COMMAND...]", doc, NULL, NULL, NULL
	};
	struct arguments a = { .buffer_mb = DEFAULT_BUFFER_MB };
	struct tracefs_instance *t;
	struct plan plan;
	sigset_t set;
	char *name;
	int ret;

	cli_parse(&argp, argc, argv, &a);
	if (!read_tsc()) {
		warnx("only x86 has TSC deadlines to record; replay reads traces here too");
		return CLI_MISMATCH;
	}
	if (!a.command && !a.seconds)
		a.seconds = 10;
	if (!make_plan(&a, &plan))
		return CLI_MISMATCH;
	ending_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	name = cli_text("lazytsc-record-%d", (int)getpid());
	t = tracefs_instance_create(name);
	if (!t) {
		warn("a trace instance cannot be made");
		free(name);
		return CLI_MISMATCH;
	}
	ret = record(t, &plan, &a);
	tracefs_trace_off(t);
	tracefs_event_disable(t, NULL, NULL);
	if (tracefs_instance_destroy(t))
		warn("the trace instance %s cannot be removed", name);
	tracefs_instance_free(t);
	free(name);
	return ret;
}
