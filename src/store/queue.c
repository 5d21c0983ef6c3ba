/* SPDX-License-Identifier: MIT */
/*
 * Looking at the queue: rows to structs, pages of a list, one delivery, its tries.
 *
 * Knows which filter has an index and which is done by looking. Refuses to change anything.
 */
#include "store/room.h"

/* --- rows ------------------------------------------------------------------------------------ */

static void envelope_row(sqlite3_stmt *st, struct arena *mem, struct store_envelope *out)
{
	*out = (struct store_envelope){
	    .queue_id = sql_text_column(st, 4, mem),
	    .arrived = sqlite3_column_int64(st, 5),
	    .expires = sqlite3_column_int64(st, 6),
	    .reverse_path = sql_text_column(st, 7, mem),
	    .envid = sql_text_column(st, 8, mem),
	    .ret = sql_text_column(st, 9, mem),
	    .origin = sql_text_column(st, 10, mem),
	    .size = (uint64_t)sqlite3_column_int64(st, 11),
	    .eight_bit = sqlite3_column_int(st, 12) != 0,
	    .smtputf8 = sqlite3_column_int(st, 13) != 0,
	};
}

/* Columns as in DELIVERY_COLUMNS. */
void delivery_row(sqlite3_stmt *st, struct arena *mem, struct store_delivery *out)
{
	*out = (struct store_delivery){
	    .id = sqlite3_column_int64(st, 0),
	    .message = sqlite3_column_int64(st, 1),
	    .destination = sqlite3_column_int64(st, 2),
	    .next_hop = sql_text_column(st, 3, mem),
	    .state = (enum store_delivery_state)sqlite3_column_int(st, 14),
	    .due = sqlite3_column_int64(st, 15),
	    .expires = sqlite3_column_int64(st, 16),
	    .warn = sqlite3_column_int64(st, 17),
	    .attempts = (uint32_t)sqlite3_column_int64(st, 18),
	    .pending = (uint32_t)sqlite3_column_int64(st, 19),
	    .last_attempt = sqlite3_column_int64(st, 20),
	    .in_doubt = sqlite3_column_int(st, 21) != 0,
	    .reason = sql_text_column(st, 22, mem),
	    .code = sql_text_column(st, 23, mem),
	    .detail = sql_text_column(st, 24, mem),
	    .host = sql_text_column(st, 25, mem),
	    .take = sqlite3_column_int64(st, 27),
	    .dot = sqlite3_column_int(st, 28) != 0,
	};
	envelope_row(st, mem, &out->envelope);
	out->envelope.sender = (uint64_t)sqlite3_column_int64(st, 26);
}

static void rcpt_row(sqlite3_stmt *st, struct arena *mem, struct store_rcpt *out)
{
	*out = (struct store_rcpt){
	    .n = (uint32_t)sqlite3_column_int64(st, 0),
	    .address = sql_text_column(st, 1, mem),
	    .orcpt = sql_text_column(st, 2, mem),
	    .notify = sql_text_column(st, 3, mem),
	    .state = (enum store_rcpt_state)sqlite3_column_int(st, 4),
	    .reason = sql_text_column(st, 5, mem),
	    .code = sql_text_column(st, 6, mem),
	    .reply = sql_text_column(st, 7, mem),
	    .host = sql_text_column(st, 8, mem),
	};
}

/* --- one delivery ---------------------------------------------------------------------------- */

enum store_status delivery_statement(struct store *s, enum sql id, int64_t delivery,
				     sqlite3_stmt **st)
{
	bool row;
	*st = sql_bind(s, id, "i", delivery);
	enum store_status status = sql_step(s, *st, &row);
	if (status == STORE_OK && !row)
		return store_fail(s, STORE_NOT_FOUND, "no delivery %lld", (long long)delivery);
	return status;
}

enum store_status delivery_state(struct store *s, int64_t delivery, enum store_delivery_state *out)
{
	sqlite3_stmt *st;
	enum store_status status = delivery_statement(s, SQL_STATE, delivery, &st);
	if (status != STORE_OK)
		return status;
	*out = (enum store_delivery_state)sqlite3_column_int(st, 0);
	sql_end(st);
	return STORE_OK;
}

static enum store_status load_rcpts(struct store *s, bool pending_only, struct arena *mem,
				    struct store_delivery *out)
{
	struct store_rcpt *rcpt = NULL;
	size_t cap = 0;
	sqlite3_stmt *st = sql_bind(s, SQL_RCPTS, "i", out->id);
	for (;;) {
		bool row;
		enum store_status status = sql_step(s, st, &row);
		if (!row) {
			out->rcpt = rcpt;
			return status == STORE_OK ? arena_status(s, mem) : status;
		}
		if (pending_only && sqlite3_column_int(st, 4) != STORE_PENDING)
			continue;
		if (out->nrcpt == cap) {
			cap = cap ? cap * 2 : pending_only ? out->pending : 16;
			struct store_rcpt *bigger = arena_array(mem, cap, sizeof *bigger);
			if (!bigger) {
				sql_end(st);
				return arena_status(s, mem);
			}
			if (out->nrcpt > 0)
				memcpy(bigger, rcpt, out->nrcpt * sizeof *rcpt);
			rcpt = bigger;
		}
		rcpt_row(st, mem, &rcpt[out->nrcpt++]);
	}
}

