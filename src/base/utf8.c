/* SPDX-License-Identifier: MIT */
/*
 * UTF-8, one character at a time.
 *
 * Knows the table of well-formed sequences (RFC 3629 s4). Refuses to repair anything.
 */
#include "base/utf8.h"

/* UTF8-octets by their first octet; the second octet's range is what rules out overlong forms and
 * surrogates. */
static const struct {
	uint8_t first_min, first_max, second_min, second_max, n;
} sequences[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

size_t utf8_next(struct slice s)
{
	if (s.n == 0)
		return 0;
	if (s.p[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
		if (s.p[0] < sequences[i].first_min || s.p[0] > sequences[i].first_max)
			continue;
		size_t n = sequences[i].n;
		if (s.n < n || s.p[1] < sequences[i].second_min || s.p[1] > sequences[i].second_max)
			return 0;
		for (size_t k = 2; k < n; k++)
			if ((s.p[k] & 0xc0) != 0x80)
				return 0;
		return n;
	}
	return 0;
}

size_t utf8_take(struct slice s, uint32_t *c)
{
	static const uint8_t payload[] = {0, 0x7f, 0x1f, 0x0f, 0x07}; /* of a first octet */
	size_t n = utf8_next(s);

	*c = n > 0 ? s.p[0] & payload[n] : 0;
	for (size_t i = 1; i < n; i++)
		*c = *c << 6 | (s.p[i] & 0x3f);
	return n;
}
