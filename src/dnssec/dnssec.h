/* SPDX-License-Identifier: MIT */
/*
 * dnssec: proving evidence again, without a network: signatures, keys and the way up to a trust
 * anchor, as of a time in the past (ldns; RFC 4035 s5, RFC 5155 s8.8, RFC 6840).
 *
 * The resolver (src/dns) decides what is secure while mail is delivered. This room is asked later,
 * by somebody who trusts neither the file nor us, only the anchor. Every way out that is not a
 * whole proof is a refusal with one sentence. Not thread-safe.
 */
#ifndef DNSSEC_DNSSEC_H
#define DNSSEC_DNSSEC_H

#include "dane/evidence.h"
#include "wire/rrset.h"

struct dnssec_anchors;

/* Files with DS or DNSKEY lines in zone-file form, NULL-terminated. NULL: `error` says what is
 * wrong with which file. */
struct dnssec_anchors *dnssec_anchors_read(const char *const *files, char *error, size_t room);
void dnssec_anchors_free(struct dnssec_anchors **a);
/* Number i as one line like ". DS 20326 8 2 ...", a DNSKEY as the DS of its SHA-256. False: there
 * is none, or it does not fit. */
bool dnssec_anchor_text(const struct dnssec_anchors *a, size_t i, char *out, size_t room);

enum { DNSSEC_WHY_MAX = 2600 }; /* two names with all octets escaped, and words */

struct dnssec_proof {
	bool proven;
	char why[DNSSEC_WHY_MAX]; /* not proven: which record fails, and why */
	struct rrset tlsa;        /* proven: the TLSA records; slices of the evidence */
	char tlsa_name[DNAME_TEXT_MAX];
};

/*
 * Does `e` prove, to somebody who trusts the anchors alone, that at e->time (signatures may be
 * off by skew_s) these were the TLSA records for e->host and e->port, and, with EVIDENCE_MX_SECURE,
 * that the host was an MX host of the destination? Every RRset must be needed for that.
 * Proven or not, it takes bounded time: a few hundred signatures at most.
 */
void dnssec_prove(const struct dnssec_anchors *a, const struct evidence *e, uint32_t skew_s,
		  struct dnssec_proof *out);

#endif
