/* SPDX-License-Identifier: MIT */
/*
 * Mailbox syntax: taking an address apart without changing a single octet of it.
 *
 * Knows the grammar of RFC 5321 with the UTF-8 of RFC 6531. Refuses to know whether the domain
 * exists, how it is written in ASCII, and what a local part means.
 */
#include "wire/address.h"

#include "base/foreign.h"
#include "base/utf8.h"
#include "wire/nfc.h"

/* ---- what any address is made of ---- */

bool utf8_is_valid(struct slice s)
{
	while (s.n > 0) {
		size_t n = utf8_next(s);
		if (n == 0)
			return false;
		s = slice_from(s, n);
	}
	return true;
}

enum address_error address_check_text(struct slice in)
{
	for (struct slice rest = in; rest.n > 0;) {
		uint32_t c;
		size_t n = utf8_take(rest, &c);
		if (n == 0)
			return ADDRESS_BAD_UTF8;
		if (foreign_is_control(c))
			return ADDRESS_CONTROL;
		rest = slice_from(rest, n);
	}
	return nfc_is_normal(in) ? ADDRESS_OK : ADDRESS_NOT_NFC;
}

/* ---- the parts of a mailbox ---- */

static bool has_eight_bit(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] > 0x7f)
			return true;
	}
	return false;
}

/* atext of RFC 5322 s3.2.3 and UTF8-non-ascii of RFC 6531 s3.3 */
static bool is_atext(uint8_t c)
{
	static const struct slice marks = {(const uint8_t *)"!#$%&'*+-/=?^_`{|}~", 19};

	return ascii_is_alnum(c) || c > 0x7f || slice_find(marks, c) < marks.n;
}

/* Dot-string = Atom *("." Atom) */
static bool is_dot_string(struct slice s)
{
	bool in_atom = false;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' ? !in_atom : !is_atext(s.p[i]))
			return false;
		in_atom = s.p[i] != '.';
	}
	return in_atom;
}

/*
 * The length of the quoted string at the start of s, 0 if it does not end. Control characters were
 * refused before, so that any octet is qtext or may follow the backslash, UTF-8 apart.
 *   Quoted-string    = DQUOTE *QcontentSMTP DQUOTE
 *   QcontentSMTP     = qtextSMTP / quoted-pairSMTP
 *   quoted-pairSMTP  = %d92 %d32-126
 */
static size_t quoted_string(struct slice s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] != '\\')
			continue;
		i++;
		if (i < s.n && s.p[i] > 0x7f)
			return 0;
	}
	return 0;
}

/* Splits at the "@" that ends the local part. */
static enum address_error split_local(struct slice in, struct address *out)
{
	bool quoted = in.p[0] == '"';
	size_t n = quoted ? quoted_string(in) : slice_find(in, '@');

	if (quoted && n == 0)
		return ADDRESS_BAD_LOCAL;
	if (n == in.n)
		return ADDRESS_NO_AT;
	out->local = slice_first(in, n);
	if (in.p[n] != '@' || (!quoted && !is_dot_string(out->local)))
		return ADDRESS_BAD_LOCAL;
	out->domain = slice_from(in, n + 1);
	return n > ADDRESS_LOCAL_MAX ? ADDRESS_TOO_LONG : ADDRESS_OK;
}

/* sub-domain = Let-dig [Ldh-str] / U-label, with "_" as a letter (seen in practice) */
static bool is_sub_domain(struct slice label)
{
	enum { ASCII_LABEL_MAX = 63 }; /* the A-label of a U-label is checked when it is made */

	if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	if (label.n > ASCII_LABEL_MAX && !has_eight_bit(label))
		return false;
	for (size_t i = 0; i < label.n; i++) {
		uint8_t c = label.p[i];
		if (!ascii_is_alnum(c) && c != '-' && c != '_' && c <= 0x7f)
			return false;
	}
	return true;
}

/* Domain = sub-domain *("." sub-domain) */
static bool is_domain(struct slice s)
{
	if (s.n == 0 || s.p[s.n - 1] == '.')
		return false;
	while (s.n > 0) {
		if (!is_sub_domain(slice_cut(s, '.', &s)))
			return false;
	}
	return true;
}

/* address-literal = "[" ( IPv4-address-literal / "IPv6:" IPv6-addr ) "]"      ; RFC 5321 s4.1.3 */
static bool is_literal(struct slice s, struct ipaddr *ip)
{
	static const char tag[] = "IPv6:";

	if (s.n < 2 || s.p[s.n - 1] != ']')
		return false;
	struct slice inner = slice_from(slice_first(s, s.n - 1), 1);
	bool six = slice_starts_nocase(inner, tag);
	if (six)
		inner = slice_from(inner, sizeof(tag) - 1);
	return ipaddr_from_text(inner, ip) && ip->family == (six ? 6 : 4);
}

static enum address_error check_domain(struct address *out)
{
	if (out->domain.n > ADDRESS_DOMAIN_MAX)
		return ADDRESS_TOO_LONG;
	out->literal = out->domain.n > 0 && out->domain.p[0] == '[';
	if (out->literal)
		return is_literal(out->domain, &out->ip) ? ADDRESS_OK : ADDRESS_BAD_LITERAL;
	return is_domain(out->domain) ? ADDRESS_OK : ADDRESS_BAD_DOMAIN;
}

/* Mailbox = ( Dot-string / Quoted-string ) "@" ( Domain / address-literal )      ; s4.1.2 */
enum address_error address_parse(struct slice in, struct address *out)
{
	*out = (struct address){0};
	if (in.n == 0)
		return ADDRESS_EMPTY;
	if (in.n > ADDRESS_PATH_MAX)
		return ADDRESS_TOO_LONG;
	enum address_error e = address_check_text(in);
	if (e == ADDRESS_OK)
		e = split_local(in, out);
	if (e == ADDRESS_OK)
		e = check_domain(out);
	out->utf8 = has_eight_bit(in);
	out->utf8_local = has_eight_bit(out->local);
	return e;
}

const char *address_strerror(enum address_error e)
{
	switch (e) {
	case ADDRESS_OK:
		return "no error";
	case ADDRESS_EMPTY:
		return "the address is empty";
	case ADDRESS_NO_AT:
		return "the address has no domain";
	case ADDRESS_BAD_LOCAL:
		return "the local part is malformed";
	case ADDRESS_BAD_DOMAIN:
		return "the domain is malformed";
	case ADDRESS_BAD_LITERAL:
		return "the address literal is malformed or of an unknown kind";
	case ADDRESS_TOO_LONG:
		return "the address is too long";
	case ADDRESS_BAD_UTF8:
		return "the address is not valid UTF-8";
	case ADDRESS_CONTROL:
		return "the address has a control character, or one that turns the direction of "
		       "text";
	case ADDRESS_NOT_NFC:
		return "the address is not in Unicode's Normalization Form C";
	}
	return "unknown error";
}
