/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the sub-commands of `lazytsc` share: exit statuses, messages, options, output that is
 * checked, JSON. None of it is for more than one thread at a time, but cli_no_memory().
 *
 * Messages go through warnx() and warn() of <err.h>; main() has them begin with "lazytsc NAME: ".
 * A message about a file names it, and the line: "lazytsc NAME: FILE:LINE: what is wrong".
 */
#ifndef LAZYTSC_CLI_H
#define LAZYTSC_CLI_H

#include <argp.h>
#include <err.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Exit statuses, the same for every sub-command; each --help names those that it uses. 4 is
 * REPLAY_BOUNDS, of replay and compare.
 */
enum cli_status {
	CLI_OK = 0, /* done, nothing found */
	CLI_MISMATCH = 1, /* wrong usage, or what was compared differs */
	CLI_BAD_INPUT =
		2, /* a file that cannot be read, understood or written; so too the output */
	CLI_BOUNDED = 3, /* a search stopped at a bound, or there was no memory left */
	CLI_VIOLATION = 42 /* a violation was found */
};

/**
 * cli_begin() - before anything is printed: what is lost of the output is told at exit, status 2
 */
void cli_begin(void);
/** cli_name() - the name that messages begin with; @name must stay */
void cli_name(const char *name);
/** cli_say() - a message as warnx() has them, but into @to */
__attribute__((format(printf, 2, 3))) void cli_say(FILE *to, const char *format, ...);
/** cli_version() - prints it */
void cli_version(void);

/** cli_no_memory() - says so and exits with CLI_BOUNDED; from any thread */
_Noreturn void cli_no_memory(void);
/** cli_alloc() - @n zeroed elements of @size; never NULL, also where @n is 0 */
void *cli_alloc(size_t n, size_t size);
/** cli_grow() - as reallocarray(), but never NULL */
void *cli_grow(void *old, size_t n, size_t size);
/** cli_text() - as asprintf(), but never fails; to be freed */
__attribute__((format(printf, 1, 2))) char *cli_text(const char *format, ...);

/** cli_seconds() - a clock that only goes forward, s */
double cli_seconds(void);

/**
 * cli_parse() - argp_parse() with the options that every sub-command has: -h, --help, --usage,
 * --version. Wrong usage exits with CLI_MISMATCH.
 */
void cli_parse(const struct argp *argp, int argc, char **argv, void *input);

/** cli_traces() - the names behind the options, of which one may be "-". Return: how many */
int cli_traces(struct argp_state *state, char ***names);

/* Values of options. One that is none, or not in the range, is wrong usage and exits. */

/** cli_number() - a whole number from @low to @high, decimal or 0x... */
uint64_t cli_number(struct argp_state *state, const char *option, const char *arg, uint64_t low,
		    uint64_t high);
/** cli_real() - a number from @low to @high; @unit is for the message */
double cli_real(struct argp_state *state, const char *option, const char *arg, double low,
		double high, const char *unit);
/** cli_time() - a number with a unit (ns, us, ms, s, m, h) of at least @low ns, as ns */
uint64_t cli_time(struct argp_state *state, const char *option, const char *arg, uint64_t low);

/*
 * A file that is written: complete under its name, or what was there before is untouched. Devices
 * and pipes are written as they are.
 */
struct cli_file {
	FILE *to;
	char *name; /* where symbolic links lead */
	char *temporary; /* NULL: `name` itself is written */
};

/** cli_same_file() - the same regular file by whatever names; @input may be "-" */
bool cli_same_file(const char *input, const char *output);
/** cli_create() - false, with a message: it cannot be */
bool cli_create(struct cli_file *file, const char *path);
/** cli_commit() - closes it and puts it in its place; false, with a message: it cannot be */
bool cli_commit(struct cli_file *file);
/** cli_discard() - forgets what was written */
void cli_discard(struct cli_file *file);

/**
 * cli_json() - a new object with what each command's --json begins with: "version" of the format
 * (goes up when a key changes its meaning or goes away), "lazytsc" (the command's version),
 * "command" and "arguments".
 */
json_t *cli_json(unsigned int version, int argc, char **argv);
/**
 * cli_utf8() - a text, as a file's name, that need not be UTF-8: then '?' is for non-ASCII; to be
 * freed
 */
char *cli_utf8(const char *text);
/** cli_json_text() - the same, as JSON */
json_t *cli_json_text(const char *text);
/** cli_json_print() - and frees it */
void cli_json_print(FILE *to, json_t *json);

#endif
