/* SPDX-License-Identifier: MIT */
/*
 * store: where records of the audit (A1 to A3) are kept. They go two steps, because two files
 * cannot be committed as one:
 *
 *   the outbox, in the queue's file: a record is added in the transaction of the step that it is
 *     about, so that neither is there without the other;
 *   the audit file: records with their numbers and hashes, in the order of the outbox, appended and
 *     never changed. It also remembers how far the outbox of which queue was moved: what a crash
 *     left in both is moved once.
 *
 * The second is a file of its own, with a rollback journal: between two commits it is whole without
 * any other file, and whoever may read it needs nothing else. One process writes it; any number
 * read it, page by page so that the writer is not kept waiting.
 *
 * Failures of the audit file never touch the queue: after STORE_IO or STORE_CORRUPT close it, and
 * open it again later.
 */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "audit/chain.h"
#include "dane/evidence.h"
#include "store/store.h"

enum { STORE_QUEUE_MARK = 16 }; /* octets that tell one queue from another */

/* --- the outbox: calls on the queue ----------------------------------------------------------- */

struct store_outbox_row {
	int64_t id; /* growing, never used twice in one queue */
	int64_t at;
	struct slice body;
};

/* Within a transaction of the queue. */
enum store_status store_outbox_add(struct store *s, const struct store_outbox_row *row);
/* Those behind `after`, oldest first, at most max; not within a transaction. */
enum store_status store_outbox_read(struct store *s, int64_t after, size_t max, struct arena *mem,
				    struct store_outbox_row *out, size_t *n);

struct store_outbox {
	uint8_t queue[STORE_QUEUE_MARK];
	int64_t moved;          /* rows up to here are in the audit file, and gone here */
	int64_t last;           /* id of the newest row ever, `moved` if none is left */
	struct audit_head head; /* of the audit file, as last remembered; n 0: none */
};
enum store_status store_outbox_state(struct store *s, struct store_outbox *out);
/* Removes rows up to `moved` and remembers the head. Within a transaction. */
enum store_status store_outbox_done(struct store *s, int64_t moved, const struct audit_head *head);

/* The same from a queue that nobody has open, for reading only. STORE_BUSY: somebody has. */
enum store_status store_outbox_peek(const char *path, struct store_outbox *out, char *error,
				    size_t room);

/* --- the audit file --------------------------------------------------------------------------- */

struct store_audit;

/* Opens or creates for writing. On an error *out is NULL and `error` has the words. */
enum store_status store_audit_open(const char *path, struct store_audit **out, char *error,
				   size_t room);
/* For reading only: the file must be there, and nothing is ever written. */
enum store_status store_audit_open_read(const char *path, struct store_audit **out, char *error,
					size_t room);
void store_audit_close(struct store_audit **a);
const char *store_audit_error(const struct store_audit *a);

/* One that lives in memory. */
enum store_status store_audit_open_memory(struct store_audit **out, char *error, size_t room);
/* Until store_audit_rollback() all is read as it is now; whoever writes waits: be short. */
enum store_status store_audit_hold(struct store_audit *a);

enum store_status store_audit_begin(struct store_audit *a);
enum store_status store_audit_commit(struct store_audit *a);
void store_audit_rollback(struct store_audit *a);

/* The last record, and what the records begin behind (n 0: nothing was removed). */
enum store_status store_audit_ends(struct store_audit *a, struct audit_head *start,
				   struct audit_head *last);
/* How far the outbox of this queue was moved; 0: never. */
enum store_status store_audit_moved(struct store_audit *a, const uint8_t queue[STORE_QUEUE_MARK],
				    int64_t *moved);

/* Within a transaction. */
enum store_status store_audit_append(struct store_audit *a, const struct audit_link *l);
enum store_status store_audit_set_moved(struct store_audit *a,
					const uint8_t queue[STORE_QUEUE_MARK], int64_t moved);
/* Records up to this one are signed off, and may go. Within a transaction. */
enum store_status store_audit_set_start(struct store_audit *a, const struct audit_head *start);
/* Removes certificates that were last seen before that; the second: of those that nothing
 * authorised. Within a transaction. */
