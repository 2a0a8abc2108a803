// SPDX-License-Identifier: BSD-2-Clause
#include <archive.h>
#include <zlib.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "input.h"

/* A member of a gzip file begins with so many bytes. */
#define GZIP_HEADER 10
/* So many bytes show what a file is; a tar archive's name for itself is the last of them. */
#define BEGINNING	  512
#define TAR_MAGIC	  257
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
		in->raw_len = in->peeked;
		in->peeked = 0;
		return n;
	}
	n = read_file(in, in->raw, sizeof(in->raw));
	if (n > 0)
		in->raw_len = (size_t)n;
	if (n < 0)
		archive_set_error(a, errno, "%s", strerror(errno));
	return n;
}

static int archive_failed(struct trace_input *in)
{
	const char *why = archive_error_string(in->archive);

	/* What liblzma says of a file that ends too early, and of bytes behind its end. */
	if (why && strstr(why, "No progress is possible"))
		why = "truncated xz file, or one with other bytes behind its end";
	else if (why && strstr(why, "Lzma library error"))
		why = "damaged xz file, or one with other bytes behind its end";
	/* The file begins with a frame, so this one stands behind another. */
	else if (why && strstr(why, "Unknown frame descriptor"))
		why = "other bytes behind the end of the zstd file";

	snprintf(in->error, sizeof(in->error), "%s: cannot decompress: %s", in->name,
		 why ? why : "damaged file");
	return -1;
}

__attribute__((format(printf, 2, 3))) static int fail(struct trace_input *in, const char *fmt, ...)
{
	int n = snprintf(in->error, sizeof(in->error), "%s: ", in->name);
	va_list ap;

	if (n < 0 || (size_t)n >= sizeof(in->error))
		return -1;
	va_start(ap, fmt);
	vsnprintf(in->error + n, sizeof(in->error) - (size_t)n, fmt, ap);
	va_end(ap);
	return -1;
}

/*
 * libarchive takes whatever stands behind a bzip2 file for its end, also what was one. Return: 0 at
 * the end, -1 where other bytes than zeros follow.
 */
static ssize_t end_archive(struct trace_input *in)
{
	uint64_t left = in->bytes - (uint64_t)archive_filter_bytes(in->archive, -1);
	ssize_t n = (ssize_t)in->raw_len;
	/* What was not consumed of the last bytes that were read. */
	const char *p = in->raw + n - (left < (uint64_t)n ? (ssize_t)left : n);

	do {
		for (; p < in->raw + n; p++) {
			if (*p)
				return fail(
					in,
					"cannot decompress: other bytes behind its end, or a damaged part of it");
		}
		n = read_file(in, in->raw, sizeof(in->raw));
		p = in->raw;
	} while (n > 0);
	return n;
}

