/* SPDX-License-Identifier: MIT */
/*
 * wire: SMTP replies (RFC 5321 s4.2) with enhanced status codes (RFC 2034, RFC 3463).
 *
 * The parser is pure and never allocates: give it all bytes received and not yet consumed.
 *   > 0  that many bytes were one whole reply; *out is filled with slices of `in`
 *     0  more bytes are needed
 *   < 0  enum reply_error: the peer does not speak SMTP; nothing of it may be used
 * Only CRLF ends a line: a bare CR, a bare LF and NUL are errors (never repaired).
 */
#ifndef WIRE_REPLY_H
#define WIRE_REPLY_H

#include "base/slice.h"

enum {
	/* RFC 5321 s4.5.3.1.5 says 512; some servers send more. Limits stop a peer that never ends
	   its reply. */
	REPLY_LINE_MAX = 2048,
	REPLY_LINES_MAX = 128,
	REPLY_BYTES_MAX = 65536,
	REPLY_TEXT_MAX = 1024,
};

enum reply_error {
	REPLY_BAD_CODE = -1, /* a line does not start with [2-5][0-5][0-9] and SP, '-' or CRLF */
	REPLY_CODE_CHANGED = -2, /* lines of one reply with different codes */
	REPLY_LINE_TOO_LONG = -3,
	REPLY_TOO_MANY_LINES = -4, /* or more than REPLY_BYTES_MAX octets in all */
	REPLY_BARE_CR = -5,
	REPLY_BARE_LF = -6,
	REPLY_NUL = -7,
};

struct enhanced_code {
	uint8_t class; /* 2, 4 or 5; 0: none given */
	uint16_t subject;
	uint16_t detail;
};

struct reply {
	uint16_t code;
	struct enhanced_code enhanced; /* of the first line; only when its class agrees with the
					  code's first digit */
	size_t nlines;
	struct slice
	    line[REPLY_LINES_MAX]; /* text behind the code and its separator, without CRLF */
	struct slice raw;          /* the whole reply with its CRLFs */
};

int reply_parse(struct slice in, struct reply *out);
const char *reply_strerror(int error);

/* The reply on one line for people: "250 2.0.0 Ok: queued"; lines joined by " / ", control octets
 * as '?'. Always NUL-terminates. */
void reply_to_text(const struct reply *r, char *out, size_t room);

/* "X.Y.Z" at the start of text: fills *out, returns the octets used (0: none). */
size_t enhanced_code_parse(struct slice text, struct enhanced_code *out);

#endif
