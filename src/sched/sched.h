/* SPDX-License-Identifier: MIT */
/*
 * sched: which delivery gets the next courier, and when what failed is tried again.
 * (RFC 5321 s4.5.4.1; a delivery is one message at one next-hop domain.)
 *
 * Pure: times are milliseconds since 1970 UTC and arguments; a time smaller than one given before
 * counts as that one, but by more than a minute: then the clock was set back, and who rests goes on
 * for as long as he would have. All memory is taken in sched_new() and never grows: the durable
 * store holds the queue, this holds a bounded number of active destinations with a bounded
 * look-ahead each, and asks for more. Equal calls with an equal seed give equal answers. Not
 * thread-safe.
 *
 * The driver (keeper) reports events and fulfils wishes:
 *   a delivery is due (from intake or the store)  sched_delivery_due()
 *   something changed, or the wake-up came        sched_next() until SCHED_WISH_NONE
 *     SCHED_WISH_START         hand it to a courier: sched_started(), later sched_ended()
 *     SCHED_WISH_DELIVERIES    ask the store for due deliveries of one destination, the longest due
 *                              first but few of each sender (else a sender with a hundred thousand
 *                              hides the others), report each, then sched_deliveries_told()
 *     SCHED_WISH_DESTINATIONS  ask the store for destinations that are ready, without those that
 *                              sched_busy() names, the longest ready first; report their
 *                              deliveries, then sched_destinations_told()
 *   the store has destinations that became ready  sched_destinations_due()
 * A delivery that the scheduler lets go of or refuses (SCHED_LATER) is still due in the store; it
 * is asked for again. Warnings and the expiry of deliveries that nobody tries are the store's
 * alarms; the times are sched_warn_at() and sched_expires_at().
 *
 * How slots are shared. Each attempt counts to one share:
 *   own      a backend of this machine: an eighth of the slots is for these alone
 *   known    a destination that worked lately
 *   slow     one that did, but takes its time: at most twice as many as are left then
 *   new      any other: at most as many as are left then, so that hosts that never answer, however
 *            many and whoever names them, leave slots to those that do
 *   notices  what we send ourselves: at most an eighth
 * Within a share the next start goes to the origin (wire/origin.h) with the fewest running, among
 * its senders to the one with the fewest, among the destinations of that by deficit round robin. No
 * origin may have more than a multiple of what is left of the share, and no sender more than that
 * of what its origin may still have: so something is always left for who comes next, and each of n
 * that want all gets one part in n + 1. Destinations behind one network of hosts have a limit
 * together. Senders of one destination: each one's deliveries are spread over rounds, one a round;
 * who fills the look-ahead makes room for others.
 *
 * How many at a time at one destination: twice as many with each round of successes, until the
 * first sign of trouble; from then on one more now and then. A host that turns sessions away while
 * it serves others has shown its limit: the message goes again when there is room below it, and
 * that was no attempt. When sessions take much longer than they did, there are too many.
 *
 * What stands between a message and its host counts against the message: a session that got as far
 * as MAIL shows that the host works. Only when messages of two origins end like that does the
 * destination rest. A probe is another origin's, and small.
 *
 * Octets: the texts under way (each message once) stay below a budget, of which a quarter is for
 * small ones.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include "dane/outcome.h"

/* --- what an attempt says --------------------------------------------------------------------- */

/* How far the message got, at the furthest of the hosts. */
enum sched_reach {
	SCHED_REACHED_NOBODY,
	SCHED_REACHED_HOST,
	SCHED_REACHED_MAIL, /* MAIL was said to it */
	SCHED_REACHED_TEXT, /* some of the text went out */
	SCHED_REACHED_DOT,  /* all of it */
};

enum sched_class {
	SCHED_SENT,              /* somebody got it */
	SCHED_RECIPIENT_TROUBLE, /* the destination answered; it is about recipient or message */
	SCHED_HOST_TROUBLE,      /* every message for the destination would meet the same */
	SCHED_HOST_BUSY, /* it turned the session away: trouble, unless it serves others meanwhile
			  */
	SCHED_MESSAGE_TROUBLE,    /* lost on the way of the message, and the host works */
	SCHED_LOCAL_TROUBLE,      /* on this side: says nothing about the destination */
	SCHED_POSSIBLY_DELIVERED, /* everything sent, no reply: a copy may exist */
};
enum sched_class sched_class_of(enum reason r);
/* The same, by how far the message got; `unwilling`: 421, or no greeting. */
enum sched_class sched_class_at(enum sched_class c, enum reason r, enum sched_reach reach,
				bool unwilling);
