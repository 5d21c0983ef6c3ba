/* SPDX-License-Identifier: MIT */
/*
 * ORCPT: two encodings, of which the inner one (RFC 6533) is read after the outer one (xtext).
 *
 * Knows both. Refuses to know whether the address exists, and to let an encoding carry what could
 * not be written openly: a NUL cuts the address in the notification, a control acts in it.
 */
#include "wire/orcpt.h"

#include "wire/xtext.h"

#include <string.h>

/* addr-type = Atom ; letters, digits and hyphens are all that is registered */
static bool is_type(struct slice type)
{
	for (size_t i = 0; i < type.n; i++) {
		if (!ascii_is_alnum(type.p[i]) && type.p[i] != '-')
			return false;
	}
	return type.n > 0;
}

/* The code point of up to six hexadecimal digits. */
static bool read_hex(struct slice digits, uint32_t *c)
{
	enum { HEXPOINT_MAX = 6 };

	*c = 0;
	for (size_t i = 0; i < digits.n; i++) {
		uint8_t d = ascii_lower(digits.p[i]);
		if (!ascii_is_digit(d) && (d < 'a' || d > 'f'))
			return false;
		*c = *c << 4 | (uint32_t)(ascii_is_digit(d) ? d - '0' : d - 'a' + 10);
	}
	return digits.n > 0 && digits.n <= HEXPOINT_MAX;
}

/* Surrogates and what is above U+10FFFF come out as octets that are no UTF-8: refused with them. */
static size_t write_utf8(uint32_t c, uint8_t out[static 4])
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i > 1; i--) {
		out[i - 1] = (uint8_t)(0x80 | (c & 0x3f));
		c >>= 6;
	}
	out[0] = (uint8_t)(lead[n] | c);
	return n;
}

/*
 * In place: what is written is never longer.
 *   EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"      ; RFC 6533 s3
 */
static bool read_embedded(struct orcpt *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->n; i++) {
		struct slice rest = slice_make(o->address + i, o->n - i), behind;
		uint32_t c;
		if (rest.p[0] != '\\') {
			o->address[n++] = rest.p[0];
			continue;
		}
		struct slice digits = slice_cut(slice_from(rest, 3), '}', &behind);
		if (rest.n < 5 || rest.p[1] != 'x' || rest.p[2] != '{' || digits.n == rest.n - 3 ||
		    !read_hex(digits, &c) || c > 0x1fffff)
			return false;
		i += 3 + digits.n;
		n += write_utf8(c, o->address + n);
	}
	o->n = n;
	return true;
}

/* original-recipient-address = addr-type ";" xtext      ; RFC 3461 s4.2 */
bool orcpt_parse(struct slice value, bool smtputf8, struct orcpt *out)
{
	struct slice text;

	out->type = slice_cut(value, ';', &text);
	out->n = 0;
	if (value.n > ORCPT_MAX || !is_type(out->type))
		return false;
	bool utf8 = slice_eq_nocase_str(out->type, "utf-8");
	if (utf8 && smtputf8) { /* utf-8-addr-unitext, utf-8-address: no xtext around it */
		memcpy(out->address, text.n > 0 ? text.p : (const uint8_t *)"", text.n);
		out->n = text.n;
	} else if (!xtext_decode(text, out->address, sizeof(out->address), &out->n)) {
		return false;
	}
	if (utf8 && !read_embedded(out))
		return false;
	return out->n > 0 && address_check_text(slice_make(out->address, out->n)) == ADDRESS_OK;
}
