/* SPDX-License-Identifier: MIT */
/* store: what a keeper does with it on a good day; states, constraints, limits. */
#include "../store/help.h"
#include "store/audit.h"
#include "store/room.h"
#include "unit.h"

#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	char path[256];
	struct store *s;
	struct arena mem;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	help_path(f->path);
	f->s = help_open(f->path, NULL);
	arena_init(&f->mem, 16 << 20);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	store_close(&f->s);
	help_audit(f->path);
	help_clean(f->path);
	arena_free(&f->mem);
	free(f);
	return 0;
}

#define OK(call) assert_string_equal(store_status_name(call), "ok")
#define IS(call, status) assert_string_equal(store_status_name(call), store_status_name(status))

static void add_one(struct fixture *f, const char *id, const char *hop, int64_t due)
{
	OK(store_begin(f->s));
	OK(help_add_one(f->s, id, hop, due));
	OK(store_commit(f->s));
}

static struct store_totals totals(struct fixture *f)
{
	struct store_totals t;
	OK(store_totals(f->s, &t));
	return t;
}

static struct store_delivery taken(struct fixture *f, int64_t delivery)
{
	struct store_delivery d;
	OK(store_begin(f->s));
	OK(store_take(f->s, delivery, T0, &f->mem, &d));
	OK(store_commit(f->s));
	return d;
}

/* All recipients to one state. */
static enum store_status record(struct fixture *f, int64_t delivery, enum store_rcpt_state to,
				bool unknown, struct store_recorded *out)
{
	struct store_rcpt_result r = {.n = 0,
				      .state = to,
				      .reason = "smtp-deferred",
				      .code = "4.0.0",
				      .reply = "try later",
				      .host = "mx.example"};
	struct store_try t = {.at = T0,
			      .host = "mx.example",
			      .address = "192.0.2.1",
			      .policy = "dane",
			      .reason = "smtp-deferred",
			      .code = "4.0.0"};
	struct store_result result = {.delivery = delivery,
				      .at = T0,
				      .due = T0 + 60000,
				      .unknown = unknown,
				      .reason = "smtp-deferred",
				      .code = "4.0.0",
				      .detail = "try later",
				      .host = "mx.example",
				      .rcpt = &r,
				      .nrcpt = 1,
				      .tries = &t,
				      .ntries = 1};
	struct store_recorded mine;
	return store_record(f->s, &result, out ? out : &mine);
}

/* --- one mail's life ------------------------------------------------------------------------- */

static void a_mail_comes_back_as_it_went_in(void **state)
{
	struct fixture *f = *state;
	OK(store_begin(f->s));
	for (int i = 0; i < 14; i++)
		OK(help_add(f->s, i));
	OK(store_commit(f->s));
	bool have[14];
	help_verify(f->s, have, 14);
	for (int i = 0; i < 14; i++)
		assert_true(have[i]);
	struct store_totals t = totals(f);
	assert_int_equal(t.messages, 14);
	assert_int_equal(t.waiting, 28);
	assert_int_equal(t.recipients, 42);
	assert_int_equal(t.oldest, T0);
	struct store_delivery d = taken(f, help_first_delivery(f->s, "Q6"));
	assert_string_equal(d.envelope.reverse_path, "from6@example.net");
	assert_string_equal(d.envelope.envid, "e");
	assert_string_equal(d.envelope.ret, "HDRS");
	assert_string_equal(d.envelope.origin, "client [192.0.2.1]");
	assert_true(d.envelope.eight_bit);
	assert_false(d.envelope.smtputf8);
	assert_string_equal(d.next_hop, "d1.example");
	assert_string_equal(d.rcpt[0].orcpt, "rfc822;a@x.example");
	assert_null(d.rcpt[0].notify);
	assert_string_equal(d.rcpt[1].notify, "NEVER");
	assert_int_equal(d.attempts, 1);
}

static void text_in_pieces(void **state)
{
	struct fixture *f = *state;
	OK(store_begin(f->s));
	OK(help_add(f->s, 6));
	OK(store_commit(f->s));
	struct store_delivery d = taken(f, help_first_delivery(f->s, "Q6"));
	size_t n = help_size(6), got;
	uint8_t *all = malloc(n), piece[5000];
	OK(store_text_read(f->s, d.message, 0, all, n, &got));
	for (uint64_t at = 0; at < n + 1; at += got) {
		OK(store_text_read(f->s, d.message, at, piece, sizeof piece, &got));
		assert_memory_equal(piece, all + at, got);
		if (got < sizeof piece)
			break;
	}
	OK(store_text_read(f->s, d.message, 262143, piece, 2, &got)); /* across two parts */
	assert_int_equal(got, 2);
	assert_memory_equal(piece, all + 262143, 2);
	OK(store_text_read(f->s, d.message, n, piece, 2, &got));
	assert_int_equal(got, 0);
	int fd = memfd_create("copy", 0);
	OK(store_text_copy(f->s, d.message, fd));
	uint8_t *copy = malloc(n);
	assert_int_equal(pread(fd, copy, n, 0), n);
	assert_memory_equal(copy, all, n);
	close(fd);
	IS(store_text_copy(f->s, d.message, -1), STORE_SOURCE);
	IS(store_text_read(f->s, 999, 0, piece, 2, &got), STORE_NOT_FOUND);
	free(copy);
	free(all);
}

static void text_from_a_descriptor(void **state)
{
	struct fixture *f = *state;
	int fd = memfd_create("text", 0);
	size_t n = (3 << 20) + 5;
	uint8_t *text = malloc(n), *is = malloc(n);
	for (size_t i = 0; i < n; i++)
		text[i] = (uint8_t)(i / 3);
	assert_int_equal(write(fd, "skip me", 7), 7);
	assert_int_equal(write(fd, text, n), n);
	struct store_new_rcpt r = {.address = "a@b.example"};
	struct store_new_delivery d = {.next_hop = "b.example", .rcpt = &r, .nrcpt = 1, .due = T0};
	struct store_new_message m = {
	    .envelope = {.queue_id = "BIG", .reverse_path = "", .origin = "x", .size = n},
	    .text = {.fd = fd, .offset = 7},
	    .delivery = &d,
	    .ndelivery = 1};
	OK(store_begin(f->s));
	OK(help_add_one(f->s, "FIRST", "b.example", T0));
	m.envelope.size = n + 1;
	IS(store_add(f->s, &m), STORE_SOURCE); /* shorter than announced: this one only */
	m.envelope.size = n;
	OK(store_add(f->s, &m));
	OK(store_commit(f->s));
	struct store_delivery got;
	OK(store_show(f->s, help_first_delivery(f->s, "BIG"), &f->mem, &got));
	size_t len;
	OK(store_text_read(f->s, got.message, 0, is, n, &len));
	assert_int_equal(len, n);
	assert_memory_equal(is, text, n);
	assert_int_equal(totals(f).messages, 2);
	close(fd);
	free(text);
	free(is);
}

