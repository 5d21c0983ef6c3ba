/* SPDX-License-Identifier: MIT */
/*
 * wire: a destination, that is, what a delivery goes to: a domain or an address literal. Two texts
 * that mean the same one have the same normal form, and whatever is said of a destination (a
 * section of the configuration, an exception, a route, a row of the queue) is kept and looked up
 * under that:
 *
 *   name     A-labels in lower case without a final dot          "gov.example"
 *   literal  an address by its value, in brackets                "[192.0.2.1]",
 * "[ipv6:2001:db8::1]" pattern  either, or "*." and a name: all names below it      "*.example"
 *
 * An IPv4 address mapped into IPv6 is that IPv4 address: a connection to either goes to the same
 * host. The addresses 0.0.0.0 and :: are none (RFC 1122 s3.2.1.3): a kernel may take them for this
 * machine, which has an address of its own. U-labels are made A-labels before (src/idn). Pure.
 */
#ifndef WIRE_DESTINATION_H
#define WIRE_DESTINATION_H

#include "base/slice.h"
#include "wire/ipaddr.h"

enum {
	DESTINATION_MAX = 255, /* octets of a pattern */
	DESTINATION_ROOM = DESTINATION_MAX + 1,
};

enum destination_error {
	DESTINATION_OK = 0,
	DESTINATION_EMPTY = -1,
	DESTINATION_NOT_ASCII = -2,    /* U-labels */
	DESTINATION_BAD_NAME = -3,     /* neither a host name nor a literal */
	DESTINATION_BARE_ADDRESS = -4, /* an address without brackets, or with a port */
	DESTINATION_BAD_LITERAL = -5,  /* brackets without an address that mail can go to */
	DESTINATION_BAD_PATTERN = -6,  /* a "*" elsewhere than in front of ".NAME" */
};

/* On an error out is "". */
enum destination_error destination_normalise(struct slice text, char out[static DESTINATION_ROOM]);
enum destination_error destination_normalise_pattern(struct slice text,
						     char out[static DESTINATION_ROOM]);
const char *destination_strerror(enum destination_error e);

/* Is it a normal form already, octet by octet? */
bool destination_is_normal(struct slice text);
bool destination_is_normal_pattern(struct slice text);

/* The address of a literal in normal form; false: it is a name. */
bool destination_address(const char *destination, struct ipaddr *out);

/* Both in normal form. Only names are below a name. */
bool destination_matches(const char *pattern, const char *destination);

/*
 * Which of two patterns that match the same destination counts: the one with the greater number.
 * The destination itself comes before every "*.NAME", and the longer NAME before the shorter one.
 */
enum { DESTINATION_ANY = 0, DESTINATION_EXACT = DESTINATION_MAX + 1 };
unsigned destination_specificity(const char *pattern); /* NULL: DESTINATION_ANY */

#endif
