/* SPDX-License-Identifier: MIT */
/* Routes from the configuration. Knows their syntax; refuses to know what lies at their end. */
#include "wire/route.h"

#include "wire/dname.h"

static bool parse_port(struct slice text, uint16_t *out)
{
	uint64_t n;
	if (!slice_to_u64(text, UINT16_MAX, &n) || n == 0)
		return false;
	*out = (uint16_t)n;
	return true;
}

static bool parse_brackets(struct slice text, struct route *out)
{
	size_t end = slice_find(text, ']');
	if (end == text.n)
		return false;
	struct slice rest = slice_from(text, end + 1);
	out->itself = true;
	out->host = slice_first(slice_from(text, 1), end - 1);
	if (!ipaddr_from_text(out->host, &out->ip)) {
		out->ip = (struct ipaddr){0};
		if (!hostname_is_valid(out->host))
			return false;
	}
	return rest.n == 0 || (rest.p[0] == ':' && parse_port(slice_from(rest, 1), &out->port));
}

bool route_parse(struct slice text, struct route *out)
{
	*out = (struct route){0};
	if (text.n > 0 && text.p[0] == '[')
		return parse_brackets(text, out);
	struct slice port;
	out->host = slice_cut(text, ':', &port);
	if (!hostname_is_valid(out->host))
		return false;
	return out->host.n == text.n || parse_port(port, &out->port);
}
