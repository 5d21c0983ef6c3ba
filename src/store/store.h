/* SPDX-License-Identifier: MIT */
/*
 * store: the durable queue. Messages, their deliveries (one message at one next-hop domain), what
 * happened to them, and what is known about destinations. Today one SQLite file; nothing in this
 * header says so, and PostgreSQL can stand behind it.
 *
 * One process (the keeper) opens a store; a second one is refused. Calls are synchronous and not
 * thread-safe. Times are milliseconds since 1970 UTC and always given by the caller.
 *
 * What is durable: every change happens between store_begin() and store_commit(), which may hold
 * many messages (group commit). Nothing may be acknowledged before store_commit() returned
 * STORE_OK. After any other return the whole group is undone, here and (once the store is opened
 * again) on disk; only a group whose commit ended in STORE_IO may turn up whole after a restart
 * although it was never acknowledged: a mail more, never a mail less.
 *
 * A failed write or sync is final. After STORE_IO or STORE_CORRUPT every later change returns the
 * same and store_health() says so: answer 451, stop accepting, end the process. Reading goes on.
 *
 * States of a delivery: waiting (until due), held (by an operator), active (handed to a courier),
 * done (no recipient is pending). Of a recipient: pending, then sent or failed, for good. A message
 * without pending recipients is removed by the commit that completes it, so that whatever replaces
 * it (a DSN) must be added before that commit.
 *
 * Every delivery has a next event, in every state and after every commit: waiting, it is due or
 * ends at a time that comes; active, a courier has it, who reports or is missed; held, an operator
 * wants it so. Whoever adds a state or a step keeps that true: store_without_next() looks, the
 * model in test/store/next.c tries.
 *
 * Strings handed in are copied. Strings handed out live in the caller's arena. Where a limit is
 * exceeded the call returns STORE_LIMIT, except for text from other hosts (reply, detail, tls,
 * text), which is cut at STORE_TEXT_MAX octets.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/slice.h"

enum store_status {
	STORE_OK,
	STORE_FULL,      /* disk full: the transaction is undone; or, at store_add(), the reserve is
			    reached */
	STORE_IO,        /* a write, sync or read failed: final, see above */
	STORE_BUSY,      /* open: another keeper has it. Later: a courier works at it */
	STORE_CORRUPT,   /* not a queue, or damaged: final */
	STORE_NEWER,     /* made by a newer program */
	STORE_UNSAFE,    /* a setting that durability needs could not be had */
	STORE_EXISTS,    /* the queue id is taken, or a next hop comes twice */
	STORE_NOT_FOUND, /* no such delivery, message, recipient, override */
	STORE_STATE,     /* a step that its state does not allow */
	STORE_LIMIT,     /* an argument exceeds a limit below */
	STORE_SOURCE,    /* the caller's descriptor could not be read or written, or ended early */
	STORE_NO_MEMORY, /* here or in the caller's arena: the call did nothing; if the transaction
			    had to be undone, everything up to its commit returns the same */
	STORE_DAMAGED, /* the text of this message is not all there: concerns this message alone */
	STORE_MISUSE,  /* a change outside a transaction, begin within one */
};

const char *store_status_name(enum store_status s); /* "full" */

enum {
	STORE_QUEUE_ID_MAX = 64,
	STORE_NAME_MAX = 255, /* octets of a next-hop domain or pattern */
	STORE_ADDRESS_MAX =
	    1024,              /* octets of a path, an orcpt, an envid: all that RFC 3461 allows */
	STORE_TEXT_MAX = 1024, /* stops hosts with long replies from filling the disk */
	STORE_DELIVERIES_MAX = 5000, /* of one message: bounds a transaction and its memory */
	STORE_RCPTS_MAX = 5000,      /* of one delivery: the same */
	STORE_TRIES_MAX = 24,     /* kept per delivery, the newest: years of retries stay small */
	STORE_SIZE_MAX = 1 << 30, /* octets of a message */
	STORE_PAGE_MAX = 1000,    /* rows a list call returns at most */
	STORE_SCAN_MAX = 20000,   /* rows a list call looks at: bounds the keeper's pause */
};

/* --- opening --------------------------------------------------------------------------------- */

struct store;

/* A delivery that was active when the store was left. */
struct store_interrupted {
	int64_t delivery;
	const char *queue_id, *next_hop;
	bool in_doubt; /* the final dot may have gone out */
};

