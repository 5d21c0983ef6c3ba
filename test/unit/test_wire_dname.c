/* SPDX-License-Identifier: MIT */
/* wire: domain names from text and from packets, and the packets that try to loop. */
#include "wire/dname.h"

#include "guard.h"
#include "unit.h"

#define L63 "abcdefghijklmnopqrstuvwxyz0123456789-abcdefghijklmnopqrstuvwxyz"
#define L61 "abcdefghijklmnopqrstuvwxyz0123456789-abcdefghijklmnopqrstuvwx"

static const struct {
	const char *text;
	enum dname_error error;
	const char *again; /* NULL: as given */
	size_t len;
} text_row[] = {
    {".", DNAME_OK, NULL, 1},
    {"org", DNAME_OK, NULL, 5},
    {"org.", DNAME_OK, "org", 5},
    {"Mail.Example.ORG.", DNAME_OK, "mail.example.org", 18},
    {"_25._tcp.mx.example", DNAME_OK, NULL, 21},
    {"a\\.b.c", DNAME_OK, NULL, 7},
    {"a\\046b.c", DNAME_OK, "a\\.b.c", 7},
    {"a\\\\b", DNAME_OK, NULL, 5},
    {"\\065", DNAME_OK, "a", 3},
    {"\\000\\255", DNAME_OK, NULL, 4},
    {"\\@x", DNAME_OK, "@x", 4},
    {"a\\032b", DNAME_OK, NULL, 5},
    {"*.example", DNAME_OK, NULL, 11},
    {"", DNAME_EMPTY, NULL, 0},
    {"..", DNAME_EMPTY, NULL, 0},
    {".a", DNAME_EMPTY, NULL, 0},
    {"a..b", DNAME_EMPTY, NULL, 0},
    {"a..", DNAME_EMPTY, NULL, 0},
    {"\\", DNAME_BAD_ESCAPE, NULL, 0},
    {"a\\", DNAME_BAD_ESCAPE, NULL, 0},
    {"a\\0", DNAME_BAD_ESCAPE, NULL, 0},
    {"a\\01", DNAME_BAD_ESCAPE, NULL, 0},
    {"a\\01x", DNAME_BAD_ESCAPE, NULL, 0},
    {"a\\256", DNAME_BAD_ESCAPE, NULL, 0},
    {"a b", DNAME_BAD_ESCAPE, NULL, 0},
    {"a\nb", DNAME_BAD_ESCAPE, NULL, 0},
    {"a\\\nb", DNAME_BAD_ESCAPE, NULL, 0},
    {"b\xc3\xbc"
     "cher",
     DNAME_BAD_ESCAPE, NULL, 0},
    {L63, DNAME_OK, NULL, 65},
    {L63 ".x", DNAME_OK, NULL, 67},
    {L63 "x", DNAME_LABEL_TOO_LONG, NULL, 0},
    {"x." L63 "x", DNAME_LABEL_TOO_LONG, NULL, 0},
    {L63 "\\120", DNAME_LABEL_TOO_LONG, NULL, 0},
    {L63 "." L63 "." L63 "." L61, DNAME_OK, NULL, 255},
    {L63 "." L63 "." L63 "." L61 ".", DNAME_OK, L63 "." L63 "." L63 "." L61, 255},
    {L63 "." L63 "." L63 "." L61 "x", DNAME_TOO_LONG, NULL, 0},
    {L63 "." L63 "." L63 "." L63, DNAME_TOO_LONG, NULL, 0},
    {L63 "." L63 "." L63 "." L61 ".x", DNAME_TOO_LONG, NULL, 0},
};

