/* SPDX-License-Identifier: MIT */
/*
 * The client's SSL_CTX: which versions, suites, groups and signature algorithms we offer (T6, T11).
 *
 * Knows OpenSSL's knobs. Refuses to know: the system's CA store (no context ever has one; see
 * pkix.c), sockets, and who the peer is.
 */
#include "tls/room.h"

#include <openssl/err.h>

#include <stdio.h>
#include <time.h>

/*
 * Short and modern (T6), forward secrecy first. The CBC and static RSA suites at the end are what
 * old but working Exchange and Postfix servers have in common with us; without them they could not
 * be reached at all under a DANE policy. Never anonymous, whatever the security level.
 */
#define SUITES_ECDSA                                                                               \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"                             \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
#define SUITES_RSA                                                                                 \
	"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:"     \
	"DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:"                                     \
	"ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA384:"                                         \
	"ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:"                                               \
	"AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA:AES256-SHA"
#define NEVER ":!aNULL:!eNULL:!EXPORT:!LOW:!DES:!3DES:!RC4:!MD5:!PSK:!SRP:!DSS:!SSLv2"

#define SIGALGS_ECDSA "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512"
#define SIGALGS_RSA                                                                                \
	"rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"                             \
	"rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512"

static const char suites[] = SUITES_ECDSA ":" SUITES_RSA NEVER;
static const char suites_13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
				"TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384:P-521";
static const char sigalgs_any[] = SIGALGS_ECDSA ":ed25519:" SIGALGS_RSA;
static const char sigalgs_ecdsa[] = SIGALGS_ECDSA;
static const char sigalgs_rsa[] = SIGALGS_RSA;
/* T11: unauthenticated TLS with SHA-1 beats clear text. */
static const char sigalgs_may[] = SIGALGS_ECDSA ":ed25519:" SIGALGS_RSA ":ECDSA+SHA1:RSA+SHA1";

const char *tls_openssl_reason(void)
{
	unsigned long e = ERR_get_error();
	ERR_clear_error();
	if (e == 0)
		return NULL;
	const char *reason = ERR_reason_error_string(e);
	return reason != NULL ? reason : "unknown error";
}

void tls_openssl_error(const char *what, char *error, size_t room)
{
	const char *reason = tls_openssl_reason();
	snprintf(error, room, "%s: %s", what, reason != NULL ? reason : "OpenSSL does not say why");
}

static bool context_set(SSL_CTX *ctx, const char *sigalgs)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	/* A system-wide openssl.cnf may have turned these on; T6 is not the system's to soften. */
	SSL_CTX_clear_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT |
				       SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
				       SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_security_level(ctx, 1);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, 0) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, suites) == 1 &&
	       SSL_CTX_set_ciphersuites(ctx, suites_13) == 1 &&
	       SSL_CTX_set1_groups_list(ctx, unconst(groups)) == 1 &&
	       SSL_CTX_set1_sigalgs_list(ctx, unconst(sigalgs != NULL ? sigalgs : sigalgs_any)) ==
		   1 &&
	       tls_dane_context(ctx);
}

SSL_CTX *tls_context_new(OSSL_LIB_CTX *library, const char *sigalgs, char *error, size_t room)
{
	ERR_clear_error();
	SSL_CTX *ctx = SSL_CTX_new_ex(library, NULL, TLS_client_method());
	if (ctx == NULL || !context_set(ctx, sigalgs)) {
		tls_openssl_error("cannot set TLS up", error, room);
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/* OpenSSL then withholds the suites that need the other kind of key, static RSA too. */
static bool restrict_kind(SSL *ssl, enum tls_cert_kind kind)
{
	switch (kind) {
	case TLS_CERT_ANY:
		return true;
	case TLS_CERT_RSA:
		return SSL_set1_sigalgs_list(ssl, unconst(sigalgs_rsa)) == 1;
	case TLS_CERT_ECDSA:
		return SSL_set1_sigalgs_list(ssl, unconst(sigalgs_ecdsa)) == 1;
	}
	return false;
}

static bool restrict_may(SSL *ssl)
{
	SSL_set_security_level(ssl, 0);
	SSL_set_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
	return SSL_set_min_proto_version(ssl, TLS1_VERSION) == 1 &&
	       SSL_set1_sigalgs_list(ssl, unconst(sigalgs_may)) == 1;
}

bool tls_context_restrict(SSL *ssl, enum host_policy policy, enum tls_cert_kind kind)
{
	switch (policy) {
	case HOST_DANE:
	case HOST_ENCRYPT:
	case HOST_PKIX:
		break;
	case HOST_MAY:
		if (!restrict_may(ssl))
			return false;
		break;
	case HOST_LOCAL:
	case HOST_SKIP:
		return false;
	}
	return restrict_kind(ssl, kind);
}

/*
 * The clock is not ours to read, but OpenSSL reads it when it judges dates without an explicit
 * time: a session's dates and `check --days` must use the same clock.
 */
int64_t tls_client_now(const struct tls_client *c)
{
	return (int64_t)time(NULL) + c->offset_s;
}

const char *tls_library_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}
