/* SPDX-License-Identifier: MIT */
/*
 * From an RRset to a trust anchor: its signature by a key of its zone, the zone's keys by the DS
 * records above, and so on (RFC 4035 s5).
 *
 * The library verifies signatures and nothing else: that the signer is the zone the RRset is in,
 * which keys may sign, and that each link is there, is asked here.
 */
#include "dnssec/room.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FLAG_ZONE = 0x0100, FLAG_REVOKE = 0x0080, PROTOCOL_DNSSEC = 3, TIME_TEXT = 32 };

/* --- algorithms (RFC 8624; what the resolver takes, too) --- */

static bool algorithm_is_known(uint8_t a)
{
	switch (a) {
	case LDNS_RSASHA1:
	case LDNS_RSASHA1_NSEC3:
	case LDNS_RSASHA256:
	case LDNS_RSASHA512:
	case LDNS_ECDSAP256SHA256:
	case LDNS_ECDSAP384SHA384:
	case LDNS_ED25519:
	case LDNS_ED448:
		return true;
	default: /* a number from the wire */
		return false;
	}
}

static bool digest_is_known(uint8_t d)
{
	return d == LDNS_SHA1 || d == LDNS_SHA256 || d == LDNS_SHA384;
}

/* --- time --- */

static void time_text(int64_t t, char out[static TIME_TEXT])
{
	time_t seconds = (time_t)t;
	struct tm tm;
	if (gmtime_r(&seconds, &tm) == NULL ||
	    strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, TIME_TEXT, "%lld", (long long)t);
}

/* The serial number (RFC 1982) as the time that is nearest to `at`. */
static int64_t time_of_serial(uint32_t serial, int64_t at)
{
	return at + (int32_t)(serial - (uint32_t)at);
}

/* The time to ask the library about: ours, or the bound of the signature when that is within the
 * skew. */
static int64_t time_to_ask(const struct prover *p, const struct rrset_sig *sig)
{
	int64_t at = p->evidence->time;
	int64_t from = time_of_serial(sig->inception, at), to = time_of_serial(sig->expiration, at);
	if (at < from && from - at <= p->skew_s)
		return from;
	if (at > to && at - to <= p->skew_s)
		return to;
	return at;
}

static bool refuse_signature(struct prover *p, const struct rrset *s, const struct rrset_sig *sig,
			     ldns_status status)
{
	char text[SET_TEXT_MAX], zone[DNAME_TEXT_MAX], at[TIME_TEXT], bound[TIME_TEXT];
	set_text(s, text);
	dname_to_text(&sig->signer, zone);
	time_text(p->evidence->time, at);
	if (status == LDNS_STATUS_CRYPTO_SIG_EXPIRED) {
		time_text(time_of_serial(sig->expiration, p->evidence->time), bound);
		return refuse(p, "%s: the signature of zone %s ended at %s, before %s", text, zone,
			      bound, at);
	}
	if (status == LDNS_STATUS_CRYPTO_SIG_NOT_INCEPTED) {
		time_text(time_of_serial(sig->inception, p->evidence->time), bound);
		return refuse(p, "%s: the signature of zone %s begins at %s, after %s", text, zone,
			      bound, at);
	}
	if (status == LDNS_STATUS_CRYPTO_NO_MATCHING_KEYTAG_DNSKEY)
		return refuse(
		    p, "%s: signed with key %u of zone %s, which is not among its proven keys",
		    text, sig->keytag, zone);
	return refuse(p, "%s: the signature of zone %s (key %u) does not verify: %s", text, zone,
		      sig->keytag, ldns_get_errorstr_by_id(status));
}

/* --- one signature --- */

/* How many keys the library would try. */
static unsigned candidates(const ldns_rr_list *keys, const struct rrset_sig *sig)
{
	unsigned n = 0;
	for (size_t i = 0; i < ldns_rr_list_rr_count(keys); i++)
		n += ldns_calc_keytag(ldns_rr_list_rr(keys, i)) == sig->keytag;
	return n;
}

static bool verify(struct prover *p, const struct member *m, const struct rrset_sig *sig,
		   const ldns_rr_list *keys)
{
	ldns_rr *rrsig = record_of(sig->rr);
	ldns_rr_list *good = ldns_rr_list_new();
	ldns_status status = LDNS_STATUS_MEM_ERR;
	p->verifications += candidates(keys, sig);
	if (p->verifications > VERIFICATIONS_MAX)
		status = LDNS_STATUS_ERR;
	else if (rrsig != NULL && good != NULL)
		status = ldns_verify_rrsig_keylist_time(m->rr, rrsig, keys,
							(time_t)time_to_ask(p, sig), good);
	ldns_rr_list_free(good);
	ldns_rr_free(rrsig);
	if (p->verifications > VERIFICATIONS_MAX)
		return refuse(p, "there are too many keys and signatures to verify");
	return status == LDNS_STATUS_OK || refuse_signature(p, &m->set, sig, status);
}

