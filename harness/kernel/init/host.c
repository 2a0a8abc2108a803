// SPDX-License-Identifier: BSD-2-Clause
/*
 * /init of the host: run every line of /plan, send what came of it through the printer port.
 *
 * A line of the plan is "NAME PROGRAM ARGUMENT...". The port's output is, for each line,
 *
 *	run NAME
 *	<the program's standard output: "name value" lines>
 *	trace N          only when there is a trace, then its N bytes of text
 *	status N         exit status, 128 + signal
 *
 * and at last "end". The printer port is the one device that both emulators write into a file
 * without modelling a line's speed. The serial console carries the kernels' messages.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define LPT_DATA   0x378
#define LPT_CTRL   0x37a
#define LPT_IDLE   0x0c /* selected, initialised */
#define LPT_STROBE 0x0d

#define MAX_ARGS 64
#define REPORT	 "/tmp/report"
#define TRACE	 "/tmp/trace"

static void send_bytes(const char *p, size_t n)
{
	while (n--) {
		outb(*p++, LPT_DATA);
		outb(LPT_STROBE, LPT_CTRL);
		outb(LPT_IDLE, LPT_CTRL);
	}
}

static void __attribute__((format(printf, 1, 2))) send(const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	send_bytes(line, strlen(line));
}

static void send_file(const char *path)
{
	char buf[4096];
	size_t n;
	FILE *f = fopen(path, "r");

	if (!f)
		return;
	while ((n = fread(buf, 1, sizeof(buf), f)))
		send_bytes(buf, n);
	fclose(f);
}

static void finish(void)
{
	send("end\n");
	printf("host: end of plan\n");
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	reboot(RB_AUTOBOOT);
	pause();
}

static int run(char **argv)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(REPORT, O_WRONLY | O_CREAT | O_TRUNC, 0644);

		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
			_exit(127);
		execv(argv[0], argv);
		fprintf(stderr, "host: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void run_line(char *line)
{
	char *save = NULL, *argv[MAX_ARGS + 1], *name = strtok_r(line, " ", &save);
	struct stat st;
	int n = 0, status;

	if (!name)
		return;
	while (n < MAX_ARGS && (argv[n] = strtok_r(NULL, " ", &save)))
		n++;
	argv[n] = NULL;
	if (!n)
		return;
	/* A command line for the guest is one argument: its blanks are written as semicolons. */
	for (int i = 1; i < n; i++)
		if (!strcmp(argv[i - 1], "--append"))
			for (char *p = argv[i]; (p = strchr(p, ';'));)
				*p = ' ';

	printf("host: run %s\n", name);
	fflush(stdout);
	unlink(TRACE);
	status = run(argv);
	printf("host: %s: status %d\n", name, status);
	fflush(stdout);

	send("run %s\n", name);
	send_file(REPORT);
	if (!stat(TRACE, &st) && st.st_size) {
		send("trace %lld\n", (long long)st.st_size);
		send_file(TRACE);
	}
	send("status %d\n", status);
}

/* The kernel hands "attempt=N" on in the environment. */
static void wait_a_little(void)
{
	const char *attempt = getenv("attempt");

	if (attempt)
		usleep(1237 * strtoul(attempt, NULL, 10));
}

int main(void)
{
	char line[4096];
	FILE *plan;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	if (iopl(3)) {
		perror("host: iopl");
		reboot(RB_AUTOBOOT);
	}
	outb(LPT_IDLE, LPT_CTRL);
	wait_a_little();

	plan = fopen("/plan", "r");
	if (!plan)
		perror("host: /plan");
	while (plan && fgets(line, sizeof(line), plan)) {
		line[strcspn(line, "\n")] = 0;
		run_line(line);
	}
	finish();
}
