/* SPDX-License-Identifier: MIT */
/*
 * Inside of the control socket: a command is a line, and then turns until it is done.
 *
 *   COMMAND_MORE         what was written goes out; then, in a later turn of the loop, again
 *   COMMAND_UNCOMMITTED  changes are in the open group: command_committed(), then again
 *   COMMAND_DONE         the last line was written
 *
 * A command may be freed after any turn; what it has changed by then stays.
 */
#ifndef RELAY_CONTROL_INT_H
#define RELAY_CONTROL_INT_H

#include "relay/control.h"
#include "relay/keeper_int.h"

#include <stdio.h>

struct command;
enum command_state { COMMAND_MORE, COMMAND_UNCOMMITTED, COMMAND_DONE };

/* uid: who says it. NULL: out of memory. */
struct command *command_new(struct keeper *k, struct slice line, uid_t uid);
void command_free(struct command **c);
enum command_state command_turn(struct command *c, FILE *out);
void command_committed(struct command *c, enum store_status s);

#endif
