/* SPDX-License-Identifier: MIT */
/* relay: the warden's findings as a message and as metrics (V2). */
#include "relay/findings.h"

#include <string.h>

#include "guard.h"
#include "unit.h"

enum { ROOM = 65536 };

static const struct finding_note notes[] = {
    {SELFCHECK_MISMATCH, SELFCHECK_ERROR, "mx.example.org", 25},
    {SELFCHECK_MX_NOT_OURS, SELFCHECK_WARNING, "example.org", 0},
    {SELFCHECK_MISMATCH, SELFCHECK_ERROR, "mx.example.org", 25},
    {SELFCHECK_STALE_RECORD, SELFCHECK_NOTICE, "odd\\\"name", 465},
};

static const struct findings full = {.when = 1800000000,
				     .result = SELFCHECK_ERRORS,
				     .starttls = false,
				     .note = notes,
				     .n = sizeof(notes) / sizeof(notes[0])};

static void test_there_and_back(void **state)
{
	struct buf b;
	struct arena mem;
	struct findings got;
	(void)state;
	arena_init(&mem, ROOM);
	buf_init(&b, ROOM);
	findings_put(&b, &full);
	assert_true(findings_get(buf_slice(&b), &mem, &got));
	assert_int_equal(got.when, full.when);
	assert_int_equal(got.result, full.result);
	assert_false(got.starttls);
	assert_int_equal(got.n, full.n);
	for (size_t i = 0; i < full.n; i++) {
		assert_int_equal(got.note[i].kind, notes[i].kind);
		assert_int_equal(got.note[i].severity, notes[i].severity);
		assert_int_equal(got.note[i].port, notes[i].port);
		assert_string_equal(got.note[i].about, notes[i].about);
	}
	arena_free(&mem);
	buf_free(&b);
}

/* A message that is cut, or has something behind it, is none. */
static void test_cuts(void **state)
{
	struct buf b;
	struct guard g;
	(void)state;
	buf_init(&b, ROOM);
	guard_init(&g, ROOM);
	findings_put(&b, &full);
	for (size_t n = 0; n < buf_len(&b); n++) {
		struct arena mem;
		struct findings got;
		arena_init(&mem, ROOM);
		assert_false(
		    findings_get(guard_put(&g, slice_first(buf_slice(&b), n)), &mem, &got));
		arena_free(&mem);
	}
	buf_add_u8(&b, 0);
	struct arena mem;
	struct findings got;
	arena_init(&mem, ROOM);
	assert_false(findings_get(buf_slice(&b), &mem, &got));
	arena_free(&mem);
	guard_free(&g);
	buf_free(&b);
}

/* Numbers that are no finding, severity or result. */
static void test_nonsense(void **state)
{
	static const struct {
		size_t at;
		uint8_t v;
	} damage[] = {{8, 4}, {9, 2}, {10, 1}, {14, 200}, {15, 3}};
	(void)state;
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		struct buf b;
		struct arena mem;
		struct findings got;
		buf_init(&b, ROOM);
		arena_init(&mem, ROOM);
		findings_put(&b, &full);
		b.p[b.start + damage[i].at] = damage[i].v;
		assert_false(findings_get(buf_slice(&b), &mem, &got));
		arena_free(&mem);
		buf_free(&b);
	}
}

static void test_metrics(void **state)
{
	static const struct findings none = {.when = 0};
	static const char *const wanted[] = {
	    "danelaw_selfcheck_findings{finding=\"mismatch\",severity=\"error\",name=",
	    "name=\"mx.example.org:25\"} 2\n",
	    "name=\"example.org\"} 1\n",
	    "name=\"odd\\\\\\\"name:465\"} 1\n",
	    "danelaw_selfcheck_last_run_timestamp_seconds 1800000000\n",
	    "danelaw_selfcheck_result{result=\"errors\"} 1\n",
	    "danelaw_selfcheck_result{result=\"ok\"} 0\n",
	    "danelaw_selfcheck_starttls 0\n",
	};
	struct buf b;
	(void)state;
	buf_init(&b, ROOM);
	findings_metrics(&none, &b);
	assert_int_equal(buf_len(&b), 0);
	findings_metrics(&full, &b);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (strstr(buf_cstr(&b), wanted[i]) == NULL)
			fail_msg("not there: %s\nin: %s", wanted[i], buf_cstr(&b));
	}
	buf_free(&b);
}

/* A line of the metrics is the warden's in one place only, and there it ends no line. */
static void test_hostile_names(void **state)
{
	static const char *const rows[] = {"x\nforged 1", "x\r",          "x\x1b[2J",
					   "x\x7f",       "x\xc2\x9b",    "x\xe2\x80\xae",
					   "x\xff",       "x\xe2\x80\xa8"};
	char name[257] = "";
	struct buf b;
	struct arena mem;
	(void)state;
	arena_init(&mem, ROOM);
	buf_init(&b, ROOM);
	memset(name, 'x', sizeof(name) - 1);
	for (size_t i = 0; i < ROWS(rows) + 2; i++) {
		bool good = i == ROWS(rows) + 1; /* the longest that is taken */
		name[255] = good ? '\0' : 'x';
		struct finding_note n = {SELFCHECK_MISMATCH, SELFCHECK_ERROR,
					 i < ROWS(rows) ? rows[i] : name, 25};
		struct findings f = {.when = 1, .note = &n, .n = 1}, got;
		buf_reset(&b);
		findings_put(&b, &f);
		assert_int_equal(findings_get(buf_slice(&b), &mem, &got), good);
	}
	buf_free(&b);
	arena_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_cuts),
	    cmocka_unit_test(test_nonsense),       cmocka_unit_test(test_hostile_names),
	    cmocka_unit_test(test_metrics),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
