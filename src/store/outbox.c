/* SPDX-License-Identifier: MIT */
/*
 * Records of the audit that wait in the queue's file.
 *
 * Knows rows and how far they were moved. Refuses to know what is in them.
 */
#include "store/audit.h"
#include "store/room.h"

enum store_status store_outbox_add(struct store *s, const struct store_outbox_row *row)
{
	enum store_status status = store_may_write(s);
	if (status != STORE_OK)
		return status;
	return sql_run(s, sql_bind(s, SQL_OUTBOX_ADD, "iib", row->id, row->at, row->body), NULL);
}

enum store_status store_outbox_read(struct store *s, int64_t after, size_t max, struct arena *mem,
				    struct store_outbox_row *out, size_t *n)
{
	*n = 0;
	if (s->txn != TXN_NONE) /* what is not committed may yet be undone */
		return store_fail(s, STORE_MISUSE, "the outbox is read within a transaction");
	sqlite3_stmt *st = sql_bind(s, SQL_OUTBOX, "ii", after, (int64_t)max);
	bool row;
	enum store_status status;
	while ((status = sql_step(s, st, &row)) == STORE_OK && row) {
		out[(*n)++] = (struct store_outbox_row){.id = sqlite3_column_int64(st, 0),
							.at = sqlite3_column_int64(st, 1),
							.body = sql_blob_column(st, 2, mem)};
	}
	return status == STORE_OK ? arena_status(s, mem) : status;
}

enum store_status store_outbox_state(struct store *s, struct store_outbox *out)
{
	bool row;
	sqlite3_stmt *st = sql_bind(s, SQL_AUDIT_HEAD, "");
	*out = (struct store_outbox){0};
	enum store_status status = sql_step(s, st, &row);
	if (status != STORE_OK || !row)
		return status != STORE_OK ? status : STORE_NOT_FOUND;
	sql_octets_column(st, 0, out->queue, sizeof(out->queue));
	out->moved = sqlite3_column_int64(st, 1);
	out->head.n = (uint64_t)sqlite3_column_int64(st, 2);
	sql_octets_column(st, 3, out->head.hash, sizeof(out->head.hash));
	sql_end(st);
	status = sql_value(s, sql_bind(s, SQL_OUTBOX_LAST, ""), &out->last);
	if (out->last < out->moved)
		out->last = out->moved;
	return status;
}

enum store_status store_outbox_done(struct store *s, int64_t moved, const struct audit_head *head)
{
	enum store_status status = store_may_write(s);
	if (status == STORE_OK)
		status = sql_run(s, sql_bind(s, SQL_OUTBOX_REMOVE, "i", moved), NULL);
	if (status == STORE_OK)
		status = sql_run(s,
				 sql_bind(s, SQL_SET_AUDIT_HEAD, "iib", moved, (int64_t)head->n,
					  slice_make(head->hash, AUDIT_DIGEST)),
				 NULL);
	return status;
}

enum store_status store_outbox_peek(const char *path, struct store_outbox *out, char *error,
				    size_t room)
{
	struct store s = {0};
	*out = (struct store_outbox){0};
	store_set_up_sqlite();
	int rc = sqlite3_open_v2(path, &s.db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	enum store_status status = store_fail_sql(&s, rc, path);
	static const enum sql needed[] = {SQL_AUDIT_HEAD, SQL_OUTBOX_LAST};
	for (size_t i = 0; i < sizeof needed / sizeof needed[0] && status == STORE_OK; i++)
		status = store_fail_sql(&s,
					sqlite3_prepare_v2(s.db, sql_text(needed[i]), -1,
							   &s.statement[needed[i]], NULL),
					path);
	if (status == STORE_OK)
		status = store_outbox_state(&s, out);
	snprintf(error, room, "%s", s.error);
	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
		sqlite3_finalize(s.statement[needed[i]]);
	sqlite3_close(s.db);
	return status;
}
