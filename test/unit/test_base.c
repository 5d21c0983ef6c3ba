/* SPDX-License-Identifier: MIT */
/* base: slices, buffers, cursors and arenas keep the promises of their headers. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/foreign.h"
#include "base/utf8.h"

#include "unit.h"

static void test_slice_compare(void **state)
{
	static const struct {
		const char *a, *b;
		int order;
		bool eq_nocase;
	} row[] = {
	    {"", "", 0, true},      {"a", "", 1, false},     {"", "a", -1, false},
	    {"ab", "ab", 0, true},  {"ab", "AB", 1, true},   {"ab", "abc", -1, false},
	    {"b", "abc", 1, false}, {"@", "`", -1, false},   {"[", "{", -1, false},
	    {"z", "Z", 1, true},    {"\xe4", "z", 1, false}, {"\xc4", "\xe4", -1, false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct slice a = slice_str(row[i].a);
		struct slice b = slice_str(row[i].b);
		assert_int_equal(slice_cmp(a, b), row[i].order);
		assert_int_equal(slice_cmp(b, a), -row[i].order);
		assert_int_equal(slice_eq(a, b), row[i].order == 0);
		assert_int_equal(slice_eq_str(a, row[i].b), row[i].order == 0);
		assert_int_equal(slice_eq_nocase(a, b), row[i].eq_nocase);
		assert_int_equal(slice_eq_nocase_str(a, row[i].b), row[i].eq_nocase);
	}
	assert_true(slice_eq(slice_make(NULL, 0), slice_str("")));
	assert_true(slice_eq(slice_str(NULL), SLICE_LIT("")));
	assert_true(slice_starts_nocase(SLICE_LIT("STARTTLS x"), "starttls"));
	assert_true(slice_starts_nocase(SLICE_LIT("a"), ""));
	assert_false(slice_starts_nocase(SLICE_LIT("star"), "starttls"));
}

static void test_slice_parts(void **state)
{
	struct slice s = SLICE_LIT("one two");
	struct slice rest;

	(void)state;
	assert_true(slice_eq_str(slice_from(s, 4), "two"));
	assert_int_equal(slice_from(s, 8).n, 0);
	assert_int_equal(slice_from(slice_make(NULL, 0), 8).n, 0);
	assert_true(slice_eq_str(slice_first(s, 3), "one"));
	assert_true(slice_eq_str(slice_first(s, 30), "one two"));
	assert_int_equal(slice_find(s, ' '), 3);
	assert_int_equal(slice_find(s, 'x'), s.n);
	assert_int_equal(slice_find(slice_make(NULL, 0), 'x'), 0);
	assert_true(slice_eq_str(slice_cut(s, ' ', &rest), "one"));
	assert_true(slice_eq_str(rest, "two"));
	assert_true(slice_eq_str(slice_cut(rest, ' ', &rest), "two"));
	assert_int_equal(rest.n, 0);
	assert_true(slice_eq_str(slice_trim(SLICE_LIT(" \t a b\t ")), "a b"));
	assert_int_equal(slice_trim(SLICE_LIT(" \t ")).n, 0);
	assert_true(slice_eq_str(slice_trim(SLICE_LIT("\ra\n")), "\ra\n"));
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool ok;
		uint64_t value;
	} row[] = {
	    {"0", 0, true, 0},
	    {"1", 0, false, 0},
	    {"", 9, false, 0},
	    {"+1", 9, false, 0},
	    {"-1", 9, false, 0},
	    {" 1", 9, false, 0},
	    {"1 ", 9, false, 0},
	    {"0x1", 99, false, 0},
	    {"255", 255, true, 255},
	    {"256", 255, false, 0},
	    {"000255", 255, true, 255},
	    {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
	    {"18446744073709551616", UINT64_MAX, false, 0},
	    {"99999999999999999999", UINT64_MAX, false, 0},
	    {"9", 5, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		uint64_t value = 0;
		assert_int_equal(slice_to_u64(slice_str(row[i].text), row[i].max, &value),
				 row[i].ok);
		assert_true(value == row[i].value);
	}
}

static void test_hex(void **state)
{
	uint8_t out[4];
	char text[9];
	size_t n = 99;

	(void)state;
	assert_true(hex_decode(SLICE_LIT("00fFA9"), out, sizeof(out), &n));
	assert_int_equal(n, 3);
	assert_memory_equal(out, "\x00\xff\xa9", 3);
	hex_encode(slice_make(out, n), text);
	assert_string_equal(text, "00ffa9");
	assert_true(hex_decode(SLICE_LIT(""), out, 0, &n));
	assert_int_equal(n, 0);
	assert_false(hex_decode(SLICE_LIT("0"), out, sizeof(out), &n));
	assert_false(hex_decode(SLICE_LIT("0g"), out, sizeof(out), &n));
	assert_false(hex_decode(SLICE_LIT("g0"), out, sizeof(out), &n));
	assert_false(hex_decode(SLICE_LIT("0011223344"), out, sizeof(out), &n));
	hex_encode(slice_make(NULL, 0), text);
	assert_string_equal(text, "");
}

static void test_ascii(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		bool upper = c >= 'A' && c <= 'Z';
		bool lower = c >= 'a' && c <= 'z';
		bool digit = c >= '0' && c <= '9';
		assert_int_equal(ascii_lower((uint8_t)c), upper ? c + 32 : c);
		assert_int_equal(ascii_is_alpha((uint8_t)c), upper || lower);
		assert_int_equal(ascii_is_digit((uint8_t)c), digit);
		assert_int_equal(ascii_is_alnum((uint8_t)c), upper || lower || digit);
	}
}

static void test_buf_writes(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_string_equal(buf_cstr(&b), "");
	buf_add_str(&b, "ab");
	buf_add_u8(&b, 'c');
	buf_add_u16(&b, 0x6465);
	buf_addf(&b, "%d-%s", 7, "x");
	buf_add_hex(&b, SLICE_LIT("\x01\xff"));
	buf_add_slice(&b, slice_make(NULL, 0));
	assert_string_equal(buf_cstr(&b), "abcde7-x01ff");
	buf_consume(&b, 3);
	assert_string_equal(buf_cstr(&b), "de7-x01ff");
	assert_int_equal(buf_len(&b), 9);
	assert_int_equal(buf_room(&b), 991);
	buf_consume(&b, 100);
	assert_int_equal(buf_len(&b), 0);
	assert_true(buf_ok(&b));
	buf_free(&b);
	assert_int_equal(b.max, 1000);
	buf_free(&b);
}

static void add_text(struct buf *b)
{
	buf_add_str(b, "xx");
}

static void add_number(struct buf *b)
{
	buf_add_u16(b, 1);
}

static void add_format(struct buf *b)
{
	buf_addf(b, "%d", 12);
}

static void add_hex(struct buf *b)
{
	buf_add_hex(b, SLICE_LIT("x"));
}

static void reserve(struct buf *b)
{
	(void)buf_reserve(b, 2);
}

/* Each way of adding: exactly max fits, one more fails, and the failure sticks. */
static void test_buf_limit(void **state)
{
	static void (*const add[])(struct buf *) = {add_text, add_number, add_format, add_hex,
						    reserve};

	(void)state;
	for (size_t i = 0; i < ROWS(add); i++) {
		struct buf b;
		buf_init(&b, 4);
		buf_add_str(&b, "ab");
		add[i](&b);
		assert_true(buf_ok(&b));
		buf_reset(&b);
		buf_add_str(&b, "abc");
		add[i](&b);
		assert_false(buf_ok(&b));
		assert_int_equal(buf_len(&b), 3);
		assert_int_equal(buf_room(&b), 0);
		buf_add_u8(&b, 'd');
		assert_int_equal(buf_len(&b), 3);
		assert_string_equal(buf_cstr(&b), "");
		buf_consume(&b, 3);
		buf_add_u8(&b, 'd');
		assert_false(buf_ok(&b));
		buf_reset(&b);
		buf_add_str(&b, "abcd");
		assert_string_equal(buf_cstr(&b), "abcd");
		assert_true(buf_ok(&b));
		buf_free(&b);
	}
}

