/* SPDX-License-Identifier: MIT */
/*
 * Base64: four characters, three octets.
 *
 * Knows the alphabet of RFC 4648 s4. Refuses to know line breaks, other alphabets and missing
 * padding.
 */
#include "wire/base64.h"

static int value_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* How many of the last four characters are padding: 0 to 2. */
static size_t padding_of(struct slice text)
{
	if (text.n < 4 || text.p[text.n - 1] != '=')
		return 0;
	return text.p[text.n - 2] == '=' ? 2 : 1;
}

/* The 24 bits of four characters, of which the last `pad` are padding. */
static bool read_group(const uint8_t *p, size_t pad, uint32_t *bits)
{
	*bits = 0;
	for (size_t i = 0; i < 4; i++) {
		int v = i < 4 - pad ? value_of(p[i]) : 0;
		if (v < 0)
			return false;
		*bits = *bits << 6 | (uint32_t)v;
	}
	uint32_t unused = pad == 0 ? 0 : pad == 1 ? 0xff : 0xffff;
	return (*bits & unused) == 0;
}

/* base64 = *( 4char ) [ 2char "==" / 3char "=" ] */
bool base64_decode(struct slice text, uint8_t *out, size_t room, size_t *n)
{
	size_t padding = padding_of(text);

	*n = 0;
	if (text.n % 4 != 0 || text.n / 4 * 3 - padding > room)
		return false;
	for (size_t at = 0; at < text.n; at += 4) {
		size_t pad = at + 4 == text.n ? padding : 0;
		uint32_t bits;
		if (!read_group(text.p + at, pad, &bits))
			return false;
		for (size_t i = 0; i < 3 - pad; i++)
			out[(*n)++] = (uint8_t)(bits >> (16 - 8 * i) & 0xff);
	}
	return true;
}

void base64_encode(struct slice in, char *out)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t at = 0; at < in.n; at += 3) {
		struct slice group = slice_first(slice_from(in, at), 3);
		uint32_t bits = 0;
		for (size_t i = 0; i < 3; i++)
			bits = bits << 8 | (i < group.n ? group.p[i] : 0);
		for (size_t i = 0; i < 4; i++)
			*out++ = i <= group.n ? alphabet[bits >> (18 - 6 * i) & 63] : '=';
	}
	*out = '\0';
}
