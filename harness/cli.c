// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lazytsc/sim/version.h>

#include "cli.h"

/* Only here is it known that all was printed: argp's --help exits by itself. */
static void close_output(void)
{
	bool lost = ferror(stdout);

	errno = 0;
	lost |= fflush(stdout) != 0;
	/* Lost long before, with nothing left to write: only another byte tells why. */
	if (lost && !errno && putchar('\n') == '\n')
		fflush(stdout);
	/* Where nothing was printed, it does not matter that there is no standard output. */
	lost |= fclose(stdout) != 0 && errno != EBADF;
	if (!lost)
		return;
	if (errno)
		warn("standard output");
	else
		warnx("standard output cannot be written");
	_exit(CLI_BAD_INPUT);
}

void cli_begin(void)
{
	if (atexit(close_output))
		cli_no_memory();
}

void cli_name(const char *name)
{
	program_invocation_name = (char *)name;
	program_invocation_short_name = (char *)name;
}

void cli_say(FILE *to, const char *format, ...)
{
	va_list ap;

	fprintf(to, "%s: ", program_invocation_short_name);
	va_start(ap, format);
	vfprintf(to, format, ap);
	va_end(ap);
	fputc('\n', to);
}

void cli_version(void)
{
	printf("lazytsc %s\n", lazytsc_version());
}

_Noreturn void cli_no_memory(void)
{
	warnx("out of memory");
	exit(CLI_BOUNDED);
}

void *cli_alloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		cli_no_memory();
	return p;
}

void *cli_grow(void *old, size_t n, size_t size)
{
	void *p = reallocarray(old, n, size);

	if (!p)
		cli_no_memory();
	return p;
}

char *cli_text(const char *format, ...)
{
	va_list ap;
	char *text;
	int length;

	va_start(ap, format);
	length = vasprintf(&text, format, ap);
	va_end(ap);
	if (length < 0)
		cli_no_memory();
	return text;
}

double cli_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum { OPT_USAGE = 512 };

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	switch (key) {
	case 'h':
	case '?':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		break;
	case OPT_USAGE:
		argp_state_help(state, stdout, ARGP_HELP_USAGE | ARGP_HELP_EXIT_OK);
		break;
	case 'V':
		cli_version();
		exit(CLI_OK);
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	static const struct argp_option options[] = {
		{ "help", 'h', NULL, 0, "Give this help list", -1 },
		{ NULL, '?', NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 0 },
		{ "usage", OPT_USAGE, NULL, 0, "Give a short usage message", -1 },
		{ "version", 'V', NULL, 0, "Print the version", -1 },
		{ 0 },
	};
	static const char doc[] =
		"\vOf every command: 2 too where the output cannot be written; 3 where memory runs out.";
	static const struct argp common = { options, parse_common, NULL, doc, NULL, NULL, NULL };
	const struct argp_child children[] = { { &common, 0, NULL, 0 }, { 0 } };
	struct argp whole = *argp;

	whole.children = children;
	argp_err_exit_status = CLI_MISMATCH;
	if (argp_parse(&whole, argc, argv, ARGP_NO_HELP, NULL, input) == ENOMEM)
		cli_no_memory();
}

int cli_traces(struct argp_state *state, char ***names)
{
	int n = state->argc - state->next, standard_input = 0;

	*names = state->argv + state->next;
	for (int i = 0; i < n; i++)
		standard_input += !strcmp((*names)[i], "-");
	if (standard_input > 1)
		argp_error(state, "standard input, -, can be read once");
	return n;
}

uint64_t cli_number(struct argp_state *state, const char *option, const char *arg, uint64_t low,
		    uint64_t high)
{
	bool hex = arg[0] == '0' && (arg[1] == 'x' || arg[1] == 'X');
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(arg, &end, hex ? 16 : 10);
	if (*arg < '0' || *arg > '9' || *end || errno || v < low || v > high)
		argp_error(state,
			   "%s: expected a whole number from %" PRIu64 " to %" PRIu64
			   ", found '%s'",
			   option, low, high, arg);
	return v;
}

double cli_real(struct argp_state *state, const char *option, const char *arg, double low,
		double high, const char *unit)
{
	char *end;
	double v = strtod(arg, &end);

	if (end == arg || *end || !(v >= low && v <= high))
		argp_error(state, "%s: expected a number from %g to %g (%s), found '%s'", option,
			   low, high, unit, arg);
	return v;
}

