/* SPDX-License-Identifier: MIT */
/*
 * Taking out a message that is through, with all its rows.
 *
 * Row by row, each by its key: for several at once (a cascade too) SQLite would collect the keys in
 * a table first. Refuses to know why it is through.
 */
#include "store/room.h"

/* Recipients or tries. */
static enum store_status remove_rows(struct store *s, enum sql find, enum sql remove,
				     int64_t delivery)
{
	for (;;) {
		int64_t n = 0;
		enum store_status status = sql_value(s, sql_bind(s, find, "i", delivery), &n);
		if (status == STORE_OK)
			status = sql_run(s, sql_bind(s, remove, "ii", delivery, n), NULL);
		if (status != STORE_OK)
			return status == STORE_NOT_FOUND ? STORE_OK : status;
	}
}

/* One delivery of the message, whatever its state; *more: there was one. */
static enum store_status remove_delivery(struct store *s, int64_t message, bool *more)
{
	sqlite3_stmt *st = sql_bind(s, SQL_DELIVERY_OF, "i", message);
	enum store_status status = sql_step(s, st, more);
	if (!*more)
		return status;
	int64_t id = sqlite3_column_int64(st, 0);
	int64_t destination = sqlite3_column_int64(st, 1);
	enum store_delivery_state state = (enum store_delivery_state)sqlite3_column_int(st, 2);
	const char *stuck = (const char *)sqlite3_column_text(st, 3);
	status = delivery_stuck(s, stuck, NULL);
	sql_end(st);
	if (status == STORE_OK)
		status = remove_rows(s, SQL_RCPT_OF, SQL_REMOVE_ANY_RCPT, id);
	if (status == STORE_OK)
		status = remove_rows(s, SQL_TRY_OF, SQL_REMOVE_TRY, id);
	if (status == STORE_OK)
		status = sql_run(s, sql_bind(s, SQL_REMOVE_DELIVERY, "i", id), NULL);
	if (status == STORE_OK && state != STORE_DONE)
		status = delivery_moved(s, destination, state, STORE_DONE);
	return status;
}

enum store_status remove_message(struct store *s, int64_t message)
{
	int64_t size = 0, base = message * PARTS_MAX;
	enum store_status status = sql_value(s, sql_bind(s, SQL_MESSAGE_SIZE, "i", message), &size);
	for (bool more = true; more && status == STORE_OK;)
		status = remove_delivery(s, message, &more);
	if (status == STORE_OK)
		status = sql_run(s, sql_bind(s, SQL_REMOVE_PARTS, "ii", base, base + PARTS_MAX - 1),
				 NULL);
	if (status == STORE_OK)
		status = sql_run(s, sql_bind(s, SQL_REMOVE_MESSAGE, "i", message), NULL);
	if (status == STORE_OK) {
		s->now.messages--;
		s->now.bytes -= size;
	}
	return status;
}
