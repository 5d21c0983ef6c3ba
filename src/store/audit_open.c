/* SPDX-License-Identifier: MIT */
/*
 * Opening the audit file: its settings, its schema; and closing it.
 *
 * Knows what SQLite must be told so that a commit is durable and a reader needs no other file.
 * Refuses to know what is in the tables.
 */
#include "store/audit_room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const texts[] = {
#define STATEMENT(id, text) [AUDIT_SQL_##id] = (text),
#include "store/audit_statements.tbl"
#undef STATEMENT
};

const char *audit_sql_text(enum audit_sql id)
{
	return texts[id];
}

static enum store_status run(struct store *s, const char *sql)
{
	return store_fail_sql(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL), sql);
}

static enum store_status ask(struct store *s, const char *sql, int64_t *number,
			     char text[static 32])
{
	sqlite3_stmt *st = NULL;
	*number = 0;
	text[0] = '\0';
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		const void *word = sqlite3_column_text(st, 0);
		*number = sqlite3_column_int64(st, 0);
		snprintf(text, 32, "%s", word ? (const char *)word : "");
	}
	sqlite3_finalize(st);
	return store_fail_sql(s, rc, sql);
}

/* secure_delete off: what is removed here is no secret, and pages are freed in bulk. */
static const char *const settings[] = {
    "PRAGMA trusted_schema = OFF",    "PRAGMA cell_size_check = ON", "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_mode = TRUNCATE", "PRAGMA synchronous = FULL",   "PRAGMA secure_delete = OFF",
};
static const struct {
	const char *sql, *want;
} asserted[] = {{"PRAGMA journal_mode", "truncate"}, {"PRAGMA synchronous", "2"}};

static enum store_status set_up(struct store *s)
{
	enum store_status status = STORE_OK;
	for (size_t i = 0; i < sizeof settings / sizeof settings[0] && status == STORE_OK; i++)
		status = run(s, settings[i]);
	for (size_t i = 0; i < sizeof asserted / sizeof asserted[0] && status == STORE_OK; i++) {
		char is[32];
		int64_t number;
		status = ask(s, asserted[i].sql, &number, is);
		if (status == STORE_OK && strcmp(is, asserted[i].want) != 0)
			status = store_fail(s, STORE_UNSAFE, "%s: %s is %s and must be %s", s->path,
					    asserted[i].sql, is, asserted[i].want);
	}
	return status;
}

/* --- the schema ------------------------------------------------------------------------------- */

/* Tables and columns, not their text: that has comments. */
static const char schema_text[] =
    "SELECT group_concat(line, char(10)) FROM (SELECT t.type || ' ' || t.name || ' ' || t.wr || "
    "' ' || t.strict || ' ' || c.name || ' ' || c.type || ' ' || c.pk || ' ' || c.hidden AS line "
    "FROM pragma_table_list AS t, pragma_table_xinfo(t.name) AS c WHERE t.schema = 'main' "
    "AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY t.name, c.cid)";

static enum store_status read_schema(struct store *s, sqlite3 *db, char **out)
{
	sqlite3_stmt *st = NULL;
	*out = NULL;
	int rc = sqlite3_prepare_v2(db, schema_text, -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (rc == SQLITE_ROW && (*out = strdup(text != NULL ? text : "")) == NULL)
		rc = SQLITE_NOMEM;
	sqlite3_finalize(st);
	return store_fail_sql(s, rc, "schema");
}

/* What ours looks like, from a database that lives a moment. */
static enum store_status read_own_schema(struct store *s, char **out)
{
	sqlite3 *db = NULL;
	*out = NULL;
	store_set_up_sqlite();
	int rc =
	    sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, store_audit_sql, NULL, NULL, NULL);
	enum store_status status =
	    rc == SQLITE_OK ? read_schema(s, db, out) : store_fail_sql(s, rc, "schema");
	sqlite3_close(db);
	return status;
}

/* A view in place of a table could show one thing to verify, and another to list; a table without
 * its types could hold a number twice. */
static enum store_status check_schema(struct store *s)
{
	char *is = NULL, *want = NULL;
	enum store_status status = read_own_schema(s, &want);
	if (status == STORE_OK)
		status = read_schema(s, s->db, &is);
	if (status == STORE_OK && strcmp(is, want) != 0)
		status = store_fail(s, STORE_CORRUPT,
				    "%s: its tables are not those of an audit file: somebody "
				    "changed them",
				    s->path);
	free(is);
	free(want);
	return status;
}

/* 0: a new file. */
static enum store_status check_kind(struct store *s, int64_t *version)
{
	char text[32];
	int64_t application = 0, tables = 0;
	enum store_status status = ask(s, "SELECT count(*) FROM sqlite_schema", &tables, text);
	if (status == STORE_OK)
		status = ask(s, "PRAGMA application_id", &application, text);
	if (status == STORE_OK)
		status = ask(s, "PRAGMA user_version", version, text);
	if (status != STORE_OK || (tables == 0 && application == 0))
		return status;
	if (application != AUDIT_APPLICATION_ID)
		return store_fail(s, STORE_CORRUPT, "%s: not an audit file", s->path);
	if (*version > AUDIT_SCHEMA_VERSION)
		return store_fail(s, STORE_NEWER,
				  "%s: schema version %lld, this program knows up to %d", s->path,
				  (long long)*version, AUDIT_SCHEMA_VERSION);
	return check_schema(s);
}

