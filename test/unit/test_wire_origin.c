/* SPDX-License-Identifier: MIT */
/* Origins: what counts as one, what as two, and that their numbers never change (the queue has
 * them). */
#include "unit.h"

#include "wire/origin.h"

static uint64_t of(const char *address)
{
	struct ipaddr a = {0};
	if (address != NULL)
		assert_true(ipaddr_from_text(slice_str(address), &a));
	return origin_of_address(&a);
}

static void networks(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
	    {"192.0.2.1", "192.0.2.254", true},
	    {"192.0.2.1", "192.0.3.1", false},
	    {"192.0.2.1", "::ffff:192.0.2.9", true},
	    {"192.0.2.1", "64.0.2.1", false},
	    {"2001:db8:0:100::1", "2001:db8:0:1ff:ffff::1", true},
	    {"2001:db8:0:100::1", "2001:db8:0:200::1", false},
	    {"2001:db8::1", "2001:db8:1::1", false},
	    {"127.0.0.1", "127.9.9.9", true},
	    {"127.0.0.1", "::1", true},
	    {"127.0.0.1", "::ffff:127.0.0.1", true},
	    {"127.0.0.1", NULL, true}, /* a Unix socket */
	    {"127.0.0.1", "128.0.0.1", false},
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(of(rows[i].a) == of(rows[i].b), rows[i].same);
	assert_true(of("127.0.0.1") == ORIGIN_LOCAL);
}

static void users(void **state)
{
	(void)state;
	assert_true(origin_of_user("alice") == origin_of_user("alice"));
	assert_true(origin_of_user("alice") != origin_of_user("alicf"));
	assert_true(origin_of_user("") != origin_of_user("a"));
	/* "4" and three octets as a user are not the network */
	assert_true(origin_of_user("\300\1\2") != of("192.1.2.3"));
	for (uint64_t i = 0; i < 1000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "u%d", (int)i);
		assert_true(origin_of_user(name) >= ORIGIN_RESERVED);
		assert_true(origin_is_valid(origin_of_user(name)));
	}
	assert_false(origin_is_valid((uint64_t)1 << ORIGIN_BITS));
}

static void senders(void **state)
{
	(void)state;
	uint64_t a = origin_of_user("alice"), s = origin_sender(a, "a@example.org");
	assert_true(origin_of_sender(s) == a);
	assert_true(s != origin_sender(a, "b@example.org"));
	assert_true(origin_of_sender(origin_sender(a, "")) == a);
	assert_true(origin_of_sender(origin_sender(ORIGIN_NOTICES, "x")) == ORIGIN_NOTICES);
	assert_true(s >> ORIGIN_PATH_BITS == a);
	assert_true((origin_sender(ORIGIN_NONE, "a@example.org") ^ s) >> ORIGIN_PATH_BITS == a);
}

/* They stand in queues. */
static void never_another_number(void **state)
{
	(void)state;
	assert_true(origin_of_user("alice") == UINT64_C(0x3d8dffe985));
	assert_true(of("192.0.2.1") == UINT64_C(0x4e5bbca337));
	assert_true(of("2001:db8::1") == UINT64_C(0x86d01de2ff));
	assert_true(origin_sender(0, "a@example.org") == UINT64_C(0x351d4c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(networks),
	    cmocka_unit_test(users),
	    cmocka_unit_test(senders),
	    cmocka_unit_test(never_another_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
