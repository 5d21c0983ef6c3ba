/* SPDX-License-Identifier: MIT */
/*
 * Origins as numbers.
 *
 * Knows what counts as one. Refuses to know limits.
 */
#include "wire/origin.h"

#include <string.h>

enum { FOUR_PREFIX = 3, SIX_PREFIX = 7 }; /* octets: /24 and /56 */

/* FNV-1a */
static uint64_t hash_bytes(uint64_t h, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 1099511628211u;
	return h;
}

/* The kind keeps a user from having the number of a network. */
static uint64_t number_of(char kind, const void *bytes, size_t n)
{
	uint64_t h = hash_bytes(hash_bytes(1469598103934665603u, &kind, 1), bytes, n);

	h = (h ^ h >> ORIGIN_BITS) & (((uint64_t)1 << ORIGIN_BITS) - 1);
	return h < ORIGIN_RESERVED ? h + ORIGIN_RESERVED : h;
}

uint64_t origin_of_user(const char *user)
{
	return number_of('u', user, strlen(user));
}

uint64_t origin_of_address(const struct ipaddr *client)
{
	struct ipaddr a = ipaddr_unmapped(client);

	if (a.family == 0 || ipaddr_is_loopback(&a))
		return ORIGIN_LOCAL;
	return a.family == 4 ? number_of('4', a.b, FOUR_PREFIX) : number_of('6', a.b, SIX_PREFIX);
}

bool origin_is_valid(uint64_t origin)
{
	return origin >> ORIGIN_BITS == 0;
}

uint64_t origin_sender(uint64_t origin, const char *within)
{
	uint64_t h = hash_bytes(1469598103934665603u, within, strlen(within));

	h ^= h >> ORIGIN_BITS;
	return origin << ORIGIN_PATH_BITS | (h & (((uint64_t)1 << ORIGIN_PATH_BITS) - 1));
}

uint64_t origin_of_sender(uint64_t sender)
{
	return sender >> ORIGIN_PATH_BITS;
}
