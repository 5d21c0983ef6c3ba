/* SPDX-License-Identifier: MIT */
/* Buckets of tokens. Knows keys and times; refuses to know what a client is. */
#include "relay/rate.h"

#include <stdlib.h>
#include <string.h>

enum { MINUTE_MS = 60000 };

struct bucket {
	uint8_t key[RATE_KEY_MAX];
	size_t n; /* of the key; 0: the place is free */
	/* In parts of MINUTE_MS, so that a slow pace loses nothing to rounding. */
	uint64_t tokens;
	uint64_t at_ms;
};

struct rate {
	uint64_t per_minute;
	struct bucket place[RATE_PLACES];
};

struct rate *rate_new(uint32_t per_minute)
{
	struct rate *r = calloc(1, sizeof(*r));
	if (r != NULL)
		r->per_minute = per_minute;
	return r;
}

void rate_free(struct rate **r)
{
	free(*r);
	*r = NULL;
}

/* FNV-1a. Whoever aims at one set of places meets RATE_WAYS of them, and costs others a refill. */
static size_t set_of(struct slice key)
{
	uint64_t h = 0xcbf29ce484222325U;
	for (size_t i = 0; i < key.n; i++)
		h = (h ^ key.p[i]) * 0x100000001b3U;
	return (size_t)(h % (RATE_PLACES / RATE_WAYS)) * RATE_WAYS;
}

static uint64_t full(const struct rate *r)
{
	return r->per_minute * MINUTE_MS;
}

static uint64_t tokens_at(const struct rate *r, const struct bucket *b, uint64_t now)
{
	uint64_t gone = now > b->at_ms ? now - b->at_ms : 0;
	if (gone >= MINUTE_MS)
		return full(r);
	uint64_t t = b->tokens + gone * r->per_minute;
	return t < full(r) ? t : full(r);
}

static struct bucket *place_for(struct rate *r, struct slice key, uint64_t now)
{
	struct bucket *set = &r->place[set_of(key)], *fullest = set;
	for (size_t i = 0; i < RATE_WAYS; i++) {
		if (slice_eq(slice_make(set[i].key, set[i].n), key))
			return &set[i];
		if (set[i].n == 0)
			fullest = fullest->n == 0 ? fullest : &set[i];
		else if (fullest->n > 0 && tokens_at(r, &set[i], now) > tokens_at(r, fullest, now))
			fullest = &set[i];
	}
	*fullest = (struct bucket){.n = key.n, .tokens = full(r), .at_ms = now};
	memcpy(fullest->key, key.p, key.n);
	return fullest;
}

bool rate_take(struct rate *r, struct slice key, uint64_t now_ms)
{
	key = slice_first(key, RATE_KEY_MAX);
	if (key.n == 0)
		return true;
	struct bucket *b = place_for(r, key, now_ms);
	b->tokens = tokens_at(r, b, now_ms);
	b->at_ms = now_ms;
	if (b->tokens < MINUTE_MS)
		return false;
	b->tokens -= MINUTE_MS;
	return true;
}
