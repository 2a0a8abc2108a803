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
	{ "replay", cmd_replay, "replay a trace under the stock timer and the lazy protocol" },
	{ "sim", cmd_sim, "simulate a machine, and check every requirement at every step" },
	{ NULL, NULL, NULL },
};

static void usage(FILE *to)
{
	fputs("Usage: lazytsc COMMAND [ARGUMENT...]\n\nCommands:\n", to);
	for (const struct command *c = commands; c->name; c++)
		fprintf(to, "  %-8s %s\n", c->name, c->summary);
	fputs("\n`lazytsc COMMAND --help` tells more.\n", to);
}

int main(int argc, char **argv)
{
	if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		usage(stdout);
		return CLI_OK;
	}
	if (argc >= 2 && !strcmp(argv[1], "--version")) {
		puts("lazytsc " LAZYTSC_VERSION);
		return CLI_OK;
	}
	for (const struct command *c = commands; argc >= 2 && c->name; c++) {
		char name[64];

		if (strcmp(argv[1], c->name))
			continue;
		snprintf(name, sizeof(name), "lazytsc %s", c->name);
		argv[1] = name;
		return c->run(argc - 1, argv + 1);
	}
	if (argc >= 2)
		fprintf(stderr, "lazytsc: no command '%s'\n", argv[1]);
	usage(stderr);
	return CLI_MISMATCH;
}
