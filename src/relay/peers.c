/* SPDX-License-Identifier: MIT */
/* A hash table. Knows what may be forgotten; refuses to judge. */
#include "relay/peers.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096, PEERS_MAX = 16384 }; /* hosts; a few hundred octets each */

struct entry {
	char *host;
	uint16_t port;
	char key_type[AUDIT_KEY_TYPE_MAX];
	struct known_key *known;
	size_t n;
	int64_t row; /* the last that changed it */
	struct entry *next;
};

struct peers {
	struct entry *bucket[BUCKETS];
	size_t n;
	int64_t moved;
};

struct peers *peers_new(void)
{
	return calloc(1, sizeof(struct peers));
}

static void entry_free(struct entry *e)
{
	free(e->host);
	free(e->known);
	free(e);
}

/* All of them, or those that the file has. */
static void forget(struct peers *p, bool all)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct entry **at = &p->bucket[i];
		while (*at != NULL) {
			struct entry *e = *at;
			if (!all && e->row > p->moved) {
				at = &e->next;
				continue;
			}
			*at = e->next;
			entry_free(e);
			p->n--;
		}
	}
}

void peers_free(struct peers **p)
{
	if (*p == NULL)
		return;
	forget(*p, true);
	free(*p);
	*p = NULL;
}

static size_t bucket_of(const struct peer_name *name)
{
	uint64_t h = 1469598103934665603u; /* FNV-1a */
	for (size_t i = 0; i < name->host.n; i++)
		h = (h ^ name->host.p[i]) * 1099511628211u;
	for (const char *s = name->key_type; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 1099511628211u;
	return (size_t)((h ^ name->port) % BUCKETS);
}

static struct entry *lookup(const struct peers *p, const struct peer_name *name)
{
	struct entry *e = p->bucket[bucket_of(name)];
	while (e != NULL && !(slice_eq_str(name->host, e->host) && e->port == name->port &&
			      strcmp(e->key_type, name->key_type) == 0))
		e = e->next;
	return e;
}

bool peers_known(const struct peers *p, const struct peer_name *name,
		 const struct known_key **known, size_t *n)
{
	const struct entry *e = lookup(p, name);
	if (e == NULL)
		return false;
	*known = e->known;
	*n = e->n;
	return true;
}

static struct entry *entry_new(const struct peer_name *name, const struct known_key *known,
			       size_t n)
{
	struct entry *e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	e->host = strndup((const char *)name->host.p, name->host.n);
	e->known = calloc(n > 0 ? n : 1, sizeof(*known));
	if (e->host == NULL || e->known == NULL) {
		entry_free(e);
		return NULL;
	}
	e->port = name->port;
	snprintf(e->key_type, sizeof(e->key_type), "%s", name->key_type);
	if (n > 0)
		memcpy(e->known, known, n * sizeof(*known));
	e->n = n;
	return e;
}

bool peers_load(struct peers *p, const struct peer_name *name, const struct known_key *known,
		size_t n)
{
	if (p->n >= PEERS_MAX)
		forget(p, false);
	struct entry *e = entry_new(name, known, n);
	if (e == NULL)
		return false;
	struct entry **at = &p->bucket[bucket_of(name)];
	e->next = *at;
	*at = e;
	p->n++;
	return true;
}

static size_t place_of(const struct entry *e, const struct known_key *key)
{
	size_t i = 0;
	while (i < e->n && memcmp(e->known[i].cert, key->cert, AUDIT_DIGEST) != 0)
		i++;
	return i;
}

/* A place for one more; the longest unseen goes when there are too many. */
static size_t make_room(struct entry *e)
{
	if (e->n == AUDIT_KNOWN_MAX)
		return e->n - 1;
	struct known_key *more = realloc(e->known, (e->n + 1) * sizeof(*more));
	if (more == NULL)
		return e->n > 0 ? e->n - 1 : SIZE_MAX;
	e->known = more;
	return e->n++;
}

void peers_seen(struct peers *p, const struct peer_name *name, const struct known_key *key,
		int64_t row)
{
	struct entry *e = lookup(p, name);
	if (e == NULL)
		return;
	size_t i = place_of(e, key);
	if (i == 0 && e->n > 0 && e->known[0].authority == key->authority)
		return;
	if (i == e->n)
		i = make_room(e);
	if (i == SIZE_MAX)
		return;
	memmove(&e->known[1], &e->known[0], i * sizeof(*e->known));
	e->known[0] = *key;
	e->row = row;
}

void peers_moved(struct peers *p, int64_t row)
{
	p->moved = row;
}
