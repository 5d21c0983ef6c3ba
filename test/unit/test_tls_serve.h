/* SPDX-License-Identifier: MIT */
/* Our TLS server in tests: certificates as PEM, and the two ends of a connection. Aborts on errors.
 */
#ifndef TEST_TLS_SERVE_H
#define TEST_TLS_SERVE_H

#include "test_tls_server.h"

#include "tls/tls_server.h"

enum { SERVE_CERTS = 8, SERVE_PEM_MAX = 16384 };

/* A certificate and its key as text. */
struct pem {
	char chain[SERVE_PEM_MAX], key[SERVE_PEM_MAX];
};
/* A leaf for these names ("DNS:a,DNS:b"; NULL: none), issued by the lab's CA, and the CA behind it.
 */
void pem_make(struct pem *p, const struct lab *l, EVP_PKEY *key, const char *cn, const char *san,
	      int64_t from, int64_t until);
void pem_of_key(EVP_PKEY *key, char out[static SERVE_PEM_MAX]);
void pem_of_cert(X509 *cert, char out[static SERVE_PEM_MAX]);
struct tls_server_cert pem_cert(const struct pem *p);

/* A plain OpenSSL client. */
struct peer {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
	struct buf got;
	bool failed;
};
struct peer_options {
	const char *sni;
	int min, max;
	const char *ciphers, *sigalgs, *groups;
	SSL_SESSION *session;
};
void peer_open(struct peer *p, const struct peer_options *o);
void peer_close(struct peer *p);
/* Moves bytes both ways until nothing moves; `step` octets to the server at once, 0: all. */
enum tls_state peer_run(struct peer *p, struct tlss *t, struct buf *plain, size_t step);
/* What the client wants to send now; the caller frees out. */
void peer_output(struct peer *p, struct buf *out);
/* "CN" of the certificate that came, "" if none. */
const char *peer_cn(const struct peer *p, char out[static 64]);
int peer_key(const struct peer *p); /* EVP_PKEY_RSA ...; 0: none */

/* Our client to our server. */
enum tls_state ours_run(struct tls_conn *c, struct tlss *t, struct buf *client_plain,
			struct buf *server_plain);

#endif
