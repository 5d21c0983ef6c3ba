/* SPDX-License-Identifier: MIT */
/*
 * Resumable sessions by the terms they were made under (T9), least recently used out first.
 *
 * Knows when a session may be used again: the same peer, policy, records, names and key kind, and
 * no certificate of a DANE-TA path out of its dates. Refuses to know connections, and never sees a
 * session whose verification failed.
 */
#include "tls/room.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <stdlib.h>
#include <string.h>

/* The canonical text of a key: records in full may be long. */
enum { KEY_TEXT_MAX = 1024 * 1024 };

struct entry {
	struct tls_terms_key key;
	SSL_SESSION *session;
	struct arena mem; /* of what the proof points to */
	struct session_proof proof;
	struct entry *chain; /* same bucket */
	struct entry *newer, *older;
};

struct session_table {
	size_t max, n, nbuckets; /* nbuckets is a power of two */
	struct entry **bucket;
	struct entry *newest, *oldest;
};

struct session_table *tls_sessions_new(size_t max)
{
	struct session_table *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->max = max;
	t->nbuckets = 16;
	while (t->nbuckets < max && t->nbuckets < SIZE_MAX / 4 / sizeof(*t->bucket))
		t->nbuckets *= 2;
	t->bucket = calloc(t->nbuckets, sizeof(struct entry *));
	if (t->bucket == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

static struct entry **bucket_of(struct session_table *t, const struct tls_terms_key *k)
{
	size_t h = 0;
	memcpy(&h, k->b, sizeof(h));
	return &t->bucket[h & (t->nbuckets - 1)];
}

static struct entry *lookup(struct session_table *t, const struct tls_terms_key *k)
{
	for (struct entry *e = *bucket_of(t, k); e != NULL; e = e->chain) {
		if (memcmp(e->key.b, k->b, sizeof(k->b)) == 0)
			return e;
	}
	return NULL;
}

static void list_remove(struct session_table *t, struct entry *e)
{
	*(e->newer != NULL ? &e->newer->older : &t->newest) = e->older;
	*(e->older != NULL ? &e->older->newer : &t->oldest) = e->newer;
	e->newer = e->older = NULL;
}

static void list_push(struct session_table *t, struct entry *e)
{
	e->older = t->newest;
	*(t->newest != NULL ? &t->newest->newer : &t->oldest) = e;
	t->newest = e;
}

static void entry_free(struct entry *e)
{
	SSL_SESSION_free(e->session);
	arena_free(&e->mem);
	free(e);
}

static void entry_remove(struct session_table *t, struct entry *e)
{
	struct entry **link = bucket_of(t, &e->key);
	while (*link != e)
		link = &(*link)->chain;
	*link = e->chain;
	list_remove(t, e);
	t->n--;
	entry_free(e);
}

void tls_sessions_free(struct session_table **t)
{
	if (*t == NULL)
		return;
	while ((*t)->oldest != NULL)
		entry_remove(*t, (*t)->oldest);
	free((*t)->bucket);
	free(*t);
	*t = NULL;
}

static bool in_time(const struct session_proof *p, int64_t now)
{
	return now >= p->valid_from && now < p->valid_until;
}

SSL_SESSION *tls_sessions_find(struct session_table *t, const struct tls_terms_key *k, int64_t now,
			       const struct session_proof **proof)
{
	struct entry *e = lookup(t, k);
	if (e == NULL)
		return NULL;
	if (!in_time(&e->proof, now) || !SSL_SESSION_is_resumable(e->session)) {
		entry_remove(t, e);
		return NULL;
	}
	list_remove(t, e);
	list_push(t, e);
	*proof = &e->proof;
	return e->session;
}

void tls_sessions_drop(struct session_table *t, const struct tls_terms_key *k)
{
	struct entry *e = lookup(t, k);
	if (e != NULL)
		entry_remove(t, e);
}

bool tls_proof_copy(struct arena *mem, const struct session_proof *from, struct session_proof *to)
{
	*to = *from;
	to->data = arena_bytes(mem, from->data);
	if (from->match.name != NULL)
		to->match.name = arena_strdup(mem, from->match.name);
	to->chain = tls_certs_copy(mem, from->chain, from->nchain);
	return !mem->failed;
}

/* --- Sessions without certificates ---
 *
 * A session holds the server's chain as objects, most of what it needs; OpenSSL asks for them no
 * more when it is resumed. Its serial form (SSL_SESSION_ASN1) is a SEQUENCE in which the leaf
 * is the optional element [3] and the rest of the chain is not at all.
 */

enum { PEER_TAG = 3 };

/* The element of the peer's certificate in the body; empty: there is none. */
static struct slice find_peer(const uint8_t *body, const uint8_t *end)
{
	for (const uint8_t *at = body, *p = body; at < end; at = p) {
		long length = 0;
		int tag = 0, class = 0;
		if (ASN1_get_object(&p, &length, &tag, &class, end - p) & 0x80)
			break;
		p += length;
		if (class == V_ASN1_CONTEXT_SPECIFIC && tag == PEER_TAG)
			return slice_make(at, (size_t)(p - at));
	}
	return slice_make(NULL, 0);
}

/* The session again from its serial form, less `peer`. */
static SSL_SESSION *read_without(const uint8_t *body, const uint8_t *end, struct slice peer)
{
	int n = (int)((size_t)(end - body) - peer.n);
	int whole = ASN1_object_size(1, n, V_ASN1_SEQUENCE);
	uint8_t *der = OPENSSL_malloc((size_t)whole), *p = der;
	if (der == NULL)
		return NULL;
	ASN1_put_object(&p, 1, n, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	size_t before = (size_t)(peer.p - body);
	memcpy(p, body, before);
	memcpy(p + before, peer.p + peer.n, (size_t)n - before);
	const uint8_t *in = der;
	SSL_SESSION *s = d2i_SSL_SESSION(NULL, &in, whole);
	OPENSSL_clear_free(der, (size_t)whole);
	return s;
}

/* NULL: it has none, or cannot be written. */
static SSL_SESSION *without_certificates(SSL_SESSION *s)
{
	SSL_SESSION *slim = NULL;
	uint8_t *der = NULL;
	long length = 0;
	int tag = 0, class = 0;
	int n = i2d_SSL_SESSION(s, &der);
	const uint8_t *p = der;
	if (n > 0 && !(ASN1_get_object(&p, &length, &tag, &class, n) & 0x80)) {
		struct slice peer = find_peer(p, p + length);
		if (peer.n > 0)
			slim = read_without(p, p + length, peer);
	}
	if (n > 0)
		OPENSSL_clear_free(der, (size_t)n);
	return slim;
}

/* The errors of whoever called OpenSSL are not to be mixed with ours: it is about to ask for them.
 */
static SSL_SESSION *session_to_keep(SSL_SESSION *s, bool has_chain)
{
	ERR_set_mark();
	bool heavy = has_chain && SSL_SESSION_get0_peer(s) != NULL;
	SSL_SESSION *slim = heavy ? without_certificates(s) : NULL;
	ERR_pop_to_mark();
	if (slim != NULL)
		return slim;
	return SSL_SESSION_up_ref(s) == 1 ? s : NULL;
}

/* NULL when out of memory: then the session is simply not kept. */
static struct entry *entry_new(const struct tls_terms_key *k, SSL_SESSION *s,
			       const struct session_proof *proof)
{
	struct entry *e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	arena_init(&e->mem, REPORT_BYTES_MAX);
	e->key = *k;
	if (tls_proof_copy(&e->mem, proof, &e->proof))
		e->session = session_to_keep(s, e->proof.nchain > 0);
	if (e->session == NULL) {
		entry_free(e);
		return NULL;
	}
	return e;
}

void tls_sessions_put(struct session_table *t, const struct tls_terms_key *k, SSL_SESSION *s,
		      const struct session_proof *proof)
{
	/* Before the old entry goes: `proof` may point into it. */
	struct entry *e = entry_new(k, s, proof);
	if (e == NULL)
		return;
	tls_sessions_drop(t, k);
	while (t->n >= t->max)
		entry_remove(t, t->oldest);
	struct entry **bucket = bucket_of(t, k);
	e->chain = *bucket;
	*bucket = e;
	list_push(t, e);
	t->n++;
}

/* Insertion sort of at most REFERENCE_NAMES_MAX names. */
static void sort_names(const char **name, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		const char *x = name[i];
		size_t j = i;
		for (; j > 0 && strcmp(name[j - 1], x) > 0; j--)
			name[j] = name[j - 1];
		name[j] = x;
	}
}

static void key_text(struct buf *b, const struct tls_terms *terms, const struct tls_options *o)
{
	const char *name[REFERENCE_NAMES_MAX];
	size_t n = terms->nreference_names < REFERENCE_NAMES_MAX ? terms->nreference_names
								 : REFERENCE_NAMES_MAX;
	for (size_t i = 0; i < n; i++)
		name[i] = terms->reference_names[i];
	sort_names(name, n);
	/* The base domain is a field of its own: it is more than one name among others. */
	buf_addf(b, "peer=%s\npolicy=%d\nkind=%d\nsni=%s\nbase=%s\n", o->peer, (int)terms->policy,
		 (int)o->kind, terms->sni != NULL ? terms->sni : "",
		 terms->nreference_names > 0 ? terms->reference_names[0] : "");
	for (size_t i = 0; i < n; i++)
		buf_addf(b, "name=%s\n", name[i]);
	if (terms->policy == HOST_DANE && terms->tlsa != NULL)
		tlsa_set_key(terms->tlsa, b);
}

bool tls_terms_key_make(const struct tls_terms *terms, const struct tls_options *o,
			struct tls_terms_key *out)
{
	struct buf b;
	buf_init(&b, KEY_TEXT_MAX);
	key_text(&b, terms, o);
	struct slice text = buf_slice(&b);
	bool ok = buf_ok(&b) && EVP_Digest(text.p, text.n, out->b, NULL, EVP_sha256(), NULL) == 1;
	buf_free(&b);
	return ok;
}
