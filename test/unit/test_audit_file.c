/* SPDX-License-Identifier: MIT */
/* From the outbox of the queue to the audit file (A3): in order, once, never changed, and a file
 * that was tampered with is noticed. */
#include "../store/help.h"
#include "digest/digest.h"
#include "engine/evidence.h"
#include "relay/audit_file.h"
#include "store/room.h"
#include "unit.h"

#include <string.h>
#include <unistd.h>

#define IS(call, want) assert_string_equal(store_status_name(call), store_status_name(want))

struct fixture {
	char queue_path[256], path[300];
	struct store *queue;
	struct audit_file file;
};

static void reopen(struct fixture *f)
{
	struct store_outbox box;
	if (f->queue == NULL)
		f->queue = help_open(f->queue_path, NULL);
	audit_file_close(&f->file);
	f->file = (struct audit_file){0};
	IS(store_outbox_state(f->queue, &box), STORE_OK);
	IS(audit_file_open(&f->file, f->path, f->queue, &box), STORE_OK);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	help_path(f->queue_path);
	snprintf(f->path, sizeof(f->path), "%s-audit", f->queue_path);
	reopen(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	audit_file_close(&f->file);
	store_close(&f->queue);
	help_unlink(f->path);
	help_clean(f->queue_path);
	free(f);
	return 0;
}

/* Record i: its host is "hI". */
static size_t body_of(int i, uint8_t out[static 512])
{
	char host[16];
	struct buf b;
	snprintf(host, sizeof(host), "h%d", i);
	struct audit_record r = {.type = AUDIT_ATTEMPT,
				 .attempt = {.count = 1,
					     .host = slice_str(host),
					     .port = 25,
					     .policy = SLICE_LIT("may"),
					     .accepted = true,
					     .key = SLICE_LIT("RSA 2048"),
					     .chain = {.total = 1, .n = 1},
					     .reason = SLICE_LIT("ok")}};
	memset(r.attempt.chain.cert[0].sha256, i + 1, AUDIT_DIGEST);
	memset(r.attempt.chain.cert[0].spki_sha256, i + 101, AUDIT_DIGEST);
	buf_init(&b, 512);
	assert_true(audit_encode(&r, &b));
	size_t n = buf_len(&b);
	memcpy(out, buf_slice(&b).p, n);
	buf_free(&b);
	return n;
}

static void add(struct fixture *f, int first, int n)
{
	struct store_outbox box;
	IS(store_outbox_state(f->queue, &box), STORE_OK);
	IS(store_begin(f->queue), STORE_OK);
	for (int i = first; i < first + n; i++) {
		uint8_t body[512];
		struct store_outbox_row row = {++box.last, 1000 + i,
					       slice_make(body, body_of(i, body))};
		IS(store_outbox_add(f->queue, &row), STORE_OK);
	}
	IS(store_commit(f->queue), STORE_OK);
}

/* Host "hI" at a time of its own, under what authority. */
static void add_host(struct fixture *f, int i, int64_t at, enum audit_authority authority)
{
	struct store_outbox box;
	struct audit_record r;
	uint8_t body[512];
	struct buf b;
	struct slice old = slice_make(body, body_of(i, body));
	assert_int_equal(audit_decode(old, &r), AUDIT_OK);
	r.attempt.authority = authority;
	buf_init(&b, 512);
	assert_true(audit_encode(&r, &b));
	IS(store_outbox_state(f->queue, &box), STORE_OK);
	struct store_outbox_row row = {++box.last, at, buf_slice(&b)};
	IS(store_begin(f->queue), STORE_OK);
	IS(store_outbox_add(f->queue, &row), STORE_OK);
	IS(store_commit(f->queue), STORE_OK);
	buf_free(&b);
}

static void move(struct fixture *f, size_t want)
{
	size_t n;
	IS(audit_file_move(&f->file, f->queue, &n), STORE_OK);
	assert_int_equal(n, want);
}

static void done(struct fixture *f)
{
	IS(store_begin(f->queue), STORE_OK);
	IS(store_outbox_done(f->queue, f->file.done, &f->file.head), STORE_OK);
	IS(store_commit(f->queue), STORE_OK);
}

/* The first broken record, 0: none. *n: records in the file. */
static uint64_t broken(struct fixture *f, const struct audit_head *head, size_t *n)
{
	struct arena mem;
	struct audit_link l[64];
	struct audit_head start, last;
	struct audit_verify v;
	struct store_audit *a;
	char error[256];
	arena_init(&mem, 1 << 20);
	IS(store_audit_open_read(f->path, &a, error, sizeof(error)), STORE_OK);
	IS(store_audit_ends(a, &start, &last), STORE_OK);
	IS(store_audit_read(a, 1, false, 64, &mem, l, n), STORE_OK);
	audit_verify_begin(&v, digest_sha256, &start, head, head != NULL ? 1 : 0);
	for (size_t i = 0; i < *n && audit_verify_link(&v, &l[i]); i++)
		;
	audit_verify_end(&v);
	store_audit_close(&a);
	arena_free(&mem);
	return v.broken;
}

static uint64_t broken_now(struct fixture *f)
{
	size_t n;
	struct store_outbox box;
	IS(store_outbox_state(f->queue, &box), STORE_OK);
	return broken(f, &box.head, &n);
}

static void raw(const char *path, const char *sql, int want)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), want);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* --- In order, once --------------------------------------------------------------------------- */

