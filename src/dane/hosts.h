/* SPDX-License-Identifier: MIT */
/*
 * dane: discovery as two pure decisions (D1-D10, M1; RFC 7672 s2).
 *
 * Each function looks at all facts known so far and says either what to ask next or what the
 * verdict is. Call it again whenever a fact was added; it never forgets and never asks twice for
 * what is there.
 */
#ifndef DANE_HOSTS_H
#define DANE_HOSTS_H

#include "dane/policy.h"
#include "dane/terms.h"

/* --- The next-hop domain: MX (D3, D5) --- */

enum mx_kind {
	MX_HOSTS,    /* use the MX records */
	MX_IMPLICIT, /* no MX: the domain is its own host (RFC 5321 s5.1) */
	MX_END,      /* no attempt: see reason */
};

struct mx_verdict {
	enum mx_kind kind;
	enum reason reason; /* MX_END */
	const char *detail; /* MX_END: what was seen; may be NULL */
	bool secure; /* the way to the hosts is authenticated (for implicit MX: the absence is) */
	/* hosts get HOST_MAY without TLSA lookups (level may, or insecure-mx = may) */
	bool no_dane;
};
/* `mx` is the answer of the MX query of the next-hop domain; never NULL. */
void mx_decide(const struct dane_policy *p, const struct answer *mx, struct mx_verdict *out);

/* --- One host (D6-D9, M1) --- */

enum host_query {
	HOST_Q_A = 0,
	HOST_Q_AAAA,
	HOST_Q_CNAME,         /* of the host name: is the first link of an insecure chain secure? */
	HOST_Q_TLSA_EXPANDED, /* at the end of the alias chain */
	HOST_Q_TLSA_ORIGINAL, /* at the host name itself */
	HOST_Q_COUNT
};

struct host_facts {
	const char *name;      /* MX host, presentation form */
	bool literal;          /* an address, not a name (D10) */
	bool implicit;         /* the next-hop domain itself: mx-alias does not apply */
	bool no_dane;          /* from mx_verdict */
	bool pkix;             /* submission (S1): no TLSA lookups, HOST_PKIX */
	bool unix_socket;      /* no host at all but a socket of this machine (D12) */
	bool lmtp;             /* LMTP over TCP: never in clear unless that was asked for (D12) */
	bool loopback;         /* literal: an address of this machine alone */
	bool mx_secure;        /* from mx_verdict: for mandatory DANE */
	bool no_ipv4, no_ipv6; /* families we do not use: their query is not needed */
	const struct answer *answer[HOST_Q_COUNT]; /* NULL: not known */
	const struct tlsa_set
	    *tlsa[HOST_Q_COUNT]; /* of the TLSA answers that are DNS_SECURE; NULL otherwise */
};

struct host_verdict {
	bool decided;
	unsigned ask; /* not decided: bits 1u << HOST_Q_*; may name queries already on their way */
	enum host_policy policy;      /* decided */
	enum reason reason;           /* HOST_SKIP: why. REASON_OK otherwise */
	const struct answer *culprit; /* the answer that decided a skip, may be NULL */
	const char *base;             /* TLSA base domain; the host name when there is no TLSA */
	enum host_query tlsa;         /* which TLSA answer counts; HOST_Q_COUNT if none was asked */
};
void host_decide(const struct dane_policy *p, const struct host_facts *f, struct host_verdict *out);

/* The TLSA owner name "_25._tcp.<base>" (D8). Returns false if it does not fit a domain name. */
bool tlsa_owner_name(uint16_t port, const char *base, char *out, size_t room);

/*
 * Reference names for DANE-TA (T4; RFC 7672 s3.2.2). next_hop and its expansion count only over a
 * secure MX (or a secure implicit one), and never with REFERENCE_BASE. Fills terms->reference_names
 * without doubles; pointers are the arguments'.
 */
void reference_names_set(const struct dane_policy *p, bool mx_secure, const char *base,
			 const char *next_hop, const char *next_hop_expanded,
			 struct tls_terms *terms);

/* --- The domain as a whole, for `check` --- */

enum address_result {
	RESULT_AUTHENTICATED,
	RESULT_ENCRYPTED,
	RESULT_CLEARTEXT,
	RESULT_FAILED,
	RESULT_UNTRIED
};
const char *address_result_name(enum address_result r);

/* The verdicts of danelaw-check(1). */
enum domain_state {
	DOMAIN_PROTECTED,   /* whoever takes mail is authenticated, and the MX records are signed */
	DOMAIN_HALF,        /* the same, but somebody could have forged the MX records */
	DOMAIN_PARTIAL,     /* some are not authenticated, though a host has DANE */
	DOMAIN_UNPROTECTED, /* no host has DANE */
	DOMAIN_BROKEN,      /* a host fails what it promised, or nobody takes mail now */
	DOMAIN_UNDELIVERABLE, /* mail would bounce */
};
const char *domain_state_name(enum domain_state s);

struct address_fact {
	enum address_result result;
	enum reason reason; /* RESULT_FAILED */
};
struct checked_host {
	enum host_policy policy;
	enum reason reason; /* HOST_SKIP */
	const struct address_fact *address;
	size_t naddress;
};
struct domain_facts {
	const struct mx_verdict *mx;
	const struct checked_host *host;
	size_t nhost;
	bool planned_only; /* nothing was connected: judge the plan */
};
struct domain_verdict {
	enum domain_state state;
	enum reason reason; /* REASON_OK when mail would go through */
};
void domain_decide(const struct domain_facts *f, struct domain_verdict *out);

#endif
