/* SPDX-License-Identifier: MIT */
/*
 * IP addresses between text and value.
 *
 * Knows what inet_pton knows. Refuses to know sockets, ports and scopes.
 */
#include "wire/ipaddr.h"

#include <arpa/inet.h>
#include <string.h>

bool ipaddr_from_text(struct slice text, struct ipaddr *out)
{
	char copy[IPADDR_TEXT_MAX];

	*out = (struct ipaddr){0};
	/* a NUL inside would hide what follows it from inet_pton */
	if (text.n == 0 || text.n >= sizeof(copy) || slice_find(text, '\0') < text.n)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(AF_INET, copy, out->b) == 1)
		out->family = 4;
	else if (inet_pton(AF_INET6, copy, out->b) == 1)
		out->family = 6;
	return out->family != 0;
}

void ipaddr_to_text(const struct ipaddr *a, char out[static IPADDR_TEXT_MAX])
{
	out[0] = '\0';
	if (a->family == 4)
		(void)inet_ntop(AF_INET, a->b, out, IPADDR_TEXT_MAX);
	else if (a->family == 6)
		(void)inet_ntop(AF_INET6, a->b, out, IPADDR_TEXT_MAX);
}

bool ipaddr_eq(const struct ipaddr *a, const struct ipaddr *b)
{
	size_t n = a->family == 6 ? 16 : a->family == 4 ? 4 : 0;

	return a->family == b->family && memcmp(a->b, b->b, n) == 0;
}

bool ipaddr_is_loopback(const struct ipaddr *a)
{
	static const uint8_t one[16] = {[15] = 1};
	return a->family == 4 ? a->b[0] == 127 : a->family == 6 && memcmp(a->b, one, 16) == 0;
}

struct ipaddr ipaddr_unmapped(const struct ipaddr *a)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
	if (a->family != 6 || memcmp(a->b, prefix, sizeof(prefix)) != 0)
		return *a;
	struct ipaddr four = {.family = 4};
	memcpy(four.b, a->b + 12, 4);
	return four;
}
