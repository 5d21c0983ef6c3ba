/* SPDX-License-Identifier: MIT */
/*
 * From a DNS response packet to one fact: what there is at the end of the alias chain, and how far
 * that can be trusted.
 *
 * Knows packets, CNAME chains and the resolver's verdict. Refuses to know what the fact means for
 * mail, and to guess: a packet that is odd in any way is a failed lookup, never an absence.
 */
#include "wire/answer.h"

#include "base/cursor.h"
#include "wire/dname.h"

enum {
	ANSWER_MEMORY_MAX = 262144, /* stops a packet whose compressed names unpack to megabytes */
	CLASS_IN = 1,
	TYPE_OPT = 41,
	HEADER_LEN = 12,
};

/* The header's second word (RFC 1035 s4.1.1) */
enum {
	FLAG_QR = 0x8000,
	FLAG_OPCODE = 0x7800,
	FLAG_TC = 0x0200,
	FLAG_RCODE = 0x000f,
};

/* ---- life ---- */

static const char *normal_name(struct arena *mem, const char *name)
{
	struct dname wire;
	char text[DNAME_TEXT_MAX];

	/* what is no domain name stays as it is: parsing will refuse it, a failure will show it */
	if (dname_from_text(slice_str(name), &wire) != DNAME_OK)
		return arena_strdup(mem, name);
	(void)dname_to_text(&wire, text);
	return arena_strdup(mem, text);
}

struct answer *answer_new(const char *name, uint16_t type)
{
	struct answer *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->refs = 1;
	a->type = type;
	a->status = DNS_ABSENT;
	arena_init(&a->mem, ANSWER_MEMORY_MAX);
	a->name = normal_name(&a->mem, name);
	a->canonical = a->name;
	if (a->name == NULL)
		answer_unref(&a);
	return a;
}

struct answer *answer_ref(struct answer *a)
{
	a->refs++;
	return a;
}

void answer_unref(struct answer **a)
{
	if (*a != NULL && --(*a)->refs == 0) {
		arena_free(&(*a)->mem);
		free(*a);
	}
	*a = NULL;
}

/* Nothing that was read so far may be used. `why` lives as long as the answer. */
static void fail(struct answer *a, const char *why)
{
	a->status = DNS_FAILED;
	a->absence_secure = false;
	a->nxdomain = false;
	a->why = why;
	a->canonical = a->name;
	a->aliases = NULL;
	a->naliases = 0;
	a->rr = NULL;
	a->nrr = 0;
	a->packet = (struct slice){0};
	a->has_signature = false;
}

/* A reason from outside becomes one line that lives with the answer. */
static const char *own_reason(struct answer *a, const char *why, const char *otherwise)
{
	char *copy = why != NULL && why[0] != '\0' ? arena_strdup(&a->mem, why) : NULL;

	if (copy == NULL)
		return otherwise;
	for (char *c = copy; *c != '\0'; c++) {
		if ((uint8_t)*c < ' ' || *c == 0x7f)
			*c = ' ';
	}
	return copy;
}

struct answer *answer_failed(const char *name, uint16_t type, uint16_t rcode, const char *why)
{
	struct answer *a = answer_new(name, type);

	if (a != NULL) {
		a->rcode = rcode;
		fail(a, own_reason(a, why, "the lookup failed"));
	}
	return a;
}

/* ---- the packet ---- */

/* One record of the answer section; positions are offsets into the packet. */
struct record {
	size_t owner;
	size_t rdata;
	uint16_t type;
	uint16_t class;
	uint16_t rdlen;
	uint32_t ttl;
};

struct packet {
	struct slice msg;
	struct answer *a;
	struct dname name; /* the question; then the name the alias chain has led to */
	uint16_t flags;
	uint16_t count[4]; /* records in the question, answer, authority, additional section */
	size_t pos;
	struct record *record; /* the answer section */
};

/* Each step gives NULL, or why the packet is not accepted. */

