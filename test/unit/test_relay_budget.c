/* SPDX-License-Identifier: MIT */
/* relay: how many deliveries at a time, which destinations are our own, which hosts are neighbours.
 */
#include "relay/budget.h"

#include "unit.h"

static struct conf *conf_of(const char *const *overrides, size_t n)
{
	char error[256];
	struct conf *c = conf_load("/dev/null", overrides, n, NULL, error, sizeof(error));
	if (c == NULL)
		fail_msg("%s", error);
	return c;
}

static void slots(void **state)
{
	(void)state;
	static const struct {
		const char *parallel, *memory;
		uint64_t descriptors;
		uint32_t couriers, want;
	} rows[] = {
	    {"queue.parallel=0", "relay.session-memory=128", 65536, 2, 2048},
	    {"queue.parallel=0", "relay.session-memory=256", 65536, 2, 4096},
	    {"queue.parallel=0", "relay.session-memory=1", 65536, 2, 16},
	    {"queue.parallel=0", "relay.session-memory=65536", 1 << 20, 64, BUDGET_SLOTS_MAX},
	    {"queue.parallel=0", "relay.session-memory=128", 1024, 2, 512}, /* two files each */
	    {"queue.parallel=0", "relay.session-memory=128", 0, 2, 1},
	    {"queue.parallel=7", "relay.session-memory=128", 0, 2, 7},
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *const o[] = {rows[i].parallel, rows[i].memory};
		struct conf *c = conf_of(o, ROWS(o));
		assert_int_equal(budget_slots(c, rows[i].descriptors, rows[i].couriers),
				 rows[i].want);
		conf_free(&c);
	}
	assert_true(budget_descriptors() > 0);
}

static void own_backends(void **state)
{
	(void)state;
	static const struct {
		const char *route;
		bool own;
	} rows[] = {
	    {"lmtp:unix:/run/dovecot/lmtp", true},
	    {"smtp:unix:/run/x", true},
	    {"lmtp:[mail.example.org]:24", true},
	    {"[127.0.0.1]:2525", true},
	    {"[::1]:2525", true},
	    {"[10.1.2.3]", true},
	    {"[172.16.0.1]", true},
	    {"[172.31.255.1]", true},
	    {"[172.32.0.1]", false},
	    {"[192.168.7.7]", true},
	    {"[192.169.7.7]", false},
	    {"[fd00::7]", true},
	    {"[2001:db8::7]", false},
	    {"[198.51.100.7]:2525", false},
	    {"[relay.example.org]:2525", false},
	    {"relay.example.org", false},
	    {"[submission.example.org]:587", false},
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		char o[128];
		snprintf(o, sizeof(o), "destination.a.example.route=%s", rows[i].route);
		struct conf *c = conf_of((const char *const[]){o}, 1);
		if (budget_is_own(c, "a.example") != rows[i].own)
			fail_msg("%s", rows[i].route);
		assert_false(budget_is_own(c, "b.example"));
		conf_free(&c);
	}
}

static void networks(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
	    {"192.0.2.1", "192.0.2.200", true},
	    {"192.0.2.1", "192.0.3.1", false},
	    {"192.0.2.1", "::ffff:192.0.2.3", true},
	    {"2001:db8:1::1", "2001:db8:1:ffff::1", true},
	    {"2001:db8:1::1", "2001:db8:2::1", false},
	    {"127.0.0.1", "127.0.1.1", false},
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(budget_network(rows[i].a) == budget_network(rows[i].b),
				 rows[i].same);
	assert_int_equal(budget_network(NULL), 0);
	assert_int_equal(budget_network("/run/dovecot/lmtp"), 0);
	assert_true(budget_network("192.0.2.1") != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slots),
	    cmocka_unit_test(own_backends),
	    cmocka_unit_test(networks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
