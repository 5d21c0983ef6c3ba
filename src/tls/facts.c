/* SPDX-License-Identifier: MIT */
/*
 * Certificates and connections described for people and for the audit (A1).
 *
 * Knows how OpenSSL spells things. Every string ends up on one line of printable ASCII: names in a
 * certificate are the peer's choice. Refuses to judge.
 */
#include "tls/room.h"

#include <openssl/ec.h>
#include <openssl/x509v3.h>

#include <string.h>
#include <time.h>

enum { SHA256_BYTES = 32 };

static const char *hex_of_digest(struct arena *mem, const uint8_t *der, size_t n)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char *hex = arena_alloc(mem, 2 * SHA256_BYTES + 1);
	if (hex == NULL || EVP_Digest(der, n, digest, NULL, EVP_sha256(), NULL) != 1)
		return "";
	hex_encode(slice_make(digest, SHA256_BYTES), hex);
	return hex;
}

static const char *hex_of_cert(struct arena *mem, X509 *cert)
{
	unsigned char *der = NULL;
	int n = i2d_X509(cert, &der);
	const char *hex = n > 0 ? hex_of_digest(mem, der, (size_t)n) : "";
	OPENSSL_free(der);
	return hex;
}

static const char *hex_of_key(struct arena *mem, X509 *cert)
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	const char *hex = n > 0 ? hex_of_digest(mem, der, (size_t)n) : "";
	OPENSSL_free(der);
	return hex;
}

const char *tls_facts_name(struct arena *mem, const X509_NAME *name)
{
	BIO *b = BIO_new(BIO_s_mem());
	if (b == NULL)
		return "";
	const char *text = NULL;
	char *p = NULL;
	if (X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253) >= 0) {
		long n = BIO_get_mem_data(b, &p);
		text = arena_str(mem, slice_make(p, n > 0 ? (size_t)n : 0));
	}
	BIO_free(b);
	return text != NULL ? text : "";
}

/* Wildcards and names with odd octets are shown; what could break a line or a word is not. */
static char shown(unsigned char c)
{
	return c > 0x20 && c < 0x7f ? (char)c : '?';
}

static size_t dns_names_length(const GENERAL_NAMES *names)
{
	size_t n = 1;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		if (g->type == GEN_DNS)
			n += (size_t)ASN1_STRING_length(g->d.dNSName) + 1;
	}
	return n;
}

static void dns_names_write(const GENERAL_NAMES *names, char *out)
{
	char *p = out;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		if (g->type != GEN_DNS)
			continue;
		if (p != out)
			*p++ = ' ';
		const unsigned char *s = ASN1_STRING_get0_data(g->d.dNSName);
		for (int j = 0; j < ASN1_STRING_length(g->d.dNSName); j++)
			*p++ = shown(s[j]);
	}
	*p = '\0';
}

const char *tls_facts_dns_names(struct arena *mem, X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	if (names == NULL)
		return "";
	char *out = arena_alloc(mem, dns_names_length(names));
	if (out != NULL)
		dns_names_write(names, out);
	GENERAL_NAMES_free(names);
	return out != NULL ? out : "";
}

static const char *group_text(int nid, const char *name)
{
	switch (nid) {
	case NID_X25519:
		return "x25519";
	case NID_X9_62_prime256v1:
		return "P-256";
	case NID_secp384r1:
		return "P-384";
	case NID_secp521r1:
		return "P-521";
	default:
		return name != NULL ? name : "";
	}
}

enum tls_cert_kind tls_facts_key_kind(EVP_PKEY *key)
{
	switch (key != NULL ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE) {
	case EVP_PKEY_RSA:
		return TLS_CERT_RSA;
	case EVP_PKEY_EC:
		return TLS_CERT_ECDSA;
	default:
		return TLS_CERT_ANY;
	}
}

const char *tls_facts_key(struct arena *mem, EVP_PKEY *key)
{
	if (key == NULL)
		return "unknown";
	char group[64] = "";
	const char *type = EVP_PKEY_get0_type_name(key);
	const char *text = NULL;
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_EC:
		EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
		text = arena_printf(mem, "EC %s", group_text(OBJ_sn2nid(group), group));
		break;
	case EVP_PKEY_RSA:
	case EVP_PKEY_DSA:
		text = arena_printf(mem, "%s %d", type, EVP_PKEY_get_bits(key));
		break;
	default:
		text = type != NULL ? arena_strdup(mem, type) : "unknown";
	}
	return text != NULL ? text : "";
}

int64_t tls_facts_time(const ASN1_TIME *t)
{
	struct tm tm = {0};
	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm);
}

static void facts_cert(struct arena *mem, X509 *cert, struct tls_cert *out)
{
	out->subject = tls_facts_name(mem, X509_get_subject_name(cert));
	out->issuer = tls_facts_name(mem, X509_get_issuer_name(cert));
	out->names = tls_facts_dns_names(mem, cert);
	out->sha256 = hex_of_cert(mem, cert);
	out->spki_sha256 = hex_of_key(mem, cert);
	out->key = tls_facts_key(mem, X509_get0_pubkey(cert));
	out->not_before = tls_facts_time(X509_get0_notBefore(cert));
	out->not_after = tls_facts_time(X509_get0_notAfter(cert));
}

void tls_facts_chain(struct arena *mem, STACK_OF(X509) * served, struct tls_facts *f)
{
	int n = served != NULL ? sk_X509_num(served) : 0;
	if (n <= 0)
		return;
	struct tls_cert *chain = arena_array(mem, (size_t)n, sizeof(*chain));
	if (chain == NULL)
		return;
	for (int i = 0; i < n; i++)
		facts_cert(mem, sk_X509_value(served, i), &chain[i]);
	if (mem->failed)
		return;
	f->chain = chain;
	f->nchain = (size_t)n;
}

void tls_facts_keep_der(struct arena *mem, STACK_OF(X509) * served, struct tls_facts *f)
{
	struct tls_cert *chain = unconst(f->chain);
	for (size_t i = 0; i < f->nchain; i++) {
		unsigned char *der = NULL;
		int n = i2d_X509(sk_X509_value(served, (int)i), &der);
		if (n > 0)
			chain[i].der = arena_bytes(mem, slice_make(der, (size_t)n));
		OPENSSL_free(der);
	}
}

/* TLS 1.2 without an ECDHE suite has no group. */
static const char *group_of(SSL *ssl)
{
	int nid = (int)SSL_get_negotiated_group(ssl);
	if (nid == NID_undef)
		return "";
	return group_text(nid, OBJ_nid2sn(nid));
}

void tls_facts_protocol(SSL *ssl, struct tls_facts *f)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	if (cipher == NULL)
		return;
	f->version = SSL_get_version(ssl);
	f->cipher = SSL_CIPHER_get_name(cipher);
	f->group = group_of(ssl);
}