static void a_delivery_runs_through_its_states(void **state)
{
	struct fixture *f = *state;
	add_one(f, "A", "a.example", T0);
	int64_t id = help_first_delivery(f->s, "A");
	struct store_recorded r;
	OK(store_begin(f->s));
	IS(record(f, id, STORE_SENT, false, &r), STORE_STATE); /* not active */
	IS(store_mark_dot(f->s, id), STORE_STATE);
	struct store_delivery d;
	OK(store_take(f->s, id, T0, &f->mem, &d));
	assert_int_equal(d.state, STORE_ACTIVE);
	IS(store_take(f->s, id, T0, &f->mem, &d), STORE_STATE);
	assert_non_null(strstr(store_error(f->s), "active"));
	OK(store_mark_dot(f->s, id));
	assert_int_equal(totals(f).in_doubt, 1);
	OK(record(f, id, STORE_PENDING, false, &r));
	assert_int_equal(r.state, STORE_WAITING);
	assert_int_equal(r.message_pending, 1);
	assert_int_equal(totals(f).in_doubt, 0);
	OK(store_take(f->s, id, T0, &f->mem, &d));
	assert_int_equal(d.attempts, 2);
	assert_string_equal(d.reason, "smtp-deferred");
	assert_string_equal(d.rcpt[0].reply, "try later");
	OK(record(f, id, STORE_SENT, false, &r));
	assert_int_equal(r.state, STORE_DONE);
	assert_int_equal(r.message_pending, 0);
	IS(record(f, id, STORE_SENT, false, &r), STORE_NOT_FOUND); /* gone, as it will be */
	OK(help_add_one(f->s, "DSN", "b.example", T0)); /* what replaces it, in the same commit */
	OK(store_commit(f->s));
	assert_int_equal(totals(f).messages, 1);
	IS(store_show(f->s, id, &f->mem, &d), STORE_NOT_FOUND);
	OK(store_begin(f->s));
	IS(record(f, id, STORE_SENT, false, &r), STORE_NOT_FOUND);
	IS(store_take(f->s, id, T0, &f->mem, &d), STORE_NOT_FOUND);
	OK(store_commit(f->s));
}

static void some_recipients_end_before_others(void **state)
{
	struct fixture *f = *state;
	OK(store_begin(f->s));
	OK(help_add(f->s, 1));
	OK(store_commit(f->s));
	int64_t id = help_first_delivery(f->s, "Q1");
	taken(f, id);
	struct store_rcpt_result r[] = {{.n = 1, .state = STORE_FAILED, .reason = "smtp-rejected"}};
	struct store_result result = {
	    .delivery = id, .due = T0 + 5, .reason = "x", .rcpt = r, .nrcpt = 1};
	struct store_recorded out;
	OK(store_begin(f->s));
	OK(store_record(f->s, &result, &out));
	assert_int_equal(out.state, STORE_WAITING);
	assert_int_equal(out.delivery_pending, 1);
	assert_int_equal(out.message_pending, 2);
	OK(store_commit(f->s));
	struct store_delivery d = taken(f, id);
	assert_int_equal(d.nrcpt, 1); /* the pending one */
	assert_int_equal(d.rcpt[0].n, 0);
	OK(store_begin(f->s));
	IS(store_record(f->s, &result, &out), STORE_NOT_FOUND); /* it failed once, for good */
	result.nrcpt = 0;
	r[0].n = 7;
	result.nrcpt = 1;
	IS(store_record(f->s, &result, &out), STORE_NOT_FOUND);
	r[0] = (struct store_rcpt_result){.n = 0, .state = STORE_SENT};
	OK(store_record(f->s, &result, &out));
	assert_int_equal(out.state, STORE_DONE);
	assert_int_equal(out.message_pending, 1); /* the other next hop's */
	OK(store_commit(f->s));
	OK(store_show(f->s, id, &f->mem, &d));
	assert_int_equal(d.rcpt[1].state, STORE_FAILED);
	assert_string_equal(d.rcpt[1].reason, "smtp-rejected");
	assert_int_equal(totals(f).messages, 1);
}

static void tries_are_bounded(void **state)
{
	struct fixture *f = *state;
	add_one(f, "A", "a.example", T0);
	int64_t id = help_first_delivery(f->s, "A");
	struct store_try many[40];
	char detail[40][2000];
	struct store_result result = {.delivery = id, .due = T0, .tries = many};
	struct store_recorded out;
	for (int i = 0; i < 40; i++) {
		memset(detail[i], 'x', sizeof detail[i] - 1);
		detail[i][sizeof detail[i] - 1] = '\0';
		many[i] = (struct store_try){.at = i, .reason = "timeout", .detail = detail[i]};
	}
	static const struct {
		size_t n, kept;
		int64_t first;
	} rows[] = {{3, 3, 0}, {24, 24, 0}, {1, 24, 1}, {40, 24, 16}};
	for (size_t i = 0; i < ROWS(rows); i++) {
		taken(f, id);
		result.ntries = rows[i].n;
		OK(store_begin(f->s));
		OK(store_record(f->s, &result, &out));
		OK(store_commit(f->s));
		struct store_try got[STORE_TRIES_MAX];
		size_t n;
		OK(store_tries(f->s, id, &f->mem, got, &n));
		assert_int_equal(n, rows[i].kept);
		assert_int_equal(got[0].at, rows[i].first);
		assert_int_equal(strlen(got[0].detail), STORE_TEXT_MAX);
	}
}

/* --- the clock ------------------------------------------------------------------------------- */

#define LONGEST (INT64_C(4) * 3600 * 1000)
#define LIFETIME (INT64_C(5) * 24 * 3600 * 1000)

static void shift(struct fixture *f, int64_t by, int64_t now)
{
	struct store_shift x = {.by = by, .due_max = now + LONGEST, .expires_max = now + LIFETIME};
	OK(store_begin(f->s));
	OK(store_shift(f->s, &x));
	OK(store_commit(f->s));
}

/* Every number in the schema: is it a time, and does it move with a step of the wall clock? A new
 * column is not in here, and the test fails until somebody has thought about it. */
enum moves { NO_TIME, MOVES, STAYS };
static const struct {
	const char *column;
	enum moves moves;
} columns[] = {
    {"audit_head.moved", NO_TIME},
    {"audit_head.n", NO_TIME},
    {"audit_head.one", NO_TIME},
    {"body.id", NO_TIME},
    {"clock.elapsed", STAYS}, /* the keeper sets the row anew */
    {"clock.one", NO_TIME},
    {"clock.wall", STAYS},
    {"delivery.alarm", MOVES},
    {"delivery.arrived", STAYS}, /* what the message says; nothing ends by it */
    {"delivery.attempts", NO_TIME},
    {"delivery.destination", NO_TIME},
    {"delivery.dot_sent", NO_TIME},
    {"delivery.due", MOVES},
    {"delivery.expires", MOVES},
    {"delivery.hold_wanted", NO_TIME},
    {"delivery.id", NO_TIME},
    {"delivery.in_doubt", NO_TIME},
    {"delivery.last_attempt", STAYS}, /* for people */
    {"delivery.message", NO_TIME},
    {"delivery.pending", NO_TIME},
    {"delivery.sender", NO_TIME},
    {"delivery.state", NO_TIME},
    {"delivery.take", NO_TIME},
    {"delivery.tries", NO_TIME},
    {"delivery.warn", MOVES},
    {"destination.active", NO_TIME},
    {"destination.backoff_until", MOVES},
    {"destination.failures", NO_TIME},
    {"destination.held", NO_TIME},
    {"destination.id", NO_TIME},
    {"destination.next_due", MOVES},
    {"destination.ready", MOVES},
    {"destination.touched", MOVES},
    {"destination.waiting", NO_TIME},
    {"destination.worked", MOVES},
    {"message.arrived", STAYS},
    {"message.eight_bit", NO_TIME},
    {"message.expires", STAYS}, /* as accepted; its deliveries have the one that counts */
    {"message.id", NO_TIME},
    {"message.pending", NO_TIME},
    {"message.size", NO_TIME},
    {"message.smtputf8", NO_TIME},
    {"outbox.at", STAYS}, /* a record of what was */
    {"outbox.id", NO_TIME},
    {"override.ends", STAYS},    /* by the other clock */
    {"override.expires", STAYS}, /* beside it */
    {"override.made", STAYS},
    {"reason_total.deliveries", NO_TIME},
    {"recipient.delivery", NO_TIME},
    {"recipient.n", NO_TIME},
    {"recipient.state", NO_TIME},
    {"totals.active", NO_TIME},
    {"totals.bytes", NO_TIME},
    {"totals.held", NO_TIME},
    {"totals.last_delivery", NO_TIME},
    {"totals.last_message", NO_TIME},
    {"totals.messages", NO_TIME},
    {"totals.one", NO_TIME},
    {"totals.recipients", NO_TIME},
    {"totals.waiting", NO_TIME},
    {"try.at", STAYS}, /* for people */
    {"try.delivery", NO_TIME},
    {"try.n", NO_TIME},
};

