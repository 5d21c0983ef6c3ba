/* SPDX-License-Identifier: MIT */
/*
 * wire: mailbox and path syntax (RFC 5321 s4.1.2, s4.1.3, with UTF-8 as RFC 6531 s3.3 allows).
 * Pure; slices point into the input.
 *
 * This is the one definition of an acceptable address. Every door asks it: MAIL, RCPT, ORCPT and
 * AUTH of the server, what an intake hands to the keeper, sendmail, send, the configuration. Behind
 * the doors writers (client commands, notifications, trace fields) refuse what base/foreign.h does
 * not let through, and nothing more: an address that an older version took is still delivered to
 * when it can do no harm.
 */
#ifndef WIRE_ADDRESS_H
#define WIRE_ADDRESS_H

#include "base/slice.h"
#include "wire/ipaddr.h"

enum {
	ADDRESS_LOCAL_MAX = 64,   /* octets, RFC 5321 s4.5.3.1.1 */
	ADDRESS_DOMAIN_MAX = 255, /* octets, RFC 5321 s4.5.3.1.2 */
	ADDRESS_PATH_MAX = 254,   /* octets without <>, RFC 5321 s4.5.3.1.3 */
};

enum address_error {
	ADDRESS_OK = 0,
	ADDRESS_EMPTY = -1,
	ADDRESS_NO_AT = -2,
	ADDRESS_BAD_LOCAL = -3,
	ADDRESS_BAD_DOMAIN = -4,
	ADDRESS_BAD_LITERAL = -5,
	ADDRESS_TOO_LONG = -6,
	ADDRESS_BAD_UTF8 = -7,
	ADDRESS_CONTROL = -8, /* C0, DEL, C1, line separators, what turns text: base/foreign.h */
	ADDRESS_NOT_NFC = -9, /* not in Normalization Form C: wire/nfc.h */
};

struct address {
	struct slice local;  /* as written, with quotes if quoted */
	struct slice domain; /* as written; with brackets if a literal */
	bool literal;        /* domain is an address literal */
	struct ipaddr
	    ip;    /* literal: the address (IPv4 or IPv6; General-address-literal is refused) */
	bool utf8; /* has octets above 0x7f in either part: needs SMTPUTF8 unless the domain alone
		      has */
	bool utf8_local;
};

/*
 *   Mailbox    = Local-part "@" ( Domain / address-literal )
 *   Local-part = Dot-string / Quoted-string
 * The whole input must match; no angle brackets, no comments, no source routes.
 */
enum address_error address_parse(struct slice in, struct address *out);
const char *address_strerror(enum address_error e);

/* The characters alone, of what stands for an address but need not be a mailbox (an ORCPT of
 * another type, AUTH=): OK, BAD_UTF8, CONTROL or NOT_NFC. */
enum address_error address_check_text(struct slice in);

bool utf8_is_valid(struct slice s); /* RFC 3629: no overlong forms, no surrogates */

#endif
