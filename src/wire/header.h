/* SPDX-License-Identifier: MIT */
/*
 * wire: the header section of a message (RFC 5322 s2.2) and the addresses in its fields (s3.4), as
 * far as a program needs them that hands mail in: what the fields are called, where they end, and
 * to whom To, Cc and Bcc speak. Pure; slices point into the input.
 */
#ifndef WIRE_HEADER_H
#define WIRE_HEADER_H

#include "base/slice.h"

enum {
	HEADER_FIELD_MAX = 1024 * 1024, /* octets of one field: one that never ends */
	HEADER_ADDRESS_MAX = 512,       /* octets of an address without comments and blanks */
};

enum header_error {
	HEADER_BLANK_LINE = -1, /* the header section ends here */
	HEADER_NOT_A_FIELD = -2,
	HEADER_BARE_CR = -3,
	HEADER_BARE_LF = -4,
	HEADER_NUL = -5,
	HEADER_TOO_LONG = -6,
};

struct header_field {
	struct slice name; /* without the colon */
	struct slice body; /* behind the colon, folds as they are, without the last CRLF */
	struct slice raw;  /* all of it, with the last CRLF */
};

/*
 * The first field of `in`, which begins at a line's start.
 *   > 0  octets of the field
 *     0  more octets are needed; also behind a CRLF, because the next line may continue the field
 *   < 0  enum header_error; HEADER_BLANK_LINE and HEADER_NOT_A_FIELD: the body begins here
 */
int header_field_parse(struct slice in, struct header_field *out);
const char *header_strerror(int error);

enum address_list_error {
	ADDRESS_LIST_CONTROL = -1,    /* a control character, or a line end that is no fold */
	ADDRESS_LIST_UNCLOSED = -2,   /* a comment, quoted string, literal or "<" without its end */
	ADDRESS_LIST_PHRASE = -3,     /* words without an address */
	ADDRESS_LIST_EMPTY = -4,      /* <> */
	ADDRESS_LIST_BEHIND = -5,     /* something behind ">" */
	ADDRESS_LIST_UNEXPECTED = -6, /* a character that has no meaning at this place */
	ADDRESS_LIST_TOO_LONG = -7,
};

struct address_list {
	struct slice rest; /* a field's body, or what is left of it */
	bool group;        /* between the ":" and the ";" of a group */
};

/*
 * The next address of the list, as "local@domain" without comments, blanks, display name and route,
 * with its NUL; or a local part alone, when it was written so. Whether it is a mailbox of SMTP is
 * for address_parse() to say.
 *   1    `out` is filled
 *   0    the list is at its end
 * < 0    enum address_list_error; the list cannot be read further
 */
int address_list_next(struct address_list *l, char out[static HEADER_ADDRESS_MAX]);
const char *address_list_strerror(int error);

#endif