static enum store_status make_schema(struct store *s)
{
	char pragma[128];
	snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d; PRAGMA user_version = %d",
		 AUDIT_APPLICATION_ID, AUDIT_SCHEMA_VERSION);
	enum store_status status = run(s, "PRAGMA auto_vacuum = INCREMENTAL");
	if (status == STORE_OK)
		status = run(s, "BEGIN EXCLUSIVE");
	if (status == STORE_OK)
		status = store_fail_sql(s, sqlite3_exec(s->db, store_audit_sql, NULL, NULL, NULL),
					"schema");
	if (status == STORE_OK)
		status = run(s, pragma);
	return status == STORE_OK ? run(s, "COMMIT") : status;
}

static enum store_status prepare(struct store_audit *a)
{
	for (int i = 0; i < AUDIT_SQL_COUNT; i++) {
		int rc = sqlite3_prepare_v3(a->db.db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
					    &a->statement[i], NULL);
		if (rc != SQLITE_OK)
			return store_fail_sql(&a->db, rc, texts[i]);
	}
	return STORE_OK;
}

static enum store_status connect_file(struct store *s, bool read_only)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	flags |= read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	store_set_up_sqlite();
	int rc = sqlite3_open_v2(s->path, &s->db, flags, NULL);
	if (!s->db)
		return store_fail(s, STORE_NO_MEMORY, "out of memory");
	sqlite3_busy_timeout(s->db, AUDIT_BUSY_MS);
	return store_fail_sql(s, rc, s->path);
}

/* SQLite gives the journal the mode of the file. */
static enum store_status create_file(struct store *s)
{
	struct stat st;
	if (stat(s->path, &st) == 0)
		return STORE_OK;
	int fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return store_fail(s, STORE_IO, "%s: %s", s->path, strerror(errno));
	close(fd);
	return store_sync_directory(s);
}

static enum store_status open_write(struct store_audit *a)
{
	int64_t version = 0;
	enum store_status status = create_file(&a->db);
	if (status == STORE_OK)
		status = connect_file(&a->db, false);
	if (status == STORE_OK)
		status = check_kind(&a->db, &version);
	if (status == STORE_OK)
		status = set_up(&a->db);
	if (status == STORE_OK && version == 0)
		status = make_schema(&a->db);
	return status == STORE_OK ? prepare(a) : status;
}

static enum store_status open_read(struct store_audit *a)
{
	int64_t version = 0;
	if (access(a->db.path, R_OK) != 0)
		return store_fail(&a->db, errno == ENOENT ? STORE_NOT_FOUND : STORE_IO, "%s: %s",
				  a->db.path, strerror(errno));
	enum store_status status = connect_file(&a->db, true);
	if (status == STORE_OK)
		status = check_kind(&a->db, &version);
	if (status != STORE_OK && (sqlite3_errcode(a->db.db) & 0xff) == SQLITE_READONLY)
		return store_fail(
		    &a->db, STORE_BUSY,
		    "%s: a crash left its journal, which only the relay may finish: start "
		    "the relay first, or look at a copy of both files",
		    a->db.path);
	if (status == STORE_OK && version == 0)
		return store_fail(&a->db, STORE_CORRUPT, "%s: not an audit file", a->db.path);
	return status == STORE_OK ? prepare(a) : status;
}

static enum store_status finish(enum store_status status, struct store_audit *a,
				struct store_audit **out, char *error, size_t room)
{
	snprintf(error, room, "%s", status == STORE_OK ? "" : a->db.error);
	if (status == STORE_OK)
		*out = a;
	else
		store_audit_close(&a);
	return status;
}

static struct store_audit *make(const char *path)
{
	struct store_audit *a = calloc(1, sizeof *a);
	if (a)
		a->db.path = strdup(path);
	if (!a || !a->db.path) {
		free(a);
		return NULL;
	}
	return a;
}

enum store_status store_audit_open(const char *path, struct store_audit **out, char *error,
				   size_t room)
{
	struct store_audit *a = make(path);
	*out = NULL;
	snprintf(error, room, "out of memory");
	return a ? finish(open_write(a), a, out, error, room) : STORE_NO_MEMORY;
}

static enum store_status open_memory(struct store_audit *a)
{
	enum store_status status = connect_file(&a->db, false);
	if (status == STORE_OK)
		status = make_schema(&a->db);
	return status == STORE_OK ? prepare(a) : status;
}

enum store_status store_audit_open_memory(struct store_audit **out, char *error, size_t room)
{
	struct store_audit *a = make(":memory:");
	*out = NULL;
	snprintf(error, room, "out of memory");
	return a ? finish(open_memory(a), a, out, error, room) : STORE_NO_MEMORY;
}

enum store_status store_audit_open_read(const char *path, struct store_audit **out, char *error,
					size_t room)
{
	struct store_audit *a = make(path);
	*out = NULL;
	snprintf(error, room, "out of memory");
	return a ? finish(open_read(a), a, out, error, room) : STORE_NO_MEMORY;
}

void store_audit_close(struct store_audit **ap)
{
	struct store_audit *a = *ap;
	if (!a)
		return;
	*ap = NULL;
	store_audit_rollback(a);
	for (int i = 0; i < AUDIT_SQL_COUNT; i++)
		sqlite3_finalize(a->statement[i]);
	sqlite3_close(a->db.db);
	free(a->db.path);
	free(a);
}

const char *store_audit_error(const struct store_audit *a)
{
	return a->db.error;
}
