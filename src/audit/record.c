/* SPDX-License-Identifier: MIT */
/*
 * Records to octets and back: each put has its get below, and the fields of an attempt stand in
 * attempt.tbl once for both.
 *
 * Knows the form. Refuses to know what a record means.
 */
#include "audit/record.h"

#include "base/cursor.h"
#include "dane/tlsaset.h"

#include <string.h>

static const struct {
	enum audit_type type;
	const char *name;
} types[] = {
#define AUDIT_TYPE(id, number, name) {AUDIT_##id, (name)},
#include "audit/types.tbl"
#undef AUDIT_TYPE
};

const char *audit_type_name(enum audit_type t)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type == t)
			return types[i].name;
	}
	return "?";
}

const char *audit_strerror(enum audit_error e)
{
	switch (e) {
	case AUDIT_OK:
		return "a record";
	case AUDIT_BROKEN:
		return "not a record";
	case AUDIT_NEWER:
		return "a record of a kind that this program does not know; a newer one may";
	}
	return "?";
}

static bool is_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

static bool is_text(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (is_control(s.p[i]))
			return false;
	}
	return s.n <= AUDIT_TEXT_MAX;
}

struct slice audit_text(const char *s, char scratch[static AUDIT_TEXT_MAX + 1])
{
	struct slice all = slice_str(s);
	if (is_text(all))
		return all;
	size_t n = all.n;
	if (n > AUDIT_TEXT_MAX) {
		n = AUDIT_TEXT_MAX;
		while (n > AUDIT_TEXT_MAX - 4 && (all.p[n] & 0xc0) == 0x80)
			n--;
	}
	for (size_t i = 0; i < n; i++)
		scratch[i] = is_control(all.p[i]) ? '?' : (char)all.p[i];
	scratch[n] = '\0';
	return slice_make(scratch, n);
}

/* --- Kinds of fields --- */

static void put_U16(struct buf *b, const uint16_t *v)
{
	buf_add_u16(b, *v);
}

static void get_U16(struct cursor *c, uint16_t *v)
{
	*v = cursor_u16(c);
}

static void put_U64(struct buf *b, const uint64_t *v)
{
	for (int shift = 48; shift >= 0; shift -= 16)
		buf_add_u16(b, (uint16_t)(*v >> shift));
}

static void get_U64(struct cursor *c, uint64_t *v)
{
	uint64_t high = cursor_u32(c);
	*v = high << 32 | cursor_u32(c);
}

static void put_time(struct buf *b, int64_t t)
{
	uint64_t v = (uint64_t)t;
	put_U64(b, &v);
}

static int64_t get_time(struct cursor *c)
{
	uint64_t v;
	get_U64(c, &v);
	return (int64_t)v;
}

static void put_BOOL(struct buf *b, const bool *v)
{
	buf_add_u8(b, *v);
}

/* An octet below `limit`. */
static uint8_t get_small(struct cursor *c, unsigned limit)
{
	uint8_t v = cursor_u8(c);
	if (v >= limit)
		c->failed = true;
	return c->failed ? 0 : v;
}

static void get_BOOL(struct cursor *c, bool *v)
{
	*v = get_small(c, 2) == 1;
}

static void put_CONTINUITY(struct buf *b, const enum continuity *v)
{
	buf_add_u8(b, (uint8_t)*v);
}

static void get_CONTINUITY(struct cursor *c, enum continuity *v)
{
	*v = (enum continuity)get_small(c, CONTINUITY_COUNT);
}

static void put_AUTHORITY(struct buf *b, const enum audit_authority *v)
{
	buf_add_u8(b, (uint8_t)*v);
}

static void get_AUTHORITY(struct cursor *c, enum audit_authority *v)
{
	*v = (enum audit_authority)get_small(c, AUTHORITY_COUNT);
}

static void put_TEXT(struct buf *b, const struct slice *s)
{
	if (!is_text(*s)) {
		b->failed = true;
		return;
	}
	buf_add_u8(b, (uint8_t)s->n);
	buf_add_slice(b, *s);
}

static void get_TEXT(struct cursor *c, struct slice *s)
{
	*s = cursor_bytes(c, cursor_u8(c));
	if (!is_text(*s))
		c->failed = true;
}

/* Often there is none: one octet says so. */
static void put_DIGEST(struct buf *b, const uint8_t (*d)[AUDIT_DIGEST])
{
	static const uint8_t zero[AUDIT_DIGEST];
	bool some = memcmp(*d, zero, AUDIT_DIGEST) != 0;
	buf_add_u8(b, some);
	if (some)
		buf_add(b, *d, AUDIT_DIGEST);
}

