/* SPDX-License-Identifier: MIT */
/* relay: how many messages somebody may hand in (P3). */
#include "relay/rate.h"

#include "unit.h"

#include <stdio.h>

#define A slice_str("192.0.2.1")
#define B slice_str("192.0.2.2")

static unsigned take(struct rate *r, struct slice key, unsigned times, uint64_t now)
{
	unsigned n = 0;
	for (unsigned i = 0; i < times; i++)
		n += rate_take(r, key, now);
	return n;
}

static void test_burst_then_pace(void **state)
{
	(void)state;
	struct rate *r = rate_new(6);
	assert_non_null(r);
	assert_int_equal(take(r, A, 10, 1000), 6);
	assert_int_equal(take(r, A, 1, 10999), 0);
	assert_int_equal(take(r, A, 5, 11000), 1); /* one every ten seconds */
	assert_int_equal(take(r, A, 10, 11000 + 60000), 6);
	rate_free(&r);
	assert_null(r);
}

static void test_small_steps_add_up(void **state)
{
	(void)state;
	struct rate *r = rate_new(1);
	assert_int_equal(take(r, A, 1, 0), 1);
	for (uint64_t t = 1; t < 60000; t += 7)
		assert_int_equal(take(r, A, 1, t), 0);
	assert_int_equal(take(r, A, 2, 60000), 1);
	rate_free(&r);
}

static void test_keys_are_apart(void **state)
{
	(void)state;
	struct rate *r = rate_new(2);
	assert_int_equal(take(r, A, 3, 0), 2);
	assert_int_equal(take(r, B, 3, 0), 2);
	assert_int_equal(take(r, A, 1, 0), 0);
	rate_free(&r);
}

static void test_clock_back(void **state)
{
	(void)state;
	struct rate *r = rate_new(1);
	assert_int_equal(take(r, A, 2, 1000000), 1);
	assert_int_equal(take(r, A, 1, 5), 0);
	assert_int_equal(take(r, A, 1, 5 + 60000), 1);
	rate_free(&r);
}

/* More keys than places: those who come most are still refused, and nothing breaks. */
static void test_full_table(void **state)
{
	(void)state;
	char text[32];
	struct rate *r = rate_new(2);
	assert_int_equal(take(r, A, 9, 0), 2);
	for (unsigned i = 0; i < 3 * RATE_PLACES; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16, (i >> 8) & 255, i & 255);
		assert_true(rate_take(r, slice_str(text), 0));
	}
	assert_int_equal(take(r, A, 1, 0), 0);
	rate_free(&r);
}

static void test_long_and_empty_keys(void **state)
{
	(void)state;
	char text[200];
	struct rate *r = rate_new(1);
	memset(text, 'x', sizeof(text));
	assert_true(rate_take(r, slice_make(text, 200), 0));
	assert_false(rate_take(r, slice_make(text, 100), 0)); /* the same as far as keys count */
	assert_true(rate_take(r, (struct slice){0}, 0));
	assert_true(rate_take(r, (struct slice){0}, 0));
	rate_free(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_burst_then_pace), cmocka_unit_test(test_small_steps_add_up),
	    cmocka_unit_test(test_keys_are_apart),  cmocka_unit_test(test_clock_back),
	    cmocka_unit_test(test_full_table),      cmocka_unit_test(test_long_and_empty_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
