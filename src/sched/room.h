/* SPDX-License-Identifier: MIT */
/* sched: what the files of this room share. Included by this room only. */
#ifndef SCHED_ROOM_H
#define SCHED_ROOM_H

#include "sched/sched.h"

#define NIL UINT32_MAX /* no index */

/* A delivery in the look-ahead or under way. */
struct entry {
	int64_t id;
	uint64_t sender, policy;
	uint64_t round; /* of its sender; the list is sorted by it */
	int64_t expires;
	uint32_t dest;
	uint32_t prev, next; /* look-ahead of its destination; next also links the free ones */
	uint32_t chain;      /* hash chain */
	uint32_t cost, attempts, courier;
	uint32_t epoch; /* of its destination at the start */
	bool running;
};

enum dest_state {
	DEST_FREE,    /* 0: as in a place that was never taken */
	DEST_OPEN,    /* up to `window` at a time */
	DEST_RESTING, /* nobody before back_off_until */
	DEST_PROBE,   /* one may start */
	DEST_PROBING, /* that one is under way */
};

/* Open connections of one courier that nobody uses. */
struct idle {
	uint32_t courier; /* 0: none */
	uint32_t n;
	uint64_t policy;
	int64_t until; /* of the last one: older ones may have gone */
};

struct dest {
	int64_t id;
	enum dest_state state;
	uint32_t chain; /* hash chain; links the free ones too */
	uint32_t head, tail, waiting;
	uint32_t running;
	uint64_t round; /* of the last delivery started */
	uint32_t deficit;
	uint32_t ring_prev, ring_next;
	uint32_t hungry_next;
	bool in_ring, in_hungry, is_busy;
	bool more, asked; /* the store has more; it was asked */
	uint32_t
	    fill; /* waiting at the last question, then at its answer: half gone, we ask again */
	bool had_turn;              /* may be parked */
	uint32_t window, good, bad; /* bad: failures since the last success */
	uint32_t failures;          /* back-offs since the last success */
	uint32_t epoch;             /* counts back-offs and halvings: older news is no news */
	int64_t back_off_until;
	struct idle idle[SCHED_IDLE_MAX];
	uint32_t last_courier; /* that was told "sent"; 0: none */
};

struct sched {
	struct sched_config c;
	uint64_t seed;
	int64_t now, wake;
	struct entry *entry;
	struct dest *dest;
	uint32_t *entry_bucket, *dest_bucket;
	int64_t *parked; /* ring of ids that gave way to others */
	uint32_t nentries, entry_mask, dest_mask;
	uint32_t free_entry, free_dest;    /* used before, and free again */
	uint32_t entries_used, dests_used; /* places behind these were never taken: all zero */
	uint32_t ndest, waiting, running, resting, busy;
	uint32_t ring_head, nring;
	uint32_t hungry_head, hungry_tail;
	uint32_t nparked, park_at, hand;
	bool outside, asked_outside; /* ready destinations in the store; it was asked */
	bool took;                   /* a delivery, since the store was asked for destinations */
	bool stuck;                  /* no room was found, and nothing changed since */
};

uint64_t sched_mix(uint64_t seed, uint64_t a, uint64_t b);
/* d plus or minus jitter percent, by the hash h. */
int64_t sched_jitter(int64_t d, uint32_t percent, uint64_t h);
/* first * 2^(n - 1), at most max; n from 1. */
int64_t sched_double(int64_t first, int64_t max, uint32_t n);

/* memory.c: tables and lists */
uint32_t entry_find(const struct sched *s, int64_t id);
uint32_t dest_find(const struct sched *s, int64_t id);
bool dest_has_room(const struct sched *s);
uint32_t entry_take(struct sched *s, uint32_t dest, const struct sched_delivery *d);
void entry_release(struct sched *s, uint32_t e);
uint32_t dest_take(struct sched *s, int64_t id);
void dest_release(struct sched *s, uint32_t d); /* nothing of it is under way */
void entry_insert(struct sched *s, uint32_t e); /* into the look-ahead, in its sender's round */
void entry_unlink(struct sched *s, uint32_t e);
void ring_append(struct sched *s, uint32_t d);
void ring_remove(struct sched *s, uint32_t d);

/* host.c: what the ends of attempts do to their destination */
bool host_may_start(const struct sched *s, const struct dest *d);
void host_started(struct sched *s, struct dest *d, struct entry *e);
void host_ended(struct sched *s, struct dest *d, const struct entry *e, enum sched_class class,
		struct sched_verdict *out);
void host_known(struct sched *s, struct dest *d, const struct sched_known *k);
void host_sweep(struct sched *s); /* back-offs that ended */

/* Puts a destination where its state wants it after any change. */
void dest_settle(struct sched *s, struct dest *d);

#endif
