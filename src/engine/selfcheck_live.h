/* SPDX-License-Identifier: MIT */
/* engine: what a server really serves: its chains, RSA and ECDSA apart, by asking every address. */
#ifndef ENGINE_SELFCHECK_LIVE_H
#define ENGINE_SELFCHECK_LIVE_H

#include "engine/engine.h"

struct selfcheck_live_chain {
	struct tls_chain *chain;
	const char *label; /* "what 192.0.2.1 serves (EC P-256)" */
};

struct selfcheck_live {
	struct selfcheck_live_chain *chain; /* each once, though several addresses serve it */
	size_t nchain;
	const char *no_tls;  /* an address that answered and served no chain, and why; NULL: none */
	const char *trouble; /* why an address was not reached; NULL: all were */
	bool local_failure;
};

/* Comes from the loop, once. */
typedef void selfcheck_live_cb(void *arg, struct selfcheck_live *l);

/* Port 465 has TLS from the start, others STARTTLS. name must outlive it. NULL: out of memory. */
struct selfcheck_live *selfcheck_live_start(struct engine *e, const char *name, uint16_t port,
					    selfcheck_live_cb *cb, void *arg);
void selfcheck_live_free(struct selfcheck_live **l);

#endif
