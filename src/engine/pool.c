/* SPDX-License-Identifier: MIT */
/* The list of idle connections, newest first. Knows when two sets of terms are equal; refuses to
 * know sockets and time. */
#include "engine/pool.h"

#include <string.h>

void pool_remove(struct pool *pool, struct pool_place *p)
{
	*(p->newer != NULL ? &p->newer->older : &pool->newest) = p->older;
	*(p->older != NULL ? &p->older->newer : &pool->oldest) = p->newer;
	p->newer = p->older = NULL;
	pool->n--;
}

static void send_away(struct pool *pool, struct pool_place *p)
{
	pool_remove(pool, p);
	p->leave(p);
}

/* The oldest of this peer if it has all the places it may have; NULL: it has not. */
static struct pool_place *one_too_many(const struct pool *pool, const char *peer)
{
	size_t n = 0;
	for (struct pool_place *p = pool->newest; p != NULL; p = p->older) {
		if (strcmp(p->peer, peer) == 0 && ++n == POOL_PEER_MAX)
			return p;
	}
	return NULL;
}

void pool_put(struct pool *pool, struct pool_place *p)
{
	struct pool_place *old = one_too_many(pool, p->peer);
	if (old == NULL && pool->n >= POOL_MAX)
		old = pool->oldest;
	if (old != NULL)
		send_away(pool, old);
	p->newer = NULL;
	p->older = pool->newest;
	*(pool->newest != NULL ? &pool->newest->newer : &pool->oldest) = p;
	pool->newest = p;
	pool->n++;
}

static bool is_equal(const struct pool_place *a, const struct pool_place *b)
{
	return memcmp(a->key.b, b->key.b, sizeof(a->key.b)) == 0 && a->tls == b->tls &&
	       strcmp(a->peer, b->peer) == 0 && strcmp(a->user, b->user) == 0;
}

struct pool_place *pool_take(struct pool *pool, const struct pool_place *like)
{
	for (struct pool_place *p = pool->newest; p != NULL; p = p->older) {
		if (is_equal(p, like)) {
			pool_remove(pool, p);
			return p;
		}
	}
	return NULL;
}

void pool_empty(struct pool *pool)
{
	while (pool->oldest != NULL)
		send_away(pool, pool->oldest);
}
