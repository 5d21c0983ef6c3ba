/* SPDX-License-Identifier: MIT */
/*
 * One TLS server connection over memory (flow.c): bytes in, bytes out, and a state.
 *
 * Knows the ClientHello's server name and what became of the handshake. Refuses to know sockets,
 * SMTP, and who the client is: no client certificate is asked for.
 */
#include "tls/server_room.h"

#include "base/cursor.h"

#include <openssl/err.h>
#include <openssl/tls1.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DETAIL_MAX = 160 };

struct tlss {
	struct tls_server *server; /* our reference */
	struct tls_flow flow;
	char sni[SNI_MAX + 1];
	char detail[DETAIL_MAX];
	struct tlss_facts facts;
};

/* --- The ClientHello --- */

/*
 * RFC 6066 s3: ServerNameList of one host_name.
 *     struct { NameType name_type; opaque HostName<1..2^16-1>; } ServerName;
 *     struct { ServerName server_name_list<1..2^16-1> } ServerNameList;
 * Empty if it is not that: OpenSSL, which reads it again, ends the handshake of a malformed one.
 */
static struct slice host_name(struct slice extension)
{
	struct cursor c = cursor_make(extension);
	(void)cursor_u16(&c);
	bool is_host = cursor_u8(&c) == TLSEXT_NAMETYPE_host_name;
	struct slice name = cursor_bytes(&c, cursor_u16(&c));
	return c.failed || !is_host ? (struct slice){0} : name;
}

static void remember_sni(struct tlss *t, struct slice name)
{
	if (name.n > 0 && name.p[name.n - 1] == '.') /* forbidden, harmless */
		name.n--;
	t->sni[0] = '\0';
	if (name.n > SNI_MAX)
		return;
	for (size_t i = 0; i < name.n; i++) {
		bool odd = name.p[i] <= ' ' || name.p[i] > '~';
		t->sni[i] = odd ? '?' : (char)ascii_lower(name.p[i]);
	}
	t->sni[name.n] = '\0';
}

int tls_server_on_hello(SSL *ssl, int *alert, void *server)
{
	struct tlss *t = SSL_get_app_data(ssl);
	const unsigned char *p = NULL;
	size_t n = 0;
	struct server_choice choice;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) == 1)
		remember_sni(t, host_name(slice_make(p, n)));
	tls_server_pick(server, t->sni, &choice);
	t->facts.sni_matched = choice.matched;
	if (tls_server_present(ssl, &choice))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_CLIENT_HELLO_ERROR;
}

/* --- States --- */

static enum tls_state fail(void *conn, enum tls_flow_end end, const char *detail)
{
	struct tlss *t = conn;
	(void)end; /* the words are all that is wanted of a client that is gone */
	const char *reason = tls_openssl_reason();
	t->flow.state = TLS_FAILED;
	snprintf(t->detail, sizeof(t->detail), "%s", reason != NULL ? reason : detail);
	return t->flow.state;
}

static int cert_of(const struct tlss *t)
{
	const X509 *leaf = SSL_get_certificate(t->flow.b.ssl);
	if (leaf == NULL || t->facts.resumed)
		return -1;
	for (size_t i = 0; i < t->server->nidentity; i++) {
		if (sk_X509_value(t->server->identity[i].chain->certs, 0) == leaf)
			return (int)i;
	}
	return -1;
}

static void show_protocol(struct tlss *t)
{
	struct tls_facts f = {.version = "", .cipher = "", .group = ""};
	tls_facts_protocol(t->flow.b.ssl, &f);
	t->facts.version = f.version;
	t->facts.cipher = f.cipher;
	t->facts.group = f.group;
}

static enum tls_state up(void *conn)
{
	struct tlss *t = conn;
	t->flow.state = TLS_UP;
	t->facts.resumed = SSL_session_reused(t->flow.b.ssl) == 1;
	t->facts.cert = cert_of(t);
	show_protocol(t);
	return t->flow.state;
}

static const struct tls_side server_side = {.up = up, .fail = fail};

/* --- Making one --- */

struct tlss *tlss_accept(struct tls_server *s, int64_t now, char *error, size_t room)
{
	struct tlss *t = calloc(1, sizeof(*t));
	if (t == NULL) {
		snprintf(error, room, "out of memory");
		return NULL;
	}
	s->references++;
	t->server = s;
	t->flow = (struct tls_flow){.state = TLS_HANDSHAKING, .side = &server_side, .conn = t};
	t->facts = (struct tlss_facts){.detail = t->detail,
				       .version = "",
				       .cipher = "",
				       .group = "",
				       .sni = t->sni,
				       .cert = -1};
	tls_tickets_rotate(&s->tickets, now);
	ERR_clear_error();
	t->flow.b.ssl = SSL_new(s->ctx);
	if (t->flow.b.ssl == NULL || !tls_bytes_open(&t->flow.b) ||
	    SSL_set_app_data(t->flow.b.ssl, t) != 1) {
		tls_openssl_error("cannot make a TLS connection", error, room);
		tlss_free(&t);
		return NULL;
	}
	SSL_set_accept_state(t->flow.b.ssl);
	return t;
}

void tlss_free(struct tlss **t)
{
	if (*t == NULL)
		return;
	SSL_free((*t)->flow.b.ssl);
	tls_server_free(&(*t)->server);
	free(*t);
	*t = NULL;
}

/* --- Bytes --- */

enum tls_state tlss_feed(struct tlss *t, struct slice cipher, struct buf *plain)
{
	return tls_flow_feed(&t->flow, cipher, plain);
}

enum tls_state tlss_feed_eof(struct tlss *t)
{
	return tls_flow_feed_eof(&t->flow);
}

enum tls_state tlss_write(struct tlss *t, struct slice plain)
{
	return tls_flow_write(&t->flow, plain);
}

void tlss_pending(struct tlss *t, struct buf *out)
{
	tls_bytes_pending(&t->flow.b, out);
}

void tlss_shutdown(struct tlss *t)
{
	tls_flow_shutdown(&t->flow);
}

enum tls_state tlss_state(const struct tlss *t)
{
	return t->flow.state;
}

const struct tlss_facts *tlss_facts(const struct tlss *t)
{
	return &t->facts;
}
