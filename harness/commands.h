/* SPDX-License-Identifier: BSD-2-Clause */
/* The sub-commands of `lazytsc`. argv[0] is "lazytsc NAME"; each returns an enum cli_status. */
#ifndef LAZYTSC_COMMANDS_H
#define LAZYTSC_COMMANDS_H

int cmd_compare(int argc, char **argv);
int cmd_litmus(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_merge(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_sim(int argc, char **argv);
int cmd_validate(int argc, char **argv);

#endif
