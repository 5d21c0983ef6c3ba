/* SPDX-License-Identifier: MIT */
/*
 * roll: the rollover of a server's key or CA as a machine (RFC 7671 s8, RFC 6698 appendix A.4):
 * facts in, the next step out. Pure: no I/O, no clock.
 *
 * Its one promise: at every moment of a rollover each chain that a server presents satisfies a
 * record in each TLSA set that a resolver may still hold. So the next record stands beside the
 * present one at every name server of the zone before a wait begins; the wait is twice the longest
 * time that a resolver may keep the set, or the absence, of before; nothing is deployed before it
 * is over; no record is retired while a chain needs it. What is not known stops the machine where
 * it is.
 *
 * The driver looks (struct roll_facts), calls roll_step(), stores `next` before anything else,
 * then does `act`, and looks again. Every act may be done twice without harm, so that a driver that
 * was killed begins with looking.
 */
#ifndef ROLL_ROLL_H
#define ROLL_ROLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum roll_state {
#define STATE(id, name, text) ROLL_##id,
#include "roll/state.tbl"
#undef STATE
	ROLL_STATES
};
const char *roll_state_name(enum roll_state s);
const char *roll_state_text(enum roll_state s); /* what happens in it, one sentence fragment */
bool roll_state_from_name(const char *name, enum roll_state *out);

/* How the machine stands after a step. */
enum roll_stance {
	ROLL_GOES,    /* something changed or is to be done: look again */
	ROLL_WAITS,   /* until a time, or until something that was ordered shows */
	ROLL_BLOCKED, /* somebody has to do something */
	ROLL_UNKNOWN, /* something could not be looked at: try again later */
	ROLL_OVER,    /* done or aborted */
};
const char *roll_stance_name(enum roll_stance s);

enum roll_why {
#define WHY(id, name, stance, text, cure) ROLL_WHY_##id,
#include "roll/why.tbl"
#undef WHY
	ROLL_WHYS
};
const char *roll_why_name(enum roll_why w);
const char *roll_why_text(enum roll_why w); /* one sentence */
const char *roll_why_cure(enum roll_why w); /* what to do; "" where there is nothing */
enum roll_stance roll_why_stance(enum roll_why w);

/* What the driver has to do. */
enum roll_act {
	ROLL_NOTHING,
	ROLL_MAKE_KEY, /* make the next key, unless its file is there */
	ROLL_ADD,      /* publish the new records and the old ones, whichever are missing */
	ROLL_PUT_IN,   /* put the new certificate into service */
	ROLL_DROP_OLD, /* take the old records out */
	ROLL_DROP_NEW, /* take the new records out */
};

/* All that is kept between two looks. Times are seconds since the epoch. */
struct roll {
	enum roll_state state;
	bool has_old;    /* a record will be retired in the end */
	int64_t since;   /* when the present wait began; 0: none */
	int64_t until;   /* when it is over, as it looks now; 0: none */
	uint32_t hold_s; /* the longest time that a resolver may keep what it got: TTLs and negative
			    TTLs */
	int64_t settle_s; /* how long both records stay after the deployment; less than 0: as long
			     as the first wait */
	int64_t seen;     /* the latest time that was seen; a clock set back shows */
	uint64_t boot;    /* of the wait's begin: which boot, and its monotonic seconds: a clock */
	int64_t ticks;    /* set forward does not end a wait */
	bool put_in;      /* ROLL_PUT_IN was done and ended well; the driver sets it */
	bool dropping;    /* ROLL_DROP_OLD was ordered, whatever the name servers show */
};

enum roll_zone {
	ROLL_ZONE_FAILED = 0, /* the lookup failed */
	ROLL_ZONE_INSECURE,
	ROLL_ZONE_SECURE,
};

/* What was seen in one look. What is zero is not known. */
struct roll_facts {
	int64_t now;
	uint64_t boot;
	int64_t ticks;
	bool key_ready;      /* the next key is there and its record is known */
	enum roll_zone zone; /* by validated lookup */
	uint32_t ttl;        /* the longest of the sets, or of their absence, at all name servers */
	unsigned servers;    /* name servers of the zone */
	unsigned servers_failed;  /* that did not answer for the zone */
	unsigned servers_old;     /* that have all old records */
	unsigned servers_new;     /* that have all new records */
	unsigned servers_any_old; /* that have an old record */
	unsigned servers_any_new;
	unsigned others;    /* usable records that are neither */
	unsigned addresses; /* of the mail server */
	unsigned unreached; /* addresses whose chains are not known */
	unsigned on_new;    /* addresses that present a chain which the new records alone satisfy */
	unsigned need_old;  /* chains that no record but an old one satisfies, or none at all */
	unsigned need_new;  /* chains that no record but a new one satisfies */
};

struct roll_move {
	struct roll next;
	enum roll_act act;
	enum roll_why why;
	enum roll_stance stance; /* of `why`; ROLL_GOES when the state changed */
};

/* A rollover that begins. */
void roll_begin(struct roll *r, bool has_old, int64_t settle_s);
void roll_step(const struct roll *r, const struct roll_facts *f, struct roll_move *out);
/* Turns round, if that is still safe: then out->next.state is another. Else out->why says why not.
 */
void roll_abort(const struct roll *r, const struct roll_facts *f, struct roll_move *out);

#endif
