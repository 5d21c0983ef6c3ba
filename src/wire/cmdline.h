/* SPDX-License-Identifier: MIT */
/*
 * wire: SMTP command lines as a server reads them (RFC 5321 s4.1). Pure functions that never
 * allocate; results are slices of the input.
 *
 * Only CRLF ends a line: a bare CR, a bare LF and NUL are errors at the octet that shows them, and
 * never repaired. Which of the errors comes first depends on the octets alone, not on how they were
 * cut into reads.
 */
#ifndef WIRE_CMDLINE_H
#define WIRE_CMDLINE_H

#include "wire/address.h"

enum cmdline_error {
	CMDLINE_BARE_CR = -1,
	CMDLINE_BARE_LF = -2,
	CMDLINE_NUL = -3,
	CMDLINE_TOO_LONG = -4, /* `max` octets and no CRLF */
};

struct cmdline {
	struct slice line; /* without CRLF */
	struct slice verb; /* up to the first blank */
	struct slice args; /* the rest, without the blanks around it (s4.1.1: trailing blanks are
			      tolerated) */
};

/* > 0: octets of one line with its CRLF; 0: more is needed; < 0: enum cmdline_error. `max` counts
 * the CRLF. */
int cmdline_parse(struct slice in, size_t max, struct cmdline *out);

enum path_error {
	PATH_NO_BRACKETS = -1, /* no "<", or no ">" that closes it */
	PATH_BAD_ROUTE = -2,
	PATH_BAD_MAILBOX = -3, /* out->error says what of it */
};

struct path {
	struct slice mailbox;   /* without brackets and source route; empty for "<>" */
	struct address address; /* its parts; empty for "<>" and for a name without domain */
	bool null;              /* "<>" */
	bool postmaster;        /* "<Postmaster>" in any case, without domain (s4.1.1.3) */
	enum address_error error;
};

/* The path at the start of `in`: > 0: its octets; < 0: enum path_error. A source route is checked
 * and ignored (RFC 5321 appendix C). */
int path_parse(struct slice in, struct path *out);

struct param {
	struct slice keyword;
	struct slice value; /* empty: none given */
	bool has_value;
};

/* Takes the next parameter from `rest`, which begins behind the path: 1: *out is filled; 0: there
 * is none left; -1: malformed. */
int param_next(struct slice *rest, struct param *out);

#endif
