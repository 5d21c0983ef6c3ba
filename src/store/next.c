/* SPDX-License-Identifier: MIT */
/*
 * Has every delivery a next event? The invariant of the queue (store.h) as a question.
 *
 * Knows the states and what drives each of them. Refuses to mend anything.
 */
#include "store/room.h"

const char *store_lack_name(enum store_lack l)
{
	static const char *const names[] = {
	    [STORE_LACK_NOTHING] = "nothing",    [STORE_LACK_END] = "no-end",
	    [STORE_LACK_DUE] = "too-late",       [STORE_LACK_READY] = "destination-asleep",
	    [STORE_LACK_COURIER] = "no-courier", [STORE_LACK_PENDING] = "forgotten-recipient",
	};
	return names[l];
}

/* Columns of SQL_NEXT_EVENTS. */
enum { COL_ID, COL_STATE, COL_DUE, COL_ALARM, COL_PENDING, COL_READY, COL_BACKOFF, COL_RCPTS };

static enum store_lack lack_of_waiting(sqlite3_stmt *st, const struct store_horizon *h)
{
	int64_t due = sqlite3_column_int64(st, COL_DUE);
	int64_t backoff = sqlite3_column_int64(st, COL_BACKOFF);
	int64_t ready = sqlite3_column_int64(st, COL_READY);

	if (sqlite3_column_type(st, COL_ALARM) == SQLITE_NULL ||
	    sqlite3_column_int64(st, COL_ALARM) > h->end)
		return STORE_LACK_END;
	if (due > h->due || backoff > h->due)
		return STORE_LACK_DUE;
	if (sqlite3_column_type(st, COL_READY) == SQLITE_NULL ||
	    ready > (due > backoff ? due : backoff))
		return STORE_LACK_READY;
	return STORE_LACK_NOTHING;
}

static enum store_lack lack_of(sqlite3_stmt *st, const struct store_horizon *h)
{
	int64_t id = sqlite3_column_int64(st, COL_ID);

	if (sqlite3_column_int64(st, COL_PENDING) != sqlite3_column_int64(st, COL_RCPTS))
		return STORE_LACK_PENDING;
	switch ((enum store_delivery_state)sqlite3_column_int(st, COL_STATE)) {
	case STORE_WAITING:
		return lack_of_waiting(st, h);
	case STORE_ACTIVE:
		return h->carried == NULL || h->carried(h->arg, id) ? STORE_LACK_NOTHING
								    : STORE_LACK_COURIER;
	case STORE_HELD:
	case STORE_DONE:
		break;
	}
	return STORE_LACK_NOTHING;
}

enum store_status store_without_next(struct store *s, const struct store_horizon *h, int64_t after,
				     size_t max, struct store_lacking *out, size_t *n,
				     int64_t *next)
{
	sqlite3_stmt *st = sql_bind(s, SQL_NEXT_EVENTS, "i", after);
	*n = 0;
	*next = 0;
	for (size_t seen = 0;; seen++) {
		bool row;
		enum store_status status = sql_step(s, st, &row);
		if (!row)
			return status;
		if (seen == STORE_PAGE_MAX || *n == max) {
			*next = after;
			sql_end(st);
			return STORE_OK;
		}
		after = sqlite3_column_int64(st, COL_ID);
		enum store_lack lack = lack_of(st, h);
		if (lack != STORE_LACK_NOTHING)
			out[(*n)++] = (struct store_lacking){after, lack};
	}
}
