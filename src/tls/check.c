/* SPDX-License-Identifier: MIT */
/*
 * One X.509 verification under DANE: run OpenSSL's, keep what explains its result, and close the
 * one gap that OpenSSL leaves (see anchor_in_time()).
 *
 * The handshake's verify callback and the offline verifier both come here, so that they cannot
 * disagree. Refuses to know what a failure means (verdict.c) and which record matched (match.c).
 */
#include "tls/room.h"

#include <openssl/x509v3.h>

bool tls_check_keep_served(struct chain_check *k, X509_STORE_CTX *ctx)
{
	STACK_OF(X509) *served = X509_STORE_CTX_get0_untrusted(ctx);
	tls_check_reset(k);
	if (served == NULL)
		return true;
	k->served = X509_chain_up_ref(served);
	return k->served != NULL;
}

void tls_check_reset(struct chain_check *k)
{
	sk_X509_pop_free(k->served, X509_free);
	X509_free(k->culprit);
	*k = (struct chain_check){0};
}

static void keep_error(struct chain_check *k, X509_STORE_CTX *ctx)
{
	k->error = X509_STORE_CTX_get_error(ctx);
	k->depth = X509_STORE_CTX_get_error_depth(ctx);
	if (k->error == X509_V_OK)
		return;
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
	if (cert != NULL && X509_up_ref(cert))
		k->culprit = cert;
}

/* X509_V_OK, or what is wrong with the dates at the time this verification judges by: the one that
 * was set, else OpenSSL's clock. */
static int time_error(X509_STORE_CTX *ctx, X509 *cert)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	time_t at = X509_VERIFY_PARAM_get_time(param);
	bool set = (X509_VERIFY_PARAM_get_flags(param) & X509_V_FLAG_USE_CHECK_TIME) != 0;
	time_t *when = set ? &at : NULL;
	/* X509_cmp_time(): the date is before or equal (-1) or after (1) the time; 0: malformed. */
	int from = X509_cmp_time(X509_get0_notBefore(cert), when);
	if (from == 0)
		return X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD;
	if (from > 0)
		return X509_V_ERR_CERT_NOT_YET_VALID;
	int until = X509_cmp_time(X509_get0_notAfter(cert), when);
	if (until == 0)
		return X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD;
	return until < 0 ? X509_V_ERR_CERT_HAS_EXPIRED : X509_V_OK;
}

/*
 * OpenSSL 3.0 judges the dates of a trust anchor that issued itself but not of one that did not (an
 * intermediate that a 2 x x record names): internal_verify() starts below it. RFC 5280 s6.1.1 gives
 * an anchor no dates at all; RFC 7671 s5.2.1 has the client "apply any relevant constraints from
 * the trust anchor certificate". We hold every certificate from the leaf to the anchor to its dates
 * (T3), whoever issued the anchor. A bare key from the record has no dates.
 */
static bool anchor_in_time(struct chain_check *k, X509_STORE_CTX *ctx, X509 *anchor, int depth)
{
	int error = time_error(ctx, anchor);
	if (error == X509_V_OK)
		return true;
	X509_STORE_CTX_set_error(ctx, error);
	X509_STORE_CTX_set_error_depth(ctx, depth);
	X509_STORE_CTX_set_current_cert(ctx, anchor);
	keep_error(k, ctx);
	return false;
}

static void keep_dates(struct chain_check *k, X509_STORE_CTX *ctx)
{
	STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(ctx);
	for (int i = 0; i < sk_X509_num(path); i++) {
		int64_t from = tls_facts_time(X509_get0_notBefore(sk_X509_value(path, i)));
		int64_t until = tls_facts_time(X509_get0_notAfter(sk_X509_value(path, i)));
		if (from > k->valid_from)
			k->valid_from = from;
		if (until < k->valid_until)
			k->valid_until = until;
	}
}

/* After OpenSSL said yes: what it does not look at, and what a resumed session must know. */
static bool check_anchor(struct chain_check *k, X509_STORE_CTX *ctx, SSL *ssl)
{
	X509 *anchor = NULL;
	EVP_PKEY *key = NULL;
	uint8_t usage = 0;
	int depth = SSL_get0_dane_authority(ssl, &anchor, &key);
	if (depth < 0 || SSL_get0_dane_tlsa(ssl, &usage, NULL, NULL, NULL, NULL) < 0) {
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_DANE_NO_MATCH);
		keep_error(k, ctx);
		return false;
	}
	if (usage == TLSA_DANE_EE)
		return true;
	keep_dates(k, ctx);
	return anchor == NULL || anchor_in_time(k, ctx, anchor, depth);
}

static bool verify(struct chain_check *k, X509_STORE_CTX *ctx)
{
	if (!tls_check_keep_served(k, ctx)) {
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_OUT_OF_MEM);
		keep_error(k, ctx);
		return false;
	}
	k->ran = true;
	k->valid_from = INT64_MIN;
	k->valid_until = INT64_MAX;
	int ok = X509_verify_cert(ctx);
	if (ok <= 0 && X509_STORE_CTX_get_error(ctx) == X509_V_OK)
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_UNSPECIFIED);
	keep_error(k, ctx);
	return ok > 0 && k->error == X509_V_OK;
}

int tls_check_run(struct chain_check *k, X509_STORE_CTX *ctx, SSL *ssl)
{
	return verify(k, ctx) && check_anchor(k, ctx, ssl) ? 1 : 0;
}

int tls_check_run_pkix(struct chain_check *k, X509_STORE_CTX *ctx)
{
	return verify(k, ctx) ? 1 : 0;
}
