/* SPDX-License-Identifier: MIT */
/*
 * xtext on its way in.
 *
 * Knows RFC 3461 s4. Refuses to know what the octets are for, and which of them a field may hold.
 */
#include "wire/xtext.h"

static bool is_upper_hex(uint8_t c)
{
	return ascii_is_digit(c) || (c >= 'A' && c <= 'F');
}

/* xchar = %d33-42 / %d44-60 / %d62-126 ; without "+" and "=" */
static bool is_xchar(uint8_t c)
{
	return c > ' ' && c <= '~' && c != '+' && c != '=';
}

/* xtext = *( xchar / hexchar ), hexchar = "+" 2( %x30-39 / %x41-46 ) */
bool xtext_decode(struct slice text, uint8_t *out, size_t room, size_t *n)
{
	size_t one;

	*n = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (*n == room)
			return false;
		if (is_xchar(text.p[i])) {
			out[(*n)++] = text.p[i];
			continue;
		}
		if (text.p[i] != '+' || text.n - i < 3 || !is_upper_hex(text.p[i + 1]) ||
		    !is_upper_hex(text.p[i + 2]))
			return false;
		(void)hex_decode(slice_make(text.p + i + 1, 2), out + *n, 1, &one);
		(*n)++;
		i += 2;
	}
	return true;
}