static int open_archive(struct trace_input *in)
{
	struct archive_entry *entry;

	in->archive = archive_read_new();
	if (!in->archive)
		return fail(in, "out of memory");
	archive_read_support_filter_bzip2(in->archive);
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

static int open_gzip(struct trace_input *in)
{
	in->gzip = calloc(1, sizeof(*in->gzip));
	if (!in->gzip || inflateInit2(in->gzip, 15 + 16) != Z_OK)
		return fail(in, "out of memory");
	in->gzip->next_in = (unsigned char *)in->raw;
	in->gzip->avail_in = (unsigned int)in->peeked;
	in->gzip_member = true;
	in->peeked = 0;
	return 0;
}

static ssize_t behind_gzip(struct trace_input *in)
{
	return fail(in, "cannot decompress: other bytes behind the end of the gzip file");
}

/* Decompress, member after member, each with its check sum. */
static ssize_t read_gzip(struct trace_input *in, char *to, size_t room)
{
	z_stream *z = in->gzip;

	z->next_out = (unsigned char *)to;
	z->avail_out = (unsigned int)room;
	while (z->avail_out == room) {
		int ret;

		if (!z->avail_in) {
			ssize_t n = read_file(in, in->raw, sizeof(in->raw));

			if (n < 0)
				return -1;
			if (n == 0 && in->gzip_member)
				return in->gzip_members && z->total_in < GZIP_HEADER
					       ? behind_gzip(in)
					       : fail(in, "cannot decompress: truncated gzip file");
			if (n == 0)
				return 0;
			z->next_in = (unsigned char *)in->raw;
			z->avail_in = (unsigned int)n;
		}
		if (!in->gzip_member) {
			/* Padding of zeros may follow, as on tapes. */
			if (!*z->next_in) {
				z->next_in++;
				z->avail_in--;
				continue;
			}
			inflateReset(z);
			in->gzip_member = true;
		}
		ret = inflate(z, Z_NO_FLUSH);
		if (ret == Z_STREAM_END) {
			in->gzip_member = false;
			in->gzip_members = true;
		} else if (in->gzip_members && z->total_in < GZIP_HEADER && ret == Z_DATA_ERROR) {
			return behind_gzip(in);
		} else if (ret != Z_OK && ret != Z_BUF_ERROR)
			return fail(in, "cannot decompress: %s",
				    z->msg ? z->msg : "damaged gzip file");
	}
	return (ssize_t)(room - z->avail_out);
}

/* Bytes as the tool wrote them. */
static ssize_t read_plain(struct trace_input *in, char *to, size_t room)
{
	ssize_t n;

	if (in->gzip)
		return read_gzip(in, to, room);
	if (!in->archive)
		return read_file(in, to, room);
	n = archive_read_data(in->archive, to, room);
	if (n < 0)
		return archive_failed(in);
	return n ? n : end_archive(in);
}

static void close_decompressor(struct trace_input *in)
{
	if (in->archive)
		archive_read_free(in->archive);
	if (in->gzip) {
		inflateEnd(in->gzip);
		free(in->gzip);
	}
	in->archive = NULL;
	in->gzip = NULL;
}

/* Have a file that can be read from any place: the buffer holds its beginning. */
static int spool(struct trace_input *in)
{
	FILE *file;
	int fd;

	if (!in->archive && !in->gzip && lseek(in->fd, 0, SEEK_SET) == 0)
		return 0;
	file = tmpfile();
	fd = file ? dup(fileno(file)) : -1;
	if (file)
		fclose(file);
	if (fd < 0)
		return fail(in, "a temporary file: %s", strerror(errno));
	do {
		for (const char *p = in->buffer; p < in->end;) {
			ssize_t n = write(fd, p, (size_t)(in->end - p));

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0) {
				close(fd);
				return fail(in, "a temporary file: %s", strerror(errno));
			}
			p += n;
		}
		in->cur = in->end = in->buffer;
	} while (trace_input_fill(in) > 0);
	if (*in->error) {
		close(fd);
		return -1;
	}
	if (in->fd > STDIN_FILENO)
		close(in->fd);
	close_decompressor(in);
	in->fd = fd;
	in->eof = false;
	return lseek(fd, 0, SEEK_SET) < 0 ? fail(in, "a temporary file: %s", strerror(errno)) : 0;
}

static int open_dat(struct trace_input *in)
{
	if (spool(in))
		return -1;
	in->dat = true;
	return 0;
}

/*
 * Read a file of perf's through perf: time stamps in full, the fields that matter. The period tells
 * of events that stand for others; but not every event of another kind has one.
 */
static int open_perf(struct trace_input *in)
{
	char path[32];
	int fds[2];

	if (spool(in))
		return -1;
	in->perf = true;
	in->complaints = memfd_create("perf", MFD_CLOEXEC);
	if (in->complaints < 0 || pipe2(fds, O_CLOEXEC) || (in->child = fork()) < 0)
		return fail(in, "perf: %s", strerror(errno));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", in->fd);
	if (in->child == 0) {
		dup2(in->complaints, STDERR_FILENO);
		dup2(fds[1], STDOUT_FILENO);
		fcntl(in->fd, F_SETFD, 0);
		execlp("perf", "perf", "script", "-f", "--show-lost-events", "--ns", "-F",
		       "comm,pid,tid,cpu,time,event,trace", "-F",
		       "trace:comm,pid,tid,cpu,time,period,event,trace", "-i", path, NULL);
		_exit(127);
	}
	close(fds[1]);
	if (in->fd > STDIN_FILENO)
		close(in->fd);
	in->fd = fds[0];
	in->size = 0;
	in->bytes = 0;
	in->eof = false;
	in->cur = in->end = in->buffer;
	return 0;
}

