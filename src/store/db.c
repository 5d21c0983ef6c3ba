/* SPDX-License-Identifier: MIT */
/*
 * Statements and errors.
 *
 * Knows SQLite's result codes and what each means for the store: what is final, what undoes the
 * transaction, what concerns one call. Refuses to know what the statements are for.
 */
#include "store/room.h"

#include <errno.h>
#include <stdarg.h>

static const char *const texts[] = {
#define STATEMENT(id, text) [SQL_##id] = (text),
#include "store/statements.tbl"
#undef STATEMENT
};

const char *sql_text(enum sql id)
{
	return texts[id];
}

/* --- the library ----------------------------------------------------------------------------- */

/* No process of ours has two threads that use SQLite: it needs no locks (6 % of the instructions of
 * a message) and no counters at each allocation. Where somebody else has started it already, this
 * is refused, and nothing else changes. */
void store_set_up_sqlite(void)
{
	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* --- errors ---------------------------------------------------------------------------------- */

enum store_status store_fail(struct store *s, enum store_status status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(s->error, sizeof s->error, fmt, ap);
	va_end(ap);
	return status;
}

static enum store_status status_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return STORE_OK;
	case SQLITE_FULL:
		return STORE_FULL;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return STORE_BUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return STORE_CORRUPT;
	case SQLITE_NOMEM:
		return STORE_NO_MEMORY;
	case SQLITE_TOOBIG:
		return STORE_LIMIT;
	case SQLITE_CONSTRAINT:
		return rc == SQLITE_CONSTRAINT_UNIQUE ? STORE_EXISTS : STORE_STATE;
	default:
		/* Also READONLY, CANTOPEN, PERM, PROTOCOL, INTERNAL: nothing to build on. */
		return rc == SQLITE_IOERR_NOMEM ? STORE_NO_MEMORY : STORE_IO;
	}
}

static bool is_final(enum store_status status)
{
	return status == STORE_IO || status == STORE_CORRUPT;
}

/* Some constraints undo their own statement only. Others have undone the transaction (schema.sql),
 * and every other failure may have, so that all of it must go. */
static bool dooms(const struct store *s, enum store_status status)
{
	if (s->txn == TXN_OPEN && sqlite3_get_autocommit(s->db))
		return true;
	return status != STORE_OK && status != STORE_EXISTS && status != STORE_STATE &&
	       status != STORE_LIMIT;
}

/* With a statement that is there already: without memory none could be made, and the transaction
 * would stay open. */
void store_undo(struct store *s)
{
	sqlite3_stmt *st = s->statement[SQL_ROLLBACK];
	if (sqlite3_get_autocommit(s->db))
		return;
	if (st == NULL) { /* while it opens, and the audit file */
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		return;
	}
	sqlite3_step(st);
	sqlite3_reset(st);
}

static void doom(struct store *s, enum store_status status)
{
	if (s->txn != TXN_OPEN)
		return;
	s->txn = TXN_DOOMED;
	s->doom = status;
	s->now = s->committed;
	store_undo(s);
}

enum store_status store_fail_sql(struct store *s, int rc, const char *what)
{
	enum store_status status = status_of(rc);
	if (status == STORE_OK)
		return STORE_OK;
	int os = sqlite3_system_errno(s->db);
	/* A quota is a full disk; SQLite knows only the other one. A failed sync stays final. */
	if (rc == SQLITE_IOERR_WRITE && os == EDQUOT)
		status = STORE_FULL;
	store_fail(s, status, "%s: %s%s%s", what, sqlite3_errmsg(s->db),
		   is_final(status) && os ? ": " : "", is_final(status) && os ? strerror(os) : "");
	if (is_final(status) && s->health == STORE_OK)
		s->health = status;
	if (dooms(s, status))
		doom(s, status);
	return status;
}

enum store_status store_may_write(struct store *s)
{
	if (s->health != STORE_OK)
		return s->health; /* the words of what happened stay */
	if (s->txn == TXN_NONE)
		return store_fail(s, STORE_MISUSE, "a change outside a transaction");
	return s->txn == TXN_DOOMED ? s->doom : STORE_OK;
}

const char *store_error(const struct store *s)
{
	return s->error;
}

enum store_status store_health(const struct store *s)
{
	return s->health;
}

const char *store_status_name(enum store_status s)
{
	static const char *const names[] = {
	    [STORE_OK] = "ok",
	    [STORE_FULL] = "full",
	    [STORE_IO] = "io",
	    [STORE_BUSY] = "busy",
	    [STORE_CORRUPT] = "corrupt",
	    [STORE_NEWER] = "newer",
	    [STORE_UNSAFE] = "unsafe",
	    [STORE_EXISTS] = "exists",
	    [STORE_NOT_FOUND] = "not-found",
	    [STORE_STATE] = "state",
	    [STORE_LIMIT] = "limit",
	    [STORE_SOURCE] = "source",
	    [STORE_NO_MEMORY] = "no-memory",
	    [STORE_DAMAGED] = "damaged",
	    [STORE_MISUSE] = "misuse",
	};
	return names[s];
}

/* --- statements ------------------------------------------------------------------------------ */

static int bind_text(sqlite3_stmt *st, int i, const char *text)
{
	return text ? sqlite3_bind_text(st, i, text, -1, SQLITE_STATIC) : sqlite3_bind_null(st, i);
}

static int bind_blob(sqlite3_stmt *st, int i, struct slice b)
{
	return sqlite3_bind_blob64(st, i, b.p ? b.p : (const uint8_t *)"", b.n, SQLITE_STATIC);
}