enum store_status load_delivery(struct store *s, int64_t delivery, bool pending_only,
				struct arena *mem, struct store_delivery *out)
{
	sqlite3_stmt *st;
	enum store_status status = delivery_statement(s, SQL_DELIVERY, delivery, &st);
	if (status != STORE_OK)
		return status;
	delivery_row(st, mem, out);
	sql_end(st);
	return load_rcpts(s, pending_only, mem, out);
}

enum store_status store_active(struct store *s, int64_t delivery, struct arena *mem,
			       struct store_delivery *out)
{
	enum store_status status = load_delivery(s, delivery, true, mem, out);
	if (status == STORE_OK && out->state != STORE_ACTIVE)
		return store_fail(s, STORE_STATE, "delivery %lld is %s: nobody carries it",
				  (long long)delivery, store_delivery_state_name(out->state));
	return status;
}

enum store_status store_show(struct store *s, int64_t delivery, struct arena *mem,
			     struct store_delivery *out)
{
	return load_delivery(s, delivery, false, mem, out);
}

enum store_status store_tries(struct store *s, int64_t delivery, struct arena *mem,
			      struct store_try *out, size_t *n)
{
	sqlite3_stmt *st = sql_bind(s, SQL_TRIES, "i", delivery);
	*n = 0;
	while (*n < STORE_TRIES_MAX) {
		bool row;
		enum store_status status = sql_step(s, st, &row);
		if (!row)
			return status == STORE_OK ? arena_status(s, mem) : status;
		out[(*n)++] = (struct store_try){
		    .at = sqlite3_column_int64(st, 0),
		    .host = sql_text_column(st, 1, mem),
		    .address = sql_text_column(st, 2, mem),
		    .policy = sql_text_column(st, 3, mem),
		    .reason = sql_text_column(st, 4, mem),
		    .code = sql_text_column(st, 5, mem),
		    .detail = sql_text_column(st, 6, mem),
		    .tls = sql_text_column(st, 7, mem),
		    .continuity = sql_text_column(st, 8, mem),
		};
	}
	sql_end(st);
	return arena_status(s, mem);
}

/* --- lists ----------------------------------------------------------------------------------- */

/* The narrowest way in. */
static sqlite3_stmt *list_statement(struct store *s, const struct store_filter *f, int64_t after)
{
	if (f->queue_id)
		return sql_bind(s, SQL_LIST_MESSAGE, "it", after, f->queue_id);
	if (f->by_state && f->state == STORE_HELD)
		return sql_bind(s, SQL_LIST_HELD, "i", after);
	if (f->by_state && f->state == STORE_ACTIVE)
		return sql_bind(s, SQL_LIST_ACTIVE, "i", after);
	if (f->next_hop)
		return sql_bind(s, SQL_LIST_DESTINATION, "it", after, f->next_hop);
	return sql_bind(s, SQL_LIST, "i", after);
}

static struct slice column(sqlite3_stmt *st, int i, bool *lost)
{
	const void *p = sqlite3_column_text(st, i);
	*lost = *lost || sql_column_lost(st, i, p);
	return slice_make(p, (size_t)sqlite3_column_bytes(st, i));
}

static enum store_status passes(struct store *s, sqlite3_stmt *st, const struct store_filter *f,
				bool *yes)
{
	bool lost = false;
	*yes = (!f->next_hop || slice_eq_str(column(st, 3, &lost), f->next_hop)) &&
	       (!f->sender || slice_eq_nocase_str(column(st, 7, &lost), f->sender)) &&
	       (!f->by_state || sqlite3_column_int(st, 14) == (int)f->state) &&
	       (f->arrived_before == 0 || sqlite3_column_int64(st, 5) < f->arrived_before);
	if (lost)
		return store_fail(s, STORE_NO_MEMORY, "out of memory");
	if (!*yes || !f->recipient)
		return STORE_OK;
	int64_t one = 0;
	enum store_status status = sql_value(
	    s, sql_bind(s, SQL_HAS_RCPT, "it", sqlite3_column_int64(st, 0), f->recipient), &one);
	*yes = status == STORE_OK;
	return status == STORE_NOT_FOUND ? STORE_OK : status;
}

enum store_status store_list(struct store *s, const struct store_filter *f, int64_t after,
			     size_t max, struct arena *mem, struct store_delivery *out, size_t *n,
			     int64_t *next)
{
	sqlite3_stmt *st = list_statement(s, f, after);
	*n = 0;
	*next = 0;
	if (max > STORE_PAGE_MAX)
		max = STORE_PAGE_MAX;
	enum store_status status = STORE_OK;
	for (int looked = 0; *n < max && looked < STORE_SCAN_MAX && status == STORE_OK; looked++) {
		bool row, yes;
		status = sql_step(s, st, &row);
		if (!row) {
			*next = 0;
			return status == STORE_OK ? arena_status(s, mem) : status;
		}
		*next = sqlite3_column_int64(st, 0);
		status = passes(s, st, f, &yes);
		if (status == STORE_OK && yes)
			delivery_row(st, mem, &out[(*n)++]);
	}
	sql_end(st);
	return status == STORE_OK ? arena_status(s, mem) : status;
}
