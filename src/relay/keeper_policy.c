/* SPDX-License-Identifier: MIT */
/*
 * The operator's exceptions: which is in force, and their end, by itself and as loud as the
 * beginning.
 *
 * Knows what is in the store and the time. Refuses to know what an exception allows.
 */
#include "relay/keeper_int.h"

#include "dane/exception.h"
#include "wire/destination.h"

#include <stdio.h>

enum {
	PAGE = 64, /* in one turn of the loop */
	PAGE_MEM_MAX = 1024 * 1024,
	LOOK_MS = 15000, /* the clock may jump: never sleep until the end */
};

/* --- in force? ------------------------------------------------------------------------------- */

struct question_of_time {
	const struct keeper *keeper;
	const char *destination;
	struct exception_now now;
};

static struct exception_now time_of(const struct keeper *k)
{
	return (struct exception_now){keeper_now(), (int64_t)loop_elapsed_ms(), k->clock.boot};
}

static struct exception exception_of(const struct store_override *o)
{
	return (struct exception){.expires = o->expires, .ends = o->ends, .boot = o->boot};
}

/* A word of another version demands all that there is. */
static enum dane_level level_of(const struct store_override *o)
{
	enum dane_level level;
	return dane_level_from_name(o->policy, &level) ? level : LEVEL_DANE_ONLY;
}

static bool holds_for(void *arg, const struct store_override *o)
{
	const struct question_of_time *q = arg;
	struct exception e = exception_of(o);
	struct dane_policy policy;
	conf_policy_for(q->keeper->process.birth.conf, q->destination, &policy);
	return exception_holds(&e, exception_is_weaker(level_of(o), policy.level), &q->now);
}

/* A row from before there was one form of a destination may still have another. */
enum store_status keeper_override_find(struct keeper *k, const char *next_hop, struct arena *mem,
				       struct store_override *out)
{
	char normal[DESTINATION_ROOM];
	bool is_one = destination_normalise(slice_str(next_hop), normal) == DESTINATION_OK;
	struct question_of_time q = {k, is_one ? normal : next_hop, time_of(k)};
	return store_override_find(k->store, q.destination, holds_for, &q, mem, out);
}

enum store_status keeper_override_set(struct keeper *k, const char *pattern, const char *policy,
				      int64_t ms, struct store_override *out)
{
	struct exception_now now = time_of(k);
	*out = (struct store_override){.pattern = pattern,
				       .policy = policy,
				       .made = now.wall,
				       .expires = now.wall + ms,
				       .boot = now.boot,
				       .ends = now.elapsed + ms};
	return store_override_set(k->store, out);
}

/* --- their end ------------------------------------------------------------------------------- */

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

/* The machine has started since: it lasts as long again as it was made for. */
static bool begin_again(struct keeper *k, const struct store_override *o)
{
	struct store_override x = *o;
	x.boot = k->clock.boot;
	x.ends = (int64_t)loop_elapsed_ms() + (o->expires - o->made);
	return keeper_group(k) && store_override_set(k->store, &x) == STORE_OK;
}

/* "dane" is more for some destinations and less for others: it stays as long as it may be more. */
static bool look_at_one(struct keeper *k, const struct store_override *o,
			const struct exception_now *now, int64_t *left)
{
	struct exception e = exception_of(o);
	bool weaker = level_of(o) == LEVEL_MAY;
	int64_t wall = o->expires - now->wall, elapsed = o->ends - now->elapsed;
	*left = (weaker ? wall < elapsed : wall > elapsed) ? wall : elapsed;
	if (!exception_holds(&e, weaker, now))
		return end_one(k, o);
	return exception_is_of_this_boot(&e, now) ||
	       !destination_is_normal_pattern(slice_str(o->pattern)) || begin_again(k, o);
}

/* Ends what is over; returns how long the others have at least. */
static uint32_t end_page(struct keeper *k, const struct store_override *page, size_t n)
{
	uint32_t wait = LOOK_MS;
	struct exception_now now = time_of(k);
	for (size_t i = 0; i < n; i++) {
		int64_t left;
		if (!look_at_one(k, &page[i], &now, &left))
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
