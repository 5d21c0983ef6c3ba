/* SPDX-License-Identifier: MIT */
/* relay: how long an intake waits for a client. */
#include "relay/patience.h"

#include "unit.h"

enum { TIMEOUT = 300000, S = 1000 };

static struct patience_facts command(uint64_t now, uint64_t progress)
{
	return (struct patience_facts){.now = now, .timeout = TIMEOUT, .progress = progress};
}

static struct patience_facts text(uint64_t now, uint64_t octets)
{
	/* In a text commands, chunks say, are no progress. */
	return (struct patience_facts){
	    .now = now, .timeout = TIMEOUT, .progress = now, .in_text = true, .octets = octets};
}

static bool look(struct patience *p, struct patience_facts f)
{
	return patience_look(p, &f);
}

static void test_commands(void **state)
{
	struct patience p = {0};
	(void)state;
	assert_true(look(&p, command(5, 1)));
	assert_int_equal(p.deadline, 5 + TIMEOUT);
	assert_false(look(&p, command(900, 1)));
	assert_int_equal(p.deadline, 5 + TIMEOUT);
	assert_true(look(&p, command(900, 2)));
	assert_int_equal(p.deadline, 900 + TIMEOUT);
}

/* When does a client that sends `octets` every `every` ms for ever lose our patience? */
static uint64_t end_of_drip(uint64_t octets, uint64_t every)
{
	struct patience p = {0};
	uint64_t now = 1000, sent = 0;
	look(&p, command(now, 1));
	look(&p, text(now, sent));
	while (now < p.deadline) {
		now += every;
		sent += octets;
		look(&p, text(now, sent));
	}
	return p.deadline - 1000;
}

static void test_drips(void **state)
{
	(void)state;
	assert_in_range(end_of_drip(1, 1 * S), 300 * S, 302 * S);
	assert_in_range(end_of_drip(998, 299 * S), 300 * S, 304 * S);
	/* half the pace: each second costs half of one */
	assert_in_range(end_of_drip(250, 1 * S), 598 * S, 602 * S);
	/* fast enough, or much too fast: there is an end, too */
	assert_int_equal(end_of_drip(501, 1 * S), PATIENCE_TEXT_MS);
	assert_int_equal(end_of_drip(1000000, 1 * S), PATIENCE_TEXT_MS);
}

static void test_never_more_than_the_timeout(void **state)
{
	struct patience p = {0};
	(void)state;
	look(&p, command(0, 1));
	look(&p, text(1000, 0));
	assert_true(look(&p, text(2000, 50000000)));
	assert_int_equal(p.deadline, 2000 + TIMEOUT);
	/* and what was too much is no stock for later */
	assert_false(look(&p, text(9000, 50000000)));
	assert_int_equal(p.deadline, 2000 + TIMEOUT);
}

static void test_the_end_of_a_text(void **state)
{
	struct patience p = {0};
	(void)state;
	look(&p, command(0, 1));
	look(&p, text(1000, 0));
	assert_true(look(&p, command(200 * S, 200 * S))); /* 250, next command */
	assert_int_equal(p.deadline, 200 * S + TIMEOUT);
	assert_true(look(&p, text(210 * S, 10))); /* the next text has its own beginning */
	assert_int_equal(p.text_since, 210 * S);
}

static void test_renewed(void **state)
{
	struct patience p = {0};
	struct patience_facts f = command(10, 1);
	(void)state;
	look(&p, f);
	f.now = 250 * S;
	patience_renew(&p, &f);
	assert_int_equal(p.deadline, 250 * S + TIMEOUT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_commands),
	    cmocka_unit_test(test_drips),
	    cmocka_unit_test(test_never_more_than_the_timeout),
	    cmocka_unit_test(test_the_end_of_a_text),
	    cmocka_unit_test(test_renewed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
