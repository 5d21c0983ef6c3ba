/* SPDX-License-Identifier: MIT */
/* dnssec, inside: one proof under way. Nobody else includes this. */
#ifndef DNSSEC_ROOM_H
#define DNSSEC_ROOM_H

#include "dnssec/dnssec.h"

#include <ldns/ldns.h>

enum {
	VERIFICATIONS_MAX = 400,    /* signatures tried: stops keys and signatures that all have one
				       tag    (KeyTrap, CVE-2023-50387) */
	NSEC3_ITERATIONS_MAX = 150, /* RFC 9276 s3.2; what the resolver takes */
	SET_TEXT_MAX = DNAME_TEXT_MAX + 16,
};

struct dnssec_anchors {
	ldns_rr_list *rr; /* DS and DNSKEY */
};

enum member_state { MEMBER_NEW, MEMBER_PENDING, MEMBER_PROVEN };

struct member {
	struct rrset set;
	enum member_state state;
	bool used;
	ldns_rr_list *rr;   /* the records without signatures */
	ldns_rr_list *keys; /* of a proven DNSKEY RRset: what may sign; rows of rr */
};

struct prover {
	const struct dnssec_anchors *anchors;
	const struct evidence *evidence;
	uint32_t skew_s;
	struct member *member;
	size_t n;
	unsigned verifications;
	char *why; /* DNSSEC_WHY_MAX octets */
};

/* Always returns false; the words stay until the next refusal. */
bool refuse(struct prover *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- records.c --- */

bool members_read(struct prover *p);
void members_free(struct prover *p);
struct member *member_find(const struct prover *p, const struct dname *name, uint16_t type);
/* "NAME TYPE" of an RRset. */
const char *set_text(const struct rrset *s, char out[static SET_TEXT_MAX]);
ldns_rdf *rdf_of(const struct dname *name); /* NULL: out of memory */
/* A record from its octets; NULL: the library does not understand it. */
ldns_rr *record_of(struct slice octets);

/* --- anchor.c --- */

/* Those of `zone` among the anchors, appended to `out` (borrowed). Are there any? */
bool anchors_of(const struct dnssec_anchors *a, const struct dname *zone, ldns_rr_list *out);

/* --- chain.c --- */

/* Is the RRset signed, up to an anchor, at the time of the evidence? With a wildcard: and was the
 * name not there itself? */
bool prove_set(struct prover *p, struct member *m);

/* --- wildcard.c --- */

/* The RRset came from a wildcard, says its (good) signature: is it proven that no closer name
 * exists? (RFC 4035 s5.3.4, RFC 5155 s8.8) */
bool prove_expansion(struct prover *p, const struct member *m, const struct rrset_sig *sig);

#endif
