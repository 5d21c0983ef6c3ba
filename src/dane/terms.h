/* SPDX-License-Identifier: MIT */
/*
 * dane: the terms on which we talk TLS to one host, and what TLS found out.
 * Terms go from the decisions to the TLS room, facts come back. Plain data in an arena of the
 * plan's or session's owner; strings are NUL-terminated, names lower case A-labels.
 */
#ifndef DANE_TERMS_H
#define DANE_TERMS_H

#include "dane/outcome.h"
#include "dane/tlsaset.h"

/* D9: what must hold before mail goes to the host. */
enum host_policy {
	HOST_DANE,    /* authenticate or do not deliver */
	HOST_ENCRYPT, /* TLS required, not authenticated: secure TLSA records, none usable */
	HOST_MAY,     /* opportunistic */
	HOST_PKIX,    /* submission (S1): authenticate by the system's CAs, for one name */
	HOST_LOCAL,   /* this machine, by a Unix socket or over loopback: no TLS (D12) */
	HOST_SKIP,    /* do not connect */
};
const char *
host_policy_name(enum host_policy p); /* "dane", "encrypt", "may", "pkix", "local", "skip" */

enum { REFERENCE_NAMES_MAX = 4 };

struct tls_terms {
	enum host_policy policy;
	const char *sni; /* T5: the TLSA base domain, or the host name; NULL for a literal */
	const char *reference_names[REFERENCE_NAMES_MAX]; /* T4; [0] is the TLSA base domain */
	size_t nreference_names;
	const struct tlsa_set *tlsa; /* HOST_DANE: never NULL */
};

struct tls_cert {
	const char *subject; /* one line, RFC 2253 */
	const char *issuer;
	const char *names;       /* DNS names of the subjectAltName, blank-separated; "" if none */
	const char *sha256;      /* hex of the DER certificate */
	const char *spki_sha256; /* hex of the SubjectPublicKeyInfo */
	const char *key;         /* "RSA 2048", "EC P-256", "ED25519" */
	int64_t not_before;      /* seconds since the epoch, UTC */
	int64_t not_after;
	struct slice der; /* the certificate itself; empty unless somebody asked for it */
};

/* Which record authenticated what. */
struct tls_match {
	bool present;
	uint8_t usage, selector, mtype;
	int record; /* index in the tlsa_set, -1 if unknown */
	int depth;  /* of the matched certificate; 0 is the leaf; -1: a bare key from the record */
	const char
	    *name; /* the reference name that matched; NULL when names are not checked (usage 3) */
};

/* What the TLS room reports of a handshake or an offline verification. Lives as long as its tls
 * object. */
struct tls_facts {
	bool authenticated; /* by a TLSA record; under HOST_PKIX by a CA of this system */
	enum reason reason; /* REASON_OK, or why not */
	const char *detail; /* one line: the library's or our own words; "" if nothing to add */
	int x509_error;     /* X509_V_* of the verification, 0 ok */
	int x509_depth;
	const char *x509_text;
	const char *version; /* "TLSv1.3"; "" before the handshake got that far */
	const char *cipher;
	const char *group; /* "x25519"; "" if unknown */
	bool resumed;
	struct tls_match match;
	const struct tls_cert *chain; /* as served, leaf first */
	size_t nchain;
};

/* Deep copies in `mem`; NULL when out of memory, and of no certificates. */
struct tls_cert *tls_certs_copy(struct arena *mem, const struct tls_cert *from, size_t n);
const struct tls_facts *tls_facts_copy(struct arena *mem, const struct tls_facts *f);

#endif
