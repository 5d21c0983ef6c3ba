/* SPDX-License-Identifier: MIT */
/* wire: mailbox syntax (RFC 5321 s4.1.2, s4.1.3; RFC 6531 s3.3) and UTF-8 (RFC 3629). */
#include "wire/address.h"

#include "guard.h"
#include "unit.h"

#define S(text)                                                                                    \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}
#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16
#define X63 X16 X16 X16 "xxxxxxxxxxxxxxx"

static const struct {
	struct slice in;
	enum address_error error;
	const char *local, *domain;
	uint8_t family;
	bool utf8, utf8_local;
} row[] = {
    {S("a@b"), ADDRESS_OK, "a", "b"},
    {S("user.name+tag@Example.org"), ADDRESS_OK, "user.name+tag", "Example.org"},
    {S("!#$%&'*+-/=?^_`{|}~@b"), ADDRESS_OK, "!#$%&'*+-/=?^_`{|}~", "b"},
    {S("a@3com.example"), ADDRESS_OK, "a", "3com.example"},
    {S("a@_dmarc_.example"), ADDRESS_OK, "a", "_dmarc_.example"},
    {S("a@xn--bcher-kva.example"), ADDRESS_OK, "a", "xn--bcher-kva.example"},
    {S("\"\"@b"), ADDRESS_OK, "\"\"", "b"},
    {S("\"a b\"@b"), ADDRESS_OK, "\"a b\"", "b"},
    {S("\"a@b>\"@c"), ADDRESS_OK, "\"a@b>\"", "c"},
    {S("\"a\\\"\\\\ \"@c"), ADDRESS_OK, "\"a\\\"\\\\ \"", "c"},
    {S("a@[192.0.2.1]"), ADDRESS_OK, "a", "[192.0.2.1]", 4},
    {S("a@[IPv6:2001:db8::1]"), ADDRESS_OK, "a", "[IPv6:2001:db8::1]", 6},
    {S("a@[ipv6:::1]"), ADDRESS_OK, "a", "[ipv6:::1]", 6},
    {S("gr\xc3\xbc@b"), ADDRESS_OK, "gr\xc3\xbc", "b", 0, true, true},
    {S("a@b\xc3\xbc"
       "cher.example"),
     ADDRESS_OK, "a",
     "b\xc3\xbc"
     "cher.example",
     0, true, false},
    {S("\"\xf0\x9f\x93\xab\"@b"), ADDRESS_OK, "\"\xf0\x9f\x93\xab\"", "b", 0, true, true},
    {S(X64 "@b"), ADDRESS_OK, X64, "b"},
    {S("a@" X63 ".b"), ADDRESS_OK, "a", X63 ".b"},
    {S(""), ADDRESS_EMPTY},
    {S("a"), ADDRESS_NO_AT},
    {S("\"a\""), ADDRESS_NO_AT},
    {S("a b"), ADDRESS_NO_AT},
    {S("@b"), ADDRESS_BAD_LOCAL},
    {S(".a@b"), ADDRESS_BAD_LOCAL},
    {S("a.@b"), ADDRESS_BAD_LOCAL},
    {S("a..c@b"), ADDRESS_BAD_LOCAL},
    {S("a b@b"), ADDRESS_BAD_LOCAL},
    {S("a(c)@b"), ADDRESS_BAD_LOCAL},
    {S("<a@b>"), ADDRESS_BAD_LOCAL},
    {S("a\\@c@b"), ADDRESS_BAD_LOCAL},
    {S("a,c@b"), ADDRESS_BAD_LOCAL},
    {S("@x:a@b"), ADDRESS_BAD_LOCAL},
    {S("a\"b\"@c"), ADDRESS_BAD_LOCAL},
    {S("\"a@b"), ADDRESS_BAD_LOCAL},
    {S("\"a\\\"@b"), ADDRESS_BAD_LOCAL},
    {S("\"a\"b@c"), ADDRESS_BAD_LOCAL},
    {S("\"a\".b@c"), ADDRESS_BAD_LOCAL},
    {S("\"\\\xc3\xbc\"@c"), ADDRESS_BAD_LOCAL},
    {S("\""), ADDRESS_BAD_LOCAL},
    {S("a@"), ADDRESS_BAD_DOMAIN},
    {S("a@."), ADDRESS_BAD_DOMAIN},
    {S("a@!b.example"), ADDRESS_BAD_DOMAIN},
    {S("a@b!.example"), ADDRESS_BAD_DOMAIN},
    {S("a@b.!example"), ADDRESS_BAD_DOMAIN},
    {S("a@b."), ADDRESS_BAD_DOMAIN},
    {S("a@.b"), ADDRESS_BAD_DOMAIN},
    {S("a@b..c"), ADDRESS_BAD_DOMAIN},
    {S("a@-b"), ADDRESS_BAD_DOMAIN},
    {S("a@b-.c"), ADDRESS_BAD_DOMAIN},
    {S("a@b c"), ADDRESS_BAD_DOMAIN},
    {S("a@b@c"), ADDRESS_BAD_DOMAIN},
    {S("a@b>"), ADDRESS_BAD_DOMAIN},
    {S("a@b(c)"), ADDRESS_BAD_DOMAIN},
    {S("a@b/c"), ADDRESS_BAD_DOMAIN},
    {S("a@" X64 ".b"), ADDRESS_BAD_DOMAIN},
    {S("a@["), ADDRESS_BAD_LITERAL},
    {S("a@[]"), ADDRESS_BAD_LITERAL},
    {S("a@[192.0.2.1"), ADDRESS_BAD_LITERAL},
    {S("a@[192.0.2.1]x"), ADDRESS_BAD_LITERAL},
    {S("a@[192.0.2.256]"), ADDRESS_BAD_LITERAL},
    {S("a@[2001:db8::1]"), ADDRESS_BAD_LITERAL},
    {S("a@[IPv6:192.0.2.1]"), ADDRESS_BAD_LITERAL},
    {S("a@[IPv6:]"), ADDRESS_BAD_LITERAL},
    {S("a@[x400:c=de]"), ADDRESS_BAD_LITERAL},
    {S(X64 "x@b"), ADDRESS_TOO_LONG},
    {S("a@b"
       "\xff"),
     ADDRESS_BAD_UTF8},
    {S("\xc3@b"), ADDRESS_BAD_UTF8},
    {S("a@b\r\n"), ADDRESS_CONTROL},
    {S("a\r@b"), ADDRESS_CONTROL},
    {S("\"a\nb\"@b"), ADDRESS_CONTROL},
    {S("\"a\\\nb\"@b"), ADDRESS_CONTROL},
    {S("a\0@b"), ADDRESS_CONTROL},
    {S("a@b\0"), ADDRESS_CONTROL},
    {S("a\t@b"), ADDRESS_CONTROL},
    {S("a\x7f@b"), ADDRESS_CONTROL},
    {S("a\xc2\x80@b"), ADDRESS_CONTROL}, /* C1, first and last */
    {S("a\xc2\x9f@b"), ADDRESS_CONTROL},
    {S("\"\xc2\x9b\"@b"), ADDRESS_CONTROL}, /* also inside quotes, and in the domain */
    {S("a@\xc2\x85.b"), ADDRESS_CONTROL},
    {S("a\xc2\xa0@b"), ADDRESS_OK, "a\xc2\xa0", "b", 0, true, true},
    {S("a\xd8\x9c@b"), ADDRESS_CONTROL},                                     /* U+061C */
    {S("a\xe2\x80\x8d@b"), ADDRESS_OK, "a\xe2\x80\x8d", "b", 0, true, true}, /* U+200D */
    {S("a\xe2\x80\x8e@b"), ADDRESS_CONTROL},                                 /* U+200E, U+200F */
    {S("a\xe2\x80\x8f@b"), ADDRESS_CONTROL},
    {S("a\xe2\x80\xa8@b"), ADDRESS_CONTROL}, /* U+2028 to U+202E */
    {S("a\xe2\x80\xa9@b"), ADDRESS_CONTROL},
    {S("\xe2\x80\xaa@b"), ADDRESS_CONTROL},
    {S("\xe2\x80\xae@b"), ADDRESS_CONTROL},
    {S("a\xe2\x80\xaf@b"), ADDRESS_OK, "a\xe2\x80\xaf", "b", 0, true, true},
    {S("a\xe2\x81\xa5@b"), ADDRESS_OK, "a\xe2\x81\xa5", "b", 0, true, true},
    {S("a\xe2\x81\xa6@b"), ADDRESS_CONTROL}, /* U+2066 to U+206F */
    {S("a\xe2\x81\xa9@b"), ADDRESS_CONTROL},
    {S("a\xe2\x81\xaf@b"), ADDRESS_CONTROL},
    {S("a\xed\xa0\x80@b"), ADDRESS_BAD_UTF8}, /* a surrogate, a pair of them */
    {S("a\xed\xa0\xbd\xed\xb8\x80@b"), ADDRESS_BAD_UTF8},
    {S("a\xc0\xae@b"), ADDRESS_BAD_UTF8}, /* overlong */
    {S("e\xcc\x81@b"), ADDRESS_NOT_NFC},  /* composes */
    {S("\xc3\xa9@b"), ADDRESS_OK, "\xc3\xa9", "b", 0, true, true},
    {S("\xe2\x84\xab@b"), ADDRESS_NOT_NFC},      /* Angstrom sign: a singleton */
    {S("q\xcc\x81\xcc\xa3@b"), ADDRESS_NOT_NFC}, /* marks out of order */
    {S("q\xcc\xa3\xcc\x81@b"), ADDRESS_OK, "q\xcc\xa3\xcc\x81", "b", 0, true, true},
    {S("a@e\xcc\x81.b"), ADDRESS_NOT_NFC},
    {S("\xe1\x84\x80\xe1\x85\xa1@b"), ADDRESS_NOT_NFC}, /* Hangul letters of one syllable */
    {S("\xea\xb0\x80\xe1\x86\xa8@b"), ADDRESS_NOT_NFC},
    {S("\xe0\xae\x95\xe0\xae\xbe@b"), ADDRESS_OK, "\xe0\xae\x95\xe0\xae\xbe", "b", 0, true, true},
};

