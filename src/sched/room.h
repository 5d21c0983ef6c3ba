/* SPDX-License-Identifier: MIT */
/* sched: what the files of this room share. Included by this room only. */
#ifndef SCHED_ROOM_H
#define SCHED_ROOM_H

#include "sched/sched.h"

#define NIL UINT32_MAX /* no index */

/* A delivery in the look-ahead or under way. */
struct entry {
	int64_t id, message;
	uint64_t sender, policy, size;
	uint64_t round; /* of its sender; the list is sorted by it */
	int64_t expires;
	int64_t started;
	uint32_t dest;
	uint32_t prev, next; /* look-ahead of its destination; next also links the free ones */
	uint32_t chain;      /* hash chain */
	uint32_t cost, attempts, courier;
	uint32_t epoch; /* of its destination at the start */
	bool running;
	/* Under way: what it counts to. */
	uint8_t share, flow;
	uint32_t origin, net;
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

/* Where a destination that could start stands. */
enum queue {
	QUEUE_NONE,
	QUEUE_FLOW,   /* in the ring of a sender */
	QUEUE_NET,    /* its network has as many as it may */
	QUEUE_OCTETS, /* no text of its deliveries fits */
};

enum {
	/* Whoever has a client in more networks than that has others' mail wait for all of them. */
	BLAMED_MAX = 16,
};

struct dest {
	int64_t id;
	enum dest_state state;
	uint32_t chain; /* hash chain; links the free ones too */
	uint32_t head, tail, waiting;
	uint32_t running;
	uint64_t round; /* of the last delivery started */
	uint32_t deficit;
	enum queue queue;
	uint32_t ring_prev, ring_next; /* of that queue */
	uint32_t choice;               /* QUEUE_FLOW: the delivery that would start */
	uint8_t share, flow;           /* and where */
	uint32_t origin;
	uint32_t net; /* bucket of its hosts' network; 0: not known */
	uint32_t hungry_next;
	bool in_hungry;
	bool more, asked; /* the store has more; it was asked */
	int64_t hasten;   /* it works again since then, and others wait for later; 0: no */
	uint32_t
	    fill; /* waiting at the last question, then at its answer: half gone, we ask again */
	bool had_turn;              /* may be parked */
	bool own;                   /* see sched_known */
	uint32_t window, good, bad; /* bad: failures since the last success */
	uint32_t peak;              /* most at a time since the window shrank: it is used */
	bool careful;               /* has met its limit: grows by one, and slowly */
	uint32_t busy;              /* sessions turned away since the last success */
	uint32_t failures;          /* back-offs since the last success */
	uint32_t epoch;             /* counts back-offs and halvings: older news is no news */
	int64_t back_off_until;
	int64_t worked;      /* last success; 0: none known */
	int64_t told;        /* the store, of that */
	int64_t trouble;     /* last sign of too many at a time */
	int64_t smooth;      /* ms of an attempt that went well; 0: none */
	int64_t reply, best; /* ms of a reply, on average; 0: none */
	/* Origins whose message was lost on its way since the last success, the oldest first. */
	uint64_t blamed[BLAMED_MAX];
	uint32_t nblamed;
	struct idle idle[SCHED_IDLE_MAX];
	uint32_t last_courier; /* that was told "sent"; 0: none */
};

/*
 * Who shares: fixed tables, found by a hash of the seed. When all places of a set are in use, two
 * share one: they share their turns, and nothing worse.
 */
enum {
	ORIGIN_SETS = 512,
	ORIGIN_WAYS = 8,
	ORIGINS = ORIGIN_SETS * ORIGIN_WAYS,
	FLOWS = 16, /* senders told apart within one origin */
	NETS = 8192,
	REMEMBERED = 16384, /* destinations whose network is remembered */
};

/* A sender's part of a share. */
struct flow {
	uint64_t sender;
	uint32_t running;
	uint32_t ring, n; /* destinations that could start with one of its deliveries */
	uint32_t served;  /* turn of its last start */
};

struct origin {
	uint64_t id;
	uint32_t running, n; /* n: destinations in all rings of it */
	uint32_t served;
	uint32_t heap; /* place + 1; 0: not in the heap */
	bool capped;   /* in the list of those that have their part */
	uint32_t next; /* of that list */
	struct flow flow[FLOWS];
};

struct share {
	uint32_t running;
	struct origin *origin; /* ORIGINS */
	uint32_t *heap;        /* of origins that could start: fewest running first */
	uint32_t nheap;
	uint32_t capped_head, capped_tail, ncapped;
};

struct ring {
	uint32_t head, n;
};

struct remembered {
	int64_t dest;
	uint32_t net;
};

/* A text under way. */
struct text {
	int64_t message;
	uint64_t size;
	uint32_t refs, chain; /* chain also links the free ones */
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
	uint32_t ndest, waiting, running, resting;
	uint32_t hungry_head, hungry_tail;
	uint32_t nparked, park_at, hand;
	bool outside, asked_outside; /* ready destinations in the store; it was asked */
	bool took;                   /* a delivery, since the store was asked for destinations */
	bool stuck;                  /* no room was found, and nothing changed since */
	uint32_t swaps;              /* so many that wait may still give way to others, */
	int64_t swaps_at;            /* until this is over */

	struct share share[SHARES];
	uint32_t served; /* starts so far: who was served longest ago is next among equals */
	struct ring *net;
	uint32_t *net_running;
	struct ring hold; /* QUEUE_OCTETS */
	struct remembered *remembered;
	struct text *text;
	uint32_t *text_bucket, text_mask, free_text, texts_used;
	uint64_t octets, big_octets;
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
void ring_append(struct sched *s, struct ring *r, uint32_t d);
void ring_remove(struct sched *s, struct ring *r, uint32_t d);

/* host.c: what the ends of attempts do to their destination */
bool host_may_start(const struct sched *s, const struct dest *d);
void host_started(struct sched *s, struct dest *d, struct entry *e);
void host_ended(struct sched *s, struct dest *d, const struct entry *e, const struct sched_end *end,
		struct sched_verdict *out);
void host_known(struct sched *s, struct dest *d, const struct sched_known *k);
void host_sweep(struct sched *s); /* back-offs that ended */
/* An attempt that is older than what is known here: no news of trouble after its end. */
void host_adopted(struct sched *s, struct dest *d, struct entry *e);
void host_rests(struct sched *s, struct dest *d, int64_t until);
bool host_is_proven(const struct sched *s, const struct dest *d); /* worked lately, no failures */
bool host_is_slow(const struct dest *d);
bool host_is_blamed(const struct dest *d, uint64_t origin);

/* share.c: whose turn it is */
void share_queue(struct sched *s, struct dest *d); /* where it belongs, anew */
void share_unqueue(struct sched *s, struct dest *d);
uint32_t share_pick(struct sched *s); /* a destination whose choice starts; NIL: nobody */
/* It is still where it was picked. */
void share_started(struct sched *s, struct entry *e, struct dest *d);
/* It counts to whom it belongs, picked or not. */
void share_adopted(struct sched *s, struct entry *e, const struct dest *d);
void share_ended(struct sched *s, const struct entry *e);
void share_learn_network(struct sched *s, struct dest *d, uint64_t network);
void share_recall_network(struct sched *s, struct dest *d);

/* octets.c: texts under way */
bool octets_fit(const struct sched *s, const struct entry *e);
void octets_take(struct sched *s, const struct entry *e);
bool octets_release(struct sched *s, const struct entry *e); /* some were freed */

/* Puts a destination where its state wants it after any change. */
void dest_settle(struct sched *s, struct dest *d);

#endif
