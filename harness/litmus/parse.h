/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads litmus tests in herd's format for X86. */
#ifndef LAZYTSC_LITMUS_PARSE_H
#define LAZYTSC_LITMUS_PARSE_H

#include <stdio.h>

#include <lazytsc/sim/litmus.h>

/**
 * litmus_read() - read a test from a file
 * @path: the file
 * @err:  where to say what is wrong with it: one line, "lazytsc NAME: FILE:LINE: what"
 *
 * Return: the test, to be released with litmus_free(); NULL after an error.
 */
struct lazytsc_litmus *litmus_read(const char *path, FILE *err);

/* The same from memory; `path` is for the messages. text[size] must be there, and be 0. */
struct lazytsc_litmus *litmus_parse(const char *path, const char *text, size_t size, FILE *err);

void litmus_free(struct lazytsc_litmus *t);

#endif
