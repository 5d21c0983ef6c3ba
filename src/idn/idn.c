/* SPDX-License-Identifier: MIT */
/*
 * Names between U-labels and A-labels, on top of libidn2.
 *
 * Knows libidn2. Refuses to know DNS: what is plain ASCII is none of IDNA's business, and passes.
 */
#include "idn/idn.h"

#include "base/slice.h"

#include <idn2.h>

enum { NAME_MAX_OCTETS = 253, LABEL_MAX_OCTETS = 63, INPUT_MAX_OCTETS = 4096 };

/* --- names of ASCII labels ------------------------------------------------------------------- */

static bool is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 0x80)
			return false;
	return true;
}

static bool has_alabel(struct slice name)
{
	while (name.n > 0)
		if (slice_starts_nocase(slice_cut(name, '.', &name), "xn--"))
			return true;
	return false;
}

static enum idn_error check_lengths(struct slice name)
{
	if (name.n > NAME_MAX_OCTETS)
		return IDN_TOO_LONG;
	for (size_t from = 0; from <= name.n;) {
		size_t n = slice_find(slice_from(name, from), '.');
		if (n == 0)
			return IDN_EMPTY;
		if (n > LABEL_MAX_OCTETS)
			return IDN_TOO_LONG;
		from += n + 1;
	}
	return IDN_OK;
}

/* Lower case, without the trailing dot. */
static enum idn_error take_ascii(struct slice name, char *out, size_t room)
{
	bool root = slice_eq_str(name, ".");
	if (!root && name.p[name.n - 1] == '.')
		name.n--;
	enum idn_error e = root ? IDN_OK : check_lengths(name);
	if (e != IDN_OK)
		return e;
	if (name.n >= room)
		return IDN_TOO_LONG;
	for (size_t i = 0; i < name.n; i++)
		out[i] = (char)ascii_lower(name.p[i]);
	out[name.n] = '\0';
	return IDN_OK;
}

/* --- libidn2 --------------------------------------------------------------------------------- */

static enum idn_error error_of(int rc)
{
	switch (rc) {
	case IDN2_OK:
		return IDN_OK;
	case IDN2_MALLOC:
		return IDN_NO_MEMORY;
	case IDN2_TOO_BIG_DOMAIN:
	case IDN2_TOO_BIG_LABEL:
		return IDN_TOO_LONG;
	case IDN2_ENCODING_ERROR:
		return IDN_BAD_UTF8;
	case IDN2_ALABEL_ROUNDTRIP_FAILED:
	case IDN2_PUNYCODE_BAD_INPUT:
	case IDN2_PUNYCODE_BIG_OUTPUT:
	case IDN2_PUNYCODE_OVERFLOW:
	case IDN2_INVALID_ALABEL:
		return IDN_BAD_ALABEL;
	default:
		return IDN_DISALLOWED;
	}
}

/* An A-label is only as good as what it decodes to. */
static enum idn_error check_alabels(const char *name)
{
	char *u = NULL;
	int rc = idn2_to_unicode_8z8z(name, &u, IDN2_NONTRANSITIONAL);
	idn2_free(u);
	return rc == IDN2_OK ? IDN_OK : IDN_BAD_ALABEL;
}

enum { TO_ASCII_FLAGS = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL };

static enum idn_error convert(const char *u, char *out, size_t room)
{
	char *a = NULL;
	enum idn_error e = error_of(idn2_to_ascii_8z(u, &a, TO_ASCII_FLAGS));
	if (e == IDN_OK)
		e = take_ascii(slice_str(a), out, room);
	idn2_free(a);
	return e;
}

enum idn_error idn_to_ascii(const char *u, char *out, size_t room)
{
	struct slice name = slice_str(u);
	if (room > 0)
		out[0] = '\0';
	if (name.n == 0)
		return IDN_EMPTY;
	if (name.n > INPUT_MAX_OCTETS)
		return IDN_TOO_LONG;
	enum idn_error e;
	if (!is_ascii(name))
		e = convert(u, out, room);
	else
		e = take_ascii(name, out, room);
	if (e == IDN_OK && has_alabel(slice_str(out)))
		e = check_alabels(out);
	if (e != IDN_OK && room > 0)
		out[0] = '\0';
	return e;
}

enum idn_error idn_to_unicode(const char *a, char *out, size_t room)
{
	if (room > 0)
		out[0] = '\0';
	if (!*a)
		return IDN_EMPTY;
	char *u = NULL;
	int rc = idn2_to_unicode_8z8z(a, &u, IDN2_NONTRANSITIONAL);
	if (rc == IDN2_MALLOC)
		return IDN_NO_MEMORY;
	int n = snprintf(out, room, "%s", rc == IDN2_OK ? u : a);
	idn2_free(u);
	if (n >= 0 && (size_t)n < room)
		return IDN_OK;
	if (room > 0)
		out[0] = '\0';
	return IDN_TOO_LONG;
}

const char *idn_strerror(enum idn_error e)
{
	switch (e) {
	case IDN_OK:
		return "no error";
	case IDN_EMPTY:
		return "the name or one of its labels is empty";
	case IDN_TOO_LONG:
		return "a label is longer than 63 octets or the name is longer than 253";
	case IDN_BAD_UTF8:
		return "the name is not valid UTF-8";
	case IDN_DISALLOWED:
		return "the name has a character that domain names do not allow";
	case IDN_BAD_ALABEL:
		return "a label starts with xn-- but is not a valid A-label";
	case IDN_NO_MEMORY:
		return "out of memory";
	}
	return "unknown error";
}