struct store_config {
	const char *path;     /* created with mode 0600 if there is none */
	uint64_t reserve;     /* octets of the file system that new messages leave free, so that
				 results can still be written */
	uint32_t cache_bytes; /* page cache; 0: 8 MiB */
	bool check;           /* look at the whole file first (slow when it is big) */
	/* Told of each delivery that a crash has put in doubt, while the store opens; NULL: nobody.
	 * The names last as long as the call. */
	void (*on_doubt)(void *arg, const char *queue_id, const char *next_hop);
	/* NULL: nothing. Called for each, in the transaction that puts them back. Anything but
	 * STORE_OK undoes that, and the store is not opened. */
	enum store_status (*interrupted)(void *arg, struct store *s,
					 const struct store_interrupted *d);
	/* Not STORE_OK: nothing is written, because that is what writing came to; the store is
	 * opened for looking, if its schema is ours, and its health is this for good. */
	enum store_status look;
	/* What was active stays so, until store_recover(): couriers may still have it. */
	bool keep_active;
	/* store_recover(): does somebody still have it? NULL: nobody has anything. */
	bool (*carried)(void *arg, int64_t delivery);
	void *arg;
};

struct store_recovery {
	bool created;
	uint64_t interrupted; /* deliveries that were active: waiting and due now */
	uint64_t in_doubt;    /* of these: the final dot may have gone out (new doubts only) */
};

/* Opens or creates, migrates older schemas, makes everything that is in the file durable once more,
 * and puts back what was active (keep_active: leaves it). On an error *out is NULL and `error` has
 * the words. */
enum store_status store_open(const struct store_config *c, int64_t now, struct store **out,
			     struct store_recovery *recovery, char *error, size_t room);
/* Puts back what is active and what nobody carries, by what `c` says of active deliveries. Within a
 * transaction. *r: what was put back. */
enum store_status store_recover(struct store *s, const struct store_config *c, int64_t now,
				struct store_recovery *r);
/* Undoes an open transaction. */
void store_close(struct store **s);

const char *store_error(const struct store *s);        /* words for the last failure, "" if none */
enum store_status store_health(const struct store *s); /* OK, or IO or CORRUPT for good */

/* --- transactions ---------------------------------------------------------------------------- */

enum store_status store_begin(struct store *s);
/* Not STORE_OK: nothing of the group was kept. */
enum store_status store_commit(struct store *s);
void store_rollback(struct store *s);

/* Keeps the files small: call when idle and every minute, outside transactions. Does a bounded
 * piece of work; *more says that another call would find more. STORE_FULL is not serious. */
enum store_status store_maintain(struct store *s, int64_t now, bool *more);

/* --- messages -------------------------------------------------------------------------------- */

struct store_new_rcpt {
	const char *address; /* without <> */
	const char *orcpt;   /* NULL: none */
	const char *notify;  /* NULL: none */
};

struct store_new_delivery {
	const char *next_hop; /* A-labels, lower case; or [address] */
	const struct store_new_rcpt *rcpt;
	size_t nrcpt; /* at least 1 */
	int64_t due;
};

struct store_envelope {
	const char *queue_id;
	int64_t arrived, expires;
	const char *reverse_path; /* "" is the null path */
	const char *envid;        /* NULL: none */
	const char *ret;          /* "FULL", "HDRS" or NULL */
	const char *origin;       /* who handed it in, in words of the caller */
	uint64_t sender;          /* wire/origin.h; 0 at store_add(): that of the reverse-path in
				     ORIGIN_NONE */
	uint64_t size;            /* octets of the text */
	bool eight_bit, smtputf8;
};

/* The text with CRLF line ends: either bytes, or (fd >= 0) `size` octets of a file from `offset`
 * on, read with pread in small parts. */
struct store_text {
	struct slice bytes;
	int fd;
	uint64_t offset;
};

struct store_new_message {
	struct store_envelope envelope;
	int64_t warn; /* when to report a delay; 0: never */
	struct store_text text;
	const struct store_new_delivery *delivery; /* of different next hops */
	size_t ndelivery;                          /* at least 1 */
};

/* All or nothing, also within the transaction: after EXISTS, LIMIT or SOURCE the others of the
 * group are still there. FULL ends the group only when the disk itself is full, not when the
 * reserve is reached. */
enum store_status store_add(struct store *s, const struct store_new_message *m);

