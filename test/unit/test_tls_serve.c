/* SPDX-License-Identifier: MIT */
/* See test_tls_serve.h. */
#include "test_tls_serve.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "serve: %s\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

/* --- PEM --- */

static void take(BIO *b, char *out)
{
	char *p = NULL;
	long n = BIO_get_mem_data(b, &p);
	must(n > 0 && n < SERVE_PEM_MAX, "PEM too long");
	memcpy(out, p, (size_t)n);
	out[n] = '\0';
	BIO_free(b);
}

void pem_of_key(EVP_PKEY *key, char out[static SERVE_PEM_MAX])
{
	BIO *b = BIO_new(BIO_s_mem());
	must(PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) == 1, "key");
	take(b, out);
}

void pem_of_cert(X509 *cert, char out[static SERVE_PEM_MAX])
{
	BIO *b = BIO_new(BIO_s_mem());
	must(PEM_write_bio_X509(b, cert) == 1, "certificate");
	take(b, out);
}

void pem_make(struct pem *p, const struct lab *l, EVP_PKEY *key, const char *cn, const char *san,
	      int64_t from, int64_t until)
{
	struct pki_spec s = {.cn = cn,
			     .san = san,
			     .from = from,
			     .until = until,
			     .basic = "CA:FALSE",
			     .usage = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA
					  ? "critical,digitalSignature,keyEncipherment"
					  : "critical,digitalSignature"};
	X509 *leaf = pki_issue(&s, key, l->ca, l->ca_key);
	BIO *b = BIO_new(BIO_s_mem());
	must(PEM_write_bio_X509(b, leaf) == 1 && PEM_write_bio_X509(b, l->ca) == 1, "chain");
	take(b, p->chain);
	pem_of_key(key, p->key);
	X509_free(leaf);
}

struct tls_server_cert pem_cert(const struct pem *p)
{
	return (struct tls_server_cert){.chain_file = "chain.pem",
					.key_file = "key.pem",
					.chain_pem = slice_str(p->chain),
					.key_pem = slice_str(p->key)};
}

/* --- The plain client --- */

/* OpenSSL's macros cast const away; they do not write. */
static char *writable(const char *s)
{
	return (char *)(uintptr_t)s;
}

void peer_open(struct peer *p, const struct peer_options *o)
{
	*p = (struct peer){.ctx = SSL_CTX_new(TLS_client_method())};
	must(p->ctx != NULL, "context");
	SSL_CTX_set_security_level(p->ctx, 0);
	/* A cache would end its sessions when the context goes. */
	SSL_CTX_set_session_cache_mode(p->ctx, SSL_SESS_CACHE_OFF);
	must(SSL_CTX_set_min_proto_version(p->ctx, o->min) == 1 &&
		 SSL_CTX_set_max_proto_version(p->ctx, o->max) == 1 &&
		 SSL_CTX_set_cipher_list(p->ctx,
					 o->ciphers != NULL ? o->ciphers : "ALL:@SECLEVEL=0") == 1,
	     "versions and suites");
	must(o->sigalgs == NULL || SSL_CTX_set1_sigalgs_list(p->ctx, writable(o->sigalgs)) == 1,
	     "sigalgs");
	must(o->groups == NULL || SSL_CTX_set1_groups_list(p->ctx, writable(o->groups)) == 1,
	     "groups");
	p->ssl = SSL_new(p->ctx);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	must(p->ssl != NULL && p->in != NULL && p->out != NULL, "client");
	must(o->sni == NULL || SSL_set_tlsext_host_name(p->ssl, writable(o->sni)) == 1, "SNI");
	must(o->session == NULL || SSL_set_session(p->ssl, o->session) == 1, "session");
	BIO_set_mem_eof_return(p->in, -1);
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_connect_state(p->ssl);
	buf_init(&p->got, 1 << 24);
}

void peer_close(struct peer *p)
{
	SSL_set_shutdown(p->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	buf_free(&p->got);
}

static void think(struct peer *p)
{
	char data[4096];
	int r;
	ERR_clear_error();
	while ((r = SSL_read(p->ssl, data, sizeof(data))) > 0)
		buf_add(&p->got, data, (size_t)r);
	int e = SSL_get_error(p->ssl, r);
	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_ZERO_RETURN)
		p->failed = true;
	ERR_clear_error();
}

void peer_output(struct peer *p, struct buf *out)
{
	char data[4096];
	int r;
	buf_init(out, 1 << 24);
	if (!p->failed)
		think(p);
	while ((r = BIO_read(p->out, data, sizeof(data))) > 0)
		buf_add(out, data, (size_t)r);
}

enum tls_state peer_run(struct peer *p, struct tlss *t, struct buf *plain, size_t step)
{
	for (int idle = 0; idle < 2;) {
		struct buf b;
		peer_output(p, &b);
		idle = buf_len(&b) == 0 ? idle + 1 : 0;
		for (struct slice s = buf_slice(&b); s.n > 0;) {
			struct slice part = step > 0 ? slice_first(s, step) : s;
			tlss_feed(t, part, plain);
			s = slice_from(s, part.n);
		}
		buf_reset(&b);
		tlss_pending(t, &b);
		if (buf_len(&b) > 0)
			idle = 0;
		must(buf_len(&b) == 0 ||
			 BIO_write(p->in, buf_slice(&b).p, (int)buf_len(&b)) == (int)buf_len(&b),
		     "write");
		buf_free(&b);
	}
	return tlss_state(t);
}

const char *peer_cn(const struct peer *p, char out[static 64])
{
	X509 *cert = SSL_get0_peer_certificate(p->ssl);
	out[0] = '\0';
	if (cert != NULL)
		X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, out, 64);
	return out;
}

int peer_key(const struct peer *p)
{
	X509 *cert = SSL_get0_peer_certificate(p->ssl);
	return cert != NULL ? EVP_PKEY_get_base_id(X509_get0_pubkey(cert)) : 0;
}

/* --- Ours --- */

enum tls_state ours_run(struct tls_conn *c, struct tlss *t, struct buf *client_plain,
			struct buf *server_plain)
{
	for (int idle = 0; idle < 2;) {
		struct buf b;
		buf_init(&b, 1 << 24);
		tls_pending(c, &b);
		idle = buf_len(&b) == 0 ? idle + 1 : 0;
		tlss_feed(t, buf_slice(&b), server_plain);
		buf_reset(&b);
		tlss_pending(t, &b);
		if (buf_len(&b) > 0)
			idle = 0;
		tls_feed(c, buf_slice(&b), client_plain);
		buf_free(&b);
	}
	return tlss_state(t);
}