/* Many small adds behind many small consumes: the content is right and the memory stays small. */
static void test_buf_as_queue(void **state)
{
	struct buf b;
	uint8_t in = 0;
	uint8_t out = 0;

	(void)state;
	buf_init(&b, 3000);
	for (unsigned step = 0; step < 20000; step++) {
		for (unsigned i = 0; i < step % 37 && buf_room(&b) > 0; i++)
			buf_add_u8(&b, in++);
		struct slice s = slice_first(buf_slice(&b), step % 36);
		for (size_t i = 0; i < s.n; i++)
			assert_int_equal(s.p[i], out++);
		buf_consume(&b, s.n);
	}
	assert_true(buf_ok(&b));
	assert_true(b.cap <= 4 * b.max);
	buf_free(&b);
}

static void test_buf_reserve(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5000);
	uint8_t *p = buf_reserve(&b, 4096);
	assert_non_null(p);
	memset(p, 'x', 4096);
	buf_commit(&b, 10);
	assert_int_equal(buf_len(&b), 10);
	assert_string_equal(buf_cstr(&b), "xxxxxxxxxx");
	assert_non_null(buf_reserve(&b, 0));
	assert_null(buf_reserve(&b, 4991));
	assert_false(buf_ok(&b));
	buf_commit(&b, 5); /* of what was reserved before the failure: too late */
	assert_int_equal(buf_len(&b), 10);
	buf_free(&b);
}

