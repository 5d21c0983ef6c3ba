/* SPDX-License-Identifier: MIT */
/*
 * The counters beside the rows: of the queue as a whole, of each destination, of each reason.
 *
 * Knows what a step of a delivery changes in them, and writes the totals once a commit. Refuses to
 * know why the step was made. Whoever changes a state calls here, in the same transaction; the
 * tests count the rows again.
 */
#include "store/room.h"

enum store_status counters_load(struct store *s)
{
	sqlite3_stmt *st = s->statement[SQL_TOTALS];
	bool row;
	enum store_status status = sql_step(s, st, &row);
	if (!row)
		return status == STORE_OK ? store_fail(s, STORE_CORRUPT, "no totals") : status;
	s->now = (struct counters){
	    .messages = sqlite3_column_int64(st, 0),
	    .bytes = sqlite3_column_int64(st, 1),
	    .recipients = sqlite3_column_int64(st, 2),
	    .of_state = {sqlite3_column_int64(st, 3), sqlite3_column_int64(st, 4),
			 sqlite3_column_int64(st, 5)},
	    .last_message = sqlite3_column_int64(st, 6),
	    .last_delivery = sqlite3_column_int64(st, 7),
	};
	sql_end(st);
	s->committed = s->now;
	return STORE_OK;
}

enum store_status counters_save(struct store *s)
{
	const struct counters *c = &s->now;
	if (memcmp(c, &s->committed, sizeof *c) == 0)
		return STORE_OK;
	return sql_run(s,
		       sql_bind(s, SQL_SET_TOTALS, "iiiiiiii", c->messages, c->bytes, c->recipients,
				c->of_state[STORE_WAITING], c->of_state[STORE_HELD],
				c->of_state[STORE_ACTIVE], c->last_message, c->last_delivery),
		       NULL);
}

enum store_status delivery_added(struct store *s, int64_t destination, int64_t due, int64_t now)
{
	s->now.of_state[STORE_WAITING]++;
	return sql_run(s, sql_bind(s, SQL_DESTINATION_ADDED, "iii", destination, due, now), NULL);
}

static int64_t change(enum store_delivery_state which, enum store_delivery_state from,
		      enum store_delivery_state to)
{
	return (int64_t)(to == which) - (int64_t)(from == which);
}

enum store_status delivery_moved(struct store *s, int64_t destination,
				 enum store_delivery_state from, enum store_delivery_state to)
{
	int64_t by[STORE_DONE];
	for (int i = 0; i < STORE_DONE; i++) {
		by[i] = change((enum store_delivery_state)i, from, to);
		s->now.of_state[i] += by[i];
	}
	if (from == STORE_ACTIVE && to == STORE_DONE) /* nothing that waits has changed */
		return sql_run(s, sql_bind(s, SQL_DESTINATION_ENDED, "i", destination), NULL);
	return sql_run(s,
		       sql_bind(s, SQL_DESTINATION_MOVED, "iiii", destination, by[STORE_WAITING],
				by[STORE_HELD], by[STORE_ACTIVE]),
		       NULL);
}

enum store_status delivery_stuck(struct store *s, const char *from, const char *to)
{
	enum store_status status = STORE_OK;
	if (from == to || (from && to && strcmp(from, to) == 0))
		return STORE_OK;
	if (from)
		status = sql_run(s, sql_bind(s, SQL_LESS_OF_REASON, "t", from), NULL);
	if (status == STORE_OK && to)
		status = sql_run(s, sql_bind(s, SQL_MORE_OF_REASON, "t", to), NULL);
	return status;
}