/* Of two recipients (or tries) of one attempt, what the attempt says about the destination. */
enum sched_class sched_class_join(enum sched_class a, enum sched_class b);
const char *sched_class_name(enum sched_class c); /* "host-trouble" */

/* --- configuration ---------------------------------------------------------------------------- */

enum {
	SCHED_DESTINATIONS_MAX = 1 << 16, /* limits of the configuration: bound the memory */
	SCHED_LOOKAHEAD_MAX = 1024,
	SCHED_SLOTS_MAX = 1 << 16,
	SCHED_COST_MAX = 16, /* of one delivery; a larger one counts as this */
	SCHED_IDLE_MAX = 4,  /* couriers remembered that have open connections to one destination */
};

struct sched_config {
	uint32_t destinations; /* in memory at most; more than slots, so that some can give way */
	uint32_t lookahead; /* deliveries in memory of one destination, without those under way */
	uint32_t slots;     /* attempts at the same time, over all destinations */
	uint32_t start, limit; /* attempts at the same time at one destination: first, at most */
	uint64_t octets;       /* of texts under way; 0: any */
	uint32_t quantum;      /* cost units of one turn */
	int64_t retry_first, retry_max;       /* ms between attempts of a delivery: doubles */
	int64_t back_off_first, back_off_max; /* ms a destination rests: doubles */
	int64_t local_rest;                   /* ms it rests after trouble on this side */
	int64_t lifetime;                     /* ms from arrival to giving up */
	int64_t warn_after;                   /* ms from arrival to the delay warning; 0: none */
	uint32_t jitter; /* percent, both ways, of retry and back-off; below 100 */
};
extern const struct sched_config SCHED_CONFIG_DEFAULT;

/* NULL if it can be used, else what is wrong with it. */
const char *sched_config_error(const struct sched_config *c);

/* --- times of one delivery: pure functions -----------------------------------------------------
 */

int64_t sched_expires_at(const struct sched_config *c, int64_t arrived);
int64_t sched_warn_at(const struct sched_config *c, int64_t arrived); /* 0: never */
/* A notification about a delivery that ended at `since` could not be queued: when again. A minute
 * later, then at about twice the time that has passed, at most an hour later. */
int64_t sched_notice_at(int64_t now, int64_t since);
/* After the attempts-th attempt (from 1) ended at `now`. Never after `expires` when that is still
 * to come: the last attempt is made retry_first before it, and what is due at `expires` is left to
 * the store's alarm. */
int64_t sched_retry_at(const struct sched_config *c, uint64_t seed, int64_t delivery,
		       uint32_t attempts, int64_t expires, int64_t now);

/* --- the scheduler ---------------------------------------------------------------------------- */

struct sched;

/* NULL: out of memory, or the configuration cannot be used. */
struct sched *sched_new(const struct sched_config *c, uint64_t seed);
void sched_free(struct sched **s);

struct sched_delivery {
	int64_t id;          /* the store's, unique */
	int64_t destination; /* the store's id of the next-hop domain */
	int64_t message;     /* equal for those who share a text; 0: like no other */
	uint64_t size;       /* octets of it */
	uint64_t sender;     /* wire/origin.h */
	uint64_t policy;     /* equal for deliveries that may share a connection (T9) */
	uint32_t cost;       /* units: say, 1 + size / 64 KiB; 0 counts as 1 */
	uint32_t attempts;   /* made before */
	int64_t expires;
};

/* What the store knows of a destination that is new here; NULL: nothing bad. */
struct sched_known {
	uint32_t failures; /* consecutive back-offs; not 0: the next attempt is a probe */
	int64_t back_off_until;
	int64_t worked; /* last; 0: never */
	bool own;       /* a backend of this machine */
};

enum sched_taken {
	SCHED_TAKEN, /* in the look-ahead */
	SCHED_KNOWN, /* it was already, or it is under way */
	SCHED_LATER, /* no room, or its destination rests: it stays in the store */
};
enum sched_taken sched_delivery_due(struct sched *s, int64_t now, const struct sched_delivery *d,
				    const struct sched_known *known);

enum sched_wish_kind {
	SCHED_WISH_NONE,
	SCHED_WISH_START,
	SCHED_WISH_DELIVERIES,
	SCHED_WISH_DESTINATIONS,
};
struct sched_wish {
	enum sched_wish_kind kind;
	int64_t delivery;    /* START */
	int64_t destination; /* START, DELIVERIES */
	bool probe;          /* START: the first one after a back-off */
	uint32_t courier;    /* START: has an open connection on equal terms; 0: nobody has */
	uint32_t last;  /* START: was the last to talk to it, and may resume its session; 0: none */
	int64_t hasten; /* DELIVERIES, not 0: it works again since then: what was tried before that
			   may be due now, and what has failed since may not */
	uint32_t max;   /* DELIVERIES, DESTINATIONS: so many at most */
	uint32_t
	    per_sender; /* DELIVERIES, and those of DESTINATIONS: so many of one sender at most */
};
/* A start is under way from here on, whether sched_started() is called or not. */
void sched_next(struct sched *s, int64_t now, struct sched_wish *out);