/* The last line of what perf complained of, which says why it failed, in brackets; or nothing. */
static const char *complaint(const struct trace_input *in, char *to, size_t room)
{
	char text[112], *p, *e;
	off_t size = lseek(in->complaints, 0, SEEK_END), most = sizeof(text);
	ssize_t n = pread(in->complaints, text, sizeof(text), size > most ? size - most : 0);

	*to = 0;
	if (n <= 0)
		return to;
	for (e = text + n; e > text && (unsigned char)e[-1] <= ' ';)
		e--;
	for (p = e; p > text && p[-1] != '\n';)
		p--;
	for (char *q = p; q < e; q++) {
		if (*q < ' ' || *q == 127)
			*q = '?';
	}
	if (p < e)
		snprintf(to, room, " (%.*s)", (int)(e - p), p);
	return to;
}

/* What perf says, without a status, where a recording into a pipe is not whole. */
static bool complains_of_end(const struct trace_input *in)
{
	static const char words[] = "unexpected end of event stream";
	char text[4096];
	off_t size = lseek(in->complaints, 0, SEEK_END), most = sizeof(text);
	ssize_t n = pread(in->complaints, text, sizeof(text), size > most ? size - most : 0);

	return n > 0 && memmem(text, (size_t)n, words, sizeof(words) - 1);
}

