/* SPDX-License-Identifier: MIT */
/* See test_tls_server.h. Knows OpenSSL's server side; of ours only the bytes. */
#include "test_tls_server.h"

#include <openssl/err.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "server: %s\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

/* --- The CA --- */

static X509 *leaf(const struct lab *l, EVP_PKEY *key, int64_t from, int64_t until)
{
	struct pki_spec s = {.cn = "leaf",
			     .san = "DNS:" LAB_BASE ",DNS:" LAB_NEXT_HOP,
			     .from = from,
			     .until = until,
			     .basic = "CA:FALSE",
			     .usage = "critical,digitalSignature,keyEncipherment",
			     .extended = "serverAuth"};
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
		s.usage = "critical,digitalSignature";
	return pki_issue(&s, key, l->ca, l->ca_key);
}

void lab_make(struct lab *l)
{
	int64_t now = (int64_t)time(NULL);
	struct pki_spec ca = {.cn = "Lab Root",
			      .from = now - 400 * LAB_DAY,
			      .until = now + 400 * LAB_DAY,
			      .basic = "critical,CA:TRUE",
			      .usage = "critical,keyCertSign"};
	*l = (struct lab){.root_key = pki_key(PKI_P256),
			  .ca_key = pki_key(PKI_P256),
			  .ec_key = pki_key(PKI_P256),
			  .rsa_key = pki_key(PKI_RSA2048),
			  .other_key = pki_key(PKI_P256)};
	l->root = pki_issue(&ca, l->root_key, NULL, NULL);
	ca.cn = "Lab CA";
	l->ca = pki_issue(&ca, l->ca_key, l->root, l->root_key);
	l->other = pki_issue(&ca, l->other_key, NULL, NULL);
	l->ec = leaf(l, l->ec_key, now - LAB_DAY, now + 90 * LAB_DAY);
	l->rsa = leaf(l, l->rsa_key, now - LAB_DAY, now + 90 * LAB_DAY);
	l->ec_ten_days = leaf(l, l->ec_key, now - LAB_DAY, now + 10 * LAB_DAY);
	l->ec_expired = leaf(l, l->ec_key, now - 9 * LAB_DAY, now - LAB_DAY);
}

void lab_free(struct lab *l)
{
	EVP_PKEY *key[] = {l->root_key, l->ca_key, l->ec_key, l->rsa_key, l->other_key};
	X509 *cert[] = {l->root, l->ca, l->ec, l->rsa, l->other, l->ec_ten_days, l->ec_expired};
	for (size_t i = 0; i < sizeof(key) / sizeof(key[0]); i++)
		EVP_PKEY_free(key[i]);
	for (size_t i = 0; i < sizeof(cert) / sizeof(cert[0]); i++)
		X509_free(cert[i]);
}

/* --- The server --- */

static void use(SSL_CTX *ctx, const struct lab *l, X509 *cert, EVP_PKEY *key, bool no_root)
{
	must(SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
		 SSL_CTX_clear_chain_certs(ctx) == 1 && SSL_CTX_add1_chain_cert(ctx, l->ca) == 1,
	     "certificate");
	must(no_root || SSL_CTX_add1_chain_cert(ctx, l->root) == 1, "root");
}

static int ignore_verify(int ok, X509_STORE_CTX *ctx)
{
	(void)ok;
	(void)ctx;
	return 1;
}

void server_make(struct server *s, const struct lab *l, const struct server_options *o)
{
	SSL_CTX *ctx = s->ctx = SSL_CTX_new(TLS_server_method());
	must(ctx != NULL, "context");
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, ignore_verify);
	must(SSL_CTX_set_min_proto_version(ctx, o->min) == 1 &&
		 SSL_CTX_set_max_proto_version(ctx, o->max) == 1,
	     "versions");
	must(SSL_CTX_set_cipher_list(ctx, o->ciphers != NULL ? o->ciphers : "ALL:@SECLEVEL=0") == 1,
	     "suites");
	must(o->groups == NULL || SSL_CTX_set1_groups_list(ctx, (char *)(uintptr_t)o->groups) == 1,
	     "groups");
	SSL_CTX_set_dh_auto(ctx, 1);
	must(SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1) == 1, "context id");
	if (o->tickets != 0)
		SSL_CTX_set_num_tickets(ctx, o->tickets > 0 ? (size_t)o->tickets : 0);
	if (o->anonymous)
		return;
	if (!o->no_ec)
		use(ctx, l, o->ec_cert != NULL ? o->ec_cert : l->ec, l->ec_key, o->no_root);
	if (o->rsa)
		use(ctx, l, l->rsa, l->rsa_key, o->no_root);
}

