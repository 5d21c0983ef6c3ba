/* SPDX-License-Identifier: MIT */
/* relay: which notices are sent: one row of the table in notice_limit.h after the other. */
#include "relay/notice_limit.h"

#include "unit.h"

enum { HOUR = 3600 * 1000, MANY = 200 };

static const struct notice_limit_config usual = {
    .rate = 60, .rate_strangers = 20, .success_strangers = 5};

/* How many of MANY at the same time are sent; each about another origin, or to somebody else. */
static size_t sent(struct notice_limit *l, enum dsn_action action, bool stranger, bool origins,
		   bool victims, uint64_t now)
{
	size_t n = 0;
	for (unsigned i = 0; i < MANY; i++) {
		char to[32];
		snprintf(to, sizeof(to), "v%u@x", victims ? i : 0);
		struct notice_about a = {action, stranger, 100 + (origins ? i : 0), to};
		n += notice_limit_take(l, &a, now);
	}
	return n;
}

static void test_rows(void **state)
{
	static const struct {
		enum dsn_action action;
		bool stranger, origins, victims;
		size_t sent;
	} row[] = {
	    {DSN_FAILED, false, false, false, MANY}, {DSN_DELAYED, false, false, false, 60},
	    {DSN_RELAYED, false, false, false, 60},  {DSN_RELAYED, false, true, false, MANY},
	    {DSN_FAILED, true, false, true, 20},     {DSN_FAILED, true, true, false, 20},
	    {DSN_FAILED, true, true, true, MANY},    {DSN_RELAYED, true, false, false, 5},
	    {DSN_RELAYED, true, false, true, 5},     {DSN_RELAYED, true, true, false, 5},
	    {DSN_DELAYED, true, false, false, 0},    {DSN_DELAYED, true, true, true, 0},
	    {DSN_NONE, false, false, false, 0},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct notice_limit *l = notice_limit_new(&usual);
		assert_int_equal(
		    sent(l, row[i].action, row[i].stranger, row[i].origins, row[i].victims, HOUR),
		    row[i].sent);
		notice_limit_free(&l);
	}
}

/* An hour later there is as much again; after a part of it, a part. */
static void test_time(void **state)
{
	struct notice_limit *l = notice_limit_new(&usual);
	(void)state;
	assert_int_equal(sent(l, DSN_FAILED, true, false, false, HOUR), 20);
	assert_int_equal(sent(l, DSN_FAILED, true, false, false, HOUR + HOUR / 4), 5);
	assert_int_equal(sent(l, DSN_FAILED, true, false, false, 3 * HOUR), 20);
	notice_limit_free(&l);
}

static void test_options(void **state)
{
	struct notice_limit *l = notice_limit_new(&(struct notice_limit_config){0});
	(void)state;
	assert_int_equal(sent(l, DSN_FAILED, true, false, false, 1), MANY);
	assert_int_equal(sent(l, DSN_RELAYED, true, false, false, 1), MANY);
	assert_false(notice_limit_tells_delay(l, true));
	assert_true(notice_limit_tells_delay(l, false));
	notice_limit_free(&l);
	l = notice_limit_new(
	    &(struct notice_limit_config){.delay_to_strangers = true, .rate_strangers = 7});
	assert_true(notice_limit_tells_delay(l, true));
	assert_int_equal(sent(l, DSN_DELAYED, true, false, false, 1), 7);
	notice_limit_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_time),
					   cmocka_unit_test(test_options)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
