/* SPDX-License-Identifier: MIT */
/*
 * What an operator does to the queue.
 *
 * Knows which states an operation fits. Refuses to take anything from under a courier: holds wait
 * until it is back, removals are refused.
 */
#include "store/room.h"

static enum store_status retry(struct store *s, int64_t delivery, int64_t now)
{
	enum store_status status = sql_run(s, sql_bind(s, SQL_RETRY, "ii", delivery, now), NULL);
	if (status != STORE_OK)
		return status;
	return sql_run(s, sql_bind(s, SQL_NO_BACKOFF, "i", delivery), NULL);
}

/* One or the other finds the delivery in its state, or neither. */
static enum store_status hold(struct store *s, int64_t delivery)
{
	enum store_status status = sql_run(s, sql_bind(s, SQL_HOLD, "i", delivery), NULL);
	if (status != STORE_OK)
		return status;
	return sql_run(s, sql_bind(s, SQL_HOLD_LATER, "i", delivery), NULL);
}

static enum store_status release(struct store *s, int64_t delivery, int64_t now)
{
	enum store_status status =
	    sql_run(s, sql_bind(s, SQL_RELEASE_HELD, "ii", delivery, now), NULL);
	if (status != STORE_OK)
		return status;
	return sql_run(s, sql_bind(s, SQL_RELEASE_LATER, "i", delivery), NULL);
}

static enum store_status remove_all(struct store *s, int64_t delivery)
{
	enum store_status status = sql_run(s, sql_bind(s, SQL_REMOVE_RCPTS, "i", delivery), NULL);
	if (status != STORE_OK)
		return status;
	return sql_run(s, sql_bind(s, SQL_FINISH, "i", delivery), NULL);
}

static enum store_status apply(struct store *s, enum store_op op, int64_t delivery, int64_t now)
{
	switch (op) {
	case STORE_OP_RETRY:
		return retry(s, delivery, now);
	case STORE_OP_HOLD:
		return hold(s, delivery);
	case STORE_OP_RELEASE:
		return release(s, delivery, now);
	case STORE_OP_REMOVE:
		return remove_all(s, delivery);
	case STORE_OP_EXPIRE:
		return sql_run(s, sql_bind(s, SQL_EXPIRE, "ii", delivery, now), NULL);
	}
	return store_fail(s, STORE_MISUSE, "no such operation");
}

/* May it be changed? Done ones are history until their message goes. */
static enum store_status look(struct store *s, int64_t delivery, bool removal)
{
	enum store_delivery_state state;
	enum store_status status = store_may_write(s);
	if (status == STORE_OK)
		status = delivery_state(s, delivery, &state);
	if (status != STORE_OK)
		return status;
	if (state == STORE_DONE)
		return store_fail(s, STORE_STATE, "delivery %lld is done", (long long)delivery);
	if (state == STORE_ACTIVE && removal)
		return store_fail(s, STORE_BUSY, "a courier works at delivery %lld",
				  (long long)delivery);
	return STORE_OK;
}

enum store_status store_change(struct store *s, enum store_op op, int64_t delivery, int64_t now)
{
	enum store_status status = look(s, delivery, op == STORE_OP_REMOVE);
	if (status == STORE_OK)
		status = store_step_begin(s);
	if (status != STORE_OK)
		return status;
	return store_step_end(s, apply(s, op, delivery, now));
}

static enum store_status remove_one(struct store *s, int64_t delivery, uint32_t n)
{
	int changed;
	enum store_status status =
	    sql_run(s, sql_bind(s, SQL_REMOVE_RCPT, "ii", delivery, (int64_t)n), &changed);
	if (status != STORE_OK)
		return status;
	if (changed == 0)
		return store_fail(s, STORE_NOT_FOUND, "delivery %lld has no pending recipient %u",
				  (long long)delivery, n);
	return sql_run(s, sql_bind(s, SQL_FINISH, "i", delivery), NULL);
}

enum store_status store_remove_rcpt(struct store *s, int64_t delivery, uint32_t n)
{
	enum store_status status = look(s, delivery, true);
	if (status == STORE_OK)
		status = store_step_begin(s);
	if (status != STORE_OK)
		return status;
	return store_step_end(s, remove_one(s, delivery, n));
}