/* perf has written all: did it succeed? */
static int reap(struct trace_input *in)
{
	char why[120];
	int status = 0;

	while (waitpid(in->child, &status, 0) < 0 && errno == EINTR)
		;
	in->child = 0;
	if (status == 0 && complains_of_end(in))
		return fail(
			in,
			"a perf.data file that is truncated: perf record wrote it into a pipe, and not to its end");
	if (status == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return fail(
			in,
			"a perf.data file, and perf, which reads it, is not installed; where it is: " PERF_SCRIPT
			" -i FILE > FILE.txt");
	return fail(
		in,
		"a perf.data file, and `perf script` failed on it%s: truncated, of a newer perf, or without trace events; where it was recorded: " PERF_SCRIPT
		" -i FILE > FILE.txt",
		complaint(in, why, sizeof(why)));
}

/* What is no trace, or has to be made one first. */
static const char twice[] = "compressed twice; decompress it once by hand";
static const char cpio[] = "a cpio archive: cpio -i --to-stdout MEMBER < FILE | lazytsc replay -";
static const char tar[] = "a tar archive: tar -xOf FILE MEMBER | lazytsc replay -";
static const char skippable[] =
	"a zstd file that begins with a frame to be skipped, as pzstd's: zstd -dc FILE | lazytsc replay -";
static const char utf16[] =
	"UTF-16 text, as PowerShell's > writes it: iconv -f UTF-16 -t UTF-8 FILE | lazytsc replay -";
static const char utf32[] = "UTF-32 text: iconv -f UTF-32 -t UTF-8 FILE | lazytsc replay -";
static const char binary[] =
	"a binary file, no trace (expected the text of ftrace, trace-cmd report or perf script, a trace.dat or a perf.data)";

struct format {
	const char *magic;
	size_t len;
	int (*open)(struct trace_input *in); /* NULL: it is refused */
	const char *refusal;
};

/* As files are on disk. */
static const struct format compressed[] = {
	{ "\x1f\x8b", 2, open_gzip, NULL },
	{ "\xfd"
	  "7zXZ",
	  6, open_archive, NULL },
	{ "\x28\xb5\x2f\xfd", 4, open_archive, NULL },
	{ "BZh", 3, open_archive, NULL },
	{ NULL, 0, NULL, NULL },
};

/* What the tools write. */
static const struct format plain[] = {
	{ "\x17\x08\x44tracing", 10, open_dat, NULL },
	{ "PERFILE2", 8, open_perf, NULL },
	{ "2ELIFREP", 8, open_perf, NULL },
	{ "\x04\x22\x4d\x18", 4, NULL, "compressed with lz4: lz4 -dc FILE | lazytsc replay -" },
	{ "\x5d\0\0", 3, NULL, "compressed with lzma: xz -dc FILE | lazytsc replay -" },
	{ "\x1f\x9d", 2, NULL, "compressed with compress: gzip -dc FILE | lazytsc replay -" },
	{ "070701", 6, NULL, cpio },
	{ "070702", 6, NULL, cpio },
	{ "070707", 6, NULL, cpio },
	{ "\xc7\x71", 2, NULL, cpio },
	{ "!<arch>\n", 8, NULL, "an ar archive: ar p FILE MEMBER | lazytsc replay -" },
	{ "PK\x03\x04", 4, NULL, "a zip archive: unzip -p FILE | lazytsc replay -" },
	{ "7z\xbc\xaf\x27\x1c", 6, NULL, "a 7-Zip archive: 7z x -so FILE | lazytsc replay -" },
	{ "\x7f"
	  "ELF",
	  4, NULL, "an ELF file (a program or a core dump), no trace" },
	{ "{", 1, NULL,
	  "JSON, no text of a trace; where perf data convert has written it, read its perf.data instead" },
	{ "\xff\xfe\0\0", 4, NULL, utf32 },
	{ "\0\0\xfe\xff", 4, NULL, utf32 },
	{ "\xff\xfe", 2, NULL, utf16 },
	{ "\xfe\xff", 2, NULL, utf16 },
	{ "\x1f\x8b", 2, NULL, twice },
	{ "\xfd"
	  "7zXZ",
	  6, NULL, twice },
	{ "\x28\xb5\x2f\xfd", 4, NULL, twice },
	{ "BZh91AY&SY", 10, NULL, twice },
	{ NULL, 0, NULL, NULL },
};

static const struct format *find_format(const struct format *f, const char *p, size_t n)
{
	while (f->magic && (n < f->len || memcmp(p, f->magic, f->len)))
		f++;
	return f->magic ? f : NULL;
}

/* No text begins with such bytes. Every other one 0: UTF-16 without its mark. */
static int refuse_bytes(struct trace_input *in)
{
	size_t n = (size_t)(in->end - in->buffer), zeros[2] = { 0, 0 };

	if (n >= TAR_MAGIC + 5 && !memcmp(in->buffer + TAR_MAGIC, "ustar", 5))
		return fail(in, "%s", tar);
	/* Any of the 16 frames that are to be skipped. */
	if (n >= 4 && (in->buffer[0] & 0xf0) == 0x50 && !memcmp(in->buffer + 1, "\x2a\x4d\x18", 3))
		return fail(in, "%s", skippable);
	n = n < 64 ? n : 64;
	for (size_t i = 0; i < n; i++)
		zeros[i & 1] += !in->buffer[i];
	if (!zeros[0] && !zeros[1])
		return 0;
	if (n >= 8 && (zeros[0] >= n / 2 - 1) != (zeros[1] >= n / 2 - 1))
		return fail(in, "%s", utf16);
	return fail(in, "%s", binary);
}

/* Look at the file's first bytes, and at what they decompress to. */
static int detect(struct trace_input *in)
{
	const struct format *f;

	while (in->peeked < 16) {
		ssize_t n = read_file(in, in->raw + in->peeked, sizeof(in->raw) - in->peeked);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		in->peeked += (size_t)n;
	}
	f = find_format(compressed, in->raw, in->peeked);
	if (f && f->open(in))
		return -1;
	if (!f) {
		memcpy(in->buffer, in->raw, in->peeked);
		in->end = in->buffer + in->peeked;
		in->peeked = 0;
	}
	while (in->end - in->buffer < BEGINNING) {
		int more = trace_input_fill(in);

		if (more < 0)
			return -1;
		if (!more)
			break;
	}
	f = find_format(plain, in->buffer, (size_t)(in->end - in->buffer));
	if (!f)
		return refuse_bytes(in);
	return f->open ? f->open(in) : fail(in, "%s", f->refusal);
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
	if (fstat(in->fd, &st))
		st.st_mode = 0;
	if (S_ISREG(st.st_mode))
		in->size = (uint64_t)st.st_size;
	if (isatty(STDERR_FILENO))
		in->progress_due_ns = now_ns() + PROGRESS_AFTER_NS;
	/* What perf record --threads writes. */
	if (S_ISDIR(st.st_mode) && !faccessat(in->fd, "data", R_OK, 0))
		return open_perf(in);
	return detect(in);
}

void trace_input_close(struct trace_input *in)
{
	if (!in)
		return;
	if (in->progress_shown)
		fputs("\r\033[K", stderr);
	close_decompressor(in);
	if (in->fd > STDIN_FILENO)
		close(in->fd);
	/* The closed pipe has ended it, if it was still at work, and it heeds that. */
	if (in->child > 0) {
		kill(in->child, SIGKILL);
		while (waitpid(in->child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (in->perf && in->complaints >= 0)
		close(in->complaints);
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
	n = read_plain(in, to, room);
	if (n < 0)
		return -1;
	in->eof = n == 0;
	in->end += n;
	progress(in);
	if (in->eof && in->child && reap(in))
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
