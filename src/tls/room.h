/* SPDX-License-Identifier: MIT */
/*
 * tls, inside: what the files of this room share. The only header of ours that shows OpenSSL.
 *
 * client.c makes the SSL_CTX, dane.c and pkix.c put terms into an SSL, conn.c runs handshakes,
 * flow.c knows their states and bytes.c moves their bytes (the server's too, whose own parts are in
 * server_room.h), check.c runs one X.509 verification (the same for a handshake and offline),
 * match.c compares records with certificates, verdict.c turns the result into a reason and a
 * sentence, facts.c describes chains, sessions.c keeps resumable sessions, chain.c reads chains,
 * verify.c is the offline verifier, lean.c narrows OpenSSL down for the client, keys.c and
 * keys_make.c are for an operator's own keys.
 */
#ifndef TLS_ROOM_H
#define TLS_ROOM_H

#include "tls/tls.h"

#include <openssl/ssl.h>

enum {
	/* One connection's or verification's facts: a hostile chain has 100 KiB (OpenSSL's limit on
	   a certificate message) and its names are printed once. */
	REPORT_BYTES_MAX = 1024 * 1024,
	/* Certificates of a chain in a file: far more than any path, so that a wrong file fails. */
	CHAIN_CERTS_MAX = 100,
};

/* OpenSSL's macros cast const away, which our warnings forbid. They do not write. */
static inline void *unconst(const void *p)
{
	return (void *)(uintptr_t)p;
}

/* Writes "what: OpenSSL's reason" and empties OpenSSL's error queue. */
void tls_openssl_error(const char *what, char *error, size_t room);
/* The reason string of the oldest queued error, NULL if there is none; empties the queue. */
const char *tls_openssl_reason(void);

/* --- bytes.c --- */

struct tls_bytes {
	SSL *ssl;
	BIO *in, *out; /* owned by ssl */
};

enum bytes_end {
	BYTES_MORE, /* waits for the peer, or for room in `plain` */
	BYTES_DONE, /* the handshake is done; reading: close_notify came */
	BYTES_BROKEN,
};

/* Gives b->ssl its BIOs. false: out of memory. */
bool tls_bytes_open(struct tls_bytes *b);
enum bytes_end tls_bytes_handshake(struct tls_bytes *b);
/* Ciphertext from the peer, to be read later. false: out of memory, or more than 2 GiB. */
bool tls_bytes_put(struct tls_bytes *b, struct slice cipher);
/* Decrypts into `plain` (NULL: nothing happens) as far as it has room. */
enum bytes_end tls_bytes_read(struct tls_bytes *b, struct buf *plain);
/* All of `plain` (not empty), or false. */
bool tls_bytes_write(struct tls_bytes *b, struct slice plain);
void tls_bytes_pending(struct tls_bytes *b, struct buf *out);
void tls_bytes_shutdown(struct tls_bytes *b);
/* Gives back the memory that reading and writing took. Only between two of them. */
void tls_bytes_rest(struct tls_bytes *b);

/* --- flow.c --- */

/* Why a connection cannot go on. */
enum tls_flow_end {
	FLOW_BROKEN, /* OpenSSL gave up; its reason may be in its queue */
	FLOW_EOF,    /* the transport ended during the handshake */
	FLOW_LOCAL,  /* our own fault, or out of memory */
};

/* What a client's and a server's connection do differently. Each returns the state, which it has
 * set. */
struct tls_side {
	/* The handshake is done: TLS_UP if the side is content with it, else TLS_FAILED. */
	enum tls_state (*up)(void *conn);
	/* TLS_FAILED. `what`: in words, where OpenSSL has none. */
	enum tls_state (*fail)(void *conn, enum tls_flow_end end, const char *what);
};

struct tls_flow {
	struct tls_bytes b;
	enum tls_state state;
	bool eof; /* TLS_CLOSED without close_notify */
	const struct tls_side *side;
	void *conn; /* whose flow this is: the side's argument */
};

/* As tls_feed(), tls_feed_eof(), tls_write() and tls_shutdown(). */
enum tls_state tls_flow_feed(struct tls_flow *f, struct slice cipher, struct buf *plain);
enum tls_state tls_flow_feed_eof(struct tls_flow *f);
enum tls_state tls_flow_write(struct tls_flow *f, struct slice plain);
void tls_flow_shutdown(struct tls_flow *f);

/* --- lean.c --- */

struct tls_lean {
	OSSL_LIB_CTX *library; /* NULL: OpenSSL's default one */
	OSSL_PROVIDER *provider;
};

/* false: OpenSSL will not (its reason is in its queue). Everything made in the context is freed
 * before it is closed. */
bool tls_lean_open(struct tls_lean *l);
void tls_lean_close(struct tls_lean *l);

/* --- client.c --- */

struct session_table;

struct tls_client {
	struct tls_lean lean;
	SSL_CTX *ctx;
	int64_t offset_s;
	struct session_table *sessions; /* NULL: no resumption */
	X509_STORE *cas;                /* the system's, once a submission server asked for it */
};

/* A context for DANE clients; `sigalgs` NULL: ours. */
SSL_CTX *tls_context_new(OSSL_LIB_CTX *library, const char *sigalgs, char *error, size_t room);
/* Sets versions, suites and signature algorithms for one connection. */
bool tls_context_restrict(SSL *ssl, enum host_policy policy, enum tls_cert_kind kind);
/* Now, as OpenSSL reads it when it judges dates, plus the client's offset. */
int64_t tls_client_now(const struct tls_client *c);

/* --- dane.c --- */

