/* SPDX-License-Identifier: MIT */
/*
 * relay: the audit file as its one writer has it: records get their numbers and hashes here, go by
 * age, and the file is compared with what is remembered of it. Knows the store and no process.
 */
#ifndef RELAY_AUDIT_FILE_H
#define RELAY_AUDIT_FILE_H

#include "store/audit.h"

enum {
	AUDIT_MOVE_ROWS = 512,
	AUDIT_FORGET_ROWS = 2000,
	AUDIT_OLDEST_PART = 8,  /* of the records go when the file is too large: one in so many */
	AUDIT_CARRY_MAX = 2000, /* in one group: bounds the keeper's pause */
	/* Certificates that are known. Somebody with a name for each of his hosts (a bounce to each
	 * is enough) does not fill the file: when there are more, a tenth goes, those that nothing
	 * authorised, the longest not seen first. What TLSA records or a CA authorised stays. */
	AUDIT_PEERS_MAX = 100000,
};

/* What a record makes of the table of certificates that are known. That table is what the records
 * say, all of them in order and nothing else: danelaw audit verify makes it anew and compares. */
enum store_status audit_fold(struct store_audit *a, const struct audit_link *l);

struct audit_file {
	struct store_audit *store;       /* NULL: it cannot be had now */
	uint8_t queue[STORE_QUEUE_MARK]; /* whose outbox it is */
	struct audit_head head;          /* where the chain goes on */
	int64_t done;                    /* rows of the outbox up to here are in it */
	bool broken;                     /* it is not the file that was remembered */
	char error[512];                 /* of the last call that failed */
};

/* Opens or creates it, and compares it with what the queue remembers of its end: `box` is the state
 * of its outbox as committed. What the file has more must be what waits there. */
enum store_status audit_file_open(struct audit_file *f, const char *path, struct store *queue,
				  const struct store_outbox *box);
void audit_file_close(struct audit_file *f);

/* Appends what waits in the outbox of the queue, at most AUDIT_MOVE_ROWS rows; *n is how many.
 * STORE_BUSY: a reader is in the way; later. */
enum store_status audit_file_move(struct audit_file *f, struct store *queue, size_t *n);

/*
 * Removal by age, in steps. The last record that is older than `before` (n 0: none, or the file has
 * a gap); records that carry on what certificates are known from those before it, for the outbox
 * (which must be empty: the table is as they say), and, if these are too many, an earlier `upto`
 * (*all false); the checkpoint that signs it off, as a body for the outbox; and, only when the
 * queue remembers a head behind that checkpoint, the removal: a bounded number of records each
 * time. *more: there are more.
 */
enum store_status audit_file_old(struct audit_file *f, int64_t before, struct audit_head *upto);
/* The same by size, whatever their age: the last record of the oldest eighth, if that is behind
 * *upto. What is known is still forgotten by age alone, so that nobody who causes many records can
 * have a host's key forgotten. */
enum store_status audit_file_oldest(struct audit_file *f, struct audit_head *upto);
typedef bool audit_file_add(void *arg, struct slice body);
enum store_status audit_file_carry(struct audit_file *f, int64_t before, struct audit_head *upto,
				   bool *all, audit_file_add *add, void *arg);
/* A record for the outbox when too many certificates are known; else `out` stays empty. */
enum store_status audit_file_too_many(struct audit_file *f, struct buf *out);
bool audit_file_checkpoint(const struct audit_head *upto, int64_t before, struct buf *out);
enum store_status audit_file_remove(struct audit_file *f, const struct audit_head *upto);
enum store_status audit_file_forget(struct audit_file *f, bool *more);

/* What the file knows of a host, the last seen first; room for AUDIT_KNOWN_MAX. */
enum store_status audit_known(struct store_audit *a, struct slice host, uint16_t port,
			      const char *key_type, struct known_key *out, size_t *n);

#endif
