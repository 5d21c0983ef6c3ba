/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing: the file, its lock, its settings, its schema, what a crash left.
 *
 * Knows what SQLite must be told, and asks whether it obeyed: a store that would lose mail at a
 * power cut is not opened. Refuses to know what is in the tables, but for the active deliveries.
 *
 * After a failed sync the kernel may show pages that never reached the disk and call them clean; a
 * later sync does not write them, and records appended behind them in the log would be lost with
 * them at a power cut. So opening first writes all of the log once more in its place, then moves it
 * into the file and starts an empty log.
 */
#include "store/room.h"

#include "wire/destination.h"
#include "wire/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- settings -------------------------------------------------------------------------------- */

static enum store_status run(struct store *s, const char *sql)
{
	return store_fail_sql(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL), sql);
}

static enum store_status runf(struct store *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static enum store_status runf(struct store *s, const char *fmt, ...)
{
	char sql[128];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(sql, sizeof sql, fmt, ap);
	va_end(ap);
	return run(s, sql);
}

static int one_text(void *arg, int n, char **value, char **name)
{
	(void)name;
	char *out = arg;
	snprintf(out, 64, "%s", n > 0 && value[0] ? value[0] : "");
	return 0;
}

/* The answer of a statement that gives one value. */
static enum store_status ask(struct store *s, const char *sql, char out[static 64])
{
	out[0] = '\0';
	return store_fail_sql(s, sqlite3_exec(s->db, sql, one_text, out, NULL), sql);
}

static enum store_status ask_number(struct store *s, const char *sql, long *out)
{
	char text[64];
	enum store_status status = ask(s, sql, text);
	*out = strtol(text, NULL, 10);
	return status;
}

static const char *const settings[] = {
    "PRAGMA trusted_schema = OFF",   "PRAGMA cell_size_check = ON", "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_mode = WAL",     "PRAGMA synchronous = FULL",   "PRAGMA foreign_keys = ON",
    "PRAGMA wal_autocheckpoint = 0", /* ours reports its errors */
    "PRAGMA secure_delete = FAST",   /* Debian's default writes every freed page once more */
};

static const struct {
	const char *sql, *want;
} asserted[] = {
    {"PRAGMA journal_mode", "wal"},       {"PRAGMA synchronous", "2"},
    {"PRAGMA locking_mode", "exclusive"}, {"PRAGMA foreign_keys", "1"},
    {"PRAGMA auto_vacuum", "2"},          {"PRAGMA page_size", "4096"},
    {"PRAGMA wal_autocheckpoint", "0"},
};

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	struct store *s = arg;
	s->wal_pages = pages;
	return SQLITE_OK;
}

static enum store_status set_up(struct store *s, const struct store_config *c)
{
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_busy_timeout(s->db, 0);
	enum store_status status = STORE_OK;
	for (size_t i = 0; i < sizeof settings / sizeof settings[0] && status == STORE_OK; i++)
		status = run(s, settings[i]);
	uint32_t cache = c->cache_bytes ? c->cache_bytes : 8 << 20;
	if (status == STORE_OK)
		status = runf(s, "PRAGMA cache_size = -%lu", (unsigned long)(cache / 1024));
	if (status == STORE_OK)
		status = runf(s, "PRAGMA journal_size_limit = %d", WAL_KEEP_BYTES);
	return status;
}

static enum store_status assert_settings(struct store *s)
{
	for (size_t i = 0; i < sizeof asserted / sizeof asserted[0]; i++) {
		char is[64];
		enum store_status status = ask(s, asserted[i].sql, is);
		if (status != STORE_OK)
			return status;
		if (strcmp(is, asserted[i].want) != 0)
			return store_fail(s, STORE_UNSAFE, "%s: %s is %s and must be %s", s->path,
					  asserted[i].sql, is, asserted[i].want);
	}
	sqlite3_wal_hook(s->db, on_commit, s);
	return STORE_OK;
}

/* --- file ------------------------------------------------------------------------------------ */

/* An existing file is never opened here: closing it would drop the locks of a store in this
 * process. SQLite gives the log the mode of the file. */
static enum store_status create_file(struct store *s, bool *created)
{
	struct stat st;
	*created = false;
	if (stat(s->path, &st) == 0)
		return STORE_OK;
	int fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return store_fail(s, STORE_IO, "%s: %s", s->path, strerror(errno));
	*created = true;
	close(fd);
	return STORE_OK;
}

