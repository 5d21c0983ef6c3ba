/* SPDX-License-Identifier: MIT */
/*
 * engine: hosts that offered CHUNKING and then did not know BDAT, or were lost over it. For some
 * time they get their texts with DATA, so that what broke once is not tried again with every
 * message. Knows no clock: times are given.
 */
#ifndef ENGINE_NO_CHUNKS_H
#define ENGINE_NO_CHUNKS_H

#include "engine/pool.h"

enum {
	/* The oldest gives way. Who makes hosts by the dozen pays a round trip more for his own
	   mail. */
	NO_CHUNKS_HOSTS = 64,
	NO_CHUNKS_MS = 3600000,
};

/* All zero: empty. */
struct no_chunks {
	struct {
		char peer[POOL_PEER_TEXT_MAX];
		uint64_t until_ms;
	} host[NO_CHUNKS_HOSTS];
	size_t next;
};

void no_chunks_note(struct no_chunks *n, const char *peer, uint64_t now_ms);
bool no_chunks_has(const struct no_chunks *n, const char *peer, uint64_t now_ms);

#endif
