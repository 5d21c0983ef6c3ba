/* SPDX-License-Identifier: MIT */
/*
 * The signed RRsets of a response packet.
 *
 * Knows packets. Refuses to know whether the signatures are good: the resolver judged the packet,
 * and whoever needs a proof verifies what is kept.
 */
#include "wire/rrset.h"

#include "base/buf.h"
#include "base/cursor.h"

#include <stdlib.h>

enum { HEADER_LEN = 12, CLASS_IN = 1, QUESTION_FIXED = 4 };

struct found {
	const struct dname *owner;
	uint16_t type;
	uint16_t covered;      /* RRSIG: the type it is about */
	uint32_t original_ttl; /* RRSIG */
	struct slice rdata;    /* in the one spelling */
	bool taken;
};

struct extract {
	struct slice msg;
	struct arena *mem;
	struct found *found;
	size_t n;
	size_t pos;
	uint16_t count[4];
	struct rrset *out;
	size_t nout;
};

static bool is_kept(uint16_t type, bool authority)
{
	if (type == DNS_RRSIG)
		return true;
	if (type == DNS_NSEC || type == DNS_NSEC3)
		return authority;
	return !authority &&
	       (type == DNS_A || type == DNS_AAAA || type == DNS_CNAME || type == DNS_DNAME ||
		type == DNS_MX || type == DNS_TLSA || type == DNS_DS || type == DNS_DNSKEY);
}

/* Many records have few owners: each is kept once. */
static const struct dname *own_owner(struct extract *x, const struct dname *owner)
{
	for (size_t i = x->n; i > 0; i--) {
		if (dname_eq(x->found[i - 1].owner, owner))
			return x->found[i - 1].owner;
	}
	struct dname *copy = arena_alloc(x->mem, sizeof(*copy));
	if (copy != NULL) {
		copy->len = owner->len;
		for (size_t i = 0; i < owner->len; i++)
			copy->wire[i] = ascii_lower(owner->wire[i]);
	}
	return copy;
}

static bool own_rdata(struct extract *x, size_t at, size_t len, uint16_t type, struct slice *out)
{
	struct buf b;
	buf_init(&b, RRSET_OCTETS_MAX);
	bool ok = rrset_put_rdata(&b, x->msg, at, len, type);
	if (ok)
		*out = arena_bytes(x->mem, buf_slice(&b));
	buf_free(&b);
	return ok && !x->mem->failed;
}

static bool add(struct extract *x, const struct dname *owner, uint16_t type, size_t at, size_t len)
{
	struct found f = {.type = type, .owner = own_owner(x, owner)};
	if (f.owner == NULL || !own_rdata(x, at, len, type, &f.rdata))
		return false;
	if (type == DNS_RRSIG) {
		struct cursor c = cursor_make(f.rdata);
		f.covered = cursor_u16(&c);
		(void)cursor_u16(&c); /* algorithm, labels */
		f.original_ttl = cursor_u32(&c);
	}
	x->found[x->n++] = f;
	return true;
}

static bool read_record(struct extract *x, bool authority)
{
	struct dname owner;
	if (dname_parse(x->msg, &x->pos, &owner) != DNAME_OK)
		return false;
	struct cursor c = cursor_make(slice_from(x->msg, x->pos));
	uint16_t type = cursor_u16(&c), class = cursor_u16(&c);
	(void)cursor_u32(&c); /* the TTL left says where it was cached, nothing else */
	uint16_t len = cursor_u16(&c);
	size_t at = x->pos + c.pos;
	(void)cursor_bytes(&c, len);
	x->pos += c.pos;
	if (c.failed)
		return false;
	return class != CLASS_IN || !is_kept(type, authority) || add(x, &owner, type, at, len);
}

static bool read_packet(struct extract *x)
{
	struct cursor c = cursor_make(x->msg);
	struct dname name;
	(void)cursor_u32(&c); /* id, flags */
	for (size_t i = 0; i < 4; i++)
		x->count[i] = cursor_u16(&c);
	x->pos = HEADER_LEN;
	size_t total = (size_t)x->count[1] + x->count[2];
	if (c.failed || x->count[0] != 1 || total > RRSET_RECORDS_MAX ||
	    dname_parse(x->msg, &x->pos, &name) != DNAME_OK)
		return false;
	x->pos += QUESTION_FIXED;
	x->found = arena_array(x->mem, total, sizeof(*x->found));
	bool ok = x->found != NULL;
	for (size_t i = 0; ok && i < total; i++)
		ok = read_record(x, i >= x->count[1]);
	return ok;
}

