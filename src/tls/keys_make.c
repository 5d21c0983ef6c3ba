/* SPDX-License-Identifier: MIT */
/*
 * New private keys, and certificate requests for them.
 *
 * Knows which keys mail servers and clients agree on. Refuses to know where they are kept: the text
 * goes to the caller, who writes it where only the server can read it.
 */
#include "tls/keys.h"

#include "tls/room.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char *const types[] = {
    [TLS_KEY_ECDSA_P256] = "ecdsa", [TLS_KEY_RSA_2048] = "rsa2048", [TLS_KEY_RSA_3072] = "rsa3072"};
enum { NTYPES = sizeof(types) / sizeof(types[0]) };

bool tls_key_type_from_text(const char *text, enum tls_key_type *out)
{
	for (int i = 0; i < NTYPES; i++) {
		if (strcmp(types[i], text) == 0) {
			*out = (enum tls_key_type)i;
			return true;
		}
	}
	return false;
}

const char *tls_key_type_name(enum tls_key_type t)
{
	return types[t];
}

static EVP_PKEY *generate(enum tls_key_type t)
{
	switch (t) {
	case TLS_KEY_ECDSA_P256:
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	case TLS_KEY_RSA_2048:
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	case TLS_KEY_RSA_3072:
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)3072);
	}
	return NULL;
}

static bool take_text(BIO *from, struct buf *to)
{
	char *p = NULL;
	long n = BIO_get_mem_data(from, &p);
	if (n <= 0)
		return false;
	buf_add(to, p, (size_t)n);
	return buf_ok(to);
}

bool tls_key_make(enum tls_key_type t, struct buf *pem, char *error, size_t room)
{
	ERR_clear_error();
	EVP_PKEY *key = generate(t);
	BIO *out = BIO_new(BIO_s_secmem());
	/* One piece of memory, so that the caller's wiping leaves no copy behind. */
	bool ok = key != NULL && out != NULL && buf_reserve(pem, TLS_KEY_PEM_MAX / 2) != NULL &&
		  PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		  take_text(out, pem);
	if (!ok)
		tls_openssl_error("cannot make a private key", error, room);
	BIO_free(out);
	EVP_PKEY_free(key);
	return ok;
}

/* --- Requests (RFC 2986) --- */

static int never(char *out, int room, int writing, void *arg)
{
	(void)out;
	(void)room;
	(void)writing;
	(void)arg;
	return -1;
}

static bool add_names(X509_REQ *r, const char *const *name, size_t n)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	STACK_OF(X509_EXTENSION) *all = NULL;
	bool ok = names != NULL;
	for (size_t i = 0; i < n && ok; i++) {
		GENERAL_NAME *g = GENERAL_NAME_new();
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();
		ok = g != NULL && text != NULL && ASN1_STRING_set(text, name[i], -1) == 1;
		if (!ok) {
			ASN1_IA5STRING_free(text);
			GENERAL_NAME_free(g);
			break;
		}
		GENERAL_NAME_set0_value(g, GEN_DNS, text);
		ok = sk_GENERAL_NAME_push(names, g) > 0;
		if (!ok)
			GENERAL_NAME_free(g);
	}
	ok = ok && X509V3_add1_i2d(&all, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND) == 1 &&
	     X509_REQ_add_extensions(r, all) == 1;
	sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
	GENERAL_NAMES_free(names);
	return ok;
}

/* The CN is a habit of CAs; it has a limit of its own (RFC 5280 appendix A.1, ub-common-name). */
static bool add_subject(X509_REQ *r, const char *name)
{
	enum { COMMON_NAME_MAX = 64 };
	if (strlen(name) > COMMON_NAME_MAX)
		return true;
	return X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(r), NID_commonName,
					  MBSTRING_ASC, (const unsigned char *)name, -1, -1,
					  0) == 1;
}

bool tls_request_make(struct slice key_pem, const char *const *name, size_t n, struct buf *pem,
		      char *error, size_t room)
{
	ERR_clear_error();
	BIO *in = key_pem.n <= INT_MAX ? BIO_new_mem_buf(key_pem.p, (int)key_pem.n) : NULL;
	BIO *out = BIO_new(BIO_s_mem());
	EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, never, NULL) : NULL;
	X509_REQ *r = X509_REQ_new();
	bool ok = n > 0 && key != NULL && out != NULL && r != NULL &&
		  X509_REQ_set_version(r, X509_REQ_VERSION_1) == 1 && add_subject(r, name[0]) &&
		  add_names(r, name, n) && X509_REQ_set_pubkey(r, key) == 1 &&
		  X509_REQ_sign(r, key, EVP_sha256()) > 0 && PEM_write_bio_X509_REQ(out, r) == 1 &&
		  take_text(out, pem);
	if (!ok)
		tls_openssl_error("cannot make a certificate request", error, room);
	X509_REQ_free(r);
	EVP_PKEY_free(key);
	BIO_free(out);
	BIO_free(in);
	return ok;
}
