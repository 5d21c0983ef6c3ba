/* SPDX-License-Identifier: MIT */
/*
 * What is due at one destination, fair between senders.
 *
 * Knows that a hundred thousand of one sender must not hide the one message of another. Refuses to
 * look at all of them: the work is bounded by the constants below.
 */
#include "store/room.h"

#include "wire/origin.h"

enum {
	DUE_LOOKS = 2,        /* times as many as are wanted are looked at in the order of time */
	DUE_SENDERS_MAX = 64, /* senders visited besides, whatever they have */
	DUE_MAX = STORE_PAGE_MAX,
	PATHS = (1 << ORIGIN_PATH_BITS) - 1,
};

/* The golden ratio's steps leave no gap in a circle for long. */
#define STEP 0x9e3779b97f4a7c15u

struct due_row {
	int64_t id, sender;
};

struct due_list {
	struct due_row row[DUE_MAX];
	size_t n, max, per_sender;
	bool left_out; /* something due is not in the list */
};

/* The rows are not touched: clearing them would cost more than the usual few. */
static void start_list(struct due_list *l, size_t max, size_t per_sender)
{
	l->n = 0;
	l->max = max;
	l->per_sender = per_sender;
	l->left_out = false;
}

static size_t count_of(const struct due_list *l, int64_t sender)
{
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++)
		n += l->row[i].sender == sender;
	return n;
}

static bool has(const struct due_list *l, int64_t id)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->row[i].id == id)
			return true;
	}
	return false;
}

static void take(struct due_list *l, int64_t id, int64_t sender)
{
	if (l->n < l->max && count_of(l, sender) < l->per_sender)
		l->row[l->n++] = (struct due_row){id, sender};
	else
		l->left_out = true;
}

/* The longest due first. */
static enum store_status by_time(struct store *s, int64_t destination, int64_t now,
				 struct due_list *l)
{
	int64_t looks = DUE_LOOKS * (int64_t)l->max;
	sqlite3_stmt *st = sql_bind(s, SQL_DUE, "iii", destination, now, looks);
	for (int64_t looked = 0;; looked++) {
		bool row;
		enum store_status status = sql_step(s, st, &row);
		if (!row) {
			l->left_out = l->left_out || looked == looks;
			return status;
		}
		take(l, sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1));
		if (l->n == l->max && l->left_out) {
			sql_end(st);
			return STORE_OK;
		}
	}
}

/* The next sender behind `after` that has something waiting; NOT_FOUND: none. */
static enum store_status next_sender(struct store *s, int64_t destination, int64_t after,
				     int64_t *sender)
{
	return sql_value(s, sql_bind(s, SQL_NEXT_SENDER, "ii", destination, after), sender);
}

/* The highest number that a sender of the same origin can have. */
static int64_t last_of_origin(int64_t sender)
{
	return (int64_t)((uint64_t)sender | PATHS);
}

static enum store_status due_of_sender(struct store *s, int64_t destination, int64_t sender,
				       int64_t now, const struct due_list *known,
				       struct due_list *out)
{
	sqlite3_stmt *st = sql_bind(s, SQL_SENDER_DUE, "iiii", destination, sender, now,
				    (int64_t)known->per_sender);
	size_t there = count_of(known, sender) + count_of(out, sender);
	for (;;) {
		bool row;
		enum store_status status = sql_step(s, st, &row);
		if (!row)
			return status;
		int64_t id = sqlite3_column_int64(st, 0);
		if (!has(known, id) && !has(out, id) && there < known->per_sender &&
		    out->n < out->max) {
			out->row[out->n++] = (struct due_row){id, sender};
			there++;
		}
	}
}

/* Of an origin, whose first sender is `first`: the senders from one by chance on, until one has
 * something that is not known yet. */
