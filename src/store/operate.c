/* SPDX-License-Identifier: MIT */
/*
 * What an operator does to the queue.
 *
 * Knows which states an operation fits. Refuses to take anything from under a courier: holds wait
 * until it is back, removals are refused.
 */
#include "store/room.h"

/* What is changed, as it was. */
struct subject {
	int64_t delivery, message, destination;
	enum store_delivery_state state;
	char stuck[STORE_NAME_MAX + 1]; /* "": no reason */
};

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

static enum store_status apply(struct store *s, enum store_op op, int64_t delivery, int64_t now)
{
	switch (op) {
	case STORE_OP_RETRY:
		return retry(s, delivery, now);
	case STORE_OP_HOLD:
		return hold(s, delivery);
	case STORE_OP_RELEASE:
		return release(s, delivery, now);
	case STORE_OP_EXPIRE:
		return sql_run(s, sql_bind(s, SQL_EXPIRE, "ii", delivery, now), NULL);
	case STORE_OP_REMOVE:
		break; /* not by one statement: store_change() */
	}
	return store_fail(s, STORE_MISUSE, "no such operation");
}

static enum store_status load_subject(struct store *s, int64_t delivery, struct subject *x)
{
	sqlite3_stmt *st;
	enum store_status status = delivery_statement(s, SQL_BRIEF, delivery, &st);
	if (status != STORE_OK)
		return status;
	const char *stuck = (const char *)sqlite3_column_text(st, 8);
	*x = (struct subject){.delivery = delivery,
			      .message = sqlite3_column_int64(st, 1),
			      .destination = sqlite3_column_int64(st, 2),
			      .state = (enum store_delivery_state)sqlite3_column_int(st, 4)};
	snprintf(x->stuck, sizeof x->stuck, "%s", stuck ? stuck : "");
	sql_end(st);
	return STORE_OK;
}

/* May it be changed? Done ones are history until their message goes. */
static enum store_status look(struct store *s, int64_t delivery, bool removal, struct subject *x)
{
	enum store_status status = store_may_write(s);
	if (status == STORE_OK)
		status = load_subject(s, delivery, x);
	if (status != STORE_OK)
		return status;
	if (x->state == STORE_DONE)
		return store_fail(s, STORE_STATE, "delivery %lld is done", (long long)delivery);
	if (x->state == STORE_ACTIVE && removal)
		return store_fail(s, STORE_BUSY, "a courier works at delivery %lld",
				  (long long)delivery);
	return STORE_OK;
}

/* Its state and time may be others now; the destination is told of both. */
static enum store_status follow(struct store *s, const struct subject *x)
{
	enum store_delivery_state now;
	enum store_status status = delivery_state(s, x->delivery, &now);
	if (status == STORE_OK)
		status = delivery_moved(s, x->destination, x->state, now);
	if (status == STORE_OK && now == STORE_DONE)
		status = delivery_stuck(s, x->stuck[0] ? x->stuck : NULL, NULL);
	return status;
}

/* So many pending recipients of it were removed: perhaps it is done, perhaps its message is. */
static enum store_status fewer(struct store *s, const struct subject *x, int64_t n)
{
	int64_t left = 0;
	s->now.recipients -= n;
	enum store_status status =
	    sql_value(s, sql_bind(s, SQL_LEFT_OF_MESSAGE, "i", x->message), &left);
	if (status == STORE_OK && left == n)
		return remove_message(s, x->message);
	if (status == STORE_OK)
		status = sql_run(s, sql_bind(s, SQL_MESSAGE_PENDING, "ii", x->message, n), NULL);
	if (status == STORE_OK)
		status = sql_run(s, sql_bind(s, SQL_LESS_PENDING, "ii", x->delivery, n), NULL);
	return status == STORE_OK ? follow(s, x) : status;
}

static enum store_status remove_all(struct store *s, const struct subject *x)
{
	int n;
	enum store_status status = sql_run(s, sql_bind(s, SQL_REMOVE_RCPTS, "i", x->delivery), &n);
	return status == STORE_OK ? fewer(s, x, n) : status;
}

enum store_status store_change(struct store *s, enum store_op op, int64_t delivery, int64_t now)
{
	struct subject x;
	enum store_status status = look(s, delivery, op == STORE_OP_REMOVE, &x);
	if (status == STORE_OK)
		status = store_step_begin(s);
	if (status != STORE_OK)
		return status;
	if (op == STORE_OP_REMOVE)
		return store_step_end(s, remove_all(s, &x));
	status = apply(s, op, delivery, now);
	return store_step_end(s, status == STORE_OK ? follow(s, &x) : status);
}

static enum store_status remove_one(struct store *s, const struct subject *x, uint32_t n)
{
	int changed;
	enum store_status status =
	    sql_run(s, sql_bind(s, SQL_REMOVE_RCPT, "ii", x->delivery, (int64_t)n), &changed);
	if (status != STORE_OK)
		return status;
	if (changed == 0)
		return store_fail(s, STORE_NOT_FOUND, "delivery %lld has no pending recipient %u",
				  (long long)x->delivery, n);
	return fewer(s, x, 1);
}

enum store_status store_remove_rcpt(struct store *s, int64_t delivery, uint32_t n)
{
	struct subject x;
	enum store_status status = look(s, delivery, true, &x);
	if (status == STORE_OK)
		status = store_step_begin(s);
	if (status != STORE_OK)
		return status;
	return store_step_end(s, remove_one(s, &x, n));
}