static void every_number_of_the_schema_is_thought_about(void **state)
{
	struct fixture *f = *state;
	sqlite3_stmt *st;
	size_t i = 0;
	OK(sqlite3_prepare_v2(
	    f->s->db,
	    "SELECT m.name || '.' || c.name FROM sqlite_schema m, pragma_table_xinfo(m.name) c "
	    "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND c.type <> 'TEXT' "
	    "AND c.type <> 'BLOB' ORDER BY 1",
	    -1, &st, NULL));
	for (; sqlite3_step(st) == SQLITE_ROW; i++) {
		const char *name = (const char *)sqlite3_column_text(st, 0);
		if (i == ROWS(columns) || strcmp(name, columns[i].column) != 0)
			fail_msg("%s: is it a time? does it move with the clock?", name);
	}
	assert_int_equal(i, ROWS(columns));
	sqlite3_finalize(st);
}

static int64_t value_of(struct fixture *f, const char *column)
{
	char sql[128];
	sqlite3_stmt *st;
	const char *dot = strchr(column, '.');
	snprintf(sql, sizeof sql, "SELECT %s FROM \"%.*s\"", dot + 1, (int)(dot - column), column);
	OK(sqlite3_prepare_v2(f->s->db, sql, -1, &st, NULL));
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int64_t v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

/* A queue in which each time is set, and has a value of its own. */
static void fill_times(struct fixture *f)
{
	struct store_override o = {"x.example", "may", T0, T0 + 1000, "b", 77};
	struct store_clock c = {"b", T0, 33};
	add_one(f, "A", "a.example", T0 + 500);
	struct store_delivery d = taken(f, 1);
	struct store_try t = {.at = T0 + 3, .reason = "timeout"};
	struct store_result r = {.delivery = 1,
				 .at = T0 + 3,
				 .due = T0 + 4000,
				 .reason = "timeout",
				 .tries = &t,
				 .ntries = 1};
	struct store_outbox_row row = {.id = 1, .at = T0 + 4, .body = SLICE_LIT("a record")};
	struct store_recorded recorded;
	OK(store_begin(f->s));
	OK(store_record(f->s, &r, &recorded));
	OK(store_back_off(f->s, d.destination, T0 + 5, T0 + 5000, "timeout", "4.4.2", NULL));
	OK(store_override_set(f->s, &o));
	OK(store_clock_set(f->s, &c));
	OK(store_outbox_add(f->s, &row));
	OK(store_commit(f->s));
	OK(sqlite3_exec(f->s->db,
			"UPDATE destination SET worked = 1700000000000; UPDATE delivery SET warn = "
			"due + 7",
			NULL, NULL, NULL));
}

static void each_time_moves_or_stays_as_it_is_written_here(void **state)
{
	struct fixture *f = *state;
	const int64_t by = -90000;
	int64_t before[ROWS(columns)];
	fill_times(f);
	for (size_t i = 0; i < ROWS(columns); i++)
		before[i] =
		    strncmp(columns[i].column, "body", 4) ? value_of(f, columns[i].column) : 0;
	shift(f, by, T0 + by);
	for (size_t i = 0; i < ROWS(columns); i++) {
		if (strncmp(columns[i].column, "body", 4) == 0)
			continue;
		int64_t now = value_of(f, columns[i].column);
		if (columns[i].moves == MOVES && before[i] == 0)
			fail_msg("%s has no time to be moved", columns[i].column);
		if (now - before[i] != (columns[i].moves == MOVES ? by : 0))
			fail_msg("%s: moved by %lld", columns[i].column,
				 (long long)(now - before[i]));
	}
}

static void the_clock_is_kept(void **state)
{
	struct fixture *f = *state;
	struct store_clock c = {"boot", 5, 6}, got;
	IS(store_clock(f->s, &got), STORE_NOT_FOUND);
	OK(store_begin(f->s));
	OK(store_clock_set(f->s, &c));
	c.wall = 7;
	OK(store_clock_set(f->s, &c));
	OK(store_commit(f->s));
	store_close(&f->s);
	f->s = help_open(f->path, NULL);
	OK(store_clock(f->s, &got));
	assert_string_equal(got.boot, "boot");
	assert_int_equal(got.wall, 7);
	assert_int_equal(got.elapsed, 6);
}

static struct store_delivery shown(struct fixture *f, const char *id)
{
	struct store_delivery d;
	OK(store_show(f->s, help_first_delivery(f->s, id), &f->mem, &d));
	return d;
}

static void what_waits_moves_back_with_the_clock(void **state)
{
	struct fixture *f = *state;
	const int64_t by = -INT64_C(10800000);
	struct store_destination dest;
	add_one(f, "A", "a.example", T0 + 500);
	add_one(f, "B", "b.example", T0 + 700);
	struct store_delivery before = shown(f, "A");
	OK(store_begin(f->s));
	OK(store_change(f->s, STORE_OP_HOLD, help_first_delivery(f->s, "B"), T0));
	OK(store_back_off(f->s, before.destination, T0, T0 + 900, "timeout", "4.4.2", NULL));
	OK(store_commit(f->s));
	shift(f, by, T0 + by);
	assert_int_equal(shown(f, "A").due, T0 + 500 + by);
	assert_int_equal(shown(f, "A").expires, before.expires + by);
	OK(store_destination(f->s, "a.example", &f->mem, &dest));
	assert_int_equal(dest.ready, T0 + 900 + by);
	assert_int_equal(shown(f, "B").due, T0 + 700 + by);
	assert_int_equal(shown(f, "B").state, STORE_HELD);
	OK(store_destination(f->s, "b.example", &f->mem, &dest));
	assert_int_equal(dest.backoff_until, 0);
}

/* Forward: it lives on, and is due when it was. A clock that was years behind moves nothing beyond
 * the longest wait and the lifetime. */
static void a_clock_put_forward_ends_no_lifetime(void **state)
{
	struct fixture *f = *state;
	const int64_t by = INT64_C(6) * 24 * 3600 * 1000;
	add_one(f, "A", "a.example", T0 + 500);
	struct store_delivery before = shown(f, "A");
	shift(f, by, T0 + by);
	assert_int_equal(shown(f, "A").due, T0 + 500);
	assert_int_equal(shown(f, "A").expires, before.expires + by);
	shift(f, 300 * by, T0 + by);
	assert_int_equal(shown(f, "A").due, T0 + 500);
	assert_int_equal(shown(f, "A").expires, T0 + by + LIFETIME);
}

static void nothing_waits_for_a_time_that_a_wrong_clock_wrote(void **state)
{
	struct fixture *f = *state;
	struct store_destination dest;
	add_one(f, "A", "a.example", T0 + 100 * LIFETIME);
	add_one(f, "B", "a.example", T0 + LONGEST);
	struct store_delivery a = shown(f, "A");
	OK(store_begin(f->s));
	OK(store_back_off(f->s, a.destination, T0, T0 + LIFETIME, "timeout", "4.4.2", NULL));
	OK(store_commit(f->s));
	shift(f, 0, T0);
	assert_int_equal(shown(f, "A").due, T0 + LONGEST);
	assert_int_equal(shown(f, "A").expires, a.expires);
	assert_int_equal(shown(f, "B").due, T0 + LONGEST);
	OK(store_destination(f->s, "a.example", &f->mem, &dest));
	assert_int_equal(dest.backoff_until, T0 + LONGEST);
	IS(store_shift(f->s, &(struct store_shift){0}), STORE_MISUSE);
}

/* --- a restart ------------------------------------------------------------------------------- */

static void note_doubt(void *arg, const char *queue_id, const char *next_hop)
{
	char *out = arg;
	size_t n = strlen(out);
	snprintf(out + n, 64 - n, "%s %s;", queue_id, next_hop);
}

static void whoever_opens_is_told_each_new_doubt(void **state)
{
	struct fixture *f = *state;
	char told[64] = "", error[256];
	struct store_recovery r;
	struct store_config c = {.path = f->path, .on_doubt = note_doubt, .arg = told};
	add_one(f, "A", "a.example", T0);
	add_one(f, "B", "b.example", T0);
	taken(f, help_first_delivery(f->s, "A"));
	taken(f, help_first_delivery(f->s, "B"));
	OK(store_begin(f->s));
	OK(store_mark_dot(f->s, help_first_delivery(f->s, "B")));
	OK(store_commit(f->s));
	store_close(&f->s);
	OK(store_open(&c, T0, &f->s, &r, error, sizeof error));
	assert_string_equal(told, "B b.example;");
	store_close(&f->s); /* an old doubt is not told again */
	OK(store_open(&c, T0, &f->s, &r, error, sizeof error));
	assert_string_equal(told, "B b.example;");
}

static void what_was_active_is_due_again(void **state)
{
	struct fixture *f = *state;
	add_one(f, "A", "a.example", T0);
	add_one(f, "B", "b.example", T0);
	add_one(f, "C", "c.example", T0 + 99);
	int64_t a = help_first_delivery(f->s, "A"), b = help_first_delivery(f->s, "B");
	taken(f, a);
	taken(f, b);
	OK(store_begin(f->s));
	OK(store_mark_dot(f->s, b));
	OK(store_change(f->s, STORE_OP_HOLD, a, T0)); /* waits for the courier that never returns */
	OK(store_commit(f->s));
	store_close(&f->s);
	struct store_recovery r;
	f->s = help_open(f->path, &r);
	assert_false(r.created);
	assert_int_equal(r.interrupted, 2);
	assert_int_equal(r.in_doubt, 1);
	struct store_delivery d;
	OK(store_show(f->s, a, &f->mem, &d));
	assert_int_equal(d.state, STORE_HELD);
	assert_false(d.in_doubt);
	OK(store_show(f->s, b, &f->mem, &d));
	assert_int_equal(d.state, STORE_WAITING);
	assert_int_equal(d.due, T0);
	assert_true(d.in_doubt);
	taken(f, b); /* a later attempt that is sure of itself does not wash the doubt away */
	OK(store_begin(f->s));
	OK(record(f, b, STORE_PENDING, false, NULL));
	OK(store_commit(f->s));
	OK(store_show(f->s, b, &f->mem, &d));
	assert_true(d.in_doubt);
	store_close(&f->s);
	f->s = help_open(f->path, &r);
	assert_int_equal(r.interrupted, 0);
	assert_int_equal(totals(f).in_doubt, 1);
}

static bool is_carried(void *arg, int64_t delivery)
{
	return delivery == *(int64_t *)arg;
}

/* Whoever knows the number of his own does not know the next one's. */
static void takes_cannot_be_guessed(void **state)
{
	struct fixture *f = *state;
	add_one(f, "A", "a.example", T0);
	add_one(f, "B", "b.example", T0);
	int64_t a = taken(f, help_first_delivery(f->s, "A")).take;
	int64_t b = taken(f, help_first_delivery(f->s, "B")).take;
	assert_true(a > 0 && b > 0);
	assert_true((a > b ? a - b : b - a) > 1 << 20);
}

/* A courier that outlives the keeper still has it: it stays active, as it was handed over. */
static void what_is_carried_stays_active(void **state)
{
	struct fixture *f = *state;
	add_one(f, "A", "a.example", T0);
	add_one(f, "B", "b.example", T0);
	int64_t a = help_first_delivery(f->s, "A"), b = help_first_delivery(f->s, "B");
	int64_t before = taken(f, a).take;
	assert_int_not_equal(taken(f, b).take, before);
	OK(store_begin(f->s));
	OK(store_mark_dot(f->s, a));
	OK(store_commit(f->s));
	store_close(&f->s);
	char error[256];
	struct store_recovery r;
	struct store_config c = {
	    .path = f->path, .keep_active = true, .carried = is_carried, .arg = &a};
	OK(store_open(&c, T0, &f->s, &r, error, sizeof error));
	assert_int_equal(r.interrupted, 0);
	assert_int_equal(totals(f).active, 2);
	struct store_delivery d;
	IS(store_recover(f->s, &c, T0, &r), STORE_MISUSE);
	OK(store_begin(f->s));
	OK(store_recover(f->s, &c, T0, &r));
	OK(store_commit(f->s));
	assert_int_equal(r.interrupted, 1);
	assert_int_equal(r.in_doubt, 0);
	assert_int_equal(totals(f).active, 1);
	IS(store_active(f->s, b, &f->mem, &d), STORE_STATE);
	OK(store_active(f->s, a, &f->mem, &d));
	assert_int_equal(d.take, before);
	assert_true(d.dot);
	assert_int_equal(d.nrcpt, 1);
	OK(store_begin(f->s)); /* and its result is recorded as if nothing had been */
	OK(record(f, a, STORE_SENT, false, NULL));
	OK(store_commit(f->s));
	IS(store_active(f->s, a, &f->mem, &d), STORE_NOT_FOUND);
	assert_int_not_equal(taken(f, b).take, before);
	assert_int_equal(totals(f).in_doubt, 0);
}

static void an_unknown_end_stays_in_doubt(void **state)
{
	struct fixture *f = *state;
	add_one(f, "A", "a.example", T0);
	int64_t a = help_first_delivery(f->s, "A");
	taken(f, a);
	OK(store_begin(f->s));
	OK(store_mark_dot(f->s, a));
	OK(record(f, a, STORE_PENDING, true, NULL));
	OK(store_commit(f->s));
	assert_int_equal(totals(f).in_doubt, 1);
}

/* --- transactions ---------------------------------------------------------------------------- */

static void a_change_needs_a_transaction(void **state)
{
	struct fixture *f = *state;
	bool more;
	IS(help_add(f->s, 0), STORE_MISUSE);
	IS(store_works(f->s, 1, T0), STORE_MISUSE);
	IS(store_commit(f->s), STORE_MISUSE);
	OK(store_begin(f->s));
	IS(store_begin(f->s), STORE_MISUSE);
	IS(store_maintain(f->s, T0, &more), STORE_MISUSE);
	store_rollback(f->s);
	store_rollback(f->s);
	OK(store_health(f->s));
}

static void one_bad_mail_does_not_spoil_the_group(void **state)
{
	struct fixture *f = *state;
	OK(store_begin(f->s));
	OK(help_add(f->s, 1));
	IS(help_add(f->s, 1), STORE_EXISTS);
	assert_string_equal(store_error(f->s), "the queue id Q1 is taken");
	OK(help_add(f->s, 2));
	OK(store_commit(f->s));
	assert_int_equal(totals(f).messages, 2);
	OK(store_begin(f->s));
	OK(help_add(f->s, 3));
	store_rollback(f->s);
	assert_int_equal(totals(f).messages, 2);
}

static void limits(void **state)
{
	struct fixture *f = *state;
	char *long_text = calloc(1, 4096);
	memset(long_text, 'a', 4000);
	static struct store_new_rcpt many[STORE_RCPTS_MAX + 1];
	for (size_t i = 0; i < ROWS(many); i++)
		many[i].address = "a@b.example";
	struct store_new_rcpt good = {.address = "a@b.example"}, bad = {.address = long_text};
	struct store_envelope e = {.queue_id = "L", .reverse_path = "", .origin = "x"};
	struct store_envelope long_id = e, long_path = e, too_big = e, early = e, no_id = e,
			      bad_ret = e;
	long_id.queue_id = long_path.reverse_path = long_text;
	too_big.size = (uint64_t)STORE_SIZE_MAX + 1;
	early.expires = -1;
	no_id.queue_id = "";
	bad_ret.ret = "ALL";
	const struct {
		struct store_envelope e;
		struct store_new_delivery d;
		size_t n;
		enum store_status want;
	} rows[] = {
	    {e, {.next_hop = "b", .rcpt = &good, .nrcpt = 1}, 0, STORE_LIMIT},
	    {e, {.next_hop = "b", .rcpt = &good, .nrcpt = 0}, 1, STORE_LIMIT},
	    {e, {.next_hop = "", .rcpt = &good, .nrcpt = 1}, 1, STORE_LIMIT},
	    {e, {.next_hop = long_text, .rcpt = &good, .nrcpt = 1}, 1, STORE_LIMIT},
	    {e, {.next_hop = "b", .rcpt = &bad, .nrcpt = 1}, 1, STORE_LIMIT},
	    {e, {.next_hop = "b", .rcpt = many, .nrcpt = STORE_RCPTS_MAX + 1}, 1, STORE_LIMIT},
	    {long_id, {.next_hop = "b", .rcpt = &good, .nrcpt = 1}, 1, STORE_LIMIT},
	    {long_path, {.next_hop = "b", .rcpt = &good, .nrcpt = 1}, 1, STORE_LIMIT},
	    {too_big, {.next_hop = "b", .rcpt = &good, .nrcpt = 1}, 1, STORE_LIMIT},
	    {early, {.next_hop = "b", .rcpt = &good, .nrcpt = 1}, 1, STORE_LIMIT},
	    {no_id, {.next_hop = "b", .rcpt = &good, .nrcpt = 1}, 1, STORE_LIMIT},
	    {bad_ret, {.next_hop = "b", .rcpt = &good, .nrcpt = 1}, 1, STORE_STATE},
	    {e, {.next_hop = "b", .rcpt = many, .nrcpt = STORE_RCPTS_MAX}, 1, STORE_OK},
	};
	OK(store_begin(f->s));
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct store_new_message m = {.envelope = rows[i].e,
					      .text = {.fd = -1},
					      .delivery = &rows[i].d,
					      .ndelivery = rows[i].n};
		IS(store_add(f->s, &m), rows[i].want);
	}
	OK(store_commit(f->s));
	struct store_delivery d = taken(f, help_first_delivery(f->s, "L"));
	assert_int_equal(d.nrcpt, STORE_RCPTS_MAX);
	struct arena tiny;
	arena_init(&tiny, 100);
	IS(store_show(f->s, d.id, &tiny, &d), STORE_NO_MEMORY);
	arena_free(&tiny);
	OK(store_health(f->s));
	free(long_text);
}