/* Octets of the text of a message (by its id) into `out`; *got is less than `room` only at the end.
 * DAMAGED, here and below: parts are missing or too short. What SQLite itself finds broken is
 * CORRUPT. */
enum store_status store_text_read(struct store *s, int64_t message, uint64_t offset, uint8_t *out,
				  size_t room, size_t *got);
/* All of it to a descriptor, at its position. */
enum store_status store_text_copy(struct store *s, int64_t message, int fd);

/* --- scheduling ------------------------------------------------------------------------------ */

enum store_delivery_state { STORE_WAITING, STORE_HELD, STORE_ACTIVE, STORE_DONE };
const char *store_delivery_state_name(enum store_delivery_state s);
enum store_rcpt_state { STORE_PENDING, STORE_SENT, STORE_FAILED };
const char *store_rcpt_state_name(enum store_rcpt_state s);

struct store_destination {
	int64_t id;
	const char *name;
	uint64_t waiting, held, active; /* deliveries */
	int64_t ready; /* something is due and no back-off holds; 0: nothing waits */
	int64_t backoff_until;
	uint32_t failures;                /* consecutive */
	const char *reason, *code, *text; /* of the last failure; NULL after a success */
	int64_t worked;                   /* as store_works() was told last; 0: never */
	int64_t oldest; /* arrival of its first delivery; only from stats, else 0 */
};

/* Destinations that have something to do at `now`, the longest ready first, without those in `busy`
 * (ids, any order). At most max. */
enum store_status store_ready(struct store *s, int64_t now, const int64_t *busy, size_t nbusy,
			      size_t max, struct arena *mem, struct store_destination *out,
			      size_t *n);

/* Waiting deliveries of one destination that are due, at most max (and STORE_PAGE_MAX), and at most
 * per_sender of one sender (0: any number). The longest due first; when not all fit, up to
 * half of the room is for others, those of other origins first. *more: something due was left out.
 * Looks at no back-off. The work is bounded, however many wait. */
enum store_status store_due(struct store *s, int64_t destination, int64_t now, size_t max,
			    size_t per_sender, int64_t *delivery, size_t *n, bool *more);

/* The last one that was added: ids grow. */
int64_t store_last_delivery(const struct store *s);

/* What a scheduler must know of a delivery that is due. `sender`: wire/origin.h.
 * NOT_FOUND: it is gone. */
struct store_brief {
	int64_t id, message, destination, expires;
	uint64_t sender, size;
	uint32_t attempts;
};
enum store_status store_brief(struct store *s, int64_t delivery, struct store_brief *out);

/* When store_ready() and store_alarms() will first have something; INT64_MAX: never, as things are.
 */
struct store_next {
	int64_t ready, alarm;
};
enum store_status store_next(struct store *s, struct store_next *out);

/* Waiting deliveries that expired (whatever their destination's back-off), or whose sender is to be
 * warned. Expired ones: take, then record as failed. Warned ones: store_warned(). */
struct store_alarm {
	int64_t delivery;
	bool expired, warn;
};
enum store_status store_alarms(struct store *s, int64_t now, size_t max, struct store_alarm *out,
			       size_t *n);
enum store_status store_warned(struct store *s, int64_t delivery);
/* It cannot end now: it expires at `until` instead. Waiting deliveries only. */
enum store_status store_postpone(struct store *s, int64_t delivery, int64_t until);

struct store_rcpt {
	uint32_t n; /* its number within the delivery, from 0 */
	const char *address, *orcpt, *notify;
	enum store_rcpt_state state;
	const char *reason, *code, *reply, *host; /* NULL: nothing yet */
};

struct store_delivery {
	int64_t id, message, destination;
	const char *next_hop;
	struct store_envelope envelope;
	enum store_delivery_state state;
	int64_t due, expires, warn; /* expires may come before the envelope's; warn 0: never */
	uint32_t attempts, pending;
	int64_t last_attempt; /* 0: none */
	bool in_doubt;        /* it may have been delivered already */
	int64_t take; /* number of its last handing over: no other one has it, nor can be guessed by
			 it */
	bool dot;     /* active: store_mark_dot() was called for this one */
	const char *reason, *code, *detail, *host; /* of the last attempt, NULL: none */
	const struct store_rcpt *rcpt;             /* NULL from store_list() */
	size_t nrcpt;
};

/* Waiting -> active, with its pending recipients. */
enum store_status store_take(struct store *s, int64_t delivery, int64_t now, struct arena *mem,
			     struct store_delivery *out);

