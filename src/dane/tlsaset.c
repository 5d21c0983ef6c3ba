/* SPDX-License-Identifier: MIT */
/*
 * Usability (T1) and digest agility (T2) of TLSA records. Knows RFC 6698 s2.1, RFC 7671 s4 and s9,
 * RFC 7672 s3.1; refuses to know certificates: whether Full(0) data parses is a fact that the edge
 * has put into the record.
 */
#include "dane/tlsaset.h"

#include "base/buf.h"

enum { SHA256_LEN = 32, SHA512_LEN = 64 };

static enum tlsa_use judge_data(const struct tlsa *rr)
{
	switch (rr->mtype) {
	case TLSA_FULL:
		if (rr->data.n == 0)
			return TLSA_BAD_LENGTH;
		return rr->full == TLSA_FULL_BROKEN ? TLSA_BAD_DATA : TLSA_COUNTS;
	case TLSA_SHA256:
		return rr->data.n == SHA256_LEN ? TLSA_COUNTS : TLSA_BAD_LENGTH;
	case TLSA_SHA512:
		return rr->data.n == SHA512_LEN ? TLSA_COUNTS : TLSA_BAD_LENGTH;
	default: /* an octet from the wire, not our enum */
		return TLSA_BAD_MTYPE;
	}
}

/* T1. RFC 7672 s3.1.3 leaves usages 0 and 1 to the client: unusable here. */
static enum tlsa_use judge(const struct tlsa *rr)
{
	if (rr->short_rdata)
		return TLSA_BAD_LENGTH;
	if (rr->usage != TLSA_DANE_TA && rr->usage != TLSA_DANE_EE)
		return TLSA_BAD_USAGE;
	if (rr->selector != TLSA_CERT && rr->selector != TLSA_SPKI)
		return TLSA_BAD_SELECTOR;
	return judge_data(rr);
}

/*
 * T2, RFC 7671 s9: among the usable records with the same usage and selector only those with the
 * strongest digest count; Full(0) is no digest and always counts. Private and unknown matching
 * types never got here.
 */
static bool has_stronger(const struct tlsa_set *s, const struct tlsa_entry *e)
{
	if (e->rr.mtype == TLSA_FULL)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		const struct tlsa_entry *o = &s->entry[i];
		if (tlsa_use_is_usable(o->use) && o->rr.usage == e->rr.usage &&
		    o->rr.selector == e->rr.selector && o->rr.mtype > e->rr.mtype)
			return true;
	}
	return false;
}

static void set_finish(struct tlsa_set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct tlsa_entry *e = &s->entry[i];
		e->use = judge(&e->rr);
		if (e->use != TLSA_COUNTS)
			continue;
		s->usable++;
		if (e->rr.mtype == TLSA_FULL && e->rr.full == TLSA_FULL_UNKNOWN)
			s->unknown = true;
	}
	for (size_t i = 0; i < s->n; i++) {
		struct tlsa_entry *e = &s->entry[i];
		if (e->use == TLSA_COUNTS && has_stronger(s, e))
			e->use = TLSA_WEAKER_DIGEST;
	}
}

bool tlsa_set_from_records(struct arena *mem, const struct tlsa *rr, size_t n, struct tlsa_set *out)
{
	*out = (struct tlsa_set){0};
	if (n == 0)
		return true;
	out->entry = arena_array(mem, n, sizeof(*out->entry));
	if (out->entry == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		out->entry[i].rr = rr[i];
	out->n = n;
	set_finish(out);
	return true;
}

bool tlsa_set_build(struct arena *mem, const struct answer *a, struct tlsa_set *out)
{
	*out = (struct tlsa_set){0};
	if (a->nrr == 0)
		return true;
	out->entry = arena_array(mem, a->nrr, sizeof(*out->entry));
	if (out->entry == NULL)
		return false;
	for (size_t i = 0; i < a->nrr; i++) {
		if (a->rr[i].type == DNS_TLSA)
			out->entry[out->n++].rr = a->rr[i].u.tlsa;
	}
	set_finish(out);
	return true;
}

bool tlsa_use_is_usable(enum tlsa_use u)
{
	return u == TLSA_COUNTS || u == TLSA_WEAKER_DIGEST;
}

const char *tlsa_use_text(enum tlsa_use u)
{
	switch (u) {
	case TLSA_COUNTS:
		return NULL;
	case TLSA_WEAKER_DIGEST:
		return "a stronger digest for the same usage and selector is published (RFC 7671 "
		       "s9)";
	case TLSA_BAD_USAGE:
		return "its certificate usage is not DANE-TA(2) or DANE-EE(3) (RFC 7672 s3.1.3)";
	case TLSA_BAD_SELECTOR:
		return "its selector is not Cert(0) or SPKI(1)";
	case TLSA_BAD_MTYPE:
		return "its matching type is not Full(0), SHA2-256(1) or SHA2-512(2)";
	case TLSA_BAD_LENGTH:
		return "its data has the wrong length for its matching type";
	case TLSA_BAD_DATA:
		return "its data is not a certificate or public key";
	}
	return "unknown";
}

/* Sorted by repeated search for the next larger record: sets are small, and nothing is allocated.
 */
void tlsa_set_key(const struct tlsa_set *s, struct buf *out)
{
	const struct tlsa *last = NULL;
	for (size_t done = 0; done < s->n; done++) {
		const struct tlsa *next = NULL;
		for (size_t i = 0; i < s->n; i++) {
			const struct tlsa *rr = &s->entry[i].rr;
			if (s->entry[i].use != TLSA_COUNTS ||
			    (last != NULL && tlsa_cmp(rr, last) <= 0))
				continue;
			if (next == NULL || tlsa_cmp(rr, next) < 0)
				next = rr;
		}
		if (next == NULL)
			return;
		buf_addf(out, "%u%u%u:", next->usage, next->selector, next->mtype);
		buf_add_hex(out, next->data);
		buf_add_str(out, ";");
		last = next;
	}
}