static sqlite3_stmt *bind_all(struct store *s, sqlite3_stmt *st, const char *types, va_list ap)
{
	int rc = SQLITE_OK;
	for (int i = 1; types[i - 1] && rc == SQLITE_OK; i++) {
		if (types[i - 1] == 'i')
			rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
		else if (types[i - 1] == 't')
			rc = bind_text(st, i, va_arg(ap, const char *));
		else
			rc = bind_blob(st, i, va_arg(ap, struct slice));
	}
	if (rc == SQLITE_OK)
		return st;
	store_fail_sql(s, rc, "bind");
	sql_end(st);
	return NULL;
}

sqlite3_stmt *sql_bind_statement(struct store *s, sqlite3_stmt *st, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	st = bind_all(s, st, types, ap);
	va_end(ap);
	return st;
}

sqlite3_stmt *sql_bind(struct store *s, enum sql id, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	sqlite3_stmt *st = bind_all(s, s->statement[id], types, ap);
	va_end(ap);
	return st;
}

void sql_end(sqlite3_stmt *st)
{
	if (!st)
		return;
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
}

enum store_status sql_step(struct store *s, sqlite3_stmt *st, bool *row)
{
	*row = false;
	if (!st)
		return s->txn == TXN_DOOMED ? s->doom : STORE_NO_MEMORY;
	int rc = sqlite3_step(st);
	*row = rc == SQLITE_ROW;
	if (*row)
		return STORE_OK;
	/* The words are in the connection until the reset; after it a doomed transaction can be
	 * undone. */
	enum store_status status = status_of(rc);
	if (status == STORE_OK) {
		sql_end(st);
		return STORE_OK;
	}
	rc = sqlite3_reset(st);
	status = store_fail_sql(s, rc, sqlite3_sql(st));
	sqlite3_clear_bindings(st);
	return status;
}

enum store_status sql_run(struct store *s, sqlite3_stmt *st, int *changed)
{
	enum store_status status;
	bool row;
	do
		status = sql_step(s, st, &row);
	while (row);
	if (changed)
		*changed = status == STORE_OK ? sqlite3_changes(s->db) : 0;
	return status;
}

enum store_status sql_value(struct store *s, sqlite3_stmt *st, int64_t *out)
{
	bool row;
	enum store_status status = sql_step(s, st, &row);
	if (!row)
		return status == STORE_OK ? STORE_NOT_FOUND : status;
	*out = sqlite3_column_int64(st, 0);
	sql_end(st);
	return STORE_OK;
}

bool sql_column_lost(sqlite3_stmt *st, int column, const void *p)
{
	/* NULL, or a blob without octets, comes without a pointer too; what is lost has left an
	 * error */
	return !p && sqlite3_column_type(st, column) != SQLITE_NULL &&
	       sqlite3_errcode(sqlite3_db_handle(st)) == SQLITE_NOMEM;
}

const char *sql_text_column(sqlite3_stmt *st, int column, struct arena *mem)
{
	const void *p = sqlite3_column_text(st, column);
	if (sql_column_lost(st, column, p))
		mem->failed = true;
	if (!p)
		return NULL;
	return arena_str(mem, slice_make(p, (size_t)sqlite3_column_bytes(st, column)));
}

struct slice sql_blob_column(sqlite3_stmt *st, int column, struct arena *mem)
{
	const void *p = sqlite3_column_blob(st, column);
	if (sql_column_lost(st, column, p))
		mem->failed = true;
	return arena_bytes(mem, slice_make(p, p ? (size_t)sqlite3_column_bytes(st, column) : 0));
}

void sql_octets_column(sqlite3_stmt *st, int column, uint8_t *out, size_t n)
{
	const void *p = sqlite3_column_blob(st, column);
	memset(out, 0, n);
	if (p && (size_t)sqlite3_column_bytes(st, column) == n)
		memcpy(out, p, n);
}

enum store_status arena_status(struct store *s, const struct arena *mem)
{
	if (!mem->failed)
		return STORE_OK;
	return store_fail(s, STORE_NO_MEMORY, "the caller's arena is full");
}

/* --- several statements as one --------------------------------------------------------------- */

enum store_status store_step_begin(struct store *s)
{
	s->at_step = s->now;
	return sql_run(s, s->statement[SQL_SAVEPOINT], NULL);
}

enum store_status store_step_end(struct store *s, enum store_status result)
{
	if (s->txn != TXN_OPEN)
		return result;
	char words[sizeof s->error];
	snprintf(words, sizeof words, "%s", s->error);
	enum store_status status = STORE_OK;
	if (result != STORE_OK) {
		s->now = s->at_step;
		status = sql_run(s, s->statement[SQL_ROLLBACK_TO], NULL);
	}
	if (status == STORE_OK)
		status = sql_run(s, s->statement[SQL_RELEASE], NULL);
	if (status != STORE_OK)
		return status;
	if (result != STORE_OK)
		store_fail(s, result, "%s", words);
	return result;
}

/* --- texts ----------------------------------------------------------------------------------- */

bool text_fits(const char *text, size_t max)
{
	return !text || strnlen(text, max + 1) <= max;
}

const char *cut_text(const char *text, char scratch[static STORE_TEXT_MAX + 1])
{
	if (text_fits(text, STORE_TEXT_MAX))
		return text;
	size_t n = STORE_TEXT_MAX;
	while (n > STORE_TEXT_MAX - 4 && ((uint8_t)text[n] & 0xc0) == 0x80)
		n--; /* not inside a UTF-8 character */
	memcpy(scratch, text, n);
	scratch[n] = '\0';
	return scratch;
}
