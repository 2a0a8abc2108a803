// SPDX-License-Identifier: BSD-2-Clause
/*
 * lazytsc-qemu: run a guest under QEMU, as lazytsc-vmm runs one, and move it from one QEMU to the
 * next where it asks to be restored.
 *
 * The guest's doorbell (doorbell.h) is its second serial line here: four bytes of a command, which
 * are answered by one when it is done. QEMU is told what to do by QMP, one line each way. Both go
 * through FIFOs, because the host's kernel has no sockets. A page of text is read by pmemsave.
 *
 * All that the host counts is counted for all VMs together: nothing else runs there.
 */
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../vmm/count.h"
#include "../vmm/die.h"
#include "../vmm/doorbell.h"

#define STATUS_TIMEOUT 3
#define STATUS_CRASH   4

#define MAX_HOPS  8
#define MAX_STATS 256
#define KVM_STATS "/sys/kernel/debug/kvm"
#define STATE	  "/tmp/state" /* of a guest on its way */
#define PAGE_FILE "/tmp/page"
#define PAGE	  4096
#define ACK	  '+'

/* One running QEMU. */
struct qemu {
	pid_t pid;
	int door_in, door_out; /* to the guest, from the guest */
	int qmp_in;
	FILE *qmp_out;
};

enum way { BY_FILE, BY_EXEC, BY_SNAPSHOT, BY_RESET, BY_LEAVE, WAYS };
static const char *const way_name[WAYS] = { "file", "exec", "snapshot", "reset", "leave" };

struct stat_count {
	char name[256];
	unsigned long long before;
};

struct run {
	const char *kernel, *initrd, *append, *trace_path, *machine, *disk;
	const char *arrive; /* what another host's run with BY_LEAVE left as its trace */
	const char *hop[MAX_HOPS]; /* PATH:MODEL */
	enum way way[MAX_HOPS];
	int hops, ways, cpus, mem_mb, timeout;
	bool refusal; /* a hop that refuses is what is wanted */

	struct qemu qemu;
	int started; /* how many QEMUs */
	int at; /* the hop where the guest is */
	int restores;
	int subsections; /* states with a LAZYTSC_MSR in them */
	int by_way[WAYS];
	struct counts *counts;
	struct stat_count stat[MAX_STATS];
	size_t stats;
	FILE *trace;
	time_t deadline;
};

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* Ends the QEMU and the run, with what is counted of the guest's fate. */
static void finish(struct run *r, int status, const char *lost)
{
	printf("restores %d\n", r->restores);
	for (int w = 0; w < WAYS; w++)
		printf("restores_%s %d\n", way_name[w], r->by_way[w]);
	printf("subsections %d\n", r->subsections);
	if (lost)
		printf("guest_lost %s\n", lost);
	fflush(NULL);
	if (r->qemu.pid > 0) {
		kill(r->qemu.pid, SIGKILL);
		waitpid(r->qemu.pid, NULL, 0);
	}
	_exit(status);
}

/* Waits for bytes from the QEMU. False: it has ended. */
static bool wait_for(struct run *r, const struct qemu *q, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, 100) != 1) {
		if (now() > r->deadline) {
			fprintf(stderr, "lazytsc-qemu: the guest has not ended within %d s\n",
				r->timeout);
			finish(r, STATUS_TIMEOUT, "timeout");
		}
		if (waitpid(q->pid, NULL, WNOHANG) == q->pid)
			return false;
	}
	return true;
}

static int fifo(const char *name, int n, const char *end)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/%s-%d.%s", name, n, end);
	if (mkfifo(path, 0600) && errno != EEXIST)
		vmm_die("%s: %m", path);
	/* For both, so that neither end waits for the other, or finds the end of a file. */
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		vmm_die("%s: %m", path);
	return fd;
}

/* The next line of QMP that is no event. False: QEMU has ended. */
static bool qmp_answer(struct run *r, struct qemu *q, char *line, size_t size)
{
	do {
		/* Whole lines only are written: what is buffered ends in one. */
		if (!wait_for(r, q, fileno(q->qmp_out)) || !fgets(line, size, q->qmp_out))
			return false;
	} while (strstr(line, "\"event\"") || strstr(line, "\"QMP\""));
	return true;
}

