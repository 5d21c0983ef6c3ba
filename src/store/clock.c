/* SPDX-License-Identifier: MIT */
/*
 * The clock made a step, and the times of what waits go with it: neither does mail wait for a time
 * that is far away again, nor does its lifetime end because a clock was wrong.
 *
 * Goes from destination to destination, each by index. Refuses to know why the clock moved.
 */
#include "store/room.h"

enum store_status store_shift(struct store *s, int64_t by)
{
	enum store_status status = store_may_write(s);
	if (status == STORE_OK)
		status = store_step_begin(s);
	if (status != STORE_OK)
		return status;
	for (int64_t id = 0; status == STORE_OK;) {
		status = sql_value(s, sql_bind(s, SQL_NEXT_DESTINATION, "i", id), &id);
		if (status == STORE_OK)
			status = sql_run(s, sql_bind(s, SQL_SHIFT, "ii", id, by), NULL);
		if (status == STORE_OK)
			status = sql_run(s, sql_bind(s, SQL_SHIFT_BACK_OFF, "ii", id, by), NULL);
	}
	return store_step_end(s, status == STORE_NOT_FOUND ? STORE_OK : status);
}
