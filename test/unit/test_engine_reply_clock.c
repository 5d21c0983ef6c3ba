/* SPDX-License-Identifier: MIT */
/* How long a host takes for a reply, in a time that the test makes. */
#include "unit.h"

#include "engine/reply_clock.h"

static void nothing_was_heard(void **state)
{
	struct reply_clock c = {0};
	(void)state;
	assert_int_equal(reply_clock_ms(&c), -1);
	reply_clock_sent(&c, 100);
	reply_clock_heard(&c, 0, 5000); /* octets, but no reply yet */
	assert_int_equal(reply_clock_ms(&c), -1);
}

/* The greeting, before anything was sent. */
static void unasked(void **state)
{
	struct reply_clock c = {0};
	(void)state;
	reply_clock_heard(&c, 1, 9000);
	assert_int_equal(reply_clock_ms(&c), -1);
	reply_clock_sent(&c, 9000);
	reply_clock_heard(&c, 2, 9040);
	assert_int_equal(reply_clock_ms(&c), 40);
}

static void mean_of_groups(void **state)
{
	struct reply_clock c = {0};
	(void)state;
	reply_clock_sent(&c, 1000);
	reply_clock_sent(&c, 1010); /* the rest of it */
	reply_clock_heard(&c, 1, 1060);
	reply_clock_heard(&c, 3, 1500); /* of the same group: nothing was sent since */
	reply_clock_sent(&c, 2000);
	reply_clock_heard(&c, 4, 2150);
	assert_int_equal(reply_clock_ms(&c), 100);
	reply_clock_restart(&c);
	assert_int_equal(reply_clock_ms(&c), -1);
	reply_clock_sent(&c, 3000);
	reply_clock_heard(&c, 5, 3007);
	assert_int_equal(reply_clock_ms(&c), 7);
}

static void extremes(void **state)
{
	struct reply_clock c = {0};
	(void)state;
	reply_clock_sent(&c, 5);
	reply_clock_heard(&c, 1, 3); /* a clock that goes back says nothing */
	assert_int_equal(reply_clock_ms(&c), 0);
	reply_clock_restart(&c);
	reply_clock_sent(&c, 0);
	reply_clock_heard(&c, 2, UINT64_MAX);
	assert_int_equal(reply_clock_ms(&c), INT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_was_heard),
	    cmocka_unit_test(unasked),
	    cmocka_unit_test(mean_of_groups),
	    cmocka_unit_test(extremes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
