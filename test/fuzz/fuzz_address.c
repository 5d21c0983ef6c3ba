/* SPDX-License-Identifier: MIT */
/*
 * address_parse: what is accepted is the input, cut at its "@", within the limits; and a second
 * recogniser of the same grammar, written below from RFC 5321 s4.1.2, s4.1.3 and RFC 6531 s3.3 over
 * code points, takes the same inputs.
 *
 * Normalization is a table too large to have twice: the second opinion knows blocks whose
 * characters are all in Form C and never combine; of others it only says what must be refused for
 * another reason.
 */
#include "fuzz.h"

#include "wire/address.h"

#include <arpa/inet.h>

/* --- The second opinion --- */

enum { POINTS_MAX = ADDRESS_PATH_MAX };

struct text {
	uint32_t point[POINTS_MAX];
	unsigned octets[POINTS_MAX]; /* of each code point */
	size_t n;
	bool sure; /* of its normalization */
};

static const uint32_t too_short[] = {0, 0, 0x80, 0x800, 0x10000};

/* One code point at *at, which moves; false: RFC 3629 does not allow these octets. */
static bool next_point(struct slice in, size_t *at, uint32_t *out)
{
	uint8_t lead = in.p[*at];
	unsigned n = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (n == 0 || lead > 0xf7 || in.n - *at < n)
		return false;
	uint32_t c = n == 1 ? lead : lead & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (in.p[*at + i] >> 6 != 2)
			return false;
		c = c << 6 | (in.p[*at + i] & 0x3f);
	}
	*at += n;
	*out = c;
	return c >= too_short[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

/* Unicode's Cc, Zl, Zp, and what changes the direction of text (UAX 9). */
static bool acts(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x206f);
}

/* Latin letters with marks, and the unified ideographs: in Form C whatever stands beside them. */
static bool is_surely_normal(uint32_t c)
{
	return c < 0x80 || (c >= 0xa1 && c < 0x100) || (c >= 0x4e00 && c < 0xa000);
}

static bool read_text(struct slice in, struct text *t)
{
	*t = (struct text){.sure = true};
	if (in.n > POINTS_MAX)
		return false;
	for (size_t at = 0; at < in.n; t->n++) {
		size_t before = at;
		if (!next_point(in, &at, &t->point[t->n]) || acts(t->point[t->n]))
			return false;
		t->octets[t->n] = (unsigned)(at - before);
		t->sure = t->sure && is_surely_normal(t->point[t->n]);
	}
	return true;
}

static bool is_letter_or_digit(uint32_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* atext of RFC 5322 s3.2.3 / UTF8-non-ascii: everything that is not a special, a blank or a dot. */
static bool is_atom_point(uint32_t c)
{
	return c > ' ' && (c > 0x7f || strchr("\"(),.:;<>@[\\]", (int)c) == NULL);
}

/* Local-part at the start of t: the position behind it, 0 if there is none. */
static size_t read_local(const struct text *t)
{
	size_t i = 0;
	if (t->n > 0 && t->point[0] == '"') {
		for (i = 1; i < t->n && t->point[i] != '"'; i++) {
			if (t->point[i] == '\\' && (++i == t->n || t->point[i] > 0x7e))
				return 0;
		}
		return i < t->n ? i + 1 : 0;
	}
	bool atom = false;
	for (; i < t->n && t->point[i] != '@'; i++) {
		bool dot = t->point[i] == '.';
		if (dot ? !atom : !is_atom_point(t->point[i]))
			return 0;
		atom = !dot;
	}
	return atom ? i : 0;
}

/* sub-domain *("." sub-domain), with "_" as a letter and any UTF-8 */
static bool is_named_domain(const struct text *t, size_t from)
{
	size_t start = from;
	unsigned octets = 0;
	bool ascii = true;
	for (size_t i = from; i <= t->n; i++) {
		uint32_t c = i < t->n ? t->point[i] : '.';
		if (c != '.') {
			if (c < 0x80 && !is_letter_or_digit(c) && c != '-' && c != '_')
				return false;
			ascii = ascii && c < 0x80;
			octets += t->octets[i];
			continue;
		}
		if (i == start || t->point[start] == '-' || t->point[i - 1] == '-' ||
		    (ascii && octets > 63))
			return false;
		start = i + 1;
		octets = 0;
		ascii = true;
	}
	return true;
}

/* address-literal: the C library reads what is between the brackets. */
static bool is_address_literal(const struct text *t, size_t from)
{
	char inner[POINTS_MAX + 1];
	size_t n = 0;
	uint8_t ip[16];
	if (t->n - from < 2 || t->point[t->n - 1] != ']')
		return false;
	for (size_t i = from + 1; i + 1 < t->n; i++) {
		if (t->point[i] > 0x7e)
			return false;
		inner[n++] = (char)t->point[i];
	}
	inner[n] = '\0';
	if (strncasecmp(inner, "IPv6:", 5) == 0)
		return inet_pton(AF_INET6, inner + 5, ip) == 1;
	return inet_pton(AF_INET, inner, ip) == 1;
}

static bool is_mailbox(const struct text *t)
{
	size_t local = read_local(t), octets = 0;
	if (local == 0 || local + 1 >= t->n || t->point[local] != '@')
		return false;
	for (size_t i = 0; i < local; i++)
		octets += t->octets[i];
	if (octets > ADDRESS_LOCAL_MAX)
		return false;
	return t->point[local + 1] == '[' ? is_address_literal(t, local + 1)
					  : is_named_domain(t, local + 1);
}

/* --- The parser --- */

static void check_accepted(struct slice in, const struct address *a)
{
	FUZZ_CHECK(in.n <= ADDRESS_PATH_MAX);
	FUZZ_CHECK(a->local.n >= 1 && a->local.n <= ADDRESS_LOCAL_MAX);
	FUZZ_CHECK(a->domain.n >= 1);
	FUZZ_CHECK(a->local.p == in.p);
	FUZZ_CHECK(a->domain.p == in.p + a->local.n + 1);
	FUZZ_CHECK(a->local.n + 1 + a->domain.n == in.n);
	FUZZ_CHECK(in.p[a->local.n] == '@');
	FUZZ_CHECK(utf8_is_valid(a->local) && utf8_is_valid(a->domain));
	FUZZ_CHECK(a->literal == (a->ip.family != 0));
	FUZZ_CHECK(a->literal == (a->domain.p[0] == '['));
	FUZZ_CHECK(!a->utf8_local || a->utf8);
	for (size_t i = 0; i < in.n; i++)
		FUZZ_CHECK(in.p[i] >= ' ' && in.p[i] != 0x7f);
	/* nothing in the domain can end a path or a literal early */
	for (size_t i = 0; i + 1 < a->domain.n; i++)
		FUZZ_CHECK(memchr("<>@ ]\"\\", a->domain.p[i], 7) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct address a;
	struct text t;
	enum address_error e = address_parse(in, &a);
	bool also = read_text(in, &t) && is_mailbox(&t);

	FUZZ_CHECK(e <= ADDRESS_OK);
	FUZZ_CHECK(strcmp(address_strerror(e), "unknown error") != 0);
	FUZZ_CHECK(fuzz_is_inside(a.local, in) && fuzz_is_inside(a.domain, in));
	FUZZ_CHECK(e != ADDRESS_OK || also);
	FUZZ_CHECK(e == ADDRESS_OK || !also || !t.sure);
	if (e == ADDRESS_OK)
		check_accepted(in, &a);
	return 0;
}