/* RFC 4035 s5.3.1: what the signature says about itself. */
static bool signer_may_sign(struct prover *p, const struct rrset *s, const struct rrset_sig *sig)
{
	char text[SET_TEXT_MAX], zone[DNAME_TEXT_MAX];
	bool itself = dname_eq(&s->owner, &sig->signer);
	set_text(s, text);
	dname_to_text(&sig->signer, zone);
	if (!dname_is_under(&s->owner, &sig->signer) || (s->type == DNS_DNSKEY && !itself) ||
	    (s->type == DNS_DS && itself))
		return refuse(p, "%s: signed by zone %s, which it does not belong to", text, zone);
	if (sig->labels > dname_labels(&s->owner))
		return refuse(p, "%s: the signature of zone %s is for a longer name", text, zone);
	if (!algorithm_is_known(sig->algorithm))
		return refuse(p, "%s: signed with algorithm %u, which is not supported", text,
			      sig->algorithm);
	return true;
}

/* A zone cut between the signer and the RRset that we know of: then the signer is not its zone. */
static bool crosses_no_cut(struct prover *p, const struct rrset *s, const struct rrset_sig *sig)
{
	/* DS, and NSEC of the parent's side, stand at the cut and belong above it */
	bool above = s->type == DNS_DS || s->type == DNS_NSEC;
	for (size_t i = 0; i < p->n; i++) {
		const struct rrset *c = &p->member[i].set;
		char text[SET_TEXT_MAX], zone[DNAME_TEXT_MAX], cut[DNAME_TEXT_MAX];
		if ((c->type != DNS_DS && c->type != DNS_DNSKEY) ||
		    dname_eq(&c->owner, &sig->signer) || !dname_is_under(&c->owner, &sig->signer) ||
		    !dname_is_under(&s->owner, &c->owner) ||
		    (above && dname_eq(&s->owner, &c->owner)))
			continue;
		dname_to_text(&sig->signer, zone);
		dname_to_text(&c->owner, cut);
		return refuse(p, "%s: signed by zone %s, though it is in zone %s",
			      set_text(s, text), zone, cut);
	}
	return true;
}

/* --- the keys of a zone --- */

static bool may_sign(const ldns_rr *key)
{
	uint16_t flags = ldns_rdf2native_int16(ldns_rr_dnskey_flags(key));
	return (flags & FLAG_ZONE) != 0 && (flags & FLAG_REVOKE) == 0 &&
	       ldns_rdf2native_int8(ldns_rr_dnskey_protocol(key)) == PROTOCOL_DNSSEC;
}

static uint8_t digest_of(const ldns_rr *ds)
{
	return ldns_rdf2native_int8(ldns_rr_rdf(ds, 2));
}

/* RFC 4509 s3: a SHA-1 digest does not count beside a better one. */
static bool counts(const ldns_rr_list *above, const ldns_rr *ds)
{
	if (ldns_rr_get_type(ds) != LDNS_RR_TYPE_DS)
		return true;
	bool better = false;
	for (size_t i = 0; i < ldns_rr_list_rr_count(above); i++) {
		const ldns_rr *x = ldns_rr_list_rr(above, i);
		better = better || (ldns_rr_get_type(x) == LDNS_RR_TYPE_DS &&
				    digest_is_known(digest_of(x)) && digest_of(x) != LDNS_SHA1);
	}
	return digest_is_known(digest_of(ds)) && (digest_of(ds) != LDNS_SHA1 || !better);
}

/* Same key, whatever its TTL. */
static bool same_key(const ldns_rr *a, const ldns_rr *b)
{
	for (size_t i = 0; i < 4; i++) {
		if (ldns_rdf_compare(ldns_rr_rdf(a, i), ldns_rr_rdf(b, i)) != 0)
			return false;
	}
	return true;
}

static bool is_vouched_for(const ldns_rr_list *above, const ldns_rr *key)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(above); i++) {
		const ldns_rr *x = ldns_rr_list_rr(above, i);
		if (!counts(above, x))
			continue;
		if (ldns_rr_get_type(x) == LDNS_RR_TYPE_DS ? ldns_rr_compare_ds(x, key)
							   : same_key(x, key))
			return true;
	}
	return false;
}

/* What vouches for the zone's keys: anchors of that zone, else its proven DS records. Appended to
 * `out`, borrowed. */
