/* SPDX-License-Identifier: MIT */
/* An OpenSSL server over memory BIOs with a toy CA, for the TLS room's tests. Aborts on errors. */
#ifndef TEST_TLS_SERVER_H
#define TEST_TLS_SERVER_H

#include "../tables/dane_matrix_pki.h"

#include "tls/tls.h"

#include <openssl/ssl.h>

#define LAB_BASE "mx.example.org"
#define LAB_NEXT_HOP "example.net"
#define LAB_DAY INT64_C(86400)

/* One CA with two server keys. Dates are around the clock's now: handshakes use the clock. */
struct lab {
	EVP_PKEY *root_key, *ca_key, *ec_key, *rsa_key, *other_key;
	X509 *root, *ca, *ec, *rsa, *other;
	X509 *ec_ten_days; /* the EC key's certificate, but with ten days left */
	X509 *ec_expired;
};
void lab_make(struct lab *l);
void lab_free(struct lab *l);

struct server_options {
	int min, max;        /* TLS1_2_VERSION ...; 0: any */
	const char *ciphers; /* TLS 1.2 and older */
	const char *groups;
	X509 *ec_cert; /* instead of lab.ec */
	bool no_ec, rsa, anonymous;
	bool no_root; /* serve the leaf and the CA only */
	int tickets;  /* TLS 1.3: how many; -1: none */
};
struct server {
	SSL_CTX *ctx;
};
void server_make(struct server *s, const struct lab *l, const struct server_options *o);
void server_free(struct server *s);

/* Records of one usage over freshly computed data. */
struct records {
	struct arena mem;
	struct tlsa rr[8];
	size_t n;
	uint8_t data[8][PKI_DATA_MAX];
	struct tlsa_set set;
};
void records_init(struct records *r);
void records_add(struct records *r, uint8_t usage, uint8_t selector, uint8_t mtype, X509 *cert);
const struct tlsa_set *records_set(struct records *r); /* judged as the relay would */
void records_free(struct records *r);

/* One connection of a client to a server. */
struct pair {
	struct tls_conn *t;
	SSL *ssl; /* the server's end */
	BIO *in, *out;
	struct buf wire;    /* what the client sent and the server did not take yet */
	struct buf plain;   /* what the client decrypted */
	struct buf got;     /* what the server decrypted */
	size_t step;        /* bytes per tls_feed(); 0: all */
	size_t client_sent; /* ciphertext so far */
	bool server_failed;
};
void pair_open(struct pair *p, struct tls_conn *t, struct server *s);
/* Moves bytes both ways until nothing moves. */
enum tls_state pair_run(struct pair *p);
/* Only the client's bytes to the server, and the server's thinking. */
void pair_to_server(struct pair *p);
/* All the server wants to send now; the caller frees out. */
void pair_from_server(struct pair *p, struct buf *out);
void pair_server_write(struct pair *p, const void *data, size_t n);
void pair_close(struct pair *p);

#endif
