/* SPDX-License-Identifier: MIT */
/*
 * What is to be done next: destinations that are ready, deliveries that are due, alarms; and
 * handing a delivery to a courier.
 *
 * Knows the order. Refuses to know how many couriers there are and when to try again.
 */
#include "store/room.h"

#include <sys/random.h>

#include <stdlib.h>

static const char *const delivery_names[] = {
    [STORE_WAITING] = "waiting",
    [STORE_HELD] = "held",
    [STORE_ACTIVE] = "active",
    [STORE_DONE] = "done",
};
static const char *const rcpt_names[] = {
    [STORE_PENDING] = "pending",
    [STORE_SENT] = "sent",
    [STORE_FAILED] = "failed",
};

const char *store_delivery_state_name(enum store_delivery_state s)
{
	return delivery_names[s];
}

const char *store_rcpt_state_name(enum store_rcpt_state s)
{
	return rcpt_names[s];
}

static int compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

enum store_status store_destination_by_id(struct store *s, int64_t id, struct arena *mem,
					  struct store_destination *out)
{
	bool row;
	sqlite3_stmt *st = sql_bind(s, SQL_DESTINATION_ROW, "i", id);
	enum store_status status = sql_step(s, st, &row);
	if (!row)
		return status;
	destination_row(st, mem, out);
	sql_end(st);
	return STORE_OK;
}

/* The busy ones are passed over here, by the index alone: they may be some thousands, and they come
 * first. Those that back off are not in the index yet. */
enum store_status store_ready(struct store *s, int64_t now, const int64_t *busy, size_t nbusy,
			      size_t max, struct arena *mem, struct store_destination *out,
			      size_t *n)
{
	enum store_status status = STORE_OK;
	bool row = true;
	*n = 0;
	int64_t *sorted = arena_array(mem, nbusy + 1, sizeof(*sorted));
	if (sorted == NULL)
		return arena_status(s, mem);
	for (size_t i = 0; i < nbusy; i++)
		sorted[i] = busy[i];
	qsort(sorted, nbusy, sizeof(*sorted), compare_ids);
	sqlite3_stmt *st = sql_bind(s, SQL_READY, "i", now);
	while (*n < max && status == STORE_OK) {
		status = sql_step(s, st, &row);
		if (!row)
			break;
		int64_t id = sqlite3_column_int64(st, 0);
		if (bsearch(&id, sorted, nbusy, sizeof(id), compare_ids) == NULL)
			status = store_destination_by_id(s, id, mem, &out[(*n)++]);
	}
	if (row)
		sql_end(st);
	return status == STORE_OK ? arena_status(s, mem) : status;
}

enum store_status store_next(struct store *s, struct store_next *out)
{
	*out = (struct store_next){INT64_MAX, INT64_MAX};
	enum store_status status = sql_value(s, s->statement[SQL_NEXT_READY], &out->ready);
	if (status == STORE_OK || status == STORE_NOT_FOUND)
		status = sql_value(s, s->statement[SQL_NEXT_ALARM], &out->alarm);
	return status == STORE_NOT_FOUND ? STORE_OK : status;
}

enum store_status store_alarms(struct store *s, int64_t now, size_t max, struct store_alarm *out,
			       size_t *n)
{
	sqlite3_stmt *st = sql_bind(s, SQL_ALARMS, "ii", now, (int64_t)max);
	*n = 0;
	for (;;) {
		bool row;
		enum store_status status = sql_step(s, st, &row);
		if (!row)
			return status;
		int64_t warn = sqlite3_column_int64(st, 2);
		out[(*n)++] = (struct store_alarm){
		    .delivery = sqlite3_column_int64(st, 0),
		    .expired = sqlite3_column_int64(st, 1) <= now,
		    .warn = warn != 0 && warn <= now,
		};
	}
}

/* A change of one row by its id; nothing changed: it is missing or in another state. */
static enum store_status change_one(struct store *s, sqlite3_stmt *st, int64_t delivery,
				    const char *what)
{
	int changed;
	enum store_delivery_state state;
	enum store_status status = sql_run(s, st, &changed);
	if (status != STORE_OK || changed > 0)
		return status;
	status = delivery_state(s, delivery, &state);
	if (status != STORE_OK)
		return status;
	return store_fail(s, STORE_STATE, "delivery %lld is %s: %s", (long long)delivery,
			  store_delivery_state_name(state), what);
}

enum store_status store_warned(struct store *s, int64_t delivery)
{
	enum store_status status = store_may_write(s);
	if (status != STORE_OK)
		return status;
	return change_one(s, sql_bind(s, SQL_WARNED, "i", delivery), delivery, "no warning");
}

enum store_status store_postpone(struct store *s, int64_t delivery, int64_t until)
{
	enum store_status status = store_may_write(s);
	if (status != STORE_OK)
		return status;
	return change_one(s, sql_bind(s, SQL_POSTPONE, "ii", delivery, until), delivery,
			  "it does not wait");
}

/* Drawn, not counted: a courier knows its own and must not be able to say another's. Never 0. */
static enum store_status draw_take(struct store *s, int64_t *out)
{
	int64_t n;
	if (getrandom(&n, sizeof n, 0) != (ssize_t)sizeof n)
		return store_fail(s, STORE_NO_MEMORY, "no random number");
	*out = (n & (INT64_MAX >> 1)) + 1;
	return STORE_OK;
}

enum store_status store_take(struct store *s, int64_t delivery, int64_t now, struct arena *mem,
			     struct store_delivery *out)
{
	int64_t take = 0;
	enum store_status status = store_may_write(s);
	if (status == STORE_OK)
		status = draw_take(s, &take);
	if (status == STORE_OK)
		status = load_delivery(s, delivery, true, mem, out);
	if (status == STORE_OK)
		status = change_one(s, sql_bind(s, SQL_TAKE, "iii", delivery, now, take), delivery,
				    "it cannot be taken");
	if (status != STORE_OK)
		return status;
	out->state = STORE_ACTIVE;
	out->attempts++;
	out->take = take;
	out->dot = false;
	out->last_attempt = now;
	return delivery_moved(s, out->destination, STORE_WAITING, STORE_ACTIVE);
}

enum store_status store_mark_dot(struct store *s, int64_t delivery)
{
	enum store_status status = store_may_write(s);
	if (status != STORE_OK)
		return status;
	return change_one(s, sql_bind(s, SQL_MARK_DOT, "i", delivery), delivery, "nobody sends it");
}
