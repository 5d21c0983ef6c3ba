/* SPDX-License-Identifier: MIT */
/*
 * wire: one DNS answer as a fact: what was asked, what came, and how far it can be trusted (D1,
 * D2).
 *
 * An answer is immutable and reference-counted (not thread-safe); everything it points to lives as
 * long as it does. Names are in presentation form, lower case, no trailing dot.
 */
#ifndef WIRE_ANSWER_H
#define WIRE_ANSWER_H

#include "base/arena.h"
#include "wire/ipaddr.h"
#include "wire/tlsa.h"

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_DNAME = 39,
	DNS_DS = 43,
	DNS_RRSIG = 46,
	DNS_NSEC = 47,
	DNS_DNSKEY = 48,
	DNS_NSEC3 = 50,
	DNS_TLSA = 52,
};

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5
};

/* RFC 7672 s2.1: bogus, indeterminate, SERVFAIL, timeout, malformed are all "failed". Absence is an
 * answer. */
enum dns_status { DNS_SECURE, DNS_INSECURE, DNS_ABSENT, DNS_FAILED };

enum {
	ANSWER_ALIASES_MAX = 16,  /* D2: a longer CNAME chain is a failure */
	ANSWER_RECORDS_MAX = 512, /* stops a hostile packet from growing the plan */
};

struct dns_rr {
	uint16_t type;
	uint32_t ttl;
	struct slice rdata; /* raw octets as in the packet; names inside may be compressed */
	union {
		struct ipaddr addr; /* A, AAAA */
		const char *name;   /* CNAME, DNAME, NS, PTR */
		struct {
			uint16_t preference;
			const char *exchange;
		} mx;
		struct tlsa tlsa;
	} u;
};

struct answer {
	unsigned refs;
	struct arena mem;
	const char *name; /* as asked */
	uint16_t type;
	enum dns_status status;
	bool absence_secure; /* DNS_ABSENT: the absence is proven by DNSSEC */
	bool nxdomain;       /* DNS_ABSENT: the name does not exist (else: no data of this type) */
	bool bogus;          /* DNS_FAILED: because validation failed */
	uint16_t rcode;
	const char *why;       /* DNS_FAILED: one line, else NULL */
	const char *canonical; /* the end of the alias chain; name itself when there is none */
	const char **aliases;  /* targets of the chain in order; the last one is canonical */
	size_t naliases;
	struct dns_rr
	    *rr; /* records of the asked type at canonical; DNS_SECURE and DNS_INSECURE only */
	size_t nrr;
	/* What came, when it is proven (secure records, or a secure absence): the signatures are in
	 * it (wire/rrset.h). */
	struct slice packet;
	/* Records: when the first of their signatures, or of those of the alias chain, ends (RFC
	   4034 s3.1.5); of several signatures of one RRset the last counts. */
	bool has_signature;
	uint32_t signature_expires; /* seconds since the epoch, modulo 2^32: answer_signed_until()
				     */
};

/* has_signature only: the end of the first signature, in seconds since the epoch; `now` tells which
 * of the times that look alike is meant (RFC 1982). */
int64_t answer_signed_until(const struct answer *a, int64_t now);

/* How the resolver judged the packet. */
enum answer_security { ANSWER_INSECURE, ANSWER_SECURE, ANSWER_BOGUS };

/*
 * Makes an answer from a validated response packet. Follows the CNAME chain from name in the answer
 * section; a loop, a chain over ANSWER_ALIASES_MAX, a packet that does not parse, a truncated
 * packet, a question that is not ours or an rcode other than NOERROR and NXDOMAIN gives DNS_FAILED
 * with `why`
 * (`why_bogus` may be NULL). For type CNAME the first CNAME record itself is the answer.
 * An A, AAAA or MX record of wrong size makes the answer DNS_FAILED; a TLSA record of wrong size is
 * kept (T1). Returns NULL only when out of memory. The caller owns one reference.
 */
struct answer *answer_parse(const char *name, uint16_t type, struct slice packet,
			    enum answer_security sec, const char *why_bogus);

/* An answer for a lookup that gave no packet: timeout, no resolver. NULL when out of memory. */
struct answer *answer_failed(const char *name, uint16_t type, uint16_t rcode, const char *why);

/* An empty answer to fill in: for tests and literal hosts. Status DNS_ABSENT. */
struct answer *answer_new(const char *name, uint16_t type);

struct answer *answer_ref(struct answer *a);
void answer_unref(struct answer **a); /* takes NULL, nulls the pointer */

/* The RDATA in presentation form ("10 mx.example.org", "3 1 1 hex", RFC 3597 for types we do not
 * know). */
struct buf;
void dns_rr_to_text(const struct dns_rr *rr, struct buf *out);

const char *dns_status_name(enum dns_status s);             /* "secure" ... */
const char *dns_type_name(uint16_t type, char scratch[16]); /* "TLSA", "TYPE123" */
bool dns_type_from_text(struct slice text, uint16_t *out);  /* either case, TYPE123 too */
const char *dns_rcode_name(uint16_t rcode, char scratch[16]);

#endif