static void rows_become_records_in_order(void **state)
{
	struct fixture *f = *state;
	struct audit_link l[8];
	struct arena mem;
	struct audit_record r;
	size_t n;
	add(f, 0, 3);
	move(f, 3);
	add(f, 3, 2);
	move(f, 2);
	move(f, 0);
	arena_init(&mem, 65536);
	IS(store_audit_read(f->file.store, 2, false, 8, &mem, l, &n), STORE_OK);
	assert_int_equal(n, 4);
	assert_true(l[0].n == 2 && l[0].time == 1001 && l[3].n == 5);
	assert_int_equal(audit_decode(l[3].body, &r), AUDIT_OK);
	assert_true(slice_eq_str(r.attempt.host, "h4"));
	IS(store_audit_read(f->file.store, 3, true, 2, &mem, l, &n), STORE_OK);
	assert_true(n == 2 && l[0].n == 3 && l[1].n == 2);
	arena_free(&mem);
	assert_int_equal(broken(f, &f->file.head, &n), 0);
	assert_int_equal(n, 5);
}

static void a_group_that_is_undone_leaves_no_record(void **state)
{
	struct fixture *f = *state;
	uint8_t body[512];
	struct store_outbox_row row = {1, 1, slice_make(body, body_of(0, body))}, out[4];
	struct arena mem;
	size_t n;
	IS(store_outbox_add(f->queue, &row), STORE_MISUSE);
	IS(store_begin(f->queue), STORE_OK);
	IS(store_outbox_add(f->queue, &row), STORE_OK);
	arena_init(&mem, 65536);
	IS(store_outbox_read(f->queue, 0, 4, &mem, out, &n), STORE_MISUSE);
	arena_free(&mem);
	store_rollback(f->queue);
	move(f, 0);
}

/* A crash at each point between the two commits. */
static void nothing_is_moved_twice(void **state)
{
	struct fixture *f = *state;
	size_t n;
	add(f, 0, 4);
	move(f, 4); /* and the queue does not hear of it */
	store_close(&f->queue);
	reopen(f);
	assert_false(f->file.broken);
	assert_int_equal(f->file.done, 4);
	move(f, 0);
	add(f, 4, 1);
	move(f, 1);
	done(f);
	store_close(&f->queue);
	reopen(f);
	move(f, 0);
	add(f, 5, 1); /* its number was never used, though the outbox is empty */
	move(f, 1);
	assert_int_equal(broken(f, &f->file.head, &n), 0);
	assert_int_equal(n, 6);
}

static void two_queues_are_told_apart(void **state)
{
	struct fixture *f = *state;
	char other[300];
	size_t n;
	add(f, 0, 2);
	move(f, 2);
	done(f);
	store_close(&f->queue);
	snprintf(other, sizeof(other), "%s", f->queue_path);
	help_unlink(other); /* a new queue, with numbers from 1 again */
	reopen(f);
	assert_false(f->file.broken);
	add(f, 2, 2);
	move(f, 2);
	assert_int_equal(broken(f, NULL, &n), 0);
	assert_int_equal(n, 4);
}

static void a_reader_only_delays(void **state)
{
	struct fixture *f = *state;
	sqlite3 *db;
	size_t n;
	add(f, 0, 1);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM start", NULL, NULL, NULL),
			 SQLITE_OK);
	IS(audit_file_move(&f->file, f->queue, &n), STORE_BUSY);
	assert_int_equal(f->file.head.n, 0);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	move(f, 1);
	assert_int_equal(broken(f, &f->file.head, &n), 0);
}

/* --- Never changed ---------------------------------------------------------------------------- */

static void the_file_refuses_changes(void **state)
{
	struct fixture *f = *state;
	add(f, 0, 3);
	move(f, 3);
	static const char *const refused[] = {
	    "UPDATE record SET time = 1 WHERE n = 2",
	    "UPDATE record SET body = x'0101' WHERE n = 2",
	    "DELETE FROM record WHERE n = 2",
	    "DELETE FROM record",
	    "INSERT OR REPLACE INTO record SELECT 2, time, hash, body FROM record WHERE n = 3",
	    "DELETE FROM start",
	    "INSERT INTO record VALUES (4, 1, x'00', x'0101')",
	};
	for (size_t i = 0; i < ROWS(refused); i++)
		raw(f->path, refused[i], SQLITE_CONSTRAINT);
	assert_int_equal(broken_now(f), 0);
}

/* Whoever can write the file can also take the triggers out of it. */
static void change(struct fixture *f, const char *sql)
{
	char all[4096];
	snprintf(all, sizeof(all),
		 "DROP TRIGGER record_behind; DROP TRIGGER record_fixed; DROP TRIGGER record_kept; "
		 "DROP TRIGGER start_grows; %s",
		 sql);
	audit_file_close(&f->file);
	raw(f->path, all, SQLITE_OK);
}

static void tampering_is_found(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *sql;
		uint64_t broken;
		bool seen_at_start; /* by the relay, which looks at the end alone */
	} rows[] = {
	    {"UPDATE record SET body = zeroblob(length(body)) WHERE n = 3", 3, false},
	    {"UPDATE record SET time = time + 1 WHERE n = 1", 1, false},
	    {"DELETE FROM record WHERE n = 2", 2, false},
	    {"DELETE FROM record WHERE n = 1", 1, false},
	    {"DELETE FROM record WHERE n > 3", 4, true},
	    {"DELETE FROM record", 1, true},
	    {"DELETE FROM record WHERE n < 3; UPDATE start SET n = 2, hash = (SELECT hash FROM "
	     "record WHERE n = 3)",
	     3, false},
	    {"UPDATE record SET hash = zeroblob(32) WHERE n = 5", 5, true},
	};
	add(f, 0, 5);
	move(f, 5);
	done(f);
	for (size_t i = 0; i < ROWS(rows); i++) {
		char copy[320], command[700];
		snprintf(copy, sizeof(copy), "%s-copy", f->path);
		snprintf(command, sizeof(command), "cp %s %s", f->path, copy);
		audit_file_close(&f->file);
		assert_int_equal(system(command), 0);
		change(f, rows[i].sql);
		uint64_t at = broken_now(f);
		reopen(f);
		bool seen = f->file.broken;
		audit_file_close(&f->file);
		assert_int_equal(rename(copy, f->path), 0);
		if (at != rows[i].broken || seen != rows[i].seen_at_start)
			fail_msg("%s: broken at %d, seen at start: %d", rows[i].sql, (int)at, seen);
	}
	assert_int_equal(broken_now(f), 0);
}

