/* SPDX-License-Identifier: MIT */
/*
 * An RRset that a wildcard was expanded to counts only where no closer name exists (RFC 4035
 * s5.3.4, RFC 5155 s8.8): else a wildcard's records could be replayed at any name of the zone.
 */
#include "dnssec/room.h"

enum { OPT_OUT = 1 };

/* The name of `labels` labels that `name` is or is under, a leading "*" counted as a label. */
static void ancestor(const struct dname *name, size_t labels, struct dname *out)
{
	size_t all = 0;
	for (size_t at = 0; name->wire[at] != 0; at += 1 + (size_t)name->wire[at])
		all++;
	dname_chop(name, all > labels ? all - labels : 0, out);
}

/* The library's test takes the owner itself for covered. */
static bool covers(const ldns_rr *nsec, const ldns_rdf *name, const ldns_rdf *owner_form)
{
	return ldns_dname_compare(ldns_rr_owner(nsec), owner_form) != 0 &&
	       ldns_nsec_covers_name(nsec, name);
}

/* Types of an ancestor that say: what is below is not ours to deny (RFC 6840 s4.1). */
static bool is_cut(const ldns_rr *nsec)
{
	const ldns_rdf *types = ldns_nsec_get_bitmap(nsec);
	if (types == NULL)
		return true;
	return ldns_nsec_bitmap_covers_type(types, LDNS_RR_TYPE_DNAME) ||
	       (ldns_nsec_bitmap_covers_type(types, LDNS_RR_TYPE_NS) &&
		!ldns_nsec_bitmap_covers_type(types, LDNS_RR_TYPE_SOA));
}

/* NSEC: the next closer name is in the gap, and no name below it ends the gap. */
static bool nsec_denies(const ldns_rr *nsec, const ldns_rdf *closer)
{
	const ldns_rdf *owner = ldns_rr_owner(nsec), *next = ldns_rr_rdf(nsec, 0);
	if (next == NULL || !covers(nsec, closer, closer))
		return false;
	if (ldns_dname_is_subdomain(next, closer) || ldns_dname_compare(next, closer) == 0)
		return false;
	return !ldns_dname_is_subdomain(closer, owner) || !is_cut(nsec);
}

/* NSEC3: the hash of the next closer name is in the gap. */
static bool nsec3_denies(const ldns_rr *nsec3, const ldns_rdf *closer, const ldns_rdf *zone)
{
	if (ldns_nsec3_algorithm(nsec3) != LDNS_SHA1 ||
	    ldns_nsec3_iterations(nsec3) > NSEC3_ITERATIONS_MAX ||
	    (ldns_nsec3_flags(nsec3) & OPT_OUT) != 0)
		return false;
	ldns_rdf *hash = ldns_nsec3_hash_name_frm_nsec3(nsec3, closer);
	if (hash == NULL || ldns_dname_cat(hash, zone) != LDNS_STATUS_OK) {
		ldns_rdf_deep_free(hash);
		return false;
	}
	bool denies = covers(nsec3, hash, hash);
	ldns_rdf_deep_free(hash);
	return denies;
}

static bool is_signed_by(const struct rrset *s, const struct dname *zone)
{
	struct rrset_sig sig;
	rrset_sig(s, 0, &sig);
	return dname_eq(&sig.signer, zone);
}

/* NSEC3 owners are one label below their zone. */
static bool denies(const struct member *m, const ldns_rdf *closer, const struct dname *zone)
{
	const ldns_rr *rr = ldns_rr_list_rr(m->rr, 0);
	struct dname above;
	if (m->set.nrr != 1 || !is_signed_by(&m->set, zone))
		return false;
	if (m->set.type == DNS_NSEC)
		return nsec_denies(rr, closer);
	if (m->set.type != DNS_NSEC3)
		return false;
	dname_chop(&m->set.owner, 1, &above);
	ldns_rdf *z = rdf_of(zone);
	bool good = z != NULL && dname_eq(&above, zone) && nsec3_denies(rr, closer, z);
	ldns_rdf_deep_free(z);
	return good;
}

bool prove_expansion(struct prover *p, const struct member *m, const struct rrset_sig *sig)
{
	struct dname closer;
	char text[SET_TEXT_MAX], name[DNAME_TEXT_MAX];
	ancestor(&m->set.owner, (size_t)sig->labels + 1, &closer);
	ldns_rdf *rdf = rdf_of(&closer);
	bool good = false, found = false;
	for (size_t i = 0; rdf != NULL && i < p->n && !good; i++) {
		struct member *proof = &p->member[i];
		if (!denies(proof, rdf, &sig->signer))
			continue;
		found = true;
		good = prove_set(p, proof);
	}
	ldns_rdf_deep_free(rdf);
	if (found) /* when it is not good, prove_set() has said why */
		return good;
	dname_to_text(&closer, name);
	return refuse(p, "%s: comes from a wildcard, and nothing proves that %s does not exist",
		      set_text(&m->set, text), name);
}
