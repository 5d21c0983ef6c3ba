/* SPDX-License-Identifier: MIT */
/*
 * The offline verifier: the verdict that a handshake would reach, without one.
 *
 * It prepares an SSL with the same code as a connection (tls_context_new(), tls_dane_load()), runs
 * the same check and explains it with the same words. Refuses to know the clock: the time is given.
 */
#include "tls/room.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <limits.h>

/* As ssl_verify_cert_chain() in OpenSSL prepares it for a client. */
static bool prepare(X509_STORE_CTX *ctx, X509_STORE *empty, const struct tls_chain *c, SSL *ssl,
		    int64_t at)
{
	if (X509_STORE_CTX_init(ctx, empty, sk_X509_value(c->certs, 0), c->certs) != 1)
		return false;
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_auth_level(param, SSL_get_security_level(ssl));
	X509_STORE_CTX_set0_dane(ctx, SSL_get0_dane(ssl));
	if (X509_STORE_CTX_set_default(ctx, "ssl_server") != 1 ||
	    X509_VERIFY_PARAM_set1(param, SSL_get0_param(ssl)) != 1)
		return false;
	X509_VERIFY_PARAM_set_time(param, at);
	return true;
}

static bool run(const struct tls_chain *c, SSL *ssl, int64_t at, struct chain_check *k)
{
	X509_STORE *empty = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool ok = empty != NULL && ctx != NULL && prepare(ctx, empty, c, ssl, at);
	if (ok)
		tls_check_run(k, ctx, ssl);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(empty);
	ERR_clear_error();
	return ok;
}

/* The name in a match points into the terms: the facts must not. */
static bool own_match(struct arena *mem, struct tls_match *m)
{
	if (m->name != NULL)
		m->name = arena_strdup(mem, m->name);
	return !mem->failed;
}

static struct tls_facts *report(struct arena *mem, SSL *ssl, const struct tls_chain *c,
				const struct tls_terms *terms, const struct chain_check *k)
{
	struct tls_facts *f = arena_alloc(mem, sizeof(*f));
	if (f == NULL)
		return NULL;
	f->reason = tls_verdict_reason(k, terms);
	f->x509_error = k->error;
	f->x509_depth = k->depth;
	f->x509_text = X509_verify_cert_error_string(k->error);
	f->version = f->cipher = f->group = "";
	if (f->reason == REASON_OK) {
		f->authenticated =
		    tls_match_found(ssl, sk_X509_value(c->certs, 0), terms, &f->match);
		if (!f->authenticated)
			f->reason = REASON_LOCAL_ERROR;
	}
	f->detail = tls_verdict_detail(mem, f->reason, k, terms);
	tls_facts_chain(mem, k->served, f);
	return own_match(mem, &f->match) && f->nchain > 0 ? f : NULL;
}

static struct tls_facts *verify(struct arena *mem, SSL *ssl, const struct tls_chain *c,
				const struct tls_terms *terms, int64_t at)
{
	char error[128];
	struct chain_check k = {0};
	struct tls_facts *f = NULL;
	if (!tls_dane_load(ssl, terms, error, sizeof(error)))
		return NULL;
	if (run(c, ssl, at, &k))
		f = report(mem, ssl, c, terms, &k);
	tls_check_reset(&k);
	return f;
}

const struct tls_facts *tls_verify(struct arena *mem, const struct tls_chain *c,
				   const struct tls_terms *terms, int64_t at)
{
	char error[128];
	SSL_CTX *ctx = tls_context_new(NULL, NULL, error, sizeof(error));
	SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;
	struct tls_facts *f = NULL;
	if (ssl != NULL)
		f = verify(mem, ssl, c, terms, at);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return f;
}

/* OpenSSL refuses a record for the same reasons (dane_tlsa_add()): both must say the same. */
static bool full_parses(const struct tlsa *rr)
{
	const unsigned char *p = rr->data.p, *end = rr->data.p + rr->data.n;
	bool ok = false;
	if (rr->selector == TLSA_CERT) {
		X509 *cert = d2i_X509(NULL, &p, (long)rr->data.n);
		ok = cert != NULL && p == end && X509_get0_pubkey(cert) != NULL;
		X509_free(cert);
	} else {
		EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)rr->data.n);
		ok = key != NULL && p == end;
		EVP_PKEY_free(key);
	}
	return ok;
}

/* Broken makes a record unusable, and a host whose records are all unusable is not authenticated: a
 * lack of memory must not look like it (T10). */
static enum tlsa_full try_full(const struct tlsa *rr)
{
	enum tlsa_full full = TLSA_FULL_BROKEN;
	ERR_clear_error();
	if (full_parses(rr))
		full = TLSA_FULL_PARSES;
	for (unsigned long e; (e = ERR_get_error()) != 0;) {
		if (full == TLSA_FULL_BROKEN && ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
			full = TLSA_FULL_UNKNOWN;
	}
	return full;
}

void tls_judge_full(struct tlsa *rr)
{
	if (rr->short_rdata || rr->mtype != TLSA_FULL || rr->selector > TLSA_SPKI)
		return;
	if (rr->data.n == 0 || rr->data.n > LONG_MAX) {
		rr->full = TLSA_FULL_BROKEN;
		return;
	}
	/* The library does not always say that it was memory: what is broken is so a second time.
	 */
	rr->full = try_full(rr);
	if (rr->full == TLSA_FULL_BROKEN)
		rr->full = try_full(rr);
}
