/* SPDX-License-Identifier: MIT */
/*
 * relay: one line of the control socket (control.h) as a request. Pure: no store, no socket.
 */
#ifndef RELAY_CONTROL_REQUEST_H
#define RELAY_CONTROL_REQUEST_H

#include "base/arena.h"
#include "store/store.h"

enum control_verb {
	CONTROL_LIST,
	CONTROL_SHOW,
	CONTROL_STATS,
	CONTROL_CHANGE,
	CONTROL_POLICY,
	CONTROL_POLICIES,
	CONTROL_AUDIT,
	CONTROL_CHECK,
};

enum { CONTROL_SECONDS_MAX = 31536000 }; /* of a policy: a year is no exception any more */

struct control_request {
	enum control_verb verb;
	enum store_op op;           /* CHANGE */
	struct store_filter filter; /* LIST, SHOW, CHANGE */
	uint64_t limit;             /* of the same; UINT64_MAX: none */
	const char *pattern;        /* POLICY; in normal form */
	const char *typed;          /* POLICY: as it was written */
	const char *level;          /* POLICY: "may", "dane", "dane-only"; NULL: end it */
	uint64_t seconds;           /* POLICY with a level: at least 1 */
};

/* Takes a line without its end. Strings live in `mem`. NULL: *out is filled; else what is wrong, in
 * words for the operator. */
const char *control_parse(struct slice line, int64_t now, struct arena *mem,
			  struct control_request *out);

/* The word of a change: "retry". */
const char *control_change_name(enum store_op op);

#endif