static void get_octets(struct cursor *c, uint8_t *out)
{
	struct slice s = cursor_bytes(c, AUDIT_DIGEST);
	if (s.n == AUDIT_DIGEST)
		memcpy(out, s.p, AUDIT_DIGEST);
}

static void get_DIGEST(struct cursor *c, uint8_t (*d)[AUDIT_DIGEST])
{
	static const uint8_t zero[AUDIT_DIGEST];
	memset(*d, 0, AUDIT_DIGEST);
	if (get_small(c, 2) == 0)
		return;
	get_octets(c, *d);
	if (memcmp(*d, zero, AUDIT_DIGEST) == 0)
		c->failed = true; /* one encoding only */
}

static void put_TLSA(struct buf *b, const struct audit_tlsa_set *s)
{
	buf_add_u16(b, s->total);
	buf_add_u8(b, s->n);
	for (size_t i = 0; i < s->n && i < AUDIT_TLSA_MAX; i++) {
		const struct audit_tlsa *e = &s->entry[i];
		buf_add_u8(b, e->usage);
		buf_add_u8(b, e->selector);
		buf_add_u8(b, e->mtype);
		buf_add_u8(b, e->use);
		buf_add_u8(b, e->hashed);
		buf_add_u8(b, (uint8_t)e->data.n);
		buf_add_slice(b, e->data);
		b->failed = b->failed || e->data.n > AUDIT_TLSA_DATA;
	}
	b->failed = b->failed || s->n > AUDIT_TLSA_MAX || s->total < s->n;
}

static void get_TLSA(struct cursor *c, struct audit_tlsa_set *s)
{
	s->total = cursor_u16(c);
	s->n = get_small(c, AUDIT_TLSA_MAX + 1);
	for (size_t i = 0; i < s->n && !c->failed; i++) {
		struct audit_tlsa *e = &s->entry[i];
		e->usage = cursor_u8(c);
		e->selector = cursor_u8(c);
		e->mtype = cursor_u8(c);
		e->use = get_small(c, TLSA_BAD_DATA + 1);
		get_BOOL(c, &e->hashed);
		e->data = cursor_bytes(c, get_small(c, AUDIT_TLSA_DATA + 1));
		if (e->hashed && e->data.n != AUDIT_DIGEST)
			c->failed = true;
	}
	if (s->total < s->n)
		c->failed = true;
}

static void put_MATCH(struct buf *b, const struct audit_match *m)
{
	buf_add_u8(b, m->present);
	if (!m->present)
		return;
	buf_add_u8(b, m->usage);
	buf_add_u8(b, m->selector);
	buf_add_u8(b, m->mtype);
	buf_add_u8(b, m->record);
	buf_add_u8(b, m->depth);
	put_TEXT(b, &m->name);
}

static void get_MATCH(struct cursor *c, struct audit_match *m)
{
	*m = (struct audit_match){0};
	get_BOOL(c, &m->present);
	if (!m->present)
		return;
	m->usage = cursor_u8(c);
	m->selector = cursor_u8(c);
	m->mtype = cursor_u8(c);
	m->record = cursor_u8(c);
	m->depth = cursor_u8(c);
	get_TEXT(c, &m->name);
}

static void put_CHAIN(struct buf *b, const struct audit_chain *ch)
{
	buf_add_u16(b, ch->total);
	buf_add_u8(b, ch->n);
	for (size_t i = 0; i < ch->n && i < AUDIT_CHAIN_MAX; i++) {
		buf_add(b, ch->cert[i].sha256, AUDIT_DIGEST);
		buf_add(b, ch->cert[i].spki_sha256, AUDIT_DIGEST);
	}
	b->failed = b->failed || ch->n > AUDIT_CHAIN_MAX || ch->total < ch->n;
}

static void get_CHAIN(struct cursor *c, struct audit_chain *ch)
{
	ch->total = cursor_u16(c);
	ch->n = get_small(c, AUDIT_CHAIN_MAX + 1);
	for (size_t i = 0; i < ch->n && !c->failed; i++) {
		get_octets(c, ch->cert[i].sha256);
		get_octets(c, ch->cert[i].spki_sha256);
	}
	if (ch->total < ch->n)
		c->failed = true;
}

/* --- Types of records --- */

static void put_attempt(struct buf *b, const struct audit_attempt *a)
{
#define FIELD(kind, member) put_##kind(b, &a->member);
#include "audit/attempt.tbl"
#undef FIELD
}

static void get_attempt(struct cursor *c, struct audit_attempt *a)
{
#define FIELD(kind, member) get_##kind(c, &a->member);
#include "audit/attempt.tbl"
#undef FIELD
	if (a->index >= a->count)
		c->failed = true;
}

