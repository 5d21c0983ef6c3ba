/* SPDX-License-Identifier: MIT */
/* idn: U-labels to A-labels and back (RFC 5891, UTS #46 non-transitional). */
#include "idn/idn.h"

#include "wire/destination.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *in;
	enum idn_error error;
	const char *out;
} to_ascii[] = {
    {"example.org", IDN_OK, "example.org"},
    {"Example.ORG.", IDN_OK, "example.org"},
    {".", IDN_OK, "."},
    {"_25._tcp.MX.example", IDN_OK, "_25._tcp.mx.example"},
    {"ab--cd.example", IDN_OK, "ab--cd.example"}, /* IDNA refuses it; DNS has it */
    {"-a-.example", IDN_OK, "-a-.example"},
    {"[192.0.2.1]", IDN_OK, "[192.0.2.1]"},
    {"bücher.example", IDN_OK, "xn--bcher-kva.example"},
    {"BÜCHER.Example", IDN_OK, "xn--bcher-kva.example"},
    {"straße.example", IDN_OK, "xn--strae-oqa.example"}, /* not strasse: non-transitional */
    {"bu\xcc\x88"
     "cher.example",
     IDN_OK, "xn--bcher-kva.example"},                  /* NFC */
    {"例え。テスト", IDN_OK, "xn--r8jz45g.xn--zckzah"}, /* ideographic full stop */
    {"xn--bcher-kva.example", IDN_OK, "xn--bcher-kva.example"},
    {"XN--BCHER-KVA.example", IDN_OK, "xn--bcher-kva.example"},
    {"_dmarc.bücher.example", IDN_OK, "_dmarc.xn--bcher-kva.example"},
    {A63 ".example", IDN_OK, A63 ".example"},
    {"", IDN_EMPTY, ""},
    {"a..b", IDN_EMPTY, ""},
    {".a", IDN_EMPTY, ""},
    {"..", IDN_EMPTY, ""},
    {A63 "a.example", IDN_TOO_LONG, ""},
    {A63 "." A63 "." A63 "." A63, IDN_TOO_LONG, ""},
    {"b\xfc"
     "cher.example",
     IDN_BAD_UTF8, ""},
    {"a\xe2\x80\xae"
     "b.example",
     IDN_DISALLOWED, ""}, /* right-to-left override */
    {"xn--.example", IDN_BAD_ALABEL, ""},
    {"xn--zzzzzzzzzzzz99999999.example", IDN_BAD_ALABEL, ""},
};

static void names_become_alabels(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof to_ascii / sizeof to_ascii[0]; i++) {
		char out[300] = "x";
		enum idn_error e = idn_to_ascii(to_ascii[i].in, out, sizeof out);
		if (e != to_ascii[i].error || strcmp(out, to_ascii[i].out) != 0)
			fail_msg("%s: %s, \"%s\"", to_ascii[i].in, idn_strerror(e), out);
	}
}

static void a_small_buffer_is_an_error(void **state)
{
	(void)state;
	char out[12];
	assert_int_equal(idn_to_ascii("example.org", out, 11), IDN_TOO_LONG);
	assert_string_equal(out, "");
	assert_int_equal(idn_to_ascii("example.org", out, 12), IDN_OK);
	assert_int_equal(idn_to_ascii("b\xc3\xbc.example", out, 12), IDN_TOO_LONG);
	assert_int_equal(idn_to_unicode("example.org", out, 11), IDN_TOO_LONG);
	assert_int_equal(idn_to_ascii(".", out, 1), IDN_TOO_LONG);
	assert_int_equal(idn_to_ascii("a", NULL, 0), IDN_TOO_LONG);
}

static void names_become_ulabels(void **state)
{
	(void)state;
	char out[300];
	assert_int_equal(idn_to_unicode("xn--bcher-kva.example", out, sizeof out), IDN_OK);
	assert_string_equal(out, "bücher.example");
	assert_int_equal(idn_to_unicode("_25._tcp.mx.example", out, sizeof out), IDN_OK);
	assert_string_equal(out, "_25._tcp.mx.example");
	assert_int_equal(idn_to_unicode("xn--zzzzzzzzzzzz99999999.example", out, sizeof out),
			 IDN_OK);
	assert_string_equal(out, "xn--zzzzzzzzzzzz99999999.example");
	assert_int_equal(idn_to_unicode("", out, sizeof out), IDN_EMPTY);
}

static const struct {
	const char *in, *out; /* "": refused */
	bool pattern;         /* as a pattern only */
} destinations[] = {
    {"GOV.example.", "gov.example"},
    {"ＧＯＶ.example", "gov.example"}, /* fullwidth */
    {"gov。example", "gov.example"},   /* ideographic full stop */
    {"gov．example。", "gov.example"},
    {"gov｡example", "gov.example"},
    {"bücher.example", "xn--bcher-kva.example"},
    {"BÜCHER.example.", "xn--bcher-kva.example"},
    {"XN--BCHER-kva.example", "xn--bcher-kva.example"},
    {"[IPv6:FD00:77:0::77]", "[ipv6:fd00:77::77]"},
    {"[127.0.0.77]", "[127.0.0.77]"},
    {"*.Bücher.example", "*.xn--bcher-kva.example", .pattern = true},
    {"*.TEST", "*.test", .pattern = true},
    {"", ""},
    {"*", ""},
    {"＊.test", ""},
    {"*。test", ""},
    {"*test", ""},
    {"x y", ""},
    {"x　y.test", ""}, /* ideographic space */
    {"１２７.0.0.1", ""},
    {"［127.0.0.1］", ""},
    {"[127。0。0。1]", ""},
    {"127.0.0.1", ""},
    {"xn--zzzzzzzzzzzz99999999.example", ""},
    {"*.xn--zzzzzzzzzzzz99999999.example", ""},
    {"gov\u200b.example", "gov.example"}, /* ignored by the mapping */
    {"gov\u202e.example", ""},
    {"gov/.ü.example", ""},
};

static void destinations_have_one_normal_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof destinations / sizeof destinations[0]; i++) {
		char out[DESTINATION_ROOM] = "x";
		const char *why = NULL, *want = destinations[i].out;
		enum idn_error e = idn_destination_pattern(destinations[i].in, out, &why);
		if (strcmp(out, want) != 0 || (e == IDN_OK) != (want[0] != '\0') || !why)
			fail_msg("pattern %s: %s, \"%s\"", destinations[i].in, why, out);
		if (destinations[i].pattern)
			want = "";
		e = idn_destination(destinations[i].in, out, NULL);
		if (strcmp(out, want) != 0 || (e == IDN_OK) != (want[0] != '\0'))
			fail_msg("%s: \"%s\"", destinations[i].in, out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_become_alabels),
	    cmocka_unit_test(a_small_buffer_is_an_error),
	    cmocka_unit_test(names_become_ulabels),
	    cmocka_unit_test(destinations_have_one_normal_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