static void two_records_change_places(void **state)
{
	struct fixture *f = *state;
	add(f, 0, 5);
	move(f, 5);
	done(f);
	change(f, "UPDATE record SET n = 100 WHERE n = 2; UPDATE record SET n = 2 WHERE n = 3; "
		  "UPDATE record SET n = 3 WHERE n = 100");
	assert_int_equal(broken_now(f), 2);
}

/* The chain goes on from what is remembered: what was lost stays to be seen. */
static void an_old_copy_is_found_and_the_gap_stays(void **state)
{
	struct fixture *f = *state;
	char command[700];
	size_t n;
	add(f, 0, 3);
	move(f, 3);
	done(f);
	audit_file_close(&f->file);
	snprintf(command, sizeof(command), "cp %s %s-old", f->path, f->path);
	assert_int_equal(system(command), 0);
	reopen(f);
	add(f, 3, 3);
	move(f, 3);
	done(f);
	audit_file_close(&f->file);
	snprintf(command, sizeof(command), "mv %s-old %s", f->path, f->path);
	assert_int_equal(system(command), 0);
	assert_int_equal(broken_now(f), 4);
	store_close(&f->queue);
	reopen(f);
	assert_true(f->file.broken);
	add(f, 6, 1);
	move(f, 1);
	done(f);
	assert_int_equal(f->file.head.n, 7);
	assert_int_equal(broken(f, &f->file.head, &n), 4);
	assert_int_equal(n, 4);
}

static void a_file_that_was_removed_is_missed(void **state)
{
	struct fixture *f = *state;
	size_t n;
	add(f, 0, 2);
	move(f, 2);
	done(f);
	audit_file_close(&f->file);
	help_unlink(f->path);
	reopen(f);
	assert_true(f->file.broken);
	add(f, 2, 1);
	move(f, 1);
	assert_int_equal(broken(f, &f->file.head, &n), 1);
}

/* --- Age -------------------------------------------------------------------------------------- */

/* The table of certificates is what the records say that are there. */
static bool is_derived(struct fixture *f)
{
	struct arena mem;
	struct audit_link l[64];
	struct store_audit *a, *anew;
	char error[256];
	size_t n;
	bool same;
	int64_t record;
	arena_init(&mem, 1 << 20);
	IS(store_audit_open_read(f->path, &a, error, sizeof(error)), STORE_OK);
	IS(store_audit_open_memory(&anew, error, sizeof(error)), STORE_OK);
	IS(store_audit_begin(anew), STORE_OK);
	IS(store_audit_hold(a), STORE_OK);
	IS(store_audit_read(a, 1, false, 64, &mem, l, &n), STORE_OK);
	for (size_t i = 0; i < n; i++)
		IS(audit_fold(anew, &l[i]), STORE_OK);
	IS(store_audit_same_peers(a, anew, &same, &record), STORE_OK);
	store_audit_rollback(a);
	store_audit_close(&a);
	store_audit_close(&anew);
	arena_free(&mem);
	return same;
}

struct outbox_end {
	struct fixture *f;
	int64_t last, now;
	size_t n;
};

static bool add_body(void *arg, struct slice body)
{
	struct outbox_end *o = arg;
	struct store_outbox_row row = {++o->last, o->now, body};
	o->n++;
	return store_outbox_add(o->f->queue, &row) == STORE_OK;
}

/* The steps of a keeper that removes up to there. */
static uint64_t remove_upto(struct fixture *f, int64_t now, int64_t before, struct audit_head upto)
{
	struct store_outbox box;
	struct buf body;
	bool more;
	buf_init(&body, 512);
	IS(store_outbox_state(f->queue, &box), STORE_OK);
	struct outbox_end end = {f, box.last, now, 0};
	bool all;
	IS(store_begin(f->queue), STORE_OK);
	IS(audit_file_carry(&f->file, before, &upto, &all, add_body, &end), STORE_OK);
	assert_true(all);
	assert_true(audit_file_checkpoint(&upto, before, &body));
	assert_true(add_body(&end, buf_slice(&body)));
	IS(store_commit(f->queue), STORE_OK);
	buf_free(&body);
	move(f, end.n);
	/* A crash here leaves a checkpoint that nothing follows from. */
	store_close(&f->queue);
	reopen(f);
	assert_false(f->file.broken);
	assert_int_equal(broken_now(f), 0);
	done(f);
	IS(audit_file_remove(&f->file, &upto), STORE_OK);
	IS(audit_file_forget(&f->file, &more), STORE_OK);
	assert_false(more);
	assert_true(is_derived(f));
	return upto.n;
}

