/* SPDX-License-Identifier: MIT */
/*
 * Signed RRsets in their one spelling.
 *
 * Knows records, names in RDATA and the canonical order (RFC 4034 s6). Refuses to know keys, zones
 * and what a record is for.
 */
#include "wire/rrset.h"

#include "base/buf.h"
#include "base/cursor.h"

enum { CLASS_IN = 1, RR_FIXED = 10, SIG_FIXED = 18 };

/* --- names --- */

size_t dname_labels(const struct dname *n)
{
	size_t labels = 0;
	bool wild = n->wire[0] == 1 && n->wire[1] == '*';
	for (size_t at = 0; n->wire[at] != 0; at += 1 + (size_t)n->wire[at])
		labels++;
	return wild ? labels - 1 : labels;
}

void dname_chop(const struct dname *n, size_t labels, struct dname *out)
{
	size_t at = 0;
	for (; labels > 0 && n->wire[at] != 0; labels--)
		at += 1 + (size_t)n->wire[at];
	struct dname copy = {.len = (uint8_t)(n->len - at)};
	memcpy(copy.wire, n->wire + at, copy.len);
	*out = copy;
}

bool dname_is_under(const struct dname *n, const struct dname *above)
{
	for (size_t at = 0;; at += 1 + (size_t)n->wire[at]) {
		if (n->len - at == above->len)
			return slice_eq_nocase(slice_make(n->wire + at, above->len),
					       slice_make(above->wire, above->len));
		if (n->wire[at] == 0)
			return false;
	}
}

/* --- RDATA --- */

/* Where names are in RDATA: `before` octets, then `names`, then anything. */
struct layout {
	uint16_t type;
	uint8_t before, names;
	bool lower, behind;
};

/* Types that are kept. NSEC's name stays as it is (RFC 6840 s5.1). */
static const struct layout layouts[] = {
    {DNS_A, 4, 0, false, false},           {DNS_AAAA, 16, 0, false, false},
    {DNS_CNAME, 0, 1, true, false},        {DNS_DNAME, 0, 1, true, false},
    {DNS_MX, 2, 1, true, false},           {DNS_TLSA, 0, 0, false, true},
    {DNS_DS, 4, 0, false, true},           {DNS_DNSKEY, 4, 0, false, true},
    {DNS_NSEC, 0, 1, false, true},         {DNS_NSEC3, 5, 0, false, true},
    {DNS_RRSIG, SIG_FIXED, 1, true, true},
};

static const struct layout *layout_of(uint16_t type)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (layouts[i].type == type)
			return &layouts[i];
	}
	return NULL;
}

static void put_name(struct buf *b, const struct dname *n, bool lower)
{
	for (size_t i = 0; i < n->len; i++) /* length octets are below 'A' */
		buf_add_u8(b, lower ? ascii_lower(n->wire[i]) : n->wire[i]);
}

bool rrset_put_rdata(struct buf *b, struct slice msg, size_t at, size_t len, uint16_t type)
{
	const struct layout *l = layout_of(type);
	size_t end = at + len;
	if (l == NULL || end > msg.n || len < l->before)
		return false;
	struct slice seen = slice_first(msg, end); /* no name may reach behind the record */
	buf_add(b, msg.p + at, l->before);
	at += l->before;
	for (size_t i = 0; i < l->names; i++) {
		struct dname name;
		if (dname_parse(seen, &at, &name) != DNAME_OK)
			return false;
		put_name(b, &name, l->lower);
	}
	if (!l->behind && at != end)
		return false;
	buf_add_slice(b, slice_from(seen, at));
	return buf_ok(b);
}

/* Is it as rrset_put_rdata() would have written it? Without a buffer: a parser allocates nothing.
 */
static bool rdata_is_canonical(struct slice rdata, uint16_t type)
{
	const struct layout *l = layout_of(type);
	if (l == NULL || rdata.n < l->before)
		return false;
	size_t at = l->before;
	for (size_t i = 0; i < l->names; i++) {
		struct dname name;
		size_t from = at;
		/* from there on only: then a pointer has nowhere to lead */
		size_t pos = 0;
		if (dname_parse(slice_from(rdata, from), &pos, &name) != DNAME_OK ||
		    pos != name.len)
			return false;
		for (size_t k = 0; l->lower && k < name.len; k++) {
			if (ascii_lower(name.wire[k]) != name.wire[k])
				return false;
		}
		at += pos;
	}
	return l->behind || at == rdata.n;
}

