/* SPDX-License-Identifier: MIT */
/*
 * tls: an operator's own keys and certificates (V3): what TLSA records are made of, and new keys.
 *
 * A source is the content of one PEM file: a chain, a certificate request, a private or a public
 * key. Nothing here reads or writes files. Private keys never leave a source again.
 */
#ifndef TLS_KEYS_H
#define TLS_KEYS_H

#include "tls/tls.h"

struct tls_source;

enum tls_source_kind {
	TLS_SOURCE_CHAIN,   /* certificates, leaf first; perhaps its private key too */
	TLS_SOURCE_REQUEST, /* PKCS #10 */
	TLS_SOURCE_PRIVATE,
	TLS_SOURCE_PUBLIC,
};

/* Looks for these in PEM text in the order above. NULL: `error` says why: nothing of that kind, a
 * password is needed, the key is not the certificate's ... */
struct tls_source *tls_source_from_pem(struct slice pem, char *error, size_t room);
/* From certificates as a server sent them, leaf first. */
struct tls_source *tls_source_from_der(const struct slice *der, size_t n, char *error, size_t room);
void tls_source_free(struct tls_source **s);

enum tls_source_kind tls_source_kind(const struct tls_source *s);
/* NULL unless it is a chain; lives as long as the source. */
const struct tls_chain *tls_source_chain(const struct tls_source *s);
/* Certificates of a chain; 1 for a bare key. */
size_t tls_source_count(const struct tls_source *s);
bool tls_source_is_ca(const struct tls_source *s, size_t at);
/* One line about certificate `at` or the key, in mem; NULL: out of memory. */
const char *tls_source_text(const struct tls_source *s, size_t at, struct arena *mem);
/* The leaf's only DNS name without a wildcard, in mem; NULL: it has none, or several. */
const char *tls_source_host(const struct tls_source *s, struct arena *mem);

/*
 * The TLSA record (RFC 6698 s2.1) of certificate `at` or of the key; like->usage, selector and
 * mtype say which form; the rest of *like is not looked at. Data goes to mem. false: `error` says
 * why, for instance selector 0 of something that is no certificate.
 */
bool tls_source_record(const struct tls_source *s, size_t at, const struct tlsa *like,
		       struct arena *mem, struct tlsa *out, char *error, size_t room);
/* Does the record match any certificate of the chain that its usage may match, or the key? Only
 * data are compared: names, dates and signatures are the verifier's. */
bool tls_source_matches(const struct tls_source *s, const struct tlsa *rr);
/* Of the key, or of the leaf's: TLS_CERT_ANY for another kind. */
enum tls_cert_kind tls_source_key_kind(const struct tls_source *s);

/* --- New keys --- */

enum tls_key_type { TLS_KEY_ECDSA_P256, TLS_KEY_RSA_2048, TLS_KEY_RSA_3072 };
bool tls_key_type_from_text(const char *text, enum tls_key_type *out);
const char *tls_key_type_name(enum tls_key_type t); /* "ecdsa", "rsa2048", "rsa3072" */

enum { TLS_KEY_PEM_MAX = 16384 };
/* A new private key in PEM form (PKCS #8), appended to `pem`. The caller wipes it. */
bool tls_key_make(enum tls_key_type t, struct buf *pem, char *error, size_t room);
/* A certificate request for these names, signed with the private key in key_pem; the first name is
 * also the subject's CN, where it fits (64 octets). */
bool tls_request_make(struct slice key_pem, const char *const *name, size_t n, struct buf *pem,
		      char *error, size_t room);

#endif