static bool find_above(struct prover *p, const struct dname *zone, const char *name,
		       ldns_rr_list *out)
{
	if (anchors_of(p->anchors, zone, out))
		return true;
	struct member *ds = member_find(p, zone, DNS_DS);
	if (ds == NULL && zone->len == 1)
		return refuse(p, "there is no trust anchor above these records");
	if (ds == NULL)
		return refuse(p, "%s DS is missing, and no trust anchor is for that zone", name);
	return prove_set(p, ds) && ldns_rr_list_cat(out, ds->rr);
}

static bool sort_keys(struct prover *p, const struct member *m, const char *name,
		      const ldns_rr_list *above, ldns_rr_list *entry, ldns_rr_list *all)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(m->rr); i++) {
		ldns_rr *key = ldns_rr_list_rr(m->rr, i);
		if (!may_sign(key))
			continue;
		bool pushed = ldns_rr_list_push_rr(all, key);
		if (is_vouched_for(above, key))
			pushed = ldns_rr_list_push_rr(entry, key) && pushed;
		if (!pushed)
			return refuse(p, "out of memory");
	}
	if (ldns_rr_list_rr_count(entry) > 0)
		return true;
	return refuse(p, "%s DNSKEY: no key matches the %s", name,
		      member_find(p, &m->set.owner, DNS_DS) != NULL ? "zone's DS records"
								    : "trust anchor");
}

/* The keys signed by one that is vouched for (RFC 4035 s5.2). */
static bool prove_keys_with(struct prover *p, struct member *m, const ldns_rr_list *entry)
{
	bool good = false;
	for (size_t i = 0; i < m->set.nsig && !good; i++) {
		struct rrset_sig sig;
		rrset_sig(&m->set, i, &sig);
		good = signer_may_sign(p, &m->set, &sig) && verify(p, m, &sig, entry);
	}
	return good;
}

static bool prove_keys(struct prover *p, struct member *m, const char *name)
{
	ldns_rr_list *above = ldns_rr_list_new(), *entry = ldns_rr_list_new(),
		     *all = ldns_rr_list_new();
	bool ok = above != NULL && entry != NULL && all != NULL;
	if (!ok)
		refuse(p, "out of memory");
	ok = ok && find_above(p, &m->set.owner, name, above) &&
	     sort_keys(p, m, name, above, entry, all) && prove_keys_with(p, m, entry);
	ldns_rr_list_free(above);
	ldns_rr_list_free(entry);
	if (ok)
		m->keys = all;
	else
		ldns_rr_list_free(all);
	return ok;
}

/* NULL: refused. */
static const ldns_rr_list *zone_keys(struct prover *p, const struct dname *zone)
{
	char name[DNAME_TEXT_MAX];
	struct member *m = member_find(p, zone, DNS_DNSKEY);
	dname_to_text(zone, name);
	if (m == NULL) {
		refuse(p, "%s DNSKEY is missing", name);
		return NULL;
	}
	m->used = true;
	if (m->state == MEMBER_PROVEN)
		return m->keys;
	if (m->state == MEMBER_PENDING) { /* names only get shorter on the way up */
		refuse(p, "%s DNSKEY: the chain leads back to where it came from", name);
		return NULL;
	}
	m->state = MEMBER_PENDING;
	m->state = prove_keys(p, m, name) ? MEMBER_PROVEN : MEMBER_NEW;
	return m->state == MEMBER_PROVEN ? m->keys : NULL;
}

/* --- an RRset --- */

static bool prove_by(struct prover *p, struct member *m, const struct rrset_sig *sig)
{
	if (!signer_may_sign(p, &m->set, sig) || !crosses_no_cut(p, &m->set, sig))
		return false;
	const ldns_rr_list *keys = zone_keys(p, &sig->signer);
	if (keys == NULL || !verify(p, m, sig, keys))
		return false;
	return sig->labels == dname_labels(&m->set.owner) || prove_expansion(p, m, sig);
}

bool prove_set(struct prover *p, struct member *m)
{
	char text[SET_TEXT_MAX];
	m->used = true;
	if (m->set.type == DNS_DNSKEY)
		return zone_keys(p, &m->set.owner) != NULL;
	if (m->state == MEMBER_PROVEN)
		return true;
	if (m->state == MEMBER_PENDING)
		return refuse(p, "%s: the chain leads back to where it came from",
			      set_text(&m->set, text));
	m->state = MEMBER_PENDING;
	bool good = false;
	for (size_t i = 0; i < m->set.nsig && !good; i++) {
		struct rrset_sig sig;
		rrset_sig(&m->set, i, &sig);
		good = prove_by(p, m, &sig);
	}
	m->state = good ? MEMBER_PROVEN : MEMBER_NEW;
	return good;
}
