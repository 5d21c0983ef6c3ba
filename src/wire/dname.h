/* SPDX-License-Identifier: MIT */
/*
 * wire: the byte formats of the protocols we speak, parsed and written; no decisions.
 * This header: DNS domain names (RFC 1035 s3.1, s4.1.4; presentation form of RFC 1035 s5.1 and RFC
 * 4343).
 *
 * A struct dname holds the uncompressed wire form. The rest of the program uses the presentation
 * form: lower case, no trailing dot (the root is "."), \DDD for octets outside printable ASCII, \.
 * for a dot inside a label. Pure functions.
 */
#ifndef WIRE_DNAME_H
#define WIRE_DNAME_H

#include "base/slice.h"

enum {
	DNAME_WIRE_MAX = 255,     /* RFC 1035 s2.3.4 */
	DNAME_TEXT_MAX = 1009,    /* every octet escaped, plus the NUL */
	DNAME_LABEL_MAX = 63,     /* RFC 1035 s2.3.4 */
	DNAME_POINTERS_MAX = 126, /* compression jumps: stops loops in hostile packets */
};

enum dname_error {
	DNAME_OK = 0,
	DNAME_EMPTY = -1, /* nothing given, or an empty label in the middle */
	DNAME_LABEL_TOO_LONG = -2,
	DNAME_TOO_LONG = -3,
	DNAME_BAD_ESCAPE = -4,
	DNAME_TRUNCATED = -5, /* wire form runs past the end */
	DNAME_BAD_POINTER =
	    -6, /* forward or looping compression pointer, or a reserved label type */
};

struct dname {
	uint8_t len; /* of wire, with the root label; 1 to 255 */
	uint8_t wire[DNAME_WIRE_MAX];
};

/* From presentation form, with or without a trailing dot. ASCII only as given: IDN is done before.
 */
enum dname_error dname_from_text(struct slice text, struct dname *out);

/* From a DNS message: reads at *pos, follows compression pointers (backwards only), moves *pos
 * behind the name as it stands there. */
enum dname_error dname_parse(struct slice msg, size_t *pos, struct dname *out);

/* Presentation form, lower case, NUL-terminated; returns its length. */
size_t dname_to_text(const struct dname *n, char out[static DNAME_TEXT_MAX]);

bool dname_eq(const struct dname *a, const struct dname *b); /* ASCII case-insensitive, RFC 4343 */

/* A one-line English sentence fragment for an error: "a label is longer than 63 octets". */
const char *dname_strerror(enum dname_error e);

/* Is this text a host name as an MX exchange may be (RFC 1123 s2.1): letters, digits, hyphen and
 * (as seen in practice) underscore, labels of 1 to 63, at most 253 octets, not all-numeric at the
 * end? No trailing dot. */
bool hostname_is_valid(struct slice text);

#endif
