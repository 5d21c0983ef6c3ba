/* SPDX-License-Identifier: MIT */
/* wire: TLSA records (RFC 6698 s2, RFC 7218) and IP addresses. */
#include "wire/ipaddr.h"
#include "wire/tlsa.h"

#include "guard.h"
#include "unit.h"

static void test_rdata(void **state)
{
	static const uint8_t rdata[] = {3, 1, 255, 0xaa, 0xbb};
	struct guard g;
	struct tlsa t;

	(void)state;
	guard_init(&g, sizeof(rdata));
	for (size_t n = 0; n <= sizeof(rdata); n++) {
		struct slice in = guard_put(&g, slice_make(rdata, n));
		tlsa_parse(in, &t);
		assert_int_equal(t.short_rdata, n < 3);
		assert_int_equal(t.usage, n < 3 ? 0 : 3);
		assert_int_equal(t.selector, n < 3 ? 0 : 1);
		assert_int_equal(t.mtype, n < 3 ? 0 : 255);
		assert_int_equal(t.full, TLSA_FULL_UNKNOWN);
		assert_int_equal(t.data.n, n < 3 ? 0 : n - 3);
		assert_true(slice_eq(t.data, slice_from(in, 3)));
	}
	guard_free(&g);
}

static const struct {
	const char *text;
	enum tlsa_text_error error;
	uint8_t usage, selector, mtype;
	const char *data;
} text_row[] = {
    {"3 1 1 aabb", TLSA_TEXT_OK, 3, 1, 1, "\xaa\xbb"},
    {"  3\t1  1 AABB \t", TLSA_TEXT_OK, 3, 1, 1, "\xaa\xbb"},
    {"3 1 1 a a b b", TLSA_TEXT_OK, 3, 1, 1, "\xaa\xbb"},
    {"255 254 253 01", TLSA_TEXT_OK, 255, 254, 253, "\x01"},
    {"DANE-EE SPKI SHA2-256 01", TLSA_TEXT_OK, 3, 1, 1, "\x01"},
    {"dane-ta cert sha2-512 01", TLSA_TEXT_OK, 2, 0, 2, "\x01"},
    {"PKIX-TA 0 Full 01", TLSA_TEXT_OK, 0, 0, 0, "\x01"},
    {"PKIX-EE 0 0 01", TLSA_TEXT_OK, 1, 0, 0, "\x01"},
    {"PrivCert PrivSel PrivMatch 01", TLSA_TEXT_OK, 255, 255, 255, "\x01"},
    {"", TLSA_TEXT_FIELDS, 0, 0, 0, ""},
    {"3", TLSA_TEXT_FIELDS, 0, 0, 0, ""},
    {"3 1 1", TLSA_TEXT_FIELDS, 0, 0, 0, ""},
    {"3 1 1 ", TLSA_TEXT_FIELDS, 0, 0, 0, ""},
    {"256 1 1 01", TLSA_TEXT_NUMBER, 0, 0, 0, ""},
    {"3 -1 1 01", TLSA_TEXT_NUMBER, 0, 0, 0, ""},
    {"3 1 SPKI 01", TLSA_TEXT_NUMBER, 0, 0, 0, ""},
    {"SHA2-256 1 1 01", TLSA_TEXT_NUMBER, 0, 0, 0, ""},
    {"3 1 1 0", TLSA_TEXT_HEX, 0, 0, 0, ""},
    {"3 1 1 0x01", TLSA_TEXT_HEX, 0, 0, 0, ""},
    {"3 1 1 01\n", TLSA_TEXT_HEX, 0, 0, 0, ""},
    {"3 1 1 ( 01 )", TLSA_TEXT_HEX, 0, 0, 0, ""},
    {"3 1 1 0102030405", TLSA_TEXT_ROOM, 0, 0, 0, ""},
};

static void test_text(void **state)
{
	struct guard g;

	(void)state;
	guard_init(&g, 256);
	for (size_t i = 0; i < ROWS(text_row); i++) {
		uint8_t store[4];
		struct tlsa t;
		struct slice in = guard_put(&g, slice_str(text_row[i].text));
		assert_int_equal(tlsa_from_text(in, store, sizeof(store), &t), text_row[i].error);
		if (text_row[i].error != TLSA_TEXT_OK)
			continue;
		assert_int_equal(t.usage, text_row[i].usage);
		assert_int_equal(t.selector, text_row[i].selector);
		assert_int_equal(t.mtype, text_row[i].mtype);
		assert_true(slice_eq_str(t.data, text_row[i].data));
		assert_ptr_equal(t.data.p, store);
		assert_false(t.short_rdata);
	}
	guard_free(&g);
}

/* A prefix that is accepted says the same as the whole, with less data. */
static void test_text_prefixes(void **state)
{
	struct guard g;

	(void)state;
	guard_init(&g, 256);
	for (size_t i = 0; i < ROWS(text_row); i++) {
		struct slice whole = slice_str(text_row[i].text);
		for (size_t n = 0; n <= whole.n; n++) {
			uint8_t store[4];
			struct tlsa t;
			struct slice in = guard_put(&g, slice_first(whole, n));
			if (tlsa_from_text(in, store, sizeof(store), &t) == TLSA_TEXT_OK)
				assert_true(t.data.n > 0 && t.data.n <= sizeof(store));
		}
	}
	guard_free(&g);
}

