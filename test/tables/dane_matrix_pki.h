/* SPDX-License-Identifier: MIT */
/* A toy CA for the TLS tests: keys and certificates with any fault one likes. Aborts on errors. */
#ifndef TEST_DANE_MATRIX_PKI_H
#define TEST_DANE_MATRIX_PKI_H

#include "wire/tlsa.h"

#include <openssl/x509.h>

enum pki_key { PKI_P256, PKI_P384, PKI_RSA2048, PKI_RSA1024, PKI_RSA512, PKI_ED25519 };
EVP_PKEY *pki_key(enum pki_key kind);

struct pki_spec {
	const char *cn;
	const char *san;         /* OpenSSL's form, "DNS:a,DNS:b"; NULL: none */
	int64_t from, until;     /* seconds since the epoch */
	const char *basic;       /* basicConstraints, NULL: none */
	const char *usage;       /* keyUsage, NULL: none */
	const char *extended;    /* extendedKeyUsage, NULL: none */
	const char *constraints; /* nameConstraints, NULL: none */
	bool sha1;
};
/* issuer NULL: self-signed with `key`. */
X509 *pki_issue(const struct pki_spec *s, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key);

/* The content of a TLSA record for a certificate, computed here and not by the code under test.
 * Returns its length; `out` has PKI_DATA_MAX octets. */
enum { PKI_DATA_MAX = 4096 };
size_t pki_tlsa_data(X509 *cert, uint8_t selector, uint8_t mtype, uint8_t *out);
/* A whole record over `store`. */
struct tlsa pki_tlsa(uint8_t usage, uint8_t selector, uint8_t mtype, X509 *cert, uint8_t *store);

#endif