enum store_status store_sync_directory(struct store *s)
{
	char dir[4096];
	const char *slash = strrchr(s->path, '/');
	size_t n = slash ? (size_t)(slash - s->path) : 0;
	if (n >= sizeof dir)
		return store_fail(s, STORE_LIMIT, "the path is too long");
	snprintf(dir, sizeof dir, "%.*s", slash ? (int)(n ? n : 1) : 1, slash ? s->path : ".");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	if (!ok)
		store_fail(s, STORE_IO, "%s: %s", dir, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok ? STORE_OK : STORE_IO;
}

/* Before anything is written: is this a queue at all? 0 pages: a new file. */
static enum store_status check_kind(struct store *s, long *version)
{
	long application = 0, pages = 0;
	*version = 0;
	enum store_status status = ask_number(s, "PRAGMA page_count", &pages);
	if (status != STORE_OK || pages == 0)
		return status;
	status = ask_number(s, "PRAGMA application_id", &application);
	if (status == STORE_OK)
		status = ask_number(s, "PRAGMA user_version", version);
	if (status != STORE_OK)
		return status;
	long tables = 0;
	status = ask_number(s, "SELECT count(*) FROM sqlite_schema", &tables);
	if (tables == 0 && application == 0)
		*version = 0; /* a creation that did not get to its commit */
	if (status != STORE_OK || (tables == 0 && application == 0))
		return status;
	if (application != APPLICATION_ID)
		return store_fail(s, STORE_CORRUPT, "%s: not a mail queue", s->path);
	if (*version > SCHEMA_VERSION)
		return store_fail(s, STORE_NEWER,
				  "%s: schema version %ld, this program knows up to %d", s->path,
				  *version, SCHEMA_VERSION);
	return STORE_OK;
}

/* A new file gets its first page with the lock, so that what shapes it must come before. */
static enum store_status take_lock(struct store *s)
{
	static const struct {
		const char *sql;
		bool shape;
	} steps[] = {
	    /* no shared memory, and no second keeper */
	    {"PRAGMA locking_mode = EXCLUSIVE", false},
	    {"PRAGMA page_size = 4096", true},
	    {"PRAGMA auto_vacuum = INCREMENTAL", true},
	    {"BEGIN EXCLUSIVE; COMMIT", false},
	};
	struct stat st;
	/* Told an old file the same, SQLite writes to it: not on a full disk. */
	bool shaped = stat(s->path, &st) == 0 && st.st_size > 0;
	enum store_status status = STORE_OK;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == STORE_OK; i++) {
		if (!shaped || !steps[i].shape)
			status = run(s, steps[i].sql);
	}
	if (status == STORE_BUSY)
		store_fail(s, status, "%s: another process has the queue open", s->path);
	return status;
}

static enum store_status check_whole(struct store *s)
{
	char answer[64];
	enum store_status status = ask(s, "PRAGMA quick_check(1)", answer);
	if (status != STORE_OK || strcmp(answer, "ok") == 0)
		return status;
	return store_fail(s, STORE_CORRUPT, "%s: damaged: %s", s->path, answer);
}

/* --- schema ---------------------------------------------------------------------------------- */

/* What takes a queue of version n to n + 1, in up to three parts. One row per version; never change
 * a row once released. New queues begin with schema.sql, which must say the same as all of them. */
static const char *const migrations[SCHEMA_VERSION][3] = {
    [0] = {store_schema_1_sql},
    /* Who waits at a destination, each sender's deliveries in the order of time: store_due(). */
    [1] = {"ALTER TABLE delivery ADD COLUMN sender INTEGER NOT NULL DEFAULT 0;"
	   "UPDATE delivery SET sender = "
	   "(SELECT sender_key(reverse_path) FROM message WHERE message.id = delivery.message);"
	   "CREATE INDEX delivery_sender ON delivery (destination, sender, due) WHERE state = 0;"},
    [2] = {store_schema_3_sql},
    [3] = {store_schema_4_before_sql, store_schema_4_sql, store_schema_4_after_sql},
    [4] = {store_schema_5_sql},
};

static enum store_status run_schema(struct store *s, const char *sql)
{
	return store_fail_sql(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL), "schema");
}

static enum store_status step_up(struct store *s, long version)
{
	enum store_status status = STORE_OK;
	for (size_t i = 0; i < 3 && migrations[version][i] && status == STORE_OK; i++)
		status = run_schema(s, migrations[version][i]);
	return status;
}