static const char *read_header(struct packet *p)
{
	struct cursor c = cursor_make(p->msg);

	(void)cursor_u16(&c); /* the id is the resolver's business */
	p->flags = cursor_u16(&c);
	for (size_t i = 0; i < 4; i++)
		p->count[i] = cursor_u16(&c);
	p->pos = HEADER_LEN;
	p->a->rcode = p->flags & FLAG_RCODE;
	if (c.failed)
		return "the packet is too short";
	if ((p->flags & FLAG_QR) == 0 || (p->flags & FLAG_OPCODE) != 0)
		return "the packet is not a response to a query";
	if ((p->flags & FLAG_TC) != 0)
		return "the packet is truncated";
	return NULL;
}

static const char *refused_rcode(struct answer *a)
{
	char scratch[16];

	if (a->rcode == DNS_NOERROR || a->rcode == DNS_NXDOMAIN)
		return NULL;
	char *why = arena_printf(&a->mem, "the server said %s", dns_rcode_name(a->rcode, scratch));
	return why != NULL ? why : "the server could not answer";
}

static const char *read_question(struct packet *p)
{
	struct dname name;

	if (dname_from_text(slice_str(p->a->name), &p->name) != DNAME_OK)
		return "the name asked for is not a domain name";
	if (p->count[0] != 1 || dname_parse(p->msg, &p->pos, &name) != DNAME_OK)
		return "the packet does not repeat the question";
	struct cursor c = cursor_make(slice_from(p->msg, p->pos));
	uint16_t type = cursor_u16(&c);
	uint16_t class = cursor_u16(&c);
	p->pos += c.pos;
	if (c.failed || type != p->a->type || class != CLASS_IN || !dname_eq(&name, &p->name))
		return "the packet answers another question";
	return NULL;
}

static bool read_record(struct packet *p, struct record *r)
{
	struct dname owner;

	r->owner = p->pos;
	if (dname_parse(p->msg, &p->pos, &owner) != DNAME_OK)
		return false;
	struct cursor c = cursor_make(slice_from(p->msg, p->pos));
	r->type = cursor_u16(&c);
	r->class = cursor_u16(&c);
	r->ttl = cursor_u32(&c);
	r->rdlen = cursor_u16(&c);
	r->rdata = p->pos + c.pos;
	(void)cursor_bytes(&c, r->rdlen);
	p->pos += c.pos;
	if (r->ttl > INT32_MAX)
		r->ttl = 0; /* RFC 2181 s8 */
	return !c.failed;
}

static const char *read_answer_section(struct packet *p)
{
	if (p->count[1] > ANSWER_RECORDS_MAX)
		return "the packet has too many records";
	p->record = arena_array(&p->a->mem, p->count[1], sizeof(struct record));
	if (p->record == NULL)
		return "out of memory";
	for (size_t i = 0; i < p->count[1]; i++) {
		if (!read_record(p, &p->record[i]))
			return "the packet is malformed";
	}
	return NULL;
}

/* Authority and additional section: only the upper bits of the rcode count (RFC 6891 s6.1.3). */
static const char *read_other_sections(struct packet *p)
{
	size_t n = (size_t)p->count[2] + p->count[3];
	struct record r;

	for (size_t i = 0; i < n; i++) {
		if (!read_record(p, &r))
			return "the packet is malformed";
		if (r.type == TYPE_OPT && i >= p->count[2])
			p->a->rcode |= (uint16_t)(p->msg.p[r.rdata - 6] << 4);
	}
	if (p->pos != p->msg.n)
		return "the packet has octets behind its last record";
	return refused_rcode(p->a);
}

/* ---- the alias chain ---- */

static const struct record *next_at_name(const struct packet *p, uint16_t type, size_t *from)
{
	while (*from < p->count[1]) {
		const struct record *r = &p->record[(*from)++];
		struct dname owner;
		size_t pos = r->owner;
		if (r->type == type && r->class == CLASS_IN &&
		    dname_parse(p->msg, &pos, &owner) == DNAME_OK && dname_eq(&owner, &p->name))
			return r;
	}
	return NULL;
}

/* A name that starts at pos and fills the RDATA to its end. */
static bool rdata_name(const struct packet *p, const struct record *r, size_t skip,
		       struct dname *out)
{
	size_t pos = r->rdata + skip;

	return skip <= r->rdlen && dname_parse(p->msg, &pos, out) == DNAME_OK &&
	       pos == r->rdata + r->rdlen;
}