static enum store_status visit_origin(struct store *s, int64_t destination, int64_t first,
				      int64_t now, const struct due_list *known,
				      struct due_list *out, int *visits)
{
	int64_t end = last_of_origin(first), start = end - (int64_t)(++s->due_turn * STEP & PATHS);
	int64_t sender = start;
	size_t before = out->n;
	for (bool wrapped = false; *visits > 0 && out->n == before && out->n < out->max;) {
		enum store_status status = next_sender(s, destination, sender, &sender);
		bool outside = status == STORE_NOT_FOUND || last_of_origin(sender) != end;
		if ((outside && wrapped) || (status != STORE_OK && status != STORE_NOT_FOUND))
			return outside ? STORE_OK : status;
		if (outside)
			sender = first;
		wrapped = wrapped || outside;
		--*visits;
		status = due_of_sender(s, destination, sender, now, known, out);
		if (status != STORE_OK || (wrapped && sender > start))
			return status;
	}
	return STORE_OK;
}

/* Once around: something of each origin. */
static enum store_status lap(struct store *s, int64_t destination, int64_t now,
			     const struct due_list *known, struct due_list *out, int *visits)
{
	int64_t start = (int64_t)(++s->due_turn * STEP), first = start;
	bool wrapped = false;
	while (*visits > 0 && out->n < out->max) {
		enum store_status status = next_sender(s, destination, first, &first);
		if (status == STORE_NOT_FOUND && !wrapped) {
			wrapped = true;
			first = INT64_MIN;
			continue;
		}
		if (status == STORE_NOT_FOUND || (wrapped && first > start))
			return STORE_OK; /* all around */
		if (status == STORE_OK)
			status = visit_origin(s, destination, first, now, known, out, visits);
		if (status != STORE_OK)
			return status;
		first = last_of_origin(first);
	}
	return STORE_OK;
}

/*
 * Origin by origin, from another place in their circle each time, so that everybody comes up
 * however many there are, and however many reverse-paths one of them names. As long as a lap finds
 * something.
 */
static enum store_status by_sender(struct store *s, int64_t destination, int64_t now,
				   const struct due_list *known, struct due_list *out)
{
	enum store_status status = STORE_OK;
	int visits = DUE_SENDERS_MAX;
	for (size_t before = SIZE_MAX; status == STORE_OK && out->n != before;) {
		before = out->n;
		status = lap(s, destination, now, known, out, &visits);
	}
	return status;
}

int64_t store_last_delivery(const struct store *s)
{
	return s->now.last_delivery;
}

enum store_status store_brief(struct store *s, int64_t delivery, struct store_brief *out)
{
	sqlite3_stmt *st;
	enum store_status status = delivery_statement(s, SQL_BRIEF, delivery, &st);
	if (status != STORE_OK)
		return status;
	*out = (struct store_brief){.id = delivery,
				    .message = sqlite3_column_int64(st, 1),
				    .destination = sqlite3_column_int64(st, 2),
				    .sender = (uint64_t)sqlite3_column_int64(st, 3),
				    .attempts = (uint32_t)sqlite3_column_int64(st, 5),
				    .expires = sqlite3_column_int64(st, 6),
				    .size = (uint64_t)sqlite3_column_int64(st, 7)};
	sql_end(st);
	return STORE_OK;
}

enum store_status store_due(struct store *s, int64_t destination, int64_t now, size_t max,
			    size_t per_sender, int64_t *delivery, size_t *n, bool *more)
{
	struct due_list l, others;
	start_list(&l, max < DUE_MAX ? max : DUE_MAX, per_sender > 0 ? per_sender : DUE_MAX);
	start_list(&others, l.max / 2, 0);
	*n = 0;
	enum store_status status = by_time(s, destination, now, &l);
	if (status == STORE_OK && l.left_out)
		status = by_sender(s, destination, now, &l, &others);
	if (status != STORE_OK)
		return status;
	if (l.n > l.max - others.n)
		l.n = l.max - others.n;
	for (size_t i = 0; i < l.n; i++)
		delivery[(*n)++] = l.row[i].id;
	for (size_t i = 0; i < others.n; i++)
		delivery[(*n)++] = others.row[i].id;
	*more = l.left_out;
	return STORE_OK;
}