/* By age: how many are signed off. */
static uint64_t retain(struct fixture *f, int64_t now, int64_t before)
{
	struct audit_head upto;
	IS(audit_file_old(&f->file, before, &upto), STORE_OK);
	return upto.n == 0 ? 0 : remove_upto(f, now, before, upto);
}

/* However young: the oldest eighth goes, and what is known does not. */
static void too_large_is_cut_and_forgets_nothing(void **state)
{
	struct fixture *f = *state;
	struct arena mem;
	struct audit_head upto = {0};
	struct store_peer peer;
	uint64_t whole, now;
	size_t n;
	add(f, 0, 40);
	move(f, 40);
	done(f);
	IS(store_audit_size(f->file.store, &whole), STORE_OK);
	IS(audit_file_oldest(&f->file, &upto), STORE_OK);
	assert_int_equal(upto.n, 5);
	assert_int_equal(remove_upto(f, 5000, 1, upto), 5);
	arena_init(&mem, 65536);
	IS(store_audit_known(f->file.store, "h1", 25, "RSA", 1, &mem, &peer, &n), STORE_OK);
	assert_int_equal(n, 1);
	assert_int_equal(peer.first, 1001);
	/* What goes by age already is more. */
	upto = (struct audit_head){.n = 30};
	IS(audit_file_oldest(&f->file, &upto), STORE_OK);
	assert_int_equal(upto.n, 30);
	/* Again and again: the last one stays. */
	for (int i = 0; i < 60; i++) {
		upto = (struct audit_head){0};
		IS(audit_file_oldest(&f->file, &upto), STORE_OK);
		assert_true(upto.n < f->file.head.n);
		if (upto.n > 0)
			remove_upto(f, 6000 + i, 5000 + i, upto);
	}
	IS(store_audit_size(f->file.store, &now), STORE_OK);
	assert_true(now < whole);
	arena_free(&mem);
}

/* One host again and again: what is known of it outlives the records that it was known from. */
static void what_is_known_is_carried_on(void **state)
{
	struct fixture *f = *state;
	struct arena mem;
	struct store_peer peer;
	size_t n;
	add(f, 0, 4);
	for (int i = 0; i < 6; i++)
		add_host(f, 1, 2000 + i, i == 2 ? AUTHORITY_TLSA : AUTHORITY_NONE);
	move(f, 10);
	done(f);
	assert_true(is_derived(f));
	assert_int_equal(retain(f, 3000, 2003), 7);
	arena_init(&mem, 65536);
	IS(store_audit_known(f->file.store, "h1", 25, "RSA", 1, &mem, &peer, &n), STORE_OK);
	assert_int_equal(n, 1);
	assert_int_equal(peer.first, 1001);
	assert_int_equal(peer.last, 2005);
	assert_int_equal(peer.record, 11);
	assert_int_equal(peer.authority, AUTHORITY_TLSA);
	IS(store_audit_known(f->file.store, "h2", 25, "RSA", 1, &mem, &peer, &n), STORE_OK);
	assert_int_equal(n, 0);
	/* And once more, from the record that carried it. */
	add_host(f, 1, 4000, AUTHORITY_NONE);
	move(f, 1);
	done(f);
	assert_int_equal(retain(f, 5000, 3500), 12);
	IS(store_audit_known(f->file.store, "h1", 25, "RSA", 1, &mem, &peer, &n), STORE_OK);
	assert_int_equal(peer.first, 1001);
	assert_int_equal(peer.authority, AUTHORITY_TLSA);
	arena_free(&mem);
}

/* What somebody has put into the table is not signed: it loses its record, and is found. */
static void what_no_record_says_is_not_carried(void **state)
{
	static const char *const changes[] = {
	    "UPDATE peer SET key = zeroblob(32)", "UPDATE peer SET cert = randomblob(32)",
	    "UPDATE peer SET first = 1000",       "UPDATE peer SET continuity = 3",
	    "UPDATE peer SET host = 'hX'",        "UPDATE peer SET port = 26",
	    "UPDATE peer SET authority = 1",      "UPDATE peer SET last = last + 1",
	    "UPDATE peer SET record = 4",         "UPDATE peer SET key_type = 'ECDSA'",
	};
	for (size_t i = 0; i < ROWS(changes); i++) {
		char sql[128];
		snprintf(sql, sizeof(sql), "%s WHERE host = 'h1'", changes[i]);
		if (i > 0) {
			teardown(state);
			setup(state);
		}
		struct fixture *f = *state;
		add(f, 0, 4);
		add_host(f, 1, 5000, AUTHORITY_NONE);
		move(f, 5);
		done(f);
		assert_true(is_derived(f));
		change(f, sql);
		assert_false(is_derived(f));
	}
}

