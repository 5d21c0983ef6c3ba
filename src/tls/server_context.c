/* SPDX-License-Identifier: MIT */
/*
 * The server's SSL_CTX: versions, suites, groups and signature algorithms, tickets; and how
 * certificates get into one connection.
 *
 * Knows OpenSSL's knobs. Refuses to know names: server_pick.c chooses.
 */
#include "tls/server_room.h"

#include <openssl/err.h>

#include <stdio.h>
#include <string.h>

/*
 * Our order counts: forward secrecy, AEAD, and ECDSA before RSA, because it costs us a tenth.
 * Nothing with finite-field DHE: each of its handshakes costs the server more than the client (the
 * D(HE)at attack, CVE-2002-20001), and who can do it can do ECDHE.
 */
#define SUITES_FORWARD                                                                             \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"                             \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES256-GCM-SHA384:"                                 \
	"ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA"
/* Senders on port 25 that have nothing better would else send in clear. */
#define SUITES_OLD ":AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA:AES256-SHA"
#define NEVER ":!aNULL:!eNULL:!EXPORT:!LOW:!DES:!3DES:!RC4:!MD5:!PSK:!SRP:!DSS:!DH"

#define SIGALGS                                                                                    \
	"ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:ed448:"      \
	"rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"                             \
	"rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512"

static const char suites_submission[] = SUITES_FORWARD NEVER;
static const char suites_relay[] = SUITES_FORWARD SUITES_OLD NEVER;
static const char suites_tls10[] = SUITES_FORWARD SUITES_OLD NEVER ":@SECLEVEL=0";
static const char suites_13[] = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:"
				"TLS_AES_256_GCM_SHA384";
static const char groups[] = "X25519:P-256:P-384:P-521";
static const char sigalgs[] = SIGALGS;
static const char sigalgs_tls10[] = SIGALGS ":ECDSA+SHA1:RSA+SHA1";

static const char *suites_of(const struct tls_server_config *c)
{
	switch (c->use) {
	case TLS_SERVER_RELAY:
		return c->tls10 ? suites_tls10 : suites_relay;
	case TLS_SERVER_SUBMISSION:
		return suites_submission;
	}
	return NULL;
}

static void set_options(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
				     SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* A system-wide openssl.cnf may have turned these on. */
	SSL_CTX_clear_options(ctx, SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
				       SSL_OP_ALLOW_CLIENT_RENEGOTIATION | SSL_OP_NO_TICKET |
				       SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
}

static bool set_policy(SSL_CTX *ctx, const struct tls_server_config *c)
{
	const char *suites = suites_of(c);
	SSL_CTX_set_security_level(ctx, c->tls10 ? 0 : 1);
	return suites != NULL &&
	       SSL_CTX_set_min_proto_version(ctx, c->tls10 ? TLS1_VERSION : TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, 0) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, suites) == 1 &&
	       SSL_CTX_set_ciphersuites(ctx, suites_13) == 1 &&
	       SSL_CTX_set1_groups_list(ctx, unconst(groups)) == 1 &&
	       SSL_CTX_set1_sigalgs_list(ctx, unconst(c->tls10 ? sigalgs_tls10 : sigalgs)) == 1;
}

/* Tickets only: the state is the client's to keep. No early data: SMTP commands are not replayable
 * (RFC 8446 s8). */
static bool set_tickets(SSL_CTX *ctx)
{
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, TICKET_SECONDS);
	return SSL_CTX_set_num_tickets(ctx, 1) == 1 && SSL_CTX_set_max_early_data(ctx, 0) == 1 &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, tls_tickets_callback) == 1;
}

/* Finds out now, and not in the first handshake, that OpenSSL will not serve it (too weak). */
static bool try_identity(SSL_CTX *ctx, const struct tls_identity *id)
{
	bool ok = false;
	SSL *ssl = SSL_new(ctx);
	struct server_choice one = {.identity = {id}, .n = 1};
	if (ssl != NULL)
		ok = tls_server_present(ssl, &one);
	SSL_free(ssl);
	return ok;
}

static bool try_all(struct tls_server *s, const struct tls_server_config *c, char *error,
		    size_t room)
{
	for (size_t i = 0; i < s->nidentity; i++) {
		ERR_clear_error();
		if (try_identity(s->ctx, &s->identity[i]))
			continue;
		const char *file = c->cert[i].chain_file;
		tls_openssl_error(file != NULL ? file : "(text)", error, room);
		return false;
	}
	return true;
}

bool tls_server_context(struct tls_server *s, const struct tls_server_config *c, char *error,
			size_t room)
{
	ERR_clear_error();
	s->ctx = SSL_CTX_new(TLS_server_method());
	if (s->ctx == NULL || !set_policy(s->ctx, c) || !set_tickets(s->ctx) ||
	    SSL_CTX_set_app_data(s->ctx, s) != 1) {
		tls_openssl_error("cannot set TLS up", error, room);
		return false;
	}
	set_options(s->ctx);
	SSL_CTX_set_client_hello_cb(s->ctx, tls_server_on_hello, s);
	return try_all(s, c, error, room);
}

static bool use(SSL *ssl, const struct tls_identity *id)
{
	bool ok = false;
	STACK_OF(X509) *rest = sk_X509_dup(id->chain->certs);
	X509 *leaf = rest != NULL ? sk_X509_shift(rest) : NULL;
	if (leaf != NULL)
		ok = SSL_use_cert_and_key(ssl, leaf, id->key, rest, 1) == 1;
	sk_X509_free(rest);
	return ok;
}

/* A ticket is good where the same certificates would be shown: RFC 6066 s3 forbids resumption
 * under another SNI. */
static bool bind_tickets(SSL *ssl, const struct server_choice *choice)
{
	uint8_t all[KINDS_MAX * DIGEST_MAX], digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	for (size_t i = 0; i < choice->n; i++)
		memcpy(all + i * DIGEST_MAX, choice->identity[i]->digest, DIGEST_MAX);
	return EVP_Digest(all, choice->n * DIGEST_MAX, digest, &n, EVP_sha256(), NULL) == 1 &&
	       SSL_set_session_id_context(ssl, digest, n) == 1;
}

bool tls_server_present(SSL *ssl, const struct server_choice *choice)
{
	SSL_certs_clear(ssl);
	for (size_t i = 0; i < choice->n; i++) {
		if (!use(ssl, choice->identity[i]))
			return false;
	}
	return choice->n > 0 && bind_tickets(ssl, choice);
}
