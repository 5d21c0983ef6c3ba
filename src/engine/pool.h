/* SPDX-License-Identifier: MIT */
/*
 * engine: connections whose last message went well and that wait for the next one on equal terms
 * (T9). The pool only knows places: who holds one embeds it and owns it.
 */
#ifndef ENGINE_POOL_H
#define ENGINE_POOL_H

#include "smtp/client.h"
#include "tls/tls.h"

enum {
	POOL_MAX = 256,     /* idle connections of this process: each holds a descriptor */
	POOL_PEER_MAX = 20, /* to one address and port: an idle connection costs the host, too */
	POOL_PEER_TEXT_MAX = 128,
};

struct pool_place {
	struct tls_terms_key key;
	enum smtpc_tls tls;            /* a clear fallback serves nobody who would try TLS */
	char peer[POOL_PEER_TEXT_MAX]; /* "address:port", "lmtp unix:/path" */
	/* Who logged in, "" for nobody: what was let in as one serves no other. */
	char user[SMTPC_AUTH_MAX + 1];
	/* The place is needed, or everything ends: called after it left the pool. */
	void (*leave)(struct pool_place *p);
	void *owner;
	struct pool_place *newer, *older;
};

/* All zero: empty. */
struct pool {
	struct pool_place *newest, *oldest;
	size_t n;
};

/* The oldest of the peer, or of all, leaves when there is no room. */
void pool_put(struct pool *pool, struct pool_place *p);
/* The newest that waits under equal terms, out of the pool; NULL: none. */
struct pool_place *pool_take(struct pool *pool, const struct pool_place *like);
void pool_remove(struct pool *pool, struct pool_place *p);
void pool_empty(struct pool *pool); /* everybody leaves */

#endif
