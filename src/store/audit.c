/* SPDX-License-Identifier: MIT */
/*
 * Records and peers in the audit file.
 *
 * Knows rows. Refuses to know what a record says and how hashes are made.
 */
#include "store/audit_room.h"

#define BIND(a, id, ...) sql_bind_statement(&(a)->db, (a)->statement[AUDIT_SQL_##id], __VA_ARGS__)

/* --- transactions ----------------------------------------------------------------------------- */

enum store_status store_audit_begin(struct store_audit *a)
{
	if (a->db.health != STORE_OK)
		return a->db.health;
	if (a->db.txn != TXN_NONE)
		return store_fail(&a->db, STORE_MISUSE, "a transaction within a transaction");
	enum store_status status = sql_run(&a->db, a->statement[AUDIT_SQL_BEGIN], NULL);
	if (status == STORE_OK)
		a->db.txn = TXN_OPEN;
	return status;
}

enum store_status store_audit_hold(struct store_audit *a)
{
	return sql_run(&a->db, a->statement[AUDIT_SQL_HOLD], NULL);
}

/* Whatever fails undoes all: also a reader that does not let go in time. */
enum store_status store_audit_commit(struct store_audit *a)
{
	enum store_status status = store_may_write(&a->db);
	if (status == STORE_OK)
		status = sql_run(&a->db, a->statement[AUDIT_SQL_COMMIT], NULL);
	if (status != STORE_OK)
		store_audit_rollback(a);
	a->db.txn = TXN_NONE;
	return status;
}

void store_audit_rollback(struct store_audit *a)
{
	if (a->db.db != NULL)
		store_undo(&a->db); /* also what was only held */
	store_rollback(&a->db);
}

/* --- ends ------------------------------------------------------------------------------------- */

static enum store_status one_head(struct store_audit *a, sqlite3_stmt *st, struct audit_head *out)
{
	bool row;
	enum store_status status = sql_step(&a->db, st, &row);
	*out = (struct audit_head){0};
	if (status != STORE_OK || !row)
		return status;
	out->n = (uint64_t)sqlite3_column_int64(st, 0);
	sql_octets_column(st, 1, out->hash, sizeof(out->hash));
	sql_end(st);
	return STORE_OK;
}

enum store_status store_audit_ends(struct store_audit *a, struct audit_head *start,
				   struct audit_head *last)
{
	enum store_status status = one_head(a, a->statement[AUDIT_SQL_START], start);
	*last = *start;
	if (status == STORE_OK)
		status = one_head(a, a->statement[AUDIT_SQL_LAST], last);
	if (status == STORE_OK && last->n == 0)
		*last = *start;
	return status;
}

enum store_status store_audit_moved(struct store_audit *a, const uint8_t queue[STORE_QUEUE_MARK],
				    int64_t *moved)
{
	enum store_status status =
	    sql_value(&a->db, BIND(a, MOVED, "b", slice_make(queue, STORE_QUEUE_MARK)), moved);
	if (status != STORE_NOT_FOUND)
		return status;
	*moved = 0;
	return STORE_OK;
}

enum store_status store_audit_set_moved(struct store_audit *a,
					const uint8_t queue[STORE_QUEUE_MARK], int64_t moved)
{
	enum store_status status = store_may_write(&a->db);
	if (status != STORE_OK)
		return status;
	return sql_run(&a->db, BIND(a, SET_MOVED, "bi", slice_make(queue, STORE_QUEUE_MARK), moved),
		       NULL);
}

/* --- records ---------------------------------------------------------------------------------- */

enum store_status store_audit_append(struct store_audit *a, const struct audit_link *l)
{
	enum store_status status = store_may_write(&a->db);
	if (status != STORE_OK)
		return status;
	return sql_run(&a->db,
		       BIND(a, APPEND, "iibb", (int64_t)l->n, l->time,
			    slice_make(l->hash, AUDIT_DIGEST), l->body),
		       NULL);
}

