/* SPDX-License-Identifier: MIT */
/*
 * relay: the keys of hosts that the keeper has in memory: what the audit file knows of the hosts of
 * the last while, and what is still on its way there. Pure but for memory.
 */
#ifndef RELAY_PEERS_H
#define RELAY_PEERS_H

#include "audit/continuity.h"

struct peers;

struct peer_name {
	struct slice host;
	uint16_t port;
	const char *key_type;
};

struct peers *peers_new(void); /* NULL: out of memory */
void peers_free(struct peers **p);

/* The known keys of a host, the last seen first; valid until the next call that changes something.
 * False: not in memory; peers_load() it first. */
bool peers_known(const struct peers *p, const struct peer_name *name,
		 const struct known_key **known, size_t *n);
/* What the file knows. False: out of memory. */
bool peers_load(struct peers *p, const struct peer_name *name, const struct known_key *known,
		size_t n);
/* Seen now, by the record that has the number `row` in the outbox; the host is in memory. */
void peers_seen(struct peers *p, const struct peer_name *name, const struct known_key *key,
		int64_t row);
/* Rows up to here are in the file: what only they knew may be forgotten when memory gets scarce. */
void peers_moved(struct peers *p, int64_t row);

#endif
