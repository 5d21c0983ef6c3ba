/* SPDX-License-Identifier: MIT */
/*
 * wire: a configured next hop (D11):
 *   route = host [ ":" port ] / "[" ( host / address ) "]" [ ":" port ]
 * With brackets the host itself is meant, without them its MX hosts. Pure; slices point into the
 * input.
 */
#ifndef WIRE_ROUTE_H
#define WIRE_ROUTE_H

#include "base/slice.h"
#include "wire/ipaddr.h"

struct route {
	struct slice host; /* without brackets */
	bool itself;       /* no MX lookup */
	struct ipaddr ip;  /* family 0: host is a name */
	uint16_t port;     /* 0: not given */
};

bool route_parse(struct slice text, struct route *out);

#endif