static void test_text(void **state)
{
	struct guard g;
	struct dname n;
	char again[DNAME_TEXT_MAX];

	(void)state;
	guard_init(&g, 4096);
	for (size_t i = 0; i < ROWS(text_row); i++) {
		struct slice in = guard_put(&g, slice_str(text_row[i].text));
		assert_int_equal(dname_from_text(in, &n), text_row[i].error);
		if (text_row[i].error != DNAME_OK)
			continue;
		assert_int_equal(n.len, text_row[i].len);
		assert_int_equal(n.wire[n.len - 1], 0);
		size_t len = dname_to_text(&n, again);
		assert_int_equal(len, strlen(again));
		assert_string_equal(again, text_row[i].again != NULL ? text_row[i].again
								     : text_row[i].text);
	}
	guard_free(&g);
}

/* A prefix is a name of its own or an error; it never reads on. */
static void test_text_prefixes(void **state)
{
	struct guard g;
	struct dname n;
	struct dname again;
	char text[DNAME_TEXT_MAX];

	(void)state;
	guard_init(&g, 4096);
	for (size_t i = 0; i < ROWS(text_row); i++) {
		struct slice whole = slice_str(text_row[i].text);
		for (size_t k = 0; k <= whole.n; k++) {
			if (dname_from_text(guard_put(&g, slice_first(whole, k)), &n) != DNAME_OK)
				continue;
			(void)dname_to_text(&n, text);
			assert_int_equal(dname_from_text(slice_str(text), &again), DNAME_OK);
			assert_true(dname_eq(&n, &again));
		}
	}
	guard_free(&g);
}

/* The longest text there is: every octet escaped. */
static void test_text_longest(void **state)
{
	struct dname n = {.len = DNAME_WIRE_MAX};
	struct dname again;
	char text[DNAME_TEXT_MAX];
	static const uint8_t label_at[] = {0, 64, 128, 192};

	(void)state;
	memset(n.wire, 0xff, sizeof(n.wire));
	for (size_t i = 0; i < 4; i++)
		n.wire[label_at[i]] = i < 3 ? 63 : 61;
	n.wire[254] = 0;
	assert_int_equal(dname_to_text(&n, text), 250 * 4 + 3);
	assert_int_equal(dname_from_text(slice_str(text), &again), DNAME_OK);
	assert_true(dname_eq(&n, &again));
}

static void test_equal(void **state)
{
	struct dname a;
	struct dname b;

	(void)state;
	assert_int_equal(dname_from_text(SLICE_LIT("mx.Example.org"), &a), DNAME_OK);
	assert_int_equal(dname_from_text(SLICE_LIT("MX.eXample.org."), &b), DNAME_OK);
	assert_true(dname_eq(&a, &b));
	assert_int_equal(dname_from_text(SLICE_LIT("mx\\.example.org"), &b), DNAME_OK);
	assert_false(dname_eq(&a, &b));
	assert_int_equal(dname_from_text(SLICE_LIT("mx.example.orgx"), &b), DNAME_OK);
	assert_false(dname_eq(&a, &b));
}

/* The message of RFC 1035 s4.1.4 */
static struct slice rfc_message(uint8_t room[static 93])
{
	memset(room, 0xee, 93);
	memcpy(room + 40,
	       "\x03"
	       "FOO"
	       "\xc0\x14",
	       6);
	memcpy(room + 64, "\xc0\x1a", 2);
	memcpy(room + 20,
	       "\x01"
	       "F"
	       "\x03"
	       "ISI"
	       "\x04"
	       "ARPA"
	       "\x00",
	       12);
	room[92] = 0;
	return slice_make(room, 93);
}

static void test_wire_rfc(void **state)
{
	static const struct {
		size_t at, behind;
		const char *text;
	} row[] = {
	    {20, 32, "f.isi.arpa"},
	    {40, 46, "foo.f.isi.arpa"},
	    {64, 66, "arpa"},
	    {92, 93, "."},
	};
	uint8_t room[93];
	struct slice msg = rfc_message(room);
	char text[DNAME_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct dname n;
		size_t pos = row[i].at;
		assert_int_equal(dname_parse(msg, &pos, &n), DNAME_OK);
		assert_int_equal(pos, row[i].behind);
		(void)dname_to_text(&n, text);
		assert_string_equal(text, row[i].text);
	}
}

