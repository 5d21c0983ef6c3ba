/* SPDX-License-Identifier: MIT */
/* wire: configured next hops (D11). */
#include "wire/route.h"

#include "unit.h"

static const struct row {
	const char *text;
	bool good;
	const char *host;
	bool itself;
	uint8_t family;
	uint16_t port;
} rows[] = {
    {"example.org", true, "example.org", false, 0, 0},
    {"example.org:2525", true, "example.org", false, 0, 2525},
    {"[mx.example.org]", true, "mx.example.org", true, 0, 0},
    {"[mx.example.org]:26", true, "mx.example.org", true, 0, 26},
    {"[192.0.2.1]", true, "192.0.2.1", true, 4, 0},
    {"[192.0.2.1]:25", true, "192.0.2.1", true, 4, 25},
    {"[2001:db8::1]:25", true, "2001:db8::1", true, 6, 25},
    {"", false, NULL, false, 0, 0},
    {"192.0.2.1", false, NULL, false, 0, 0}, /* an address has no MX hosts */
    {"[]", false, NULL, false, 0, 0},
    {"[mx.example.org", false, NULL, false, 0, 0},
    {"[mx.example.org]x", false, NULL, false, 0, 0},
    {"[mx.example.org]:", false, NULL, false, 0, 0},
    {"[mx.example.org]:0", false, NULL, false, 0, 0},
    {"[mx.example.org]:65536", false, NULL, false, 0, 0},
    {"example.org:", false, NULL, false, 0, 0},
    {"example.org:smtp", false, NULL, false, 0, 0},
    {"example..org", false, NULL, false, 0, 0},
    {"example.org:25:26", false, NULL, false, 0, 0},
    {"exa mple.org", false, NULL, false, 0, 0},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct route r;
		bool good = route_parse(slice_str(rows[i].text), &r);
		if (good != rows[i].good)
			fail_msg("%s", rows[i].text);
		if (!good)
			continue;
		assert_true(slice_eq_str(r.host, rows[i].host));
		assert_int_equal(r.itself, rows[i].itself);
		assert_int_equal(r.ip.family, rows[i].family);
		assert_int_equal(r.port, rows[i].port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
