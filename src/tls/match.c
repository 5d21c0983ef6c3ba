/* SPDX-License-Identifier: MIT */
/*
 * TLSA records against certificates: which record matches what (RFC 6698 s2.1, RFC 7671 s5).
 *
 * OpenSSL decides who is authenticated. This file only explains: which record of the set it was,
 * and, after a failure, whether any record matched a certificate at a depth its usage permits.
 * Refuses to know names and dates.
 */
#include "tls/room.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

/*
 * Explaining a failure must not cost more than the handshake: a hostile domain can publish
 * thousands of records and serve a hundred certificates. Beyond these limits the verdict is only
 * less specific (tlsa-invalid).
 */
enum {
	SERVED_TRIED_MAX = 16,    /* certificates compared with each record; no path is longer */
	SIGNATURES_TRIED_MAX = 64 /* of full anchors over served certificates */
};

static bool match_data(const struct tlsa *rr, const uint8_t *der, size_t n)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	const EVP_MD *md = NULL;
	switch (rr->mtype) {
	case TLSA_FULL:
		return slice_eq(rr->data, slice_make(der, n));
	case TLSA_SHA256:
		md = EVP_sha256();
		break;
	case TLSA_SHA512:
		md = EVP_sha512();
		break;
	default:
		return false;
	}
	return EVP_Digest(der, n, digest, &len, md, NULL) == 1 &&
	       slice_eq(rr->data, slice_make(digest, len));
}

bool tls_match_record(const struct tlsa *rr, X509 *cert)
{
	unsigned char *der = NULL;
	int n = -1;
	if (rr->selector == TLSA_CERT)
		n = i2d_X509(cert, &der);
	else if (rr->selector == TLSA_SPKI)
		n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	bool same = n > 0 && match_data(rr, der, (size_t)n);
	OPENSSL_free(der);
	return same;
}

int tls_match_index(const struct tlsa_set *set, uint8_t usage, uint8_t selector, uint8_t mtype,
		    struct slice data)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct tlsa_entry *e = &set->entry[i];
		if (e->use == TLSA_COUNTS && e->rr.usage == usage && e->rr.selector == selector &&
		    e->rr.mtype == mtype && slice_eq(e->rr.data, data))
			return (int)i;
	}
	return -1;
}

/* The key of a "2 0 0" or "2 1 0" record; the caller frees it. */
static EVP_PKEY *full_key(const struct tlsa *rr)
{
	const unsigned char *p = rr->data.p;
	if (rr->mtype != TLSA_FULL)
		return NULL;
	if (rr->selector == TLSA_SPKI)
		return d2i_PUBKEY(NULL, &p, (long)rr->data.n);
	X509 *cert = d2i_X509(NULL, &p, (long)rr->data.n);
	EVP_PKEY *key = cert != NULL ? X509_get_pubkey(cert) : NULL;
	X509_free(cert);
	return key;
}

/*
 * RFC 7671 s5.2.2: a trust anchor may be given in full in the record instead of in the chain. The
 * leaf's own certificate is none, even if it signed itself ("2 0 0" with a self-signed leaf:
 * OpenSSL refuses it); the bare key of a self-signed leaf ("2 1 0") did sign the topmost
 * certificate, and OpenSSL takes it.
 */
static bool full_anchor_signed(const struct tlsa *rr, STACK_OF(X509) * served, int *tries)
{
	if (rr->selector == TLSA_CERT && tls_match_record(rr, sk_X509_value(served, 0)))
		return false;
	EVP_PKEY *key = full_key(rr);
	bool yes = false;
	for (int i = 0; key != NULL && i < sk_X509_num(served) && !yes && (*tries)-- > 0; i++)
		yes = X509_verify(sk_X509_value(served, i), key) == 1;
	EVP_PKEY_free(key);
	ERR_clear_error();
	return yes;
}

static bool match_served(const struct tlsa *rr, STACK_OF(X509) * served, int *tries, int *depth)
{
	int n = sk_X509_num(served) < SERVED_TRIED_MAX ? sk_X509_num(served) : SERVED_TRIED_MAX;
	*depth = 0;
	if (rr->usage == TLSA_DANE_EE)
		return n > 0 && tls_match_record(rr, sk_X509_value(served, 0));
	if (rr->usage != TLSA_DANE_TA)
		return false;
	for (*depth = 1; *depth < n; ++*depth) {
		X509 *cert = sk_X509_value(served, *depth);
		/* A leaf that is served twice is still no CA above the leaf. */
		if (X509_cmp(cert, sk_X509_value(served, 0)) != 0 && tls_match_record(rr, cert))
			return true;
	}
	*depth = -1;
	return rr->mtype == TLSA_FULL && full_anchor_signed(rr, served, tries);
}

bool tls_chain_matches(const struct tls_chain *c, const struct tlsa *rr, int *depth)
{
	int tries = SIGNATURES_TRIED_MAX;
	return !rr->short_rdata && match_served(rr, c->certs, &tries, depth);
}

bool tls_match_any_served(const struct tlsa_set *set, STACK_OF(X509) * served)
{
	int tries = SIGNATURES_TRIED_MAX, depth;
	for (size_t i = 0; set != NULL && served != NULL && i < set->n; i++) {
		if (set->entry[i].use == TLSA_COUNTS &&
		    match_served(&set->entry[i].rr, served, &tries, &depth))
			return true;
	}
	return false;
}

/* SSL_get0_peername() would give the name in the certificate ("*.example.org"); the audit wants the
 * reference name that it satisfied. The order is the one in which OpenSSL tried them. */
static const char *matched_name(X509 *leaf, const struct tls_terms *terms)
{
	for (size_t i = 0; leaf != NULL && i < terms->nreference_names; i++) {
		if (X509_check_host(leaf, terms->reference_names[i], 0,
				    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1)
			return terms->reference_names[i];
	}
	return NULL;
}

bool tls_match_found(SSL *ssl, X509 *leaf, const struct tls_terms *terms, struct tls_match *out)
{
	X509 *cert = NULL;
	EVP_PKEY *key = NULL;
	int depth = SSL_get0_dane_authority(ssl, &cert, &key);
	if (depth < 0 || (cert == NULL && key == NULL))
		return false;
	uint8_t usage = 0, selector = 0, mtype = 0;
	const unsigned char *data = NULL;
	size_t n = 0;
	if (SSL_get0_dane_tlsa(ssl, &usage, &selector, &mtype, &data, &n) < 0 || data == NULL)
		return false;
	*out = (struct tls_match){
	    .present = true,
	    .usage = usage,
	    .selector = selector,
	    .mtype = mtype,
	    .record = tls_match_index(terms->tlsa, usage, selector, mtype, slice_make(data, n)),
	    .depth = cert != NULL ? depth : -1,
	    .name = usage == TLSA_DANE_TA ? matched_name(leaf, terms) : NULL,
	};
	return out->record >= 0;
}