/* The same of one that is active already, and stays so. STATE: it is not. */
enum store_status store_active(struct store *s, int64_t delivery, struct arena *mem,
			       struct store_delivery *out);

/* Before the final dot goes out; commit before it goes. Active deliveries only. */
enum store_status store_mark_dot(struct store *s, int64_t delivery);

struct store_try {
	int64_t at;
	const char *host, *address, *policy; /* NULL: not known */
	const char *reason, *code, *detail, *tls;
	const char *continuity; /* of what the host presented (A2) */
};

struct store_rcpt_result {
	uint32_t n;
	enum store_rcpt_state state; /* PENDING: deferred */
	const char *reason, *code, *reply, *host;
};

struct store_result {
	int64_t delivery;
	int64_t at;
	int64_t due;    /* for recipients that are still pending */
	bool unknown;   /* the final dot went out and no reply came: it is in doubt from now on */
	bool uncounted; /* the host had no time for it: that was no attempt */
	const char *reason, *code, *detail, *host; /* of the attempt as a whole */
	const struct store_rcpt_result *rcpt; /* a pending recipient that is left out is deferred */
	size_t nrcpt;
	const struct store_try *tries; /* in order */
	size_t ntries;
};

struct store_recorded {
	int64_t message;
	enum store_delivery_state state; /* done, waiting, or held if an operator wants that */
	uint32_t delivery_pending;
	uint32_t message_pending; /* 0: the commit will remove the message */
};

/* Active -> waiting, held or done. */
enum store_status store_record(struct store *s, const struct store_result *r,
			       struct store_recorded *out);

/* The clock made a step of `by` milliseconds: what waits lives as long as it would have, and waits
 * no longer than it would have. Whatever the clocks were, nothing is due after due_max or lives
 * beyond expires_max. Looks at every delivery; with `by` 0 only at those that are due after
 * due_max. */
struct store_shift {
	int64_t by, due_max, expires_max;
};
enum store_status store_shift(struct store *s, const struct store_shift *x);

/* Both clocks as they were when the times in here were last right: the wall clock, and the time
 * since the start `boot` of the machine. */
enum { STORE_BOOT_MAX = 64 };
struct store_clock {
	char boot[STORE_BOOT_MAX + 1];
	int64_t wall, elapsed;
};
enum store_status store_clock(struct store *s, struct store_clock *out); /* NOT_FOUND: never set */
enum store_status store_clock_set(struct store *s, const struct store_clock *c);

/* --- destinations ---------------------------------------------------------------------------- */

/* A failure that concerns the destination, not one message: nobody tries before `until`. */
enum store_status store_back_off(struct store *s, int64_t destination, int64_t now, int64_t until,
				 const char *reason, const char *code, const char *text);
/* Up to `max` waiting deliveries of it that are due later are due now: it works again, since then.
 * Not those that were tried later than that (what made them wait was not the host, and they would
 * go round and round), nor those that a recipient's own answer put off (`but`, a reason:
 * greylisting wants its time). */
enum store_status store_hasten(struct store *s, int64_t destination, int64_t now, int64_t since,
			       size_t max, const char *but);
/* It works: no back-off, no failures. */
enum store_status store_works(struct store *s, int64_t destination, int64_t now);
/* One by name; NOT_FOUND when nothing is known of it. */
enum store_status store_destination(struct store *s, const char *name, struct arena *mem,
				    struct store_destination *out);

enum store_status store_destination_by_id(struct store *s, int64_t id, struct arena *mem,
					  struct store_destination *out);

/* An operator's policy for a pattern (wire/destination.h) in normal form. When it has ended is for
 * the caller to say. */
struct store_override {
	const char *pattern, *policy;
	int64_t made, expires;
	const char *boot; /* as in dane/exception.h; NULL to store_override_set(): "" */
	int64_t ends;
};
enum store_status store_override_set(struct store *s, const struct store_override *o);
enum store_status store_override_clear(struct store *s, const char *pattern);
/* The most specific one for a next hop of which holds(arg, it) is true. NOT_FOUND: none. Any other
 * error: it is not known whether there is one. */
typedef bool store_override_fn(void *arg, const struct store_override *o);
enum store_status store_override_find(struct store *s, const char *next_hop,
				      store_override_fn *holds, void *arg, struct arena *mem,
				      struct store_override *out);
