/* SPDX-License-Identifier: MIT */
/* relay: the asker's end of the resolver: an engine_resolver whose questions go over a channel.
 */
#ifndef RELAY_REMOTE_H
#define RELAY_REMOTE_H

#include "engine/engine.h"
#include "relay/channel.h"

struct remote;

/* self: ROLE_COURIER or ROLE_WARDEN. parent: who is asked for a channel to the resolver when ours
 * is gone and no new one comes; NULL: nobody. NULL: out of memory. */
struct remote *remote_new(struct loop *l, enum role self, struct channel *parent);
void remote_free(struct remote **r);
/* The (new) resolver: takes fd over. Questions that wait are put to it, also those that the old one
 * had. */
void remote_connect(struct remote *r, int fd);
/* Questions answered since the start, and the milliseconds that they took together. */
void remote_count(const struct remote *r, uint64_t *questions, uint64_t *ms);
struct engine_resolver remote_resolver(struct remote *r);

#endif