static void test_order(void **state)
{
	/* in ascending order */
	static const struct tlsa row[] = {
	    {.usage = 0},
	    {.usage = 0, .short_rdata = true},
	    {.usage = 2, .selector = 1, .mtype = 2},
	    {.usage = 3, .selector = 0, .mtype = 1},
	    {.usage = 3, .selector = 1, .mtype = 0},
	    {.usage = 3, .selector = 1, .mtype = 1, .data = {(const uint8_t *)"a", 1}},
	    {.usage = 3, .selector = 1, .mtype = 1, .data = {(const uint8_t *)"ab", 2}},
	    {.usage = 3, .selector = 1, .mtype = 1, .data = {(const uint8_t *)"b", 1}},
	    {.usage = 3, .selector = 1, .mtype = 2},
	};

	(void)state;
	for (size_t a = 0; a < ROWS(row); a++) {
		for (size_t b = 0; b < ROWS(row); b++) {
			int order = tlsa_cmp(&row[a], &row[b]);
			assert_int_equal(order < 0, a < b);
			assert_int_equal(order > 0, a > b);
		}
	}
}

static void test_strerror(void **state)
{
	(void)state;
	for (int e = TLSA_TEXT_ROOM; e <= TLSA_TEXT_OK; e++)
		assert_true(strlen(tlsa_text_strerror((enum tlsa_text_error)e)) > 5);
}

static void test_loopback(void **state)
{
	static const struct {
		const char *text;
		bool loopback;
	} row[] = {
	    {"127.0.0.1", true}, {"127.255.0.9", true}, {"128.0.0.1", false}, {"126.0.0.1", false},
	    {"::1", true},       {"::", false},         {"::2", false},       {"7f00::1", false},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct ipaddr a;
		assert_true(ipaddr_from_text(slice_str(row[i].text), &a));
		assert_int_equal(ipaddr_is_loopback(&a), row[i].loopback);
	}
	assert_false(ipaddr_is_loopback(&(struct ipaddr){0}));
}

static void test_ipaddr(void **state)
{
	static const struct {
		struct slice text;
		uint8_t family;
		const char *again;
	} row[] = {
	    {{(const uint8_t *)"192.0.2.1", 9}, 4, "192.0.2.1"},
	    {{(const uint8_t *)"255.255.255.255", 15}, 4, "255.255.255.255"},
	    {{(const uint8_t *)"2001:DB8:0:0::1", 15}, 6, "2001:db8::1"},
	    {{(const uint8_t *)"::", 2}, 6, "::"},
	    {{(const uint8_t *)"::ffff:192.0.2.1", 16}, 6, "::ffff:192.0.2.1"},
	    {{(const uint8_t *)"", 0}, 0, ""},
	    {{(const uint8_t *)"192.0.2", 7}, 0, ""},
	    {{(const uint8_t *)"192.0.2.256", 11}, 0, ""},
	    {{(const uint8_t *)"192.0.2.1 ", 10}, 0, ""},
	    {{(const uint8_t *)" 192.0.2.1", 10}, 0, ""},
	    {{(const uint8_t *)"192.0.2.1\0x", 11}, 0, ""},
	    {{(const uint8_t *)"0x7f.0.0.1", 10}, 0, ""},
	    {{(const uint8_t *)"fe80::1%eth0", 12}, 0, ""},
	    {{(const uint8_t *)"1::2::3", 7}, 0, ""},
	    {{(const uint8_t *)"1111:2222:3333:4444:5555:6666:255.255.255.2550", 46}, 0, ""},
	};
	struct guard g;

	(void)state;
	guard_init(&g, 64);
	for (size_t i = 0; i < ROWS(row); i++) {
		struct ipaddr a;
		struct ipaddr b;
		char text[IPADDR_TEXT_MAX];
		bool ok = ipaddr_from_text(guard_put(&g, row[i].text), &a);
		assert_int_equal(ok, row[i].family != 0);
		assert_int_equal(a.family, row[i].family);
		ipaddr_to_text(&a, text);
		assert_string_equal(text, row[i].again);
		if (!ok)
			continue;
		assert_true(ipaddr_from_text(slice_str(text), &b));
		assert_true(ipaddr_eq(&a, &b));
		b.b[row[i].family == 4 ? 3 : 15] ^= 1;
		assert_false(ipaddr_eq(&a, &b));
	}
	/* the same octets in another family are another address; octets behind four do not count */
	struct ipaddr four = {.family = 4, .b = {1, 2, 3, 4, 9}};
	struct ipaddr six = {.family = 6, .b = {1, 2, 3, 4, 9}};
	struct ipaddr plain = {.family = 4, .b = {1, 2, 3, 4}};
	assert_false(ipaddr_eq(&four, &six));
	assert_true(ipaddr_eq(&four, &plain));
	guard_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rdata),         cmocka_unit_test(test_text),
	    cmocka_unit_test(test_text_prefixes), cmocka_unit_test(test_order),
	    cmocka_unit_test(test_strerror),      cmocka_unit_test(test_ipaddr),
	    cmocka_unit_test(test_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
