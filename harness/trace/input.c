// SPDX-License-Identifier: BSD-2-Clause
#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "input.h"

#define PROGRESS_AFTER_NS 2000000000ULL
#define PROGRESS_EVERY_NS 200000000ULL

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static void progress(struct trace_input *in)
{
	uint64_t now;

	if (!in->progress_due_ns)
		return;
	now = now_ns();
	if (now < in->progress_due_ns)
		return;
	in->progress_due_ns = now + PROGRESS_EVERY_NS;
	in->progress_shown = true;
	if (in->size)
		fprintf(stderr, "\r%s: %.0f %%", in->name,
			100.0 * (double)in->bytes / (double)in->size);
	else
		fprintf(stderr, "\r%s: %llu MB", in->name,
			(unsigned long long)(in->bytes / 1000000));
	fflush(stderr);
}

/* Bytes as they are in the file. */
static ssize_t read_file(struct trace_input *in, void *to, size_t room)
{
	ssize_t n;

	do
		n = read(in->fd, to, room);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		in->bytes += (uint64_t)n;
	else if (n < 0)
		snprintf(in->error, sizeof(in->error), "%s: %s", in->name, strerror(errno));
	return n;
}

static la_ssize_t feed_archive(struct archive *a, void *ctx, const void **data)
{
	struct trace_input *in = ctx;
	ssize_t n;

	*data = in->raw;
	if (in->peeked) {
		n = (ssize_t)in->peeked;
		in->peeked = 0;
		return n;
	}
	n = read_file(in, in->raw, sizeof(in->raw));
	if (n < 0)
		archive_set_error(a, errno, "%s", strerror(errno));
	return n;
}

static int archive_failed(struct trace_input *in)
{
	const char *why = archive_error_string(in->archive);

	snprintf(in->error, sizeof(in->error), "%s: cannot decompress: %s", in->name,
		 why ? why : "damaged file");
	return -1;
}

static int open_archive(struct trace_input *in)
{
	struct archive_entry *entry;

	in->archive = archive_read_new();
	if (!in->archive) {
		snprintf(in->error, sizeof(in->error), "%s: out of memory", in->name);
		return -1;
	}
	archive_read_support_filter_gzip(in->archive);
	archive_read_support_filter_xz(in->archive);
	archive_read_support_filter_zstd(in->archive);
	archive_read_support_format_raw(in->archive);
	archive_read_support_format_empty(in->archive);
	if (archive_read_open(in->archive, in, NULL, feed_archive, NULL) != ARCHIVE_OK)
		return archive_failed(in);
	switch (archive_read_next_header(in->archive, &entry)) {
	case ARCHIVE_OK:
	case ARCHIVE_WARN:
		return 0;
	case ARCHIVE_EOF: /* compressed nothing */
		in->eof = true;
		return 0;
	default:
		return archive_failed(in);
	}
}

/* Read a file of trace-cmd's through trace-cmd: time stamps in full, no plugins. */
static int open_trace_cmd(struct trace_input *in)
{
	int fds[2];

	if (in->fd == STDIN_FILENO) {
		snprintf(in->error, sizeof(in->error),
			 "%s: a trace-cmd file, which cannot be read from a pipe", in->name);
		return -1;
	}
	if (pipe2(fds, O_CLOEXEC) || (in->child = fork()) < 0) {
		snprintf(in->error, sizeof(in->error), "%s: trace-cmd: %s", in->name,
			 strerror(errno));
		return -1;
	}
	if (in->child == 0) {
		/* What it has to complain of is said in one line here. */
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		dup2(fds[1], STDOUT_FILENO);
		execlp("trace-cmd", "trace-cmd", "report", "-N", "-t", "-i", in->name, NULL);
		_exit(127);
	}
	close(fds[1]);
	close(in->fd);
	in->fd = fds[0];
	in->size = 0;
	in->bytes = 0;
	in->peeked = 0;
	return 0;
}

/* trace-cmd has written all: did it succeed? */
static int reap_trace_cmd(struct trace_input *in)
{
	int status = 0;

	while (waitpid(in->child, &status, 0) < 0 && errno == EINTR)
		;
	in->child = 0;
	if (status == 0)
		return 0;
	snprintf(in->error, sizeof(in->error), "%s: a trace-cmd file, %s", in->name,
		 WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "and trace-cmd, which reads it, "
								   "is not installed"
								 : "and `trace-cmd report` failed "
								   "on it");
	return -1;
}