/* Versions 2 to 4 kept a hash of the reverse-path; version 5 computes all anew. */
static void sql_sender_key(sqlite3_context *to, int n, sqlite3_value **value)
{
	(void)n;
	(void)value;
	sqlite3_result_int64(to, 0);
}

uint64_t store_old_sender(const char *origin, const char *reverse_path)
{
	uint64_t key =
	    strcmp(origin, "notification") == 0 ? ORIGIN_NOTICES : origin_of_user(origin);
	return origin_sender(key, reverse_path);
}

static void sql_old_sender(sqlite3_context *to, int n, sqlite3_value **value)
{
	const char *origin = n == 2 ? (const char *)sqlite3_value_text(value[0]) : NULL;
	const char *path = n == 2 ? (const char *)sqlite3_value_text(value[1]) : NULL;
	if (origin == NULL || path == NULL)
		sqlite3_result_error_nomem(to);
	else
		sqlite3_result_int64(to, (int64_t)store_old_sender(origin, path));
}

/* NULL: it is no pattern. */
static void sql_normal_pattern(sqlite3_context *to, int n, sqlite3_value **value)
{
	char normal[DESTINATION_ROOM];
	const char *text = n == 1 ? (const char *)sqlite3_value_text(value[0]) : NULL;
	if (text == NULL)
		sqlite3_result_error_nomem(to);
	else if (destination_normalise_pattern(slice_str(text), normal) == DESTINATION_OK)
		sqlite3_result_text(to, normal, -1, SQLITE_TRANSIENT);
}

static enum store_status add_function(struct store *s, const char *name, int n,
				      void (*f)(sqlite3_context *, int, sqlite3_value **))
{
	return store_fail_sql(s,
			      sqlite3_create_function(s->db, name, n,
						      SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, f,
						      NULL, NULL),
			      name);
}

static enum store_status migrate(struct store *s, long version)
{
	if (version == SCHEMA_VERSION)
		return STORE_OK;
	enum store_status status = add_function(s, "sender_key", 1, sql_sender_key);
	if (status == STORE_OK)
		status = add_function(s, "old_sender", 2, sql_old_sender);
	if (status == STORE_OK)
		status = add_function(s, "normal_pattern", 1, sql_normal_pattern);
	if (status == STORE_OK)
		status = run(s, "BEGIN EXCLUSIVE");
	if (status == STORE_OK && version == 0)
		status = run_schema(s, store_schema_sql);
	for (long v = version; v > 0 && v < SCHEMA_VERSION && status == STORE_OK; v++)
		status = step_up(s, v);
	if (status == STORE_OK)
		status = runf(s, "PRAGMA application_id = %d", APPLICATION_ID);
	if (status == STORE_OK)
		status = runf(s, "PRAGMA user_version = %d", SCHEMA_VERSION);
	return status == STORE_OK ? run(s, "COMMIT") : status;
}

static enum store_status prepare(struct store *s)
{
	for (int i = 0; i < SQL_COUNT; i++) {
		int rc = sqlite3_prepare_v3(s->db, sql_text((enum sql)i), -1,
					    SQLITE_PREPARE_PERSISTENT, &s->statement[i], NULL);
		if (rc != SQLITE_OK)
			return store_fail_sql(s, rc, sql_text((enum sql)i));
	}
	return STORE_OK;
}

/* --- what a crash left ----------------------------------------------------------------------- */

struct active {
	int64_t destination;
	bool hold;
	struct store_interrupted told; /* its names live as long as the statement */
};

/* Tells of it, and puts it back. Ends the statement. */
static enum store_status put_back(struct store *s, const struct store_config *c, int64_t now,
				  const struct active *a, sqlite3_stmt *st,
				  struct store_recovery *r)
{
	int64_t id = a->told.delivery;
	enum store_status status = STORE_OK;
	r->interrupted++;
	r->in_doubt += a->told.in_doubt;
	if (a->told.in_doubt && c->on_doubt != NULL)
		c->on_doubt(c->arg, a->told.queue_id, a->told.next_hop);
	if (c->interrupted != NULL)
		status = c->interrupted(c->arg, s, &a->told);
	sql_end(st);
	if (status == STORE_OK)
		status = sql_run(s, sql_bind(s, SQL_INTERRUPTED, "ii", id, now), NULL);
	return status == STORE_OK ? delivery_moved(s, a->destination, STORE_ACTIVE,
						   a->hold ? STORE_HELD : STORE_WAITING)
				  : status;
}

