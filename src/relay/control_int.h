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
#include "wire/destination.h"

#include <stdio.h>

struct json;

/* What an exception matches in the queue now, and what is said of a closer pattern and stays.
 * Begins as zeros; one page a call, until `over`. */
enum { POLICY_EXAMPLES = 10 };
struct policy_example {
	char name[DESTINATION_ROOM];
	const char *policy, *by; /* of what stays: "dane-only", "configuration" or "policy" */
};
struct policy_reach {
	int64_t after;
	bool over;
	uint64_t deliveries, destinations, stays;
	struct policy_example match[POLICY_EXAMPLES], stay[POLICY_EXAMPLES];
};
enum store_status policy_reach_look(struct policy_reach *r, struct keeper *k, const char *pattern);
struct json *policy_reach_json(const struct policy_reach *r);

struct command;
enum command_state { COMMAND_MORE, COMMAND_UNCOMMITTED, COMMAND_DONE };

/* uid: who says it. NULL: out of memory. */
struct command *command_new(struct keeper *k, struct slice line, uid_t uid);
void command_free(struct command **c);
enum command_state command_turn(struct command *c, FILE *out);
void command_committed(struct command *c, enum store_status s);

#endif