static void the_reserve_is_left_free(void **state)
{
	struct fixture *f = *state;
	add_one(f, "A", "a.example", T0);
	store_close(&f->s);
	struct store_config c = {.path = f->path, .reserve = UINT64_C(1) << 60};
	struct store_recovery r;
	char error[256];
	OK(store_open(&c, T0, &f->s, &r, error, sizeof error));
	OK(store_begin(f->s));
	IS(help_add(f->s, 1), STORE_FULL);
	struct store_delivery d; /* what is there can still be worked at */
	OK(store_take(f->s, help_first_delivery(f->s, "A"), T0, &f->mem, &d));
	OK(record(f, d.id, STORE_SENT, false, NULL));
	OK(store_commit(f->s));
	assert_int_equal(totals(f).messages, 0);
}

/* A text is written twice, to the log and to the file: so much must be free beside the reserve. */
static void a_text_needs_room_twice(void **state)
{
	static const struct {
		uint64_t size;
		enum store_status status;
	} rows[] = {{10, STORE_OK}, {96 << 20, STORE_FULL}};
	struct fixture *f = *state;
	struct statvfs fs;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct store_recovery r;
		char error[256];
		assert_int_equal(statvfs(f->path, &fs), 0);
		uint64_t free_octets = (uint64_t)fs.f_bavail * fs.f_frsize;
		if (free_octets < 256 << 20)
			skip();
		/* with room for such a text once, but not twice; others use the disk meanwhile */
		struct store_config c = {.path = f->path, .reserve = free_octets - (144 << 20)};
		store_close(&f->s);
		OK(store_open(&c, T0, &f->s, &r, error, sizeof error));
		IS(store_check_room(f->s, rows[i].size), rows[i].status);
	}
}