static const char *own_name(struct answer *a, const struct dname *n)
{
	char text[DNAME_TEXT_MAX];

	(void)dname_to_text(n, text);
	return arena_strdup(&a->mem, text);
}

static const char *add_alias(struct answer *a, const struct dname *target)
{
	if (a->naliases == ANSWER_ALIASES_MAX)
		return "the alias chain is too long";
	if (a->aliases == NULL)
		a->aliases = arena_array(&a->mem, ANSWER_ALIASES_MAX, sizeof(*a->aliases));
	const char *text = own_name(a, target);
	if (text == NULL || a->aliases == NULL)
		return "out of memory";
	bool loop = strcmp(text, a->name) == 0;
	for (size_t i = 0; i < a->naliases; i++)
		loop = loop || strcmp(text, a->aliases[i]) == 0;
	if (loop)
		return "the alias chain is a loop";
	a->aliases[a->naliases++] = text;
	a->canonical = text;
	return NULL;
}

/* ---- signatures ---- */

/* RFC 1982: the earlier of two times modulo 2^32. */
static bool is_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* The signature of `type` at p->name that lasts longest: any one of them is enough (RFC 4035
 * s5.3.3). False: there is none. */
static bool last_expiration(const struct packet *p, uint16_t type, uint32_t *out)
{
	enum { SKIPPED = 6 }; /* algorithm, labels, original TTL (RFC 4034 s3.1) */
	const struct record *r;
	size_t from = 0;
	bool found = false;

	while ((r = next_at_name(p, DNS_RRSIG, &from)) != NULL) {
		struct cursor c = cursor_make(slice_first(slice_from(p->msg, r->rdata), r->rdlen));
		uint16_t covered = cursor_u16(&c);
		(void)cursor_bytes(&c, SKIPPED);
		uint32_t expires = cursor_u32(&c);
		if (c.failed || covered != type || (found && !is_before(*out, expires)))
			continue;
		*out = expires;
		found = true;
	}
	return found;
}

/* Of the RRsets of an answer the one whose signature ends first counts. */
static void note_signature(struct packet *p, uint16_t type)
{
	struct answer *a = p->a;
	uint32_t expires;

	if (!last_expiration(p, type, &expires))
		return;
	if (!a->has_signature || is_before(expires, a->signature_expires))
		a->signature_expires = expires;
	a->has_signature = true;
}

int64_t answer_signed_until(const struct answer *a, int64_t now)
{
	return now + (int32_t)(a->signature_expires - (uint32_t)now);
}

/* One step along the chain: p->name becomes the target. *moved is false at the end of the chain. */
static const char *follow_alias(struct packet *p, bool *moved)
{
	size_t from = 0;
	struct dname target;
	struct dname other;
	const struct record *r = next_at_name(p, DNS_CNAME, &from);

	*moved = r != NULL;
	if (r == NULL)
		return NULL;
	if (!rdata_name(p, r, 0, &target))
		return "a CNAME record is malformed";
	while ((r = next_at_name(p, DNS_CNAME, &from)) != NULL) {
		if (!rdata_name(p, r, 0, &other) || !dname_eq(&other, &target))
			return "a name has two different CNAME records"; /* RFC 2181 s10.1 */
	}
	note_signature(p, DNS_CNAME);
	p->name = target;
	return add_alias(p->a, &target);
}

static const char *follow_chain(struct packet *p)
{
	bool moved = true;
	const char *why = NULL;

	while (moved && why == NULL) {
		size_t from = 0;
		if (next_at_name(p, p->a->type, &from) != NULL)
			break; /* data ends the chain: so a CNAME that was asked for is not followed
				*/
		why = follow_alias(p, &moved);
	}
	return why;
}

/* ---- the records ---- */

static bool fill_address(struct slice rdata, uint8_t family, size_t len, struct ipaddr *out)
{
	if (rdata.n != len)
		return false;
	*out = (struct ipaddr){.family = family};
	memcpy(out->b, rdata.p, len);
	return true;
}

static bool fill_mx(const struct packet *p, const struct record *r, struct dns_rr *rr)
{
	struct cursor c = cursor_make(rr->rdata);
	struct dname exchange;

	rr->u.mx.preference = cursor_u16(&c);
	if (c.failed || !rdata_name(p, r, c.pos, &exchange))
		return false;
	rr->u.mx.exchange = own_name(p->a, &exchange);
	return rr->u.mx.exchange != NULL;
}

