/* SPDX-License-Identifier: MIT */
/*
 * The end of the operator's exceptions: each ends by itself, and says so as loudly as it began.
 *
 * Knows what is in the store and the time. Refuses to know what an exception allows; that nothing
 * uses one that has ended is the store's doing, not this one's.
 */
#include "relay/keeper_int.h"

#include "wire/destination.h"

#include <stdio.h>

enum {
	PAGE = 64, /* in one turn of the loop */
	PAGE_MEM_MAX = 1024 * 1024,
	LOOK_MS = 15000, /* the clock may jump: never sleep until the end */
};

/* A row from before there was one form of a destination may still have another. */
enum store_status keeper_override_find(struct keeper *k, const char *next_hop, struct arena *mem,
				       struct store_override *out)
{
	char normal[DESTINATION_ROOM];
	bool is_one = destination_normalise(slice_str(next_hop), normal) == DESTINATION_OK;
	return store_override_find(k->store, is_one ? normal : next_hop, keeper_now(), mem, out);
}

/* False: the store takes no changes now. */
static bool end_one(struct keeper *k, const struct store_override *o)
{
	if (!keeper_group(k))
		return false;
	enum store_status s = store_override_clear(k->store, o->pattern);
	if (s == STORE_OK)
		log_event(k->process.log, LOG_LEVEL_WARN, "policy-override-ended", "pattern",
			  o->pattern, "level", o->policy, NULL);
	return s == STORE_OK;
}

/* Ends what is over; returns how long the others have at least. */
static uint32_t end_page(struct keeper *k, const struct store_override *page, size_t n)
{
	uint32_t wait = LOOK_MS;
	int64_t now = keeper_now();
	for (size_t i = 0; i < n; i++) {
		int64_t left = page[i].expires - now;
		if (left <= 0 && !end_one(k, &page[i]))
			break;
		if (left > 0 && left < wait)
			wait = (uint32_t)left;
	}
	return wait;
}

void keeper_end_policies(void *arg)
{
	struct keeper *k = arg;
	struct store_override page[PAGE];
	struct arena mem;
	size_t n = 0;
	arena_init(&mem, PAGE_MEM_MAX);
	enum store_status s = store_overrides(k->store, k->policy_after, PAGE, &mem, page, &n);
	uint32_t wait = s == STORE_OK ? end_page(k, page, n) : LOOK_MS;
	if (k->policy_after[0] == '\0' || wait < k->policy_wait)
		k->policy_wait = wait;
	bool more = s == STORE_OK && n == PAGE;
	snprintf(k->policy_after, sizeof(k->policy_after), "%s", more ? page[n - 1].pattern : "");
	arena_free(&mem);
	loop_timer_set(k->policies, more ? 0 : k->policy_wait);
}