void server_free(struct server *s)
{
	SSL_CTX_free(s->ctx);
	s->ctx = NULL;
}

/* --- Records --- */

void records_init(struct records *r)
{
	arena_init(&r->mem, 1 << 20);
	r->n = 0;
}

void records_add(struct records *r, uint8_t usage, uint8_t selector, uint8_t mtype, X509 *cert)
{
	must(r->n < 8, "records");
	r->rr[r->n] = pki_tlsa(usage, selector, mtype, cert, r->data[r->n]);
	r->n++;
}

const struct tlsa_set *records_set(struct records *r)
{
	must(tlsa_set_from_records(&r->mem, r->rr, r->n, &r->set), "set");
	return &r->set;
}

void records_free(struct records *r)
{
	arena_free(&r->mem);
}

/* --- The pair --- */

void pair_open(struct pair *p, struct tls_conn *t, struct server *s)
{
	*p = (struct pair){.t = t, .ssl = SSL_new(s->ctx)};
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	must(p->ssl != NULL && p->in != NULL && p->out != NULL, "connection");
	BIO_set_mem_eof_return(p->in, -1);
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_accept_state(p->ssl);
	buf_init(&p->wire, 1 << 24);
	buf_init(&p->plain, 1 << 24);
	buf_init(&p->got, 1 << 24);
}

static void server_think(struct pair *p)
{
	char data[4096];
	int r;
	ERR_clear_error();
	while ((r = SSL_read(p->ssl, data, sizeof(data))) > 0)
		buf_add(&p->got, data, (size_t)r);
	int e = SSL_get_error(p->ssl, r);
	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_ZERO_RETURN)
		p->server_failed = true;
	ERR_clear_error();
}

void pair_to_server(struct pair *p)
{
	size_t before = buf_len(&p->wire);
	tls_pending(p->t, &p->wire);
	p->client_sent += buf_len(&p->wire) - before;
	struct slice s = buf_slice(&p->wire);
	if (s.n > 0)
		must(BIO_write(p->in, s.p, (int)s.n) == (int)s.n, "write");
	buf_consume(&p->wire, s.n);
	server_think(p);
}

void pair_from_server(struct pair *p, struct buf *out)
{
	char data[4096];
	int r;
	buf_init(out, 1 << 24);
	while ((r = BIO_read(p->out, data, sizeof(data))) > 0)
		buf_add(out, data, (size_t)r);
}

static void feed(struct pair *p, struct slice s)
{
	while (s.n > 0) {
		struct slice part = p->step > 0 ? slice_first(s, p->step) : s;
		tls_feed(p->t, part, &p->plain);
		s = slice_from(s, part.n);
	}
}

enum tls_state pair_run(struct pair *p)
{
	for (int idle = 0; idle < 2;) {
		struct buf b;
		size_t sent = p->client_sent;
		pair_to_server(p);
		pair_from_server(p, &b);
		idle = buf_len(&b) == 0 && p->client_sent == sent ? idle + 1 : 0;
		feed(p, buf_slice(&b));
		buf_free(&b);
	}
	return tls_state(p->t);
}

void pair_server_write(struct pair *p, const void *data, size_t n)
{
	size_t written = 0;
	must(SSL_write_ex(p->ssl, data, n, &written) == 1 && written == n, "server write");
}

void pair_close(struct pair *p)
{
	tls_conn_free(&p->t);
	/* A server that was not told goodbye forgets the session: not what a crash-free peer does.
	 */
	SSL_set_shutdown(p->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(p->ssl);
	buf_free(&p->wire);
	buf_free(&p->plain);
	buf_free(&p->got);
}
