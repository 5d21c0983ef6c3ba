/* SPDX-License-Identifier: MIT */
/* relay: how much may be under way, and what of it is whose: the keeper's facts for the scheduler.
 * Pure, but for budget_descriptors(). */
#ifndef RELAY_BUDGET_H
#define RELAY_BUDGET_H

#include "conf/conf.h"

enum {
	/* What one session costs in all processes together (bench/README.md): buffers and TLS. */
	BUDGET_SESSION_BYTES = 64 * 1024,
	BUDGET_SESSION_FDS = 2, /* its socket, and a text that is not inline */
	BUDGET_SLOTS_MAX = 20000,
	BUDGET_COURIER_FDS = 512, /* idle connections, channels, files */
};

/* Deliveries at the same time: queue.parallel, else what relay.session-memory carries and
 * `couriers` processes with so many descriptors each. At least 1. */
uint32_t budget_slots(const struct conf *c, uint64_t descriptors, uint32_t couriers);
uint64_t budget_descriptors(void); /* that a process may have */
/* Does the route of this next hop lead to a backend of our own: a Unix socket, LMTP, an address of
 * this machine or of a private network? */
bool budget_is_own(const struct conf *c, const char *next_hop);
/* Equal for hosts of one network (IPv4 /24, IPv6 /48); 0: no address. */
uint64_t budget_network(const char *address);

#endif
