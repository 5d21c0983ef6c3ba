/* SPDX-License-Identifier: MIT */
/* wire: one normal form for each destination, however it is written. */
#include "wire/destination.h"

#include "unit.h"

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NAME_253                                                                                   \
	A63 "." A63 "." A63 "."                                                                    \
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *text;
	enum destination_error error;
	const char *out;
	bool pattern; /* as a pattern only */
} rows[] = {
    {"gov.example", DESTINATION_OK, "gov.example"},
    {"GOV.Example.", DESTINATION_OK, "gov.example"},
    {"xn--Bcher-kva.example", DESTINATION_OK, "xn--bcher-kva.example"},
    {"a_b.example", DESTINATION_OK, "a_b.example"},
    {"localhost", DESTINATION_OK, "localhost"},
    {NAME_253 ".", DESTINATION_OK, NAME_253},
    {NAME_253 "a", DESTINATION_BAD_NAME, ""},
    {"[127.0.0.77]", DESTINATION_OK, "[127.0.0.77]"},
    {"[IPv6:fd00:77::77]", DESTINATION_OK, "[ipv6:fd00:77::77]"},
    {"[ipv6:FD00:0077:0:0:0:0:0:0077]", DESTINATION_OK, "[ipv6:fd00:77::77]"},
    {"[IPV6:fd00:77::0.0.0.119]", DESTINATION_OK, "[ipv6:fd00:77::77]"},
    {"[fd00:77:0::77]", DESTINATION_OK, "[ipv6:fd00:77::77]"},
    {"[IPv6:::ffff:127.0.0.77]", DESTINATION_OK, "[127.0.0.77]"},
    {"[IPv6:0:0:0:0:0:FFFF:7f00:4d]", DESTINATION_OK, "[127.0.0.77]"},
    {"[::ffff:7f00:4d]", DESTINATION_OK, "[127.0.0.77]"},
    {"[IPv6:::1]", DESTINATION_OK, "[ipv6:::1]"},
    {"*.example", DESTINATION_OK, "*.example", .pattern = true},
    {"*.GOV.example.", DESTINATION_OK, "*.gov.example", .pattern = true},
    {"*." NAME_253, DESTINATION_OK, "*." NAME_253, .pattern = true},

    {"", DESTINATION_EMPTY, ""},
    {".", DESTINATION_BAD_NAME, ""},
    {"gov..example", DESTINATION_BAD_NAME, ""},
    {"gov.example..", DESTINATION_BAD_NAME, ""},
    {".example", DESTINATION_BAD_NAME, ""},
    {"x y", DESTINATION_BAD_NAME, ""},
    {"u@example", DESTINATION_BAD_NAME, ""},
    {"example:25", DESTINATION_BAD_NAME, ""},
    {" example", DESTINATION_BAD_NAME, ""},
    {"*", DESTINATION_BAD_PATTERN, ""},
    {"*test", DESTINATION_BAD_PATTERN, ""},
    {"a.*.test", DESTINATION_BAD_PATTERN, ""},
    {"*.", DESTINATION_BAD_PATTERN, ""},
    {"*.*.test", DESTINATION_BAD_PATTERN, ""},
    {"*.[127.0.0.1]", DESTINATION_BAD_PATTERN, ""},
    {"b\xc3\xbc"
     "cher.example",
     DESTINATION_NOT_ASCII, ""},
    {"127.0.0.77", DESTINATION_BARE_ADDRESS, ""},
    {"127.0.0.77:25", DESTINATION_BARE_ADDRESS, ""},
    {"fd00:77::77", DESTINATION_BARE_ADDRESS, ""},
    {"*.127.0.0.1", DESTINATION_BARE_ADDRESS, ""},
    {"1.2.3", DESTINATION_BAD_NAME, ""}, /* no name, no address: nothing */
    {"[127.0.0.77", DESTINATION_BAD_LITERAL, ""},
    {"[]", DESTINATION_BAD_LITERAL, ""},
    {"[127.0.0.077]", DESTINATION_BAD_LITERAL, ""},
    {"[127.1]", DESTINATION_BAD_LITERAL, ""},
    {"[ 127.0.0.1]", DESTINATION_BAD_LITERAL, ""},
    {"[127.0.0.1].", DESTINATION_BAD_LITERAL, ""},
    {"[127.0.0.1]:25", DESTINATION_BAD_LITERAL, ""},
    {"[IPv6:127.0.0.1]", DESTINATION_BAD_LITERAL, ""},
    {"[fe80::1%eth0]", DESTINATION_BAD_LITERAL, ""},
    {"[mx.example]", DESTINATION_BAD_LITERAL, ""},
    /* a kernel takes them for 127.0.0.1 and ::1 */
    {"[0.0.0.0]", DESTINATION_BAD_LITERAL, ""},
    {"[IPv6:::]", DESTINATION_BAD_LITERAL, ""},
    {"[::ffff:0.0.0.0]", DESTINATION_BAD_LITERAL, ""},
};

