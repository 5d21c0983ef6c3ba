/* SPDX-License-Identifier: MIT */
/*
 * Views of bytes: comparing, cutting and converting them.
 *
 * Knows ASCII and hexadecimal. Refuses to know who owns the bytes, the locale, and every protocol.
 */
#include "base/slice.h"

static const uint8_t nothing[1];

struct slice slice_make(const void *p, size_t n)
{
	return (struct slice){.p = p, .n = n};
}

struct slice slice_str(const char *s)
{
	if (s == NULL)
		return slice_make(NULL, 0);
	return slice_make(s, strlen(s));
}

struct slice slice_from(struct slice s, size_t from)
{
	if (from == 0 || s.n == 0)
		return s;
	if (from > s.n)
		from = s.n;
	return slice_make(s.p + from, s.n - from);
}

struct slice slice_first(struct slice s, size_t n)
{
	return slice_make(s.p, n < s.n ? n : s.n);
}

bool slice_eq(struct slice a, struct slice b)
{
	return slice_cmp(a, b) == 0;
}

bool slice_eq_str(struct slice a, const char *b)
{
	return slice_eq(a, slice_str(b));
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	}
	return true;
}

bool slice_eq_nocase_str(struct slice a, const char *b)
{
	return slice_eq_nocase(a, slice_str(b));
}

bool slice_starts_nocase(struct slice s, const char *prefix)
{
	struct slice want = slice_str(prefix);

	return s.n >= want.n && slice_eq_nocase(slice_first(s, want.n), want);
}

int slice_cmp(struct slice a, struct slice b)
{
	size_t common = a.n < b.n ? a.n : b.n;
	/* memcmp may not be given NULL, even with a length of 0 */
	int order = memcmp(common > 0 ? a.p : nothing, common > 0 ? b.p : nothing, common);

	if (order != 0)
		return order < 0 ? -1 : 1;
	if (a.n == b.n)
		return 0;
	return a.n < b.n ? -1 : 1;
}

size_t slice_find(struct slice s, uint8_t c)
{
	const uint8_t *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	return at != NULL ? (size_t)(at - s.p) : s.n;
}

struct slice slice_cut(struct slice s, uint8_t c, struct slice *rest)
{
	size_t at = slice_find(s, c);

	*rest = slice_from(s, at < s.n ? at + 1 : at);
	return slice_first(s, at);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
	size_t from = 0;

	while (from < s.n && is_blank(s.p[from]))
		from++;
	s = slice_from(s, from);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return false;
		uint64_t digit = (uint64_t)(s.p[i] - '0');
		if (digit > max || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

uint8_t ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool ascii_is_alpha(uint8_t c)
{
	uint8_t low = ascii_lower(c);

	return low >= 'a' && low <= 'z';
}

bool ascii_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

bool ascii_is_alnum(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

static int hex_value(uint8_t c)
{
	uint8_t low = ascii_lower(c);

	if (ascii_is_digit(c))
		return c - '0';
	if (low >= 'a' && low <= 'f')
		return low - 'a' + 10;
	return -1;
}

bool hex_decode(struct slice text, uint8_t *out, size_t room, size_t *n)
{
	if (text.n % 2 != 0 || text.n / 2 > room)
		return false;
	for (size_t i = 0; i < text.n; i += 2) {
		int high = hex_value(text.p[i]);
		int low = hex_value(text.p[i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i / 2] = (uint8_t)(high * 16 + low);
	}
	*n = text.n / 2;
	return true;
}

void hex_encode(struct slice in, char *out)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < in.n; i++) {
		*out++ = digit[in.p[i] >> 4];
		*out++ = digit[in.p[i] & 0x0f];
	}
	*out = '\0';
}