/* --- opening --------------------------------------------------------------------------------- */

static void a_second_keeper_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store *other;
	char error[256];
	IS(help_try_open(f->path, &other, error), STORE_BUSY);
	assert_non_null(strstr(error, "another process has the queue open"));
	assert_null(other);
	pid_t child = fork();
	if (child == 0)
		_exit(help_try_open(f->path, &other, error) == STORE_BUSY ? 0 : 1);
	int status;
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	struct stat st;
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	add_one(f, "A", "a.example", T0); /* and ours still works */
}

static void raw(const char *path, const char *sql)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void strange_files_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *sql; /* NULL: not a database at all */
		enum store_status want;
		const char *words;
	} rows[] = {
	    {"PRAGMA application_id = 1145853777; PRAGMA user_version = 6; CREATE TABLE t (x)",
	     STORE_NEWER, "schema version 6, this program knows up to 5"},
	    {"CREATE TABLE t (x)", STORE_CORRUPT, "not a mail queue"},
	    {"PRAGMA application_id = 7; CREATE TABLE t (x)", STORE_CORRUPT, "not a mail queue"},
	    {"PRAGMA application_id = 1145853777; PRAGMA user_version = 1; CREATE TABLE t (x)",
	     STORE_UNSAFE, "auto_vacuum is 0 and must be 2"},
	    {NULL, STORE_CORRUPT, "not a database"},
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		char path[256], error[256];
		help_path(path);
		if (rows[i].sql) {
			raw(path, rows[i].sql);
		} else {
			FILE *out = fopen(path, "w");
			for (int k = 0; k < 1000; k++)
				fputs("something else ", out);
			fclose(out);
		}
		struct store *s;
		IS(help_try_open(path, &s, error), rows[i].want);
		assert_non_null(strstr(error, rows[i].words));
		help_clean(path);
	}
	struct store *s;
	char error[256];
	IS(help_try_open("/nonexistent/dir/queue", &s, error), STORE_IO);
	assert_non_null(strstr(error, "No such file"));
}