static void one_destination_has_one_normal_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[DESTINATION_ROOM];
		memset(out, 'x', sizeof out);
		enum destination_error e =
		    destination_normalise_pattern(slice_str(rows[i].text), out);
		if (e != rows[i].error || strcmp(out, rows[i].out) != 0)
			fail_msg("pattern %s: %s, \"%s\"", rows[i].text, destination_strerror(e),
				 out);
		memset(out, 'x', sizeof out);
		e = destination_normalise(slice_str(rows[i].text), out);
		bool good = rows[i].error == DESTINATION_OK && !rows[i].pattern;
		if ((e == DESTINATION_OK) != good || strcmp(out, good ? rows[i].out : "") != 0)
			fail_msg("%s: %s, \"%s\"", rows[i].text, destination_strerror(e), out);
	}
}

static void a_normal_form_stays(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool same = strcmp(rows[i].text, rows[i].out) == 0 && rows[i].text[0];
		struct slice text = slice_str(rows[i].text), out = slice_str(rows[i].out);
		assert_int_equal(destination_is_normal_pattern(text), same);
		assert_int_equal(destination_is_normal(text), same && !rows[i].pattern);
		if (rows[i].error == DESTINATION_OK)
			assert_true(destination_is_normal_pattern(out));
	}
	assert_false(destination_is_normal(slice_make("a\0b", 3)));
	assert_false(destination_is_normal(slice_make("[::1\0]", 6)));
}

static void a_literal_has_an_address(void **state)
{
	(void)state;
	struct ipaddr a;
	assert_true(destination_address("[127.0.0.77]", &a));
	assert_int_equal(a.family, 4);
	assert_int_equal(a.b[3], 77);
	assert_true(destination_address("[ipv6:fd00::1]", &a));
	assert_int_equal(a.family, 6);
	assert_false(destination_address("gov.example", &a));
	assert_int_equal(a.family, 0);
}

static const struct {
	const char *pattern, *destination;
	bool matches;
} pairs[] = {
    {"gov.example", "gov.example", true},     {"gov.example", "a.gov.example", false},
    {"*.example", "gov.example", true},       {"*.example", "a.gov.example", true},
    {"*.example", "example", false},          {"*.example", "x-example", false},
    {"*.gov.example", "agov.example", false}, {"[127.0.0.77]", "[127.0.0.77]", true},
    {"*.77]", "[127.0.0.77]", false},
};

static void patterns_match_what_is_below(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		if (destination_matches(pairs[i].pattern, pairs[i].destination) != pairs[i].matches)
			fail_msg("%s and %s", pairs[i].pattern, pairs[i].destination);
}

static void exact_comes_before_longer_before_shorter(void **state)
{
	(void)state;
	const char *order[] = {NULL, "*.test", "*.a.test", "*." NAME_253, "t"};
	for (size_t i = 1; i < sizeof order / sizeof order[0]; i++)
		assert_true(destination_specificity(order[i]) >
			    destination_specificity(order[i - 1]));
	assert_int_equal(destination_specificity("[127.0.0.1]"), DESTINATION_EXACT);
	assert_int_equal(destination_specificity(NULL), DESTINATION_ANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_destination_has_one_normal_form),
	    cmocka_unit_test(a_normal_form_stays),
	    cmocka_unit_test(a_literal_has_an_address),
	    cmocka_unit_test(patterns_match_what_is_below),
	    cmocka_unit_test(exact_comes_before_longer_before_shorter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
