/* SPDX-License-Identifier: MIT */
/*
 * Inside of the keeper: the only process that touches the store. Everything that changes the store
 * happens in a group: the group is committed once for all that came in one turn of the loop (under
 * load: in two milliseconds), and only then is anything acknowledged.
 *
 * keeper.c: process, peers, groups. keeper_accept.c: from intake to store. keeper_send.c: from
 * store to courier, keeper_text.c: the texts on that way. keeper_result.c: from courier to store.
 * keeper_notify.c: notifications. keeper_audit.c: records of what was done. keeper_policy.c: the
 * end of exceptions.
 */
#ifndef RELAY_KEEPER_INT_H
#define RELAY_KEEPER_INT_H

#include "relay/control.h"
#include "loop/http.h"
#include "relay/findings.h"
#include "relay/keeper_audit.h"
#include "relay/keeper_disk.h"
#include "relay/mail.h"
#include "relay/metrics.h"
#include "relay/process.h"
#include "sched/sched.h"
#include "store/store.h"

struct keeper;

struct peer {
	struct keeper *keeper;
	enum role role;
	uint32_t number; /* couriers, from 1: the scheduler's; intakes, from 1: their pages' */
	int roster;      /* intakes: the page of its clients; -1: none */
	bool met;        /* intakes: has handed its page in */
	uint32_t spools; /* intakes: files that it was given */
	struct channel *channel;
	uint32_t jobs; /* couriers: under way */
	struct courier_stats stats;
	bool leaving;           /* couriers: gets no more */
	bool reported;          /* couriers: has said what it has from the keeper before us */
	uint64_t results, kept; /* couriers: taken from this channel; of these committed */
	struct peer *next;
};

/* An answer that waits for the commit. */
struct ack {
	struct peer *peer;
	enum message type; /* MSG_SUBMITTED, MSG_DOT_NOTED */
	uint64_t token;    /* the intake's token, or the delivery */
	char queue_id[STORE_QUEUE_ID_MAX + 1];
	struct ack *next;
};

/* The text of a message that couriers have, too large to travel inline: gone with the last delivery
 * that holds it, so there are never more than flights. */
struct carried_text {
	struct keeper *keeper;
	int64_t message;
	char queue_id[STORE_QUEUE_ID_MAX + 1];
	int fd; /* sealed */
	uint32_t holders;
	struct carried_text *next; /* same bucket */
};

/* A delivery that a courier has. */
struct flight {
	int64_t delivery, take;
	struct peer *courier;
	struct carried_text *text; /* NULL: it went inline */
	struct arena mem;
	struct store_delivery known; /* as it was taken, in mem; .id 0: too big to be kept */
	bool dot;                    /* the final dot was allowed */
	struct flight *next;         /* same bucket */
};
enum {
	FLIGHT_BUCKETS = 1024,
	FLIGHT_MEM_MAX = 64 * 1024 * 1024,
	FLIGHT_RCPTS_KEPT = 16, /* with more its delivery is read again when it is back */
};

struct keeper {
	struct process process;
	bool looking; /* nothing can be written: the operator is answered, and nobody else */
	struct keeper_disk disk;
	char host[256]; /* our name: found before the sandbox closes */
	struct store *store;
	struct keeper_audit *audit; /* NULL: audit.enabled is no */
	struct control *control;
	struct loop_http *http;
	struct metrics metrics;
	struct notice_limit *notices;
	struct network *network; /* relay.networks: whose mail is no stranger's */
	size_t nnetwork;
	/* The warden's last ones; they stay until newer ones come, also when it ends. */
	struct findings findings;
	struct arena findings_mem;
	struct sched *sched;
	struct sched_config sched_config;
	struct peer *peer;
	uint32_t last_courier, last_intake;
	bool group_open;
	struct ack *ack, **last_ack;
	struct loop_deferred *commit;
	struct loop_timer *linger;        /* or this one commits the group */
	unsigned in_group, in_last_group; /* calls of keeper_group() */
	struct loop_timer *wake, *maintain, *policies;
	char policy_after[STORE_NAME_MAX + 1]; /* where the look for ended exceptions goes on */
	uint32_t policy_wait;                  /* ms, the least of this look so far */
	struct store_clock clock; /* as in the store: what both clocks are compared with */
	int64_t offered;          /* to the scheduler: deliveries up to this one */
	int64_t look_after;       /* for destinations that are ready, if there is other work */
	struct flight *flight[FLIGHT_BUCKETS];
	size_t nflight;
	bool claims_open;   /* couriers may still have what was active: nothing is handed out */
	bool couriers_told; /* all that live have their channels */
	struct loop_timer *claims;
	struct carried_text *text[FLIGHT_BUCKETS];
};

enum { FINDINGS_MEM_MAX = 1024 * 1024 };

int64_t keeper_now(void);
/* Opens the store and the control socket; false: the log says why not. */
bool keeper_open(struct keeper *k);

