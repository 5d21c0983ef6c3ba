/* SPDX-License-Identifier: MIT */
/*
 * What TLSA records are made of: certificates, requests and keys from PEM text.
 *
 * Knows OpenSSL's encodings. Refuses to know files, and which record an operator should publish.
 */
#include "tls/keys.h"

#include "tls/room.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls_source {
	enum tls_source_kind kind;
	struct tls_chain *chain; /* TLS_SOURCE_CHAIN */
	EVP_PKEY *key;           /* the others */
};

/* --- Reading --- */

/* OpenSSL's default would ask on the terminal. */
static int no_password(char *out, int room, int writing, void *arg)
{
	bool *asked = arg;
	(void)out;
	(void)room;
	(void)writing;
	*asked = true;
	return -1;
}

static bool has_block(struct slice pem, const char *label)
{
	return pem.n > 0 && memmem(pem.p, pem.n, label, strlen(label)) != NULL;
}

static bool has_private(struct slice pem)
{
	return has_block(pem, "PRIVATE KEY-----");
}

static EVP_PKEY *read_private(struct slice pem, char *error, size_t room)
{
	bool asked = false;
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_password, &asked) : NULL;
	BIO_free(in);
	if (key == NULL && asked)
		snprintf(error, room, "the private key is protected by a password");
	else if (key == NULL)
		tls_openssl_error("the private key does not parse", error, room);
	return key;
}

static EVP_PKEY *read_request(struct slice pem, char *error, size_t room)
{
	bool asked = false;
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509_REQ *request =
	    in != NULL ? PEM_read_bio_X509_REQ(in, NULL, no_password, &asked) : NULL;
	EVP_PKEY *key = request != NULL ? X509_REQ_get_pubkey(request) : NULL;
	if (key == NULL)
		tls_openssl_error("the certificate request does not parse", error, room);
	X509_REQ_free(request);
	BIO_free(in);
	return key;
}

static EVP_PKEY *read_public(struct slice pem, char *error, size_t room)
{
	bool asked = false;
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = in != NULL ? PEM_read_bio_PUBKEY(in, NULL, no_password, &asked) : NULL;
	if (key == NULL)
		tls_openssl_error("the public key does not parse", error, room);
	BIO_free(in);
	return key;
}

/* A file with certificate and key must be of one piece. A key with a password is not looked at. */
static bool key_belongs(const struct tls_chain *c, struct slice pem, char *error, size_t room)
{
	char ignored[128];
	EVP_PKEY *key = has_private(pem) ? read_private(pem, ignored, sizeof(ignored)) : NULL;
	bool ok = key == NULL || X509_check_private_key(sk_X509_value(c->certs, 0), key) == 1;
	if (!ok)
		snprintf(error, room,
			 "the private key is not that of the first certificate: the server's own "
			 "certificate comes first");
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}

static bool fill(struct tls_source *s, struct slice pem, char *error, size_t room)
{
	bool request = has_block(pem, "CERTIFICATE REQUEST-----");
	if (has_block(pem, "BEGIN CERTIFICATE-----") ||
	    has_block(pem, "BEGIN TRUSTED CERTIFICATE-----")) {
		s->kind = TLS_SOURCE_CHAIN;
		s->chain = tls_chain_from_pem(pem, error, room);
		return s->chain != NULL && key_belongs(s->chain, pem, error, room);
	}
	if (request) {
		s->kind = TLS_SOURCE_REQUEST;
		s->key = read_request(pem, error, room);
	} else if (has_private(pem)) {
		s->kind = TLS_SOURCE_PRIVATE;
		s->key = read_private(pem, error, room);
	} else if (has_block(pem, "PUBLIC KEY-----")) {
		s->kind = TLS_SOURCE_PUBLIC;
		s->key = read_public(pem, error, room);
	} else {
		snprintf(error, room,
			 "no certificate, certificate request or key in PEM form in the text");
	}
	return s->key != NULL;
}

struct tls_source *tls_source_from_pem(struct slice pem, char *error, size_t room)
{
	struct tls_source *s = pem.n <= INT_MAX ? calloc(1, sizeof(*s)) : NULL;
	ERR_clear_error();
	if (s == NULL)
		snprintf(error, room, "out of memory");
	else if (!fill(s, pem, error, room))
		tls_source_free(&s);
	ERR_clear_error();
	return s;
}

struct tls_source *tls_source_from_der(const struct slice *der, size_t n, char *error, size_t room)
{
	struct tls_source *s = calloc(1, sizeof(*s));
	if (s == NULL) {
		snprintf(error, room, "out of memory");
		return NULL;
	}
	s->kind = TLS_SOURCE_CHAIN;
	s->chain = tls_chain_from_der(der, n, error, room);
	if (s->chain == NULL)
		tls_source_free(&s);
	return s;
}

void tls_source_free(struct tls_source **s)
{
	if (*s == NULL)
		return;
	tls_chain_free(&(*s)->chain);
	EVP_PKEY_free((*s)->key);
	free(*s);
	*s = NULL;
}

/* --- Looking --- */

static X509 *cert_at(const struct tls_source *s, size_t at)
{
	return s->chain != NULL && at <= INT_MAX ? sk_X509_value(s->chain->certs, (int)at) : NULL;
}