/* Look at the file's first bytes: compressed, text, or another tool's binary format. */
static int detect(struct trace_input *in)
{
	static const struct {
		const char *magic;
		size_t len;
		int (*open)(struct trace_input *in); /* NULL: refuse */
		const char *refuse;
	} formats[] = {
		{ "\x1f\x8b", 2, open_archive, NULL },
		{ "\xfd"
		  "7zXZ",
		  6, open_archive, NULL },
		{ "\x28\xb5\x2f\xfd", 4, open_archive, NULL },
		{ "\x17\x08\x44tracing", 10, open_trace_cmd, NULL },
		{ "PERFILE2", 8, NULL, "a perf.data file; convert it with `perf script`" },
	};

	while (in->peeked < 16) {
		ssize_t n = read_file(in, in->raw + in->peeked, sizeof(in->raw) - in->peeked);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		in->peeked += (size_t)n;
	}
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (in->peeked < formats[i].len ||
		    memcmp(in->raw, formats[i].magic, formats[i].len))
			continue;
		if (formats[i].open)
			return formats[i].open(in);
		snprintf(in->error, sizeof(in->error), "%s: %s", in->name, formats[i].refuse);
		return -1;
	}
	memcpy(in->buffer, in->raw, in->peeked);
	in->end = in->buffer + in->peeked;
	return 0;
}

int trace_input_open(const char *path, struct trace_input **out)
{
	struct trace_input *in = malloc(sizeof(*in));
	struct stat st;

	*out = in;
	if (!in)
		return -1;
	/* Not the buffers, which are large. */
	memset(in, 0, offsetof(struct trace_input, raw));
	in->cur = in->end = in->buffer;
	in->name = path;
	in->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (in->fd < 0) {
		snprintf(in->error, sizeof(in->error), "%s: %s", path, strerror(errno));
		return -1;
	}
	if (!fstat(in->fd, &st) && S_ISREG(st.st_mode))
		in->size = (uint64_t)st.st_size;
	if (isatty(STDERR_FILENO))
		in->progress_due_ns = now_ns() + PROGRESS_AFTER_NS;
	return detect(in);
}

void trace_input_close(struct trace_input *in)
{
	if (!in)
		return;
	if (in->progress_shown)
		fputs("\r\033[K", stderr);
	if (in->archive)
		archive_read_free(in->archive);
	if (in->fd > STDIN_FILENO)
		close(in->fd);
	/* The closed pipe has ended it, if it was still at work. */
	if (in->child > 0)
		waitpid(in->child, NULL, 0);
	free(in);
}

int trace_input_fill(struct trace_input *in)
{
	size_t have = (size_t)(in->end - in->cur);
	char *to = in->buffer + have;
	size_t room = sizeof(in->buffer) - have;
	ssize_t n;

	if (in->eof)
		return 0;
	memmove(in->buffer, in->cur, have);
	in->cur = in->buffer;
	in->end = to;
	if (in->archive) {
		n = archive_read_data(in->archive, to, room);
		if (n < 0)
			return archive_failed(in);
	} else {
		n = read_file(in, to, room);
		if (n < 0)
			return -1;
	}
	in->eof = n == 0;
	in->end += n;
	progress(in);
	if (in->eof && in->child && reap_trace_cmd(in))
		return -1;
	return n > 0;
}

/* Drop what remains of a line that was handed out cut. */
static int skip_rest(struct trace_input *in)
{
	while (in->skip_rest) {
		const char *nl = memchr(in->cur, '\n', (size_t)(in->end - in->cur));
		int more;

		if (nl) {
			in->cur = nl + 1;
			in->skip_rest = false;
			break;
		}
		in->cur = in->end;
		more = trace_input_fill(in);
		if (more <= 0)
			return more;
	}
	return 1;
}

int trace_input_slow_line(struct trace_input *in, struct trace_text *text)
{
	int more = skip_rest(in);

	if (more <= 0)
		return more;
	for (;;) {
		const char *nl = memchr(in->cur, '\n', (size_t)(in->end - in->cur));

		*text = (struct trace_text){ .p = in->cur, .e = nl ? nl : in->end };
		if (nl) {
			in->cur = nl + 1;
			return 1;
		}
		if (in->end - in->cur == TRACE_INPUT_BUFFER) {
			text->cut = true;
			in->skip_rest = true;
			in->cur = in->end;
			return 1;
		}
		more = trace_input_fill(in);
		if (more < 0)
			return -1;
		if (more == 0)
			break;
	}
	if (in->cur == in->end)
		return 0;
	*text = (struct trace_text){ .p = in->cur, .e = in->end, .unterminated = true };
	in->cur = in->end;
	return 1;
}