enum store_status store_audit_set_start(struct store_audit *a, const struct audit_head *start)
{
	enum store_status status = store_may_write(&a->db);
	if (status != STORE_OK)
		return status;
	return sql_run(
	    &a->db,
	    BIND(a, SET_START, "ib", (int64_t)start->n, slice_make(start->hash, AUDIT_DIGEST)),
	    NULL);
}

enum store_status store_audit_size(struct store_audit *a, uint64_t *octets)
{
	int64_t n = 0;
	enum store_status status = sql_value(&a->db, a->statement[AUDIT_SQL_SIZE], &n);
	*octets = (uint64_t)n;
	return status;
}

enum store_status store_audit_forget(struct store_audit *a, size_t max, bool *more)
{
	int changed = 0;
	*more = false;
	enum store_status status = store_may_write(&a->db);
	if (status == STORE_OK)
		status = sql_run(&a->db, BIND(a, FORGET, "i", (int64_t)max), &changed);
	*more = status == STORE_OK && (size_t)changed == max;
	return status;
}

enum store_status store_audit_read(struct store_audit *a, uint64_t from, bool back, size_t max,
				   struct arena *mem, struct audit_link *out, size_t *n)
{
	int64_t at = from > INT64_MAX ? INT64_MAX : (int64_t)from;
	sqlite3_stmt *st = back ? BIND(a, READ_BACK, "ii", at, (int64_t)max)
				: BIND(a, READ, "ii", at, (int64_t)max);
	bool row;
	enum store_status status;
	*n = 0;
	while ((status = sql_step(&a->db, st, &row)) == STORE_OK && row) {
		struct audit_link *l = &out[(*n)++];
		l->n = (uint64_t)sqlite3_column_int64(st, 0);
		l->time = sqlite3_column_int64(st, 1);
		sql_octets_column(st, 2, l->hash, sizeof(l->hash));
		l->body = sql_blob_column(st, 3, mem);
	}
	return status == STORE_OK ? arena_status(&a->db, mem) : status;
}

/* --- peers ------------------------------------------------------------------------------------ */

static enum store_status put_peer(struct store_audit *a, enum audit_sql how,
				  const struct store_peer *p)
{
	enum store_status status = store_may_write(&a->db);
	if (status != STORE_OK)
		return status;
	return sql_run(
	    &a->db,
	    sql_bind_statement(&a->db, a->statement[how], "titbbiiiii", p->host, (int64_t)p->port,
			       p->key_type, slice_make(p->cert, AUDIT_DIGEST),
			       slice_make(p->key, AUDIT_DIGEST), (int64_t)p->authority,
			       (int64_t)p->continuity, (int64_t)p->record, p->first, p->last),
	    NULL);
}

enum store_status store_audit_peer(struct store_audit *a, const struct store_peer *p)
{
	return put_peer(a, AUDIT_SQL_PEER, p);
}

enum store_status store_audit_peer_carried(struct store_audit *a, const struct store_peer *p)
{
	return put_peer(a, AUDIT_SQL_CARRY_PEER, p);
}

enum store_status store_audit_forget_unauthorised(struct store_audit *a, int64_t before)
{
	enum store_status status = store_may_write(&a->db);
	if (status != STORE_OK)
		return status;
	return sql_run(&a->db, BIND(a, FORGET_UNAUTHORISED, "i", before), NULL);
}

enum store_status store_audit_count_peers(struct store_audit *a, uint64_t *out)
{
	int64_t n = 0;
	enum store_status status = sql_value(&a->db, a->statement[AUDIT_SQL_COUNT_PEERS], &n);
	*out = (uint64_t)n;
	return status;
}

enum store_status store_audit_nth_unauthorised(struct store_audit *a, size_t n, int64_t *last)
{
	return sql_value(&a->db, BIND(a, NTH_UNAUTHORISED, "i", (int64_t)n), last);
}

enum store_status store_audit_forget_peers(struct store_audit *a, int64_t before)
{
	enum store_status status = store_may_write(&a->db);
	if (status != STORE_OK)
		return status;
	return sql_run(&a->db, BIND(a, FORGET_PEERS, "i", before), NULL);
}

