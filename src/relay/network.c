/* SPDX-License-Identifier: MIT */
/* Networks and end points as text and as values. */
#include "relay/network.h"

#include <string.h>

const char *const NETWORKS_OWN[] = {"127.0.0.0/8", "::1", NULL};

bool network_from_text(const char *text, struct network *out)
{
	struct slice bits;
	struct slice address = slice_cut(slice_str(text), '/', &bits);
	uint64_t n = 0;
	if (!ipaddr_from_text(address, &out->address))
		return false;
	uint8_t most = out->address.family == 4 ? 32 : 128;
	if (strchr(text, '/') == NULL)
		n = most;
	else if (!slice_to_u64(bits, most, &n))
		return false;
	out->bits = (uint8_t)n;
	return true;
}

bool network_has(const struct network *n, const struct ipaddr *address)
{
	struct ipaddr a = ipaddr_unmapped(address);
	if (a.family != n->address.family)
		return false;
	size_t whole = n->bits / 8, rest = n->bits % 8;
	if (memcmp(a.b, n->address.b, whole) != 0)
		return false;
	uint8_t mask = (uint8_t)(0xff00u >> rest);
	return rest == 0 || (a.b[whole] & mask) == (n->address.b[whole] & mask);
}

bool endpoint_from_text(const char *text, struct ipaddr *address, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	uint64_t n;
	if (colon == NULL || !slice_to_u64(slice_str(colon + 1), 65535, &n) || n == 0)
		return false;
	struct slice host = slice_make(text, (size_t)(colon - text));
	bool brackets = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (brackets)
		host = slice_first(slice_from(host, 1), host.n - 2);
	*port = (uint16_t)n;
	return ipaddr_from_text(host, address) && brackets == (address->family == 6);
}