/* --- one record --- */

struct record {
	struct slice whole, rdata;
	struct dname owner;
	uint16_t type;
	uint32_t ttl;
};

static bool read_record(struct slice in, size_t *pos, struct record *r)
{
	size_t at = 0, start = *pos;
	struct slice rest = slice_from(in, start);
	if (dname_parse(rest, &at, &r->owner) != DNAME_OK || at != r->owner.len)
		return false;
	for (size_t i = 0; i < r->owner.len; i++) {
		if (ascii_lower(r->owner.wire[i]) != r->owner.wire[i])
			return false;
	}
	struct cursor c = cursor_make(slice_from(rest, at));
	r->type = cursor_u16(&c);
	uint16_t class = cursor_u16(&c);
	r->ttl = cursor_u32(&c);
	r->rdata = cursor_bytes(&c, cursor_u16(&c));
	r->whole = slice_first(rest, at + c.pos);
	*pos = start + at + c.pos;
	return !c.failed && class == CLASS_IN && rdata_is_canonical(r->rdata, r->type);
}

static uint16_t sig_covers(const struct record *r)
{
	struct cursor c = cursor_make(r->rdata);
	return cursor_u16(&c);
}

static uint32_t sig_original_ttl(const struct record *r)
{
	struct cursor c = cursor_make(slice_from(r->rdata, 4));
	return cursor_u32(&c);
}

/* --- the whole --- */

/* May `r` stand behind `last`? */
static bool follows(const struct rrset *s, const struct record *last, const struct record *r)
{
	bool sig = r->type == DNS_RRSIG;
	if (s->nrr == 0)
		return !sig;
	if (!dname_eq(&r->owner, &last->owner) || r->ttl != last->ttl)
		return false;
	if (sig && (sig_covers(r) != s->type || sig_original_ttl(r) != r->ttl))
		return false;
	if (r->type == last->type)
		return slice_cmp(last->rdata, r->rdata) < 0;
	return sig; /* the first signature */
}

bool rrset_parse(struct slice octets, struct rrset *out)
{
	struct record last = {0}, r = {0};
	*out = (struct rrset){.octets = octets};
	if (octets.n > RRSET_OCTETS_MAX)
		return false;
	for (size_t pos = 0; pos < octets.n; last = r) {
		if (!read_record(octets, &pos, &r) || !follows(out, &last, &r))
			return false;
		if (r.type == DNS_RRSIG) {
			out->nsig++;
		} else {
			out->nrr++;
			out->type = r.type;
			out->owner = r.owner;
		}
		if (out->nrr > RRSET_RECORDS_MAX || out->nsig > RRSET_SIGS_MAX)
			return false;
	}
	return out->nrr > 0 && out->nsig > 0;
}

/* Record number i, signatures counted on. */
static void nth(const struct rrset *s, size_t i, struct record *r)
{
	size_t pos = 0;
	*r = (struct record){0};
	for (size_t k = 0; k <= i; k++)
		(void)read_record(s->octets, &pos, r);
}

struct slice rrset_rdata(const struct rrset *s, size_t i)
{
	struct record r;
	nth(s, i, &r);
	return r.rdata;
}

/* RFC 4034 s3.1 */
void rrset_sig(const struct rrset *s, size_t i, struct rrset_sig *out)
{
	struct record r;
	nth(s, s->nrr + i, &r);
	struct cursor c = cursor_make(r.rdata);
	*out = (struct rrset_sig){.rr = r.whole, .covered = cursor_u16(&c)};
	out->algorithm = cursor_u8(&c);
	out->labels = cursor_u8(&c);
	(void)cursor_u32(&c); /* original TTL: checked by rrset_parse() */
	out->expiration = cursor_u32(&c);
	out->inception = cursor_u32(&c);
	out->keytag = cursor_u16(&c);
	size_t pos = 0;
	(void)dname_parse(slice_from(r.rdata, SIG_FIXED), &pos, &out->signer);
}
