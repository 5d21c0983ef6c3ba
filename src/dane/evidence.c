/* SPDX-License-Identifier: MIT */
/* Evidence as octets. Knows its parts; refuses to know what they prove. */
#include "dane/evidence.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "wire/rrset.h"

#include <string.h>

static const char *const names[EVIDENCE_MX_COUNT] = {
    [EVIDENCE_MX_SECURE] = "secure",
    [EVIDENCE_MX_IMPLICIT] = "implicit",
    [EVIDENCE_MX_INSECURE] = "insecure",
    [EVIDENCE_MX_NONE] = "none",
};

const char *evidence_mx_name(enum evidence_mx m)
{
	return names[m];
}

bool evidence_mx_from_name(const char *name, enum evidence_mx *out)
{
	for (int i = 0; name != NULL && i < EVIDENCE_MX_COUNT; i++) {
		if (strcmp(name, names[i]) == 0) {
			*out = (enum evidence_mx)i;
			return true;
		}
	}
	return false;
}

/*
 * evidence = "E" %x01 time mx port destination host base count 1*rrset
 *   time = 8OCTET   mx = OCTET   port, count = 2OCTET   ; big-endian
 *   destination, host, base = OCTET 1*255OCTET          ; length, text
 *   rrset = 4OCTET octets                               ; length; wire/rrset.h
 */
enum { MARK = 'E', VERSION = 1, TEXT_MAX = 255 };

static void put_u32(struct buf *b, uint32_t v)
{
	buf_add_u16(b, (uint16_t)(v >> 16));
	buf_add_u16(b, (uint16_t)v);
}

static bool put_text(struct buf *b, const char *s)
{
	size_t n = s != NULL ? strlen(s) : 0;
	buf_add_u8(b, (uint8_t)n);
	buf_add(b, s, n);
	return n > 0 && n <= TEXT_MAX;
}

bool evidence_encode(const struct evidence *e, struct buf *out)
{
	buf_add_u8(out, MARK);
	buf_add_u8(out, VERSION);
	put_u32(out, (uint32_t)((uint64_t)e->time >> 32));
	put_u32(out, (uint32_t)e->time);
	buf_add_u8(out, (uint8_t)e->mx);
	buf_add_u16(out, e->port);
	bool ok = put_text(out, e->destination) && put_text(out, e->host) && put_text(out, e->base);
	buf_add_u16(out, (uint16_t)e->nrrset);
	for (size_t i = 0; i < e->nrrset; i++) {
		put_u32(out, (uint32_t)e->rrset[i].n);
		buf_add_slice(out, e->rrset[i]);
	}
	return ok && buf_ok(out) && buf_len(out) <= EVIDENCE_BODY_MAX;
}

bool evidence_is(struct slice in)
{
	return in.n > 2 && in.p[0] == MARK && in.p[1] == VERSION;
}

static const char *get_text(struct cursor *c, struct arena *mem)
{
	struct slice s = cursor_bytes(c, cursor_u8(c));
	c->failed = c->failed || s.n == 0 || memchr(s.p, 0, s.n) != NULL;
	const char *text = c->failed ? NULL : arena_str(mem, s);
	c->failed = c->failed || text == NULL;
	return text;
}

bool evidence_decode(struct slice in, struct arena *mem, struct evidence *out)
{
	struct cursor c = cursor_make(slice_from(in, 2));
	*out = (struct evidence){0};
	if (!evidence_is(in) || in.n > EVIDENCE_BODY_MAX)
		return false;
	uint64_t high = cursor_u32(&c), low = cursor_u32(&c);
	out->time = (int64_t)(high << 32 | low);
	uint8_t mx = cursor_u8(&c);
	out->mx = (enum evidence_mx)mx;
	out->port = cursor_u16(&c);
	out->destination = get_text(&c, mem);
	out->host = get_text(&c, mem);
	out->base = get_text(&c, mem);
	size_t n = cursor_u16(&c);
	if (c.failed || mx >= EVIDENCE_MX_COUNT || out->port == 0 || n == 0 ||
	    n > EVIDENCE_RRSETS_MAX)
		return false;
	for (; out->nrrset < n && !c.failed; out->nrrset++) {
		struct rrset set;
		out->rrset[out->nrrset] = cursor_bytes(&c, cursor_u32(&c));
		c.failed = c.failed || !rrset_parse(out->rrset[out->nrrset], &set);
	}
	return !c.failed && cursor_left(&c) == 0;
}

int64_t evidence_until(const struct evidence *e, int64_t now)
{
	int64_t until = now + INT32_MAX;
	for (size_t i = 0; i < e->nrrset; i++) {
		struct rrset set;
		for (size_t k = 0; rrset_parse(e->rrset[i], &set) && k < set.nsig; k++) {
			struct rrset_sig sig;
			rrset_sig(&set, k, &sig);
			int64_t end = now + (int32_t)(sig.expiration - (uint32_t)now);
			until = end < until ? end : until;
		}
	}
	return until;
}
