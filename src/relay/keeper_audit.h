/* SPDX-License-Identifier: MIT */
/*
 * relay: the keeper's part of the audit. A record goes into the outbox in the group of what it is
 * about, and about a second later, in one batch with others, into the audit file, which gives it
 * its number and hash (src/store/audit.h). Outcomes are judged for continuity at once.
 *
 * Trouble with the audit file never loses mail and never loses a record: the outbox grows, the log
 * and the metrics say so. At its bound no delivery is started any more until there is room.
 */
#ifndef RELAY_KEEPER_AUDIT_H
#define RELAY_KEEPER_AUDIT_H

#include "store/audit.h"

struct keeper;
struct result;
struct keeper_audit;

/* After the store is open, and before the sandbox closes. A file that cannot be opened is only
 * reported. False: out of memory, or the store failed. */
bool keeper_audit_open(struct keeper *k);
void keeper_audit_close(struct keeper *k);

/* The path of the audit file for this configuration. */
struct conf;
void audit_path(const struct conf *c, char *out, size_t room);

/* Within the group of the result: adds its records and says for each try how it continues
 * (continuity[i], a static name; NULL where nothing is to be said). False: the store failed. */
bool keeper_audit_result(struct keeper *k, const struct store_delivery *d, const struct result *r,
			 const char **continuity);
/* The same for any other record. */
bool keeper_audit_add(struct keeper *k, const struct audit_record *r);

/* Evidence that results will refer to, into the group. False: it is not evidence, or the store
 * failed. */
bool keeper_audit_evidence(struct keeper *k, struct slice body);

/* For store_open(): the record of an attempt that the last keeper did not see the end of. */
enum store_status keeper_audit_interrupted(void *keeper, struct store *s,
					   const struct store_interrupted *d);

/* Within the group, right before its commit, and right after it succeeded. */
enum store_status keeper_audit_before_commit(struct keeper *k);
void keeper_audit_committed(struct keeper *k);

/* May a delivery be started? */
bool keeper_audit_has_room(const struct keeper *k);

struct audit_state {
	bool enabled;
	bool working;     /* the file takes records */
	bool broken;      /* the file is not the one that was remembered */
	uint64_t waiting; /* records in the outbox */
	struct audit_head head;
	uint64_t changes; /* unauthorised ones, since the start */
	uint64_t octets;  /* of the file, in use */
	uint64_t cut;     /* so often records went because there were too many octets */
};
void keeper_audit_state(const struct keeper *k, struct audit_state *out);

#endif
