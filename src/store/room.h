/* SPDX-License-Identifier: MIT */
/* store, inside: what the files of this room share. Nobody else includes this (but its tests). */
#ifndef STORE_ROOM_H
#define STORE_ROOM_H

#include "store/store.h"

#include <sqlite3.h>

enum {
	SCHEMA_VERSION = 5,
	APPLICATION_ID = 0x444c5751, /* "DLWQ", in the file's header */
	PAGE_BYTES = 4096,
	/* Rows of destinations: with more, those without mail go after an hour instead of a week,
	 * first those that never took anything: bounces to made-up domains do not fill the file. */
	DESTINATIONS_KEPT = 50000,
	PART_BYTES = 256 * 1024,   /* as in schema.sql */
	PARTS_MAX = 4096,          /* the same; body.id = message * PARTS_MAX + part */
	WAL_SOFT_PAGES = 1000,     /* store_maintain() empties the log from here on */
	WAL_HARD_PAGES = 8000,     /* store_commit() does it itself: 32 MiB */
	WAL_KEEP_BYTES = 48 << 20, /* the log's file is cut back to this */
};

extern const char store_schema_sql[]; /* schema.sql, by embed.py; so the others */
extern const char store_schema_1_sql[];
extern const char store_schema_3_sql[];
extern const char store_schema_4_sql[];
extern const char store_schema_4_before_sql[];
extern const char store_schema_4_sql[];
extern const char store_schema_4_after_sql[];
extern const char store_schema_5_sql[];
extern const char store_audit_sql[];

enum sql {
#define STATEMENT(id, text) SQL_##id,
#include "store/statements.tbl"
#undef STATEMENT
	SQL_COUNT
};
const char *sql_text(enum sql id);

/* TXN_DOOMED: undone already; whatever follows fails like the call that doomed it. */
enum txn { TXN_NONE, TXN_OPEN, TXN_DOOMED };

/* The row of totals. */
struct counters {
	int64_t messages, bytes;
	int64_t recipients;           /* pending */
	int64_t of_state[STORE_DONE]; /* deliveries: waiting, held, active */
	int64_t last_message, last_delivery;
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statement[SQL_COUNT];
	char *path;
	uint64_t reserve;
	enum txn txn;
	enum store_status doom;
	enum store_status health;
	uint64_t group_bytes; /* of text added in this transaction */
	struct counters now, committed, at_step;
	int wal_pages;        /* in the log and not yet moved into the file */
	uint64_t due_turn;    /* where store_due() begins with the senders */
	int64_t destinations; /* rows, as good as exactly */
	int64_t prune_from;   /* where store_maintain() goes on among the destinations */
	char error[512];
};

/* Before the first database of a process is opened; later it does nothing. */
void store_set_up_sqlite(void);

/* Sets the words for the last failure and returns `status`. */
enum store_status store_fail(struct store *s, enum store_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a result code of SQLite; poisons the store or dooms the transaction if it must.
 * Words of SQLite: call it before anything else is asked of it. */
enum store_status store_fail_sql(struct store *s, int rc, const char *what);
/* Undoes the transaction of SQLite, if there is one. */
void store_undo(struct store *s);
/* STORE_OK inside a healthy transaction. Every change starts with it. */
enum store_status store_may_write(struct store *s);

/* Statements. `types` has a letter for each parameter: i int64_t, t const char * (NULL: null), b
 * struct slice. Text is borrowed until the statement ends. */
sqlite3_stmt *sql_bind(struct store *s, enum sql id, const char *types, ...);
sqlite3_stmt *sql_bind_statement(struct store *s, sqlite3_stmt *st, const char *types, ...);
void sql_end(sqlite3_stmt *st);
/* *row: there is one; the caller ends the statement. On an error, or without a row, it is ended. */
enum store_status sql_step(struct store *s, sqlite3_stmt *st, bool *row);
/* To its end; *changed (may be NULL) is how many rows it changed itself. */
enum store_status sql_run(struct store *s, sqlite3_stmt *st, int *changed);
/* The first column of the first row; NOT_FOUND without words if there is none. */
enum store_status sql_value(struct store *s, sqlite3_stmt *st, int64_t *out);

/* Has memory lost the value of a column, for which SQLite gave p? Then it is not known, and not
 * null. */
bool sql_column_lost(sqlite3_stmt *st, int column, const void *p);
/* A column as text of the arena, NULL for null. A full arena shows in mem->failed. */
const char *sql_text_column(sqlite3_stmt *st, int column, struct arena *mem);
struct slice sql_blob_column(sqlite3_stmt *st, int column, struct arena *mem);
/* Exactly n octets; zeros when the column holds something else. */
void sql_octets_column(sqlite3_stmt *st, int column, uint8_t *out, size_t n);

/* Several statements as one: all or nothing within the transaction. It makes SQLite keep a copy of
 * every page that they touch, so whoever cannot fail after its first change does without. */
enum store_status store_step_begin(struct store *s);
enum store_status store_step_end(struct store *s, enum store_status result);

/* log_file.c: the name of the VFS for a file that one process has for itself; NULL: the default */
const char *store_log_vfs(void);
/* open.c: the folder of s->path */
enum store_status store_sync_directory(struct store *s);
/* open.c: the sender of a message of version 4, which knew an origin only in words. */
uint64_t store_old_sender(const char *origin, const char *reverse_path);

/* counters.c. Each call belongs to a change of rows in the same transaction. */
enum store_status counters_load(struct store *s);
enum store_status counters_save(struct store *s); /* if there is something new */
enum store_status delivery_added(struct store *s, int64_t destination, int64_t due, int64_t now);
/* From one state to another (which may be the same: its time has changed). DONE: or it is gone. */
enum store_status delivery_moved(struct store *s, int64_t destination,
				 enum store_delivery_state from, enum store_delivery_state to);
/* The reason of a delivery that is not done; NULL: it has none. */
enum store_status delivery_stuck(struct store *s, const char *from, const char *to);

/* remove.c: the message and all that belongs to it. Its pending recipients are counted already. */
enum store_status remove_message(struct store *s, int64_t message);

/* maintain.c */
enum store_status store_checkpoint(struct store *s, int mode);
/* Writes and syncs what is in the log again, as it is. Before anything else is written. */
enum store_status store_rewrite_log(struct store *s);
enum store_status store_check_room(struct store *s, uint64_t size);

/* Rows to structs. */
void destination_row(sqlite3_stmt *st, struct arena *mem, struct store_destination *out);
void delivery_row(sqlite3_stmt *st, struct arena *mem, struct store_delivery *out);
enum store_status load_delivery(struct store *s, int64_t delivery, bool pending_only,
				struct arena *mem, struct store_delivery *out);
/* Statement `id`, whose one parameter is the delivery, on its row; the caller ends it. On an error,
 * or without a row (STORE_NOT_FOUND with words), *st is ended. */
enum store_status delivery_statement(struct store *s, enum sql id, int64_t delivery,
				     sqlite3_stmt **st);
/* STORE_NOT_FOUND with words, or the state. */
enum store_status delivery_state(struct store *s, int64_t delivery, enum store_delivery_state *out);
/* STORE_OK, or NO_MEMORY when the arena overflowed. */
enum store_status arena_status(struct store *s, const struct arena *mem);

bool text_fits(const char *text, size_t max);                                    /* NULL fits */
const char *cut_text(const char *text, char scratch[static STORE_TEXT_MAX + 1]); /* keeps NULL */

#endif
