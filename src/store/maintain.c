/* SPDX-License-Identifier: MIT */
/*
 * Sizes: the write-ahead log, the file, the reserve.
 *
 * The log is emptied into the file by our own checkpoints, because SQLite's automatic one hides
 * its errors. The file has auto_vacuum = INCREMENTAL: a burst's pages are first used again, and
 * what is more than a quarter of the file goes back to the file system bit by bit. Without that a
 * burst that once filled the disk would hold it forever, below the reserve and refusing mail.
 *
 * Knows pages. Refuses to know mail.
 */
#include "store/room.h"

#include <sys/statvfs.h>

enum {
	FREE_PAGES_KEPT = 4096, /* 16 MiB: not worth giving back */
	FREE_PAGES_STEP = 512,  /* bounds the pause */
	DESTINATIONS_STEP = 200,
	DESTINATIONS_STEP_MANY = 2000,
	LOG_BLOCK = 65536, /* SQLite's own write takes less than 128 KiB at once */
};
static const int64_t DESTINATION_IDLE_MS = INT64_C(7) * 24 * 3600 * 1000;
static const int64_t DESTINATION_IDLE_MANY_MS = INT64_C(3600) * 1000;

enum store_status store_checkpoint(struct store *s, int mode)
{
	int in_log = 0, moved = 0;
	int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, mode, &in_log, &moved);
	if (rc == SQLITE_OK) {
		s->wal_pages = in_log > moved ? in_log - moved : 0;
		return STORE_OK;
	}
	return store_fail_sql(s, rc, "checkpoint");
}

static int rewrite(sqlite3_file *log, uint8_t *block, int room)
{
	sqlite3_int64 size = 0;
	int rc = log->pMethods->xFileSize(log, &size);
	for (sqlite3_int64 at = 0; at < size && rc == SQLITE_OK; at += room) {
		int n = size - at < room ? (int)(size - at) : room;
		rc = log->pMethods->xRead(log, block, n, at);
		if (rc == SQLITE_OK)
			rc = log->pMethods->xWrite(log, block, n, at);
	}
	if (rc == SQLITE_OK && size > 0)
		rc = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
	return rc;
}

enum store_status store_rewrite_log(struct store *s)
{
	sqlite3_file *log = NULL;
	int rc = sqlite3_file_control(s->db, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &log);
	if (rc != SQLITE_OK || !log || !log->pMethods)
		return store_fail_sql(s, rc, "log");
	uint8_t *block = malloc(LOG_BLOCK);
	if (!block)
		return store_fail(s, STORE_NO_MEMORY, "out of memory");
	rc = rewrite(log, block, LOG_BLOCK);
	free(block);
	if (rc == SQLITE_OK)
		return STORE_OK;
	enum store_status status = rc == SQLITE_FULL ? STORE_FULL : STORE_IO;
	if (s->health == STORE_OK)
		s->health = status;
	return store_fail(s, status, "%s: the log cannot be written again: %s", s->path,
			  sqlite3_errstr(rc));
}

static enum store_status page_counts(struct store *s, int64_t *all, int64_t *free_pages)
{
	enum store_status status = sql_value(s, s->statement[SQL_ALL_PAGES], all);
	if (status == STORE_OK)
		status = sql_value(s, s->statement[SQL_FREE_PAGES], free_pages);
	return status;
}

static enum store_status shrink(struct store *s, bool *more)
{
	int64_t all = 0, unused = 0;
	enum store_status status = page_counts(s, &all, &unused);
	if (status != STORE_OK || unused < FREE_PAGES_KEPT || unused < all / 4)
		return status;
	char pragma[64];
	snprintf(pragma, sizeof pragma, "PRAGMA incremental_vacuum(%d)", FREE_PAGES_STEP);
	int rc = sqlite3_exec(s->db, pragma, NULL, NULL, NULL);
	*more = rc == SQLITE_OK;
	return store_fail_sql(s, rc, pragma);
}

/* Destinations without mail and news for a week: else one row stays for every domain ever seen.
 * Some at a time, and no hurry, unless there are too many. */
static enum store_status forget(struct store *s, int64_t now, bool *more)
{
	int64_t first = 0;
	int changed = 0;
	bool many = s->destinations > DESTINATIONS_KEPT;
	bool far_too_many = s->destinations > 2 * (int64_t)DESTINATIONS_KEPT;
	enum store_status status =
	    sql_value(s, sql_bind(s, SQL_NEXT_DESTINATION, "i", s->prune_from), &first);
	if (status == STORE_NOT_FOUND) { /* and from the start again */
		s->prune_from = 0;
		return STORE_OK;
	}
	int64_t last = first + (many ? DESTINATIONS_STEP_MANY : DESTINATIONS_STEP) - 1;
	int64_t idle = now - (many ? DESTINATION_IDLE_MANY_MS : DESTINATION_IDLE_MS);
	int64_t worked = now - (far_too_many ? DESTINATION_IDLE_MANY_MS : DESTINATION_IDLE_MS);
	if (status == STORE_OK)
		status =
		    sql_run(s, sql_bind(s, SQL_PRUNE, "iiii", idle, first, last, worked), &changed);
	s->destinations -= changed;
	s->prune_from = last;
	*more = *more || (many && status == STORE_OK);
	return status;
}

static enum store_status tidy(struct store *s, int64_t now, bool *more)
{
	enum store_status status = store_begin(s);
	if (status == STORE_OK)
		status = shrink(s, more);
	if (status == STORE_OK)
		status = forget(s, now, more);
	if (status != STORE_OK) {
		store_rollback(s);
		return status;
	}
	return store_commit(s);
}

enum store_status store_maintain(struct store *s, int64_t now, bool *more)
{
	*more = false;
	if (s->health != STORE_OK)
		return s->health;
	if (s->txn != TXN_NONE)
		return store_fail(s, STORE_MISUSE, "maintenance within a transaction");
	enum store_status status = STORE_OK;
	if (s->wal_pages >= WAL_SOFT_PAGES)
		status = store_checkpoint(s, SQLITE_CHECKPOINT_RESTART);
	return status == STORE_OK ? tidy(s, now, more) : status;
}

/* A text is written twice before its first copy can go: to the log, and to the file unless that has
 * free pages. The same holds for what is in the log now. */
enum store_status store_check_room(struct store *s, uint64_t size)
{
	struct statvfs fs;
	if (s->reserve == 0)
		return STORE_OK;
	if (statvfs(s->path, &fs) != 0)
		return store_fail(s, STORE_FULL, "%s: cannot see how much is free", s->path);
	int64_t unused = 0;
	enum store_status status = sql_value(s, s->statement[SQL_FREE_PAGES], &unused);
	if (status != STORE_OK)
		return status;
	uint64_t text = s->group_bytes + size;
	uint64_t file = text + (uint64_t)s->wal_pages * PAGE_BYTES;
	uint64_t reuse = (uint64_t)unused * PAGE_BYTES;
	uint64_t need = s->reserve + text + (file > reuse ? file - reuse : 0);
	uint64_t have = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (have >= need)
		return STORE_OK;
	return store_fail(s, STORE_FULL,
			  "%s: %llu octets are free on the file system, a message of %llu octets "
			  "and the reserve need %llu",
			  s->path, (unsigned long long)have, (unsigned long long)size,
			  (unsigned long long)need);
}