/* --- RRsets --- */

static int by_rdata(const void *a, const void *b)
{
	const struct found *const *x = a, *const *y = b;
	return slice_cmp((*x)->rdata, (*y)->rdata);
}

static bool belongs(const struct found *f, const struct found *to, bool sig)
{
	if (f->owner != to->owner)
		return false;
	return sig ? f->type == DNS_RRSIG && f->covered == to->type : f->type == to->type;
}

static size_t collect(struct extract *x, const struct found *first, bool sig, struct found **list)
{
	size_t n = 0;
	for (size_t i = 0; i < x->n; i++) {
		if (!belongs(&x->found[i], first, sig))
			continue;
		x->found[i].taken = true;
		list[n++] = &x->found[i];
	}
	qsort(list, n, sizeof(struct found *), by_rdata);
	return n;
}

static void write_records(struct buf *b, struct found *const *list, size_t n, uint32_t ttl)
{
	for (size_t i = 0; i < n; i++) {
		const struct found *f = list[i];
		if (i > 0 && by_rdata(&list[i - 1], &list[i]) == 0)
			continue;
		if (f->type == DNS_RRSIG && f->original_ttl != ttl)
			continue; /* RFC 4034 s3: one TTL; another one cannot verify beside it */
		buf_add(b, f->owner->wire, f->owner->len);
		buf_add_u16(b, f->type);
		buf_add_u16(b, CLASS_IN);
		buf_add_u16(b, (uint16_t)(ttl >> 16));
		buf_add_u16(b, (uint16_t)ttl);
		buf_add_u16(b, (uint16_t)f->rdata.n);
		buf_add_slice(b, f->rdata);
	}
}

static bool write_set(struct extract *x, const struct found *first, struct found **record,
		      struct found **sig)
{
	struct buf b;
	size_t n = collect(x, first, false, record);
	size_t nsig = collect(x, first, true, sig);
	if (nsig == 0)
		return true;
	if (x->nout == RRSET_OF_PACKET_MAX)
		return false;
	buf_init(&b, RRSET_OCTETS_MAX);
	write_records(&b, record, n, sig[0]->original_ttl);
	write_records(&b, sig, nsig, sig[0]->original_ttl);
	struct slice octets = buf_ok(&b) ? arena_bytes(x->mem, buf_slice(&b)) : (struct slice){0};
	buf_free(&b);
	return rrset_parse(octets, &x->out[x->nout]) && ++x->nout > 0;
}

bool rrset_extract(struct slice packet, struct arena *mem,
		   struct rrset out[static RRSET_OF_PACKET_MAX], size_t *n)
{
	struct extract x = {.msg = packet, .mem = mem, .out = out};
	bool ok = read_packet(&x);
	struct found **record = ok ? arena_array(mem, x.n, sizeof(*record)) : NULL;
	struct found **sig = ok ? arena_array(mem, x.n, sizeof(*sig)) : NULL;
	ok = record != NULL && sig != NULL;
	for (size_t i = 0; ok && i < x.n; i++) {
		if (!x.found[i].taken && x.found[i].type != DNS_RRSIG)
			ok = write_set(&x, &x.found[i], record, sig);
	}
	*n = ok ? x.nout : 0;
	return ok;
}

/* --- signatures only --- */

static int by_slice(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

bool rrset_signatures(struct slice packet, struct slice *out, size_t max, size_t *n)
{
	struct cursor head = cursor_make(packet);
	struct dname name;
	size_t pos = HEADER_LEN;
	*n = 0;
	(void)cursor_bytes(&head, 6); /* id, flags, one question */
	size_t total = cursor_u16(&head);
	total += cursor_u16(&head);
	if (head.failed || total > RRSET_RECORDS_MAX ||
	    dname_parse(packet, &pos, &name) != DNAME_OK)
		return false;
	pos += QUESTION_FIXED;
	for (size_t i = 0; i < total; i++) {
		if (dname_parse(packet, &pos, &name) != DNAME_OK)
			return false;
		struct cursor c = cursor_make(slice_from(packet, pos));
		uint16_t type = cursor_u16(&c);
		(void)cursor_bytes(&c, 6); /* class, TTL */
		struct slice rdata = cursor_bytes(&c, cursor_u16(&c));
		pos += c.pos;
		if (c.failed || (type == DNS_RRSIG && *n == max))
			return false;
		if (type == DNS_RRSIG)
			out[(*n)++] = rdata;
	}
	qsort(out, *n, sizeof(*out), by_slice);
	return true;
}
