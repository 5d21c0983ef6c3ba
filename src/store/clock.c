/* SPDX-License-Identifier: MIT */
/*
 * The clock made a step, and the times of what waits go with it: neither does mail wait for a time
 * that is far away again, nor does its lifetime end because a clock was wrong.
 *
 * Goes from destination to destination, each by index. Refuses to know why the clock moved.
 */
#include "store/room.h"

/* Nothing is due later by a step: a time that another clock wrote may be years away already. */
static enum store_status shift_one(struct store *s, int64_t id, const struct store_shift *x)
{
	int64_t back = x->by < 0 ? x->by : 0;
	sqlite3_stmt *st = x->by != 0 ? sql_bind(s, SQL_SHIFT, "iiiii", id, x->by, back, x->due_max,
						 x->expires_max)
				      : sql_bind(s, SQL_DUE_AT_MOST, "ii", id, x->due_max);
	enum store_status status = sql_run(s, st, NULL);
	if (status == STORE_OK)
		status = delivery_moved(s, id, STORE_DONE, STORE_DONE); /* but for the times */
	if (status == STORE_OK)
		status =
		    sql_run(s, sql_bind(s, SQL_SHIFT_BACK_OFF, "iii", id, back, x->due_max), NULL);
	if (status == STORE_OK && x->by != 0)
		status = sql_run(s, sql_bind(s, SQL_SHIFT_NEWS, "ii", id, x->by), NULL);
	return status;
}

enum store_status store_shift(struct store *s, const struct store_shift *x)
{
	enum store_status status = store_may_write(s);
	if (status == STORE_OK)
		status = store_step_begin(s);
	if (status != STORE_OK)
		return status;
	for (int64_t id = 0; status == STORE_OK;) {
		status = sql_value(s, sql_bind(s, SQL_NEXT_DESTINATION, "i", id), &id);
		if (status == STORE_OK)
			status = shift_one(s, id, x);
	}
	return store_step_end(s, status == STORE_NOT_FOUND ? STORE_OK : status);
}

enum store_status store_clock(struct store *s, struct store_clock *out)
{
	bool row;
	sqlite3_stmt *st = s->statement[SQL_CLOCK];
	*out = (struct store_clock){0};
	enum store_status status = sql_step(s, st, &row);
	if (!row)
		return status == STORE_OK ? STORE_NOT_FOUND : status;
	const char *boot = (const char *)sqlite3_column_text(st, 0);
	if (boot != NULL)
		snprintf(out->boot, sizeof out->boot, "%s", boot);
	out->wall = sqlite3_column_int64(st, 1);
	out->elapsed = sqlite3_column_int64(st, 2);
	sql_end(st);
	return boot != NULL ? STORE_OK : STORE_NO_MEMORY;
}

enum store_status store_clock_set(struct store *s, const struct store_clock *c)
{
	enum store_status status = store_may_write(s);
	if (status != STORE_OK)
		return status;
	return sql_run(s, sql_bind(s, SQL_SET_CLOCK, "tii", c->boot, c->wall, c->elapsed), NULL);
}
