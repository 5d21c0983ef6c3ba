/* SPDX-License-Identifier: MIT */
/* How long a session may take in all, in a time that the test makes. */
#include "unit.h"

#include "engine/session_time.h"

static void no_limit(void **state)
{
	struct session_time p;
	(void)state;
	session_time_begin(&p, 0, 1000);
	assert_int_equal(session_time_cap(&p, 300000, 99999999), 300000);
}

static void steps_within(void **state)
{
	struct session_time p;
	(void)state;
	session_time_begin(&p, 600000, 1000);
	assert_int_equal(session_time_cap(&p, 300000, 1000), 300000);
	assert_int_equal(session_time_cap(&p, 300000, 301000), 300000); /* the RFC's, to the last */
	assert_int_equal(session_time_cap(&p, 300000, 301001), 299999);
	assert_int_equal(session_time_cap(&p, 300000, 600999), 1);
	assert_int_equal(session_time_cap(&p, 300000, 601000), 1);
	assert_int_equal(session_time_cap(&p, 300000, UINT64_MAX), 1); /* over, and not for ever */
	assert_int_equal(session_time_cap(&p, 300000, 0), 300000);
}

/* A host that answers every command in the last second of its five minutes. */
static void slow_at_every_step(void **state)
{
	struct smtpc_message m = {.nrcpt = 1000, .size = 1024 * 1024};
	struct session_time p;
	uint64_t now = 0;
	(void)state;
	session_time_begin(&p, session_time_for_mail(&m), 0);
	for (size_t i = 0; i < m.nrcpt; i++) {
		uint32_t wait = session_time_cap(&p, 300000, now);
		if (wait < 300000)
			break;
		now += 299000;
	}
	assert_true(now <= 900000 + 5000 * 1000 + 1024 * 1000);
	assert_true(now > 299000 * 20);
}

static void by_size(void **state)
{
	struct smtpc_message m = {.nrcpt = 1};
	(void)state;
	assert_int_equal(session_time_for_mail(&m), 905000);
	m.size = 50 * 1024 * 1024;
	assert_int_equal(session_time_for_mail(&m), 905000 + 51200000);
	m.size = UINT64_MAX; /* whatever somebody says */
	assert_true(session_time_for_mail(&m) > 905000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_limit),
	    cmocka_unit_test(steps_within),
	    cmocka_unit_test(slow_at_every_step),
	    cmocka_unit_test(by_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