static void damage_is_found(void **state)
{
	(void)state;
	char path[256], error[256];
	help_path(path);
	struct store *s = help_open(path, NULL);
	OK(store_begin(s));
	for (int i = 0; i < 20; i++)
		OK(help_add(s, i));
	OK(store_commit(s));
	store_close(&s);
	FILE *out = fopen(path, "r+");
	for (long page = 2; page < 30; page++) {
		fseek(out, page * 4096 + 3, SEEK_SET);
		fputs("damage", out);
	}
	fclose(out);
	IS(help_try_open(path, &s, error), STORE_CORRUPT);
	help_clean(path);
}

/* Mail whose text is damaged is not sent as something shorter; the others are none the worse. */
static void a_missing_part_is_damage_of_one_message(void **state)
{
	(void)state;
	char path[256];
	help_path(path);
	struct store *s = help_open(path, NULL);
	OK(store_begin(s));
	OK(help_add(s, 6));
	OK(store_commit(s));
	store_close(&s);
	raw(path, "DELETE FROM body WHERE id % 4096 = 1");
	s = help_open(path, NULL);
	uint8_t out[400000];
	size_t n;
	OK(store_begin(s));
	IS(store_text_read(s, 1, 0, out, sizeof out, &n), STORE_DAMAGED);
	assert_int_equal(n, 0);
	assert_non_null(strstr(store_error(s), "message 1"));
	int fd = memfd_create("text", MFD_CLOEXEC);
	IS(store_text_copy(s, 1, fd), STORE_DAMAGED);
	close(fd);
	OK(store_text_read(s, 1, 0, out, 1000, &n)); /* the first part is there */
	assert_int_equal(n, 1000);
	OK(help_add(s, 7));
	OK(store_text_read(s, 2, 0, out, sizeof out, &n));
	OK(store_health(s));
	OK(store_commit(s));
	store_close(&s);
	help_clean(path);
}

/* Nor is a text sent with a hole in it. */
static void a_part_that_is_too_short_is_damage(void **state)
{
	static const char *const breaks[] = {
	    "UPDATE body SET part = substr(part, 1, 1000) WHERE id % 4096 = 0",
	    "DELETE FROM body WHERE id % 4096 = 0",
	};
	(void)state;
	for (size_t i = 0; i < ROWS(breaks); i++) {
		char path[256];
		help_path(path);
		struct store *s = help_open(path, NULL);
		OK(store_begin(s));
		OK(help_add(s, 6));
		OK(store_commit(s));
		store_close(&s);
		raw(path, "DROP TRIGGER body_fixed");
		raw(path, breaks[i]);
		s = help_open(path, NULL);
		uint8_t out[400000];
		size_t n;
		OK(store_begin(s));
		IS(store_text_read(s, 1, 0, out, sizeof out, &n), STORE_DAMAGED);
		IS(store_text_read(s, 1, 1000, out, 1000, &n), STORE_DAMAGED);
		assert_int_equal(n, 0);
		OK(store_health(s));
		OK(store_commit(s));
		store_close(&s);
		help_clean(path);
	}
}

/* A queue of the first version, with mail in it, goes on: senders get their keys. */
static void an_older_queue_is_migrated(void **state)
{
	(void)state;
	char path[256];
	help_path(path);
	raw(path, "PRAGMA auto_vacuum = 2; VACUUM");
	raw(path, store_schema_1_sql);
	raw(path,
	    "PRAGMA application_id = 1145853777; PRAGMA user_version = 1;"
	    "INSERT INTO message (id, queue_id, arrived, expires, reverse_path, origin, size, "
	    "eight_bit, smtputf8) VALUES (1, 'old', 1, 9000000, 'a@x', 't', 1, 0, 0);"
	    "INSERT INTO body VALUES (4096, x'78');"
	    "INSERT INTO destination (id, name) VALUES (1, 'd.example');"
	    "INSERT INTO delivery (id, message, destination, due, arrived, expires) "
	    "VALUES (1, 1, 1, 1, 1, 9000000);"
	    "INSERT INTO recipient (delivery, n, address) VALUES (1, 0, 'r@d.example')");
	struct store *s = help_open(path, NULL);
	int64_t key = 0, due[4];
	size_t n;
	bool more;
	sqlite3_stmt *st;
	OK(sqlite3_prepare_v2(s->db, "SELECT sender FROM delivery", -1, &st, NULL));
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	key = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	assert_true((uint64_t)key == store_old_sender("t", "a@x") && key != 0);
	OK(store_due(s, 1, T0, 4, 1, due, &n, &more));
	assert_int_equal(n, 1);
	store_close(&s);
	help_audit(path);
	help_clean(path);
}

/* One of each state, as the first version wrote them; 4 and 5 are of one message, 4 done. */
static const char first_version_in_every_state[] =
    "PRAGMA application_id = 1145853777; PRAGMA user_version = 1;"
    "INSERT INTO message (id, queue_id, arrived, expires, reverse_path, origin, size, eight_bit, "
    "smtputf8) VALUES (1, 'waits', 1, 9000000, 'a@x', 't', 1, 0, 0), "
    "(2, 'held', 1, 9000000, '', 't', 1, 0, 0), (3, 'active', 1, 9000000, 'a@x', 't', 1, 0, 0), "
    "(4, 'partly', 1, 9000000, 'b@x', 't', 1, 0, 0), "
    "(5, 'doubt', 1, 9000000, 'b@x', 't', 1, 0, 0);"
    "INSERT INTO body SELECT id * 4096, x'78' FROM message;"
    "INSERT INTO destination (id, name, backoff_until, failures) VALUES (1, 'd.example', 7, 2), "
    "(2, 'e.example', 0, 0);"
    "INSERT INTO delivery (id, message, destination, due, arrived, expires) VALUES "
    "(1, 1, 1, 1, 1, 9000000), (2, 2, 1, 1, 1, 9000000), (3, 3, 1, 1, 1, 9000000), "
    "(4, 4, 1, 1, 1, 9000000), (5, 4, 2, 1, 1, 9000000), (6, 5, 2, 1, 1, 9000000);"
    "INSERT INTO recipient (delivery, n, address) SELECT id, 0, 'r@' || id || '.example' "
    "FROM delivery;"
    "UPDATE delivery SET state = 1 WHERE id = 2;"
    "UPDATE delivery SET state = 2 WHERE id IN (3, 4, 6);"
    "UPDATE delivery SET hold_wanted = 1 WHERE id = 3;"
    "UPDATE recipient SET state = 1 WHERE delivery = 4;"
    "UPDATE delivery SET state = 3 WHERE id = 4;"
    "UPDATE delivery SET dot_sent = 1 WHERE id = 6;"
    "INSERT INTO try (delivery, n, at, reason) VALUES (1, 1, 1, 'timeout');"
    "UPDATE delivery SET tries = 1, attempts = 1, reason = 'timeout' WHERE id = 1";

