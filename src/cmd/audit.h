/* SPDX-License-Identifier: MIT */
/*
 * cmd: danelaw audit, inside: what its files share. Records come from the audit file, opened for
 * reading only; of the relay nothing is asked but the head, by verify.
 *
 * audit.c: arguments. audit_read.c: walks and filters. audit_json.c, audit_text.c: a record in
 * either form. audit_list.c, audit_verify.c ...: the actions.
 */
#ifndef CMD_AUDIT_H
#define CMD_AUDIT_H

#include "cmd/cmd.h"
#include "store/audit.h"

enum { AUDIT_LIMIT_DEFAULT = 1000 };

struct audit_query {
	struct cmd *cmd;
	bool json, follow;
	const char *file, *domain, *host, *reason, *policy, *continuity, *type, *head, *anchor,
	    *out;
	int64_t now, since, until; /* milliseconds; 0 and INT64_MAX: any */
	uint64_t limit;
	const char *operand;               /* NULL: none */
	char names[2][AUDIT_TEXT_MAX + 1]; /* domain and host as A-labels */
	struct store_audit *store;
};

/* The actions; each returns the exit code. */
int audit_list(struct audit_query *q);
int audit_show(struct audit_query *q);
int audit_verify(struct audit_query *q);
int audit_export(struct audit_query *q);
int audit_peers(struct audit_query *q);
int audit_changes(struct audit_query *q);
int audit_prove(struct audit_query *q); /* without an operand `file` is one of evidence */

/* To a file, or "-": standard output; `a` may be NULL. False: see errno. */
struct evidence;
struct dnssec_anchors;
bool evidence_save(const struct evidence *e, const struct dnssec_anchors *a, const char *path);

/* --- Walks (audit_read.c) --- */

/* Says in one line on standard error what is wrong with the file; the exit code. */
int audit_fail(struct audit_query *q);

struct audit_entry {
	struct audit_link link;
	struct audit_record record;
	enum audit_error error; /* not AUDIT_OK: record means nothing */
};
/* False ends the walk. */
typedef bool audit_visit(struct audit_query *q, const struct audit_entry *e, void *arg);

/* From `from` on (or down), record by record, in pages. EX_OK, or an exit code, explained. */
int audit_walk(struct audit_query *q, uint64_t from, bool back, audit_visit *visit, void *arg);
bool audit_matches(const struct audit_query *q, const struct audit_entry *e);
/* The newest `limit` that match, in the order of their numbers. */
int audit_walk_newest(struct audit_query *q, audit_visit *visit, void *arg);

/* --- Forms --- */

enum { AUDIT_TIME_MAX = 40, AUDIT_HEX_MAX = 2 * AUDIT_DIGEST + 1 };
void audit_time_text(int64_t ms, char out[static AUDIT_TIME_MAX]); /* RFC 3339, with milliseconds */
const char *audit_hex(const uint8_t d[static AUDIT_DIGEST], char out[static AUDIT_HEX_MAX]);
bool audit_is_zero(const uint8_t d[static AUDIT_DIGEST]);
struct json *audit_json(const struct audit_entry *e);
struct json *audit_peer_json(const struct store_peer *p);
void audit_print_line(const struct audit_entry *e, const struct style *style);
void audit_print_peer(const struct store_peer *p, const struct style *style);
void audit_print_whole(const struct audit_entry *e, const struct style *style);

#endif
