/* SPDX-License-Identifier: MIT */
/* Copies of TLS facts that outlive the connection they came from. */
#include "dane/terms.h"

static void copy_cert(struct arena *mem, const struct tls_cert *from, struct tls_cert *to)
{
	*to = *from;
	to->subject = arena_strdup(mem, from->subject);
	to->issuer = arena_strdup(mem, from->issuer);
	to->names = arena_strdup(mem, from->names);
	to->sha256 = arena_strdup(mem, from->sha256);
	to->spki_sha256 = arena_strdup(mem, from->spki_sha256);
	to->key = arena_strdup(mem, from->key);
	to->der = arena_bytes(mem, from->der);
}

struct tls_cert *tls_certs_copy(struct arena *mem, const struct tls_cert *from, size_t n)
{
	struct tls_cert *to = n > 0 ? arena_array(mem, n, sizeof(*to)) : NULL;
	for (size_t i = 0; to != NULL && i < n; i++)
		copy_cert(mem, &from[i], &to[i]);
	return mem->failed ? NULL : to;
}

static const char *copy_text(struct arena *mem, const char *s)
{
	return s == NULL ? NULL : arena_strdup(mem, s);
}

const struct tls_facts *tls_facts_copy(struct arena *mem, const struct tls_facts *f)
{
	struct tls_facts *c = arena_alloc(mem, sizeof(*c));
	if (c == NULL)
		return NULL;
	*c = *f;
	c->detail = copy_text(mem, f->detail);
	c->x509_text = copy_text(mem, f->x509_text);
	c->version = copy_text(mem, f->version);
	c->cipher = copy_text(mem, f->cipher);
	c->group = copy_text(mem, f->group);
	c->match.name = copy_text(mem, f->match.name);
	c->chain = tls_certs_copy(mem, f->chain, f->nchain);
	return mem->failed ? NULL : c;
}
