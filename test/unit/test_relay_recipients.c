/* SPDX-License-Identifier: MIT */
/* relay: the file of recipients that are there. */
#include "relay/recipients.h"

#include "unit.h"

static const char file[] = "# our people\n"
			   "alice@example.org\n"
			   "\n"
			   "  Bob.Builder@EXAMPLE.org  \r\n"
			   "@lists.example.org\n"
			   "\"odd one\"@example.org\n"
			   "zo\xc3\xab@b\xc3\xbc"
			   "cher.example\n";

static struct recipients *parse(const char *text)
{
	char error[200] = "";
	struct recipients *r = recipients_parse(slice_str(text), "f", error, sizeof(error));
	if (r == NULL)
		fail_msg("%s", error);
	return r;
}

static const struct {
	const char *local, *domain;
	bool there;
} row[] = {
    {"alice", "example.org", true},
    {"ALICE", "example.org", true},
    {"alic", "example.org", false},
    {"alice", "example.com", false},
    {"alice", "sub.example.org", false},
    {"bob.builder", "example.org", true},
    {"anybody", "lists.example.org", true},
    {"anybody", "example.org", false},
    {"", "example.org", false},
    {"\"odd one\"", "example.org", true},
    {"zo\xc3\xab", "xn--bcher-kva.example", true},
    {"Postmaster", "example.org", true},
    {"postmaster", "nowhere.example", true},
    {"# our people", "example.org", false},
};

static void test_rows(void **state)
{
	struct recipients *r = parse(file);
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		if (recipients_has(r, slice_str(row[i].local), slice_str(row[i].domain)) !=
		    row[i].there)
			fail_msg("%s@%s", row[i].local, row[i].domain);
	}
	recipients_free(&r);
	assert_null(r);
}

static void test_empty(void **state)
{
	struct recipients *r = parse("# nobody\n");
	(void)state;
	assert_false(recipients_has(r, slice_str("alice"), slice_str("example.org")));
	recipients_free(&r);
}

/* Half a table would refuse mail for people who are there. */
static void test_wrong_lines(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
	    {"alice\n", "f:1: neither an address nor @DOMAIN"},
	    {"a@b.example\nalice example.org\n", "f:2: neither an address nor @DOMAIN"},
	    {"a@b.example\n\n@\n", "f:3: the domain is no domain"},
	    {"a@b..example\n", "f:1: neither an address nor @DOMAIN"},
	    {"@b_c.example/x\n", "f:1: the domain is no domain"},
	    {"a\x01@b.example\n", "f:1: neither an address nor @DOMAIN"},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++) {
		char error[200] = "";
		struct recipients *r =
		    recipients_parse(slice_str(bad[i].text), "f", error, sizeof(error));
		if (r != NULL || strcmp(error, bad[i].error) != 0)
			fail_msg("row %zu: %s", i, error);
	}
}

static void test_no_file(void **state)
{
	char error[200] = "";
	(void)state;
	assert_null(recipients_load("/nowhere/recipients", error, sizeof(error)));
	assert_string_equal(error, "/nowhere/recipients: No such file or directory");
	assert_null(recipients_load("/", error, sizeof(error)));
	assert_string_equal(error, "/: Is a directory");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_wrong_lines),
	    cmocka_unit_test(test_no_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
