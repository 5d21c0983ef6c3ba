/* SPDX-License-Identifier: MIT */
/*
 * Terms into an SSL: reference names, SNI and the counting TLSA records, by OpenSSL's SSL_dane_*.
 *
 * Knows RFC 7671 s5 and RFC 7672 s3 as far as OpenSSL must be told about them. Refuses to know
 * which records are usable (src/dane decides) and to go on when OpenSSL refuses one of them (T10).
 */
#include "tls/room.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdio.h>

/* RFC 7671 s9: SHA2-512 is the stronger digest. */
enum { ORDINAL_SHA256 = 1, ORDINAL_SHA512 = 2 };

bool tls_dane_context(SSL_CTX *ctx)
{
	if (SSL_CTX_dane_enable(ctx) != 1 ||
	    SSL_CTX_dane_mtype_set(ctx, EVP_sha256(), TLSA_SHA256, ORDINAL_SHA256) != 1 ||
	    SSL_CTX_dane_mtype_set(ctx, EVP_sha512(), TLSA_SHA512, ORDINAL_SHA512) != 1)
		return false;
	/* RFC 7672 s3.1.1: "The SMTP client MUST NOT perform certificate name checks with
	   certificate usage DANE-EE(3)". */
	SSL_CTX_dane_set_flags(ctx, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	return true;
}

/* OpenSSL reads ".example.org" as "any host below example.org": such a name never comes from us. */
static bool name_is_sane(const char *name)
{
	return name != NULL && name[0] != '\0' && name[0] != '.';
}

static bool load_names(SSL *ssl, const struct tls_terms *terms, char *error, size_t room)
{
	if (terms->nreference_names == 0 || terms->nreference_names > REFERENCE_NAMES_MAX) {
		snprintf(error, room, "no reference name to check certificates against");
		return false;
	}
	for (size_t i = 0; i < terms->nreference_names; i++) {
		if (!name_is_sane(terms->reference_names[i])) {
			snprintf(error, room, "reference name %zu is empty or starts with a dot",
				 i + 1);
			return false;
		}
	}
	if (SSL_dane_enable(ssl, terms->reference_names[0]) != 1) {
		tls_openssl_error("cannot set the TLSA base domain", error, room);
		return false;
	}
	for (size_t i = 1; i < terms->nreference_names; i++) {
		if (SSL_add1_host(ssl, terms->reference_names[i]) != 1) {
			tls_openssl_error("cannot set a reference name", error, room);
			return false;
		}
	}
	/* RFC 7672 s3.2.3: "The wildcard character must be the entire first label". More labels
	   than one are a MAY that OpenSSL leaves off; the subject's CN counts only without DNS
	   names, which is its default too. */
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return true;
}

static bool load_record(SSL *ssl, const struct tlsa *rr, size_t at, char *error, size_t room)
{
	int r = SSL_dane_tlsa_add(ssl, rr->usage, rr->selector, rr->mtype, rr->data.p, rr->data.n);
	if (r == 1)
		return true;
	char what[64];
	snprintf(what, sizeof(what), "OpenSSL refuses TLSA record %zu (%u %u %u)", at + 1,
		 rr->usage, rr->selector, rr->mtype);
	tls_openssl_error(what, error, room);
	return false;
}

static bool load_records(SSL *ssl, const struct tlsa_set *set, char *error, size_t room)
{
	if (set == NULL || set->unknown) {
		snprintf(error, room, "%s",
			 set == NULL ? "no TLSA records"
				     : "a TLSA record with full data was not judged");
		return false;
	}
	size_t loaded = 0;
	for (size_t i = 0; i < set->n; i++) {
		if (set->entry[i].use != TLSA_COUNTS)
			continue;
		if (!load_record(ssl, &set->entry[i].rr, i, error, room))
			return false;
		loaded++;
	}
	/* Without a record OpenSSL silently verifies as if DANE had never been asked for. */
	if (loaded == 0)
		snprintf(error, room, "no usable TLSA record");
	return loaded > 0;
}

bool tls_sni_load(SSL *ssl, const char *sni, char *error, size_t room)
{
	if (sni == NULL || sni[0] == '\0')
		return true;
	if (SSL_set_tlsext_host_name(ssl, unconst(sni)) == 1)
		return true;
	tls_openssl_error("cannot set the server name", error, room);
	return false;
}

bool tls_dane_load(SSL *ssl, const struct tls_terms *terms, char *error, size_t room)
{
	ERR_clear_error();
	if (!tls_sni_load(ssl, terms->sni, error, room))
		return false;
	return load_names(ssl, terms, error, room) && load_records(ssl, terms->tlsa, error, room);
}
