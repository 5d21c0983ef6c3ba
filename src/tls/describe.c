/* SPDX-License-Identifier: MIT */
/*
 * What a server should know of its own chain before others look at it (V1): names, order, strength,
 * and whether its CA is one that issues to everybody.
 *
 * Knows certificates. Refuses to know TLSA records (match.c) and what follows from any of it.
 */
#include "tls/room.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdlib.h>
#include <string.h>

#define CA_BUNDLE "/etc/ssl/certs/ca-certificates.crt"

enum { SECURITY_BITS_MIN = 112 }; /* RFC 9325 s4.5: RSA 2048, P-224 and up */

/* Names and key identifiers: whether the issuer may issue is not a matter of order. */
static bool issued_by(X509 *issuer, X509 *cert)
{
	int e = X509_check_issued(issuer, cert);
	ERR_clear_error();
	return e != X509_V_ERR_SUBJECT_ISSUER_MISMATCH && e != X509_V_ERR_AKID_SKID_MISMATCH &&
	       e != X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH;
}

static int disorder_of(STACK_OF(X509) * certs)
{
	int at = -1;
	for (int i = 0; i + 1 < sk_X509_num(certs) && at < 0; i++) {
		if (!issued_by(sk_X509_value(certs, i + 1), sk_X509_value(certs, i)))
			at = i;
	}
	return at;
}

static const char *weakness_of(struct arena *mem, X509 *cert, const struct tls_cert *facts)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	int digest = NID_undef, bits = 0;
	if (key == NULL || EVP_PKEY_get_security_bits(key) < SECURITY_BITS_MIN)
		return arena_printf(mem, "the key of %s (%s) is too weak", facts->subject,
				    facts->key);
	/* The signature of a certificate that signed itself says nothing. */
	if (issued_by(cert, cert) || X509_get_signature_info(cert, &digest, NULL, &bits, NULL) != 1)
		return NULL;
	if (digest == NID_sha1 || digest == NID_md5)
		return arena_printf(mem, "%s is signed with %s", facts->subject,
				    digest == NID_sha1 ? "SHA-1" : "MD5");
	return NULL;
}

static const char *weakest(struct arena *mem, STACK_OF(X509) * certs, const struct tls_facts *f)
{
	const char *weak = NULL;
	for (size_t i = 0; i < f->nchain && weak == NULL; i++)
		weak = weakness_of(mem, sk_X509_value(certs, (int)i), &f->chain[i]);
	ERR_clear_error();
	return weak;
}

bool tls_chain_describe(struct arena *mem, const struct tls_chain *c, const char *name,
			struct tls_chain_facts *out)
{
	struct tls_facts f = {0};
	X509 *leaf = sk_X509_value(c->certs, 0);
	X509 *last = sk_X509_value(c->certs, sk_X509_num(c->certs) - 1);
	tls_facts_chain(mem, c->certs, &f);
	*out = (struct tls_chain_facts){
	    .cert = f.chain,
	    .ncert = f.nchain,
	    .kind = tls_facts_key_kind(X509_get0_pubkey(leaf)),
	    .named =
		X509_check_host(leaf, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1,
	    .disorder = disorder_of(c->certs),
	    .complete = issued_by(last, last),
	    .weak = weakest(mem, c->certs, &f),
	};
	ERR_clear_error();
	return f.nchain > 0 && !mem->failed;
}

bool tls_chain_equal(const struct tls_chain *a, const struct tls_chain *b)
{
	bool same = sk_X509_num(a->certs) == sk_X509_num(b->certs);
	for (int i = 0; same && i < sk_X509_num(a->certs); i++)
		same = X509_cmp(sk_X509_value(a->certs, i), sk_X509_value(b->certs, i)) == 0;
	return same;
}

/* --- CAs that issue to the public --- */

struct tls_cas {
	X509_STORE *store;
};

struct tls_cas *tls_cas_load(void)
{
	struct tls_cas *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->store = X509_STORE_new();
	/* The bundle besides: a process that may open no file later has all of them at once. */
	if (c->store == NULL || X509_STORE_set_default_paths(c->store) != 1)
		tls_cas_free(&c);
	else if (secure_getenv("SSL_CERT_FILE") == NULL)
		(void)X509_STORE_load_file(c->store, CA_BUNDLE);
	ERR_clear_error();
	return c;
}

void tls_cas_free(struct tls_cas **c)
{
	if (*c == NULL)
		return;
	X509_STORE_free((*c)->store);
	free(*c);
	*c = NULL;
}

bool tls_cas_know(const struct tls_cas *cas, const struct tls_chain *c, int depth, int64_t at)
{
	X509 *cert = depth > 0 ? sk_X509_value(c->certs, depth) : NULL;
	X509_STORE_CTX *ctx = cas != NULL && cert != NULL ? X509_STORE_CTX_new() : NULL;
	bool known = ctx != NULL && X509_STORE_CTX_init(ctx, cas->store, cert, c->certs) == 1;
	if (known) {
		X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), at);
		known = X509_verify_cert(ctx) == 1;
	}
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return known;
}