static void check_states_after_migration(struct store *s)
{
	/* held by its operator's wish: 3; the courier of 6 is gone: it waits, in doubt */
	static const struct {
		int64_t state, pending, in_doubt;
	} want[] = {{0, 1, 0}, {1, 1, 0}, {1, 1, 0}, {3, 0, 0}, {0, 1, 0}, {0, 1, 1}};
	sqlite3_stmt *st;
	OK(sqlite3_prepare_v2(s->db,
			      "SELECT state, d.pending, in_doubt, "
			      "d.sender <> 0, (SELECT count(*) FROM body WHERE id = "
			      "message * 4096) FROM delivery d ORDER BY id",
			      -1, &st, NULL));
	for (size_t i = 0; i < ROWS(want); i++) {
		assert_int_equal(sqlite3_step(st), SQLITE_ROW);
		assert_int_equal(sqlite3_column_int64(st, 0), want[i].state);
		assert_int_equal(sqlite3_column_int64(st, 1), want[i].pending);
		assert_int_equal(sqlite3_column_int64(st, 2), want[i].in_doubt);
		assert_int_equal(sqlite3_column_int64(st, 3), 1);
		assert_int_equal(sqlite3_column_int64(st, 4), 1);
	}
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
}

static void no_state_is_lost_by_a_migration(void **state)
{
	(void)state;
	char path[256];
	int64_t due[4];
	size_t n;
	bool more;
	struct store_totals t;
	help_path(path);
	raw(path, "PRAGMA auto_vacuum = 2; VACUUM");
	raw(path, store_schema_1_sql);
	raw(path, first_version_in_every_state);
	struct store *s = help_open(path, NULL);
	check_states_after_migration(s);
	OK(store_totals(s, &t));
	assert_int_equal(t.messages, 5);
	assert_int_equal(t.recipients, 5);
	assert_int_equal(t.in_doubt, 1);
	OK(store_due(s, 2, T0, 4, 1, due, &n, &more));
	assert_int_equal(n, 1); /* both are of b@x */
	assert_true(more);
	store_close(&s);
	help_audit(path);
	s = help_open(path, NULL); /* and again, without a migration */
	check_states_after_migration(s);
	store_close(&s);
	help_clean(path);
}

/* The schema of a queue, without what SQLite keeps for itself. */
static char *schema_of(struct store *s)
{
	sqlite3_stmt *st;
	size_t n = 0;
	char *out = NULL;
	FILE *f = open_memstream(&out, &n);
	OK(sqlite3_prepare_v2(s->db,
			      "SELECT type, name, sql FROM sqlite_schema "
			      "WHERE name NOT LIKE 'sqlite%' ORDER BY type, name",
			      -1, &st, NULL));
	while (sqlite3_step(st) == SQLITE_ROW)
		fprintf(f, "%s %s: %s\n", sqlite3_column_text(st, 0), sqlite3_column_text(st, 1),
			sqlite3_column_text(st, 2));
	sqlite3_finalize(st);
	fclose(f);
	return out;
}

/* Patterns that never matched: what demands more comes into force, what allows less does not. */
static void patterns_of_an_older_queue_become_normal(void **state)
{
	struct fixture *f = *state;
	char path[256];
	static const struct {
		const char *pattern, *policy;
	} want[] = {
	    {"*", "dane-only"},           {"*.GOV.example.", "may"}, {"Free.example.", "may"},
	    {"gov.example", "dane-only"}, {"plain.example", "may"},
	};
	help_path(path);
	raw(path, "PRAGMA auto_vacuum = 2; VACUUM");
	raw(path, store_schema_1_sql);
	raw(path, first_version_in_every_state);
	raw(path, "INSERT INTO override VALUES ('gov.example.', 'dane-only', 1, 9), "
		  "('gov.example', 'may', 1, 9), ('GOV.example', 'dane-only', 1, 8), "
		  "('*.GOV.example.', 'may', 1, 9), ('Free.example.', 'may', 1, 9), "
		  "('plain.example', 'may', 1, 9), ('*', 'dane-only', 1, 9)");
	struct store *s = help_open(path, NULL);
	struct store_override all[8];
	size_t n;
	OK(store_overrides(s, NULL, 8, &f->mem, all, &n));
	assert_int_equal(n, ROWS(want));
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(all[i].pattern, want[i].pattern);
		assert_string_equal(all[i].policy, want[i].policy);
		assert_string_equal(all[i].boot, "");
	}
	store_close(&s);
	help_audit(path);
	help_clean(path);
}

/* After its migrations a queue cannot be told from a new one; and no number comes up again. */
static void an_older_queue_becomes_like_a_new_one(void **state)
{
	struct fixture *f = *state;
	char path[256];
	help_path(path);
	raw(path, "PRAGMA auto_vacuum = 2; VACUUM");
	raw(path, store_schema_1_sql);
	raw(path, first_version_in_every_state);
	raw(path,
	    "INSERT INTO message (id, queue_id, arrived, expires, reverse_path, origin, size, "
	    "eight_bit, smtputf8) VALUES (70, 'gone', 1, 2, '', 't', 1, 0, 0); "
	    "DELETE FROM message WHERE id = 70");
	struct store *s = help_open(path, NULL);
	char *new = schema_of(f->s), *old = schema_of(s);
	assert_true(strlen(new) > 1000);
	assert_string_equal(old, new);
	free(new);
	free(old);
	struct store_delivery d;
	OK(store_begin(s));
	OK(help_add_one(s, "next", "d.example", T0));
	OK(store_commit(s));
	OK(store_show(s, help_first_delivery(s, "next"), &f->mem, &d));
	assert_int_equal(d.message, 71);
	assert_int_equal(d.id, 7);
	store_close(&s);
	help_audit(path);
	help_clean(path);
}

