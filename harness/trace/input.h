/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of a text file, a pipe, or a file compressed by gzip, xz, zstd or bzip2 (told by their
 * first bytes, so pipes can be compressed too), through one buffer of fixed size. A file of perf's
 * is read by `perf script`; one of trace-cmd's is told, for trace_dat_open(). Where those are
 * compressed, or come from a pipe, they go through a temporary file without a name. Other formats
 * are refused by name.
 */
#ifndef LAZYTSC_TRACE_INPUT_H
#define LAZYTSC_TRACE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/* What prints a file of perf's with all that is needed. */
#define PERF_SCRIPT "perf script --show-lost-events --ns -F comm,pid,tid,cpu,time,event,trace"

/* A line that is longer than this is handed out cut, and marked so. */
#define TRACE_INPUT_BUFFER (256 * 1024)

struct trace_input {
	const char *cur, *end; /* what is in the buffer and not handed out */
	bool eof;
	bool skip_rest; /* of a line that was too long */
	int fd;
	struct archive *archive; /* xz, zstd, bzip2 */
	struct z_stream_s *gzip; /* libarchive does not look at its check sums */
	bool gzip_member, gzip_members; /* within one; at least one was whole */
	bool dat; /* fd is a file of trace-cmd's, not text */
	bool perf; /* fd is what perf prints of a file of its own */
	pid_t child; /* perf, while it writes to fd; 0: none */
	int complaints; /* what it writes to standard error; perf only */
	size_t raw_len; /* the decompressor was given so many bytes of raw last */
	size_t peeked; /* bytes at raw's start that the decompressor has not seen yet */
	uint64_t bytes; /* read from the file */
	uint64_t size; /* of the file; 0: not known */
	uint64_t progress_due_ns; /* when the next progress line is due; 0: never */
	bool progress_shown;
	const char *name; /* for messages */
	char error[512];
	char raw[64 * 1024]; /* compressed input */
	char buffer[TRACE_INPUT_BUFFER];
};

struct trace_text {
	const char *p, *e; /* without its newline */
	bool cut; /* too long for the buffer; the rest of the line is dropped */
	bool unterminated; /* the file ends without a newline here */
};

/**
 * trace_input_open() - open a file for reading lines
 * @path: "-" for standard input
 * @in:   set to the input, which trace_input_close() frees; on an error its ->error is what to say
 *
 * Return: 0, or -1 on an error.
 */
int trace_input_open(const char *path, struct trace_input **in);
void trace_input_close(struct trace_input *in);

/* Read on. Return: 1 when there is more, 0 at the end, -1 on an error (in->error). */
int trace_input_fill(struct trace_input *in);

/* As trace_input_line(), when the buffer holds no complete line. */
int trace_input_slow_line(struct trace_input *in, struct trace_text *text);

/**
 * trace_input_line() - the next line
 * @in:   the input
 * @text: the line; valid until the next call
 *
 * Return: 1, or 0 at the end, or -1 on an error (in->error).
 */
static inline int trace_input_line(struct trace_input *in, struct trace_text *text)
{
	size_t left = (size_t)(in->end - in->cur);
	const char *nl = left && !in->skip_rest ? memchr(in->cur, '\n', left) : NULL;

	if (!nl)
		return trace_input_slow_line(in, text);
	*text = (struct trace_text){ .p = in->cur, .e = nl };
	in->cur = nl + 1;
	return 1;
}

#endif
