/* SPDX-License-Identifier: MIT */
/*
 * tls, inside: what the files of the server's side share.
 *
 * server.c owns a server and its reference count, server_cert.c loads one certificate and its key,
 * server_pick.c chooses by SNI, server_context.c makes the SSL_CTX, server_ticket.c has the ticket
 * keys, server_conn.c runs connections.
 */
#ifndef TLS_SERVER_ROOM_H
#define TLS_SERVER_ROOM_H

#include "tls/room.h"
#include "tls/tls_server.h"

enum {
	SERVER_BYTES_MAX = 64 * 1024 * 1024, /* names and warnings of one server */
	SNI_MAX = 255,                       /* a DNS name (RFC 6066 s3) */
	DIGEST_MAX = 32,
};

struct tls_identity {
	struct tls_chain *chain;
	EVP_PKEY *key;
	int kind;                   /* EVP_PKEY_RSA, EVP_PKEY_EC ... */
	uint8_t digest[DIGEST_MAX]; /* of the leaf */
	const char **name;
	size_t nname;
};

/* --- server_ticket.c --- */

enum {
	/* A key makes tickets for so long and reads them as long again; a ticket lives as long. A
	   stolen key opens no more than this (RFC 5077 s5.5, RFC 9325 s3.4). */
	TICKET_SECONDS = 3600,
	/* So many steps are made one by one when the clock moves on: more than a year. */
	TICKET_STEPS_MAX = 10000,
};

struct ticket_key {
	bool usable;
	uint8_t name[16], aes[32], mac[32];
};

struct tickets {
	int64_t epoch;      /* TICKET_SECONDS since 1970 */
	uint8_t secret[32]; /* of this epoch; the next one follows from it, no earlier one does */
	struct ticket_key now;    /* makes and reads */
	struct ticket_key before; /* reads */
};

/* seed NULL: random. */
bool tls_tickets_init(struct tickets *t, const uint8_t *seed, int64_t at);
/* Moves on to the epoch of `now`; a clock that went back changes nothing. */
void tls_tickets_rotate(struct tickets *t, int64_t now);
void tls_tickets_wipe(struct tickets *t);
/* SSL_CTX_set_tlsext_ticket_key_evp_cb(); finds its struct tickets through the SSL_CTX. */
int tls_tickets_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
			 EVP_MAC_CTX *mac, int making);

/* --- server.c --- */

struct tls_server {
	size_t references;
	SSL_CTX *ctx; /* its app data is this server */
	struct tls_identity *identity;
	size_t nidentity;
	bool public_only;
	struct arena mem;
	const char **warning;
	size_t nwarning, warning_room;
	struct tickets tickets;
};

/* A warning more; lost when memory runs out. */
void tls_server_warn(struct tls_server *s, const char *text);

/* --- server_cert.c --- */

/* Loads c into id; strings live in s->mem. What was loaded is freed by the other, on errors too. */
bool tls_identity_load(struct tls_server *s, struct tls_identity *id,
		       const struct tls_server_cert *c, int64_t now, char *error, size_t room);
void tls_identity_free(struct tls_identity *id);

/* --- server_pick.c --- */

enum { KINDS_MAX = TLS_SERVER_KINDS_MAX };

struct server_choice {
	const struct tls_identity *identity[KINDS_MAX];
	size_t n;
	bool matched; /* by SNI; false: the default */
};
/* sni: lower case; "" if none. */
void tls_server_pick(const struct tls_server *s, const char *sni, struct server_choice *out);
/* A pattern ("*.example.org" or a name) against a name, both lower case. */
bool tls_name_is_exact(const char *pattern, const char *name);
bool tls_name_is_covered(const char *pattern, const char *name);

/* --- server_context.c --- */

bool tls_server_context(struct tls_server *s, const struct tls_server_config *c, char *error,
			size_t room);
/* Makes exactly these certificates the connection's, and its tickets theirs. */
bool tls_server_present(SSL *ssl, const struct server_choice *choice);

/* --- server_conn.c --- */

/* SSL_CTX_set_client_hello_cb() */
int tls_server_on_hello(SSL *ssl, int *alert, void *server);

#endif
