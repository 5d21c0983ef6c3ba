/* SPDX-License-Identifier: MIT */
/*
 * engine: what each name server of a zone says (RFC 7671 s8.1: before a wait begins, all of them
 * have to have the records). Every address of every NS record is asked on its own; its answer is
 * validated like any other.
 */
#ifndef ENGINE_AUTHORITY_H
#define ENGINE_AUTHORITY_H

#include "engine/engine.h"

enum {
	AUTHORITY_NAMES_MAX = 32,   /* NS records that are followed */
	AUTHORITY_SERVERS_MAX = 64, /* addresses */
};

struct authority_server {
	const char *name; /* of the NS record */
	struct ipaddr address;
	struct answer *answer; /* about the owner; NULL: see why */
	uint32_t negative_ttl; /* how long its "no such record" may be kept (RFC 2308 s5) */
	const char *why;       /* what failed, one line; NULL: it answered */
};

struct authority {
	const char *owner;
	uint16_t type;
	const char *zone; /* that the owner is in; NULL: not found */
	const char *why;  /* zone or servers not found: one line; else NULL */
	/* Without the addresses of a family in which nothing answers, as where there is no IPv6. */
	struct authority_server *server;
	size_t nserver;
	bool local_failure; /* out of memory: nothing here may be trusted */
};

typedef void authority_cb(void *arg, struct authority *a); /* valid until authority_free() */

/* owner: A-labels, no dot at the end; must outlive the request. The engine resolves by itself
 * (engine_config.resolver NULL). NULL: out of memory. */
struct authority *authority_start(struct engine *e, const char *owner, uint16_t type,
				  authority_cb *cb, void *arg);
void authority_free(struct authority **a);

#endif
