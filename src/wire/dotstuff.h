/* SPDX-License-Identifier: MIT */
/*
 * wire: message text between local form and the DATA form (RFC 5321 s4.5.2), as streams.
 *
 * Two small machines whose state survives between chunks of any size:
 *   linefix: local text -> CRLF text. LF becomes CRLF, CRLF stays; a bare CR and NUL are errors (a
 * repaired line end is how messages are smuggled). dotstuff: CRLF text -> DATA text with dots
 * doubled, then the end-of-data line.
 */
#ifndef WIRE_DOTSTUFF_H
#define WIRE_DOTSTUFF_H

#include "base/buf.h"

enum linefix_error {
	LINEFIX_OK = 0,
	LINEFIX_BARE_CR = -1,
	LINEFIX_NUL = -2,
	LINEFIX_NO_ROOM = -3,
};

struct linefix {
	bool cr;               /* the last octet was CR */
	bool line_start;       /* nothing of the current line yet */
	bool eight_bit;        /* an octet above 0x7f was seen */
	bool header;           /* still in the header section */
	bool header_eight_bit; /* an octet above 0x7f was seen in the header section: needs SMTPUTF8
				  (RFC 6532) */
	uint64_t in;           /* octets read; after an error: before the octet that shows it */
	uint64_t line;         /* number of the current line, from 1 */
	uint64_t line_len;     /* octets of the current line so far, without CR */
	uint64_t longest;      /* longest line in octets without CRLF */
};

void linefix_init(struct linefix *l);
/* Adds the CRLF form of `in` (at most twice as long) to out. On an error `in`/`line` tell where. */
enum linefix_error linefix_feed(struct linefix *l, struct slice in, struct buf *out);
/* Ends the text: an unfinished last line gets its CRLF; a CR at the very end is an error. */
enum linefix_error linefix_end(struct linefix *l, struct buf *out);

struct dotstuff {
	bool line_start; /* the next octet begins a line */
	bool cr;         /* the last octet was CR */
};

void dotstuff_init(struct dotstuff *d);
/* `in` is CRLF text; output is at most in.n + number of lines octets. A bare CR, a bare LF and NUL
 * fail the buffer: linefix refused them before, so that they mean damage. */
void dotstuff_feed(struct dotstuff *d, struct slice in, struct buf *out);
/* The same text as it is, for a chunk that was announced with its size (RFC 3030), and the same
 * errors. */
void dotstuff_pass(struct dotstuff *d, struct slice in, struct buf *out);
/* ".\r\n", preceded by CRLF if the text did not end with one. */
void dotstuff_end(struct dotstuff *d, struct buf *out);

#endif