static void too_many_are_forgotten_by_a_record(void **state)
{
	struct fixture *f = *state;
	struct buf body;
	buf_init(&body, 512);
	add(f, 0, 3);
	add_host(f, 5, 900, AUTHORITY_TLSA); /* the longest not seen, and authorised */
	move(f, 4);
	IS(audit_file_too_many(&f->file, &body), STORE_OK);
	assert_int_equal(buf_len(&body), 0);
	change(f,
	       "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100000) "
	       "INSERT INTO peer SELECT 'x' || n, 25, 'RSA', zeroblob(32), zeroblob(32), 0, 1, 1, "
	       "5000 + n, 5000 + n FROM c");
	reopen(f);
	IS(audit_file_too_many(&f->file, &body), STORE_OK);
	struct audit_record r;
	assert_int_equal(audit_decode(buf_slice(&body), &r), AUDIT_OK);
	assert_int_equal(r.type, AUDIT_FORGOTTEN);
	IS(store_audit_begin(f->file.store), STORE_OK);
	IS(audit_fold(f->file.store, &(struct audit_link){.n = 9, .body = buf_slice(&body)}),
	   STORE_OK);
	IS(store_audit_commit(f->file.store), STORE_OK);
	uint64_t left;
	IS(store_audit_count_peers(f->file.store, &left), STORE_OK);
	assert_in_range(left, AUDIT_PEERS_MAX * 9 / 10 - 10, AUDIT_PEERS_MAX * 9 / 10);
	struct arena mem;
	struct store_peer peer;
	size_t n;
	arena_init(&mem, 65536);
	IS(store_audit_known(f->file.store, "h5", 25, "RSA", 1, &mem, &peer, &n), STORE_OK);
	assert_int_equal(n, 1);
	IS(store_audit_known(f->file.store, "h0", 25, "RSA", 1, &mem, &peer, &n), STORE_OK);
	assert_int_equal(n, 0);
	arena_free(&mem);
	buf_free(&body);
}

static void old_records_go_and_a_checkpoint_stays(void **state)
{
	struct fixture *f = *state;
	size_t n;
	add(f, 0, 5); /* of times 1000 to 1004 */
	move(f, 5);
	done(f);
	assert_int_equal(retain(f, 2000, 1000), 0);
	assert_int_equal(f->file.head.n, 5); /* nothing was so old, nothing was written */
	assert_int_equal(retain(f, 2000, 1003), 3);
	assert_int_equal(f->file.head.n, 6);
	assert_int_equal(broken(f, &f->file.head, &n), 0);
	assert_int_equal(n, 3); /* 4, 5 and the checkpoint */
	assert_int_equal(broken_now(f), 0);
	struct arena mem;
	struct store_peer peer;
	arena_init(&mem, 65536);
	IS(store_audit_known(f->file.store, "h2", 25, "RSA", 1, &mem, &peer, &n), STORE_OK);
	assert_int_equal(n, 0); /* last seen at 1002 */
	IS(store_audit_known(f->file.store, "h3", 25, "RSA", 1, &mem, &peer, &n), STORE_OK);
	assert_int_equal(n, 1);
	arena_free(&mem);
	add(f, 5, 2);
	move(f, 2);
	done(f);
	assert_int_equal(retain(f, 3000, 9999), 7);
	assert_int_equal(broken(f, &f->file.head, &n), 0);
	assert_int_equal(n, 2); /* the last record always stays, and the checkpoint */
	store_close(&f->queue);
	reopen(f);
	assert_false(f->file.broken);
	/* The same without the checkpoint's word. */
	change(f, "UPDATE start SET n = 8, hash = (SELECT hash FROM record WHERE n = 8); "
		  "DELETE FROM record WHERE n < 9");
	assert_int_equal(broken(f, NULL, &n), 8);
}

/* --- Forged ends ------------------------------------------------------------------------------ */

/* Whoever can write the audit file alone can hash, too. Appends a checkpoint as record head + 1. */
static void forge_checkpoint(struct fixture *f, const struct audit_head *upto,
			     const struct audit_head *head)
{
	char sql[2048], hash[65], hex[1025], start[65];
	struct buf body;
	buf_init(&body, 512);
	assert_true(audit_file_checkpoint(upto, 5000, &body));
	struct audit_link l = {.time = 5000, .body = buf_slice(&body)};
	audit_link_next(digest_sha256, head, &l);
	hex_encode(slice_make(l.hash, AUDIT_DIGEST), hash);
	hex_encode(slice_make(upto->hash, AUDIT_DIGEST), start);
	hex_encode(l.body, hex);
	snprintf(sql, sizeof(sql),
		 "UPDATE start SET n = %d, hash = x'%s'; DELETE FROM record WHERE n <= %d; "
		 "INSERT INTO record VALUES (%d, 5000, x'%s', x'%s')",
		 (int)upto->n, start, (int)upto->n, (int)l.n, hash, hex);
	buf_free(&body);
	change(f, sql);
}

static uint64_t vouched(struct fixture *f)
{
	struct store_outbox box;
	struct audit_head start, last;
	struct audit_verify v;
	struct store_audit *a;
	struct arena mem;
	struct audit_link l[64];
	char error[256];
	size_t n;
	IS(store_outbox_state(f->queue, &box), STORE_OK);
	arena_init(&mem, 1 << 20);
	IS(store_audit_open_read(f->path, &a, error, sizeof(error)), STORE_OK);
	IS(store_audit_ends(a, &start, &last), STORE_OK);
	IS(store_audit_read(a, 1, false, 64, &mem, l, &n), STORE_OK);
	audit_verify_begin(&v, digest_sha256, &start, &box.head, 1);
	v.vouched = box.head.n;
	for (size_t i = 0; i < n && audit_verify_link(&v, &l[i]); i++)
		;
	audit_verify_end(&v);
	store_audit_close(&a);
	arena_free(&mem);
	return v.broken;
}

