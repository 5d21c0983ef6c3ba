/* SPDX-License-Identifier: MIT */
/* wire: IPv4 and IPv6 addresses as values. Pure functions. */
#ifndef WIRE_IPADDR_H
#define WIRE_IPADDR_H

#include "base/slice.h"

enum { IPADDR_TEXT_MAX = 46 };

struct ipaddr {
	uint8_t family; /* 4 or 6; 0: none */
	uint8_t b[16];  /* network order, the first 4 octets for family 4 */
};

bool ipaddr_from_text(struct slice text, struct ipaddr *out); /* "192.0.2.1", "2001:db8::1" */
void ipaddr_to_text(const struct ipaddr *a, char out[static IPADDR_TEXT_MAX]);
bool ipaddr_eq(const struct ipaddr *a, const struct ipaddr *b);
/* The IPv4 address that an IPv4-mapped IPv6 one is; any other as it is. */
struct ipaddr ipaddr_unmapped(const struct ipaddr *a);
bool ipaddr_is_loopback(const struct ipaddr *a); /* 127.0.0.0/8, ::1 */

#endif
