/* SPDX-License-Identifier: MIT */
/*
 * wire: a configured next hop (D11, S1; RFC 2033):
 *   route    = [ "smtp:" / "lmtp:" ] next-hop
 *   next-hop = host [ ":" port ] / "[" ( host / address ) "]" [ ":" port ] / "unix:" path
 * With brackets the host itself is meant, without them its MX hosts. LMTP has no MX hosts, and a
 * port must be given, never 25 (RFC 2033 s5). Ports 465 and 587 are submission, which is for one
 * host by its name. Protocols are in either case, smtp: is the default. Pure; slices point into
 * the input.
 */
#ifndef WIRE_ROUTE_H
#define WIRE_ROUTE_H

#include "base/slice.h"
#include "wire/ipaddr.h"

enum {
	ROUTE_SUBMISSION_PORT = 587,  /* RFC 6409 s3.1 */
	ROUTE_SUBMISSIONS_PORT = 465, /* RFC 8314 s3.3: TLS from the start */
	ROUTE_PATH_MAX = 107,         /* what a socket's address holds, without its NUL */
};

struct route {
	bool lmtp;         /* else SMTP */
	struct slice path; /* of a Unix socket; n 0: none, then host */
	struct slice host; /* without brackets */
	bool itself;       /* no MX lookup */
	struct ipaddr ip;  /* family 0: host is a name */
	uint16_t port;     /* 0: not given */
};

enum route_error {
	ROUTE_OK = 0,
	ROUTE_NO_HOST = -1,            /* neither a host name nor what else may stand there */
	ROUTE_BARE_ADDRESS = -2,       /* an address without brackets */
	ROUTE_NO_BRACKET = -3,         /* "[" without "]" */
	ROUTE_BAD_BRACKETS = -4,       /* neither a name nor an address between them */
	ROUTE_BEHIND_BRACKET = -5,     /* something else than ":" */
	ROUTE_BAD_PORT = -6,           /* not a number from 1 to 65535 */
	ROUTE_NO_PROTOCOL = -7,        /* unix: without smtp: or lmtp: */
	ROUTE_BAD_PATH = -8,           /* not absolute, or a control character in it */
	ROUTE_LONG_PATH = -9,          /* over ROUTE_PATH_MAX */
	ROUTE_LMTP_MX = -10,           /* lmtp: without brackets */
	ROUTE_LMTP_PORT = -11,         /* lmtp: without a port, or with 25 */
	ROUTE_SUBMISSION_MX = -12,     /* 465 or 587 without brackets */
	ROUTE_SUBMISSION_ADDRESS = -13 /* 465 or 587 of an address: nothing to verify */
};

/* *at: the first octet that is wrong; text.n at most. */
enum route_error route_parse(struct slice text, struct route *out, size_t *at);
const char *route_strerror(enum route_error e); /* what was expected, for people */

/* Is it a submission server (S1)? */
bool route_is_submission(const struct route *r);

#endif