/* False: QEMU says no, or has ended; it is told. */
static bool __attribute__((format(printf, 5, 6)))
qmp(struct run *r, struct qemu *q, char *answer, size_t size, const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(command, sizeof(command) - 1, fmt, ap);
	va_end(ap);
	command[n++] = '\n';
	if (write(q->qmp_in, command, n) != n)
		vmm_die("QMP: %m");
	if (!qmp_answer(r, q, answer, size)) {
		snprintf(answer, size, "QEMU has ended");
		return false;
	}
	return !strncmp(answer, "{\"return\"", 9);
}

#define ASK(r, q, ...)                                                       \
	do {                                                                 \
		char ask_answer[4096];                                       \
		if (!qmp(r, q, ask_answer, sizeof(ask_answer), __VA_ARGS__)) \
			vmm_die("QMP: %s: %s", #__VA_ARGS__, ask_answer);    \
	} while (0)

static void start_qemu(struct run *r, struct qemu *q, const char *hop, const char *incoming)
{
	const char *colon = strchr(hop, ':');
	char *path = strndup(hop, colon - hop), smp[8], mem[8], serial[64], monitor[64];
	char drive[128] = "";
	const char *argv[64];
	int n = r->started++, a = 0;

	q->door_in = fifo("door", n, "in");
	q->door_out = fifo("door", n, "out");
	q->qmp_in = fifo("qmp", n, "in");
	q->qmp_out = fdopen(fifo("qmp", n, "out"), "r");
	setvbuf(q->qmp_out, NULL, _IONBF, 0);
	snprintf(smp, sizeof(smp), "%d", r->cpus);
	snprintf(mem, sizeof(mem), "%d", r->mem_mb);
	snprintf(serial, sizeof(serial), "pipe,id=door,path=/tmp/door-%d", n);
	snprintf(monitor, sizeof(monitor), "pipe,id=qmp,path=/tmp/qmp-%d", n);

#define ARG(x) (argv[a++] = (x))
	ARG(path);
	ARG("-M"), ARG(r->machine), ARG("-accel"), ARG("kvm"), ARG("-cpu"), ARG(colon + 1);
	ARG("-smp"), ARG(smp), ARG("-m"), ARG(mem);
	ARG("-nodefaults"), ARG("-no-user-config"), ARG("-no-reboot"), ARG("-display"), ARG("none");
	ARG("-L"), ARG("/share");
	ARG("-chardev"), ARG("file,id=console,path=/proc/self/fd/2");
	ARG("-serial"), ARG("chardev:console");
	ARG("-chardev"), ARG(serial);
	ARG("-device"), ARG("isa-serial,chardev=door,index=1");
	ARG("-chardev"), ARG(monitor), ARG("-mon"), ARG("chardev=qmp,mode=control");
	ARG("-kernel"), ARG(r->kernel), ARG("-initrd"), ARG(r->initrd), ARG("-append");
	ARG(r->append);
	if (r->disk) {
		snprintf(drive, sizeof(drive),
			 "driver=qcow2,node-name=disk,file.driver=file,file.filename=%s", r->disk);
		ARG("-blockdev"), ARG(drive);
	}
	if (incoming)
		ARG("-incoming"), ARG(incoming);
	ARG(NULL);
#undef ARG
	q->pid = fork();
	if (q->pid == 0) {
		/* The report is not QEMU's. */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execv(path, (char *const *)argv);
		fprintf(stderr, "lazytsc-qemu: %s: %s\n", path, strerror(errno));
		_exit(127);
	}
	if (q->pid < 0)
		vmm_die("fork: %m");
	free(path);
}

static void close_qemu(struct qemu *q)
{
	kill(q->pid, SIGKILL);
	waitpid(q->pid, NULL, 0);
	close(q->door_in);
	close(q->door_out);
	close(q->qmp_in);
	fclose(q->qmp_out);
}

/* Waits for the end of a migration. False: it failed. */
static bool migrated(struct run *r, struct qemu *q)
{
	char answer[4096];
	struct timespec ms = { .tv_nsec = 10000000 };

	for (;;) {
		if (!qmp(r, q, answer, sizeof(answer), "{\"execute\": \"query-migrate\"}"))
			return false;
		if (strstr(answer, "\"completed\""))
			return true;
		if (strstr(answer, "\"failed\"")) {
			fprintf(stderr, "lazytsc-qemu: %s", answer);
			return false;
		}
		nanosleep(&ms, NULL);
	}
}

/* A state ends with its own description, in JSON. */
static bool state_has(const char *name)
{
	int fd = open(STATE, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool has;
	void *p;

	if (fd < 0 || fstat(fd, &st))
		vmm_die(STATE ": %m");
	p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		vmm_die(STATE ": %m");
	has = memmem(p, st.st_size, name, strlen(name));
	munmap(p, st.st_size);
	close(fd);
	return has;
}

static void snapshot(struct run *r)
{
	ASK(r, &r->qemu,
	    "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"savevm here\"}}");
	ASK(r, &r->qemu,
	    "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"loadvm here\"}}");
}

/* What the QEMU saves of the guest goes to STATE. */
static void save(struct run *r, enum way way)
{
	unlink(STATE);
	ASK(r, &r->qemu, "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"%s" STATE "\"}}",
	    way == BY_EXEC ? "exec:cat >" : "file:");
	if (!migrated(r, &r->qemu))
		vmm_die("the guest cannot leave QEMU %d", r->started - 1);
	r->subsections += state_has("\"cpu/lazy_tscdeadline_msr\"");
}

/* The machine is reset, and the guest, which would boot anew, is at its end. */
static void reset(struct run *r)
{
	ASK(r, &r->qemu, "{\"execute\": \"stop\"}");
	ASK(r, &r->qemu, "{\"execute\": \"set-action\", \"arguments\": {\"reboot\": \"reset\"}}");
	ASK(r, &r->qemu, "{\"execute\": \"system_reset\"}");
	save(r, BY_FILE);
	r->by_way[BY_RESET]++;
	r->restores++;
	finish(r, 0, NULL);
}

/* The state becomes the trace, as text, and the guest is at its end on this host. */
static void leave(struct run *r)
{
	char command[256];

	save(r, BY_FILE);
	snprintf(command, sizeof(command), "gzip -c " STATE " | base64 >%s", r->trace_path);
	if (system(command))
		vmm_die("%s: failed", command);
	r->by_way[BY_LEAVE]++;
	r->restores++;
	finish(r, 0, NULL);
}

/* To the next QEMU of the list. */
static void migrate(struct run *r, enum way way)
{
	const char *hop = r->hop[(r->at + 1) % r->hops];
	struct qemu next = { 0 };
	char answer[4096];

	save(r, way);
	start_qemu(r, &next, hop, way == BY_EXEC ? "exec:cat " STATE : "file:" STATE);
	if (!qmp(r, &next, answer, sizeof(answer), "{\"execute\": \"qmp_capabilities\"}") ||
	    !migrated(r, &next)) {
		printf("refused_by %s\n", hop);
		if (!r->refusal)
			vmm_die("%s refuses the guest", hop);
		/* As a manager of VMs does: the guest goes on where it was. */
		close_qemu(&next);
		ASK(r, &r->qemu, "{\"execute\": \"cont\"}");
		return;
	}
	close_qemu(&r->qemu);
	r->qemu = next;
	r->at++;
}

static void restore(struct run *r)
{
	enum way way = r->way[r->restores % r->ways];

	if (way == BY_RESET)
		reset(r);
	else if (way == BY_LEAVE)
		leave(r);
	else if (way == BY_SNAPSHOT)
		snapshot(r);
	else
		migrate(r, way);
	r->by_way[way]++;
	r->restores++;
}

static void take_page(struct run *r, uint32_t pfn, FILE *out)
{
	char page[PAGE];
	FILE *f;

	ASK(r, &r->qemu,
	    "{\"execute\": \"pmemsave\", \"arguments\": {\"val\": %llu, \"size\": %d, \"filename\": \"" PAGE_FILE
	    "\"}}",
	    (unsigned long long)pfn * PAGE, PAGE);
	f = fopen(PAGE_FILE, "r");
	if (!f || fread(page, 1, PAGE, f) != PAGE)
		vmm_die(PAGE_FILE ": %m");
	fclose(f);
	fwrite(page, 1, strnlen(page, PAGE), out);
}

static unsigned long long read_stat(const char *name)
{
	char path[512];
	unsigned long long value = 0;
	FILE *f;

	snprintf(path, sizeof(path), KVM_STATS "/%s", name);
	f = fopen(path, "r");
	if (f && fscanf(f, "%llu", &value) != 1)
		value = 0;
	if (f)
		fclose(f);
	return value;
}

static void stats_start(struct run *r)
{
	DIR *d = opendir(KVM_STATS);
	struct dirent *e;

	if (!d)
		vmm_die(KVM_STATS ": %m");
	r->stats = 0;
	while ((e = readdir(d)) && r->stats < MAX_STATS) {
		struct stat_count *c = &r->stat[r->stats];

		if (e->d_type != DT_REG)
			continue;
		snprintf(c->name, sizeof(c->name), "%s", e->d_name);
		c->before = read_stat(c->name);
		r->stats++;
	}
	closedir(d);
}

/* A VM's counts go with it: after a migration the sum begins anew. */
static void stats_print(struct run *r)
{
	for (size_t i = 0; i < r->stats; i++) {
		unsigned long long after = read_stat(r->stat[i].name);
		unsigned long long before = r->restores ? 0 : r->stat[i].before;

		if (after != before)
			printf("stat_%s %llu\n", r->stat[i].name, after - before);
	}
}

/* False: it was the last one. */
static bool command(struct run *r, uint32_t word)
{
	uint32_t arg = word >> 8;

	switch (word & 0xff) {
	case VMM_START:
		stats_start(r);
		counts_start(r->counts);
		break;
	case VMM_STOP:
		counts_stop(r->counts);
		stats_print(r);
		counts_print(r->counts, stdout);
		break;
	case VMM_RESTORE:
		restore(r);
		break;
	case VMM_REPORT:
		take_page(r, arg, stdout);
		break;
	case VMM_TRACE:
		take_page(r, arg, r->trace);
		break;
	case VMM_EXIT:
		if (arg > 0xff)
			vmm_die("the guest ends with status %u", arg);
		return false;
	default:
		vmm_die("the guest rings the doorbell with 0x%x", word);
	}
	return true;
}

static void acknowledge(struct run *r)
{
	char ack = ACK;

	if (write(r->qemu.door_in, &ack, 1) != 1)
		vmm_die("doorbell: %m");
}

/* A guest that has left another host in the middle of a restore. */
static void arrive(struct run *r)
{
	char from[256], answer[4096];

	snprintf(from, sizeof(from), "exec:base64 -d %s | gzip -dc", r->arrive);
	start_qemu(r, &r->qemu, r->hop[0], from);
	r->by_way[BY_LEAVE]++;
	r->restores++;
	if (!qmp(r, &r->qemu, answer, sizeof(answer), "{\"execute\": \"qmp_capabilities\"}") ||
	    !migrated(r, &r->qemu)) {
		printf("refused_by %s\n", r->hop[0]);
		if (!r->refusal)
			vmm_die("%s refuses the guest", r->hop[0]);
		finish(r, 0, NULL);
	}
	stats_start(r);
	counts_start(r->counts);
	acknowledge(r);
}

static void serve(struct run *r)
{
	uint32_t word;

	for (;;) {
		size_t have = 0;

		while (have < sizeof(word)) {
			ssize_t n;

			if (!wait_for(r, &r->qemu, r->qemu.door_out)) {
				fprintf(stderr,
					"lazytsc-qemu: QEMU has ended, and the guest has not\n");
				r->qemu.pid = 0;
				finish(r, STATUS_CRASH, "crash");
			}
			n = read(r->qemu.door_out, (char *)&word + have, sizeof(word) - have);
			if (n <= 0)
				vmm_die("doorbell: %m");
			have += n;
		}
		if (!command(r, word))
			finish(r, word >> 8, NULL);
		acknowledge(r);
	}
}

/* The rate of a vCPU's TSC, which the counts are converted with. */
static int tsc_khz(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, vcpu, khz;

	if (kvm < 0)
		vmm_die("/dev/kvm: %m");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	khz = ioctl(vcpu, KVM_GET_TSC_KHZ, 0);
	if (khz <= 0)
		vmm_die("KVM_GET_TSC_KHZ: %m");
	close(vcpu);
	close(vm);
	close(kvm);
	return khz;
}

enum {
	KEY_CPUS = 'c',
	KEY_MEM = 'm',
	KEY_KERNEL = 'k',
	KEY_INITRD = 'i',
	KEY_APPEND = 'a',
	KEY_TIMEOUT = 't',
	KEY_TRACE = 'T',
	KEY_QEMU = 'q',
	KEY_BY = 'b',
	KEY_MACHINE = 'M',
	KEY_DISK = 'd',
	KEY_REFUSAL = 'r',
	KEY_ARRIVE = 'A'
};

static const struct argp_option options[] = {
	{ "kernel", KEY_KERNEL, "VMLINUX", 0, "guest kernel", 0 },
	{ "initrd", KEY_INITRD, "FILE", 0, "guest initramfs", 0 },
	{ "append", KEY_APPEND, "TEXT", 0, "guest kernel command line", 0 },
	{ "cpus", KEY_CPUS, "N", 0, "vCPUs (1)", 0 },
	{ "memory", KEY_MEM, "MIB", 0, "guest memory (128)", 0 },
	{ "timeout", KEY_TIMEOUT, "SECONDS", 0, "give up after this time (60)", 0 },
	{ "trace", KEY_TRACE, "FILE", 0, "where the guest's trace goes (/dev/null)", 0 },
	{ "qemu", KEY_QEMU, "PATH:MODEL", 0,
	  "a QEMU and its CPU model; may be repeated: a migration goes to the next one", 0 },
	{ "by", KEY_BY, "WAY", 0,
	  "file (default), exec, snapshot, or reset and leave, which end the guest; may be repeated, and is taken in turn",
	  0 },
	{ "machine", KEY_MACHINE, "TYPE", 0, "QEMU's machine (microvm)", 0 },
	{ "disk", KEY_DISK, "FILE", 0, "qcow2 image for snapshots", 0 },
	{ "refusal", KEY_REFUSAL, 0, 0,
	  "a QEMU may refuse the guest, which then goes on where it was", 0 },
	{ "arrive", KEY_ARRIVE, "FILE", 0,
	  "boot no guest: go on with the one that has left another host with FILE as its trace",
	  0 },
	{ 0 }
};

static int number(const char *s, int low, int high, struct argp_state *state)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (*end || n < low || n > high)
		argp_error(state, "expected a number from %d to %d, found '%s'", low, high, s);
	return n;
}

static enum way way_of(const char *s, struct argp_state *state)
{
	for (int w = 0; w < WAYS; w++)
		if (!strcmp(s, way_name[w]))
			return w;
	argp_error(state, "--by: expected file, exec, snapshot, reset or leave, found '%s'", s);
	return WAYS;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct run *r = state->input;

	switch (key) {
	case KEY_KERNEL:
		r->kernel = arg;
		break;
	case KEY_INITRD:
		r->initrd = arg;
		break;
	case KEY_APPEND:
		r->append = arg;
		break;
	case KEY_CPUS:
		r->cpus = number(arg, 1, 4, state);
		break;
	case KEY_MEM:
		r->mem_mb = number(arg, 32, 3072, state);
		break;
	case KEY_TIMEOUT:
		r->timeout = number(arg, 1, 86400, state);
		break;
	case KEY_TRACE:
		r->trace_path = arg;
		break;
	case KEY_QEMU:
		if (!strchr(arg, ':') || r->hops == MAX_HOPS)
			argp_error(state,
				   "--qemu: expected PATH:MODEL, at most %d times, found '%s'",
				   MAX_HOPS, arg);
		r->hop[r->hops++] = arg;
		break;
	case KEY_BY:
		if (r->ways == MAX_HOPS)
			argp_error(state, "--by: at most %d times", MAX_HOPS);
		r->way[r->ways++] = way_of(arg, state);
		break;
	case KEY_MACHINE:
		r->machine = arg;
		break;
	case KEY_DISK:
		r->disk = arg;
		break;
	case KEY_REFUSAL:
		r->refusal = true;
		break;
	case KEY_ARRIVE:
		r->arrive = arg;
		break;
	case ARGP_KEY_END:
		if (!r->kernel || !r->initrd || !r->hops)
			argp_error(state, "--kernel, --initrd and --qemu are needed");
		if (!r->ways)
			r->ways = 1;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "Boot a Linux guest under QEMU on KVM, count what it costs the host, and migrate it where it asks for it.\v"
	       "The consoles go to standard error, counts and the guest's report to standard output, one \"name value\" on a line.\n\n"
	       "Exit status: what the guest says (0: good), 1 usage, 2 error, 3 the guest did not end, 4 it or its QEMU crashed.",
};

int main(int argc, char **argv)
{
	static struct run r = {
		.cpus = 1,
		.mem_mb = 128,
		.timeout = 60,
		.append = "",
		.trace_path = "/dev/null",
		.machine = "microvm",
	};

	argp_err_exit_status = 1;
	argp_parse(&argp, argc, argv, 0, NULL, &r);
	r.deadline = now() + r.timeout;
	r.trace = fopen(r.trace_path, "w");
	if (!r.trace)
		vmm_die("%s: %m", r.trace_path);
	r.counts = counts_new();
	printf("tsc_khz %d\n", tsc_khz());
	if (r.arrive) {
		arrive(&r);
	} else {
		start_qemu(&r, &r.qemu, r.hop[0], NULL);
		ASK(&r, &r.qemu, "{\"execute\": \"qmp_capabilities\"}");
	}
	serve(&r);
}