uint64_t cli_time(struct argp_state *state, const char *option, const char *arg, uint64_t low)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = { { "ns", 1 },  { "us", 1e3 }, { "ms", 1e6 },
		      { "s", 1e9 }, { "m", 60e9 }, { "h", 3600e9 } };
	/* Sums of a few such times, and of one with a TSC, fit into 64 bits. */
	const double most_h = 250000;
	char *end;
	double v = strtod(arg, &end);

	for (size_t i = 0; end != arg && i < sizeof(units) / sizeof(units[0]); i++) {
		double ns = v * units[i].ns;

		if (strcmp(end, units[i].name) || isnan(v))
			continue;
		if (!(ns >= (double)low && ns <= most_h * 3600e9))
			argp_error(state,
				   "%s: expected a time from %" PRIu64 "ns to %.0fh, found '%s'",
				   option, low, most_h, arg);
		return (uint64_t)(ns + 0.5);
	}
	argp_error(state, "%s: expected a number with ns, us, ms, s, m or h, found '%s'", option,
		   arg);
	return 0;
}

/* The file is made beside the one that it replaces, with the mode of that or of a new file. */
static FILE *create_beside(struct cli_file *file, const struct stat *old)
{
	FILE *to;

	file->temporary = cli_text("%s.%ld.tmp", file->name, (long)getpid());
	to = fopen(file->temporary, "wx");
	if (to && old && fchmod(fileno(to), old->st_mode & 0777)) {
		fclose(to);
		unlink(file->temporary);
		to = NULL;
	}
	return to;
}

bool cli_same_file(const char *input, const char *output)
{
	struct stat in, out;

	if (strcmp(input, "-") ? stat(input, &in) : fstat(STDIN_FILENO, &in))
		return false;
	return stat(output, &out) == 0 && S_ISREG(in.st_mode) && in.st_dev == out.st_dev &&
	       in.st_ino == out.st_ino;
}

bool cli_create(struct cli_file *file, const char *path)
{
	struct stat old;
	bool is_there = stat(path, &old) == 0;

	/* A symbolic link stays one: what it leads to is replaced. */
	file->name = is_there ? realpath(path, NULL) : NULL;
	if (!file->name)
		file->name = cli_text("%s", path);
	file->temporary = NULL;
	if (is_there && !S_ISREG(old.st_mode))
		file->to = fopen(file->name, "w");
	else
		file->to = create_beside(file, is_there ? &old : NULL);
	if (file->to)
		return true;
	warn("%s", path);
	free(file->name);
	free(file->temporary);
	return false;
}

static void forget(struct cli_file *file)
{
	if (file->temporary)
		unlink(file->temporary);
	free(file->temporary);
	free(file->name);
	*file = (struct cli_file){ 0 };
}

bool cli_commit(struct cli_file *file)
{
	bool good = !ferror(file->to);

	errno = 0;
	/* What went wrong then goes wrong again, and this time it is known what. */
	if (!good)
		fputc('\n', file->to);
	good &= fflush(file->to) == 0;
	/* What takes the old one's place has reached the disk. */
	good &= !file->temporary || !good || fsync(fileno(file->to)) == 0;
	good &= fclose(file->to) == 0;
	if (good && file->temporary)
		good = rename(file->temporary, file->name) == 0;
	if (!good)
		warnx("%s: %s", file->name, errno ? strerror(errno) : "cannot be written");
	if (good) {
		free(file->temporary);
		file->temporary = NULL;
	}
	forget(file);
	return good;
}

void cli_discard(struct cli_file *file)
{
	fclose(file->to);
	forget(file);
}

json_t *cli_json(unsigned int version, int argc, char **argv)
{
	json_t *o = json_object(), *arguments = json_array();

	json_object_set_new(o, "version", json_integer(version));
	json_object_set_new(o, "lazytsc", json_string(lazytsc_version()));
	json_object_set_new(o, "command", json_string(argv[0]));
	for (int i = 1; i < argc; i++)
		json_array_append_new(arguments, cli_json_text(argv[i]));
	if (!o || json_object_set_new(o, "arguments", arguments))
		cli_no_memory();
	return o;
}

char *cli_utf8(const char *text)
{
	char *copy = cli_text("%s", text);
	json_t *s = json_string(text);

	for (char *c = copy; !s && *c; c++) {
		if (*c & 0x80)
			*c = '?';
	}
	json_decref(s);
	return copy;
}

json_t *cli_json_text(const char *text)
{
	char *copy = cli_utf8(text);
	json_t *s = json_string(copy);

	free(copy);
	return s;
}

void cli_json_print(FILE *to, json_t *json)
{
	/* A key or a value is only ever missing for want of memory; the stream tells of itself. */
	if (json_dumpf(json, to, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) && !ferror(to))
		cli_no_memory();
	fputc('\n', to);
	json_decref(json);
}