/* A3: nobody but who writes the queue too can sign off. */
static void a_forged_checkpoint_signs_nothing_off(void **state)
{
	struct fixture *f = *state;
	struct audit_head upto = {.n = 3}, all = {.n = 9, .hash = {7}};
	struct audit_link l;
	struct arena mem;
	size_t n;
	add(f, 0, 5);
	move(f, 5);
	done(f);
	arena_init(&mem, 65536);
	IS(store_audit_read(f->file.store, 3, false, 1, &mem, &l, &n), STORE_OK);
	memcpy(upto.hash, l.hash, AUDIT_DIGEST);
	arena_free(&mem);
	struct audit_head head = f->file.head;
	forge_checkpoint(f, &upto, &head);
	assert_int_equal(vouched(f), 3);
	reopen(f);
	assert_true(f->file.broken); /* and it does not go on from there */
	assert_memory_equal(f->file.head.hash, head.hash, AUDIT_DIGEST);
	/* All is gone, and the file begins behind what is remembered. */
	audit_file_close(&f->file);
	help_unlink(f->path);
	struct store_audit *a;
	char error[256];
	IS(store_audit_open(f->path, &a, error, sizeof(error)), STORE_OK);
	store_audit_close(&a);
	forge_checkpoint(f, &all, &all);
	assert_int_equal(broken_now(f), 5);
	reopen(f);
	assert_true(f->file.broken);
}

/* What the file has more than the queue remembers must be what waits in the queue. */
static void a_record_that_nobody_recorded_is_found(void **state)
{
	struct fixture *f = *state;
	struct audit_head none = {.n = 0};
	add(f, 0, 2);
	move(f, 2);
	done(f);
	add(f, 2, 2);
	move(f, 2); /* and the queue does not hear of it */
	struct audit_head head = f->file.head;
	reopen(f);
	assert_false(f->file.broken);
	forge_checkpoint(f, &none, &head);
	store_close(&f->queue);
	reopen(f);
	assert_true(f->file.broken);
}

/* Nor does the file say what need not be recorded any more. */
static void a_forged_place_in_the_outbox_loses_nothing(void **state)
{
	struct fixture *f = *state;
	add(f, 0, 2);
	move(f, 2);
	done(f);
	add(f, 2, 2);
	audit_file_close(&f->file);
	raw(f->path, "UPDATE mover SET moved = 1000", SQLITE_OK);
	store_close(&f->queue);
	reopen(f);
	assert_true(f->file.broken);
	move(f, 2);
	raw(f->path, "UPDATE mover SET moved = 3", SQLITE_OK);
	add(f, 4, 1);
	reopen(f);
	move(f, 3);
}

/* --- Peers ------------------------------------------------------------------------------------ */

static void peers_are_remembered(void **state)
{
	struct fixture *f = *state;
	struct store_peer p[4];
	struct arena mem;
	size_t n;
	add(f, 0, 2);
	add(f, 0, 1);
	move(f, 3);
	arena_init(&mem, 65536);
	IS(store_audit_known(f->file.store, "h0", 25, "RSA", 4, &mem, p, &n), STORE_OK);
	assert_int_equal(n, 1);
	assert_true(p[0].first == 1000 && p[0].last == 1000 && p[0].record == 1);
	assert_true(p[0].cert[0] == 1 && p[0].key[0] == 101);
	IS(store_audit_known(f->file.store, "h0", 465, "RSA", 4, &mem, p, &n), STORE_OK);
	assert_int_equal(n, 0);
	struct store_peer more = p[0];
	more.host = "h0";
	more.key_type = "RSA";
	more.port = 25;
	more.cert[0] = 9;
	more.first = more.last = 5000;
	more.authority = AUTHORITY_TLSA;
	IS(store_audit_peer(f->file.store, &more), STORE_MISUSE);
	IS(store_audit_begin(f->file.store), STORE_OK);
	IS(store_audit_peer(f->file.store, &more), STORE_OK);
	more.last = 6000;
	more.authority = AUTHORITY_NONE; /* what once authorised it is not forgotten */
	IS(store_audit_peer(f->file.store, &more), STORE_OK);
	IS(store_audit_commit(f->file.store), STORE_OK);
	IS(store_audit_known(f->file.store, "h0", 25, "RSA", 4, &mem, p, &n), STORE_OK);
	assert_int_equal(n, 2);
	assert_true(p[0].first == 5000 && p[0].last == 6000 && p[0].authority == AUTHORITY_TLSA);
	arena_free(&mem);
}

/* --- Files ------------------------------------------------------------------------------------ */

static void strange_files_are_refused(void **state)
{
	struct fixture *f = *state;
	struct store_audit *a;
	char error[256], path[320];
	snprintf(path, sizeof(path), "%s-none", f->path);
	IS(store_audit_open_read(path, &a, error, sizeof(error)), STORE_NOT_FOUND);
	assert_int_not_equal(access(path, F_OK), 0);
	raw(path, "CREATE TABLE t (x)", SQLITE_OK);
	IS(store_audit_open_read(path, &a, error, sizeof(error)), STORE_CORRUPT);
	IS(store_audit_open(path, &a, error, sizeof(error)), STORE_CORRUPT);
	assert_non_null(strstr(error, "not an audit file"));
	raw(path, "PRAGMA application_id = 1145853761; PRAGMA user_version = 2", SQLITE_OK);
	IS(store_audit_open(path, &a, error, sizeof(error)), STORE_NEWER);
	unlink(path);
}

