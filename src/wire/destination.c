/* SPDX-License-Identifier: MIT */
/*
 * The one normal form of a destination.
 *
 * Knows names and address literals as text and value. Refuses to know U-labels, and what is said of
 * a destination.
 */
#include "wire/destination.h"

#include "wire/dname.h"

#include <string.h>

/* --- literals -------------------------------------------------------------------------------- */

static void unmap_ipv4(struct ipaddr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:0:0/96 */
	if (a->family != 6 || memcmp(a->b, mapped, sizeof(mapped)) != 0)
		return;
	struct ipaddr four = {.family = 4};
	memcpy(four.b, a->b + sizeof(mapped), 4);
	*a = four;
}

static bool is_unspecified(const struct ipaddr *a)
{
	static const uint8_t zero[16];
	return memcmp(a->b, zero, a->family == 6 ? 16 : 4) == 0;
}

/* "[" [ "IPv6:" ] address "]": RFC 5321 s4.1.3, and without the tag as in a route. */
static bool parse_literal(struct slice text, struct ipaddr *out)
{
	static const char tag[] = "ipv6:";
	if (text.n < 2 || text.p[0] != '[' || text.p[text.n - 1] != ']')
		return false;
	struct slice inside = slice_from(slice_first(text, text.n - 1), 1);
	bool tagged = slice_starts_nocase(inside, tag);
	if (tagged)
		inside = slice_from(inside, sizeof(tag) - 1);
	if (!ipaddr_from_text(inside, out) || (tagged && out->family != 6))
		return false;
	unmap_ipv4(out);
	return !is_unspecified(out);
}

static void write_literal(const struct ipaddr *a, char out[static DESTINATION_ROOM])
{
	char address[IPADDR_TEXT_MAX];
	ipaddr_to_text(a, address);
	snprintf(out, DESTINATION_ROOM, "[%s%s]", a->family == 6 ? "ipv6:" : "", address);
}

/* --- names ----------------------------------------------------------------------------------- */

static bool is_bare_address(struct slice text)
{
	struct ipaddr ip;
	return ipaddr_from_text(text, &ip) ||
	       ipaddr_from_text(slice_first(text, slice_find(text, ':')), &ip);
}

static enum destination_error error_of_name(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] >= 0x80)
			return DESTINATION_NOT_ASCII;
	if (is_bare_address(text))
		return DESTINATION_BARE_ADDRESS;
	return slice_find(text, '*') < text.n ? DESTINATION_BAD_PATTERN : DESTINATION_BAD_NAME;
}

static enum destination_error normalise_name(struct slice text, char out[static DESTINATION_ROOM])
{
	struct slice name = text;
	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	if (!hostname_is_valid(name))
		return error_of_name(text);
	for (size_t i = 0; i < name.n; i++)
		out[i] = (char)ascii_lower(name.p[i]);
	out[name.n] = '\0';
	return DESTINATION_OK;
}

/* --- both ------------------------------------------------------------------------------------ */

enum destination_error destination_normalise(struct slice text, char out[static DESTINATION_ROOM])
{
	struct ipaddr ip;
	out[0] = '\0';
	if (text.n == 0)
		return DESTINATION_EMPTY;
	if (text.p[0] != '[')
		return normalise_name(text, out);
	if (!parse_literal(text, &ip))
		return DESTINATION_BAD_LITERAL;
	write_literal(&ip, out);
	return DESTINATION_OK;
}

enum destination_error destination_normalise_pattern(struct slice text,
						     char out[static DESTINATION_ROOM])
{
	static const char any[] = "*.";
	char name[DESTINATION_ROOM];
	if (!slice_starts_nocase(text, any))
		return destination_normalise(text, out);
	out[0] = '\0';
	enum destination_error e = normalise_name(slice_from(text, sizeof(any) - 1), name);
	if (e == DESTINATION_BAD_NAME)
		e = DESTINATION_BAD_PATTERN;
	if (e == DESTINATION_OK)
		snprintf(out, DESTINATION_ROOM, "%s%.*s", any, DESTINATION_MAX - 2, name);
	return e;
}

bool destination_is_normal(struct slice text)
{
	char normal[DESTINATION_ROOM];
	return destination_normalise(text, normal) == DESTINATION_OK && slice_eq_str(text, normal);
}

bool destination_is_normal_pattern(struct slice text)
{
	char normal[DESTINATION_ROOM];
	return destination_normalise_pattern(text, normal) == DESTINATION_OK &&
	       slice_eq_str(text, normal);
}

bool destination_address(const char *destination, struct ipaddr *out)
{
	*out = (struct ipaddr){0};
	return parse_literal(slice_str(destination), out);
}

static bool is_wildcard(const char *pattern)
{
	return pattern[0] == '*';
}

bool destination_matches(const char *pattern, const char *destination)
{
	if (!is_wildcard(pattern))
		return strcmp(pattern, destination) == 0;
	const char *end = pattern + 1; /* ".NAME" */
	size_t n = strlen(destination), m = strlen(end);
	return destination[0] != '[' && n > m && strcmp(destination + n - m, end) == 0;
}

unsigned destination_specificity(const char *pattern)
{
	if (pattern == NULL)
		return DESTINATION_ANY;
	return is_wildcard(pattern) ? (unsigned)strnlen(pattern, DESTINATION_MAX)
				    : DESTINATION_EXACT;
}

const char *destination_strerror(enum destination_error e)
{
	switch (e) {
	case DESTINATION_OK:
		return "no error";
	case DESTINATION_EMPTY:
		return "nothing is given";
	case DESTINATION_NOT_ASCII:
		return "expected A-labels";
	case DESTINATION_BAD_NAME:
		return "expected a domain name, an address literal such as [192.0.2.1] or "
		       "[IPv6:2001:db8::1], or *.DOMAIN for all names below it";
	case DESTINATION_BARE_ADDRESS:
		return "an address stands in brackets and without a port, as [192.0.2.1] or "
		       "[IPv6:2001:db8::1]";
	case DESTINATION_BAD_LITERAL:
		return "expected the IP address of a host in the brackets, as [192.0.2.1] or "
		       "[IPv6:2001:db8::1]";
	case DESTINATION_BAD_PATTERN:
		return "a * stands for all names below a domain, as *.DOMAIN, and nowhere else";
	}
	return "unknown error";
}
