/* SPDX-License-Identifier: MIT */
/* relay: who is meant by "postmaster" (RFC 5321 s4.1.1.3, s4.5.1), and where his mail may go. */
#include "relay/postmaster.h"

#include "unit.h"

#define HOST "mx.example.org"

static const struct {
	const char *rcpt;
	enum postmaster is;
} row[] = {
    {"postmaster", POSTMASTER_BARE},
    {"PostMaster", POSTMASTER_BARE},
    {"postmaster@mx.example.org", POSTMASTER_OURS},
    {"POSTMASTER@MX.Example.ORG", POSTMASTER_OURS},
    {"postmaster@example.org", POSTMASTER_NOT},
    {"postmaster@mx.example.org.evil.example", POSTMASTER_NOT},
    {"postmaster@", POSTMASTER_NOT},
    {"postmasters", POSTMASTER_NOT},
    {"postmaste", POSTMASTER_NOT},
    {"root@mx.example.org", POSTMASTER_NOT},
    {"a@postmaster", POSTMASTER_NOT},
    {"", POSTMASTER_NOT},
};

static void test_judge(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		if (postmaster_judge(slice_str(row[i].rcpt), HOST) != row[i].is)
			fail_msg("%s", row[i].rcpt);
	}
}

static void test_complaint(void **state)
{
	(void)state;
	assert_null(postmaster_complaint("admin@example.org", HOST));
	assert_null(postmaster_complaint("postmaster@example.org", HOST));
	assert_null(postmaster_complaint("admin@b\xc3\xbc"
					 "cher.example",
					 HOST));
	static const char *const bad[] = {
	    "postmaster", "postmaster@mx.example.org", "Postmaster@MX.example.org", "root",
	    "a@",         "\xc3\xbc@example.org"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (postmaster_complaint(bad[i], HOST) == NULL)
			fail_msg("%s", bad[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_judge),
	    cmocka_unit_test(test_complaint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
