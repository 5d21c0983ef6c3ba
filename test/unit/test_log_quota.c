/* SPDX-License-Identifier: MIT */
/* log: a kind of event has so many lines a minute, and the rest as one. */
#include "log/quota.h"

#include "unit.h"

static unsigned take(struct log_quota *q, const char *kind, unsigned n, uint64_t now,
		     uint32_t *told)
{
	unsigned may = 0;
	*told = 0;
	for (unsigned i = 0; i < n; i++) {
		uint32_t left;
		may += log_quota_take(q, kind, now, &left);
		*told += left;
	}
	return may;
}

static void the_rest_is_counted(void **state)
{
	(void)state;
	struct log_quota q = {0};
	uint32_t told;
	assert_int_equal(take(&q, "relay-denied", 1000000, 5, &told), LOG_QUOTA_LINES);
	assert_int_equal(told, 0);
	assert_int_equal(take(&q, "tls-failed", 3, 5, &told), 3); /* another kind is not hidden */
	assert_null(log_quota_over(&q, 5 + LOG_QUOTA_MS - 1, &told));
	assert_int_equal(take(&q, "relay-denied", 200, 5 + LOG_QUOTA_MS, &told), LOG_QUOTA_LINES);
	assert_int_equal(told, 1000000 - LOG_QUOTA_LINES);
	assert_string_equal(log_quota_over(&q, 5 + 2 * LOG_QUOTA_MS, &told), "relay-denied");
	assert_int_equal(told, 100);
	assert_null(log_quota_over(&q, 5 + 2 * LOG_QUOTA_MS, &told)); /* told once */
	assert_int_equal(take(&q, "relay-denied", 1, 5 + 2 * LOG_QUOTA_MS, &told), 1);
	assert_int_equal(told, 0);
}

static void more_kinds_than_places(void **state)
{
	(void)state;
	struct log_quota q = {0};
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i",
					    "j", "k", "l", "m", "n", "o", "p", "q"};
	uint32_t told;
	for (size_t i = 0; i < ROWS(names); i++)
		assert_int_equal(take(&q, names[i], 101, 1, &told),
				 i < LOG_QUOTA_KINDS ? 100 : 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_rest_is_counted),
					   cmocka_unit_test(more_kinds_than_places)};
	return cmocka_run_group_tests_name("log_quota", tests, NULL, NULL);
}
