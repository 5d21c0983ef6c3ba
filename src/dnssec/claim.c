/* SPDX-License-Identifier: MIT */
/*
 * What the evidence has to show: the way from the destination to the host (D3, D5), from the host
 * to the TLSA base domain (D7), and the TLSA records at it (D8, D2).
 *
 * Knows which RRset must be there for which question; that it is good is asked of chain.c.
 */
#include "dnssec/room.h"

#include "dane/hosts.h"

#include <string.h>

enum { MX_EXCHANGE_AT = 2 };

/* --- names and aliases --- */

static bool name_of(struct prover *p, const char *text, struct dname *out)
{
	if (text != NULL && dname_from_text(slice_str(text), out) == DNAME_OK)
		return true;
	return refuse(p, "\"%.100s\" is not a domain name", text != NULL ? text : "");
}

static bool name_at(const struct rrset *s, size_t record, size_t offset, struct dname *out)
{
	size_t pos = 0;
	return dname_parse(slice_from(rrset_rdata(s, record), offset), &pos, out) == DNAME_OK;
}

/* RFC 6672 s2.3: `name`, which is below the DNAME's owner, under its target. */
static bool substitute(const struct dname *name, const struct rrset *s, struct dname *out)
{
	struct dname target;
	size_t front = (size_t)(name->len - s->owner.len);
	if (!name_at(s, 0, 0, &target) || front + target.len > DNAME_WIRE_MAX)
		return false;
	memcpy(out->wire, name->wire, front);
	memcpy(out->wire + front, target.wire, target.len);
	out->len = (uint8_t)(front + target.len);
	return true;
}

static struct member *find_dname(const struct prover *p, const struct dname *name)
{
	struct dname above = *name;
	while (above.len > 1) {
		dname_chop(&above, 1, &above);
		struct member *m = member_find(p, &above, DNS_DNAME);
		if (m != NULL)
			return m;
	}
	return NULL;
}

/* One alias, when the evidence has one: *name becomes its target. */
static bool step(struct prover *p, struct dname *name, bool *moved)
{
	struct member *m = member_find(p, name, DNS_CNAME);
	char text[SET_TEXT_MAX];
	bool whole = m == NULL;
	if (whole)
		m = find_dname(p, name);
	*moved = m != NULL;
	if (m == NULL)
		return true;
	if (!prove_set(p, m))
		return false;
	struct dname from = *name;
	bool ok = whole ? substitute(&from, &m->set, name) : name_at(&m->set, 0, 0, name);
	if (ok && m->set.nrr == 1)
		return true;
	return refuse(p, "%s: is not one alias", set_text(&m->set, text));
}

/* D2: along the aliases from *name to where records of `type` are, or to the end (type 0). */
static bool follow(struct prover *p, struct dname *name, uint16_t type)
{
	char text[DNAME_TEXT_MAX];
	bool moved = true;
	for (size_t links = 0; moved; links++) {
		if (links > ANSWER_ALIASES_MAX) {
			dname_to_text(name, text);
			return refuse(p, "the aliases that lead to %s are too many, or a loop",
				      text);
		}
		if (type != 0 && member_find(p, name, type) != NULL)
			return true;
		if (!step(p, name, &moved))
			return false;
	}
	return true;
}

/* The proven RRset that answers a question; NULL: refused. */
static struct member *answer_to(struct prover *p, const char *asked, uint16_t type)
{
	struct dname name;
	char scratch[16], end[DNAME_TEXT_MAX];
	if (!name_of(p, asked, &name) || !follow(p, &name, type))
		return NULL;
	struct member *m = member_find(p, &name, type);
	dname_to_text(&name, end);
	if (m == NULL)
		refuse(p, "%s %s is missing", end, dns_type_name(type, scratch));
	return m != NULL && prove_set(p, m) ? m : NULL;
}

/* --- claims --- */