static void put_override(struct buf *b, const struct audit_override *o)
{
	put_BOOL(b, &o->set);
	put_TEXT(b, &o->pattern);
	put_TEXT(b, &o->policy);
	put_time(b, o->expires);
}

static void get_override(struct cursor *c, struct audit_override *o)
{
	get_BOOL(c, &o->set);
	get_TEXT(c, &o->pattern);
	get_TEXT(c, &o->policy);
	o->expires = get_time(c);
}

static void put_selfcheck(struct buf *b, const struct audit_selfcheck *s)
{
	put_BOOL(b, &s->appeared);
	put_TEXT(b, &s->name);
	put_TEXT(b, &s->finding);
	put_TEXT(b, &s->detail);
}

static void get_selfcheck(struct cursor *c, struct audit_selfcheck *s)
{
	get_BOOL(c, &s->appeared);
	get_TEXT(c, &s->name);
	get_TEXT(c, &s->finding);
	get_TEXT(c, &s->detail);
}

static void put_checkpoint(struct buf *b, const struct audit_checkpoint *p)
{
	put_U64(b, &p->upto);
	buf_add(b, p->hash, AUDIT_DIGEST);
	put_time(b, p->before);
}

static void get_checkpoint(struct cursor *c, struct audit_checkpoint *p)
{
	get_U64(c, &p->upto);
	get_octets(c, p->hash);
	p->before = get_time(c);
}

static void put_carried(struct buf *b, const struct audit_carried *p)
{
	put_TEXT(b, &p->host);
	buf_add_u16(b, p->port);
	put_TEXT(b, &p->key_type);
	buf_add(b, p->cert, AUDIT_DIGEST);
	buf_add(b, p->key, AUDIT_DIGEST);
	put_AUTHORITY(b, &p->authority);
	put_CONTINUITY(b, &p->continuity);
	put_time(b, p->first);
	put_time(b, p->last);
	b->failed = b->failed || p->last < p->first;
}

static void get_carried(struct cursor *c, struct audit_carried *p)
{
	get_TEXT(c, &p->host);
	p->port = cursor_u16(c);
	get_TEXT(c, &p->key_type);
	get_octets(c, p->cert);
	get_octets(c, p->key);
	get_AUTHORITY(c, &p->authority);
	get_CONTINUITY(c, &p->continuity);
	p->first = get_time(c);
	p->last = get_time(c);
	if (p->last < p->first)
		c->failed = true;
}

bool audit_encode(const struct audit_record *r, struct buf *out)
{
	buf_add_u8(out, AUDIT_VERSION);
	buf_add_u8(out, (uint8_t)r->type);
	switch (r->type) {
	case AUDIT_ATTEMPT:
		put_attempt(out, &r->attempt);
		out->failed = out->failed || r->attempt.index >= r->attempt.count;
		return buf_ok(out);
	case AUDIT_OVERRIDE:
		put_override(out, &r->override);
		return buf_ok(out);
	case AUDIT_SELFCHECK:
		put_selfcheck(out, &r->selfcheck);
		return buf_ok(out);
	case AUDIT_CHECKPOINT:
		put_checkpoint(out, &r->checkpoint);
		return buf_ok(out);
	case AUDIT_CARRIED:
		put_carried(out, &r->carried);
		return buf_ok(out);
	case AUDIT_FORGOTTEN:
		put_time(out, r->forgotten.before);
		return buf_ok(out);
	}
	out->failed = true;
	return false;
}

static bool get_body(struct cursor *c, uint8_t type, struct audit_record *out)
{
	out->type = (enum audit_type)type;
	switch (out->type) {
	case AUDIT_ATTEMPT:
		get_attempt(c, &out->attempt);
		return true;
	case AUDIT_OVERRIDE:
		get_override(c, &out->override);
		return true;
	case AUDIT_SELFCHECK:
		get_selfcheck(c, &out->selfcheck);
		return true;
	case AUDIT_CHECKPOINT:
		get_checkpoint(c, &out->checkpoint);
		return true;
	case AUDIT_CARRIED:
		get_carried(c, &out->carried);
		return true;
	case AUDIT_FORGOTTEN:
		out->forgotten.before = get_time(c);
		return true;
	}
	return false;
}

enum audit_error audit_decode(struct slice body, struct audit_record *out)
{
	struct cursor c = cursor_make(body);
	uint8_t version = cursor_u8(&c), type = cursor_u8(&c);
	if (c.failed)
		return AUDIT_BROKEN;
	if (version != AUDIT_VERSION || !get_body(&c, type, out))
		return AUDIT_NEWER;
	return !c.failed && cursor_left(&c) == 0 ? AUDIT_OK : AUDIT_BROKEN;
}