bool tls_dane_context(SSL_CTX *ctx);
/* T5. NULL or "": none. */
bool tls_sni_load(SSL *ssl, const char *sni, char *error, size_t room);
/* Loads the terms: reference names, SNI, counting records (T1-T5). false: T10, `error` says why. */
bool tls_dane_load(SSL *ssl, const struct tls_terms *terms, char *error, size_t room);

/* --- pkix.c --- */

/* Loads the terms of a submission server (S1): SNI, its one name, the system's CAs, which no other
 * connection sees. false: `error` says why. */
bool tls_pkix_load(struct tls_client *c, SSL *ssl, const struct tls_terms *terms, char *error,
		   size_t room);
/* After a verification that succeeded: the name that the certificate has; NULL: none. */
const char *tls_pkix_name(SSL *ssl);

/* --- check.c --- */

struct chain_check {
	STACK_OF(X509) * served; /* own references; NULL: no certificate came */
	X509 *culprit;           /* the certificate that `error` is about; may be NULL */
	int error;               /* X509_V_* */
	int depth;               /* of the error, in the path that OpenSSL built */
	bool ran;
	/* DANE-TA: the dates within which every certificate of the path is valid (T9) */
	int64_t valid_from, valid_until;
};

/* Verifies ctx->cert under the DANE records of ssl; 1 or 0 as X509_verify_cert(). */
int tls_check_run(struct chain_check *k, X509_STORE_CTX *ctx, SSL *ssl);
/* The same under HOST_PKIX: against the CAs and the name that ctx has. */
int tls_check_run_pkix(struct chain_check *k, X509_STORE_CTX *ctx);
/* Only keeps the served chain: policies without authentication. */
bool tls_check_keep_served(struct chain_check *k, X509_STORE_CTX *ctx);
void tls_check_reset(struct chain_check *k);

/* --- match.c --- */

/* Does the record's data equal this certificate (or its key, or a digest of either)? */
bool tls_match_record(const struct tlsa *rr, X509 *cert);
/* Index of the set's record with this content; -1 if there is none. */
int tls_match_index(const struct tlsa_set *set, uint8_t usage, uint8_t selector, uint8_t mtype,
		    struct slice data);
/* T3: some counting record matches a served certificate where its usage permits, or is a full
 * certificate or key that signed one. */
bool tls_match_any_served(const struct tlsa_set *set, STACK_OF(X509) * served);
/* The match that OpenSSL found, after a verification that succeeded. false: it found none. */
bool tls_match_found(SSL *ssl, X509 *leaf, const struct tls_terms *terms, struct tls_match *out);

/* --- verdict.c --- */

/* Why a verification ended as it did. REASON_OK only if it ran and OpenSSL was content. */
enum reason tls_verdict_reason(const struct chain_check *k, const struct tls_terms *terms);
/* One line about it, in mem; "" for REASON_OK. */
const char *tls_verdict_detail(struct arena *mem, enum reason r, const struct chain_check *k,
			       const struct tls_terms *terms);

/* --- facts.c --- */

/* Describes the chain into f->chain; leaves it empty when memory runs out. */
void tls_facts_chain(struct arena *mem, STACK_OF(X509) * served, struct tls_facts *f);
/* Adds the certificates themselves to a chain that was described. */
void tls_facts_keep_der(struct arena *mem, STACK_OF(X509) * served, struct tls_facts *f);
/* Subject (or issuer) as one line of RFC 2253. */
const char *tls_facts_name(struct arena *mem, const X509_NAME *name);
/* DNS names of the certificate, separated by blanks; "" if none. Octets outside a host name's
 * alphabet are shown as '?'. */
const char *tls_facts_dns_names(struct arena *mem, X509 *cert);
/* What a server with this key proves itself with; NULL gives TLS_CERT_ANY. */
enum tls_cert_kind tls_facts_key_kind(EVP_PKEY *key);
/* "RSA 2048", "EC P-256"; NULL gives "unknown". */
const char *tls_facts_key(struct arena *mem, EVP_PKEY *key);
int64_t tls_facts_time(const ASN1_TIME *t);
/* Version, cipher and group of a handshake that got so far. */
void tls_facts_protocol(SSL *ssl, struct tls_facts *f);

/* --- sessions.c --- */

/* What a resumed connection inherits (T9). What it points to is the holder's. */
struct session_proof {
	struct tls_match match; /* without record: the order of the records may change */
	struct slice data;      /* of the matched record */
	int64_t valid_from, valid_until;
	const struct tls_cert *chain; /* as served when it was new */
	size_t nchain;
};

/* A deep copy; false: out of memory. */
bool tls_proof_copy(struct arena *mem, const struct session_proof *from, struct session_proof *to);

struct session_table *tls_sessions_new(size_t max);
void tls_sessions_free(struct session_table **t);
/* The session under this key, if it may be used at `now`; *proof points into the table and is valid
 * until the table changes. */
SSL_SESSION *tls_sessions_find(struct session_table *t, const struct tls_terms_key *k, int64_t now,
			       const struct session_proof **proof);
/* Replaces what was there. The table takes its own references and copies. With a chain in the proof
 * the certificates of the session itself are not kept. */
void tls_sessions_put(struct session_table *t, const struct tls_terms_key *k, SSL_SESSION *s,
		      const struct session_proof *proof);
void tls_sessions_drop(struct session_table *t, const struct tls_terms_key *k);

/* --- chain.c --- */

struct tls_chain {
	STACK_OF(X509) * certs; /* leaf first, at least one */
};
/* With references of its own; NULL: none in it, or out of memory. */
struct tls_chain *tls_chain_of(STACK_OF(X509) * certs);

#endif
