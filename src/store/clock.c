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