/* Which courier has it; numbers from 1. An unknown delivery is ignored. */
void sched_started(struct sched *s, int64_t delivery, uint32_t courier);

/* This one is under way already: a courier has had it since before we began. From here on it counts
 * like those that began here, and sched_ended() judges it like them. False: it is known, or there
 * is no room. */
bool sched_adopt(struct sched *s, int64_t now, const struct sched_delivery *d,
		 const struct sched_known *known, uint32_t courier);

struct sched_end {
	enum sched_class class;
	bool pending;       /* recipients are left to be tried */
	int64_t keep_until; /* the courier keeps the connection open till then; 0: closed */
	uint64_t network;   /* equal for hosts of one network; 0: not known */
	int64_t reply_ms;   /* that the host took for a reply on average; 0, less: not known */
};
enum sched_fate { SCHED_FATE_DONE, SCHED_FATE_RETRY, SCHED_FATE_EXPIRED };
/* WORKS: after trouble, or for the first time in an hour. */
enum sched_news { SCHED_NEWS_NONE, SCHED_NEWS_WORKS, SCHED_NEWS_BACK_OFF };
struct sched_verdict {
	enum sched_fate fate;
	int64_t due;    /* RETRY */
	bool uncounted; /* RETRY: the host was busy: that was no attempt */
	/* What the store should remember of the destination. */
	int64_t destination;
	enum sched_news news;
	int64_t back_off_until; /* BACK_OFF */
	uint32_t failures;      /* BACK_OFF */
};
/* False: no such delivery is under way, *out is untouched. */
bool sched_ended(struct sched *s, int64_t now, int64_t delivery, const struct sched_end *e,
		 struct sched_verdict *out);

/* `more`: the store has due deliveries of it beyond those it gave. */
void sched_deliveries_told(struct sched *s, int64_t destination, bool more);
/* `more`: it gave as many destinations as it was asked for. */
void sched_destinations_told(struct sched *s, bool more);
/* The store may have ready destinations that are not here: the wish follows when there is room. */
void sched_destinations_due(struct sched *s);
/* Ids the store must leave out of the answer to SCHED_WISH_DESTINATIONS; room for at most
 * sched_busy_max(), as it is now. Returns how many. */
size_t sched_busy(const struct sched *s, int64_t *out, size_t room);
size_t sched_busy_max(const struct sched *s);

/* Removed, held or expired by somebody else. False: not here, or under way. */
bool sched_forget(struct sched *s, int64_t delivery);
/* An operator wants it tried now: its back-off ends, a probe follows. */
void sched_retry_now(struct sched *s, int64_t destination);
/* The clock made a step of `by` milliseconds: what rests rests as long as it would have, and what
 * is here or under way expires as much later or earlier. Without this call a clock that is set back
 * is noticed for what rests; one that is put forward only ends it. */
void sched_clock_moved(struct sched *s, int64_t by);
/* The courier died or closed its idle connections. */
void sched_courier_gone(struct sched *s, uint32_t courier);

/* When sched_next() must be called even if nothing happens; INT64_MAX: never. May be early. */
int64_t sched_next_wakeup(const struct sched *s);

enum sched_share { SHARE_OWN, SHARE_KNOWN, SHARE_SLOW, SHARE_NEW, SHARE_NOTICES, SHARES };
const char *sched_share_name(enum sched_share s); /* "own" */

struct sched_counts {
	uint32_t destinations, resting;   /* in memory; of these in back-off */
	uint32_t waiting, running;        /* deliveries */
	uint32_t slots, of_share[SHARES]; /* all; running by share */
	uint32_t capped;    /* origins that wait for a slot because they have their part */
	uint32_t held_back; /* destinations that wait for octets */
	uint64_t octets;    /* of texts under way */
	size_t bytes;       /* of all memory: never changes */
};
void sched_count(const struct sched *s, struct sched_counts *out);
/* False: not in memory. */
struct sched_destination {
	uint32_t window, running, waiting, failures;
	int64_t back_off_until; /* 0: does not rest */
};
bool sched_look(const struct sched *s, int64_t destination, struct sched_destination *out);

#endif
