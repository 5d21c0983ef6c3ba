/* SPDX-License-Identifier: MIT */
/* store: every statement finds its rows by an index and in order, whatever the size of the tables.
 */
#include "../store/help.h"
#include "store/room.h"
#include "unit.h"

/* Statements that may do what others must not, and why. */
static const struct {
	enum sql id;
	const char *step;
} allowed[] = {
    {SQL_LIST_MESSAGE, "USE TEMP B-TREE FOR ORDER BY"}, /* the next hops of one message */
    {SQL_OLDEST, "SCAN message"},                       /* LIMIT 1 along the key */
};

static bool may(enum sql id, const char *step)
{
	for (size_t i = 0; i < ROWS(allowed); i++)
		if (allowed[i].id == id && strcmp(allowed[i].step, step) == 0)
			return true;
	/* An ordered walk along an index of just the rows in question; and one row from nowhere. */
	return strstr(step, "SCAN CONSTANT ROW") || strstr(step, "USING INDEX destination_ready") ||
	       strstr(step, "USING COVERING INDEX destination_ready") ||
	       strstr(step, "USING INDEX delivery_alarm") ||
	       strstr(step, "USING COVERING INDEX delivery_alarm");
}

static void no_statement_walks_a_table(void **state)
{
	(void)state;
	char path[256];
	int bad = 0, steps = 0;
	help_path(path);
	struct store *s = help_open(path, NULL);
	for (int i = 0; i < SQL_COUNT; i++) {
		char sql[2048];
		sqlite3_stmt *st = NULL;
		const char *text = sql_text((enum sql)i);
		snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", text);
		assert_int_equal(sqlite3_prepare_v2(s->db, sql, -1, &st, NULL), SQLITE_OK);
		while (sqlite3_step(st) == SQLITE_ROW) {
			const char *step = (const char *)sqlite3_column_text(st, 3);
			steps++;
			if ((!strstr(step, "SCAN") && !strstr(step, "TEMP B-TREE")) ||
			    may((enum sql)i, step))
				continue;
			print_error("%s\n  %s\n", text, step);
			bad++;
		}
		sqlite3_finalize(st);
	}
	print_message("%d statements, %d steps\n", (int)SQL_COUNT, steps);
	assert_true(steps > 30);
	assert_int_equal(bad, 0);
	store_close(&s);
	help_clean(path);
}

/* EXPLAIN QUERY PLAN does not show what triggers do; the counters of a statement include them, and
 * say how many rows were walked without an index. The totals are a table of one row. */
static void no_trigger_walks_a_table(void **state)
{
	(void)state;
	char path[256];
	help_path(path);
	struct store *s = help_open(path, NULL);
	CHECK(store_begin(s) == STORE_OK);
	for (int i = 0; i < 2000; i++) {
		char id[16];
		snprintf(id, sizeof id, "X%d", i);
		CHECK(help_add_one(s, id, i % 2 ? "a.example" : "b.example", T0 + i) == STORE_OK);
	}
	CHECK(store_commit(s) == STORE_OK);
	CHECK(store_begin(s) == STORE_OK);
	struct arena mem;
	arena_init(&mem, 1 << 20);
	for (int64_t id = 1; id <= 100; id++) {
		struct store_delivery d;
		struct store_recorded out;
		struct store_rcpt_result r = {.state = STORE_SENT};
		struct store_result result = {.delivery = id, .rcpt = &r, .nrcpt = id % 2};
		CHECK(store_take(s, id, T0, &mem, &d) == STORE_OK);
		CHECK(store_mark_dot(s, id) == STORE_OK);
		CHECK(store_record(s, &result, &out) == STORE_OK);
		CHECK(store_change(s, STORE_OP_HOLD, id + 200, T0) == STORE_OK);
		CHECK(store_change(s, STORE_OP_REMOVE, id + 400, T0) == STORE_OK);
	}
	CHECK(store_commit(s) == STORE_OK);
	arena_free(&mem);
	for (int i = 0; i < SQL_COUNT; i++) {
		int rows = sqlite3_stmt_status(s->statement[i], SQLITE_STMTSTATUS_FULLSCAN_STEP, 0);
		int sorts = sqlite3_stmt_status(s->statement[i], SQLITE_STMTSTATUS_SORT, 0);
		int runs = sqlite3_stmt_status(s->statement[i], SQLITE_STMTSTATUS_RUN, 0);
		if (rows > 2 * runs + 5 || sorts > 0)
			print_error("%s: %d rows walked in %d runs\n", sql_text((enum sql)i), rows,
				    runs);
		assert_true(rows <= 2 * runs + 5);
		assert_int_equal(sorts, 0);
	}
	store_close(&s);
	help_audit(path);
	help_clean(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_statement_walks_a_table),
	    cmocka_unit_test(no_trigger_walks_a_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
