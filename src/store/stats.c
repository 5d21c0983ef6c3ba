/* SPDX-License-Identifier: MIT */
/*
 * Numbers: totals for metrics, counts by destination and by reason.
 *
 * Knows the counters. Refuses to count rows, but for those in doubt, which are few.
 */
#include "store/room.h"

enum store_status store_totals(struct store *s, struct store_totals *out)
{
	int64_t pages = 0, unused = 0, doubts = 0;
	const struct counters *c = &s->now;
	*out = (struct store_totals){
	    .messages = (uint64_t)c->messages,
	    .bytes = (uint64_t)c->bytes,
	    .recipients = (uint64_t)c->recipients,
	    .waiting = (uint64_t)c->of_state[STORE_WAITING],
	    .held = (uint64_t)c->of_state[STORE_HELD],
	    .active = (uint64_t)c->of_state[STORE_ACTIVE],
	};
	enum store_status status = sql_value(s, s->statement[SQL_IN_DOUBT], &doubts);
	if (status == STORE_OK)
		status = sql_value(s, s->statement[SQL_ALL_PAGES], &pages);
	if (status == STORE_OK)
		status = sql_value(s, s->statement[SQL_FREE_PAGES], &unused);
	if (status != STORE_OK)
		return status;
	out->in_doubt = (uint64_t)doubts;
	out->file_bytes = (uint64_t)pages * PAGE_BYTES;
	out->free_bytes = (uint64_t)unused * PAGE_BYTES;
	status = sql_value(s, s->statement[SQL_OLDEST], &out->oldest);
	return status == STORE_NOT_FOUND ? STORE_OK : status;
}

/* Idle destinations count as looked at, so that a page is bounded whatever is in the table. */
enum store_status store_stats_destinations(struct store *s, int64_t after, size_t max,
					   struct arena *mem, struct store_destination *out,
					   size_t *n, int64_t *next)
{
	sqlite3_stmt *st = sql_bind(s, SQL_DESTINATIONS, "i", after);
	*n = 0;
	*next = 0;
	if (max > STORE_PAGE_MAX)
		max = STORE_PAGE_MAX;
	for (int looked = 0; *n < max && looked < STORE_SCAN_MAX; looked++) {
		bool row;
		enum store_status status = sql_step(s, st, &row);
		if (!row) {
			*next = 0;
			return status == STORE_OK ? arena_status(s, mem) : status;
		}
		struct store_destination *d = &out[*n];
		*next = sqlite3_column_int64(st, 0);
		if (sqlite3_column_int64(st, 2) + sqlite3_column_int64(st, 3) +
			sqlite3_column_int64(st, 4) ==
		    0)
			continue;
		destination_row(st, mem, d);
		d->oldest = sqlite3_column_int64(st, 12);
		(*n)++;
	}
	sql_end(st);
	return arena_status(s, mem);
}

enum store_status store_stats_reasons(struct store *s, size_t max, struct arena *mem,
				      struct store_reason_count *out, size_t *n)
{
	sqlite3_stmt *st = s->statement[SQL_REASONS];
	*n = 0;
	while (*n < max) {
		bool row;
		enum store_status status = sql_step(s, st, &row);
		if (!row)
			return status == STORE_OK ? arena_status(s, mem) : status;
		if (sqlite3_column_int64(st, 1) == 0)
			continue;
		out[(*n)++] = (struct store_reason_count){
		    .reason = sql_text_column(st, 0, mem),
		    .deliveries = (uint64_t)sqlite3_column_int64(st, 1),
		    .oldest = sqlite3_column_int64(st, 2),
		};
	}
	sql_end(st);
	return arena_status(s, mem);
}
