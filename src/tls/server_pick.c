/* SPDX-License-Identifier: MIT */
/*
 * Which certificates a client may be shown: by the name that it asked for (RFC 6066 s3).
 *
 * Knows names and kinds of keys. Refuses to know what the client's cipher suites allow: OpenSSL
 * takes the one of several kinds that fits.
 */
#include "tls/server_room.h"

#include <string.h>

bool tls_name_is_exact(const char *pattern, const char *name)
{
	return strcmp(pattern, name) == 0;
}

/* A wildcard stands for one whole label, the first (RFC 9525 s6.3). */
bool tls_name_is_covered(const char *pattern, const char *name)
{
	if (strncmp(pattern, "*.", 2) != 0)
		return tls_name_is_exact(pattern, name);
	const char *dot = strchr(name, '.');
	return dot != NULL && dot != name && strcmp(pattern + 1, dot) == 0;
}

static bool has_name(const struct tls_identity *id, const char *name,
		     bool (*match)(const char *, const char *))
{
	for (size_t i = 0; i < id->nname; i++) {
		if (match(id->name[i], name))
			return true;
	}
	return false;
}

static void add(struct server_choice *c, const struct tls_identity *id)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->identity[i]->kind == id->kind)
			return;
	}
	if (c->n < KINDS_MAX)
		c->identity[c->n++] = id;
}

static void add_named(const struct tls_server *s, const char *name, struct server_choice *out)
{
	for (size_t i = 0; i < s->nidentity; i++) {
		if (has_name(&s->identity[i], name, tls_name_is_exact))
			add(out, &s->identity[i]);
	}
	for (size_t i = 0; i < s->nidentity; i++) {
		if (has_name(&s->identity[i], name, tls_name_is_covered))
			add(out, &s->identity[i]);
	}
}

void tls_server_pick(const struct tls_server *s, const char *sni, struct server_choice *out)
{
	*out = (struct server_choice){0};
	if (sni[0] != '\0')
		add_named(s, sni, out);
	out->matched = out->n > 0;
	if (out->matched)
		return;
	const struct tls_identity *first = &s->identity[0];
	add(out, first);
	if (first->nname > 0)
		add_named(s, first->name[0], out);
}

size_t tls_server_shown(const struct tls_server *s, const char *sni,
			size_t out[static TLS_SERVER_KINDS_MAX])
{
	struct server_choice c;
	tls_server_pick(s, sni, &c);
	for (size_t i = 0; i < c.n; i++)
		out[i] = (size_t)(c.identity[i] - s->identity);
	return c.n;
}