enum store_status store_audit_forget_peers(struct store_audit *a, int64_t before);
enum store_status store_audit_forget_unauthorised(struct store_audit *a, int64_t before);
/* Octets of the file that are in use: what was removed leaves room that is used again. */
enum store_status store_audit_size(struct store_audit *a, uint64_t *octets);
/* Removes some records that are signed off; *more: there are others. Within a transaction. */
enum store_status store_audit_forget(struct store_audit *a, size_t max, bool *more);

/* Records from number `from` on, or with `back` from there down; at most max. What is
 * signed off is gone for readers, even while it is still in the file. */
enum store_status store_audit_read(struct store_audit *a, uint64_t from, bool back, size_t max,
				   struct arena *mem, struct audit_link *out, size_t *n);

/* A certificate that a host presented and that was taken. */
struct store_peer {
	const char *host, *key_type;
	uint16_t port;
	uint8_t cert[AUDIT_DIGEST], key[AUDIT_DIGEST];
	enum audit_authority authority;
	enum continuity continuity; /* when it came first */
	uint64_t record;            /* number of the record of its first time */
	int64_t first, last;        /* seen */
};
/* Adds it, or says that it was seen again: then only `last` and `authority` count. Within a
 * transaction. */
enum store_status store_audit_peer(struct store_audit *a, const struct store_peer *p);
/* Record p->record is the one that says it now (AUDIT_CARRIED). Within a transaction. */
enum store_status store_audit_peer_carried(struct store_audit *a, const struct store_peer *p);
/* Those whose record is `upto` or an older one, and that were seen since; by their records. */
enum store_status store_audit_peers_of_old(struct store_audit *a, uint64_t upto, int64_t since,
					   size_t max, struct arena *mem, struct store_peer *out,
					   size_t *n);
enum store_status store_audit_count_peers(struct store_audit *a, uint64_t *out);
/* When the nth of those that nothing authorised was last seen, the longest ago first; NOT_FOUND:
 * there are not so many. */
enum store_status store_audit_nth_unauthorised(struct store_audit *a, size_t n, int64_t *last);
/* Are the certificates of both the same, octet by octet? Else *record is one that the first
 * difference is about. */
enum store_status store_audit_same_peers(struct store_audit *a, struct store_audit *b, bool *same,
					 int64_t *record);
/* The last seen first; at most max. */
enum store_status store_audit_known(struct store_audit *a, const char *host, uint16_t port,
				    const char *key_type, size_t max, struct arena *mem,
				    struct store_peer *out, size_t *n);
/* All, by host, port, type and certificate: those behind `after` (NULL: from the start), or, with
 * its cert all zeros, from there on. */
enum store_status store_audit_peers(struct store_audit *a, const struct store_peer *after,
				    size_t max, struct arena *mem, struct store_peer *out,
				    size_t *n);

/* --- evidence --------------------------------------------------------------------------------- */

/* Keeps it until the records up to `last` have gone, or a later one that refers to it; what is
 * there already is not kept twice. hash[i]: SHA-256 of e->rrset[i]. Within a transaction. */
enum store_status store_audit_evidence_add(struct store_audit *a, const struct evidence *e,
					   const uint8_t (*hash)[AUDIT_DIGEST], uint64_t last);
/* Record n refers to it. Within a transaction. */
enum store_status store_audit_evidence_used(struct store_audit *a, const uint8_t id[AUDIT_DIGEST],
					    uint64_t n);
/* What it points to lives in `mem`. STORE_NOT_FOUND: it is not there. */
enum store_status store_audit_evidence(struct store_audit *a, const uint8_t id[AUDIT_DIGEST],
				       struct arena *mem, struct evidence *out);
/* The id behind this one, into it. NOT_FOUND: it was the last. */
enum store_status store_audit_evidence_next(struct store_audit *a, uint8_t id[AUDIT_DIGEST]);
/* Removes what only removed records referred to, at most max. Within a transaction. */
enum store_status store_audit_evidence_forget(struct store_audit *a, size_t max);

#endif
