/* SPDX-License-Identifier: MIT */
/* Slots, backends and networks as the scheduler counts them. Refuses to know the queue. */
#include "relay/budget.h"

#include "wire/ipaddr.h"
#include "wire/route.h"

#include <sys/resource.h>

enum { MIB = 1024 * 1024 };

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint32_t budget_slots(const struct conf *c, uint64_t descriptors, uint32_t couriers)
{
	if (c->queue_parallel > 0)
		return (uint32_t)c->queue_parallel;
	uint64_t memory = (uint64_t)c->relay_session_memory * MIB / BUDGET_SESSION_BYTES;
	uint64_t each = descriptors > BUDGET_COURIER_FDS
			    ? (descriptors - BUDGET_COURIER_FDS) / BUDGET_SESSION_FDS
			    : 0;
	uint64_t slots = smaller(smaller(memory, each * couriers), BUDGET_SLOTS_MAX);
	return slots > 0 ? (uint32_t)slots : 1;
}

uint64_t budget_descriptors(void)
{
	struct rlimit r;
	return getrlimit(RLIMIT_NOFILE, &r) == 0 ? r.rlim_cur : 0;
}

static bool is_private(const struct ipaddr *a)
{
	if (a->family == 6)
		return (a->b[0] & 0xfe) == 0xfc; /* RFC 4193 */
	return a->family == 4 && (a->b[0] == 10 || (a->b[0] == 172 && (a->b[1] & 0xf0) == 16) ||
				  (a->b[0] == 192 && a->b[1] == 168)); /* RFC 1918 */
}

bool budget_is_own(const struct conf *c, const char *next_hop)
{
	struct route r;
	size_t at;
	const char *text = conf_route_for(c, next_hop);
	if (text == NULL || route_parse(slice_str(text), &r, &at) != ROUTE_OK)
		return false;
	return r.path.n > 0 || r.lmtp || ipaddr_is_loopback(&r.ip) || is_private(&r.ip);
}

uint64_t budget_network(const char *address)
{
	struct ipaddr a;
	if (address == NULL || !ipaddr_from_text(slice_str(address), &a))
		return 0;
	a = ipaddr_unmapped(&a);
	uint64_t n = a.family;
	for (size_t i = 0; i < (a.family == 4 ? 3u : 6u); i++)
		n = n << 8 | a.b[i];
	return n;
}
