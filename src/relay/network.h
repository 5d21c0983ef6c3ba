/* SPDX-License-Identifier: MIT */
/* relay: "192.0.2.0/24" as a value: which clients may relay (P3). Pure. */
#ifndef RELAY_NETWORK_H
#define RELAY_NETWORK_H

#include "wire/ipaddr.h"

struct network {
	struct ipaddr address;
	uint8_t bits;
};

/* Without "/BITS": one address. False: it is neither. */
bool network_from_text(const char *text, struct network *out);
/* relay.networks when it is empty: this machine. */
extern const char *const NETWORKS_OWN[];
/* IPv4-mapped IPv6 addresses count as the IPv4 address that they are. */
bool network_has(const struct network *n, const struct ipaddr *a);

/* "ADDRESS:PORT", "[ADDRESS]:PORT" for IPv6, port 1 to 65535. False: not that; *out is not to be
 * used. */
bool endpoint_from_text(const char *text, struct ipaddr *address, uint16_t *port);

#endif
