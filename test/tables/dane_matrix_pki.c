/* SPDX-License-Identifier: MIT */
/* See dane_matrix_pki.h. Knows OpenSSL's X.509 writing side; nothing of ours. */
#include "dane_matrix_pki.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pki: %s\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

EVP_PKEY *pki_key(enum pki_key kind)
{
	EVP_PKEY *k = NULL;
	switch (kind) {
	case PKI_P256:
		k = EVP_EC_gen("P-256");
		break;
	case PKI_P384:
		k = EVP_EC_gen("P-384");
		break;
	case PKI_RSA2048:
		k = EVP_RSA_gen(2048);
		break;
	case PKI_RSA1024:
		k = EVP_RSA_gen(1024);
		break;
	case PKI_RSA512:
		k = EVP_RSA_gen(512);
		break;
	case PKI_ED25519:
		k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		break;
	}
	must(k != NULL, "key");
	return k;
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	if (value == NULL)
		return;
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	must(e != NULL && X509_add_ext(x, e, -1) == 1, value);
	X509_EXTENSION_free(e);
}

static void set_names(X509 *x, const char *cn, X509 *issuer)
{
	X509_NAME *name = X509_get_subject_name(x);
	if (cn != NULL)
		must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
						(const unsigned char *)cn, -1, -1, 0) == 1,
		     "name");
	must(X509_set_issuer_name(x, issuer != NULL ? X509_get_subject_name(issuer) : name) == 1,
	     "issuer");
}

static void set_serial(X509 *x)
{
	ASN1_INTEGER *serial = X509_get_serialNumber(x);
	BIGNUM *n = BN_new();
	must(n != NULL && BN_rand(n, 63, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
		 BN_to_ASN1_INTEGER(n, serial) != NULL,
	     "serial");
	BN_free(n);
}

X509 *pki_issue(const struct pki_spec *s, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *x = X509_new();
	must(x != NULL && X509_set_version(x, X509_VERSION_3) == 1, "certificate");
	set_serial(x);
	set_names(x, s->cn, issuer);
	must(ASN1_TIME_set(X509_getm_notBefore(x), (time_t)s->from) != NULL &&
		 ASN1_TIME_set(X509_getm_notAfter(x), (time_t)s->until) != NULL,
	     "dates");
	must(X509_set_pubkey(x, key) == 1, "public key");
	add_extension(x, issuer != NULL ? issuer : x, NID_basic_constraints, s->basic);
	add_extension(x, issuer != NULL ? issuer : x, NID_key_usage, s->usage);
	add_extension(x, issuer != NULL ? issuer : x, NID_ext_key_usage, s->extended);
	add_extension(x, issuer != NULL ? issuer : x, NID_name_constraints, s->constraints);
	add_extension(x, issuer != NULL ? issuer : x, NID_subject_key_identifier, "hash");
	if (issuer != NULL)
		add_extension(x, issuer, NID_authority_key_identifier, "keyid");
	add_extension(x, issuer != NULL ? issuer : x, NID_subject_alt_name, s->san);
	EVP_PKEY *signer = issuer != NULL ? issuer_key : key;
	const EVP_MD *md = s->sha1 ? EVP_sha1() : EVP_sha256();
	if (EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519)
		md = NULL;
	must(X509_sign(x, signer, md) > 0, "signature");
	return x;
}

size_t pki_tlsa_data(X509 *cert, uint8_t selector, uint8_t mtype, uint8_t *out)
{
	unsigned char *der = NULL;
	int n = selector == TLSA_CERT ? i2d_X509(cert, &der)
				      : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	must(n > 0 && n <= PKI_DATA_MAX, "DER");
	unsigned int len = (unsigned int)n;
	if (mtype == TLSA_FULL)
		memcpy(out, der, (size_t)n);
	else
		must(EVP_Digest(der, (size_t)n, out, &len,
				mtype == TLSA_SHA256 ? EVP_sha256() : EVP_sha512(), NULL) == 1,
		     "digest");
	OPENSSL_free(der);
	return len;
}

struct tlsa pki_tlsa(uint8_t usage, uint8_t selector, uint8_t mtype, X509 *cert, uint8_t *store)
{
	size_t n = pki_tlsa_data(cert, selector, mtype, store);
	return (struct tlsa){.usage = usage,
			     .selector = selector,
			     .mtype = mtype,
			     .full = mtype == TLSA_FULL ? TLSA_FULL_PARSES : TLSA_FULL_UNKNOWN,
			     .data = {.p = store, .n = n}};
}