/* What an operator or a courier ends leaves nothing behind, whatever else the message had. */
static void a_message_leaves_no_rows(void **state)
{
	struct fixture *f = *state;
	static const char *const tables[] = {"message", "body", "delivery", "recipient", "try"};
	struct store_recorded out;
	OK(store_begin(f->s));
	OK(help_add(f->s, 6)); /* three recipients, two next hops, two parts */
	OK(store_commit(f->s));
	int64_t id = help_first_delivery(f->s, "Q6");
	struct store_try t = {.at = T0, .reason = "timeout"};
	struct store_result deferred = {
	    .delivery = id, .due = T0, .reason = "timeout", .tries = &t, .ntries = 1};
	taken(f, id);
	OK(store_begin(f->s));
	OK(store_record(f->s, &deferred, &out));
	OK(store_change(f->s, STORE_OP_REMOVE, id + 1, T0));
	OK(store_commit(f->s));
	taken(f, id);
	struct store_rcpt_result both[] = {{.n = 0, .state = STORE_SENT},
					   {.n = 0, .state = STORE_SENT}};
	struct store_result sent = {.delivery = id, .rcpt = both, .nrcpt = 2};
	OK(store_begin(f->s));
	IS(store_record(f->s, &sent, &out), STORE_NOT_FOUND); /* the same one twice */
	assert_int_equal(totals(f).recipients, 2);
	both[1].n = 1;
	OK(store_record(f->s, &sent, &out));
	assert_int_equal(out.message_pending, 0);
	OK(store_commit(f->s));
	for (size_t i = 0; i < ROWS(tables); i++) {
		char sql[64];
		sqlite3_stmt *st;
		snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
		OK(sqlite3_prepare_v2(f->s->db, sql, -1, &st, NULL));
		assert_int_equal(sqlite3_step(st), SQLITE_ROW);
		assert_int_equal(sqlite3_column_int64(st, 0), 0);
		sqlite3_finalize(st);
	}
}

/* A statement that a trigger refuses undoes the group, also what is counted beside the rows. */
static void a_defect_undoes_the_group(void **state)
{
	struct fixture *f = *state;
	add_one(f, "A", "a.example", T0);
	OK(store_begin(f->s));
	OK(help_add_one(f->s, "B", "a.example", T0));
	assert_int_equal(totals(f).messages, 2);
	sqlite3_stmt *st;
	OK(sqlite3_prepare_v2(f->s->db, "UPDATE OR ROLLBACK delivery SET state = 1, dot_sent = 1",
			      -1, &st, NULL));
	IS(sql_run(f->s, st, NULL), STORE_STATE);
	sqlite3_finalize(st);
	assert_int_equal(totals(f).messages, 1);
	IS(help_add_one(f->s, "C", "a.example", T0), STORE_STATE);
	IS(store_commit(f->s), STORE_STATE);
	OK(store_health(f->s));
	OK(store_begin(f->s));
	OK(help_add_one(f->s, "B", "a.example", T0));
	OK(store_commit(f->s));
	assert_int_equal(totals(f).messages, 2);
}

#define NEW_DELIVERY                                                                               \
	"INSERT INTO delivery (message, destination, sender, due, arrived, expires, pending) "     \
	"VALUES "

/* What the program never asks for, SQL refuses as well. */
static void the_schema_refuses_illegal_steps(void **state)
{
	struct fixture *f = *state;
	OK(store_begin(f->s));
	OK(help_add(f->s, 0)); /* deliveries 1 and 2 */
	OK(help_add(f->s, 1)); /* 3 done in part, 4 active */
	OK(store_commit(f->s));
	taken(f, 3);
	OK(store_begin(f->s));
	struct store_rcpt_result both[] = {{.n = 0, .state = STORE_SENT},
					   {.n = 1, .state = STORE_SENT}};
	struct store_result result = {.delivery = 3, .rcpt = both, .nrcpt = 2};
	struct store_recorded out;
	OK(store_record(f->s, &result, &out));
	OK(store_commit(f->s));
	store_close(&f->s);
	static const char *const refused[] = {
	    "UPDATE delivery SET state = 3 WHERE id = 1",
	    "UPDATE delivery SET state = 4 WHERE id = 1",
	    "UPDATE delivery SET state = 0 WHERE id = 3",
	    "UPDATE delivery SET state = 2 WHERE id = 3",
	    "UPDATE delivery SET state = 1 WHERE id = 1; UPDATE delivery SET state = 2 WHERE id = "
	    "1",
	    "UPDATE delivery SET dot_sent = 1 WHERE id = 1",
	    "UPDATE delivery SET message = 2 WHERE id = 1",
	    "UPDATE delivery SET destination = 77 WHERE id = 1",
	    "UPDATE recipient SET state = 0 WHERE delivery = 3",
	    "UPDATE recipient SET state = 2 WHERE delivery = 3",
	    "UPDATE recipient SET state = 3 WHERE delivery = 1",
	    "UPDATE recipient SET address = 'x' WHERE delivery = 1",
	    "UPDATE message SET size = 1",
	    "UPDATE body SET part = x'00'",
	    NEW_DELIVERY "(1, 1, 0, 0, 0, 0, 1)",
	    NEW_DELIVERY "(99, 1, 0, 0, 0, 0, 1)",
	    NEW_DELIVERY "(1, 3, 0, 0, 0, 0, 0)", /* for nobody */
	    "INSERT INTO recipient (delivery, n, address) VALUES (99, 1, 'x')",
	    "INSERT INTO totals (one) VALUES (2)",
	    "DELETE FROM destination",
	    "UPDATE message SET queue_id = 'Q1' WHERE id = 1",
	    "UPDATE message SET pending = 0 WHERE id = 1",
	    "UPDATE delivery SET pending = 0 WHERE id = 1",
	    "UPDATE totals SET waiting = -1",
	    "DELETE FROM message WHERE id = 2",
	    "DELETE FROM delivery WHERE id = 1",
	};
	sqlite3 *db;
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
	for (size_t i = 0; i < ROWS(refused); i++) {
		sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
		int rc = sqlite3_exec(db, refused[i], NULL, NULL, NULL);
		if (rc == SQLITE_OK) /* foreign keys are looked at now */
			rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
		if (rc != SQLITE_CONSTRAINT)
			print_error("%s: %d\n", refused[i], rc);
		assert_int_equal(rc, SQLITE_CONSTRAINT);
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	}
	sqlite3_close(db);
	f->s = help_open(f->path, NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(a_mail_comes_back_as_it_went_in),
	    T(text_in_pieces),
	    T(text_from_a_descriptor),
	    T(a_delivery_runs_through_its_states),
	    T(some_recipients_end_before_others),
	    T(tries_are_bounded),
	    T(what_was_active_is_due_again),
	    T(takes_cannot_be_guessed),
	    T(what_is_carried_stays_active),
	    T(every_number_of_the_schema_is_thought_about),
	    T(each_time_moves_or_stays_as_it_is_written_here),
	    T(the_clock_is_kept),
	    T(what_waits_moves_back_with_the_clock),
	    T(a_clock_put_forward_ends_no_lifetime),
	    T(nothing_waits_for_a_time_that_a_wrong_clock_wrote),
	    T(whoever_opens_is_told_each_new_doubt),
	    T(an_unknown_end_stays_in_doubt),
	    T(a_change_needs_a_transaction),
	    T(one_bad_mail_does_not_spoil_the_group),
	    T(limits),
	    T(the_reserve_is_left_free),
	    T(a_text_needs_room_twice),
	    T(a_second_keeper_is_refused),
	    cmocka_unit_test(strange_files_are_refused),
	    cmocka_unit_test(damage_is_found),
	    cmocka_unit_test(a_missing_part_is_damage_of_one_message),
	    cmocka_unit_test(a_part_that_is_too_short_is_damage),
	    cmocka_unit_test(an_older_queue_is_migrated),
	    cmocka_unit_test(no_state_is_lost_by_a_migration),
	    T(patterns_of_an_older_queue_become_normal),
	    T(an_older_queue_becomes_like_a_new_one),
	    T(a_message_leaves_no_rows),
	    T(a_defect_undoes_the_group),
	    T(the_schema_refuses_illegal_steps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