static bool fill_name(const struct packet *p, const struct record *r, struct dns_rr *rr)
{
	struct dname name;

	if (!rdata_name(p, r, 0, &name))
		return false;
	rr->u.name = own_name(p->a, &name);
	return rr->u.name != NULL;
}

static bool fill_record(const struct packet *p, const struct record *r, struct dns_rr *rr)
{
	struct slice raw = slice_first(slice_from(p->msg, r->rdata), r->rdlen);

	*rr = (struct dns_rr){.type = r->type, .ttl = r->ttl};
	rr->rdata = arena_bytes(&p->a->mem, raw);
	if (rr->rdata.n != raw.n)
		return false;
	switch (r->type) {
	case DNS_A:
		return fill_address(rr->rdata, 4, 4, &rr->u.addr);
	case DNS_AAAA:
		return fill_address(rr->rdata, 6, 16, &rr->u.addr);
	case DNS_MX:
		return fill_mx(p, r, rr);
	case DNS_CNAME:
	case DNS_DNAME:
	case DNS_NS:
	case DNS_PTR:
		return fill_name(p, r, rr);
	case DNS_TLSA:
		tlsa_parse(rr->rdata, &rr->u.tlsa);
		return true;
	default: /* any other type is kept raw: it is a number from the wire, not our enum */
		return true;
	}
}

static size_t count_records(const struct packet *p)
{
	size_t from = 0;
	size_t n = 0;

	while (next_at_name(p, p->a->type, &from) != NULL)
		n++;
	/* a name has one CNAME; were there more, the first would be the answer */
	return p->a->type == DNS_CNAME && n > 1 ? 1 : n;
}

static const char *take_records(struct packet *p, enum answer_security sec)
{
	struct answer *a = p->a;
	bool secure = sec == ANSWER_SECURE;
	size_t n = count_records(p);
	size_t from = 0;

	if (n == 0) {
		a->status = DNS_ABSENT;
		a->absence_secure = secure;
		a->nxdomain = a->rcode == DNS_NXDOMAIN;
		return NULL;
	}
	if (a->rcode == DNS_NXDOMAIN)
		return "the packet has records of a name that it says does not exist";
	a->rr = arena_array(&a->mem, n, sizeof(*a->rr));
	if (a->rr == NULL)
		return "out of memory";
	for (; a->nrr < n; a->nrr++) {
		if (!fill_record(p, next_at_name(p, a->type, &from), &a->rr[a->nrr]))
			return a->mem.failed ? "the answer is too large" : "a record is malformed";
	}
	note_signature(p, a->type);
	a->status = secure ? DNS_SECURE : DNS_INSECURE;
	return NULL;
}

/* ---- the whole ---- */

static const char *read_packet(struct packet *p, enum answer_security sec)
{
	const char *why = read_header(p);

	/* before the question: a SERVFAIL should say so, not that it lacks a question */
	if (why == NULL)
		why = refused_rcode(p->a);
	if (why == NULL)
		why = read_question(p);
	if (why == NULL)
		why = read_answer_section(p);
	if (why == NULL)
		why = read_other_sections(p);
	if (why == NULL)
		why = follow_chain(p);
	if (why == NULL)
		why = take_records(p, sec);
	return why;
}

struct answer *answer_parse(const char *name, uint16_t type, struct slice packet,
			    enum answer_security sec, const char *why_bogus)
{
	struct answer *a = answer_new(name, type);

	if (a == NULL)
		return NULL;
	struct packet p = {.msg = packet, .a = a};
	if (sec == ANSWER_BOGUS) {
		if (read_header(&p) != NULL)
			a->rcode = DNS_SERVFAIL;
		fail(a, own_reason(a, why_bogus, "DNSSEC validation failed"));
		a->bogus = true;
		return a;
	}
	const char *why = read_packet(&p, sec);
	if (why == NULL && sec == ANSWER_SECURE) {
		a->packet = arena_bytes(&a->mem, packet);
		why = a->packet.n == packet.n ? NULL : "the answer is too large";
	}
	if (why != NULL)
		fail(a, why);
	return a;
}
