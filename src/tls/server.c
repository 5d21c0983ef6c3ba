/* SPDX-License-Identifier: MIT */
/*
 * A server's certificates and settings as one object that never changes and goes with its last
 * connection.
 *
 * Knows the order in which a server is put together. Refuses to know connections.
 */
#include "tls/server_room.h"

#include <stdio.h>
#include <stdlib.h>

static void server_destroy(struct tls_server *s)
{
	SSL_CTX_free(s->ctx);
	for (size_t i = 0; i < s->nidentity; i++)
		tls_identity_free(&s->identity[i]);
	free(s->identity);
	free(s->warning);
	tls_tickets_wipe(&s->tickets);
	arena_free(&s->mem);
	free(s);
}

void tls_server_free(struct tls_server **s)
{
	if (*s == NULL)
		return;
	if (--(*s)->references == 0)
		server_destroy(*s);
	*s = NULL;
}

static bool config_is_sane(const struct tls_server_config *c, char *error, size_t room)
{
	const char *wrong = NULL;
	if (c->ncert == 0)
		wrong = "no certificate configured";
	else if (c->ncert > TLS_SERVER_CERTS_MAX)
		wrong = "too many certificates";
	else if (c->tls10 && c->use == TLS_SERVER_SUBMISSION)
		wrong = "submission needs TLS 1.2 or later (RFC 8314 section 4.1)";
	if (wrong != NULL)
		snprintf(error, room, "%s", wrong);
	return wrong == NULL;
}

static bool load_all(struct tls_server *s, const struct tls_server_config *c, int64_t now,
		     char *error, size_t room)
{
	s->identity = calloc(c->ncert, sizeof(*s->identity));
	if (s->identity == NULL) {
		snprintf(error, room, "out of memory");
		return false;
	}
	for (size_t i = 0; i < c->ncert; i++) {
		s->nidentity++;
		if (!tls_identity_load(s, &s->identity[i], &c->cert[i], now, error, room))
			return false;
	}
	return true;
}

static bool make_tickets(struct tls_server *s, const struct tls_server_config *c, int64_t now,
			 char *error, size_t room)
{
	int64_t from = c->ticket_seed != NULL ? c->ticket_seed_time : now;
	if (tls_tickets_init(&s->tickets, c->ticket_seed, from)) {
		tls_tickets_rotate(&s->tickets, now);
		return true;
	}
	tls_openssl_error("cannot make ticket keys", error, room);
	return false;
}

struct tls_server *tls_server_new(const struct tls_server_config *c, int64_t now, char *error,
				  size_t room)
{
	if (!config_is_sane(c, error, room))
		return NULL;
	struct tls_server *s = calloc(1, sizeof(*s));
	if (s == NULL) {
		snprintf(error, room, "out of memory");
		return NULL;
	}
	s->references = 1;
	s->public_only = c->public_only;
	arena_init(&s->mem, SERVER_BYTES_MAX);
	bool loaded = load_all(s, c, now, error, room);
	if (loaded && c->public_only)
		return s;
	if (!loaded || !make_tickets(s, c, now, error, room) ||
	    !tls_server_context(s, c, error, room))
		tls_server_free(&s);
	return s;
}

void tls_server_warn(struct tls_server *s, const char *text)
{
	if (s->nwarning == s->warning_room) {
		size_t more = 2 * s->warning_room + 8;
		const char **p = reallocarray(s->warning, more, sizeof(*p));
		if (p == NULL)
			return;
		s->warning = p;
		s->warning_room = more;
	}
	const char *copy = arena_strdup(&s->mem, text);
	if (copy != NULL)
		s->warning[s->nwarning++] = copy;
}

size_t tls_server_warnings(const struct tls_server *s, const char *const **line)
{
	*line = s->warning;
	return s->nwarning;
}

const struct tls_chain *tls_server_chain(const struct tls_server *s, size_t i)
{
	return i < s->nidentity ? s->identity[i].chain : NULL;
}

size_t tls_server_names(const struct tls_server *s, size_t i, const char *const **name)
{
	*name = i < s->nidentity ? s->identity[i].name : NULL;
	return i < s->nidentity ? s->identity[i].nname : 0;
}