enum store_status store_recover(struct store *s, const struct store_config *c, int64_t now,
				struct store_recovery *r)
{
	struct active a = {0};
	enum store_status status = store_may_write(s);
	while (status == STORE_OK) {
		bool row;
		sqlite3_stmt *st = sql_bind(s, SQL_NEXT_ACTIVE, "i", a.told.delivery);
		status = sql_step(s, st, &row);
		if (!row)
			break;
		a = (struct active){.destination = sqlite3_column_int64(st, 4),
				    .hold = sqlite3_column_int(st, 5) != 0,
				    .told = {.delivery = sqlite3_column_int64(st, 0),
					     .queue_id = (const char *)sqlite3_column_text(st, 1),
					     .next_hop = (const char *)sqlite3_column_text(st, 2),
					     .in_doubt = sqlite3_column_int(st, 3) != 0}};
		if (c->carried != NULL && c->carried(c->arg, a.told.delivery))
			sql_end(st);
		else
			status = put_back(s, c, now, &a, st, r);
	}
	return status;
}

static enum store_status recover(struct store *s, const struct store_config *c, int64_t now,
				 struct store_recovery *r)
{
	if (c->keep_active || s->health != STORE_OK)
		return STORE_OK;
	enum store_status status = store_begin(s);
	if (status == STORE_OK)
		status = store_recover(s, c, now, r);
	if (status == STORE_OK)
		return store_commit(s);
	store_rollback(s);
	return status;
}

/* --- all together ---------------------------------------------------------------------------- */

static enum store_status open_database(struct store *s)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	store_set_up_sqlite();
	int rc = sqlite3_open_v2(s->path, &s->db, flags, store_log_vfs());
	if (!s->db)
		return store_fail(s, STORE_NO_MEMORY, "out of memory");
	return store_fail_sql(s, rc, s->path);
}

static enum store_status make_durable(struct store *s, long version)
{
	enum store_status status = store_rewrite_log(s);
	if (status == STORE_OK)
		status = store_checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE);
	if (status == STORE_OK)
		status = migrate(s, version);
	return status == STORE_OK ? store_sync_directory(s) : status;
}

static enum store_status look_only(struct store *s, const struct store_config *c, long version)
{
	if (version != SCHEMA_VERSION)
		return store_fail(s, c->look,
				  "%s: nothing can be written, and it is of version %ld", s->path,
				  version);
	s->health = c->look;
	return store_fail(s, STORE_OK, "%s: nothing can be written", s->path);
}

static enum store_status open_all(struct store *s, const struct store_config *c, int64_t now,
				  struct store_recovery *r)
{
	long version = 0;
	enum store_status status = create_file(s, &r->created);
	if (status == STORE_OK)
		status = open_database(s);
	if (status == STORE_OK)
		status = take_lock(s);
	if (status == STORE_OK)
		status = check_kind(s, &version);
	if (status == STORE_OK && c->check)
		status = check_whole(s);
	if (status == STORE_OK)
		status = set_up(s, c);
	if (status == STORE_OK)
		status = assert_settings(s);
	if (status == STORE_OK)
		status = c->look == STORE_OK ? make_durable(s, version) : look_only(s, c, version);
	if (status == STORE_OK)
		status = prepare(s);
	if (status == STORE_OK)
		status = counters_load(s);
	long rows = 0;
	if (status == STORE_OK)
		status = ask_number(s, "SELECT count(*) FROM destination", &rows);
	s->destinations = rows;
	return status == STORE_OK ? recover(s, c, now, r) : status;
}

enum store_status store_open(const struct store_config *c, int64_t now, struct store **out,
			     struct store_recovery *recovery, char *error, size_t room)
{
	*out = NULL;
	*recovery = (struct store_recovery){0};
	struct store *s = calloc(1, sizeof *s);
	if (s)
		s->path = strdup(c->path);
	if (!s || !s->path) {
		free(s);
		snprintf(error, room, "out of memory");
		return STORE_NO_MEMORY;
	}
	s->reserve = c->reserve;
	enum store_status status = open_all(s, c, now, recovery);
	snprintf(error, room, "%s", status == STORE_OK ? "" : s->error);
	if (status == STORE_OK)
		*out = s;
	else
		store_close(&s);
	return status;
}

void store_close(struct store **sp)
{
	struct store *s = *sp;
	if (!s)
		return;
	*sp = NULL;
	store_rollback(s);
	for (int i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(s->statement[i]);
	if (s->db && s->health != STORE_OK) /* closing must not write or sync either */
		sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close(s->db);
	free(s->path);
	free(s);
}