static void test_wire_errors(void **state)
{
	static const struct {
		struct slice msg;
		size_t at;
		enum dname_error error;
	} row[] = {
	    {{(const uint8_t *)"", 0}, 0, DNAME_TRUNCATED},
	    {{(const uint8_t *)"\x00", 1}, 1, DNAME_TRUNCATED},
	    {{(const uint8_t *)"\x00", 1}, 7, DNAME_TRUNCATED},
	    {{(const uint8_t *)"\x01", 1}, 0, DNAME_TRUNCATED},
	    {{(const uint8_t *)"\x01"
			       "a",
	      2},
	     0,
	     DNAME_TRUNCATED},
	    {{(const uint8_t *)"\x02"
			       "a\x00",
	      3},
	     0,
	     DNAME_TRUNCATED},
	    {{(const uint8_t *)"\x00\xc0", 2}, 1, DNAME_TRUNCATED},
	    {{(const uint8_t *)"\xc0\x00", 2}, 0, DNAME_BAD_POINTER},         /* to itself */
	    {{(const uint8_t *)"\xc0\x02\x00", 3}, 0, DNAME_BAD_POINTER},     /* forward */
	    {{(const uint8_t *)"\xc0\x02\xc0\x00", 4}, 2, DNAME_BAD_POINTER}, /* a pair */
	    {{(const uint8_t *)"\x02xy\xc0\x00", 5}, 0, DNAME_BAD_POINTER},   /* own label */
	    {{(const uint8_t *)"\xc0\x02\x00\xc0\x00", 5},
	     3,
	     DNAME_BAD_POINTER}, /* back and forth */
	    {{(const uint8_t *)"\x01"
			       "a\x01"
			       "b\xc0\x02",
	      6},
	     0,
	     DNAME_BAD_POINTER},
	    {{(const uint8_t *)"\xff\xff\x00", 3}, 0, DNAME_BAD_POINTER}, /* past the end */
	    {{(const uint8_t *)"\x40\x00", 2}, 0, DNAME_BAD_POINTER},     /* RFC 2673 label */
	    {{(const uint8_t *)"\x80\x00", 2}, 0, DNAME_BAD_POINTER},
	};
	struct guard g;

	(void)state;
	guard_init(&g, 64);
	for (size_t i = 0; i < ROWS(row); i++) {
		struct dname n;
		size_t pos = row[i].at;
		assert_int_equal(dname_parse(guard_put(&g, row[i].msg), &pos, &n), row[i].error);
		assert_int_equal(pos, row[i].at); /* an error moves nothing */
	}
	guard_free(&g);
}

/* Jumps are counted: 126 are followed, 127 are refused. */
static void test_wire_jumps(void **state)
{
	uint8_t msg[2 + 2 * 130];

	(void)state;
	memset(msg, 0, sizeof(msg));
	for (size_t i = 1; i < sizeof(msg) / 2; i++) {
		size_t target = 2 * (i - 1);
		msg[2 * i] = (uint8_t)(0xc0 | target >> 8);
		msg[2 * i + 1] = (uint8_t)target;
	}
	for (size_t jumps = 0; jumps <= 129; jumps++) {
		struct dname n;
		size_t pos = 2 * jumps;
		enum dname_error want = jumps <= DNAME_POINTERS_MAX ? DNAME_OK : DNAME_BAD_POINTER;
		assert_int_equal(dname_parse(slice_make(msg, sizeof(msg)), &pos, &n), want);
		if (want == DNAME_OK)
			assert_int_equal(n.len, 1);
	}
}