static bool inside(struct slice part, struct slice whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void test_rows(void **state)
{
	struct guard g;

	(void)state;
	guard_init(&g, 512);
	for (size_t i = 0; i < ROWS(row); i++) {
		struct address a;
		struct slice in = guard_put(&g, row[i].in);
		assert_int_equal(address_parse(in, &a), row[i].error);
		if (row[i].error != ADDRESS_OK)
			continue;
		assert_true(slice_eq_str(a.local, row[i].local));
		assert_true(slice_eq_str(a.domain, row[i].domain));
		assert_true(inside(a.local, in) && inside(a.domain, in));
		assert_int_equal(a.literal, row[i].family != 0);
		assert_int_equal(a.ip.family, row[i].family);
		assert_int_equal(a.utf8, row[i].utf8);
		assert_int_equal(a.utf8_local, row[i].utf8_local);
	}
	guard_free(&g);
}

/* A prefix is an address of its own or an error; what is accepted puts together again. */
static void test_prefixes(void **state)
{
	struct guard g;

	(void)state;
	guard_init(&g, 512);
	for (size_t i = 0; i < ROWS(row); i++) {
		for (size_t n = 0; n <= row[i].in.n; n++) {
			struct address a;
			struct slice in = guard_put(&g, slice_first(row[i].in, n));
			if (address_parse(in, &a) != ADDRESS_OK)
				continue;
			assert_int_equal(a.local.n + 1 + a.domain.n, n);
			assert_ptr_equal(a.local.p, in.p);
			assert_ptr_equal(a.domain.p, in.p + a.local.n + 1);
			assert_int_equal(in.p[a.local.n], '@');
		}
	}
	guard_free(&g);
}

static void test_path_limit(void **state)
{
	/* 1 + 1 + 252 octets: the longest path; one more is too long */
	char text[] = "a@" X63 "." X63 "." X63 "." X16 X16 X16 "xxxxxxxxxxxxx";
	char more[sizeof(text)];
	struct address a;

	(void)state;
	assert_int_equal(sizeof(text) - 1, 2 + 64 * 3 + 61);
	assert_int_equal(address_parse(slice_make(text, ADDRESS_PATH_MAX), &a), ADDRESS_OK);
	assert_int_equal(a.domain.n, ADDRESS_PATH_MAX - 2);
	memcpy(more, text, sizeof(text));
	assert_int_equal(address_parse(slice_make(more, ADDRESS_PATH_MAX + 1), &a),
			 ADDRESS_TOO_LONG);
}

static void test_utf8(void **state)
{
	static const struct {
		struct slice in;
		bool valid;
	} utf8_row[] = {
	    {S(""), true},
	    {S("ascii\0\x7f"), true},
	    {S("\xc2\x80"), true},
	    {S("\xdf\xbf"), true},
	    {S("\xe0\xa0\x80"), true},
	    {S("\xed\x9f\xbf"), true},
	    {S("\xee\x80\x80"), true},
	    {S("\xef\xbf\xbf"), true},
	    {S("\xf0\x90\x80\x80"), true},
	    {S("\xf4\x8f\xbf\xbf"), true},
	    {S("\x80"), false}, /* continuation alone */
	    {S("\xbf"), false},
	    {S("\xc0\x80"), false}, /* overlong */
	    {S("\xc1\xbf"), false},
	    {S("\xe0\x9f\xbf"), false},
	    {S("\xf0\x8f\xbf\xbf"), false},
	    {S("\xed\xa0\x80"), false}, /* surrogates */
	    {S("\xed\xbf\xbf"), false},
	    {S("\xf4\x90\x80\x80"), false}, /* beyond U+10FFFF */
	    {S("\xf5\x80\x80\x80"), false},
	    {S("\xff"), false},
	    {S("\xc2"), false}, /* cut */
	    {S("\xe1\x80"), false},
	    {S("\xf1\x80\x80"), false},
	    {S("\xc2 "), false},
	    {S("\xe1\x80 "), false},
	    {S("\xf1\x80\x80 "), false},
	    {S("\xe1\x80\xc0"), false},
	};
	struct guard g;

	(void)state;
	guard_init(&g, 64);
	for (size_t i = 0; i < ROWS(utf8_row); i++)
		assert_int_equal(utf8_is_valid(guard_put(&g, utf8_row[i].in)), utf8_row[i].valid);
	guard_free(&g);
}

static void test_strerror(void **state)
{
	(void)state;
	for (int e = ADDRESS_NOT_NFC; e <= ADDRESS_OK; e++)
		assert_true(strlen(address_strerror((enum address_error)e)) > 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),       cmocka_unit_test(test_prefixes),
	    cmocka_unit_test(test_path_limit), cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_strerror),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