/* What is asked for by name must be the table that we made. */
static void tables_that_were_changed_are_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const changes[] = {
	    "ALTER TABLE record RENAME TO r; CREATE VIEW record AS SELECT * FROM r",
	    "CREATE VIEW other AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) "
	    "SELECT * FROM c",
	    "CREATE TABLE r (n, time, hash, body); INSERT INTO r SELECT * FROM record; "
	    "DROP TABLE record; ALTER TABLE r RENAME TO record",
	    "CREATE TABLE sqlitea (x)",
	};
	struct store_audit *a;
	char error[256], copy[320], command[700];
	add(f, 0, 2);
	move(f, 2);
	done(f);
	audit_file_close(&f->file);
	raw(f->path, "ANALYZE", SQLITE_OK); /* that is SQLite's own */
	snprintf(copy, sizeof(copy), "%s-copy", f->path);
	for (size_t i = 0; i < ROWS(changes); i++) {
		snprintf(command, sizeof(command), "cp %s %s", f->path, copy);
		assert_int_equal(system(command), 0);
		raw(copy, changes[i], SQLITE_OK);
		IS(store_audit_open_read(copy, &a, error, sizeof(error)), STORE_CORRUPT);
		IS(store_audit_open(copy, &a, error, sizeof(error)), STORE_CORRUPT);
		assert_non_null(strstr(error, "somebody changed them"));
		unlink(copy);
	}
	reopen(f);
	assert_false(f->file.broken);
}

