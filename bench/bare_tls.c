/* SPDX-License-Identifier: MIT */
/*
 * The bare client. Offers what the engine offers (src/tls/client.c: suites of TLS 1.3, groups), so
 * that both ask for the same cryptography and the ratio is about everything else.
 */
#include "bare_tls.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPLY_ROOM = 4096 };

struct bare {
	SSL_CTX *plain, *ahead, *dane;
};

struct link {
	int fd;
	SSL *ssl; /* NULL: in clear */
};

static bool complain(const char *where)
{
	perror(where);
	ERR_print_errors_fp(stderr);
	return false;
}

/* --- Lines --- */

static bool say(struct link *l, const char *text)
{
	size_t n = strlen(text);
	ssize_t sent =
	    l->ssl != NULL ? SSL_write(l->ssl, text, (int)n) : send(l->fd, text, n, MSG_NOSIGNAL);
	return sent == (ssize_t)n;
}

/* Is the last complete line the last of a reply? */
static bool reply_ended(const char *text, size_t n)
{
	if (n < 6 || text[n - 1] != '\n')
		return false;
	size_t from = n - 1;
	while (from > 0 && text[from - 1] != '\n')
		from--;
	return n - from > 3 && text[from + 3] == ' ';
}

static bool hear(struct link *l, const char *code)
{
	char text[REPLY_ROOM];
	size_t n = 0;
	while (n < sizeof(text)) {
		size_t room = sizeof(text) - n;
		ssize_t got = l->ssl != NULL ? SSL_read(l->ssl, text + n, (int)room)
					     : recv(l->fd, text + n, room, 0);
		if (got <= 0)
			return false;
		n += (size_t)got;
		if (reply_ended(text, n))
			return memcmp(text, code, 3) == 0;
	}
	return false;
}

static bool ask(struct link *l, const char *command, const char *code)
{
	return say(l, command) && hear(l, code);
}

/* --- TLS --- */

static bool dane(SSL *ssl, const struct bare_target *t)
{
	if (SSL_dane_enable(ssl, t->name) != 1)
		return false;
	for (size_t i = 0; i < t->nrecord; i++) {
		const struct bare_record *r = &t->record[i];
		if (SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->mtype, r->data, r->n) != 1)
			return false;
	}
	return true;
}

static bool handshake(struct bare *b, struct link *l, const struct bare_target *t,
		      enum bare_mode mode)
{
	SSL_CTX *ctx = mode == BARE_DANE ? b->dane : mode == BARE_AHEAD ? b->ahead : b->plain;
	l->ssl = SSL_new(ctx);
	char *sni = (char *)(uintptr_t)t->name; /* the macro casts const away, it does not write */
	return l->ssl != NULL && SSL_set_fd(l->ssl, l->fd) == 1 &&
	       SSL_set_tlsext_host_name(l->ssl, sni) == 1 &&
	       (mode != BARE_DANE || dane(l->ssl, t)) && SSL_connect(l->ssl) == 1;
}

/* --- Sessions --- */

static bool talk(struct bare *b, struct link *l, const struct bare_target *t, enum bare_mode mode)
{
	char ehlo[300];
	int one = 1;
	snprintf(ehlo, sizeof(ehlo), "EHLO %s\r\n", t->helo);
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(l->fd, (const struct sockaddr *)&t->to, t->length) != 0)
		return complain("bare: connect");
	if (!hear(l, "220") || !ask(l, ehlo, "250"))
		return complain("bare: greeting and EHLO");
	if (mode != BARE_CLEAR) {
		if (!ask(l, "STARTTLS\r\n", "220") || !handshake(b, l, t, mode))
			return complain("bare: STARTTLS");
		if (!ask(l, ehlo, "250"))
			return complain("bare: EHLO after STARTTLS");
	}
	if (!ask(l, "QUIT\r\n", "221"))
		return complain("bare: QUIT");
	if (l->ssl != NULL)
		SSL_shutdown(l->ssl);
	return true;
}

bool bare_session(struct bare *b, const struct bare_target *t, enum bare_mode mode)
{
	struct link l = {.fd = socket(t->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	if (l.fd < 0)
		return complain("bare: socket");
	bool ok = talk(b, &l, t, mode);
	SSL_free(l.ssl);
	close(l.fd);
	return ok;
}

/* --- Contexts --- */

static SSL_CTX *context(void)
{
	char groups[] = "X25519:P-256:P-384";
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					  "TLS_CHACHA20_POLY1305_SHA256") != 1 ||
	    SSL_CTX_set1_groups_list(ctx, groups) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	return ctx;
}

struct bare *bare_new(void)
{
	struct bare *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return NULL;
	b->plain = context();
	b->ahead = context();
	b->dane = context();
	if (b->plain == NULL || b->ahead == NULL || b->dane == NULL ||
	    SSL_CTX_dane_enable(b->dane) != 1) {
		complain("bare");
		bare_free(&b);
		return NULL;
	}
	SSL_CTX_set_read_ahead(b->ahead, 1);
	SSL_CTX_set_verify(b->dane, SSL_VERIFY_PEER, NULL);
	SSL_CTX_dane_set_flags(b->dane, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	return b;
}

void bare_free(struct bare **b)
{
	if (*b == NULL)
		return;
	SSL_CTX_free((*b)->plain);
	SSL_CTX_free((*b)->ahead);
	SSL_CTX_free((*b)->dane);
	free(*b);
	*b = NULL;
}
