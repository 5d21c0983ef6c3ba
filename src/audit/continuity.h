/* SPDX-License-Identifier: MIT */
/*
 * audit: is it the certificate or the key of last time, a new one that was authorised, or a new one
 * that nothing authorised (A2)? For one host and port, and each type of key apart: a server that
 * has an RSA and an ECDSA certificate presents both in turn. Pure.
 *
 * A host may be several machines, each with a certificate of its own. So a key counts as known if
 * it is any of those that were seen and taken before, and the verdict says what authorised that
 * one: a key that came once without authority is known from then on, and shown as such.
 */
#ifndef AUDIT_CONTINUITY_H
#define AUDIT_CONTINUITY_H

#include "dane/terms.h"

enum {
	AUDIT_DIGEST = 32,       /* SHA-256 */
	AUDIT_KEY_TYPE_MAX = 16, /* octets of "ECDSA", with the NUL */
	AUDIT_KNOWN_MAX = 32,    /* certificates remembered of one host, port and type: stops a host
				    with a fresh one for every connection from filling the file */
};

enum continuity {
#define CONTINUITY(id, name, sentence) CONTINUITY_##id,
#include "audit/continuity.tbl"
#undef CONTINUITY
	CONTINUITY_COUNT
};
const char *continuity_name(enum continuity c); /* "same-key" */
const char *continuity_sentence(enum continuity c);
bool continuity_from_name(const char *name, enum continuity *out);

/* What authorised a key. The place is written to disk. */
enum audit_authority { AUTHORITY_NONE, AUTHORITY_TLSA, AUTHORITY_CA, AUTHORITY_COUNT };
const char *audit_authority_name(enum audit_authority a); /* "none", "tlsa", "ca" */

/* "RSA 2048" is "RSA", "EC P-256" is "ECDSA", everything else its first word. */
void audit_key_type(struct slice key, char out[static AUDIT_KEY_TYPE_MAX]);

struct known_key {
	uint8_t cert[AUDIT_DIGEST], key[AUDIT_DIGEST]; /* SHA-256 of certificate and SPKI */
	enum audit_authority authority;
};

struct presented_key {
	bool present; /* a certificate was seen */
	uint8_t cert[AUDIT_DIGEST], key[AUDIT_DIGEST];
};

struct continuity_verdict {
	enum continuity continuity;
	enum audit_authority authority; /* of this key: now, or when it was seen before */
	int known; /* index of the known key that it is, or (changes) that was the last one; -1:
		      none */
};

/*
 * `known`: taken before, the last seen first. `authorised`: what this handshake proved; TLSA counts
 * under HOST_DANE only, a CA under HOST_PKIX only. A resumed session or a reused connection shows
 * the certificate of its full handshake and is judged by that.
 */
void continuity_decide(const struct known_key *known, size_t n, const struct presented_key *p,
		       enum host_policy policy, enum audit_authority authorised,
		       struct continuity_verdict *out);

#endif
