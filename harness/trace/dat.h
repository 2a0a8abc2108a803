/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The records of a trace-cmd file (trace.dat) as the lines that `trace-cmd report` would print,
 * by libtracecmd: all buffers, all CPUs, in order of time. A child process reads them, so that a
 * crash of the library, which damaged files cause, is an error and no more.
 */
#ifndef LAZYTSC_TRACE_DAT_H
#define LAZYTSC_TRACE_DAT_H

#include "line.h"

struct trace_dat;

/**
 * trace_dat_open() - @fd: a file that begins as trace-cmd's do. Return: NULL on an error (errno)
 */
struct trace_dat *trace_dat_open(int fd);

/**
 * trace_dat_next() - the next record; its time stamps are whole numbers
 *
 * Return: 1; 0 at the end; -1: the file is truncated or damaged. Names stay until the next call.
 */
int trace_dat_next(struct trace_dat *d, struct trace_line *line);

void trace_dat_close(struct trace_dat *d);

#endif