static bool claim_mx(struct prover *p)
{
	const struct evidence *e = p->evidence;
	struct dname host, exchange;
	const struct member *m = answer_to(p, e->destination, DNS_MX);
	if (m == NULL || !name_of(p, e->host, &host))
		return false;
	for (size_t i = 0; i < m->set.nrr; i++) {
		if (name_at(&m->set, i, MX_EXCHANGE_AT, &exchange) && dname_eq(&exchange, &host))
			return true;
	}
	return refuse(p, "%s is not among the MX hosts of %s", e->host, e->destination);
}

static bool claim_way(struct prover *p)
{
	const struct evidence *e = p->evidence;
	struct dname destination, host;
	switch (e->mx) {
	case EVIDENCE_MX_SECURE:
		return claim_mx(p);
	case EVIDENCE_MX_INSECURE:
		return name_of(p, e->destination, &destination);
	case EVIDENCE_MX_IMPLICIT:
	case EVIDENCE_MX_NONE:
		if (!name_of(p, e->destination, &destination) || !name_of(p, e->host, &host))
			return false;
		return dname_eq(&destination, &host) ||
		       refuse(p, "%s is not its own host, it is %s", e->destination, e->host);
	case EVIDENCE_MX_COUNT:
		break;
	}
	return refuse(p, "the way from %s to its host is of an unknown kind", e->destination);
}

/* Addresses are kept for completeness: they need not be there, but what is there must be good. */
static bool claim_addresses(struct prover *p, const struct dname *end)
{
	static const uint16_t types[] = {DNS_A, DNS_AAAA};
	for (size_t i = 0; i < 2; i++) {
		struct member *m = member_find(p, end, types[i]);
		if (m != NULL && !prove_set(p, m))
			return false;
	}
	return true;
}

/* D7: the base is the host itself or the end of its aliases. */
static bool claim_base(struct prover *p)
{
	const struct evidence *e = p->evidence;
	struct dname host, base;
	if (!name_of(p, e->host, &host) || !name_of(p, e->base, &base))
		return false;
	struct dname end = host;
	if (!follow(p, &end, 0) || !claim_addresses(p, &end))
		return false;
	return dname_eq(&base, &host) || dname_eq(&base, &end) ||
	       refuse(p, "nothing proves that host %s is an alias of %s", e->host, e->base);
}

static bool claim_tlsa(struct prover *p, struct dnssec_proof *out)
{
	const struct evidence *e = p->evidence;
	if (!tlsa_owner_name(e->port, e->base, out->tlsa_name, sizeof(out->tlsa_name)))
		return refuse(p, "\"%.100s\" cannot have TLSA records", e->base);
	const struct member *m = answer_to(p, out->tlsa_name, DNS_TLSA);
	if (m == NULL)
		return false;
	out->tlsa = m->set;
	return true;
}

/* The file is about one host: what has no part in the proof has no business in it. But a server may
 * give more proofs of absence than a wildcard needs. */
static bool claim_nothing_else(struct prover *p)
{
	char text[SET_TEXT_MAX];
	for (size_t i = 0; i < p->n; i++) {
		struct member *m = &p->member[i];
		bool absence = m->set.type == DNS_NSEC || m->set.type == DNS_NSEC3;
		if (absence && !m->used && !prove_set(p, m))
			return false;
		if (!m->used)
			return refuse(p, "%s has no part in this proof",
				      set_text(&p->member[i].set, text));
	}
	return true;
}

void dnssec_prove(const struct dnssec_anchors *a, const struct evidence *e, uint32_t skew_s,
		  struct dnssec_proof *out)
{
	*out = (struct dnssec_proof){0};
	struct prover p = {.anchors = a, .evidence = e, .skew_s = skew_s, .why = out->why};
	out->proven = members_read(&p) && claim_way(&p) && claim_base(&p) && claim_tlsa(&p, out) &&
		      claim_nothing_else(&p);
	members_free(&p);
	if (out->proven)
		out->why[0] = '\0';
}