void keeper_start_clock(struct keeper *k);
/* How far the wall clock has moved against the time that passed; 0 for a little. */
int64_t keeper_clock_step(const struct keeper *k);
/* In the open group: after a step all times of the queue move along. */
void keeper_follow_clock(struct keeper *k);
/* In the first transaction of the store: a step while no keeper ran, and what is due later than
 * anything can be. */
enum store_status keeper_take_clock(struct keeper *k);
/* The latest times that anything in the queue may be due at, and end at (store_without_next()). */
void keeper_horizon(const struct keeper *k, int64_t *due, int64_t *end);
/* Opens the group if none is open, and sees to it that it is committed soon. A step of the clock is
 * the first thing in it. False: the store does not take changes. */
bool keeper_group(struct keeper *k);
bool keeper_ack(struct keeper *k, struct peer *p, enum message type, uint64_t token,
		const char *queue_id);
void keeper_fatal(struct keeper *k, const char *what, enum store_status s);

void keeper_submit(struct keeper *k, struct peer *p, struct slice payload, int fd);

/* keeper_spool.c: an intake asks for a file. */
void keeper_spool(struct keeper *k, struct peer *p);

/* keeper_roster.c: intakes get each other's pages. */
bool keeper_roster_met(struct keeper *k, struct peer *p, int fd); /* takes fd; false: not again */
void keeper_roster_gone(struct keeper *k, struct peer *p);

/* Of the timer: exceptions of the policy that are over end. */
void keeper_end_policies(void *arg);
/* The exception that holds for a destination now. NOT_FOUND: none; any other error: not known. */
enum store_status keeper_override_find(struct keeper *k, const char *next_hop, struct arena *mem,
				       struct store_override *out);
/* In the group: from now on, for so long. *out borrows pattern and policy. */
enum store_status keeper_override_set(struct keeper *k, const char *pattern, const char *policy,
				      int64_t ms, struct store_override *out);

/* A start: couriers are asked what they have. False: out of memory. */
bool keeper_claims_open(struct keeper *k);
/* How the store is to treat what is active. */
struct store_config keeper_recovery(struct keeper *k);
/* A courier has spoken, or is gone. */
void keeper_claims_look(struct keeper *k);
void keeper_couriers_told(void *self, uint32_t n);
/* False: the courier talks nonsense and is to be cut off. */
bool keeper_claim(struct keeper *k, struct peer *p, struct slice payload);

/* Under way since before we began: the scheduler counts it. Before keeper_take_off(). */
void keeper_adopt(struct keeper *k, const struct flight *f);
struct flight *keeper_flight_new(int64_t delivery, struct peer *courier);
/* It is under way, as f->known has it. */
void keeper_take_off(struct keeper *k, struct flight *f);
struct flight *keeper_flight(struct keeper *k, int64_t delivery);
/*
 * Under way with this very courier, by this very handing over. NULL: one loud line is out, and the
 * courier is to be cut off. For no courier that keeps to the rules speaks of another delivery: what
 * it has ends here with its result and with its channel alone, an operator removes nothing that is
 * under way, and what it has from an earlier keeper it does not speak of before its claim is
 * granted.
 */
struct flight *keeper_flight_of(struct keeper *k, const struct peer *p, uint64_t delivery,
				uint64_t take);
/* No longer under way; NULL: it was not. The caller owns it. */
struct flight *keeper_land(struct keeper *k, int64_t delivery);
void keeper_flight_free(struct flight *f); /* NULL is fine */

/* The text of a delivery's message, from the store unless somebody holds it already. */
enum store_status keeper_text_hold(struct keeper *k, const struct store_delivery *d,
				   struct carried_text **out);
void keeper_text_release(struct carried_text **held); /* NULL inside is fine */

/* Fulfils the scheduler's wishes as far as couriers and the store go. */
void keeper_schedule(struct keeper *k);
/* False: the courier talks nonsense and is to be cut off. */
bool keeper_dot(struct keeper *k, struct peer *p, struct slice payload);
void keeper_answer_dot(struct peer *p, uint64_t delivery, uint64_t take, bool go);

/* False: the warden talks nonsense and is to be cut off. */
bool keeper_findings(struct keeper *k, struct slice payload);

/* False: the courier talks nonsense and is to be cut off. */
bool keeper_result(struct keeper *k, struct peer *p, struct slice payload);
/* The courier is gone: what it had is deferred, possibly delivered where the dot was out. */
void keeper_courier_lost(struct keeper *k, struct peer *p);

/* What became of the notifications that a result calls for. */
enum told {
	TOLD,       /* they are in the queue, or nobody is to be told */
	TOLD_LATER, /* not now, for lack of memory or disk: what they tell of has to stay as it is
		     */
	TOLD_NEVER, /* however often it is tried: logged, and what they tell of happens without */
};
/* Adds them to the queue, in the group of the result. */
enum told keeper_notify(struct keeper *k, const struct store_delivery *d, const struct result *r,
			bool expired);
/* Reads what says who is told how often; false: out of memory. */
bool keeper_notices_open(struct keeper *k);
void keeper_notices_close(struct keeper *k);
/* Warnings and expiries that are due now. */
void keeper_alarms(struct keeper *k);

#endif