static void a_queue_of_version_1_gets_its_outbox(void **state)
{
	struct fixture *f = *state;
	struct store_outbox box;
	char path[300], error[256];
	snprintf(path, sizeof(path), "%s-old", f->queue_path);
	raw(path, "PRAGMA auto_vacuum = INCREMENTAL", SQLITE_OK);
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	static const char *const steps[] = {
	    "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL", store_schema_1_sql,
	    "INSERT INTO override VALUES ('x.example', 'may', 1, 2)",
	    "PRAGMA application_id = 1145853777; PRAGMA user_version = 1"};
	for (size_t i = 0; i < ROWS(steps); i++)
		assert_int_equal(sqlite3_exec(db, steps[i], NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	struct store *s = help_open(path, NULL);
	IS(store_outbox_state(s, &box), STORE_OK);
	assert_true(box.last == 0 && box.head.n == 0);
	struct arena mem;
	struct store_override o;
	size_t n;
	arena_init(&mem, 65536);
	IS(store_overrides(s, NULL, 1, &mem, &o, &n), STORE_OK);
	assert_int_equal(n, 1);
	arena_free(&mem);
	struct store_outbox peeked;
	IS(store_outbox_peek(path, &peeked, error, sizeof(error)), STORE_BUSY);
	store_close(&s);
	IS(store_outbox_peek(path, &peeked, error, sizeof(error)), STORE_OK);
	assert_memory_equal(peeked.queue, box.queue, sizeof(box.queue));
	help_unlink(path);
}

/* --- A keeper that died ----------------------------------------------------------------------- */

struct told {
	int count;
	bool in_doubt;
	enum store_status answer;
};

static enum store_status on_interrupted(void *arg, struct store *s,
					const struct store_interrupted *d)
{
	struct told *t = arg;
	struct store_outbox box;
	uint8_t body[512];
	assert_string_equal(d->queue_id, "Q");
	assert_string_equal(d->next_hop, "x.example");
	t->count++;
	t->in_doubt = d->in_doubt;
	IS(store_outbox_state(s, &box), STORE_OK);
	struct store_outbox_row row = {box.last + 1, 1, slice_make(body, body_of(7, body))};
	IS(store_outbox_add(s, &row), STORE_OK);
	return t->answer;
}

static void what_was_under_way_is_told(void **state)
{
	struct fixture *f = *state;
	struct arena mem;
	struct store_delivery d;
	char error[256];
	struct told t = {.answer = STORE_IO};
	struct store_recovery r;
	struct store_config c = {.path = f->queue_path, .interrupted = on_interrupted, .arg = &t};
	IS(store_begin(f->queue), STORE_OK);
	IS(help_add_one(f->queue, "Q", "x.example", T0), STORE_OK);
	IS(store_commit(f->queue), STORE_OK);
	arena_init(&mem, 65536);
	IS(store_begin(f->queue), STORE_OK);
	int64_t id = help_first_delivery(f->queue, "Q");
	IS(store_take(f->queue, id, T0, &mem, &d), STORE_OK);
	IS(store_mark_dot(f->queue, id), STORE_OK);
	IS(store_commit(f->queue), STORE_OK);
	arena_free(&mem);
	store_close(&f->queue);
	/* Either both, the record and the state, or neither. */
	IS(store_open(&c, T0, &f->queue, &r, error, sizeof(error)), STORE_IO);
	t.answer = STORE_OK;
	IS(store_open(&c, T0, &f->queue, &r, error, sizeof(error)), STORE_OK);
	assert_true(t.count == 2 && t.in_doubt && r.in_doubt == 1);
	move(f, 1);
}

/* --- Evidence --------------------------------------------------------------------------------- */

/* Two RRsets, the first the same for all, the second of number i. */
static void evidence_of(uint8_t i, uint8_t octets[static 2][64], struct evidence *e)
{
	*e = (struct evidence){.time = 1,
			       .destination = "example",
			       .host = "example",
			       .base = "example",
			       .mx = EVIDENCE_MX_NONE,
			       .port = 25,
			       .nrrset = 2};
	for (uint8_t k = 0; k < 2; k++) {
		struct buf b;
		buf_init(&b, 64);
		buf_add(&b, "\0\0\1\0\1\0\0\0\0\0\4\1\2\3", 14);
		buf_add_u8(&b, k == 0 ? 0 : i);
		buf_add(&b, "\0\0\56\0\1\0\0\0\0\0\24", 11);
		buf_add(&b, "\0\1\15\0\0\0\0\0\0\0\0\2\0\0\0\1\0\7\0x", 20);
		memcpy(octets[k], buf_slice(&b).p, buf_len(&b));
		e->rrset[k] = slice_make(octets[k], buf_len(&b));
		buf_free(&b);
	}
	evidence_set_id(e);
}

/* Evidence as a courier sends it, and behind it a record that has its id. */
static void add_with_evidence(struct fixture *f, uint8_t i)
{
	uint8_t octets[2][64];
	struct evidence e;
	struct buf evidence, record;
	struct store_outbox box;
	struct audit_record r = {.type = AUDIT_ATTEMPT, .attempt = {.count = 1}};
	evidence_of(i, octets, &e);
	memcpy(r.attempt.evidence, e.id, AUDIT_DIGEST);
	buf_init(&evidence, EVIDENCE_BODY_MAX);
	buf_init(&record, AUDIT_BODY_MAX);
	assert_true(evidence_encode(&e, &evidence) && audit_encode(&r, &record));
	IS(store_outbox_state(f->queue, &box), STORE_OK);
	IS(store_begin(f->queue), STORE_OK);
	struct store_outbox_row rows[] = {{box.last + 1, 1000 + i, buf_slice(&evidence)},
					  {box.last + 2, 1000 + i, buf_slice(&record)}};
	IS(store_outbox_add(f->queue, &rows[0]), STORE_OK);
	IS(store_outbox_add(f->queue, &rows[1]), STORE_OK);
	IS(store_commit(f->queue), STORE_OK);
	buf_free(&evidence);
	buf_free(&record);
	move(f, 2);
	done(f);
}

static enum store_status kept(struct fixture *f, uint8_t i)
{
	uint8_t octets[2][64];
	struct evidence e, found;
	struct arena mem;
	arena_init(&mem, 65536);
	evidence_of(i, octets, &e);
	enum store_status s = store_audit_evidence(f->file.store, e.id, &mem, &found);
	if (s == STORE_OK) {
		assert_int_equal(found.nrrset, 2);
		assert_true(slice_eq(found.rrset[1], e.rrset[1]));
		evidence_set_id(&found);
		assert_memory_equal(found.id, e.id, AUDIT_DIGEST);
	}
	arena_free(&mem);
	return s;
}

static void evidence_goes_with_its_last_record(void **state)
{
	struct fixture *f = *state;
	size_t n;
	add_with_evidence(f, 1); /* record 1 */
	add_with_evidence(f, 2);
	add_with_evidence(f, 1); /* record 3 names it again */
	IS(kept(f, 1), STORE_OK);
	IS(kept(f, 2), STORE_OK);
	assert_int_equal(broken(f, &f->file.head, &n), 0);
	assert_int_equal(n, 3); /* evidence is no record */
	add(f, 10, 1);
	move(f, 1);
	done(f);
	struct audit_head second = {.n = 2};
	IS(store_audit_begin(f->file.store), STORE_OK);
	IS(store_audit_set_start(f->file.store, &second), STORE_OK);
	IS(store_audit_evidence_forget(f->file.store, 100), STORE_OK);
	IS(store_audit_commit(f->file.store), STORE_OK);
	IS(kept(f, 1), STORE_OK);
	IS(kept(f, 2), STORE_NOT_FOUND);
	second.n = 3;
	IS(store_audit_begin(f->file.store), STORE_OK);
	IS(store_audit_set_start(f->file.store, &second), STORE_OK);
	IS(store_audit_evidence_forget(f->file.store, 100), STORE_OK);
	IS(store_audit_commit(f->file.store), STORE_OK);
	IS(kept(f, 1), STORE_NOT_FOUND);
}

/* What is undone leaves nothing, and the next change can begin. */
static void a_change_that_is_undone_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	add_with_evidence(f, 1);
	IS(kept(f, 1), STORE_OK);
	struct audit_head second = {.n = 2};
	for (int turn = 0; turn < 2; turn++) {
		IS(store_audit_begin(f->file.store), STORE_OK);
		IS(store_audit_set_start(f->file.store, &second), STORE_OK);
		IS(store_audit_evidence_forget(f->file.store, 100), STORE_OK);
		store_audit_rollback(f->file.store);
		IS(kept(f, 1), STORE_OK);
	}
	IS(store_audit_begin(f->file.store), STORE_OK);
	IS(store_audit_evidence_forget(f->file.store, 100), STORE_OK);
	IS(store_audit_commit(f->file.store), STORE_OK);
	IS(kept(f, 1), STORE_OK); /* record 1 is still there and names it */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(rows_become_records_in_order),
	    TEST(a_group_that_is_undone_leaves_no_record),
	    TEST(a_change_that_is_undone_leaves_nothing),
	    TEST(nothing_is_moved_twice),
	    TEST(two_queues_are_told_apart),
	    TEST(a_reader_only_delays),
	    TEST(the_file_refuses_changes),
	    TEST(tampering_is_found),
	    TEST(two_records_change_places),
	    TEST(an_old_copy_is_found_and_the_gap_stays),
	    TEST(a_file_that_was_removed_is_missed),
	    TEST(old_records_go_and_a_checkpoint_stays),
	    TEST(too_large_is_cut_and_forgets_nothing),
	    TEST(what_is_known_is_carried_on),
	    TEST(what_no_record_says_is_not_carried),
	    TEST(too_many_are_forgotten_by_a_record),
	    TEST(a_forged_checkpoint_signs_nothing_off),
	    TEST(a_record_that_nobody_recorded_is_found),
	    TEST(a_forged_place_in_the_outbox_loses_nothing),
	    TEST(peers_are_remembered),
	    TEST(evidence_goes_with_its_last_record),
	    TEST(strange_files_are_refused),
	    TEST(tables_that_were_changed_are_refused),
	    TEST(a_queue_of_version_1_gets_its_outbox),
	    TEST(what_was_under_way_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
