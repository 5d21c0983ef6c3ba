/* SPDX-License-Identifier: MIT */
/* See no_chunks.h. */
#include "engine/no_chunks.h"

#include <stdio.h>
#include <string.h>

void no_chunks_note(struct no_chunks *n, const char *peer, uint64_t now_ms)
{
	snprintf(n->host[n->next].peer, sizeof(n->host[n->next].peer), "%s", peer);
	n->host[n->next].until_ms = now_ms + NO_CHUNKS_MS;
	n->next = (n->next + 1) % NO_CHUNKS_HOSTS;
}

bool no_chunks_has(const struct no_chunks *n, const char *peer, uint64_t now_ms)
{
	for (size_t i = 0; i < NO_CHUNKS_HOSTS; i++) {
		if (n->host[i].until_ms > now_ms && strcmp(n->host[i].peer, peer) == 0)
			return true;
	}
	return false;
}
