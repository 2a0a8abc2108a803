// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is "lazytsc NAME" */
	const char *summary;
} commands[] = {
	{ "litmus", cmd_litmus, "run litmus tests exhaustively, under SC or x86-TSO" },
	{ "check", cmd_check, "search the protocol's states for one that breaks a requirement" },
	{ "merge", cmd_merge, "put the shards of a search together" },
	{ "record", cmd_record,
	  "record the deadline writes of this guest, or of this host's guests" },
	{ "replay", cmd_replay, "replay a trace under the stock timer and the lazy protocol" },
	{ "compare", cmd_compare, "two traces side by side: before and after" },
	{ "validate", cmd_validate, "does the replay predict what a trace shows?" },
	{ "sim", cmd_sim, "simulate a machine, and check every requirement at every step" },
	{ NULL, NULL, NULL },
};

static void usage(FILE *to)
{
	fputs("Usage: lazytsc COMMAND [ARGUMENT...]\n\nCommands:\n", to);
	for (const struct command *c = commands; c->name; c++)
		fprintf(to, "  %-8s %s\n", c->name, c->summary);
	fputs("\n`lazytsc help COMMAND` tells more.\n", to);
}

int main(int argc, char **argv)
{
	const char *name = argc >= 2 ? argv[1] : "";
	bool help = !strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help");

	cli_begin();
	cli_name("lazytsc");
	if (help && argc == 2) {
		usage(stdout);
		return CLI_OK;
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		cli_version();
		return CLI_OK;
	}
	if (help)
		name = argv[2];
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(name, c->name))
			continue;
		argv[1] = cli_text("lazytsc %s", c->name);
		cli_name(argv[1]);
		if (help)
			argv[2] = "--help";
		return c->run(argc - 1, argv + 1);
	}
	if (*name)
		warnx("no command '%s'", name);
	usage(stderr);
	return CLI_MISMATCH;
}