static void peer_row(sqlite3_stmt *st, struct arena *mem, struct store_peer *p)
{
	int64_t authority = sqlite3_column_int64(st, 5), continuity = sqlite3_column_int64(st, 6);
	*p = (struct store_peer){.host = sql_text_column(st, 0, mem),
				 .port = (uint16_t)sqlite3_column_int64(st, 1),
				 .key_type = sql_text_column(st, 2, mem),
				 .record = (uint64_t)sqlite3_column_int64(st, 7),
				 .first = sqlite3_column_int64(st, 8),
				 .last = sqlite3_column_int64(st, 9)};
	if (authority > 0 && authority < AUTHORITY_COUNT)
		p->authority = (enum audit_authority)authority;
	if (continuity > 0 && continuity < CONTINUITY_COUNT)
		p->continuity = (enum continuity)continuity;
	sql_octets_column(st, 3, p->cert, sizeof(p->cert));
	sql_octets_column(st, 4, p->key, sizeof(p->key));
}

/* Ends the statement. */
static enum store_status read_peers(struct store_audit *a, sqlite3_stmt *st, struct arena *mem,
				    struct store_peer *out, size_t *n)
{
	bool row;
	enum store_status status;
	*n = 0;
	while ((status = sql_step(&a->db, st, &row)) == STORE_OK && row)
		peer_row(st, mem, &out[(*n)++]);
	return status == STORE_OK ? arena_status(&a->db, mem) : status;
}

enum store_status store_audit_peers_of_old(struct store_audit *a, uint64_t upto, int64_t since,
					   size_t max, struct arena *mem, struct store_peer *out,
					   size_t *n)
{
	return read_peers(a, BIND(a, PEERS_OF_OLD, "iii", (int64_t)upto, since, (int64_t)max), mem,
			  out, n);
}

static struct slice text_at(sqlite3_stmt *st, int column)
{
	const void *p = sqlite3_column_text(st, column);
	return slice_make(p, p != NULL ? (size_t)sqlite3_column_bytes(st, column) : 0);
}

enum store_status store_audit_same_peers(struct store_audit *a, struct store_audit *b, bool *same,
					 int64_t *record)
{
	sqlite3_stmt *x = a->statement[AUDIT_SQL_PEER_LINES],
		     *y = b->statement[AUDIT_SQL_PEER_LINES];
	bool more = true, other = true;
	enum store_status status = STORE_OK;
	*same = true;
	while (status == STORE_OK && more && *same) {
		status = sql_step(&a->db, x, &more);
		if (status == STORE_OK)
			status = sql_step(&b->db, y, &other);
		if (status != STORE_OK || (!more && !other))
			break;
		bool named = more && other && slice_eq(text_at(x, 1), text_at(y, 1));
		*same = named && slice_eq(text_at(x, 2), text_at(y, 2));
		*record = sqlite3_column_int64(more && !named ? x : y, 0);
	}
	sql_end(x);
	sql_end(y);
	return status;
}

enum store_status store_audit_known(struct store_audit *a, const char *host, uint16_t port,
				    const char *key_type, size_t max, struct arena *mem,
				    struct store_peer *out, size_t *n)
{
	return read_peers(a, BIND(a, KNOWN, "titi", host, (int64_t)port, key_type, (int64_t)max),
			  mem, out, n);
}

enum store_status store_audit_peers(struct store_audit *a, const struct store_peer *after,
				    size_t max, struct arena *mem, struct store_peer *out,
				    size_t *n)
{
	static const struct store_peer first = {.host = "", .key_type = ""};
	const struct store_peer *p = after ? after : &first;
	sqlite3_stmt *st = BIND(a, PEERS, "titbi", p->host, (int64_t)p->port, p->key_type,
				slice_make(p->cert, AUDIT_DIGEST), (int64_t)max);
	return read_peers(a, st, mem, out, n);
}
