/* SPDX-License-Identifier: MIT */
/*
 * tls, the server's side: certificates for STARTTLS (RFC 3207) and submission (RFC 8314), and
 * connections over memory: bytes in, bytes out, no socket.
 *
 * One struct tls_server per listener and configuration, many struct tlss (connections) from it. It
 * never changes: to reload, make a new one and free the old; connections keep theirs alive. The
 * clock is an argument, in seconds since the epoch; only OpenSSL reads it itself, when it judges
 * the age of a ticket. Not thread-safe.
 */
#ifndef TLS_TLS_SERVER_H
#define TLS_TLS_SERVER_H

#include "tls/tls.h"

struct tls_server;
struct tlss;

enum {
	/* Of one server; more is a wrong configuration. */
	TLS_SERVER_CERTS_MAX = 256,
	TLS_SERVER_NAMES_MAX = 1000, /* of one certificate */
	/* Of a file, octets: so that a wrong path (a log, a device) ends in an error. */
	TLS_SERVER_FILE_MAX = 4 * 1024 * 1024,
	TLS_TICKET_SEED = 32,
};

/*
 * A certificate with its chain (PEM, leaf first) and its key (PEM, without a passphrase; may be in
 * the same file). Text that was already read (before privileges dropped) wins over the file, whose
 * name then only serves messages.
 */
struct tls_server_cert {
	const char *chain_file;
	const char *key_file;
	struct slice chain_pem; /* empty: read chain_file */
	struct slice key_pem;   /* empty: read key_file */
	/* SNI names that choose it: A-labels, "*.example.org" covers one label. None: the DNS names
	   of the certificate, or the common name of one that has none (T5). */
	const char *const *name;
	size_t nname;
};

enum tls_server_use {
	/* Port 25: whatever a sender can do that is better than clear text (T11): TLS 1.2 and
	   later. */
	TLS_SERVER_RELAY,
	/* 587, 465: TLS 1.2 and later with forward secrecy (RFC 8314, RFC 9325). */
	TLS_SERVER_SUBMISSION,
};

struct tls_server_config {
	const struct tls_server_cert *cert; /* the first one is the default */
	size_t ncert;
	enum tls_server_use use;
	/* TLS_SERVER_RELAY only: 1.0 and 1.1 too, and SHA-1, for old opportunistic senders */
	bool tls10;
	/* No keys are read and nobody can connect: only to see which chains would be served (V1).
	 */
	bool public_only;
	/*
	 * Processes that serve the same address share these and so accept each other's tickets.
	 * NULL: random; processes that fork later share them too. A server that is freed forgets
	 * its tickets: after a reload nobody resumes what the old certificates proved.
	 */
	const uint8_t *ticket_seed; /* TLS_TICKET_SEED octets */
	int64_t ticket_seed_time;   /* the same in all of these processes */
};

/*
 * Everything is copied. NULL on error; then `error` names the file and says what is wrong:
 * unreadable, no certificate, no key, the key has a passphrase, the key belongs to another
 * certificate, too weak, a name that is none. `now` decides what has expired: a warning, not an
 * error.
 */
struct tls_server *tls_server_new(const struct tls_server_config *c, int64_t now, char *error,
				  size_t room);
/* Gives up the caller's reference; *s becomes NULL. The last connection frees it. */
void tls_server_free(struct tls_server **s);

/* One line each, with the file: expired, not yet valid, a chain in disorder, a key that everybody
 * can read. They live as long as the server. */
size_t tls_server_warnings(const struct tls_server *s, const char *const **line);

/* What certificate i of the configuration serves (V1), and the names that choose it (lower case).
 * They live as long as the server. */
const struct tls_chain *tls_server_chain(const struct tls_server *s, size_t i);
size_t tls_server_names(const struct tls_server *s, size_t i, const char *const **name);
/* The certificates that a client who asks for this name (lower case; "": none) may be shown, one of
 * each kind of key: their indices in the configuration. */
enum { TLS_SERVER_KINDS_MAX = 8 };
size_t tls_server_shown(const struct tls_server *s, const char *sni,
			size_t out[static TLS_SERVER_KINDS_MAX]);
/* PEM text of a chain, appended to `out`; a failure shows at buf_ok(). */
void tls_chain_to_pem(const struct tls_chain *c, struct buf *out);

/*
 * --- Connections ---
 *
 * Which certificate: of each kind of key (RSA, ECDSA ...) the first that has the client's SNI among
 * its names, exactly or else by wildcard; of these the one that the client can use, ECDSA first.
 * Without SNI, or with one that no certificate has: the first certificate and, of other kinds, the
 * first that shares its first name. An SNI we do not know never ends a handshake: the sender may
 * follow an alias.
 */

struct tlss_facts {
	const char *detail;  /* TLS_FAILED: one line, why; "" otherwise */
	const char *version; /* "TLSv1.3"; "" before the handshake got that far */
	const char *cipher;  /* as in the tls clause of Received (RFC 8314 s4.3, A4) */
	const char *group;   /* "x25519"; "" if unknown or none */
	bool resumed;
	const char *sni;  /* as sent, lower case, printable; "" if none */
	bool sni_matched; /* a certificate has this name */
	int cert;         /* index in the configuration; -1: none served (resumed) or not yet */
};

/* A new connection, which waits for the ClientHello. NULL: out of memory; `error` says so. */
struct tlss *tlss_accept(struct tls_server *s, int64_t now, char *error, size_t room);
void tlss_free(struct tlss **t);

/*
 * The same as their namesakes in tls.h: ciphertext in, plaintext appended to `plain` as it has room
 * (may be NULL while handshaking). In TLS 1.3 the server is up before the client has judged the
 * certificate: a refusal arrives as TLS_FAILED with the client's alert in facts->detail.
 */
enum tls_state tlss_feed(struct tlss *t, struct slice cipher, struct buf *plain);
enum tls_state tlss_feed_eof(struct tlss *t); /* the transport ended without close_notify */
enum tls_state tlss_write(struct tlss *t, struct slice plain); /* only in state TLS_UP */
void tlss_pending(struct tlss *t, struct buf *out); /* ciphertext to send; also after TLS_FAILED */
void tlss_shutdown(struct tlss *t);                 /* sends close_notify */
enum tls_state tlss_state(const struct tlss *t);
/* Valid in every state, until the connection is freed. */
const struct tlss_facts *tlss_facts(const struct tlss *t);

#endif
