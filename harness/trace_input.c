// SPDX-License-Identifier: BSD-2-Clause
#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "trace_input.h"

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

/* Look at the file's first bytes: compressed, text, or another tool's binary format. */
static int detect(struct trace_input *in)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *refuse; /* NULL: compressed */
	} formats[] = {
		{ "\x1f\x8b", 2, NULL },
		{ "\xfd"
		  "7zXZ",
		  6, NULL },
		{ "\x28\xb5\x2f\xfd", 4, NULL },
		{ "\x17\x08\x44tracing", 10,
		  "a trace-cmd file; convert it with `trace-cmd report`" },
		{ "PERFILE2", 8, "a perf.data file; convert it with `perf script`" },
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
		if (!formats[i].refuse)
			return open_archive(in);
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
	if (in->archive)
		archive_read_free(in->archive);
	if (in->fd > STDIN_FILENO)
		close(in->fd);
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