/* 255 octets fit, 256 do not, with and without a pointer. */
static void test_wire_length(void **state)
{
	uint8_t msg[400];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		size_t len = i < 3 ? 63 : 61;
		msg[n++] = (uint8_t)len;
		memset(msg + n, 'a', len);
		n += len;
	}
	msg[n++] = 0;
	assert_int_equal(n, 255);
	struct dname name;
	size_t pos = 0;
	assert_int_equal(dname_parse(slice_make(msg, n), &pos, &name), DNAME_OK);
	assert_int_equal(name.len, 255);
	assert_int_equal(pos, 255);
	/* one label before it */
	memcpy(msg + n,
	       "\x01"
	       "b\xc0\x00",
	       4);
	pos = n;
	assert_int_equal(dname_parse(slice_make(msg, n + 4), &pos, &name), DNAME_TOO_LONG);
	/* the last label one longer */
	msg[192] = 62;
	msg[254] = 'a';
	msg[255] = 0;
	pos = 0;
	assert_int_equal(dname_parse(slice_make(msg, 256), &pos, &name), DNAME_TOO_LONG);
}

/* Every prefix of a good message that cuts the name is an error, up to the guard page. */
static void test_wire_prefixes(void **state)
{
	uint8_t room[93];
	struct slice msg = rfc_message(room);
	struct guard g;

	(void)state;
	guard_init(&g, sizeof(room));
	for (size_t n = 0; n <= msg.n; n++) {
		struct slice cut = guard_put(&g, slice_first(msg, n));
		for (size_t at = 0; at <= n; at++) {
			struct dname name;
			struct dname whole;
			size_t pos = at;
			size_t whole_pos = at;
			enum dname_error e = dname_parse(cut, &pos, &name);
			if (e == DNAME_TRUNCATED)
				continue;
			assert_int_equal(dname_parse(msg, &whole_pos, &whole), e);
			assert_int_equal(pos, whole_pos);
			if (e == DNAME_OK)
				assert_true(dname_eq(&name, &whole));
		}
	}
	guard_free(&g);
}

static void test_hostname(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} row[] = {
	    {"mx.example.org", true},
	    {"MX1.Example.ORG", true},
	    {"localhost", true},
	    {"3com.example", true},
	    {"mx_1.example", true},
	    {"xn--bcher-kva.example", true},
	    {"a.b", true},
	    {L63 ".example", true},
	    {"", false},
	    {".", false},
	    {"mx.example.org.", false},
	    {".mx.example", false},
	    {"mx..example", false},
	    {"-mx.example", false},
	    {"mx-.example", false},
	    {"mx.-example", false},
	    {"mx example", false},
	    {"mx.ex*mple", false},
	    {"192.0.2.1", false},
	    {"1", false},
	    {"mx.123", false},
	    {"[192.0.2.1]", false},
	    {"2001:db8::1", false},
	    {"m\xc3\xbcx.example", false},
	    {"mx\\046example", false},
	    {L63 "x.example", false},
	    {L63 "." L63 "." L63 "." L61, true},
	    {L63 "." L63 "." L63 "." L61 "x", false},
	};
	struct guard g;

	(void)state;
	guard_init(&g, 512);
	for (size_t i = 0; i < ROWS(row); i++)
		assert_int_equal(hostname_is_valid(guard_put(&g, slice_str(row[i].text))),
				 row[i].valid);
	guard_free(&g);
}

static void test_strerror(void **state)
{
	(void)state;
	for (int e = DNAME_BAD_POINTER; e <= DNAME_OK; e++)
		assert_true(strlen(dname_strerror((enum dname_error)e)) > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),          cmocka_unit_test(test_text_prefixes),
	    cmocka_unit_test(test_text_longest),  cmocka_unit_test(test_equal),
	    cmocka_unit_test(test_wire_rfc),      cmocka_unit_test(test_wire_errors),
	    cmocka_unit_test(test_wire_jumps),    cmocka_unit_test(test_wire_length),
	    cmocka_unit_test(test_wire_prefixes), cmocka_unit_test(test_hostname),
	    cmocka_unit_test(test_strerror),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