/* In the order of the patterns, those behind `after` (NULL: from the start). */
enum store_status store_overrides(struct store *s, const char *after, size_t max, struct arena *mem,
				  struct store_override *out, size_t *n);

/* --- for the operator ------------------------------------------------------------------------ */

struct store_filter {
	const char *next_hop, *queue_id; /* NULL: any; found by index */
	const char *sender, *recipient;  /* NULL: any; ASCII case does not count; by looking */
	bool by_state;
	enum store_delivery_state state;
	int64_t arrived_before; /* 0: any */
};

/* Deliveries in the order of their ids, without recipients: those behind `after` (0: from the
 * start), at most max (and STORE_PAGE_MAX). *next is the `after` of the next call, 0 at the end: a
 * call may return no row and yet not be at the end (STORE_SCAN_MAX). */
enum store_status store_list(struct store *s, const struct store_filter *f, int64_t after,
			     size_t max, struct arena *mem, struct store_delivery *out, size_t *n,
			     int64_t *next);

/* One delivery with all its recipients. `out` may have state done. */
enum store_status store_show(struct store *s, int64_t delivery, struct arena *mem,
			     struct store_delivery *out);
/* The tries of one delivery, oldest first; room for STORE_TRIES_MAX. */
enum store_status store_tries(struct store *s, int64_t delivery, struct arena *mem,
			      struct store_try *out, size_t *n);

/* Deliveries for which nothing is to happen any more: there are none, or something is wrong with
 * this program or the file. */
enum store_lack {
	STORE_LACK_NOTHING,
	STORE_LACK_END,     /* waiting, and no alarm that rings by the horizon */
	STORE_LACK_DUE,     /* waiting for a time beyond the horizon */
	STORE_LACK_READY,   /* waiting, and its destination does not know by when */
	STORE_LACK_COURIER, /* active, and nobody carries it */
	STORE_LACK_PENDING, /* a recipient waits in a delivery that is done or counts fewer */
};
const char *store_lack_name(enum store_lack l); /* "no-end" */
struct store_horizon {
	int64_t due, end;                             /* nothing may wait for longer */
	bool (*carried)(void *arg, int64_t delivery); /* NULL: whatever is active is carried */
	void *arg;
};
struct store_lacking {
	int64_t delivery;
	enum store_lack lack;
};
/* Looks at up to STORE_PAGE_MAX deliveries behind `after` (0: from the start); `out` has room for
 * max. *next: as in store_list(). */
enum store_status store_without_next(struct store *s, const struct store_horizon *h, int64_t after,
				     size_t max, struct store_lacking *out, size_t *n,
				     int64_t *next);

/* What an operator can do to one delivery. Lists are worked off page by page. */
enum store_op {
	STORE_OP_RETRY,   /* due now, and no back-off of its destination; a held one stays held */
	STORE_OP_HOLD,    /* an active one is held when it comes back */
	STORE_OP_RELEASE, /* due now */
	STORE_OP_REMOVE,  /* without a DSN; BUSY when active */
	STORE_OP_EXPIRE,  /* expires now: store_alarms() has it, the keeper bounces it */
};
enum store_status store_change(struct store *s, enum store_op op, int64_t delivery, int64_t now);
/* One pending recipient, without a DSN; BUSY when its delivery is active. */
enum store_status store_remove_rcpt(struct store *s, int64_t delivery, uint32_t n);

struct store_totals {
	uint64_t messages, bytes, recipients; /* recipients: pending */
	uint64_t waiting, held, active;       /* deliveries */
	uint64_t in_doubt;                    /* of these */
	int64_t oldest;                       /* arrival of the first message; 0: none */
	uint64_t file_bytes, free_bytes;      /* of the file: all, and unused within */
};
enum store_status store_totals(struct store *s, struct store_totals *out); /* cheap at any size */

/* Destinations with deliveries, by id: those behind `after` (0: from the start). *next as above. */
enum store_status store_stats_destinations(struct store *s, int64_t after, size_t max,
					   struct arena *mem, struct store_destination *out,
					   size_t *n, int64_t *next);

struct store_reason_count {
	const char *reason; /* of the last attempt of deliveries that are not done */
	uint64_t deliveries;
	int64_t oldest; /* arrival */
};
enum store_status store_stats_reasons(struct store *s, size_t max, struct arena *mem,
				      struct store_reason_count *out, size_t *n);

#endif