static void test_cursor(void **state)
{
	struct cursor c = cursor_make(SLICE_LIT("\x01\x02\x03\x04\x05\x06\x07xyz"));

	(void)state;
	assert_int_equal(cursor_u8(&c), 1);
	assert_int_equal(cursor_u16(&c), 0x0203);
	assert_int_equal(cursor_u32(&c), 0x04050607);
	assert_true(slice_eq_str(cursor_bytes(&c, 2), "xy"));
	assert_int_equal(cursor_left(&c), 1);
	assert_int_equal(cursor_u16(&c), 0);
	assert_true(c.failed);
	/* the error sticks, although one octet would be left */
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(cursor_left(&c), 0);
	assert_int_equal(cursor_bytes(&c, 0).n, 0);
	c = cursor_make(slice_make(NULL, 0));
	assert_int_equal(cursor_bytes(&c, 0).n, 0);
	assert_false(c.failed);
	assert_int_equal(cursor_bytes(&c, SIZE_MAX).n, 0);
	assert_true(c.failed);
}

static void test_arena(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 100000);
	for (size_t n = 0; n < 300; n++) {
		uint8_t *p = arena_alloc(&a, n);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
	}
	assert_string_equal(arena_strdup(&a, "text"), "text");
	assert_string_equal(arena_str(&a, SLICE_LIT("slice")), "slice");
	assert_string_equal(arena_printf(&a, "%s %d", "x", 5), "x 5");
	assert_true(slice_eq_str(arena_bytes(&a, SLICE_LIT("ab")), "ab"));
	assert_int_equal(arena_bytes(&a, slice_make(NULL, 0)).n, 0);
	arena_free(&a);
	assert_non_null(arena_alloc(&a, 100000));
	assert_null(arena_alloc(&a, 1));
	assert_true(a.failed);
	arena_free(&a);
	assert_false(a.failed);
}

static void test_arena_limit(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 1000);
	assert_null(arena_array(&a, SIZE_MAX / 16 + 2, 16)); /* the product would be 16 */
	assert_true(a.failed);
	assert_null(arena_alloc(&a, 1)); /* sticky */
	arena_free(&a);
	assert_null(arena_alloc(&a, SIZE_MAX));
	arena_free(&a);
	assert_null(arena_alloc(&a, 1001));
	assert_null(arena_strdup(&a, "x"));
	assert_null(arena_printf(&a, "x"));
	assert_int_equal(arena_bytes(&a, SLICE_LIT("x")).n, 0);
	arena_free(&a);
}

/* The first and last character of each class, and their neighbours. */
static void test_foreign(void **state)
{
	static const struct {
		const char *in, *out;
	} row[] = {
	    {"", ""},
	    {"plain \"text\" = \\", "plain \"text\" = \\"},
	    {"caf\xc3\xa9 \xf0\x9f\x93\xab", "caf\xc3\xa9 \xf0\x9f\x93\xab"},
	    {"\x01\t\n\r\x1b[2J\x1f", "\\x01\\x09\\x0a\\x0d\\x1b[2J\\x1f"},
	    {"~\x7f\xc2\x80\xc2\x9f\xc2\xa0", "~\\x7f\\xc2\\x80\\xc2\\x9f\xc2\xa0"},
	    {"\xd8\x9b\xd8\x9c\xd8\x9d", "\xd8\x9b\\xd8\\x9c\xd8\x9d"},
	    {"\xe2\x80\x8d\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\x90",
	     "\xe2\x80\x8d\\xe2\\x80\\x8e\\xe2\\x80\\x8f\xe2\x80\x90"},
	    {"\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xae\xe2\x80\xaf",
	     "\xe2\x80\xa7\\xe2\\x80\\xa8\\xe2\\x80\\xae\xe2\x80\xaf"},
	    {"\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xaf\xe2\x81\xb0",
	     "\xe2\x81\xa5\\xe2\\x81\\xa6\\xe2\\x81\\xaf\xe2\x81\xb0"},
	    {"\xff\xc3", "\\xff\\xc3"},
	    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
	};
	struct buf b;
	uint32_t c;

	(void)state;
	buf_init(&b, 256);
	for (size_t i = 0; i < ROWS(row); i++) {
		buf_reset(&b);
		foreign_escape(&b, slice_str(row[i].in));
		assert_string_equal(buf_cstr(&b), row[i].out);
		assert_int_equal(foreign_is_plain(slice_str(row[i].in)),
				 strcmp(row[i].in, row[i].out) == 0);
	}
	buf_free(&b);
	assert_int_equal(utf8_take(SLICE_LIT("\xf4\x8f\xbf\xbf"), &c), 4);
	assert_int_equal(c, 0x10ffff);
	assert_int_equal(utf8_take(SLICE_LIT("a"), &c), 1);
	assert_int_equal(c, 'a');
	assert_int_equal(utf8_take((struct slice){0}, &c), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_slice_compare), cmocka_unit_test(test_slice_parts),
	    cmocka_unit_test(test_numbers),       cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_ascii),         cmocka_unit_test(test_buf_writes),
	    cmocka_unit_test(test_buf_limit),     cmocka_unit_test(test_buf_as_queue),
	    cmocka_unit_test(test_buf_reserve),   cmocka_unit_test(test_cursor),
	    cmocka_unit_test(test_arena),         cmocka_unit_test(test_arena_limit),
	    cmocka_unit_test(test_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
