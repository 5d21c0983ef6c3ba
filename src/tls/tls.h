/* SPDX-License-Identifier: MIT */
/*
 * tls: TLS with DANE over memory (OpenSSL 3): bytes in, bytes out, no socket (T1-T11).
 *
 * One struct tls_client per process and configuration; many struct tls_conn from it. The system's
 * CA store is read under HOST_PKIX (S1), and to see which CAs are public; never for DANE. All
 * strings in facts belong to the object that reports them. Not thread-safe.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include "base/buf.h"
#include "dane/terms.h"

struct tls_client;
struct tls_conn;

struct tls_client_config {
	size_t sessions_max;     /* resumable sessions kept; 0: none */
	int64_t verify_offset_s; /* certificates are judged as of now plus this (check --days) */
	const char *sigalgs;     /* NULL: default. For probing RSA and ECDSA apart: TLS 1.3 and 1.2
				    signature algorithms */
};

/* NULL on error; then `error` says what. */
struct tls_client *tls_client_new(const struct tls_client_config *c, char *error, size_t room);
/* Reads all CA certificates of this system now, instead of when the first host asks for them
 * (HOST_PKIX): for a process that will not be able to open files. */
bool tls_client_load_cas(struct tls_client *c, char *error, size_t room);
void tls_client_free(struct tls_client **c); /* after all its connections */

enum tls_cert_kind { TLS_CERT_ANY, TLS_CERT_RSA, TLS_CERT_ECDSA };

struct tls_options {
	enum tls_cert_kind kind; /* offer only signature algorithms for this kind of server key */
	bool no_resumption;      /* a probe proves itself anew */
	bool keep_der;           /* the facts have the certificates themselves */
	const char *peer; /* "address:port": part of the session key (T9); NULL: no resumption */
};

/*
 * T9: equal for equal terms only: the peer, the policy, the sorted TLSA set, the SNI, the reference
 * names, the kind of key. What was proven under one key may serve whoever comes with the same: a
 * resumable session, or a whole connection, also one without TLS. o->peer is not NULL. false: out
 * of memory.
 */
struct tls_terms_key {
	uint8_t b[32];
};
bool tls_terms_key_make(const struct tls_terms *terms, const struct tls_options *o,
			struct tls_terms_key *out);

/*
 * A new client connection on these terms. terms are copied as needed. NULL: local failure (T10: the
 * attempt must fail closed); then `error` says what: for instance a counting TLSA record that the
 * library refuses.
 */
struct tls_conn *tls_connect(struct tls_client *c, const struct tls_terms *terms,
			     const struct tls_options *o, char *error, size_t room);
void tls_conn_free(struct tls_conn **t);

enum tls_state {
	TLS_HANDSHAKING,
	TLS_UP,     /* handshake done and the terms are met */
	TLS_FAILED, /* see tls_facts(): reason and detail */
	TLS_CLOSED, /* close_notify came */
};

/* Ciphertext from the peer. Decrypted bytes are appended to `plain` (may be NULL while
 * handshaking); when plain has no room left the rest waits inside. Returns the state. */
enum tls_state tls_feed(struct tls_conn *t, struct slice cipher, struct buf *plain);
/* The transport ended without close_notify. */
enum tls_state tls_feed_eof(struct tls_conn *t);
/* Plaintext to the peer; all of it is taken or the connection fails. Only in state TLS_UP. */
enum tls_state tls_write(struct tls_conn *t, struct slice plain);
/* Ciphertext to send: append to `out` as room allows; call until nothing is pending. Starts with
 * the ClientHello. */
void tls_pending(struct tls_conn *t, struct buf *out);
/* Sends close_notify (then tls_pending()). */
void tls_shutdown(struct tls_conn *t);
/* Nothing is expected for a while: gives back the memory that bytes under way took. The connection
 * goes on as before. */
void tls_rest(struct tls_conn *t);
enum tls_state tls_state(const struct tls_conn *t);
/* Valid in every state, until the connection is freed. */
const struct tls_facts *tls_facts(const struct tls_conn *t);

/* --- Offline (no handshake) --- */

struct tls_chain; /* certificates as served, leaf first */

/* PEM text with one certificate or more. NULL: error says why (no certificate, certificate 2 does
 * not parse ...). */
struct tls_chain *tls_chain_from_pem(struct slice pem, char *error, size_t room);
struct tls_chain *tls_chain_from_der(const struct slice *der, size_t n, char *error, size_t room);
void tls_chain_free(struct tls_chain **c);

/*
 * The same verdict as a handshake that served this chain at time `at` (seconds since the epoch)
 * would give. terms->policy HOST_DANE. Facts live in `mem`. Returns NULL on a local failure (T10).
 */
const struct tls_facts *tls_verify(struct arena *mem, const struct tls_chain *c,
				   const struct tls_terms *terms, int64_t at);

/* A chain described, for a server that looks at itself (V1). In `mem`; false: out of memory. */
struct tls_chain_facts {
	const struct tls_cert *cert; /* leaf first */
	size_t ncert;
	enum tls_cert_kind kind; /* of the leaf's key; TLS_CERT_ANY: another kind */
	bool named;              /* the leaf has `name` among its names (T5) */
	int disorder;            /* the certificate that the next one did not issue; -1: none */
	bool complete;           /* the last one signed itself */
	const char
	    *weak; /* what is below 112 bits of security, or signed with SHA-1; NULL: nothing */
};
bool tls_chain_describe(struct arena *mem, const struct tls_chain *c, const char *name,
			struct tls_chain_facts *out);

/* RFC 6698 s2.1, RFC 7671 s5: has the chain a certificate that this record matches where its usage
 * permits? Dates, names and signatures do not matter. *depth: of that certificate, 0 the leaf; -1:
 * none, but the full key of the record signed one. */
bool tls_chain_matches(const struct tls_chain *c, const struct tlsa *rr, int *depth);

/* The same certificates in the same order? */
bool tls_chain_equal(const struct tls_chain *a, const struct tls_chain *b);

/* The CA certificates that this system trusts: to see which CAs issue to the public. No verdict
 * depends on them. NULL: there are none, or out of memory. */
struct tls_cas;
struct tls_cas *tls_cas_load(void);
void tls_cas_free(struct tls_cas **c);
/* Is the certificate at `depth` trusted, or issued by what is? */
bool tls_cas_know(const struct tls_cas *cas, const struct tls_chain *c, int depth, int64_t at);

/* What the server of a connection sent, as a chain of its own. NULL: nothing (yet), or out of
 * memory. */
/* Was a session of an earlier connection offered? */
bool tls_conn_offered_session(const struct tls_conn *t);
/* After it broke: what is kept for these terms is not offered again. */
void tls_conn_forget_session(struct tls_conn *t);
struct tls_chain *tls_conn_chain(const struct tls_conn *t);

/* T1: fills rr->full for a Full(0) record: does its data parse as a certificate (selector 0) or
 * public key (1)? */
void tls_judge_full(struct tlsa *rr);

/* One line for --version. */
const char *tls_library_version(void);

#endif
