/* SPDX-License-Identifier: MIT */
/*
 * wire: the original recipient of RFC 3461 s4.2, with UTF-8 as RFC 6533 s3 allows. One function, so
 * that the door and the notification agree on what it says. Pure; any thread.
 */
#ifndef WIRE_ORCPT_H
#define WIRE_ORCPT_H

#include "wire/address.h"

enum { ORCPT_MAX = 500 }; /* octets as written, RFC 3461 s4.2 */

struct orcpt {
	struct slice type;          /* of the input: "rfc822", "utf-8" ... */
	uint8_t address[ORCPT_MAX]; /* decoded: address_check_text() takes it */
	size_t n;
};

/* False: not of this form, too long, or it hides a character that no address has. */
bool orcpt_parse(struct slice value, bool smtputf8, struct orcpt *out);

#endif
