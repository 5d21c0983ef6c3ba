/* SPDX-License-Identifier: MIT */
/*
 * relay: how many messages somebody may hand in (P3): a bucket of tokens for each client network or
 * user, filled again at an even pace. Pure: the time is given. A bounded table; who comes when it
 * is full takes the place of the one whose bucket is fullest, so that forgetting costs the least.
 */
#ifndef RELAY_RATE_H
#define RELAY_RATE_H

#include "base/slice.h"

enum {
	RATE_PLACES = 4096, /* stops clients of many networks from growing the table */
	RATE_WAYS = 8,      /* places that one key can have: bounds the search */
	RATE_KEY_MAX = 64,  /* octets of a key that count */
};

struct rate;

/* `per_minute` messages, and as many at once after a minute of rest. NULL: out of memory. */
struct rate *rate_new(uint32_t per_minute);
void rate_free(struct rate **r);

/* May whoever has this key hand in one more? Counts it if so. now_ms never goes back (a monotonic
 * clock); if it does, nobody is refused longer for it. */
bool rate_take(struct rate *r, struct slice key, uint64_t now_ms);

#endif