/* Not owned; NULL: a certificate with a key that OpenSSL does not know. */
static EVP_PKEY *key_at(const struct tls_source *s, size_t at)
{
	X509 *cert = cert_at(s, at);
	return cert != NULL ? X509_get0_pubkey(cert) : s->key;
}

enum tls_source_kind tls_source_kind(const struct tls_source *s)
{
	return s->kind;
}

const struct tls_chain *tls_source_chain(const struct tls_source *s)
{
	return s->chain;
}

size_t tls_source_count(const struct tls_source *s)
{
	return s->chain != NULL ? (size_t)sk_X509_num(s->chain->certs) : 1;
}

bool tls_source_is_ca(const struct tls_source *s, size_t at)
{
	X509 *cert = cert_at(s, at);
	return cert != NULL && X509_check_ca(cert) > 0;
}

const char *tls_source_text(const struct tls_source *s, size_t at, struct arena *mem)
{
	static const char *const kinds[] = {[TLS_SOURCE_CHAIN] = "certificate",
					    [TLS_SOURCE_REQUEST] = "certificate request",
					    [TLS_SOURCE_PRIVATE] = "private key",
					    [TLS_SOURCE_PUBLIC] = "public key"};
	X509 *cert = cert_at(s, at);
	const char *key = tls_facts_key(mem, key_at(s, at));
	if (cert == NULL)
		return arena_printf(mem, "%s, %s", kinds[s->kind], key);
	const char *names = tls_facts_dns_names(mem, cert);
	return arena_printf(mem, "%s %s%s%s, %s",
			    at > 0 && tls_source_is_ca(s, at) ? "CA" : kinds[s->kind],
			    tls_facts_name(mem, X509_get_subject_name(cert)),
			    names[0] != '\0' ? " for " : "", names, key);
}

const char *tls_source_host(const struct tls_source *s, struct arena *mem)
{
	X509 *cert = cert_at(s, 0);
	const char *names = cert != NULL ? tls_facts_dns_names(mem, cert) : "";
	return names[0] != '\0' && strpbrk(names, " *?") == NULL ? names : NULL;
}

/* --- Records --- */

static bool put_data(const struct tlsa *like, const uint8_t *der, size_t n, struct arena *mem,
		     struct tlsa *out)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	*out =
	    (struct tlsa){.usage = like->usage, .selector = like->selector, .mtype = like->mtype};
	if (like->mtype == TLSA_FULL) {
		out->full = TLSA_FULL_PARSES;
		out->data = arena_bytes(mem, slice_make(der, n));
		return out->data.p != NULL;
	}
	const EVP_MD *md = like->mtype == TLSA_SHA256 ? EVP_sha256() : EVP_sha512();
	if (EVP_Digest(der, n, digest, &len, md, NULL) != 1)
		return false;
	out->data = arena_bytes(mem, slice_make(digest, len));
	return out->data.p != NULL;
}

/* DER of what the selector names; OPENSSL_free() it. */
static int encode(const struct tls_source *s, size_t at, uint8_t selector, unsigned char **der)
{
	X509 *cert = cert_at(s, at);
	if (selector == TLSA_CERT)
		return cert != NULL ? i2d_X509(cert, der) : -1;
	/* As it stands in the certificate: an encoding of our own might differ. */
	return cert != NULL ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), der)
			    : i2d_PUBKEY(s->key, der);
}

bool tls_source_record(const struct tls_source *s, size_t at, const struct tlsa *like,
		       struct arena *mem, struct tlsa *out, char *error, size_t room)
{
	unsigned char *der = NULL;
	if (like->selector == TLSA_CERT && s->chain == NULL) {
		snprintf(error, room,
			 "selector 0 is about the whole certificate, and this is none; use "
			 "selector 1");
		return false;
	}
	if (like->selector > TLSA_SPKI || like->mtype > TLSA_SHA512 || at >= tls_source_count(s)) {
		snprintf(error, room, "selector 0 or 1, matching type 0, 1 or 2");
		return false;
	}
	int n = encode(s, at, like->selector, &der);
	bool ok = n > 0 && put_data(like, der, (size_t)n, mem, out);
	OPENSSL_free(der);
	if (!ok)
		tls_openssl_error("the TLS library cannot encode it", error, room);
	ERR_clear_error();
	return ok;
}

static bool matches_key(const struct tls_source *s, const struct tlsa *rr, struct arena *mem)
{
	struct tlsa made;
	char error[128];
	return rr->selector == TLSA_SPKI && rr->mtype <= TLSA_SHA512 &&
	       tls_source_record(s, 0, rr, mem, &made, error, sizeof(error)) &&
	       slice_eq(made.data, rr->data);
}

bool tls_source_matches(const struct tls_source *s, const struct tlsa *rr)
{
	if (rr->short_rdata)
		return false;
	if (s->chain == NULL) {
		struct arena mem;
		arena_init(&mem, TLS_KEY_PEM_MAX);
		bool yes = rr->usage == TLSA_DANE_EE && matches_key(s, rr, &mem);
		arena_free(&mem);
		return yes;
	}
	size_t n = rr->usage == TLSA_DANE_EE ? 1 : tls_source_count(s);
	for (size_t i = 0; i < n; i++) {
		if (tls_match_record(rr, cert_at(s, i)))
			return true;
	}
	return false;
}

enum tls_cert_kind tls_source_key_kind(const struct tls_source *s)
{
	return tls_facts_key_kind(key_at(s, 0));
}
